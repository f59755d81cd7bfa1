"""Times as a unit restated them later (EDGE section 7): what is shown, and that it was said otherwise.

Law: the store keeps what was signed and what was judged; only the answer is shifted, and it says so.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, false, or_, select

from collector.detect.restate import CODE
from collector.store import schema, spell
from wire import LIM
from wire.records import FixFlag

STATEMENTS_MAX = 1_024  # of the units of one answer, the newest: a start a day for years
SHIFT_MS_MIN = 2_000  # a unit slews what is less and states nothing

Ask = Callable[[Select[Any]], Awaitable[Sequence[Row[Any]]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """The records of a chain that were told in a time which nobody trusted."""

    number: int  # of the statement, in the order in which findings were stored
    chain: str
    first_seq: int
    last_seq: int
    judged_seq: int  # from here on findings bear the right time already
    shift_ms: int

    def holds(self, chain: str, seq: int) -> bool:
        return chain == self.chain and self.first_seq <= seq <= self.last_seq


async def shifts_of(ask: Ask, units: Iterable[str]) -> dict[str, list[Shift]]:
    """The statements of these units."""
    names = sorted(set(units))
    if not names:
        return {}
    finding = schema.finding.c
    rows = await ask(
        select(finding.number, finding.unit, finding.detail)
        .where(finding.unit.in_(names), finding.code == CODE)
        .order_by(finding.number.desc())
        .limit(STATEMENTS_MAX)
    )
    shifts: dict[str, list[Shift]] = {}
    for row in rows:
        shifts.setdefault(row.unit, []).append(_shift(row.number, spell.read(row.detail)[1]))
    return shifts


def fix_ms(shifts: Sequence[Shift], chain: str, seq: int, t_ms: int, flags: int) -> int:
    """When a fix was there. The receiver's own time needs no statement of the unit."""
    if not flags & FixFlag.UNIT_CLOCK:
        return t_ms
    return next((_moved(t_ms, one) for one in shifts if one.holds(chain, seq)), t_ms)


def finding_ms(
    shifts: Sequence[Shift], *, chain: bytes | None, seq: int | None, number: int | None, at_ms: int
) -> int:
    """When it happened. What was found after the statement, or in its batch, bears the right time already."""
    if chain is None or seq is None or number is None:
        return at_ms
    for one in shifts:
        if one.holds(chain.hex(), seq) and seq < one.judged_seq and number < one.number:
            return _moved(at_ms, one)
    return at_ms


def is_candidate(*, at_ms: int, begun_ms: int) -> bool:
    """Whether a statement could concern it: what came at its own time needs none."""
    return abs(begun_ms - at_ms) > SHIFT_MS_MIN


def batches_at(shifts: Sequence[Shift], begin_ms: int, end_ms: int) -> ColumnElement[bool]:
    """Batches whose fixes lie between the two times once they are restated."""
    batch, chain = schema.batch.c, schema.chain.c
    return or_(
        false(),
        *(
            and_(
                chain.chain_id == bytes.fromhex(one.chain),
                batch.first_seq <= one.last_seq,
                batch.first_seq + batch["count"] > one.first_seq,
                batch.t0_ms <= end_ms - one.shift_ms,
                batch.t1_ms >= begin_ms - one.shift_ms,
            )
            for one in shifts
        ),
    )


def _shift(number: int, data: Mapping[str, object]) -> Shift:
    numbers = {name: data[name] for name in ("first_seq", "last_seq", "judged_seq", "shift_ms")}
    assert all(isinstance(value, int) for value in numbers.values())
    return Shift(number=number, chain=str(data["chain"]), **numbers)  # type: ignore[arg-type]  # see the line above


def _moved(t_ms: int, shift: Shift) -> int:
    return min(max(t_ms + shift.shift_ms, 0), LIM - 1)
