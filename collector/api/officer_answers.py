"""What the officer's routes ask of the store: whom a number means, how that truck stands, what a unit's code says.

Law: one read transaction an answer, and the verdict is the pure one: nothing here makes a colour.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.customs.ids import Bad, Wanted, wanted
from collector.customs.verdict import Facts, Limits, Verdict, verdict
from collector.notify import Target
from collector.store import names, roadside, schema, witnessed
from collector.store.database import Store
from collector.store.handovers import Weighed, directory, weigh
from collector.store.names import Hit
from collector.store.roadside import Report, Reported
from collector.store.standing import Standing, Subject, standing
from wire import Refused
from wire.handover import Statement, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A verdict and what it rests on."""

    now_ms: int
    verdict: Verdict
    facts: Facts
    subject: Subject | None = None  # None: nothing is known
    checked: tuple[bool, int] | None = None
    wanted: Wanted | None = None
    by_code: bool = False  # the officer came by a unit's code; without a statement it was none
    statement: Statement | None = None
    weighed: Weighed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Many:
    """Several trucks bear the number."""

    wanted: Wanted
    hits: tuple[Hit, ...]


class Answers:
    """Asks the store; `now_ms` is the collector's clock."""

    def __init__(
        self,
        store: Store,
        limits: Limits,
        now_ms: Callable[[], int],
        targets: Sequence[Target] = (),
    ) -> None:
        self._store = store
        self._limits = limits
        self._now_ms = now_ms
        self._targets = targets  # who is told of alerts outside the house

    async def of_text(self, text: str, scope: str) -> Answer | Many | Bad:
        """What is known under a number, however it was written."""
        asked = wanted(text)
        if isinstance(asked, Bad):
            return asked
        now_ms = self._now_ms()
        async with self._store.read() as connection:
            hits = await names.search(connection, asked.key, scope=scope, now_ms=now_ms)
            if len(hits) > 1:
                return Many(wanted=asked, hits=tuple(hits))
            found = await standing(connection, hits[0].unit_no, now_ms) if hits else None
            return replace(await self._answer(connection, found, now_ms), wanted=asked)

    async def of_unit(self, unit_id: str, scope: str) -> Answer:
        """What is known of a unit by its name."""
        now_ms = self._now_ms()
        async with self._store.read() as connection:
            unit_no = await _number_of(connection, unit_id, scope)
            found = None if unit_no is None else await standing(connection, unit_no, now_ms)
            return await self._answer(connection, found, now_ms)

    async def of_code(self, text: str, scope: str) -> Answer:
        """What a unit's hand-over code says. A code that no unit of ours has signed is no answer to anything."""
        now_ms = self._now_ms()
        statement = read(text)
        async with self._store.read() as connection:
            weighed, found = None, None
            if not isinstance(statement, Refused):
                weighed = await weigh(connection, statement)
            if weighed is not None and await _sees(connection, weighed.unit_no, scope):
                found = await standing(connection, weighed.unit_no, now_ms)
            if found is None or weighed is None or isinstance(statement, Refused):
                bare = await self._answer(connection, None, now_ms)
                said = None if isinstance(statement, Refused) else statement
                return replace(bare, by_code=True, statement=said)
            facts = replace(
                found.facts,
                code=weighed.code,
                code_ms=statement.at_s * 1_000,
                code_lacks=weighed.lacks,
            )
            answer = await self._answer(connection, replace(found, facts=facts), now_ms)
            return replace(answer, by_code=True, statement=statement, weighed=weighed)

    async def keys(self, scope: str) -> bytes:
        """Number, name and key of each unit that may hand over a code, as a phone keeps them."""
        async with self._store.read() as connection:
            rows = await directory(connection, scope)
        said = [[row.number, row.unit_id, row.public_key.hex()] for row in rows]
        return json.dumps({"keys": said}, separators=(",", ":")).encode()

    async def report(
        self,
        *,
        unit_id: str,
        scope: str,
        journey: str,
        matches: bool,
        seen: str,
        who: str,
        key: str,
        waited_ms: int,
    ) -> Reported | Bad:
        """Take an officer's word on the seal, once."""
        now_ms = self._now_ms()
        async with self._store.write() as connection:
            unit_no = await _number_of(connection, unit_id, scope)
            if unit_no is None:
                return Bad(reason="no-unit")
            said = Report(
                key=key,
                who=who,
                unit_no=unit_no,
                journey=journey,
                matches=matches,
                seen=seen,
                made_ms=max(0, now_ms - waited_ms),
            )
            done = await roadside.report(connection, said, now_ms)
            if done is None:
                return Bad(reason="key-reused")
            stands = await standing(connection, unit_no, now_ms) if done.is_new else None
            if stands is not None:
                await witnessed.tell(connection, said, done, stands, self._targets, now_ms)
            return done

    async def _answer(
        self, connection: AsyncConnection, found: Standing | None, now_ms: int
    ) -> Answer:
        facts = Facts(found=False) if found is None else found.facts
        judged = verdict(facts, self._limits, now_ms)
        if found is None:
            return Answer(now_ms=now_ms, verdict=judged, facts=facts)
        reports = await roadside.reports_of(connection, found.subject.unit_no, 1)
        of_journey = [row for row in reports if row.journey == found.subject.journey]
        checked = (of_journey[0].matches, of_journey[0].at_ms) if of_journey else None
        return Answer(
            now_ms=now_ms, verdict=judged, facts=facts, subject=found.subject, checked=checked
        )


async def _number_of(connection: AsyncConnection, unit_id: str, scope: str) -> int | None:
    unit = schema.unit.c
    found = await connection.execute(
        select(unit.number).where(unit.unit_id == unit_id, names.within(scope))
    )
    number: int | None = found.scalar()
    return number


async def _sees(connection: AsyncConnection, unit_no: int, scope: str) -> bool:
    unit = schema.unit.c
    found = await connection.execute(
        select(unit.number).where(unit.number == unit_no, names.within(scope))
    )
    return found.first() is not None
