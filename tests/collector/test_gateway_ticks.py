"""The gateway with a real shelf and a real ticker: what is acknowledged is stored, what is stored is receipted, and nothing twice."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.accounts import body_of
from collector.gateway.chain import REASON_ROLLED_BACK
from collector.io.seal_gateway import GatewaySettings, SealGateway
from collector.store.database import Store
from collector.tick import Message
from firmware_sim.seal_jt701d import Kind
from tests.collector.fleet import ORDER_KEY
from tests.collector.gateway_rig import (
    CUT,
    IDENTITY,
    NOW_MS,
    UNIT,
    GatewayWorld,
    Seal,
    frame,
)
from wire.columns import Event
from wire.orders import Order, OrderKind, make as make_order
from wire.records import EventKind
from wire.topics import Down, Up, down, up


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await Store.open("sqlite://") as made:
        yield made


@pytest.fixture
async def world(tmp_path: Path, store: Store) -> AsyncIterator[GatewayWorld]:
    made = GatewayWorld(tmp_path, store)
    await made.enrol()
    yield made
    await made.made.stop()


async def begun(world: GatewayWorld, settings: GatewaySettings | None = None) -> SealGateway:
    gateway = world.gateway(settings)
    await gateway.start()
    return gateway


async def stored(world: GatewayWorld) -> list[Event]:
    """Every event that the centre holds, in order."""
    async with world.store.read() as connection:
        rows = await connection.exec_driver_sql(
            "select envelope from batch order by chain, batch_no"
        )
        return [event for (envelope,) in rows for event in body_of(bytes(envelope)).events]


async def frames(world: GatewayWorld) -> list[object]:
    told = (EventKind.SEAL, EventKind.ACCESS)
    return [event.data[9] for event in await stored(world) if event.kind in told]


async def test_nothing_is_acknowledged_before_the_commit(world: GatewayWorld) -> None:
    gateway = await begun(world)
    seal = Seal(gateway)
    seal.say(frame(1))
    assert seal.answers == b""
    await gateway.flush()
    assert seal.answers == b"(P69,0,1)"
    await world.deliver(gateway)
    assert await frames(world) == [frame(1)]


async def test_a_shelf_that_refuses_acknowledges_nothing_and_takes_the_repeat(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await begun(world)
    commit, refusals = gateway.keeper.store.commit, [OSError("no space"), None]

    def refuse_once(*arguments: object, **more: object) -> None:
        if (error := refusals.pop(0)) is not None:
            raise error
        commit(*arguments, **more)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(gateway.keeper.store, "commit", refuse_once)
    seal = Seal(gateway)
    seal.say(frame(1))
    await gateway.flush()
    assert seal.answers == b""
    seal.say(frame(1))
    await gateway.flush()
    assert seal.answers == b"(P69,0,1)"
    await world.deliver(gateway)
    assert await frames(world) == [frame(1)]


async def test_a_repeat_by_another_line_is_not_acknowledged_by_a_commit_that_failed(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeat waits for the first one's commit; when that fails, its own flush has nothing to store and must not say that it has."""
    gateway = await begun(world)
    first, second = Seal(gateway), Seal(gateway)
    first.say(frame(1))
    owed = list(gateway._owed)
    second.say(frame(1))
    behind = gateway._owed[len(owed) :]
    gateway._owed = owed
    with monkeypatch.context() as broken:
        broken.setattr(gateway.keeper.store, "commit", _refuse)
        await gateway.flush()
    gateway._owed = behind
    await gateway.flush()
    assert (first.answers, second.answers) == (b"", b"")
    second.say(frame(1))
    await gateway.flush()
    assert second.answers == b"(P69,0,1)"
    await world.deliver(gateway)
    assert await frames(world) == [frame(1)]


def _refuse(*_arguments: object, **_more: object) -> None:
    raise OSError("no space")


async def test_a_frame_that_comes_again_after_a_kill_is_acknowledged_and_stored_once(
    world: GatewayWorld,
) -> None:
    gateway = await begun(world)
    Seal(gateway).say(frame(2, CUT, Kind.ALARM))
    await gateway.flush()  # committed; the word is lost with the process
    again = await begun(world)
    seal = Seal(again)
    seal.say(frame(2, CUT, Kind.ALARM))
    await again.flush()
    assert seal.answers == b"(P69,0,2)"
    await world.deliver(again)
    assert await frames(world) == [frame(2, CUT, Kind.ALARM)]
    assert world.codes().count("SEAL_OPEN_UNAUTHORISED") == 1
    assert [event.kind for event in await stored(world)].count(EventKind.GENESIS) == 1


async def test_a_seal_that_was_cut_while_the_centre_s_store_was_away_is_told_when_it_is_back(
    world: GatewayWorld,
) -> None:
    gateway = await begun(world)
    seal = Seal(gateway)
    world.fails = True
    for serial in range(5):
        seal.say(frame(serial))
        await gateway.flush()
    seal.say(frame(9, CUT, Kind.ALARM))
    await gateway.flush()
    assert seal.answers.count(b"P69") == 6  # ours is stored: the seal may forget
    with pytest.raises(OSError, match="away"):
        await gateway.delivery.deliver()
    world.fails = False
    await world.deliver(gateway)
    assert len(await frames(world)) == 6
    assert world.codes().count("SEAL_OPEN_UNAUTHORISED") == 1


async def test_an_alarm_behind_a_backlog_goes_ahead_of_it_and_is_told_once(
    world: GatewayWorld,
) -> None:
    gateway = await begun(world)
    seal = Seal(gateway)
    for serial in range(40):
        seal.say(frame(serial, unix_ms=NOW_MS + serial * 1000))
        await gateway.flush()
    seal.say(frame(99, CUT, Kind.ALARM))
    await gateway.flush()
    await gateway.delivery.deliver()
    assert world.handed[0] == up(UNIT, Up.EARLY)
    assert "SEAL_OPEN_UNAUTHORISED" in world.codes()
    await world.deliver(gateway)
    assert world.codes().count("SEAL_OPEN_UNAUTHORISED") == 1
    assert len(await frames(world)) == 41


@pytest.mark.long
async def test_who_is_not_enrolled_loses_nothing_and_asks_with_one_batch(
    tmp_path: Path, store: Store
) -> None:
    world = GatewayWorld(tmp_path, store)
    gateway = await begun(world)
    seal = Seal(gateway)
    for serial in range(20):
        seal.say(frame(serial))
        await gateway.flush()
    assert await gateway.delivery.attempt(gateway.delivery.deliver) is None
    world.handed.clear()
    assert await gateway.delivery.attempt(gateway.delivery.deliver) is None
    assert len(world.handed) == 1
    await world.enrol()
    await world.deliver(gateway)
    assert len(await frames(world)) == 20
    await gateway.stop()


async def test_a_centre_that_lost_its_store_is_given_everything_again(
    world: GatewayWorld,
) -> None:
    gateway = await begun(world)
    seal = Seal(gateway)
    for serial in range(20):
        seal.say(frame(serial))
        await gateway.flush()
    await world.deliver(gateway)
    before = await stored(world)
    async with await Store.open("sqlite://") as empty:
        world.connect(empty)
        await world.enrol()
        await gateway.delivery.greet()  # the answer: resend_from 0
        await world.deliver(gateway)
        assert await stored(world) == before
        assert not {"LOG_INTEGRITY"} & set(world.codes())


async def test_a07_a_shelf_from_yesterday_s_backup_begins_a_new_chain_and_is_no_fork(
    world: GatewayWorld, tmp_path: Path
) -> None:
    gateway = await begun(world)
    seal = Seal(gateway)
    seal.say(frame(1))
    await gateway.flush()
    await world.deliver(gateway)
    gateway.keeper.store.close()
    shutil.copy(tmp_path / "gateway.db", tmp_path / "yesterday.db")
    gateway = await begun(world)
    seal = Seal(gateway)
    for serial in (2, 3):
        seal.say(frame(serial))
        await gateway.flush()
    await world.deliver(gateway)
    gateway.keeper.store.close()
    shutil.copy(tmp_path / "yesterday.db", tmp_path / "gateway.db")
    restored = await begun(world)
    seal = Seal(restored)
    seal.say(frame(4))
    await restored.flush()
    await world.deliver(restored)
    told = [event for event in await stored(world) if event.kind == EventKind.GENESIS]
    assert [event.data[0] for event in told] == [1, REASON_ROLLED_BACK]
    assert await frames(world) == [frame(serial) for serial in (1, 2, 3, 4)]
    values = [
        finding.value
        for result in world.results
        for finding in result.findings
        if finding.code == "LOG_INTEGRITY"
    ]
    assert "Fork" not in values


async def test_an_order_to_the_gateway_is_refused_by_a_record_and_once(
    world: GatewayWorld,
) -> None:
    gateway = await begun(world)
    order = Order(
        unit_id=UNIT,
        counter=1,
        kind=OrderKind.ARM,
        issued_ms=NOW_MS,
        not_before_ms=0,
        not_after_ms=2**41,
        order_id=b"o" * 16,
        data=("8000620011", "officer", "movement"),
    )
    envelope = make_order(order, ORDER_KEY.kid, ORDER_KEY.sign)
    for _ in range(2):  # the collector says it again until it has the result
        assert gateway.hear(down(UNIT, Down.ORDER), envelope)
        await gateway.delivery.obey()
    assert not gateway.hear(down("uz-01", Down.ORDER), envelope)
    await gateway.flush()
    await world.deliver(gateway)
    results = [event for event in await stored(world) if event.kind == EventKind.ORDER_RESULT]
    assert [event.data[3] for event in results] == [4]


async def test_a37_a_forged_receipt_lets_nothing_go(world: GatewayWorld) -> None:
    gateway = await begun(world)
    world.fails = True
    assert gateway.hear(down(UNIT, Down.RECEIPT), b"\xd2" * 90)
    await gateway.delivery.obey()
    assert gateway.keeper.store.waiting_count() == 1
    assert gateway.counters["receipt_BadEnvelope"] == 1


async def test_a_full_shelf_takes_no_more_and_the_seal_keeps_its_frames(
    world: GatewayWorld,
) -> None:
    small = GatewaySettings(listen="127.0.0.1:7701", unit=UNIT, bytes_max=300)
    gateway = await begun(world, small)
    world.fails = True
    seal = Seal(gateway)
    seal.say(frame(1))
    await gateway.flush()
    with pytest.raises(OSError, match="away"):
        await gateway.delivery.deliver()  # looks at the room
    seal.say(frame(2))
    await gateway.flush()
    assert seal.answers == b"(P69,0,1)"
    world.fails = False
    await world.deliver(gateway)
    seal.say(frame(2))
    await gateway.flush()
    assert seal.answers == b"(P69,0,2)"


async def test_what_is_counted_of_lines_that_stand_is_told_before_they_end(
    world: GatewayWorld,
) -> None:
    gateway = await begun(world)
    seal = Seal(gateway)
    gateway._lines.add(seal.line)
    seal.say(frame(1))
    await gateway.flush()
    told = gateway.tally()
    assert (told["open"], told["acks"], told["SealReport"]) == (1, 1, 1)
    assert gateway.tally() == told  # asking counts nothing
    gateway._lines.clear()
    assert gateway.tally()["open"] == 0


async def test_what_one_seal_says_of_another_s_place_is_no_track(world: GatewayWorld) -> None:
    gateway = await begun(world)
    Seal(gateway).say(frame(1))
    await gateway.flush()
    assert gateway.place_of([]) == "8000620011"
    Seal(gateway).say(frame(1, seal_id="8000620012"))
    await gateway.flush()
    assert gateway.place_of([]) == ""


async def test_an_orderly_stop_is_the_last_record_and_the_next_start_knows(
    world: GatewayWorld,
) -> None:
    gateway = await begun(world)
    Seal(gateway).say(frame(1))
    await gateway.stop()
    again = await begun(world)
    await world.deliver(again)
    events = await stored(world)
    kinds = [event.kind for event in events]
    assert kinds == [EventKind.GENESIS, EventKind.BOOT, EventKind.SEAL, EventKind.STOP, EventKind.BOOT]  # fmt: skip
    assert events[-1].data[3] == 1


async def test_the_centre_is_told_what_the_gateway_is_and_holds(world: GatewayWorld) -> None:
    gateway = await begun(world)
    await world.deliver(gateway)
    await gateway.delivery.greet()
    assert world.handed[-1] == up(UNIT, Up.HELLO)
    assert IDENTITY.unit_id == UNIT
    await world.tick([Message(topic=up(UNIT, Up.HELLO), payload=b"x", received_ms=world.now_ms)])
    assert gateway.counters["receipted"] == 1
