"""What a unit must not forget of its orders: in the outbox's memory, changed with the record about it (EDGE section 6).

Law: a cell that is not exactly what was written is a lost memory, and a lost memory is a closed door.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from types import MappingProxyType

from wire import Refused
from wire.canon import Value, decode, encode

ARMED_MAX = 32  # seals that may be armed at once; a truck with sub-locks has a dozen
CHECK_BYTES = 8  # SQLite reads one damaged file in four without an error (EDGE section 4)
COUNTER, LAST, ACTING, ARMED, DOOR = "counter", "order", "acting", "armed", "door"
NAMES = (COUNTER, LAST, ACTING, ARMED)
CLOSED = b"\x01"  # what stands behind the door's name while it is closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """An order that was committed and whose end is not known yet."""

    order_id: bytes
    kind: int
    counter: int
    seal_id: str
    movement: str
    began_utc_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Last:
    """The last order that ended: said again it is no news."""

    order_id: bytes
    counter: int
    result: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """All that is remembered."""

    counter: int = 0  # of the last order of kinds 1 to 3 that was judged beyond Replayed
    last: Last | None = None
    acting: Acting | None = None
    armed: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # seal: movement
    damaged: bool = False  # something of it could not be read


def cells_of(book: Book, before: Book) -> dict[str, bytes | None]:
    """The cells in which `book` differs from `before`; all of them where `before` was damaged."""
    cells: dict[str, bytes | None] = {}
    if book.counter != before.counter or before.damaged:
        cells[COUNTER] = _cell(COUNTER, (book.counter,))
    if book.last != before.last or before.damaged:
        last = book.last
        cells[LAST] = (
            None if last is None else _cell(LAST, (last.order_id, last.counter, last.result))
        )
    if book.acting != before.acting or before.damaged:
        cells[ACTING] = None if book.acting is None else _cell(ACTING, _acting_values(book.acting))
    if book.armed != before.armed or before.damaged:
        cells[ARMED] = _cell(ARMED, tuple(sorted(book.armed.items())))
    return cells


def read_book(memory: Callable[[str], bytes | None]) -> Book:
    """What the cells say. What is damaged is as if it had never been, and `damaged` says so."""
    cells = {name: memory(name) for name in NAMES}
    values = {
        name: _value(name, cell) if cell is not None else None for name, cell in cells.items()
    }
    counter = _counter(values[COUNTER])
    last = _last(values[LAST])
    acting = _acting(values[ACTING])
    armed = _armed(values[ARMED])
    found = {COUNTER: counter, LAST: last, ACTING: acting, ARMED: armed}
    highest = max((one.counter for one in (last, acting) if one is not None), default=0)
    unread = any(cells[name] is not None and found[name] is None for name in NAMES)
    return Book(
        counter=max(counter or 0, highest),
        last=last,
        acting=acting,
        armed=MappingProxyType(armed or {}),
        damaged=unread or highest > (counter or 0),
    )


def _cell(name: str, values: tuple[object, ...]) -> bytes:
    data = encode(values)  # type: ignore[arg-type]  # numbers, texts, bytes and pairs of them
    return _check(name, data) + data


def _value(name: str, cell: bytes) -> Value | Refused | None:
    data = cell[CHECK_BYTES:]
    return decode(data) if cell[:CHECK_BYTES] == _check(name, data) else None


def _check(name: str, data: bytes) -> bytes:
    return blake2b(name.encode() + b"\x00" + data, digest_size=CHECK_BYTES).digest()


def _acting_values(acting: Acting) -> tuple[object, ...]:
    return (
        acting.order_id,
        acting.kind,
        acting.counter,
        acting.seal_id,
        acting.movement,
        acting.began_utc_ms,
    )


def _counter(value: object) -> int | None:
    match value:
        case [int(counter)]:
            return counter
        case _:
            return None


def _last(value: object) -> Last | None:
    match value:
        case [bytes(order_id), int(counter), int(result)]:
            return Last(order_id=order_id, counter=counter, result=result)
        case _:
            return None


def _acting(value: object) -> Acting | None:
    match value:
        case [bytes(order_id), int(kind), int(counter), str(seal_id), str(movement), int(began)]:
            return Acting(
                order_id=order_id,
                kind=kind,
                counter=counter,
                seal_id=seal_id,
                movement=movement,
                began_utc_ms=began,
            )
        case _:
            return None


def _armed(value: object) -> dict[str, str] | None:
    if not isinstance(value, list):
        return None
    armed: dict[str, str] = {}
    for pair in value:
        match pair:
            case [str(seal_id), str(movement)]:
                armed[seal_id] = movement
            case _:
                return None
    return armed
