"""Whom an edit of zones concerns: who is in what was changed, or may be in what was drawn anew.

Law: of all others the first fix under the new version is a row like any other. Membership in changed zones is set anew at that fix
(DETECTION section 3), and theirs cannot change.
"""

from collections.abc import Sequence

import numpy as np

from collector.detect.engine import UnitState
from collector.detect.geo import IntArray
from collector.detect.rules import Rules
from collector.detect.track import Track

PAIRS_MAX = 1 << 20  # of units and zones looked at together: 8 MB a comparison


def concerned_by_edit(
    rules: Rules, before: Rules | None, track: Track, firsts: Sequence[tuple[int, UnitState]]
) -> IntArray:
    """Of these first rows under `rules`, of units that `before` has judged so far: those that may change a membership."""
    changed, boxes = rules.changed_since(before), rules.redrawn_since(before)
    rows = np.array([row for row, _ in firsts], np.int64)
    inside = np.array(
        [
            any(visit.zone in changed for visit in state.zones.visits)
            if state.zones.visits
            else False
            for _, state in firsts
        ],
        np.bool_,
    )
    x, y = track.lon_e7[rows], track.lat_e7[rows]
    step = max(1, PAIRS_MAX // max(1, len(rows)))
    for begin in range(0, len(boxes), step):
        some = boxes[begin : begin + step]
        inside |= (
            (x[:, None] >= some[:, 0])
            & (x[:, None] <= some[:, 2])
            & (y[:, None] >= some[:, 1])
            & (y[:, None] <= some[:, 3])
        ).any(axis=1)
    return rows[inside]
