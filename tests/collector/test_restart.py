"""Restart, takeover and replay with ticks of silence: the alerts are those of one smooth run (DETECTION sections 2 and 3, SCALE section 4)."""

import contextlib
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select

from collector.detect.rules import Journey, Rulebook, Rules, Thresholds
from collector.store import StoreError, schema, spell
from collector.store.database import Store
from collector.tick import Message, listening
from collector.tick.detecting import IN_TIME
from collector.tick.listening import AWAY_MS_MAX, DRAIN_MS
from collector.tick.replay import replay, unpack_intake
from collector.tick.ticker import Ticker
from tests.collector.fleet import (
    ORDER_KEY,
    RECEIPT_KEY,
    T0_MS,
    FleetUnit,
    event,
    fix,
    message,
)
from wire.records import EventKind, EventRecord
from wire.topics import Up

STEP_MS = 5_000
STEPS = 150
BEGIN_MS = T0_MS + 3_600_000
UNITS = ("uz-01", "uz-02", "uz-03")
# short, so that a quarter of an hour holds several silences
RULES = Rules(version=0, thresholds=Thresholds(period_s=30, silent_p2_s=180))
SLACK_MS = 25_000  # until time passes again behind a start, and for the ticks' own grid
END_MS = BEGIN_MS + STEPS * STEP_MS
BOOK = Rulebook(
    versions=(RULES,),
    journeys={
        name: (Journey(id=f"j-{name}", unit=name, since_ms=0, limit_ms=BEGIN_MS + limit_ms),)
        for name, limit_ms in zip(UNITS, (240_000, 500_000, 9_000_000), strict=True)
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A worker dies at a step, and another one goes on so many steps later."""

    step: int
    lasts: int
    wakes: bool = False  # the dead one comes back to life behind it

    def holds(self, step: int) -> bool:
        return self.step <= step < self.step + self.lasts


@dataclass(slots=True, kw_only=True)
class Story:
    """What the units send, by step."""

    units: list[FleetUnit] = field(default_factory=list)
    sent: dict[int, list[Message]] = field(default_factory=dict)


def story_of(seed: int) -> Story:
    """Units that speak each minute or so, fall silent for minutes, open seals, ask for help, and send ahead."""
    chance, story = random.Random(seed), Story()
    for name in UNITS:
        unit = FleetUnit(unit_id=name, clock_ms=BEGIN_MS)
        story.units.append(unit)
        step = 0
        while step < STEPS:
            unit.clock_ms = BEGIN_MS + step * STEP_MS
            records: list[Any] = [fix(unit.clock_ms)]
            if unit.sealed and chance.random() < 0.3:
                records.append(_event(chance, unit.clock_ms))
            sealed = unit.seal(records) if unit.sealed else unit.begin(more=records)
            says = [message(name, sealed.envelope, 0)]
            if chance.random() < 0.2:
                says.insert(0, message(name, sealed.envelope, 0, what=Up.EARLY))
            story.sent.setdefault(step, []).extend(says)
            step += chance.choice((6, 10, 12, 12, 15, 25, 60))
    return story


def _event(chance: random.Random, t_ms: int) -> EventRecord:
    if chance.random() < 0.3:
        return event(EventKind.PANIC, ("button",), t_ms)
    is_open = chance.random() < 0.4
    true = 0 if is_open else 3
    return event(EventKind.SEAL, ("S1", "jt", 3, true, 1, None, 80, None, None, None), t_ms)


def ticker_on(store: Store) -> Ticker:
    return Ticker(store=store, receipt_key=RECEIPT_KEY, order_key=ORDER_KEY, rulebook=BOOK)


async def sail(store: Store, story: Story, outages: Iterable[Outage] = ()) -> list[Any]:
    """The story over a store; the findings as they are kept."""
    for unit in story.units:
        await store.add_unit(unit.unit_id, unit.public_key, now_ms=BEGIN_MS - 1)
    ticker, waiting, last = ticker_on(store), list[Message](), list[Message]()
    dead: Ticker | None = None
    for step in range(STEPS):
        now_ms = BEGIN_MS + step * STEP_MS
        waiting += story.sent.get(step, ())
        out = next((one for one in outages if one.holds(step)), None)
        if out is not None:
            if out.step == step:
                dead, ticker = (ticker if out.wakes else None), ticker_on(store)
                waiting = [*last, *waiting]  # the broker never heard that they were taken
            continue
        last = [_received(one, now_ms) for one in waiting]
        try:
            await ticker.run(last, now_ms)
            waiting = []
        except StoreError:  # the other one was quicker: all comes again
            waiting = last
        if dead is not None:
            with contextlib.suppress(StoreError):
                await dead.run(last, now_ms)
            dead = None
    async with store.read() as connection:
        finding = schema.finding
        found = await connection.execute(select(finding).order_by(finding.c.number))
        return list(found.all())


def _received(one: Message, now_ms: int) -> Message:
    return Message(topic=one.topic, payload=one.payload, received_ms=now_ms)


Told = set[tuple[object, ...]]


def kept(rows: Sequence[Any], but: set[bytes]) -> Told:
    """What people are told of; not when it was confirmed, that is the worker's time.

    Of a silence: that it began, how bad it became, that it ended. Its class follows receipt, as that of its neighbours does
    (decision 0048), and a batch that came twice was heard twice.
    """
    told: Told = set()
    worst: dict[bytes, str] = {}
    for row in rows:
        if row.id in but:
            continue
        if row.code == "CONTACT_LOST":
            worst[row.id] = min(row.priority, worst.get(row.id, row.priority))
            if row.phase != "change":
                told.add((row.unit, row.id, row.code, row.phase))
        else:
            told.add((row.unit, row.id, row.n, row.code, row.phase, row.priority, row.seal))
    return told | set(worst.items())


def too_short(rows: Sequence[Any], outages: Iterable[Outage]) -> set[bytes]:
    """Silences that came to a limit so shortly before their end that a worker who was away meanwhile had no time to tell."""
    lost = [row for row in rows if row.code == "CONTACT_LOST"]
    over = {row.id: row.at_ms for row in lost if row.phase == "end"}
    since = {row.id: row.at_ms for row in lost if row.n == 0}
    short: set[bytes] = set()
    for row in lost:
        end_ms = over.get(row.id, END_MS)
        if row.phase == "end":
            continue
        if end_ms == END_MS and end_ms - row.confirmed_ms <= SLACK_MS:
            short.add(row.id)
        for out in outages:
            down_ms = BEGIN_MS + out.step * STEP_MS
            away_ms = out.lasts * STEP_MS + SLACK_MS
            meets = since[row.id] - STEP_MS <= down_ms <= end_ms
            if meets and end_ms - row.confirmed_ms <= away_ms:
                short.add(row.id)
    began = {(row.unit, row.seq) for row in lost if row.id in short}
    return short | {
        row.id for row in rows if row.code == "CONTACT_RESTORED" and (row.unit, row.seq) in began
    }


def outages_of(chance: random.Random) -> tuple[Outage, ...]:
    """Three, each of less than a minute."""
    return tuple(
        Outage(
            step=chance.randrange(5, 40) + third * STEPS // 3,
            lasts=chance.choice((0, 1, 3, 6, 10)),
            wakes=chance.random() < 0.5,
        )
        for third in range(3)
    )


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
async def test_whoever_dies_and_takes_over_the_alerts_are_those_of_a_smooth_run(seed: int) -> None:
    outages = outages_of(random.Random(seed))
    async with await Store.open("sqlite://") as smooth, await Store.open("sqlite://") as torn:
        once = await sail(smooth, story_of(seed))
        again = await sail(torn, story_of(seed), outages)
        short = too_short(once, outages) | too_short(again, outages)
        told = {row.code for row in once if row.id not in short}
        assert {"CONTACT_LOST", "CONTACT_RESTORED", "TIME_LIMIT_EXCEEDED"} <= told
        assert kept(again, short) == kept(once, short)
        assert [
            (found.id, found.n, spell.write(found.value, found.data))
            async for tick in replay(torn, lambda _version: BOOK)
            for found in tick.findings
        ] == [(row.id, row.n, row.detail) for row in again]


async def test_a_worker_that_is_back_within_a_minute_listens_on_and_tells_the_ticks_that_nobody_told() -> (
    None
):
    async with await Store.open("sqlite://") as store:
        assert await listening.read(store, BEGIN_MS) is None
        await ticker_on(store).run((), BEGIN_MS)
        back_ms = BEGIN_MS + AWAY_MS_MAX
        ticker = ticker_on(store)
        await ticker.run((), back_ms)  # what waits at the broker is heard first
        assert [times async for times in logged(store)] == [[(BEGIN_MS, BEGIN_MS)]]
        await ticker.run((), back_ms + DRAIN_MS)
        *_, times = [times async for times in logged(store)]
        assert times == [(BEGIN_MS + 10_000 * tick, BEGIN_MS) for tick in range(1, 8)]


async def test_whoever_was_away_for_longer_begins_to_listen_anew() -> None:
    async with await Store.open("sqlite://") as store:
        ticker, now_ms = ticker_on(store), BEGIN_MS
        await ticker.run((), now_ms)
        for worker in (ticker, ticker_on(store)):  # asleep, or started anew
            now_ms += AWAY_MS_MAX + 1
            await worker.run((), now_ms)
            *_, times = [times async for times in logged(store)]
            assert times == [(now_ms, now_ms)]


async def logged(store: Store) -> AsyncIterator[list[tuple[int, int]]]:
    """What each tick of the log says of time."""
    async with store.read() as connection:
        ticks = await connection.execute(select(schema.tick).order_by(schema.tick.c.number))
    for row in ticks:
        told = [(entry[1], entry[2]) for entry in unpack_intake(row.intake) if entry[0] == IN_TIME]
        if told:
            yield told
