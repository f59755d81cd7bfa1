"""All that is known of several units together, and its rows: one of fleets, one of neighbours, one a shared journey, one a route with holes.

Law: what did not change is the same object, so that only what changed is written. `read(rows(known)) == known`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from collector.detect import Gap, Sample, Signal, signal_in, signal_out
from collector.detect.cross import convoy, coverage, fleet, neighbours
from wire import MisuseError, Refused
from wire.canon import decode, encode

ROW_VERSION = 1
ROW_BYTES_MAX = 65_536  # what `wire.canon` reads at most
FLEETS, NEAR, CONVOY, COVERAGE = "fleets", "near", "convoy/", "coverage/"

Word = Signal | Sample | Gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    fleets: fleet.State = field(default_factory=fleet.State)
    near: tuple[Signal, ...] = ()
    convoys: Mapping[str, convoy.State] = field(default_factory=dict)  # by journey
    holes: Mapping[str, coverage.State] = field(default_factory=dict)  # by route


NOTHING = Known()


def hear(known: Known, words: Iterable[Word]) -> Known:
    """What the units of a tick have to tell one another."""
    signals: list[Signal] = []
    samples: dict[str, list[Sample]] = {}
    gaps: list[Gap] = []
    for word in words:
        match word:
            case Signal():
                signals.append(word)
            case Sample():
                samples.setdefault(word.journey, []).append(word)
            case Gap():
                gaps.append(word)
    if signals:
        known = replace(
            known,
            fleets=fleet.hear(known.fleets, signals),
            near=neighbours.hear(known.near, signals),
        )
    if samples:
        heard = {
            journey: convoy.hear(known.convoys.get(journey, convoy.State()), some)
            for journey, some in samples.items()
        }
        known = replace(known, convoys={**known.convoys, **heard})
    if gaps:
        holes = dict(known.holes)
        for gap in gaps:
            holes[gap.route] = coverage.hear(holes.get(gap.route), gap)
        known = replace(known, holes=holes)
    return known


def changed(before: Known, after: Known) -> dict[str, bytes | None]:
    """The rows that are to be written: their bytes, None where one goes."""
    if before is after:
        return {}
    here, there = _parts(before), _parts(after)
    rows: dict[str, bytes | None] = {
        key: _row(part)
        for key, part in there.items()
        if here.get(key) is not part and here.get(key) != part
    }
    rows.update({key: None for key in here if key not in there})
    return rows


def read(rows: Mapping[str, bytes]) -> Known:
    """What `changed` wrote. MisuseError, LookupError, TypeError, ValueError or AssertionError for what it did not."""
    known = NOTHING
    convoys: dict[str, convoy.State] = {}
    holes: dict[str, coverage.State] = {}
    for key, blob in rows.items():
        value = decode(blob)
        if isinstance(value, Refused) or not isinstance(value, list) or value[0] != ROW_VERSION:
            raise MisuseError("these bytes are nothing that several units have told")
        packed: Any = value[1]
        if key == FLEETS:
            known = replace(known, fleets=fleet.unpack(packed))
        elif key == NEAR:
            known = replace(known, near=tuple(signal_in(signal) for signal in packed))
        elif key.startswith(CONVOY):
            convoys[key.removeprefix(CONVOY)] = convoy.unpack(packed)
        elif key.startswith(COVERAGE):
            holes[key.removeprefix(COVERAGE)] = coverage.unpack(packed)
        else:
            raise MisuseError(f"nothing is known of {key!r}")
    return replace(known, convoys=convoys, holes=holes)


Part = fleet.State | tuple[Signal, ...] | convoy.State | coverage.State


def _parts(known: Known) -> dict[str, Part]:
    """What has a row."""
    parts: dict[str, Part] = {}
    if known.fleets != NOTHING.fleets:
        parts[FLEETS] = known.fleets
    if known.near:
        parts[NEAR] = known.near
    parts.update({f"{CONVOY}{journey}": state for journey, state in known.convoys.items()})
    parts.update({f"{COVERAGE}{route}": state for route, state in known.holes.items()})
    return parts


def _row(part: Part) -> bytes:
    packed: object
    match part:
        case fleet.State():
            packed = fleet.pack(part)
        case convoy.State():
            packed = convoy.pack(part)
        case coverage.State():
            packed = coverage.pack(part)
        case _:
            packed = tuple(signal_out(signal) for signal in part)
    blob = encode((ROW_VERSION, packed))  # type: ignore[arg-type]  # tuples of plain values all the way down: encode checks it
    assert len(blob) <= ROW_BYTES_MAX, "what several units have told outgrew its row"
    return blob
