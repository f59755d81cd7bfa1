"""The store as its users hold it: one writer, readers beside it (SCALE section 5).

Law: a write is a whole transaction; readers never wait for it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import msgpack
from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from collector.enrol.judging import LOW_ORDER
from collector.ingest import Chain
from collector.store import (
    JourneyRow,
    RulesRow,
    StoreError,
    TickWrite,
    UnitLoad,
    fences,
    loads,
    names,
    schema,
)
from collector.store.commit import Committed, delete_parked, write_tick
from collector.store.dialect import is_memory, migrate, open_engine, version_of
from collector.store.feed import next_feed, touch_unit
from collector.store.fences import Changed
from wire.envelope import Key, kid_of
from wire.topics import is_unit_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A unit that was enrolled; `number` is its short name in tables and hand-over codes."""

    number: int
    kid: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAdded:
    """Why a unit was not enrolled, and what would be right."""

    code: str  # bad_unit_id, bad_key, weak_key, unit_taken, kid_taken
    hint: str


def _no_kill(_point: str) -> None:
    """Nothing happens between two statements, but in the tests that make it happen."""


class Store:
    """One database. Open it with `Store.open`, close it at the end."""

    def __init__(self, url: str, at: Callable[[str], None]) -> None:
        self._at = at
        self._writer = open_engine(url, is_writer=True)
        self._readers = self._writer if is_memory(url) else open_engine(url, is_writer=False)
        self._lock = asyncio.Lock()
        self._hearers: list[Callable[[], object]] = []

    @classmethod
    async def open(cls, url: str, *, at: Callable[[str], None] = _no_kill) -> Self:
        """The store at `sqlite:///path.db`, its tables brought to this program's state.

        `at` is called between the statements of a tick with the name of the point: tests cut the power there.
        """
        store = cls(url, at)
        try:
            async with store.write() as connection:
                await connection.run_sync(migrate)
        except DBAPIError as error:
            await store.close()
            raise StoreError(
                f"{url}: {error.orig}: is the directory there and writable?"
            ) from error
        return store

    async def close(self) -> None:
        """Let go of all connections."""
        await self._writer.dispose()
        if self._readers is not self._writer:
            await self._readers.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def readers(self) -> AsyncEngine:
        """For queries of people; never for writes."""
        return self._readers

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction of the only writer of this process; committed at the end, rolled back by any exception."""
        async with self._lock, self._writer.begin() as connection:
            yield connection
            self._at("commit")
        for hear in self._hearers:
            hear()

    def on_commit(self, hear: Callable[[], object]) -> None:
        """`hear` is called after each commit of this process, at once; it must be quick and never fail."""
        self._hearers.append(hear)

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[Callable[[], Awaitable[int]]]:
        """A question whose answer changes with every commit of any process; it costs next to nothing."""
        if self._readers is self._writer:  # memory: nobody else writes, and `on_commit` tells of us

            async def never() -> int:
                return 0

            yield never
            return
        async with self._readers.connect() as connection:
            raw = await connection.get_raw_connection()
            yield lambda: version_of(raw.driver_connection)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees what is committed."""
        if self._readers is not self._writer:
            async with self._readers.connect() as connection:
                yield connection
            return
        async with self._lock, self._writer.connect() as connection:  # memory has one connection
            yield connection

    # the tick

    async def keys(self) -> dict[bytes, Key]:
        """All evidence keys by kid."""
        async with self.read() as connection:
            return await loads.read_keys(connection)

    async def revoked_keys(self) -> int:
        """How many keys are out of force: another number, and the keys are to be read anew."""
        revoked = schema.unit_key.c.revoked_ms.is_not(None)
        async with self.read() as connection:
            found = await connection.execute(select(func.count()).where(revoked))
            return int(found.scalar_one())

    async def load_units(self, unit_ids: Sequence[str]) -> dict[str, UnitLoad]:
        """What decides about these units' next messages; units that are not enrolled are left out."""
        async with self.read() as connection:
            return await loads.read_units(connection, unit_ids)

    async def chains(self, wanted: Iterable[tuple[int, bytes]]) -> dict[int, list[Chain]]:
        """Chains by (unit_no, chain_id) with those that followed them; by unit."""
        async with self.read() as connection:
            return await loads.read_chains(connection, wanted)

    async def cross_rows(self) -> dict[str, tuple[int, bytes]]:
        """What several units have told together: revision and bytes by key."""
        async with self.read() as connection:
            rows = await connection.execute(select(schema.cross_state))
            return {row.key: (row.rev, row.blob) for row in rows}

    async def heard_units(self, most: int) -> list[str]:
        """Units that were ever heard, the newest first, at most so many."""
        unit, now = schema.unit.c, schema.unit_now.c
        wanted = (
            select(unit.unit_id)
            .join(schema.unit_now, now.unit_no == unit.number)
            .order_by(now.heard_ms.desc(), unit.unit_id)
            .limit(most)
        )
        async with self.read() as connection:
            return [str(row.unit_id) for row in await connection.execute(wanted)]

    async def heads(
        self, places: Sequence[tuple[int, int, int]]
    ) -> dict[tuple[int, int, int], bytes]:
        """Heads of stored batches by (unit_no, ordinal, batch_no)."""
        if not places:
            return {}
        async with self.read() as connection:
            return await loads.read_heads(connection, places)

    async def parked(self, places: Sequence[loads.Place]) -> dict[loads.Place, bytes]:
        """Envelopes of parked batches."""
        if not places:
            return {}
        async with self.read() as connection:
            return await loads.read_parked(connection, places)

    async def unpark(self, places: Sequence[loads.Place]) -> None:
        """Let go of parked batches that cannot be read: none of them has a receipt, so their unit has them still."""
        async with self.write() as connection:
            await delete_parked(connection, places)

    async def newest_n(self, finding_id: bytes) -> int:
        """The highest `n` of a finding that is stored, -1 if none is."""
        finding = schema.finding.c
        async with self.read() as connection:
            newest = await connection.execute(
                select(func.max(finding.n)).where(finding.id == finding_id)
            )
            return int(found) if (found := newest.scalar_one()) is not None else -1

    async def commit(self, tick: TickWrite) -> Committed:
        """Write a tick in one transaction."""
        async with self.write() as connection:
            return await write_tick(connection, tick, self._at)

    # what people and other programs add

    async def add_unit(self, unit_id: str, public_key: bytes, *, now_ms: int) -> Added | NotAdded:
        """Enrol a unit with its evidence key; says why not, and changes nothing then."""
        fault = _key_fault(unit_id, public_key)
        if fault is not None:
            return fault
        kid = kid_of(public_key)
        async with self.write() as connection:
            if await _exists(connection, schema.unit_key.c.kid == kid):
                return NotAdded(
                    code="kid_taken",
                    hint="this key is enrolled already: every unit has a key of its own",
                )
            if await _exists(connection, schema.unit.c.unit_id == unit_id):
                return NotAdded(
                    code="unit_taken",
                    hint=f"{unit_id} is enrolled; a name is never given to another unit",
                )
            number = await insert_unit(connection, unit_id, now_ms)
            await connection.execute(
                schema.unit_key.insert().values(
                    kid=kid, unit_no=number, public_key=public_key, added_ms=now_ms
                )
            )
        return Added(number=number, kid=kid)

    async def revoke(self, kid: bytes, *, now_ms: int) -> bool:
        """From now on what this key signs is RevokedKey; False if there is no such key in force."""
        key = schema.unit_key
        async with self.write() as connection:
            result = await connection.execute(
                update(key)
                .where(key.c.kid == kid, key.c.revoked_ms.is_(None))
                .values(revoked_ms=now_ms)
                .returning(key.c.unit_no)
            )
            number = result.scalar_one_or_none()
            if number is not None:
                await touch_unit(connection, number)
            return number is not None

    async def import_rules(
        self,
        *,
        zones: str,
        routes: str,
        thresholds: str,
        now_ms: int,
        by: str = "",
        changed: Sequence[Changed] = (),
    ) -> int:
        """A new version of the rules by the machine's own way, valid from now on; its number.

        The caller has read and checked the texts, and says what in them is another than before.
        """
        async with self.write() as connection:
            version = await fences.add_version(
                connection,
                RulesRow(
                    version=await fences.newest_version(connection) + 1,
                    valid_from_ms=now_ms,
                    zones=zones,
                    routes=routes,
                    thresholds=thresholds,
                    made_by=by,
                ),
                changed,
            )
            await fences.note_import(connection, version, by, now_ms, changed)
        return version

    async def rules(self, *, above: int = 0) -> tuple[RulesRow, ...]:
        """The versions above `above`, rising."""
        rules = schema.rules_version
        statement = select(rules).where(rules.c.version > above).order_by(rules.c.version)
        async with self.read() as connection:
            return tuple(
                RulesRow(**row._mapping)  # noqa: SLF001 - the public name of a row as a mapping
                for row in await connection.execute(statement)
            )

    async def add_journey(self, journey: JourneyRow) -> bool:
        """What a unit is on from `since_ms` on; False if there is no such unit."""
        return await self.add_journeys([journey]) == 0

    async def add_journeys(self, journeys: Sequence[JourneyRow]) -> int:
        """All of them in one transaction; else none, and which one, from 1 on, is of a unit that is not enrolled."""
        async with self.write() as connection:
            numbers = [await number_of(connection, journey.unit_id) for journey in journeys]
            if None in numbers:
                return numbers.index(None) + 1
            for number, journey in zip(numbers, journeys, strict=True):
                assert number is not None
                await _insert_journey(connection, number, journey)
                await touch_unit(connection, number)
        return 0

    async def set_plate(self, unit_id: str, plate: str, *, now_ms: int) -> bool:
        """Into which vehicle a unit is built; empty: none. False if there is no such unit."""
        async with self.write() as connection:
            number = await number_of(connection, unit_id)
            if number is None:
                return False
            await names.put_plate(connection, number, plate, now_ms)
            await touch_unit(connection, number)
        return True

    async def number_of(self, unit_id: str) -> int | None:
        """A unit's number; None if it is not enrolled."""
        async with self.read() as connection:
            return await number_of(connection, unit_id)

    async def journeys(self) -> tuple[JourneyRow, ...]:
        """All journeys, by unit and time."""
        journey, unit = schema.journey, schema.unit
        statement = (
            select(journey, unit.c.unit_id)
            .join(unit, unit.c.number == journey.c.unit_no)
            .order_by(unit.c.unit_id, journey.c.since_ms, journey.c.number)
        )
        async with self.read() as connection:
            return tuple(_journey(row) for row in await connection.execute(statement))


async def _insert_journey(connection: AsyncConnection, number: int, journey: JourneyRow) -> None:
    written = await connection.execute(
        schema.journey.insert()
        .values(
            id=journey.id,
            unit_no=number,
            since_ms=journey.since_ms,
            state=journey.state,
            sealed=journey.sealed,
            seals=msgpack.packb(journey.seals),
            tags=msgpack.packb(journey.tags),
            route=journey.route,
            limit_ms=journey.limit_ms,
            tractor=journey.tractor,
            trailer=journey.trailer,
            containers=msgpack.packb(journey.containers),
        )
        .returning(schema.journey.c.number)
    )
    await names.put_journey(connection, number, int(written.scalar_one()), journey)


async def insert_unit(connection: AsyncConnection, unit_id: str, now_ms: int) -> int:
    """A unit without a key; its number."""
    try:
        result = await connection.execute(
            schema.unit.insert()
            .values(unit_id=unit_id, enrolled_ms=now_ms, feed=await next_feed(connection))
            .returning(schema.unit.c.number)
        )
    except IntegrityError as error:
        raise StoreError(f"{unit_id} was enrolled by somebody else just now") from error
    number = int(result.scalar_one())
    await connection.execute(
        schema.unit_head.insert().values(unit_no=number, rev=0, chain_id=b"", batch_no=-1, head=b"")
    )
    await names.put_unit(connection, number, unit_id, now_ms)
    return number


def _key_fault(unit_id: str, public_key: bytes) -> NotAdded | None:
    if not is_unit_id(unit_id):
        return NotAdded(
            code="bad_unit_id",
            hint="3 to 32 of a-z, 0-9 and -, with a letter or digit at both ends",
        )
    if len(public_key) != 32:
        return NotAdded(code="bad_key", hint=f"32 bytes of Ed25519, is {len(public_key)}")
    if public_key in LOW_ORDER:
        return NotAdded(
            code="weak_key", hint="a point of small order proves nothing: make a new key"
        )
    return None


async def _exists(connection: AsyncConnection, condition: Any) -> bool:  # noqa: ANN401 - a column expression of any table
    found = await connection.execute(select(func.count()).where(condition))
    return int(found.scalar_one()) > 0


async def number_of(connection: AsyncConnection, unit_id: str) -> int | None:
    found = await connection.execute(
        select(schema.unit.c.number).where(schema.unit.c.unit_id == unit_id)
    )
    return found.scalar_one_or_none()


def _journey(row: Any) -> JourneyRow:  # noqa: ANN401 - a row of a join
    return JourneyRow(
        id=row.id,
        unit_id=row.unit_id,
        since_ms=row.since_ms,
        state=row.state,
        sealed=row.sealed,
        seals=tuple(msgpack.unpackb(row.seals)),
        tags=tuple(msgpack.unpackb(row.tags)),
        route=row.route,
        limit_ms=row.limit_ms,
        tractor=row.tractor,
        trailer=row.trailer,
        containers=() if row.containers is None else tuple(msgpack.unpackb(row.containers)),
    )
