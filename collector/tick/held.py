"""A unit as a worker holds it between ticks, and what the tick at hand changes of it.

Law: what is held is what is committed. A tick that fails, or loses the fence, forgets it.
"""

from dataclasses import fields, replace

from collector.detect.engine import FRESH, UnitState
from collector.detect.engine.blob import unpack
from collector.detect.track import COURSE, FLAGS, LAT_E7, LON_E7, SPEED, T_MS, UNKNOWN
from collector.ingest.chains import UnitChains
from collector.ingest.pace import GapWatch
from collector.store import Fence, NowRow, UnitLoad, UnitWrite
from collector.tick.reading import Sheet
from wire import MisuseError

HEARD_MS = 10_000  # how old `heard_ms` may grow when nothing else of a unit changes


class Held:
    """One unit: chains, fence, detector state, and the draft of what is to be written."""

    def __init__(self, load: UnitLoad) -> None:
        self.unit_no = load.unit_no
        self.unit_id = load.unit_id
        self.fence = load.fence
        self.chains = UnitChains(
            chains=load.chains,
            waiting=(arrival for arrival, _, _ in load.waiting),
            confessions=load.confessions,
            holes=load.holes,
        )
        self.came = {  # rx_ms and early_ms of what waits
            (arrival.chain_id, arrival.batch_no): (rx_ms, early_ms)
            for arrival, rx_ms, early_ms in load.waiting
        }
        self.gap = load.gap
        self.blob = load.state
        self.state, self.is_state_lost = _state_of(load.state)
        self.now = load.now
        self.receipted_ms = 0
        self.draft = self._new_draft()
        self._gap_before = load.gap
        self._now_before = load.now
        self._is_touched = False

    def begin_tick(self) -> None:
        """An empty draft."""
        self.chains.let_go()
        self.draft = self._new_draft()
        self._gap_before = self.gap
        self._is_touched = False

    def touch(self) -> None:
        """The tick changes something that the fence must guard."""
        self._is_touched = True

    def hear(self, received_ms: int, owes: int | None = None) -> None:
        """Anything sound came from the unit."""
        if self.now is None:
            self.now = NowRow(heard_ms=received_ms, owes=owes or 0)
        elif received_ms != self.now.heard_ms or owes is not None:
            # Also where our own clock was set back: a unit that was heard in the future would look alive until then
            owes = self.now.owes if owes is None else owes
            self.now = replace(self.now, heard_ms=received_ms, owes=owes)

    def see(self, sheet: Sheet) -> None:
        """The newest place that the unit has told, early copies too: for the map."""
        fixes = sheet.fixes
        if fixes.shape[1] == 0 or self.now is None:
            return
        row: list[int] = fixes[:, -1].tolist()
        if self.now.t_ms is not None and row[T_MS] <= self.now.t_ms:
            return
        self.now = NowRow(
            heard_ms=self.now.heard_ms,
            owes=self.now.owes,
            t_ms=row[T_MS],
            lat_e7=row[LAT_E7],
            lon_e7=row[LON_E7],
            speed_cm_s=None if row[SPEED] == UNKNOWN else row[SPEED],
            course_cdeg=None if row[COURSE] == UNKNOWN else row[COURSE],
            flags=row[FLAGS],
        )

    def keep_state(self, state: UnitState, blob: bytes | None) -> None:
        """The detectors' state after the tick, and its bytes; None if it is the one of before."""
        self.state = state
        if blob is not None and blob != self.blob:
            self.blob = blob
            self.draft.state = blob
            self._is_touched = True

    def written(self) -> UnitWrite | None:
        """The draft, complete; None if the tick changes nothing of the unit."""
        chains, draft = self.chains, self.draft
        if _kept(self.gap) != _kept(self._gap_before):
            draft.gap, draft.gap_changed = self.gap, True
        if chains.holes_changed:
            draft.holes = list(chains.holes)
        if chains.confessions_changed:
            draft.confessions = list(chains.confessions)
        draft.chains = [chains.chains[chain_id] for chain_id in sorted(chains.changed)]
        is_touched = (
            self._is_touched
            or bool(draft.chains)
            or draft.gap_changed
            or chains.holes_changed
            or chains.confessions_changed
        )
        if self._now_differs(is_touched=is_touched):
            draft.now = self._now_before = self.now
            is_touched = True
        if not is_touched:
            return None
        current = chains.current
        self.fence = Fence(
            rev=draft.fence.rev + 1,
            chain_id=b"" if current is None else current.chain_id,
            batch_no=-1 if current is None else current.stored_no,
            head=b"" if current is None or current.stored_head is None else current.stored_head,
        )
        draft.fence_after = self.fence
        return draft

    def _now_differs(self, *, is_touched: bool) -> bool:
        now, before = self.now, self._now_before
        if now is None or now is before:
            return False
        if before is None or now.t_ms != before.t_ms or now.owes != before.owes:
            return True
        return is_touched or abs(now.heard_ms - before.heard_ms) >= HEARD_MS

    def _new_draft(self) -> UnitWrite:
        return UnitWrite(
            unit_no=self.unit_no, unit_id=self.unit_id, fence=self.fence, fence_after=self.fence
        )


def _state_of(blob: bytes | None) -> tuple[UnitState, bool]:
    """The state in `blob`, and True if it cannot be read: then the unit begins anew, and shows it."""
    if blob is None:
        return FRESH, False
    try:
        return unpack(blob), False
    except (MisuseError, AssertionError, LookupError, TypeError, ValueError):
        return FRESH, True


def _kept(gap: GapWatch | None) -> tuple[object, ...] | None:
    """What the store keeps of a gap."""
    if gap is None:
        return None
    return tuple(getattr(gap, name) for name in _GAP)


_GAP = tuple(
    field.name for field in fields(GapWatch) if field.name not in {"asked_ms", "is_promised"}
)
