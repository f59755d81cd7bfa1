"""How often a unit is heard, answered and asked (WIRE sections 8 and 9). Time comes in, deadlines go out.

Law: a flood of one unit costs the others nothing, and a gap is asked for until it closes.
"""

from dataclasses import dataclass, replace

from collector.ingest import Missing

MESSAGES_S_MAX = 50  # WIRE section 8, Throttled; a unit itself sends 40 (EDGE section 8)
BURST_MAX = 2_000  # a backlog of 33 hours at one a minute
RECEIPT_AGAIN_MS = 1_000  # WIRE section 9, Duplicate
RESEND_FIRST_MS = 2_000
RESEND_AGAIN_MS = 60_000
MINUTE_MS = 60_000
GAP_MINUTES = 15  # of online time: minutes in which the unit was heard

_TOKEN = 1_000  # thousandths, so that milliseconds refill whole numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """What a unit may still say. Starts full."""

    tokens: int = BURST_MAX * _TOKEN
    at_ms: int = 0


def draw(
    bucket: Bucket, now_ms: int, *, messages_s: int = MESSAGES_S_MAX, burst: int = BURST_MAX
) -> Bucket | None:
    """The bucket after one message, or None: Throttled. A clock that steps back refills nothing; from there on it does."""
    gained = max(0, now_ms - bucket.at_ms) * messages_s
    tokens = min(burst * _TOKEN, bucket.tokens + gained)
    if tokens < _TOKEN:
        return None
    return Bucket(tokens=tokens - _TOKEN, at_ms=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class GapWatch:
    """One gap of a unit, from its first sight until it closes."""

    chain_id: bytes
    first_no: int
    last_no: int
    first_seq: int
    since_ms: int
    is_urged: bool
    is_promised: bool = False
    asked_ms: int | None = None
    minutes: int = 0  # in which the unit was heard since
    minute: int = -1  # the last one counted
    is_alerted: bool = False


def watch_gap(before: GapWatch | None, missing: Missing | None, heard_ms: int) -> GapWatch | None:
    """The watch after a message of the unit at `heard_ms`. A gap whose lower end moves is being filled: it counts anew."""
    if missing is None:
        return None
    is_same = before is not None and (before.chain_id, before.first_no) == (
        missing.chain_id,
        missing.first_no,
    )
    if not is_same or before is None:
        return GapWatch(
            chain_id=missing.chain_id,
            first_no=missing.first_no,
            last_no=missing.last_no,
            first_seq=missing.first_seq,
            since_ms=heard_ms,
            is_urged=missing.is_urged,
            is_promised=missing.is_promised,
            minute=heard_ms // MINUTE_MS,
        )
    minute = heard_ms // MINUTE_MS
    since_ms = before.since_ms
    if missing.is_urged and not before.is_urged:
        since_ms = heard_ms  # until now only early copies spoke of it: the others were on their way
    return replace(
        before,
        last_no=missing.last_no,
        is_urged=missing.is_urged,
        is_promised=missing.is_promised,
        since_ms=since_ms,
        minutes=before.minutes + (minute != before.minute),  # also behind a clock that was set back
        minute=minute,
    )


def resend_due_ms(gap: GapWatch) -> int | None:
    """When the next `resend_from` is due: 2 s after the gap was seen, then every 60 s. None: not to be asked for.

    What only a hello has promised may be on its way over a slow link: it is asked for when nothing has moved for 60 s.
    """
    if not gap.is_urged:
        return None
    if gap.asked_ms is None:
        return gap.since_ms + (RESEND_AGAIN_MS if gap.is_promised else RESEND_FIRST_MS)
    return gap.asked_ms + RESEND_AGAIN_MS


def alert_is_due(gap: GapWatch) -> bool:
    """True once, when the gap has stood for 15 minutes of online time."""
    return gap.minutes >= GAP_MINUTES and not gap.is_alerted
