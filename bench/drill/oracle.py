"""What must hold after the faults have ended (EDGE section 12): every obligation met, nothing invented, nothing twice.

Law: pure over what the files say; no program is asked.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.accounts import Accounts, Found, Held, body_of
from bench.drill.issuer import Ledger, place_at
from wire.records import EventKind, SealBit

FRAME_AT = {EventKind.SEAL: 9, EventKind.ACCESS: 9}  # index of `frame` in the data (WIRE section 6)
PLACE_E7_MAX = 40  # half a step of grain 1 (5), a hundred-thousandth of a minute (2), and the float of the issuer


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What one unit's hardware said and was promised."""

    unit: str
    unit_no: int
    ledger: Ledger


@dataclass(slots=True, kw_only=True)
class Judgement:
    """The verdict on a drill; sound if everything that should be 0 is 0."""

    owed: int = 0
    lost: int = 0
    twice: int = 0
    invented: int = 0
    wrong_places: int = 0
    fixes: int = 0
    false_gaps: int = 0
    forks: int = 0
    other_integrity: int = 0
    rolled_back: int = 0  # units that were found to have forgotten
    cards: int = 0  # that were made to show an older state of themselves
    chain_breaks: int = 0  # chains that name none before them
    lost_heads: int = 0  # stores that were lost with what they held last: so many chains may
    alerts_expected: int = 0
    alerts_raised: int = 0
    alerts_doubled: int = 0
    alerts_withdrawn: int = (
        0  # raised ahead of the chain, which then knew better: they say so on screen
    )
    faults: list[str] = field(default_factory=list)

    def is_sound(self, accounts: Accounts) -> bool:
        """True if every obligation is met."""
        wrong = (
            self.lost,
            self.twice,
            self.invented,
            self.wrong_places,
            self.false_gaps,
            self.forks,
            self.other_integrity,
            max(0, self.rolled_back - self.cards),
            max(0, self.chain_breaks - self.lost_heads),
            self.alerts_doubled,
            accounts.lost,
            accounts.twice,
            accounts.differing,
            accounts.holes,
        )
        return not any(wrong) and self.alerts_expected == self.alerts_raised


def judge(
    truths: Sequence[Truth],
    stored: Sequence[Held],
    findings: Sequence[Found],
    *,
    cards: int = 0,
    lost_heads: int = 0,
) -> Judgement:
    """Hold the store against what the hardware knows. `cards`: how many showed an older state: so many units may be found out.

    `lost_heads`: of so many stores nobody could know where they stood (EDGE section 12: no ChainBreak but after a lost store).
    """
    judgement = Judgement(cards=cards, lost_heads=lost_heads)
    frames: dict[str, Counter[bytes]] = {truth.unit: Counter() for truth in truths}
    of_unit = {truth.unit: truth for truth in truths}
    cuts: dict[str, set[bytes]] = {truth.unit: set() for truth in truths}
    for batch in stored:
        body = body_of(batch.envelope)
        for event in body.events:
            frame = _frame_of(event.kind, event.data)
            if frame is None:
                continue
            frames[batch.unit][frame] += 1
            if event.kind == EventKind.SEAL and _is_cut(event.data):
                cuts[batch.unit].add(frame)
        for t_ms, lat_e7, lon_e7 in zip(
            body.fixes.t_ms, body.fixes.lat_e7, body.fixes.lon_e7, strict=True
        ):
            judgement.fixes += 1
            truth = of_unit[batch.unit]
            lat, lon = place_at(t_ms // 1_000, truth.unit_no, truth.ledger.stood)
            if abs(lat * 1e7 - lat_e7) > PLACE_E7_MAX or abs(lon * 1e7 - lon_e7) > PLACE_E7_MAX:
                judgement.wrong_places += 1
                judgement.faults.append(
                    f"{batch.unit}: at {t_ms} the receiver was not at {lat_e7}, {lon_e7}"
                )
    for truth in truths:
        _judge_frames(truth, frames[truth.unit], judgement)
    judgement.alerts_expected = sum(len(frames_of_unit) for frames_of_unit in cuts.values())
    _judge_findings(findings, judgement)
    return judgement


def _judge_frames(truth: Truth, stored: Counter[bytes], judgement: Judgement) -> None:
    judgement.owed += len(truth.ledger.owed)
    for frame in truth.ledger.owed:
        if not stored[frame]:
            judgement.lost += 1
            number = truth.ledger.issued[frame]
            judgement.faults.append(
                f"{truth.unit}: record {number} was acknowledged and is not stored"
            )
    for frame, times in stored.items():
        if frame not in truth.ledger.issued:
            judgement.invented += 1
            judgement.faults.append(f"{truth.unit}: a frame that was never said: {frame[:40]!r}")
        elif times > 1:
            judgement.twice += times - 1
            number = truth.ledger.issued[frame]
            judgement.faults.append(f"{truth.unit}: record {number} is stored {times} times")


def _judge_findings(findings: Sequence[Found], judgement: Judgement) -> None:
    begun: Counter[bytes] = Counter()
    for finding in findings:
        if finding.code == "LOG_INTEGRITY":
            if finding.value == "gap":
                judgement.false_gaps += 1
            elif finding.value == "Fork":
                judgement.forks += 1
            elif finding.value == "RolledBack":
                judgement.rolled_back += 1
                continue
            elif finding.value == "ChainBreak":
                judgement.chain_breaks += 1
                if judgement.chain_breaks <= judgement.lost_heads:
                    continue
            else:
                judgement.other_integrity += 1
            judgement.faults.append(f"{finding.unit}: LOG_INTEGRITY {finding.value}")
        if finding.code != "SEAL_OPEN_UNAUTHORISED" or finding.phase not in ("begin", "point"):
            continue
        if finding.settled == "withdrawn":
            judgement.alerts_withdrawn += 1
        else:
            begun[finding.id] += 1
    judgement.alerts_raised = len(begun)
    judgement.alerts_doubled = sum(times - 1 for times in begun.values())


def _frame_of(kind: int, data: Sequence[object]) -> bytes | None:
    """The device's own bytes in an event; None where the unit spoke for itself (a silent seal)."""
    at = FRAME_AT.get(EventKind(kind)) if kind in FRAME_AT else None
    frame = data[at] if at is not None and len(data) > at else None
    return frame if isinstance(frame, bytes) and frame else None


def _is_cut(data: Sequence[object]) -> bool:
    true = data[3]
    return isinstance(true, int) and bool(true & SealBit.ROPE_CUT)
