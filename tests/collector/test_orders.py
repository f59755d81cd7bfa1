"""Orders over a real store and real ticks: given, sent, settled; what the detectors know of them; gaps that a supervisor closes."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, Table, select

from collector.desk import Given, NotGiven, OrderState, Wish
from collector.desk.life import OrderEvent, move
from collector.detect import Finding, Phase
from collector.detect.rules import Rulebook
from collector.store import orders, schema, spell
from collector.store.database import Store
from collector.store.order_words import STRAYS_MAX
from collector.store.orders import Unchanged
from collector.tick import TickResult
from collector.tick.ordering import SENDS_MAX
from collector.tick.replay import replay
from tests.collector.detect.worlds import book_of, place, square
from tests.collector.fleet import (
    ORDER_PUBLIC,
    Centre,
    FleetUnit,
    Sealed,
    event,
    fix,
    new_ticker,
)
from wire.envelope import kid_of
from wire.orders import Order, OrderKind, PlaceKnown, UnitState, judge
from wire.records import Datum, EventKind, EventRecord, Record
from wire.topics import Down, Up

PINNED = {kid_of(ORDER_PUBLIC): ORDER_PUBLIC}
YARD = square("yard", 0, 0, 500)
CORNERS = tuple(value for x, y in ((-500, -500), (500, -500), (500, 500), (-500, 500)) for value in place(x, y))  # fmt: skip
MINUTE_MS = 60_000


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await Store.open("sqlite://") as opened:
        yield opened


class Desk(Centre):
    """A centre with people at the desk, and one unit that has begun its chain and tells the same time."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.unit = FleetUnit(unit_id="uz-01", clock_ms=self.now_ms)

    async def open(self) -> "Desk":
        await self.enrol(self.unit)
        await self.hear(self.unit, self.unit.begin().envelope)
        return self

    def wish(self, kind: OrderKind = OrderKind.UNLOCK, **changes: object) -> Wish:
        data: tuple[Datum, ...] = ("s1", "officer-12", "26UZ1")
        if kind is OrderKind.UNLOCK:
            data = (*data, CORNERS)
        plain = Wish(unit_id="uz-01", kind=kind, data=data, by="os:ali", zone="yard")
        return replace(plain, **changes)  # type: ignore[arg-type]  # tests name fields of Wish

    async def give(self, kind: OrderKind = OrderKind.UNLOCK, **changes: object) -> Given:
        given = await self.try_give(kind, **changes)
        assert isinstance(given, Given), given
        return given

    async def try_give(
        self, kind: OrderKind = OrderKind.UNLOCK, **changes: object
    ) -> Given | Unchanged | NotGiven:
        async with self.store.write() as connection:
            return await orders.give(connection, self.wish(kind, **changes), self.now_ms)

    async def config(self, text: str, **changes: object) -> Given | Unchanged | NotGiven:
        data = (text.encode(),)
        return await self.try_give(OrderKind.SET_CONFIG, data=data, zone=None, **changes)

    async def withdraw(self, order: Given) -> Given | NotGiven:
        async with self.store.write() as connection:
            return await orders.withdraw(
                connection, order.order_id, by="os:olim", why="wrong truck", now_ms=self.now_ms
            )

    async def wait(self, seconds: float) -> TickResult:
        """A tick without messages, so much later."""
        self.now_ms += round(seconds * 1_000)
        result = await self.ticker.run([], self.now_ms)
        self.results.append(result)
        return result

    async def sent(self, seconds: float) -> int:
        """How many orders go out after so long."""
        return len(sent_in(await self.wait(seconds)))

    async def say(self, *records: Record, what: Up = Up.BATCH, step_ms: int = 2_000) -> TickResult:
        """The unit seals these at the present moment, and they come."""
        return await self.hear(
            self.unit, self.sealed(*records).envelope, what=what, step_ms=step_ms
        )

    def sealed(self, *records: Record) -> Sealed:
        self.unit.clock_ms = self.now_ms
        return self.unit.seal(list(records))

    async def answer(self, order: Given, result: int, detail: str = "") -> TickResult:
        return await self.say(word(order, result, detail))

    async def row(self, order: Given) -> Row[Any]:
        (row,) = [one for one in await rows(self.store, schema.unit_order) if one.order_id == order.order_id]  # fmt: skip
        return row

    async def state(self, order: Given) -> str:
        return str((await self.row(order)).state)

    async def acts(self, order: Given) -> list[tuple[str, str, str]]:
        return [
            (act.act, act.state, act.who)
            for act in await rows(self.store, schema.order_act)
            if act.order_id == order.order_id
        ]

    async def count(self, name: str) -> int:
        return sum(row.value for row in await rows(self.store, schema.counter) if row.name == name)


@pytest.fixture
async def desk(store: Store) -> Desk:
    return await Desk(store).open()


async def rows(store: Store, table: Table) -> list[Row[Any]]:
    async with store.read() as connection:
        return list(await connection.execute(select(table).order_by(*table.primary_key)))


def word(order: Given, result: int, detail: str = "", **changes: Datum) -> EventRecord:
    said: dict[str, Datum] = {
        "order_id": order.order_id,
        "kind": order.kind,
        "counter": order.counter,
    }
    return event(EventKind.ORDER_RESULT, (*{**said, **changes}.values(), result, detail))


def sent_in(result: TickResult) -> list[Order]:
    """The orders that go out, as a unit that pins our key reads them."""
    found = []
    for outgoing in result.outgoing:
        what = {"order": Down.ORDER, "config": Down.CONFIG}.get(outgoing.topic.rpartition("/")[2])
        if what is None:
            continue
        read = judge(
            outgoing.payload,
            topic_what=what,
            order_keys=PINNED,
            state=UnitState(
                unit_id=outgoing.topic.split("/")[3], now_ms=1 << 41, time_quality=0, counter=0,
                config_version=0, movement=None, seals=frozenset({"s1"}),
                place=PlaceKnown(lat_e7=0, lon_e7=0, age_ms=0, kind=1, hdop_centi=90),
            ),
        )  # fmt: skip
        order = getattr(read, "order", read)
        assert isinstance(order, Order), read
        found.append(order)
    return found


# from the wish to the result


async def test_an_order_is_sent_until_its_result_has_come(desk: Desk) -> None:
    order = await desk.give()
    assert await desk.state(order) == "PENDING"
    assert [await desk.sent(seconds) for seconds in (1, 1, 28, 2, 30)] == [0, 1, 0, 1, 1]
    assert await desk.state(order) == "SENT"
    greeted = await desk.hear(desk.unit, desk.unit.hello(), what=Up.HELLO, step_ms=5)
    (again,) = sent_in(greeted)
    assert again.order_id == order.order_id
    await desk.answer(order, 0, "opened")
    assert await desk.sent(60) == 0
    row = await desk.row(order)
    assert (row.state, row.result, row.detail, row.sent_n) == ("DONE", 0, "opened", 4)
    assert await desk.acts(order) == [
        ("give", "PENDING", "os:ali"),
        ("send", "SENT", ""),
        ("done", "DONE", "unit"),
    ]
    (*_, last) = await rows(desk.store, schema.order_act)
    assert (last.chain_id, last.seq) == (desk.unit.chain_id, desk.unit.newest.last_seq)
    assert last.why == "Done opened"


@pytest.mark.parametrize(
    ("result", "state"), [(0, "DONE"), (2, "SILENT"), (8, "EXPIRED"), (12, "REFUSED"), (99, "REFUSED")]
)  # fmt: skip
async def test_each_result_settles_its_order(desk: Desk, result: int, state: str) -> None:
    order = await desk.give()
    await desk.wait(2)
    await desk.answer(order, result)
    assert await desk.state(order) == state


async def test_an_order_for_later_waits_and_one_whose_time_is_over_expires(desk: Desk) -> None:
    begin_ms = desk.now_ms + 10 * MINUTE_MS
    order = await desk.give(not_before_ms=begin_ms, not_after_ms=begin_ms + 5 * MINUTE_MS)
    assert [await desk.sent(seconds) for seconds in (599, 3, 297, 2)] == [0, 1, 1, 0]
    assert await desk.state(order) == "EXPIRED"
    assert (await desk.acts(order))[-1] == ("expire", "EXPIRED", "")
    assert isinstance(await desk.give(OrderKind.ARM), Given)  # nothing waits any more
    await desk.answer(order, 0, "opened, long without a network")
    assert await desk.state(order) == "DONE"


async def test_a_counter_rises_and_outlives_a_desk_that_was_restored(desk: Desk) -> None:
    first = await desk.give()
    await desk.wait(2)
    await desk.answer(first, 0)
    second = await desk.give()
    assert second.counter > first.counter
    async with desk.store.write() as connection:
        for table in (schema.unit_order, schema.order_act, schema.order_counter):
            await connection.execute(table.delete())
    desk.now_ms += 1_000
    assert (await desk.give()).counter > second.counter


async def test_two_orders_of_one_second_have_two_counters(desk: Desk) -> None:
    first = await desk.give()
    second = await desk.give(supersedes=True)
    assert second.counter == first.counter + 1


async def test_a_unit_has_one_waiting_order_and_a_second_must_say_that_it_supersedes(
    desk: Desk,
) -> None:
    first = await desk.give()
    refused = await desk.try_give(OrderKind.ARM)
    assert isinstance(refused, NotGiven)
    assert refused.code == "order_waiting"
    assert first.order_id.hex() in refused.hint
    second = await desk.give(OrderKind.ARM, supersedes=True)
    assert await desk.acts(first) == [
        ("give", "PENDING", "os:ali"),
        ("withdraw", "WITHDRAWN", "os:ali"),
    ]
    assert [order.order_id for order in sent_in(await desk.wait(2))] == [second.order_id]


async def test_what_was_withdrawn_is_not_sent(desk: Desk) -> None:
    order = await desk.give()
    withdrawn = await desk.withdraw(order)
    assert isinstance(withdrawn, Given)
    assert await desk.sent(5) == 0
    again = await desk.withdraw(order)
    assert isinstance(again, NotGiven)
    assert again.hint == "it is WITHDRAWN already"
    assert (await desk.acts(order))[-1] == ("withdraw", "WITHDRAWN", "os:olim")


async def test_what_was_sent_and_withdrawn_may_be_done_and_that_is_noted(desk: Desk) -> None:
    order = await desk.give()
    await desk.wait(2)
    await desk.withdraw(order)
    assert await desk.sent(60) == 0
    await desk.answer(order, 0, "opened")
    row = await desk.row(order)
    assert (row.state, row.result) == ("WITHDRAWN", 0)
    assert await desk.acts(order) == [
        ("give", "PENDING", "os:ali"),
        ("send", "SENT", ""),
        ("withdraw", "WITHDRAWN", "os:olim"),
        ("done", "WITHDRAWN", "unit"),
    ]


async def test_nobody_is_ordered_who_is_not_enrolled(desk: Desk) -> None:
    refused = await desk.try_give(unit_id="uz-99")
    assert isinstance(refused, NotGiven)
    assert refused.code == "no_such_unit"


async def test_an_order_that_is_taken_back_while_it_goes_out_stays(desk: Desk) -> None:
    """Between the look and the transaction of sending, somebody else withdraws."""
    order = await desk.give()
    await desk.withdraw(order)
    async with desk.store.write() as connection:
        sent = await orders.send(connection, [order.order_id], lambda _: b"signed", desk.now_ms)
    assert sent == []


class PowerCutError(Exception):
    pass


async def test_an_order_that_is_not_committed_as_sent_does_not_go_out(tmp_path: Path) -> None:
    cuts: list[str] = []

    def at(point: str) -> None:
        if point in cuts:
            raise PowerCutError

    async with await Store.open(f"sqlite:///{tmp_path / 'c.db'}", at=at) as store:
        desk = await Desk(store).open()
        order = await desk.give()
        cuts.append("commit")
        with pytest.raises(PowerCutError):
            await desk.wait(2)
        assert await desk.state(order) == "PENDING"
        cuts.clear()
        assert await desk.sent(1) == 1
        assert (await desk.row(order)).sent_n == 1


async def test_a_desk_that_starts_again_goes_on_with_the_same_bytes(desk: Desk) -> None:
    await desk.give()
    before = (await desk.wait(2)).outgoing
    desk.ticker = new_ticker(desk.store)
    assert (await desk.wait(30)).outgoing == before


async def test_a_clock_that_was_set_back_holds_no_order_up(desk: Desk) -> None:
    await desk.give()
    assert await desk.sent(2) == 1
    desk.now_ms -= 3_600_000
    order = await desk.give(supersedes=True)
    assert [await desk.sent(seconds) for seconds in (1, 1)] == [0, 1]
    desk.now_ms -= 600_000
    assert await desk.state(order) == "SENT"
    await desk.wait(0)
    assert await desk.state(order) == "SENT"
    await desk.answer(order, 0)
    assert await desk.state(order) == "DONE"


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_an_order_moves_by_its_table_and_a_unit_has_one(
    desk: Desk, seed: int
) -> None:
    """People, the clock and the unit in any order: what the rows of acts say is what the order says."""
    chance, given, counters = random.Random(seed), list[Given](), list[int]()
    for _ in range(120):
        match chance.randrange(8):
            case 0 | 1:
                kind = chance.choice([OrderKind.ARM, OrderKind.DISARM, OrderKind.UNLOCK])
                done = await desk.try_give(kind, supersedes=chance.random() < 0.5)
                if isinstance(done, Given):
                    given.append(done)
                    counters.append(done.counter)
            case 2 | 3:
                await desk.wait(chance.choice([1, 2, 30, 4_000]))
            case 4 if given:
                await desk.withdraw(chance.choice(given[-3:]))
            case 5 | 6 if given:
                order = chance.choice(given[-3:])
                await desk.say(
                    word(order, chance.choice([0, 0, 2, 8, 12])), step_ms=chance.choice([1, 1_000])
                )
        await hold_the_laws(desk)
    assert counters == sorted(set(counters))
    states = {row.state for row in await rows(desk.store, schema.unit_order)}
    assert len(states) >= 4, states  # the history went somewhere


async def hold_the_laws(desk: Desk) -> None:
    acts: dict[bytes, list[Row[Any]]] = {}
    for act in await rows(desk.store, schema.order_act):
        acts.setdefault(act.order_id, []).append(act)
    found = await rows(desk.store, schema.unit_order)
    assert sum(row.state in ("PENDING", "SENT") for row in found) <= 1
    for row in found:
        first, *others = acts[row.order_id]
        assert (first.act, first.state, first.who) == ("give", "PENDING", "os:ali")
        state = OrderState.PENDING
        for act in others:
            moved = move(row.kind, state, OrderEvent(act.act))
            assert moved is not None
            assert moved.value == act.state
            state = moved
        assert state.value == row.state
        assert (row.envelope is None) is (row.sent_n == 0)
        is_word = [act for act in others if act.who == "unit"]
        assert len(is_word) == (row.result is not None)


# what units say of orders that are none of ours


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"order_id": b"x" * 16}, "never_given"),
        ({"kind": 1}, "other_order"),
        ({"counter": 1}, "other_order"),
    ],
)
async def test_a_result_of_an_order_that_we_never_gave_is_kept_and_not_believed(
    desk: Desk, changes: dict[str, Datum], why: str
) -> None:
    order = await desk.give()
    await desk.wait(2)
    await desk.say(word(order, 0, "", **changes))
    assert await desk.state(order) == "SENT"
    (stray,) = await rows(desk.store, schema.order_stray)
    assert (stray.why, stray.chain_id, stray.seq) == (
        why,
        desk.unit.chain_id,
        desk.unit.newest.last_seq,
    )
    assert await desk.count("orders.stray") == 1


async def test_a_result_of_another_unit_moves_nothing(desk: Desk) -> None:
    order = await desk.give()
    await desk.wait(2)
    other = FleetUnit(unit_id="uz-02", clock_ms=desk.now_ms)
    await desk.enrol(other)
    await desk.hear(other, other.begin(more=[word(order, 0)]).envelope)
    assert await desk.state(order) == "SENT"
    assert [row.why for row in await rows(desk.store, schema.order_stray)] == ["never_given"]


async def test_a_second_and_other_result_is_kept_apart_and_the_same_again_is_nothing(
    desk: Desk,
) -> None:
    order = await desk.give()
    await desk.wait(2)
    await desk.answer(order, 1, "stuck")
    await desk.answer(order, 1, "stuck")
    assert await rows(desk.store, schema.order_stray) == []
    await desk.answer(order, 0)
    assert await desk.state(order) == "REFUSED"
    assert [row.why for row in await rows(desk.store, schema.order_stray)] == ["second_result"]


async def test_strays_are_bounded_and_all_are_counted(desk: Desk) -> None:
    order = await desk.give()
    many = [word(order, 0, counter=1) for _ in range(STRAYS_MAX + 10)]
    await desk.say(*many)
    assert len(await rows(desk.store, schema.order_stray)) == STRAYS_MAX
    assert await desk.count("orders.stray") == STRAYS_MAX + 10


@pytest.mark.parametrize(
    "data", [(), (b"x", 3, 1, 0, ""), (b"x" * 16, "3", 1, 0, ""), (b"x" * 16, 3, 1, None, "")]
)
async def test_a_result_that_is_none_is_left_alone(desk: Desk, data: tuple[Datum, ...]) -> None:
    await desk.say(event(EventKind.ORDER_RESULT, data))
    assert await rows(desk.store, schema.order_stray) == []


async def test_a_result_that_travels_ahead_of_a_backlog_settles_at_once_and_only_once(
    desk: Desk,
) -> None:
    order = await desk.give()
    await desk.wait(2)
    behind = desk.sealed(fix(desk.now_ms))
    early = desk.sealed(word(order, 0, "opened"))
    await desk.hear(desk.unit, early.envelope, what=Up.EARLY)
    assert await desk.state(order) == "DONE"
    await desk.hear(desk.unit, behind.envelope, early.envelope)
    assert len(await desk.acts(order)) == 3
    assert await rows(desk.store, schema.order_stray) == []


# reports and resending


async def test_a_report_is_done_by_the_hello_with_its_nonce(desk: Desk) -> None:
    order = await desk.give(OrderKind.REPORT_NOW, data=(1, b"n" * 16), zone=None)
    (asked,) = sent_in(await desk.wait(1))
    assert asked.data == (1, b"n" * 16)
    await desk.hear(desk.unit, desk.unit.hello(), what=Up.HELLO)
    await desk.hear(desk.unit, desk.unit.hello(nonce=b"x" * 16), what=Up.HELLO)
    assert await desk.state(order) == "SENT"
    await desk.hear(desk.unit, desk.unit.hello(nonce=b"n" * 16), what=Up.HELLO)
    assert await desk.state(order) == "DONE"
    assert await desk.sent(60) == 0


async def test_a_resend_is_asked_once_of_a_unit_that_is_there(desk: Desk) -> None:
    await desk.wait(3_600)
    data = (desk.unit.chain_id, 0)
    order = await desk.give(OrderKind.RESEND_FROM, data=data, zone=None)
    assert [await desk.sent(seconds) for seconds in (1, 60)] == [0, 0]
    greeted = await desk.hear(desk.unit, desk.unit.hello(), what=Up.HELLO)
    assert [one.data for one in sent_in(greeted)] == [data]
    assert await desk.state(order) == "DONE"
    assert await desk.sent(60) == 0


async def test_orders_without_an_end_are_bounded(desk: Desk) -> None:
    for number in range(16):
        await desk.give(OrderKind.REPORT_NOW, data=(0, bytes([number]) * 16), zone=None)
    refused = await desk.try_give(OrderKind.REPORT_NOW, data=(0, b""), zone=None)
    assert isinstance(refused, NotGiven)
    assert refused.code == "too_many"


async def test_what_finds_no_room_in_a_turn_goes_out_in_the_next_and_configs_last(
    desk: Desk,
) -> None:
    for name in ("uz-02", "uz-03"):
        await desk.enrol(FleetUnit(unit_id=name, clock_ms=desk.now_ms))
    await desk.config(SLOW)
    for name in ("uz-01", "uz-02", "uz-03"):
        for number in range(12):
            data = (0, bytes([number]) * 16)
            await desk.give(OrderKind.REPORT_NOW, unit_id=name, data=data, zone=None)
    turns = [sent_in(await desk.wait(1)) for _ in range(3)]
    assert [len(turn) for turn in turns] == [SENDS_MAX, 37 - SENDS_MAX, 0]
    assert turns[1][-1].kind == OrderKind.SET_CONFIG


# settings by air

SLOW, QUICK = "[sealer]\nrecords_min = 30\n", "[sealer]\nrecords_min = 1\n"


async def test_a_config_is_retained_on_its_own_topic_and_settled_by_its_event(desk: Desk) -> None:
    order = await desk.config(SLOW)
    assert isinstance(order, Given)
    assert order.version == 1
    result = await desk.wait(1)
    (out,) = result.outgoing
    assert (out.topic, out.retain) == ("plomba/1/down/uz-01/config", True)
    assert sent_in(result)[0].data == (1, SLOW.encode())
    assert await desk.sent(120) == 0  # 8 KiB are not said every 30 s
    await desk.say(event(EventKind.CONFIG, (1, 0)))
    assert await desk.state(order) == "DONE"


async def test_the_same_content_is_nothing_new(desk: Desk) -> None:
    first = await desk.config(SLOW)
    same = await desk.config("# as it was\n" + SLOW)
    assert isinstance(same, Unchanged)
    assert same.order == first
    other = await desk.config(QUICK)
    assert isinstance(other, Given)
    assert other.version == 2
    assert isinstance(first, Given)
    assert await desk.state(first) == "WITHDRAWN"  # the newest is the one that counts


async def test_a_refused_config_may_be_given_again_as_another_version(desk: Desk) -> None:
    first = await desk.config(SLOW)
    assert isinstance(first, Given)
    await desk.wait(1)
    await desk.say(event(EventKind.CONFIG, (1, 1)))
    assert (await desk.row(first)).result == 1
    again = await desk.config(SLOW)
    assert isinstance(again, Given)
    assert again.version == 2


async def test_a_config_that_was_rolled_back_and_then_held_is_taken(desk: Desk) -> None:
    order = await desk.config(SLOW)
    assert isinstance(order, Given)
    await desk.wait(1)
    await desk.say(event(EventKind.CONFIG, (1, 2)))
    assert await desk.state(order) == "REFUSED"
    desk.now_ms += 3_600_000
    greeted = await desk.hear(desk.unit, desk.unit.hello(), what=Up.HELLO)
    assert [one.kind for one in sent_in(greeted)] == [OrderKind.SET_CONFIG]
    await desk.say(event(EventKind.CONFIG, (1, 0)))
    assert await desk.state(order) == "DONE"


async def test_a_unit_that_starts_anew_is_told_its_config_once(desk: Desk) -> None:
    await desk.config(SLOW)
    await desk.wait(1)
    await desk.say(event(EventKind.CONFIG, (1, 0)))
    said = []
    for boot_no in (1, 1, 2, 2):
        desk.unit.boot_no = boot_no
        greeted = await desk.hear(desk.unit, desk.unit.hello(), what=Up.HELLO)
        said.append(len(sent_in(greeted)))
    assert said == [1, 0, 1, 0]


async def test_a_config_that_is_out_is_replaced_and_not_withdrawn(desk: Desk) -> None:
    order = await desk.config(SLOW)
    assert isinstance(order, Given)
    await desk.wait(1)
    refused = await desk.withdraw(order)
    assert isinstance(refused, NotGiven)
    assert refused.code == "config_is_out"


async def test_a_config_with_a_fault_is_not_given(desk: Desk) -> None:
    refused = await desk.config("[unit]\nid = 'uz-02'\n")
    assert isinstance(refused, NotGiven)
    assert refused.hint.startswith("unit: who the unit is")
    assert await rows(desk.store, schema.order_counter) == []


async def test_a_restored_desk_learns_from_the_unit_which_versions_are_used(desk: Desk) -> None:
    await desk.say(event(EventKind.CONFIG, (7, 0)))
    assert [row.why for row in await rows(desk.store, schema.order_stray)] == ["never_given"]
    given = await desk.config(SLOW)
    assert isinstance(given, Given)
    assert given.version == 8


# what the detectors know: an opening by order is none without one

CLOSED, OPEN = 0b11, 0b10


def seal(true: int, t_ms: int, seal_id: str = "s1") -> EventRecord:
    data = (seal_id, "jt701", 0b11, true, 0, None, 90, 1, 1, b"")
    return event(EventKind.SEAL, data, t_ms)


def at(t_ms: int, x_m: float = 0, y_m: float = 0) -> Record:
    lat, lon = place(x_m, y_m)
    return fix(t_ms, lat // 10 * 10, lon // 10 * 10)


async def opened(desk: Desk, *, x_m: float = 0, behind_s: float = 0) -> list[Finding]:
    """The unit reports its seal open, with a fix; what is found."""
    t_ms = desk.now_ms - round(behind_s * 1_000)
    result = await desk.say(at(t_ms - 500, x_m), seal(OPEN, t_ms))
    return [found for found in result.findings if found.code.startswith("SEAL")]


@pytest.fixture
async def yard(desk: Desk) -> Desk:
    """The same, with a zone; the seal is shut."""
    desk.ticker.rulebook = watched()
    await desk.say(at(desk.now_ms), seal(CLOSED, desk.now_ms))
    return desk


def watched() -> Rulebook:
    """A yard, and a unit of which no journey is said: it is on one that bears its name."""
    book = book_of(YARD, units=("uz-01",))
    (assumed,) = book.journeys["uz-01"]
    return replace(book, journeys={"uz-01": (replace(assumed, id="uz-01"),)})


def verdict(findings: list[Finding]) -> tuple[str, object]:
    (found,) = findings
    return found.code, found.data.get("order", found.value)


async def test_an_opening_by_order_is_recorded_and_one_without_is_an_alert(yard: Desk) -> None:
    order = await yard.give()
    assert await yard.sent(3) == 1
    assert verdict(await opened(yard)) == ("SEAL_OPENED", order.order_id.hex())
    await yard.say(seal(CLOSED, yard.now_ms))
    assert verdict(await opened(yard)) == ("SEAL_OPEN_UNAUTHORISED", "used_up")


async def test_without_an_order_nothing_is_legal(yard: Desk) -> None:
    assert verdict(await opened(yard)) == ("SEAL_OPEN_UNAUTHORISED", "no_order")


async def test_an_order_given_afterwards_legalises_nothing(yard: Desk) -> None:
    late = yard.sealed(at(yard.now_ms), seal(OPEN, yard.now_ms))
    behind = yard.sealed(fix(yard.now_ms))
    yard.now_ms += 60_000
    await yard.give()
    await yard.wait(2)
    result = await yard.hear(yard.unit, late.envelope, behind.envelope)
    found = [one for one in result.findings if one.code.startswith("SEAL")]
    assert verdict(found) == ("SEAL_OPEN_UNAUTHORISED", "wrong_time")


@pytest.mark.parametrize(
    ("minutes", "x_m", "why"), [(1, 2_000, "wrong_place"), (61, 0, "wrong_time")]
)
async def test_outside_its_place_or_time_an_order_is_none(
    yard: Desk, minutes: int, x_m: float, why: str
) -> None:
    await yard.give()
    await yard.wait(minutes * 60)
    assert verdict(await opened(yard, x_m=x_m)) == ("SEAL_OPEN_UNAUTHORISED", why)


async def test_an_order_for_another_seal_is_none(yard: Desk) -> None:
    await yard.give(data=("s2", "officer-12", "26UZ1", CORNERS))
    await yard.wait(3)
    assert verdict(await opened(yard)) == ("SEAL_OPEN_UNAUTHORISED", "no_order")


async def test_an_opening_after_the_withdrawal_is_an_alert_and_one_before_it_is_not(
    yard: Desk,
) -> None:
    order = await yard.give()
    await yard.wait(3)
    before = yard.sealed(at(yard.now_ms), seal(OPEN, yard.now_ms))
    yard.now_ms += 10_000
    await yard.withdraw(order)
    yard.now_ms += 10_000
    result = await yard.hear(yard.unit, before.envelope)
    assert "SEAL_OPENED" in [found.code for found in result.findings]  # hard case 30

    other = await yard.give()
    await yard.say(seal(CLOSED, yard.now_ms))
    await yard.withdraw(other)
    await yard.wait(3)
    (found,) = await opened(yard)
    assert (found.code, found.value) == ("SEAL_OPEN_UNAUTHORISED", "withdrawn")


async def test_an_order_by_corners_holds_inside_them_even_when_the_place_is_moved(
    yard: Desk,
) -> None:
    for x_m, code in ((497, "SEAL_OPEN_UNAUTHORISED"), (480, "SEAL_OPENED")):
        await yard.give(zone=None)
        await yard.wait(3)
        (found,) = await opened(yard, x_m=x_m)
        assert found.code == code, x_m
        await yard.say(seal(CLOSED, yard.now_ms))
        await yard.give(OrderKind.ARM, supersedes=True, zone=None)
        await yard.wait(3)
        (waiting,) = [row for row in await rows(yard.store, schema.unit_order) if row.state == "SENT"]  # fmt: skip
        await yard.say(
            event(EventKind.ORDER_RESULT, (waiting.order_id, waiting.kind, waiting.counter, 0, ""))
        )


async def test_on_a_journey_of_its_own_the_order_must_name_it(desk: Desk) -> None:
    desk.ticker.rulebook = book_of(YARD, units=("uz-01",))  # its journey is j
    await desk.say(at(desk.now_ms), seal(CLOSED, desk.now_ms))
    await desk.give()  # of movement 26UZ1
    await desk.wait(3)
    assert verdict(await opened(desk)) == ("SEAL_OPEN_UNAUTHORISED", "no_order")
    await desk.say(seal(CLOSED, desk.now_ms))
    order = await desk.give(data=("s1", "officer-12", "j", CORNERS), supersedes=True)
    await desk.wait(3)
    assert verdict(await opened(desk)) == ("SEAL_OPENED", order.order_id.hex())


async def test_no_unlock_goes_out_that_the_detectors_do_not_know(yard: Desk) -> None:
    """Given between the look of a tick and its sending: it waits for the next look, or is looked at first."""
    await yard.wait(1)
    order = await yard.give()
    yard.now_ms += 2_500
    greeted = await yard.hear(yard.unit, yard.unit.hello(), what=Up.HELLO, step_ms=0)
    assert len(sent_in(greeted)) == 1
    assert verdict(await opened(yard)) == ("SEAL_OPENED", order.order_id.hex())


async def test_a_replay_takes_the_same_orders_in_the_same_order(yard: Desk) -> None:
    """Legal, used up, withdrawn, given too late, with a start of the collector in between."""
    for turn in range(3):
        order = await yard.give(supersedes=True)
        await yard.wait(3)
        await opened(yard)
        await yard.say(seal(CLOSED, yard.now_ms))
        await opened(yard)
        await yard.say(seal(CLOSED, yard.now_ms))
        if turn == 1:
            await yard.withdraw(order)
            yard.ticker = new_ticker(yard.store)
            yard.ticker.rulebook = watched()
        await opened(yard)
        await yard.say(seal(CLOSED, yard.now_ms))
    stored = [
        row.id + bytes([row.n]) + row.detail for row in await rows(yard.store, schema.finding)
    ]
    codes = {row.code for row in await rows(yard.store, schema.finding)}
    assert {"SEAL_OPENED", "SEAL_OPEN_UNAUTHORISED"} <= codes
    seen: dict[tuple[bytes, int], bytes] = {}
    rulebook = watched()
    async for tick in replay(yard.store, lambda _version: rulebook):
        for found in tick.findings:
            detail = found.id + bytes([found.n]) + spell.write(found.value, found.data)
            seen.setdefault((found.id, found.n), detail)
    assert list(seen.values()) == stored


async def test_a_replay_from_the_middle_knows_the_orders_of_before(yard: Desk) -> None:
    order = await yard.give()
    await yard.wait(3)
    from_ms = yard.now_ms + 1
    await yard.say(seal(CLOSED, yard.now_ms))
    await opened(yard)
    await opened(yard)
    rulebook = watched()
    later = [tick async for tick in replay(yard.store, lambda _version: rulebook, from_ms=from_ms)]
    assert min(tick.now_ms for tick in later) >= from_ms
    found = [found for tick in later for found in tick.findings]
    by_order = [one for one in found if one.code == "SEAL_OPENED"]
    assert [one.data["order"] for one in by_order] == [order.order_id.hex()]


# gaps that a supervisor closes


async def with_gap(desk: Desk) -> tuple[Sealed, Sealed]:
    """The unit's second batch is missing behind its third."""
    lost, behind = desk.sealed(fix(desk.now_ms)), desk.sealed(fix(desk.now_ms))
    await desk.hear(desk.unit, behind.envelope)
    return lost, behind


async def close_gap(desk: Desk) -> tuple[bytes, int, int] | NotGiven:
    async with desk.store.write() as connection:
        return await orders.close_gap(
            connection, "uz-01", by="os:ali", why="the card is gone", now_ms=desk.now_ms,
            age_ms_min=86_400_000,
        )  # fmt: skip


async def test_a_gap_is_closed_by_a_supervisor_a_day_after_it_was_seen(desk: Desk) -> None:
    lost, behind = await with_gap(desk)
    for _minute in range(16):
        await desk.hear(desk.unit, desk.unit.hello(), what=Up.HELLO, step_ms=MINUTE_MS)
    young = await close_gap(desk)
    assert isinstance(young, NotGiven)
    assert young.code == "too_young"
    desk.now_ms += 86_400_000
    assert await close_gap(desk) == (desk.unit.chain_id, lost.batch_no, lost.batch_no)
    result = await desk.wait(1)
    (hole,) = await rows(desk.store, schema.hole)
    assert (hole.first_no, hole.last_no, hole.why) == (lost.batch_no, lost.batch_no, "supervisor")
    (ended,) = [found for found in result.findings if found.code == "LOG_INTEGRITY"]
    assert (ended.value, ended.phase) == ("gap", Phase.END)
    (act,) = await rows(desk.store, schema.gap_close)
    assert (act.outcome, act.tick_no, act.who, act.why) == (
        "closed",
        result.tick_no,
        "os:ali",
        "the card is gone",
    )
    load = (await desk.store.load_units(["uz-01"]))["uz-01"]
    assert (load.fence.batch_no, load.gap) == (behind.batch_no, None)
    assert (await close_gap(desk)) == NotGiven(code="no_gap", hint="uz-01 owes nothing")
    filled = await desk.hear(desk.unit, lost.envelope)  # it came after all
    assert filled.verdicts == {"Accepted": 1}


async def test_a_gap_that_closed_by_itself_meanwhile_is_not_closed_again(desk: Desk) -> None:
    lost, _ = await with_gap(desk)
    await desk.wait(86_400)
    await close_gap(desk)
    await desk.hear(desk.unit, lost.envelope, step_ms=500)  # before the desk looks again
    await desk.wait(1)
    assert await rows(desk.store, schema.hole) == []
    assert [row.outcome for row in await rows(desk.store, schema.gap_close)] == ["not_missing"]


async def test_what_comes_in_the_tick_of_the_act_fills_the_hole(desk: Desk) -> None:
    lost, behind = await with_gap(desk)
    await desk.wait(86_400)
    await close_gap(desk)
    result = await desk.hear(desk.unit, lost.envelope)
    assert result.verdicts == {"Accepted": 1}
    assert await rows(desk.store, schema.hole) == []
    load = (await desk.store.load_units(["uz-01"]))["uz-01"]
    assert (load.fence.batch_no, load.gap) == (behind.batch_no, None)
