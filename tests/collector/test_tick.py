"""The tick over a real store: vectors, receipts, gaps, floods, and what a failure leaves behind."""

import asyncio
import json
import random
import tracemalloc
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from sqlalchemy import Row, Table, select

from collector.detect import Finding, Phase
from collector.detect.engine import Frame, Result, Tick, UnitState
from collector.detect.engine.blob import pack
from collector.detect.engine.run import run
from collector.detect.rules import Rulebook
from collector.detect.track import Batch
from collector.ingest.pace import BURST_MAX
from collector.store import StoreError, schema, spell
from collector.store.database import Store
from collector.tick import Message, TickResult
from collector.tick.detecting import IN_BATCH, IN_EARLY, IN_HEARD, IN_TIME
from collector.tick.replay import replay, unpack_intake
from collector.tick.ticker import Ticker
from tests.collector.fleet import (
    ORDER_KEY,
    ORDER_PUBLIC,
    RECEIPT_KEY,
    RECEIPT_PUBLIC,
    T0_MS,
    Centre,
    FleetUnit,
    dropped,
    event,
    fix,
    message,
    new_ticker,
    receipts_in,
)
from wire.batch import h0
from wire.envelope import Aad, Opened, kid_of, open_envelope, verify
from wire.orders import Order, OrderKind, read_payload as read_order
from wire.receipts import Receipt
from wire.records import Datum, EventKind, EventRecord
from wire.topics import Up

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "wire"


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await Store.open("sqlite://") as opened:
        yield opened


def chains() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (VECTORS / "chain.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("case", chains(), ids=lambda case: case["name"])
async def test_every_chain_gives_its_verdicts(store: Store, case: dict[str, Any]) -> None:
    centre = Centre(store)
    await store.add_unit(case["unit"], bytes.fromhex(case["public_key"]), now_ms=1)
    findings = []
    for step in case["steps"]:
        centre.now_ms += 2_000
        result = await centre.ticker.run(
            [
                Message(
                    topic=step["topic"],
                    payload=bytes.fromhex(step["hex"]),
                    received_ms=centre.now_ms,
                )
            ],
            centre.now_ms,
        )
        assert result.verdicts == {step["expect"]: 1}
        findings += [f.value for f in result.findings if f.code == "LOG_INTEGRITY"]
        through = step["through"]
        load = (await store.load_units([case["unit"]]))[case["unit"]]
        assert (load.fence.chain_id.hex(), load.fence.batch_no, load.fence.head.hex()) == (
            through["chain"],
            through["batch_no"],
            through["head"],
        )
        for receipt in receipts_in(result):
            assert (receipt.chain_id.hex(), receipt.through_batch_no) == (
                through["chain"],
                through["batch_no"],
            )
    by_reject = [step["expect"] for step in case["steps"] if step["expect"] in ("SeqJump", "Fork")]
    assert findings == [*case["findings"], *by_reject]


# receipts and answers


async def test_a_receipt_follows_the_commit_and_names_the_newest(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    sealed = [unit.begin(), unit.seal(), unit.seal()]
    result = await centre.hear(unit, *(entry.envelope for entry in sealed))
    assert receipts_in(result) == [
        Receipt(
            unit_id="uz-01",
            chain_id=unit.chain_id,
            through_batch_no=2,
            head=unit.newest.head,
            received_ms=centre.now_ms,
        )
    ]
    assert verify(opened_of(result), Aad.RECEIPT, RECEIPT_PUBLIC)


def opened_of(result: TickResult) -> Opened:
    opened = open_envelope(result.outgoing[0].payload, Aad.RECEIPT)
    assert isinstance(opened, Opened)
    return opened


async def test_a_duplicate_is_receipted_again_at_most_once_a_second(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    envelope = unit.begin().envelope
    await centre.hear(unit, envelope)
    quick = [await centre.hear(unit, envelope, step_ms=step) for step in (400, 599, 1, 10)]
    assert [len(receipts_in(result)) for result in quick] == [0, 0, 1, 0]
    assert all(result.verdicts == {"Duplicate": 1} for result in quick)
    assert quick[-1].next_due_ms == centre.now_ms + 990
    later = [await centre.hear(unit, step_ms=step) for step in (900, 90, 5_000)]
    assert [len(receipts_in(result)) for result in later] == [0, 1, 0]  # owed, and said once


async def test_what_is_parked_gets_no_receipt_until_it_settles(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    first, second, third = unit.begin(), unit.seal(), unit.seal()
    await centre.hear(unit, first.envelope)
    for _ in range(2):
        result = await centre.hear(unit, third.envelope)
        assert receipts_in(result) == []
    result = await centre.hear(unit, second.envelope)
    assert [receipt.through_batch_no for receipt in receipts_in(result)] == [2]
    assert await rows(store, schema.parked) == []
    assert len(await rows(store, schema.batch)) == 3


async def test_a_parked_batch_settles_in_the_very_tick_in_which_it_came(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    first, second, third = unit.begin(), unit.seal(), unit.seal()
    result = await centre.hear(unit, third.envelope, second.envelope, first.envelope)
    assert result.verdicts == {"Gap": 2, "Accepted": 1}
    assert [receipt.through_batch_no for receipt in receipts_in(result)] == [2]
    assert await rows(store, schema.parked) == []
    assert len(await rows(store, schema.batch)) == 3


async def test_a_large_backlog_that_waited_settles_over_several_ticks(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    first, missing = unit.begin(), unit.seal()
    rest = [unit.seal() for _ in range(150)]
    await centre.hear(unit, first.envelope)
    for at in range(0, len(rest), 50):
        await centre.hear(unit, *(entry.envelope for entry in rest[at : at + 50]))
    result = await centre.hear(unit, missing.envelope)
    assert result.next_due_ms == centre.now_ms
    await centre.settle()
    assert len(await rows(store, schema.batch)) == 152
    assert [receipt.through_batch_no for receipt in receipts_in(centre.results[-1])] == [151]


async def test_a_backlog_that_was_settling_when_the_centre_died_goes_on_behind_its_start(
    store: Store,
) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    first, missing = unit.begin(), unit.seal()
    rest = [unit.seal() for _ in range(150)]
    await centre.hear(unit, first.envelope)
    for at in range(0, len(rest), 50):
        await centre.hear(unit, *(entry.envelope for entry in rest[at : at + 50]))
    await centre.hear(unit, missing.envelope)
    centre.ticker = new_ticker(store)
    # What the unit sends again is parked already: it brings nothing that would move the rest.
    await centre.hear(unit, *(entry.envelope for entry in rest[80:96]))
    await centre.settle()
    assert len(await rows(store, schema.batch)) == 152
    assert receipts_in(centre.results[-1])[-1].through_batch_no == 151


async def test_a_hello_is_answered_at_once(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    envelope = unit.begin().envelope
    result = await centre.hear(unit, unit.hello(), what=Up.HELLO)
    assert orders_in(result) == [(OrderKind.RESEND_FROM, (unit.chain_id, 0))]
    await centre.hear(unit, envelope)
    result = await centre.hear(unit, unit.hello(), what=Up.HELLO, step_ms=1)
    assert [receipt.through_batch_no for receipt in receipts_in(result)] == [0]


def orders_in(result: TickResult) -> list[tuple[int, tuple[Datum, ...]]]:
    found = []
    for outgoing in result.outgoing:
        if outgoing.topic.endswith("/order"):
            opened = open_envelope(outgoing.payload, Aad.ORDER)
            assert isinstance(opened, Opened)
            assert verify(opened, Aad.ORDER, ORDER_PUBLIC)
            order = read_order(opened.payload)
            assert isinstance(order, Order)
            found.append((order.kind, order.data))
    return found


# gaps


async def test_a_gap_is_asked_for_and_alerts_after_fifteen_minutes_online(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    first, missing, third = unit.begin(), unit.seal(), unit.seal()
    result = await centre.hear(unit, first.envelope, third.envelope)
    assert orders_in(result) == []
    assert result.next_due_ms <= centre.now_ms + 2_000
    centre.now_ms += 2_000
    result = await centre.ticker.run([], centre.now_ms)
    assert orders_in(result) == [(OrderKind.RESEND_FROM, (unit.chain_id, 1))]
    raised: list[Finding] = []
    asked = 0
    for _ in range(16):
        result = await centre.hear(unit, third.envelope, step_ms=60_000)
        raised += result.findings
        asked += len(orders_in(result))
    assert [(finding.value, finding.phase) for finding in raised] == [("gap", Phase.BEGIN)]
    assert asked == 16
    result = await centre.hear(unit, missing.envelope)
    assert [(finding.value, finding.phase) for finding in result.findings] == [("gap", Phase.END)]
    assert {finding.id for finding in result.findings} == {raised[0].id}
    assert await rows(store, schema.gap) == []


async def test_a_restart_forgets_no_minute_of_a_gap(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    first, _, third = unit.begin(), unit.seal(), unit.seal()
    await centre.hear(unit, first.envelope, third.envelope)
    raised: list[Finding] = []
    for _ in range(16):
        centre.ticker = new_ticker(store)
        raised += (await centre.hear(unit, third.envelope, step_ms=60_000)).findings
    assert [finding.value for finding in raised] == ["gap"]


async def test_an_early_copy_alone_is_no_reason_to_ask(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    first, _, third = unit.begin(), unit.seal(), unit.seal()
    await centre.hear(unit, first.envelope)
    await centre.hear(unit, third.envelope, what=Up.EARLY)
    centre.now_ms += 5_000
    assert orders_in(await centre.ticker.run([], centre.now_ms)) == []
    await centre.hear(unit, third.envelope)
    centre.now_ms += 5_000
    assert len(orders_in(await centre.ticker.run([], centre.now_ms))) == 1


async def test_a_confessed_hole_closes_and_a_late_batch_fills_it(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    first, second, third = unit.begin(), unit.seal(), unit.seal()
    fourth = unit.seal([dropped(second, third), fix(unit.clock_ms)])
    result = await centre.hear(unit, first.envelope, fourth.envelope)
    assert [receipt.through_batch_no for receipt in receipts_in(result)] == [3]
    assert [row.first_no for row in await rows(store, schema.hole)] == [1]
    centre.ticker = new_ticker(store)
    result = await centre.hear(unit, third.envelope, second.envelope)
    assert result.verdicts == {"Accepted": 2}
    assert await rows(store, schema.hole) == []
    assert [row.slot for row in await rows(store, schema.batch)] == [None, "hole", "hole", None]


# what is odd


async def test_a_fork_keeps_both_envelopes_and_raises_one_alert(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    first, second = unit.begin(), unit.seal()
    unit.skip(first)
    other = unit.seal([fix(unit.clock_ms, lat_e7=10)])
    result = await centre.hear(unit, first.envelope, second.envelope, other.envelope)
    again = await centre.hear(unit, other.envelope)
    assert [finding.value for finding in result.findings] == ["Fork"]
    assert again.findings == ()
    assert again.verdicts == {"Fork": 1}
    assert receipts_in(again) == []
    proofs = await rows(store, schema.fork)
    assert [row.envelope for row in proofs] == [other.envelope]
    alerts = await rows(store, schema.alert)
    assert [(row.code, row.priority, row.state) for row in alerts] == [
        ("LOG_INTEGRITY", "P1", "UNACKED")
    ]


@pytest.mark.parametrize("spoil", ["gone", "garbage", "another"])
async def test_a_parked_batch_that_is_spoiled_in_the_store_is_asked_for_again(
    store: Store, spoil: str
) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    sealed = [unit.begin(), *(unit.seal() for _ in range(3))]
    await centre.hear(unit, *(sealed[number].envelope for number in (0, 2, 3)))
    parked = schema.parked
    where = parked.c.batch_no == 2
    async with store.write() as connection:
        if spoil == "gone":
            await connection.execute(parked.delete().where(where))
        else:
            other = b"no envelope" if spoil == "garbage" else sealed[3].envelope
            await connection.execute(parked.update().where(where).values(envelope=other))
    with pytest.raises(StoreError, match="asked again"):
        await centre.hear(unit, sealed[1].envelope)
    await centre.hear(unit, sealed[1].envelope)  # it was not acknowledged: it comes again
    centre.now_ms += 3_000
    result = await centre.ticker.run([], centre.now_ms)
    assert [one.topic.rsplit("/", 1)[1] for one in result.outgoing] == ["order"]
    result = await centre.hear(unit, sealed[2].envelope)
    assert [one.through_batch_no for one in receipts_in(result)] == [3]
    assert len(await rows(store, schema.batch)) == 4


async def test_a_batch_that_is_gone_from_the_store_is_taken_again_and_told(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    sealed = [unit.begin(), *(unit.seal() for _ in range(4))]
    await centre.hear(unit, *(one.envelope for one in sealed))
    for number in (4, 2):  # the newest, and one between others
        async with store.write() as connection:
            await connection.execute(schema.batch.delete().where(schema.batch.c.batch_no == number))
        unit.skip(sealed[number - 1])
        forged = unit.seal([fix(unit.clock_ms + 1)])
        unit.skip(sealed[number])
        if number == 4:  # its head is known: nothing else takes its place
            result = await centre.hear(unit, forged.envelope)
            assert result.verdicts == {"Fork": 1}
        result = await centre.hear(unit, sealed[number].envelope)
        assert result.verdicts == {"Accepted": 1}
        assert [(found.code, found.value) for found in result.findings] == [
            ("LOG_INTEGRITY", "StoreLost")
        ]
        assert [one.through_batch_no for one in receipts_in(result)] == [4]
    assert len(await rows(store, schema.batch)) == 5
    again = await centre.hear(unit, sealed[2].envelope)
    assert again.verdicts == {"Duplicate": 1}


@pytest.mark.parametrize(
    ("begin", "value"),
    [({"forgets": True}, "ChainBreak"), ({}, None)],
    ids=["a chain that remembers nothing", "a chain that links"],
)
async def test_a_new_chain_is_a_break_only_if_it_remembers_nothing(
    store: Store, begin: dict[str, Any], value: str | None
) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    await centre.hear(unit, unit.begin().envelope)
    result = await centre.hear(unit, unit.begin(2, **begin).envelope)
    assert [finding.value for finding in result.findings] == ([] if value is None else [value])
    assert [row.successor is None for row in await rows(store, schema.chain)] == [False, True]


async def test_a_batch_that_cannot_be_read_keeps_its_place_and_its_reason(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    first = unit.begin()
    bad = unit.seal(raw=b"\x92\x91\x07\x90")
    result = await centre.hear(unit, first.envelope, bad.envelope, unit.seal().envelope)
    assert result.verdicts == {"Accepted": 2, "BadColumns": 1}
    assert [finding.value for finding in result.findings] == ["BadColumns"]
    assert [row.reason for row in await rows(store, schema.batch)] == [None, "BadColumns", None]
    assert [receipt.through_batch_no for receipt in receipts_in(result)] == [2]


async def test_refused_messages_lie_in_quarantine_and_are_acknowledged(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    good = unit.begin().envelope
    messages = [
        message("uz-01", good[:-1], centre.now_ms, token=1),
        message("uz-01", b"\xff" * 40_000, centre.now_ms, token=2),
        message("uz-02", good, centre.now_ms, token=3),
        Message(topic="plomba/1/up/uz-01/nothing", payload=good, received_ms=1, token=4),
    ]
    result = await centre.ticker.run(messages, centre.now_ms)
    assert result.verdicts == {"BadEnvelope": 1, "TooBig": 1, "WrongUnit": 1, "BadTopic": 1}
    assert result.acks == (1, 2, 3, 4)
    kept = await rows(store, schema.quarantine)
    assert [(row.reason, row.size_bytes) for row in kept] == [
        ("BadEnvelope", len(good) - 1),
        ("TooBig", 40_000),
        ("WrongUnit", len(good)),
    ]
    assert max(len(row.message) for row in kept) <= 33_000


async def test_a_genesis_that_is_none_takes_no_place(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    unit.chain_id = bytes(16)
    bad = unit._seal(
        [fix(T0_MS)], batch_no=0, first_seq=0, prev=h0("uz-01", bytes(16), unit.public_key)
    )
    result = await centre.hear(unit, bad.envelope)
    assert result.verdicts == {"BadGenesis": 1}
    assert await rows(store, schema.chain) == []


async def test_a_unit_that_was_enrolled_just_now_is_known_a_second_later(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    envelope = unit.begin().envelope
    assert (await centre.hear(unit, envelope)).verdicts == {"UnknownKey": 1}
    await centre.enrol(unit)
    assert (await centre.hear(unit, envelope, step_ms=1_000)).verdicts == {"Accepted": 1}


async def test_a_revoked_key_is_refused_a_second_later(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    await centre.hear(unit, unit.begin().envelope)
    await store.revoke(kid_of(unit.public_key), now_ms=centre.now_ms)
    result = await centre.hear(unit, unit.seal().envelope, step_ms=1_000)
    assert result.verdicts == {"RevokedKey": 1}


async def test_a_flood_is_cut_costs_nobody_else_and_is_told_once(store: Store) -> None:
    centre, unit, calm = Centre(store), FleetUnit(unit_id="uz-01"), FleetUnit(unit_id="uz-02")
    await centre.enrol(unit)
    await centre.enrol(calm)
    flood = [message("uz-01", b"junk", centre.now_ms)] * (BURST_MAX + 5)
    quiet = message("uz-02", calm.begin().envelope, centre.now_ms, token="calm")
    result = await centre.ticker.run([*flood, quiet], centre.now_ms)
    assert result.verdicts == {"BadEnvelope": BURST_MAX, "Throttled": 5, "Accepted": 1}
    assert [(found.code, found.value, found.phase, found.n) for found in result.findings] == [
        ("DEVICE_FAULT", "Throttled", Phase.BEGIN, 0)
    ]
    centre.now_ms += 60_000
    over = await centre.ticker.run([], centre.now_ms)
    assert [(found.phase, found.n) for found in over.findings] == [(Phase.END, 1)]
    again = await centre.ticker.run(
        [message("uz-01", b"junk", centre.now_ms)] * (BURST_MAX + 1), centre.now_ms
    )
    assert [(found.phase, found.n) for found in again.findings] == [(Phase.BEGIN, 2)]
    centre.ticker = new_ticker(store)  # who told it is dead: another one tells that it is over
    await centre.ticker.run([], centre.now_ms)
    centre.now_ms += 60_000
    over = await centre.ticker.run([], centre.now_ms)
    assert [(found.code, found.phase, found.n) for found in over.findings] == [
        ("DEVICE_FAULT", Phase.END, 3)
    ]


# the engine and the log


async def test_a_batch_that_a_detector_cannot_step_is_set_aside_and_the_others_go_on(
    store: Store,
) -> None:
    centre, unit, calm = Centre(store), FleetUnit(unit_id="uz-01"), FleetUnit(unit_id="uz-02")
    await centre.enrol(unit)
    await centre.enrol(calm)
    bad = 1

    def engine(rules: Rulebook, states: Mapping[str, UnitState], tick: Tick) -> Result:
        for item in tick.items:
            assert not (isinstance(item, Batch) and item.unit == "uz-01" and item.batch_no == bad)
        return run(rules, states, tick)

    centre.ticker = Ticker(store=store, receipt_key=RECEIPT_KEY, order_key=ORDER_KEY, engine=engine)
    messages = [
        message(each.unit_id, sealed.envelope, centre.now_ms)
        for each in (unit, calm)
        for sealed in (each.begin(), each.seal(), each.seal())
    ]
    result = await centre.ticker.run(messages, centre.now_ms)
    assert result.verdicts == {"Accepted": 6}
    assert [(found.unit, found.code, found.value) for found in result.findings] == [
        ("uz-01", "DEVICE_FAULT", "undecidable")
    ]
    assert len(await rows(store, schema.batch)) == 6


async def test_what_the_detectors_know_outlives_a_restart(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    await centre.hear(unit, unit.begin().envelope, unit.seal().envelope)
    (kept,) = await rows(store, schema.detector_state)
    seen: list[UnitState] = []

    def engine(rules: Rulebook, states: Mapping[str, UnitState], tick: Tick) -> Result:
        seen.extend(states.values())
        return run(rules, states, tick)

    centre.ticker = Ticker(store=store, receipt_key=RECEIPT_KEY, order_key=ORDER_KEY, engine=engine)
    await centre.hear(unit, unit.seal().envelope)
    assert [pack(state) for state in seen] == [kept.blob]


async def test_a_state_that_cannot_be_spelt_is_not_kept(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    await centre.hear(unit, unit.begin().envelope, unit.seal().envelope)
    before = await rows(store, schema.detector_state)

    def engine(rules: Rulebook, states: Mapping[str, UnitState], tick: Tick) -> Result:
        result = run(rules, states, tick)
        wide = Frame(chains=(bytes(16),) * 1_000)
        return replace(result, states={name: UnitState(frame=wide) for name in result.states})

    centre.ticker = Ticker(store=store, receipt_key=RECEIPT_KEY, order_key=ORDER_KEY, engine=engine)
    result = await centre.hear(unit, unit.seal().envelope)
    assert result.verdicts == {"Accepted": 1}
    assert [found.value for found in result.findings] == ["undecidable"]
    assert await rows(store, schema.detector_state) == before


@pytest.mark.parametrize("fault", [ValueError, KeyError, ZeroDivisionError, AssertionError])
async def test_no_fault_of_a_detector_stops_the_intake(
    store: Store, fault: type[Exception]
) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)

    def engine(rules: Rulebook, states: Mapping[str, UnitState], tick: Tick) -> Result:
        if any(isinstance(item, Batch) for item in tick.items):
            raise fault
        return run(rules, states, tick)

    centre.ticker = Ticker(store=store, receipt_key=RECEIPT_KEY, order_key=ORDER_KEY, engine=engine)
    result = await centre.hear(unit, unit.begin().envelope, unit.seal().envelope)
    assert [receipt.through_batch_no for receipt in receipts_in(result)] == [1]
    assert [found.value for found in result.findings] == ["undecidable"] * 2


async def test_a_state_that_cannot_be_read_begins_anew_and_is_shown(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    await centre.hear(unit, unit.begin().envelope, unit.seal().envelope)
    async with store.write() as connection:
        await connection.execute(schema.detector_state.update().values(blob=b"torn"))
    centre.ticker = new_ticker(store)
    result = await centre.hear(unit, unit.seal().envelope)
    assert result.verdicts == {"Accepted": 1}
    assert [(found.code, found.value) for found in result.findings] == [
        ("DEVICE_FAULT", "undecidable")
    ]


async def test_a_bomb_keeps_its_place_and_is_never_unpacked(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    first = unit.begin()
    bomb = unit.bomb(20_000_000)
    tracemalloc.start()
    result = await centre.hear(unit, first.envelope, bomb.envelope)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.verdicts == {"Accepted": 1, "BadInflate": 1}
    assert peak < 8 << 20


async def test_the_log_holds_what_the_engine_was_given_in_its_order(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    first, second, third = unit.begin(), unit.seal(), unit.seal([event(17, (1,))])
    await centre.hear(unit, first.envelope, third.envelope)
    await centre.hear(unit, second.envelope)
    logged = [unpack_intake(row.intake) for row in await rows(store, schema.tick)]
    kinds = [[entry[0] for entry in entries] for entries in logged]
    assert kinds == [[IN_HEARD, IN_BATCH, IN_EARLY, IN_TIME], [IN_HEARD, IN_BATCH, IN_BATCH]]
    early, settled = logged[0][2], logged[1][2]
    assert early[2:4] == [unit.chain_id, 2]
    assert settled[2:] == [0, 2]
    (row,) = [row for row in await rows(store, schema.batch) if row.batch_no == 2]
    assert row.early_ms == early[4]  # the engine is told when the early copy was judged


@pytest.mark.parametrize("seed", range(4))
async def test_a_replay_of_the_stored_ticks_finds_the_same_byte_for_byte(
    store: Store, seed: int
) -> None:
    """Seals cut, panics, a fork, a hole, a chain that breaks, an early copy, another order of arrival each time."""
    centre, chance = Centre(store), random.Random(seed)
    sent: list[Message] = []
    for name in ("uz-01", "uz-02"):
        unit = FleetUnit(unit_id=name)
        await centre.enrol(unit)
        unit.begin()
        for turn in range(4):
            unit.seal([fix(unit.clock_ms, lat_e7=413_111_000 + turn * 500_000), panic(unit)])
        other = unit.newest
        unit.skip(unit.sealed[-2])
        unit.seal([panic(unit)])  # a second branch
        unit.skip(other)
        unit.begin(3, forgets=True)
        unit.seal([fix(unit.clock_ms), panic(unit)])
        sent += [
            message(name, sealed.envelope, 0, what=chance.choice([Up.BATCH, Up.EARLY]))
            for sealed in dict.fromkeys(unit.sealed)
        ]
    chance.shuffle(sent)
    for at in range(0, len(sent), 3):
        centre.now_ms += 7_000
        await centre.ticker.run(
            [replace(one, received_ms=centre.now_ms) for one in sent[at : at + 3]], centre.now_ms
        )
    own = {"LOG_INTEGRITY", "LATE_TAIL"}  # of ingest itself: the chains hold what they say
    stored = [
        row.id + bytes([row.n]) + row.detail
        for row in await rows(store, schema.finding)
        if row.code not in own
    ]
    assert stored
    seen: dict[tuple[bytes, int], bytes] = {}
    async for tick in replay(store, lambda _version: centre.ticker.rulebook):
        for found in tick.findings:
            detail = found.id + bytes([found.n]) + spell.write(found.value, found.data)
            seen.setdefault((found.id, found.n), detail)
    assert list(seen.values()) == stored


def panic(unit: FleetUnit) -> EventRecord:
    return event(EventKind.PANIC, ("button",), unit.clock_ms)


async def test_the_newest_place_is_the_newest_by_time_early_copies_too(store: Store) -> None:
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    first, second = unit.begin(), unit.seal([fix(T0_MS + 60_000, lat_e7=1_000)])
    unit.seal()
    newest = unit.seal([fix(T0_MS + 600_000, lat_e7=2_000)])
    await centre.hear(unit, first.envelope)
    await centre.hear(unit, newest.envelope, what=Up.EARLY)
    await centre.hear(unit, second.envelope)
    (now,) = await rows(store, schema.unit_now)
    assert (now.lat_e7, now.t_ms, now.heard_ms) == (2_000, T0_MS + 600_000, centre.now_ms)


async def rows(store: Store, table: Table) -> Sequence[Row[Any]]:
    async with store.read() as connection:
        return (await connection.execute(select(table).order_by(*table.primary_key))).all()


# laws


@pytest.mark.long
@settings(max_examples=10, deadline=None)
@given(st.data())
def test_any_order_and_repetition_over_a_real_store_gives_the_same_rows(
    data: st.DataObject,
) -> None:
    history = _history()
    order = data.draw(
        st.permutations([*history, *data.draw(st.lists(st.sampled_from(history), max_size=4))])
    )
    cuts = data.draw(st.lists(st.booleans(), min_size=len(order), max_size=len(order)))
    restarts = data.draw(st.sets(st.integers(0, len(order))))

    async def sail() -> tuple[object, object]:
        ticks: list[list[bytes]] = [[]]
        for envelope, cut in zip(order, cuts, strict=True):
            ticks[-1].append(envelope)
            if cut:
                ticks.append([])
        return await _kept([[envelope] for envelope in history], set()), await _kept(
            ticks, restarts
        )

    straight, shuffled = asyncio.run(sail())
    assert shuffled == straight


def _history() -> list[bytes]:
    unit = FleetUnit(unit_id="uz-01")
    for _ in range(2):
        unit.begin(2 if unit.sealed else 1)
        for _ in range(2):
            unit.seal()
    unit.seal([event(17, (1,))])
    return [sealed.envelope for sealed in unit.sealed]


async def _kept(ticks: list[list[bytes]], restarts: set[int]) -> object:
    async with await Store.open("sqlite://") as store:
        centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
        await centre.enrol(unit)
        for number, envelopes in enumerate(ticks):
            if number in restarts:
                centre.ticker = new_ticker(store)
            await centre.hear(unit, *envelopes)
        last = await centre.hear(unit, _history()[-1], step_ms=2_000)  # a duplicate by now
        batches = [
            (row.chain, row.batch_no, row.head, row.slot, row.reason, row.envelope)
            for row in await rows(store, schema.batch)
        ]
        chains = [tuple(row) for row in await rows(store, schema.chain)]
        findings = sorted(
            (row.id, row.n, row.code, row.at_ms) for row in await rows(store, schema.finding)
        )
        waiting = len(await rows(store, schema.parked)) + len(await rows(store, schema.gap))
        receipt = [(r.chain_id, r.through_batch_no, r.head) for r in receipts_in(last)]
        return batches, chains, findings, waiting, receipt


def test_every_flipped_bit_of_an_envelope_is_refused() -> None:
    unit = FleetUnit(unit_id="uz-01")
    good = unit.begin().envelope

    async def flip() -> list[str]:
        async with await Store.open("sqlite://") as store:
            centre = Centre(store)
            await centre.enrol(unit)
            bad = [
                good[:at] + bytes((good[at] ^ 1 << bit,)) + good[at + 1 :]
                for at in range(len(good))
                for bit in range(8)
            ]
            names: set[str] = set()
            for at in range(0, len(bad), 500):
                centre.now_ms += 60_000
                result = await centre.hear(unit, *bad[at : at + 500])
                names |= set(result.verdicts)
            assert await rows(store, schema.batch) == []
            assert await rows(store, schema.parked) == []
            return sorted(names)

    assert asyncio.run(flip()) == ["BadEnvelope", "BadSignature", "UnknownKey"]
