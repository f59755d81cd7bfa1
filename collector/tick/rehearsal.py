"""A draft of shapes over the stored batches that it touches, by the real detectors, beside today's rules (CONSOLE section 2, Dry run).

Law: reads only; both rulebooks are given the same batches, so what differs comes of the draft alone. It ends at its time, and says how
far it came.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, and_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.detect import Finding, Level
from collector.detect.engine import ChainHole, Item, UnitState
from collector.detect.engine.run import run as run_engine
from collector.detect.rules import Rulebook
from collector.detect.track import Batch
from collector.store import orders, schema
from collector.store.database import Store
from collector.store.live import in_scope
from collector.store.orders import Unlock
from collector.tick.detecting import run_items
from collector.tick.ordering import learn, with_orders
from collector.tick.reading import batch_of, sheet_of

PIECE_BATCHES = 128  # between two looks at the clock; some tens of milliseconds
BATCHES_A_LOOK = 256  # three parameters each: below the 999 of the oldest SQLite

Box = tuple[int, int, int, int]  # e7 degrees: least longitude and latitude, most of both


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Which stored batches a draft may concern."""

    since_ms: int
    boxes: tuple[Box, ...] = ()  # of zones, as they are drawn and as they were
    units: frozenset[str] = frozenset()  # of routes: all that they did
    all_units: bool = False  # of thresholds
    scope: str = ""  # of who asks


@dataclass(slots=True, kw_only=True)
class Rehearsed:
    """How far it came, and what was found."""

    units: int = 0  # looked through
    part: float = 0.0  # of the next one
    of_units: int = 0
    batches: int = 0  # given to the detectors
    positions: int = 0
    is_partial: bool = False
    draft: dict[bytes, Finding] = field(default_factory=dict)  # alerts that begin, by id
    today: dict[bytes, Finding] = field(default_factory=dict)

    @property
    def percent(self) -> int:
        return int(100 * (self.units + self.part) / self.of_units) if self.of_units else 100


async def rehearse(
    store: Store,
    draft: Rulebook,
    today: Rulebook,
    area: Area,
    *,
    mono_ms: Callable[[], int],
    until_ms: int,
) -> AsyncGenerator[Rehearsed]:
    """Yields the same value after each piece of work, and at the end."""
    async with store.read() as connection:
        units = await _units(connection, area)
        unlocks = await _unlocks(connection, area.since_ms)
    books = [with_orders(book, unlocks.values()) for book in (draft, today)]
    done = Rehearsed(of_units=len(units))
    for number, name in units:
        async with store.read() as connection:
            places = list(_touching(await _places(connection, number, area), name, area))
        run = _Run(books, done, area.since_ms)
        for begin in range(0, len(places), PIECE_BATCHES):
            if mono_ms() >= until_ms:
                done.is_partial = True
                yield done
                return
            async with store.read() as connection:
                items = await _items(connection, name, places[begin : begin + PIECE_BATCHES])
            run.take(items)
            done.part = min(1.0, (begin + PIECE_BATCHES) / len(places))
            yield done
        done.units, done.part = done.units + 1, 0.0
        if mono_ms() >= until_ms and done.units < done.of_units:
            done.is_partial = True
            break
    yield done


class _Run:
    """One unit under both rulebooks. Rules over several units find nothing here: they need all that happened beside it."""

    def __init__(self, books: Sequence[Rulebook], done: Rehearsed, since_ms: int) -> None:
        self._sides = [
            (book, found) for book, found in zip(books, (done.draft, done.today), strict=True)
        ]
        self._states: list[dict[str, UnitState]] = [{}, {}]
        self._done = done
        self._since_ms = since_ms

    def take(self, items: Sequence[Item]) -> None:
        for states, (book, found) in zip(self._states, self._sides, strict=True):
            detected = run_items(book, run_engine, states, items)
            states.update(detected.states)
            for finding in begun(detected.findings):
                if finding.at_ms >= self._since_ms:
                    found.setdefault(finding.id, finding)
        batches = [item for item in items if isinstance(item, Batch)]
        self._done.batches += len(batches)
        self._done.positions += sum(batch.fixes.shape[1] for batch in batches)


def begun(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The alerts among them that begin."""
    return (one for one in findings if one.level is Level.ALERT and one.n == 0)


async def _units(connection: AsyncConnection, area: Area) -> list[tuple[int, str]]:
    unit = schema.unit.c
    statement = (
        select(unit.number, unit.unit_id)
        .where(in_scope(unit.scope, area.scope))
        .order_by(unit.unit_id)
    )
    found = [(row.number, row.unit_id) for row in await connection.execute(statement)]
    if area.all_units or area.boxes:
        return found
    return [(number, name) for number, name in found if name in area.units]


async def _unlocks(connection: AsyncConnection, since_ms: int) -> dict[bytes, Unlock]:
    known: dict[bytes, Unlock] = {}
    upto = await orders.newest_act(connection)
    given, withdrawn = await orders.unlocks(connection, above=0, upto=upto, since_ms=since_ms)
    learn(known, given, withdrawn)
    return known


async def _places(connection: AsyncConnection, unit_no: int, area: Area) -> list[Row[Any]]:
    """A unit's batches of that time in the order of its chains, without their bytes."""
    batch = schema.batch.c
    found = await connection.execute(
        select(
            *(
                batch.unit_no,
                batch.chain,
                batch.batch_no,
                batch.first_seq,
                batch["count"].label("n"),
            ),
            *(batch.reason, batch.slot, batch.min_lat_e7, batch.max_lat_e7),
            *(batch.min_lon_e7, batch.max_lon_e7),
        )
        .where(
            or_(  # either way by the index; a batch without fixes has no t0
                and_(batch.unit_no == unit_no, batch.t0_ms >= area.since_ms),
                and_(
                    batch.unit_no == unit_no,
                    batch.t0_ms.is_(None),
                    batch.sealed_ms >= area.since_ms,
                ),
            ),
            batch.slot.is_(None),
        )
        .order_by(batch.chain, batch.batch_no)
    )
    return list(found)


def _touching(rows: Sequence[Row[Any]], name: str, area: Area) -> Iterator[Row[Any] | None]:
    """Those on whose way the draft lies, with the next one behind; None where others lie between."""
    if area.all_units or name in area.units:
        yield from rows
        return
    last = -1
    for at in sorted(_near(rows, area.boxes)):
        if last >= 0 and last != at - 1:
            yield None
        last = at
        yield rows[at]


def _near(rows: Sequence[Row[Any]], boxes: Sequence[Box]) -> set[int]:
    """Which rows: a way between two batches counts too, and what lies between them without a place."""
    near: set[int] = set()
    before: int | None = None
    is_behind = False
    for at, row in enumerate(rows):
        if row.min_lat_e7 is None:
            continue
        begin = at if before is None else before
        touches = any(_touches(rows[begin], row, box) for box in boxes)
        if touches or is_behind:
            near.update(range(begin, at + 1))
        before, is_behind = at, touches
    return near


def _touches(one: Row[Any], two: Row[Any], box: Box) -> bool:
    west, south, east, north = box
    return bool(
        min(one.min_lon_e7, two.min_lon_e7) <= east
        and max(one.max_lon_e7, two.max_lon_e7) >= west
        and min(one.min_lat_e7, two.min_lat_e7) <= north
        and max(one.max_lat_e7, two.max_lat_e7) >= south
    )


async def _items(
    connection: AsyncConnection, name: str, places: Sequence[Row[Any] | None]
) -> list[Item]:
    batch = schema.batch.c
    keys = [(row.unit_no, row.chain, row.batch_no) for row in places if row is not None]
    found: dict[tuple[int, int, int], Row[Any]] = {}
    place = tuple_(batch.unit_no, batch.chain, batch.batch_no)
    for begin in range(0, len(keys), BATCHES_A_LOOK):
        wanted = select(batch.unit_no, batch.chain, batch.batch_no, batch.rx_ms, batch.envelope)
        rows = await connection.execute(
            wanted.where(place.in_(keys[begin : begin + BATCHES_A_LOOK]))
        )
        found |= {(row.unit_no, row.chain, row.batch_no): row for row in rows}
    items: list[Item] = []
    chain = b""
    for row in places:
        if row is None:
            items.append(ChainHole(unit=name, chain=chain, first=None, last=None, why="skipped"))
            continue
        stored = found[row.unit_no, row.chain, row.batch_no]
        # early_ms: what an early copy has said is begun by the pass in order here
        taken = batch_of(sheet_of(stored.envelope), received_ms=stored.rx_ms, early_ms=None)
        chain = taken.chain
        if row.reason is None:
            items.append(taken)
            continue
        last = row.first_seq + row.n - 1
        items.append(
            ChainHole(unit=name, chain=chain, first=row.first_seq, last=last, why=row.reason)
        )
    return items
