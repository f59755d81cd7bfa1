"""What ingest itself finds: LOG_INTEGRITY, DEVICE_FAULT of a flood, and records (WIRE section 9, DETECTION section 2).

Law: an id follows from unit, chain, first record and name, so whoever says it says it once.
"""

from hashlib import sha256

from collector.detect import PRIORITIES, Finding, Level, Phase, finding_key
from collector.ingest import Arrival, Oddity
from collector.ingest.pace import GapWatch
from wire import Reason

LOG_INTEGRITY = "LOG_INTEGRITY"
DEVICE_FAULT = "DEVICE_FAULT"
LATE_TAIL = "LATE_TAIL"  # a record: the last words of a chain came after its successor
GAP = "gap"
UNDECIDABLE = "undecidable"  # DETECTION section 10
LATE_MS = 120_000  # DETECTION section 2, `late_s`


def of_batch(unit: str, arrival: Arrival, oddity: Oddity, received_ms: int) -> Finding:
    """A fork, a break, a roll-back or a late tail, told by a batch."""
    return _finding(
        unit=unit,
        chain=arrival.chain_id,
        seq=arrival.first_seq,
        code=LATE_TAIL if oddity is Oddity.LATE_TAIL else LOG_INTEGRITY,
        subject=oddity.value,
        at_ms=arrival.sealed_ms or received_ms,
        received_ms=received_ms,
        data={"batch_no": arrival.batch_no},
    )


def of_reject(unit: str, arrival: Arrival, reason: Reason, received_ms: int) -> Finding:
    """A batch that keeps its link while its records are not used."""
    return _finding(
        unit=unit,
        chain=arrival.chain_id,
        seq=arrival.first_seq,
        code=LOG_INTEGRITY,
        subject=reason.value,
        at_ms=arrival.sealed_ms or received_ms,
        received_ms=received_ms,
        data={"batch_no": arrival.batch_no},
    )


def of_hello(
    unit: str, chain_id: bytes, seq: int, oddity: Oddity, at_ms: int, received_ms: int
) -> Finding:
    """The same, told by a hello: its last record stands for the batch."""
    return _finding(
        unit=unit,
        chain=chain_id,
        seq=seq,
        code=LOG_INTEGRITY,
        subject=oddity.value,
        at_ms=at_ms or received_ms,
        received_ms=received_ms,
        data={"by": "hello"},
    )


def of_gap(unit: str, gap: GapWatch, received_ms: int, *, is_over: bool) -> Finding:
    """A gap that stood for 15 minutes of online time; its end when it closes."""
    return _finding(
        unit=unit,
        chain=gap.chain_id,
        seq=gap.first_seq,
        code=LOG_INTEGRITY,
        subject=GAP,
        at_ms=gap.since_ms,
        received_ms=received_ms,
        phase=Phase.END if is_over else Phase.BEGIN,
        n=int(is_over),
        data={"first_batch": gap.first_no, "last_batch": gap.last_no},
    )


def flood_id(unit: str) -> bytes:
    """The id of a unit's floods: one for all of them, `n` counts."""
    return sha256(finding_key(unit, None, 0, DEVICE_FAULT, Reason.THROTTLED.value)).digest()[:16]


def of_flood(unit: str, n: int, at_ms: int, *, is_over: bool) -> Finding:
    """A unit that says more than it may."""
    return _finding(
        unit=unit,
        chain=None,
        seq=None,
        code=DEVICE_FAULT,
        subject=Reason.THROTTLED.value,
        at_ms=at_ms,
        received_ms=at_ms,
        phase=Phase.END if is_over else Phase.BEGIN,
        n=n,
        data={},
    )


def of_undecidable(unit: str, chain_id: bytes, first_seq: int, received_ms: int) -> Finding:
    """A batch that a detector could not step: set aside, shown, never lost."""
    return _finding(
        unit=unit,
        chain=chain_id,
        seq=first_seq,
        code=DEVICE_FAULT,
        subject=UNDECIDABLE,
        at_ms=received_ms,
        received_ms=received_ms,
        data={},
    )


def of_lost_state(unit: str, now_ms: int) -> Finding:
    """What the detectors knew of a unit cannot be read: they begin anew."""
    return _finding(
        unit=unit,
        chain=None,
        seq=None,
        code=DEVICE_FAULT,
        subject=UNDECIDABLE,
        at_ms=now_ms,
        received_ms=now_ms,
        data={"lost": "state"},
    )


def _finding(
    *,
    unit: str,
    chain: bytes | None,
    seq: int | None,
    code: str,
    subject: str,
    at_ms: int,
    received_ms: int,
    data: dict[str, object],
    phase: Phase = Phase.POINT,
    n: int = 0,
) -> Finding:
    priority = PRIORITIES.get(code)
    return Finding(
        id=sha256(finding_key(unit, chain, seq or 0, code, subject)).digest()[:16],
        n=n,
        code=code,
        level=Level.RECORD if priority is None else Level.ALERT,
        priority=priority,
        phase=phase,
        unit=unit,
        chain=chain,
        seq=seq,
        at_ms=at_ms,
        confirmed_ms=at_ms,
        received_ms=received_ms,
        late=received_ms - at_ms > LATE_MS,
        value=subject,
        data=data,
    )
