"""Orders: every refusal of WIRE section 14 by its name and as a record, every end of EDGE section 6, and passwords nowhere."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from agent.io.inbox import HeardFact
from agent.orders.words import LIFE, Event, State
from agent.recorder.facts import SealSilence
from devices import DataType, Fact, SealAnswer, SealEvent, SealSecret
from firmware_sim import Event as Happening
from tests.agent.facts import UTC, report, sky
from tests.agent.orders_rig import (
    AREA,
    BEGIN_MS,
    KEY,
    LON,
    MOVEMENT,
    OTHER_SEAL,
    PASSWORD,
    SEAL,
    HandClock,
    Truck,
    new_seal,
    on_the_road,
    secret_file,
    signed,
    words,
)
from tests.agent.outbox_rig import all_rows
from wire import Reason
from wire.orders import Order, OrderKind, OrderResult
from wire.records import EventKind

FAR = tuple(number + 1_000_000 for number in AREA)
FAR_AND_NEAR = (-(10**7), LON - 10**7, -(10**7), LON + 10**7, 10**7, LON)
DONE, FAILED, SILENT = OrderResult.DONE, OrderResult.FAILED, OrderResult.SEAL_SILENT


def test_every_state_of_an_order_has_its_row_and_leads_to_one() -> None:
    assert set(LIFE) == set(State)
    assert {state for row in LIFE.values() for state in row.values()} == set(State)
    assert {event for row in LIFE.values() for event in row} == set(Event)
    for state in (
        State.ACTING,
        State.ASKING,
    ):  # from either every end is reached, and none begins another act
        assert {event for event, to in LIFE[state].items() if to is State.IDLE} == {
            Event.DONE,
            Event.FAILED,
            Event.SILENT,
        }
        assert Event.GOOD not in LIFE[state]


async def test_an_unlock_here_and_now_opens_the_lock_once_and_all_of_it_is_recorded(
    tmp_path: Path,
) -> None:
    async with on_the_road(tmp_path) as truck:
        await truck.give(words())
        assert truck.wire.acts() == [b"(P43,12#aAM)"]
        await truck.run(3)
        assert await truck.results() == [(1, DONE, "")]
        [access] = [
            one.data
            for one in await truck.events(EventKind.ACCESS)
            if one.data[2] == "static_password"
        ]
        assert access[3:5] == (1, 1)  # authorised, opened
        await truck.run(60)
        assert truck.wire.truth()["kept"] == 0  # all that it said is acknowledged
        assert len(truck.wire.acts()) == 1


REFUSALS: list[tuple[str, Order, OrderResult]] = [
    ("unknown kind", words(9, data=()), OrderResult.UNKNOWN_ORDER),
    ("no area", words(data=(SEAL, "o", MOVEMENT, (1, 2))), OrderResult.BAD_ORDER),
    ("old counter", words(counter=0), OrderResult.REPLAYED),
    ("too early", words(not_before_ms=UTC + 1_800_000), OrderResult.TOO_EARLY),
    ("expired", words(not_after_ms=UTC + 1), OrderResult.EXPIRED),
    ("foreign seal", words(seal="7591225008"), OrderResult.UNKNOWN_SEAL),
    ("outside", words(area=FAR), OrderResult.OUTSIDE_AREA),
]


@pytest.mark.parametrize(("name", "order", "result"), REFUSALS, ids=[one[0] for one in REFUSALS])
async def test_a_refused_order_opens_nothing_and_ends_in_a_record_of_its_name(
    tmp_path: Path, name: str, order: Order, result: OrderResult
) -> None:
    message = _unchecked(order)
    async with on_the_road(tmp_path) as truck:
        assert truck.orders.take(message).refused is None
        await truck.turn()
        assert await truck.results() == [(order.counter, result, "")]
        truck.orders.take(message)  # the centre says it again
        await truck.run(2)
        assert len(await truck.results()) == 1
        assert truck.wire.acts() == []


def watched(truck: Truck) -> bool:
    """Whether the recorder keeps the sealed profile."""
    return truck.recorder.sealed


def _unchecked(order: Order) -> bytes:
    """Signed as it is: `make` refuses what no unit would obey."""
    from wire.canon import encode  # noqa: PLC0415  # for this one trick
    from wire.envelope import Aad, kid_of, seal  # noqa: PLC0415  # as above

    fields = (
        *(1, order.unit_id, order.counter, int(order.kind), order.issued_ms),
        *(order.not_before_ms, order.not_after_ms, order.order_id, order.data),
    )
    return seal(encode(fields), Aad.ORDER, kid_of(KEY.public_key().public_bytes_raw()), KEY.sign)


async def test_without_a_trusted_time_nothing_opens(tmp_path: Path) -> None:
    async with on_the_road(tmp_path, warm_s=1) as truck:
        await truck.give(words())
        assert await truck.results() == [(1, OrderResult.NO_TIME, "")]


async def test_without_a_fresh_fix_nothing_opens(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        truck.fixes = False
        await truck.run(61)
        await truck.give(words())
        assert await truck.results() == [(1, OrderResult.NO_FIX, "")]
        assert truck.wire.acts() == []


@pytest.mark.parametrize("how", ["jammed", "spoofed", "jumped"])
async def test_e20_a_doubted_place_opens_nothing_for_ten_minutes(tmp_path: Path, how: str) -> None:
    async with on_the_road(tmp_path) as truck:
        if how == "jumped":
            truck.fix_east_m = 5_000
            await truck.run(1)
            truck.fix_east_m = 0
            await truck.run(1)
        else:
            bad = sky(jam_state=3) if how == "jammed" else sky(spoof_state=2)
            for one in (bad, bad, sky(), sky()):
                await truck._hear("gps", one)
                await truck.run(3)
        await truck.give(words(counter=1))
        await truck.run(590)
        await truck.give(words(counter=2))
        await truck.run(20)
        await truck.give(words(counter=3))
        await truck.run(3)
        no_fix = OrderResult.NO_FIX
        assert await truck.results() == [(1, no_fix, ""), (2, no_fix, ""), (3, DONE, "")]


@pytest.mark.parametrize(("how", "pause_s"), [("jumped", 2), ("jammed", 200), ("jumps later", 2)])
async def test_e20_a_restart_undoes_no_doubt_and_hides_no_jump(
    tmp_path: Path, how: str, pause_s: int
) -> None:
    seal, clock = new_seal(), HandClock(BEGIN_MS)
    async with on_the_road(tmp_path, seal=seal, clock=clock) as truck:
        if how == "jammed":
            for one in (sky(jam_state=3), sky(jam_state=3), sky(), sky()):
                await truck._hear("gps", one)
                await truck.run(3)
        if how == "jumped":
            truck.fix_east_m = 5_000
            await truck.run(1)
        await truck.run(310)  # what it knows is stored
    clock.now += pause_s * 1000
    async with on_the_road(
        tmp_path, seal=seal, clock=clock, east_m=0 if how == "jammed" else 9_000
    ) as truck:
        await truck.give(words(area=FAR_AND_NEAR))
        assert await truck.results() == [(1, OrderResult.NO_FIX, "")]


async def test_a_moving_truck_opens_nothing_and_says_so(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        truck.speed_cm_s = 500
        await truck.run(5)
        await truck.give(words())
        assert await truck.results() == [(1, OrderResult.BUSY, "moving")]
        assert truck.wire.acts() == []


async def test_an_order_is_for_the_movement_for_which_the_seal_is_armed(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        await truck.give(words(OrderKind.ARM, counter=1))
        await truck.give(words(counter=2, movement="other"))
        await truck.give(words(OrderKind.DISARM, counter=3, movement="other"))
        await truck.give(words(OrderKind.DISARM, counter=4))
        await truck.give(words(counter=5, movement="other"))
        await truck.run(3)
        wrong = OrderResult.WRONG_MOVEMENT
        assert [one[:2] for one in await truck.results()] == [
            (1, DONE),
            (2, wrong),
            (3, wrong),
            (4, DONE),
            (5, DONE),  # nothing is known of a seal that is not armed
        ]


async def test_another_order_meanwhile_is_busy_and_the_first_goes_on(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        truck.wire.seal.play(_event("silent", for_s=20), 0)
        await truck.give(words(counter=1))
        await truck.give(words(counter=2))
        await truck.give(words(OrderKind.ARM, counter=3))
        for again in (1, 2, 3):  # all of them are known
            await truck.give(
                words(OrderKind.ARM if again == 3 else OrderKind.UNLOCK, counter=again)
            )
        await truck.run(70)
        busy = OrderResult.BUSY
        assert await truck.results() == [
            (2, busy, "another order"),
            (3, busy, "another order"),
            (1, SILENT, ""),
        ]
        assert len(truck.wire.acts()) == 1


def _event(do: str, **args: object) -> Happening:
    return Happening(at_ms=0, do=do, device="seal", args=args)


async def test_an_order_that_was_refused_is_used_up_and_an_older_one_is_replayed(
    tmp_path: Path,
) -> None:
    async with on_the_road(tmp_path) as truck:
        await truck.give(words(counter=7, area=FAR))
        await truck.give(words(counter=6))
        await truck.give(words(counter=8))
        await truck.run(3)
        await truck.give(words(counter=7, area=FAR))
        await truck.give(words(counter=7, area=FAR))
        assert [one[:2] for one in await truck.results()] == [
            (7, OrderResult.OUTSIDE_AREA),
            (6, OrderResult.REPLAYED),
            (8, DONE),
            (7, OrderResult.REPLAYED),
        ]


async def test_a_wrong_password_fails_by_the_seals_own_word(tmp_path: Path) -> None:
    secrets = {SEAL: secret_file(tmp_path, "wrong")}
    async with on_the_road(tmp_path, secrets=secrets) as truck:
        await truck.give(words())
        await truck.run(3)
        assert await truck.results() == [(1, FAILED, "refused by the seal")]


async def test_a_stuck_motor_fails_and_a_silent_seal_is_nobodys_knowledge(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        truck.wire.seal.play(_event("motor"), 0)
        await truck.give(words(counter=1))
        await truck.run(3)
        truck.wire.open = False
        await truck.give(words(counter=2))
        await truck.run(61)
        assert await truck.results() == [(1, FAILED, "refused by the seal"), (2, SILENT, "")]
        assert len(truck.wire.acts()) == 1  # the second was never heard, and is not said later


async def test_a_refusal_of_anothers_password_ends_no_order_of_ours(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        truck.wire.open = False
        await truck.give(words())
        refused = SealEvent(
            at_ms=0,
            seal_id=SEAL,
            protocol="jt701",
            time_ms=UTC + truck.clock.now,
            kind="access",
            source="static_password",
            opened=False,
            authorised=False,
        )
        await truck._hear("seal", refused)
        assert await truck.results() == []
        await truck._hear("seal", replace(refused, opened=True, locked=False))
        assert await truck.results() == [(1, DONE, "")]


async def test_after_a_restart_what_the_seal_said_before_the_order_tells_nothing(
    tmp_path: Path,
) -> None:
    seal, clock = new_seal(), HandClock(BEGIN_MS)
    async with on_the_road(tmp_path, seal=seal, clock=clock) as truck:
        await truck.run(300)
        truck.wire.open = False
        await truck.give(words())
    async with on_the_road(tmp_path, seal=seal, clock=clock, warm_s=0) as truck:
        truck.wire.open = False
        old = replace(report(seal_id=SEAL, locked=False), time_ms=UTC + clock.now - 200_000)
        await truck._hear("seal", old)
        await truck._hear("seal", replace(old, data_type=DataType.BACKLOG, time_ms=UTC + clock.now))
        assert await truck.results() == []
        await truck._hear("seal", replace(old, time_ms=UTC + clock.now))
        assert await truck.results() == [(1, DONE, "restart")]


async def test_after_a_restart_locked_is_believed_when_a_repeat_would_have_come(
    tmp_path: Path,
) -> None:
    seal, clock = new_seal(), HandClock(BEGIN_MS)
    async with on_the_road(tmp_path, seal=seal, clock=clock) as truck:
        truck.wire.open = False
        await truck.give(words())
    async with on_the_road(tmp_path, seal=seal, clock=clock, warm_s=0) as truck:
        truck.wire.open = False
        shut = replace(report(seal_id=SEAL), time_ms=UTC + truck.clock.now)
        await truck._hear("seal", shut)
        await truck.run(24)
        assert await truck.results() == []
        await truck.run(2)
        assert await truck.results() == [(1, FAILED, "restart")]


@pytest.mark.parametrize("clock_ms", [-600_000, 600_000])
async def test_a_seal_whose_clock_is_wrong_is_understood_all_the_same(
    tmp_path: Path, clock_ms: int
) -> None:
    seal, clock = new_seal(clock_ms=clock_ms), HandClock(BEGIN_MS)
    async with on_the_road(tmp_path, seal=seal, clock=clock) as truck:
        await truck.give(words(counter=1))
        await truck.run(3)
        assert await truck.results() == [(1, DONE, "")]
        await truck.run(70)  # it locks itself again
        await truck.give(words(counter=2))
    async with on_the_road(tmp_path, seal=seal, clock=clock, warm_s=0) as truck:
        await truck.run(125)
        assert [one[:2] for one in await truck.results()] == [(1, DONE), (2, DONE)]


async def test_an_old_opening_that_is_told_late_is_not_ours(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        await truck.run(300)
        truck.wire.open = False
        await truck.give(words())
        old = SealEvent(
            at_ms=0,
            seal_id=SEAL,
            protocol="jt701",
            time_ms=UTC + truck.clock.now - 200_000,
            kind="access",
            source="static_password",
            opened=True,
            locked=False,
        )
        await truck._hear("seal", old)
        assert await truck.results() == []


async def test_an_unplugged_line_fails_at_once_and_nothing_is_said_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with on_the_road(tmp_path) as truck:
        truck.wire.is_open = False
        await truck.give(words())
        assert await truck.results() == [(1, FAILED, "the line to this seal is down")]
        truck.wire.is_open = True
        await truck.run(20)
        assert truck.wire.acts() == []


async def test_yes_without_a_report_is_no_done(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        truck.wire.seal.play(_event("silent"), 0)
        await truck.give(words())
        yes = SealAnswer(at_ms=0, seal_id=SEAL, command="P43", ok=True)
        await truck._hear("seal", yes)
        await truck.run(61)
        assert await truck.results() == [(1, SILENT, "no report")]


@pytest.mark.parametrize("kind", ["report", "card"])
async def test_open_without_an_answer_is_nobodys_knowledge_and_no_done(
    tmp_path: Path, kind: str
) -> None:
    async with on_the_road(tmp_path) as truck:
        truck.wire.open = False
        await truck.give(words())
        now_ms = UTC + truck.clock.now
        opened: Fact = replace(report(seal_id=SEAL, locked=False), time_ms=now_ms)
        if kind == "card":
            opened = SealEvent(
                at_ms=0,
                seal_id=SEAL,
                protocol="jt701",
                time_ms=now_ms,
                kind="access",
                source="card",
                opened=True,
                locked=False,
            )
        await truck._hear("seal", opened)
        await truck.run(61)
        assert await truck.results() == [(1, SILENT, "open, no answer")]


async def test_yes_and_a_lock_that_stays_shut_is_failed(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        truck.wire.open = False
        await truck.give(words())
        await truck._hear("seal", SealAnswer(at_ms=0, seal_id=SEAL, command="P43", ok=True))
        shut = replace(report(seal_id=SEAL), time_ms=UTC + truck.clock.now)
        await truck._hear("seal", shut)
        await truck.run(61)
        assert await truck.results() == [(1, FAILED, "answered yes, stays locked")]


async def test_the_answer_of_another_seal_or_to_another_order_is_none(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        truck.wire.seal.play(_event("silent"), 0)
        await truck.give(words())
        for seal_id, command in ((OTHER_SEAL, "P43"), (SEAL, "P44"), (SEAL, "P52")):
            no = SealAnswer(at_ms=0, seal_id=seal_id, command=command, ok=False, values=("1",))
            await truck._hear("seal", no)
        assert await truck.results() == []


async def test_a_seal_without_line_or_password_fails_before_anything_is_committed(
    tmp_path: Path,
) -> None:
    async with on_the_road(tmp_path, secrets={}) as truck:
        await truck.give(words(counter=1, seal=OTHER_SEAL))
        await truck.give(words(counter=2))
        assert await truck.results() == [
            (1, FAILED, "no line to this seal"),
            (2, FAILED, "no password"),
        ]
        assert truck.orders.idle


@pytest.mark.parametrize(
    ("mode", "text", "why"),
    [
        (0o644, PASSWORD, "others can read it"),
        (0o660, PASSWORD, "others can read it"),
        (0o600, "", "holds no password"),
        (0o600, "p" * 65, "holds no password"),
        (0o600, "a,b", "cannot be said"),
    ],
)
async def test_a_password_file_that_may_not_be_used_is_not(
    tmp_path: Path, mode: int, text: str, why: str
) -> None:
    path = secret_file(tmp_path, text)
    path.chmod(mode)
    async with on_the_road(tmp_path, secrets={SEAL: path}) as truck:
        await truck.give(words())
        [(_, result, detail)] = await truck.results()
        assert (result, why in detail) == (FAILED, True), detail
        assert truck.wire.acts() == []


async def test_a_one_time_password_is_kept_in_memory_and_opens(tmp_path: Path) -> None:
    seal = new_seal(dynamic=True, armed=False)
    async with on_the_road(tmp_path, seal=seal, secrets={}) as truck:
        seal.play(_event("rope_in"), truck.clock.now - BEGIN_MS)
        await truck.run(3)
        assert truck.orders.counters["secrets_kept"] == 1
        assert truck.wire.truth()["seal"] == "sealed"  # it knows that we have it
        await truck.give(words())
        await truck.run(3)
        assert await truck.results() == [(1, DONE, "")]
        [act] = truck.wire.acts()
        assert act.startswith(b"(P52,3,")


async def test_the_password_of_a_foreign_seal_is_nobodys_here(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        told = SealSecret(at_ms=0, seal_id="7591225008", secret=b"113271", ack=b"(P52,2,113271)")
        await truck._hear("seal", told)
        assert truck.orders.counters["secrets_dropped"] == 1
        assert b"(P52,2,113271)" not in truck.wire.heard


async def test_passwords_are_in_no_record_no_log_and_no_repr(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with on_the_road(tmp_path) as truck:
        secret = SealSecret(at_ms=0, seal_id=SEAL, secret=b"S3CR3T", ack=b"(P52,2,S3CR3T)")
        await truck._hear("seal", secret)
        await truck.give(words(counter=1))  # the one-time one; the lock does not know it
        await truck.run(3)
        await truck.give(words(counter=2))
        await truck.run(3)
        assert [one[:2] for one in await truck.results()] == [(1, FAILED), (2, DONE)]
        store = b"".join((await all_rows(truck.outbox, truck.clock.now)).values())
        files = b"".join(path.read_bytes() for path in (tmp_path / "outbox").iterdir())
        shown = repr(truck.orders._steward._seen) + caplog.text
        for secret_text in (PASSWORD, "S3CR3T"):
            assert secret_text.encode() not in store
            assert secret_text.encode() not in files
            assert secret_text not in shown


async def test_arming_waits_for_a_shut_seal_and_feeds_the_recorder(tmp_path: Path) -> None:
    seal = new_seal(armed=False)
    async with on_the_road(tmp_path, seal=seal) as truck:
        await truck.give(words(OrderKind.ARM, counter=1))
        await truck.run(61)
        assert not watched(truck)
        await truck.give(words(OrderKind.ARM, counter=2))
        await truck.run(2)
        seal.play(_event("rope_in"), truck.clock.now - BEGIN_MS)
        await truck.run(2)
        assert await truck.results() == [(1, FAILED, "not locked"), (2, DONE, "")]
        assert watched(truck)
        assert truck.wire.acts() == []


async def test_what_a_silent_seal_said_last_arms_nothing(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        silence = SealSilence(seal_id=SEAL, protocol="jt701", silent=True)
        truck.wire.open = False
        truck.way.hear(HeardFact(source="seal", mono_ms=truck.clock.now, fact=silence))
        await truck.give(words(OrderKind.ARM))
        await truck.run(61)
        assert await truck.results() == [(1, SILENT, "")]
        assert truck.recorder._armed == frozenset()


async def test_what_is_armed_is_armed_after_a_restart_and_until_it_is_disarmed(
    tmp_path: Path,
) -> None:
    seal, clock = new_seal(), HandClock(BEGIN_MS)
    async with on_the_road(tmp_path, seal=seal, clock=clock) as truck:
        await truck.give(words(OrderKind.ARM, counter=1))
    async with on_the_road(tmp_path, seal=seal, clock=clock, warm_s=0) as truck:
        assert watched(truck)
        await truck.run(5)
        await truck.give(words(OrderKind.DISARM, counter=2))
        assert [one[:2] for one in await truck.results()] == [(1, DONE), (2, DONE)]
        assert truck.recorder._armed == frozenset()
    async with on_the_road(tmp_path, seal=seal, clock=clock, warm_s=0) as truck:
        assert truck.recorder._armed == frozenset()


async def test_a_lost_memory_is_a_closed_door(tmp_path: Path) -> None:
    """After chain reason 3, orders from before the first trusted time of this start are Replayed; the counter rises from the next."""
    clock, seal = HandClock(BEGIN_MS), new_seal()
    async with on_the_road(tmp_path, clock=clock, seal=seal) as truck:
        await truck.give(words(counter=40, area=FAR))
        await truck.outbox.close(truck.way.moment(), clean=True)
    for path in (tmp_path / "outbox").glob("outbox.*"):
        if path.is_file():
            path.write_bytes(b"\xff" * 4096)
    clock.now += 60_000
    async with on_the_road(tmp_path, clock=clock, seal=seal) as truck:
        await truck.give(words(counter=41, issued_ms=UTC + 5_000))  # captured, and sent again
        assert await truck.results() == [(41, OrderResult.REPLAYED, "")]
        await truck.give(words(counter=43, issued_ms=UTC + clock.now))
        await truck.run(3)
        await truck.give(words(counter=42, issued_ms=UTC + clock.now))
        await truck.give(words(OrderKind.DISARM, counter=44, issued_ms=UTC + 5_000))
        assert [one[:2] for one in await truck.results()] == [
            (41, OrderResult.REPLAYED),
            (43, DONE),
            (42, OrderResult.REPLAYED),
            (44, DONE),  # the counter stands again, and is enough
        ]


async def test_until_the_time_is_known_a_closed_door_stays_closed(tmp_path: Path) -> None:
    async with on_the_road(tmp_path, warm_s=1) as truck:
        await truck.outbox.remember({"door": b"\x01"}, truck.way.moment())
        await truck.give(words(counter=5))
        await truck.run(5)
        await truck.give(words(counter=6, issued_ms=UTC + 5_000))
        assert [one[:2] for one in await truck.results()] == [
            (5, OrderResult.NO_TIME),
            (6, OrderResult.REPLAYED),
        ]


@pytest.mark.parametrize("name", ["counter", "order", "acting", "armed"])
async def test_e22_a_damaged_memory_is_a_lost_one(tmp_path: Path, name: str) -> None:
    clock = HandClock(BEGIN_MS)
    async with on_the_road(tmp_path, clock=clock) as truck:
        await truck.give(words(OrderKind.ARM, counter=9))
        cell = truck.outbox.memory(name)
        flipped = bytes([*(cell or b"\x00" * 12)[:-1], (cell or b"\x00")[-1] ^ 1])
        await truck.outbox.remember({name: flipped}, truck.way.moment())
    clock.now += 60_000
    async with on_the_road(tmp_path, clock=clock) as truck:
        await truck.give(words(counter=10, issued_ms=UTC + 20_000))
        await truck.give(words(counter=11, issued_ms=UTC + clock.now, movement=MOVEMENT))
        await truck.run(3)
        assert [one[:2] for one in await truck.results()][1:] == [
            (10, OrderResult.REPLAYED),
            (11, DONE),
        ]


async def test_e22_a_counter_that_has_vanished_is_a_lost_one(tmp_path: Path) -> None:
    clock = HandClock(BEGIN_MS)
    async with on_the_road(tmp_path, clock=clock) as truck:
        await truck.give(words(OrderKind.DISARM, counter=9))
        await truck.outbox.remember({"counter": None}, truck.way.moment())
    clock.now += 60_000
    async with on_the_road(tmp_path, clock=clock) as truck:
        await truck.give(words(counter=5, issued_ms=UTC + clock.now))  # below the last that ended
        await truck.give(words(counter=10, issued_ms=UTC + 20_000))
        assert [one[:2] for one in await truck.results()][1:] == [
            (5, OrderResult.REPLAYED),
            (10, OrderResult.REPLAYED),
        ]


async def test_e22_writing_over_the_damage_does_not_open_the_door(tmp_path: Path) -> None:
    clock = HandClock(BEGIN_MS)
    async with on_the_road(tmp_path, clock=clock) as truck:
        await truck.outbox.remember({"counter": b"damaged!"}, truck.way.moment())
    clock.now += 60_000
    async with on_the_road(tmp_path, clock=clock, warm_s=1) as truck:
        await truck.give(words(counter=5))  # NoTime: its record mends the cells
        await truck.run(5)
        await truck.give(words(counter=6, issued_ms=UTC + 20_000))
        assert [one[:2] for one in await truck.results()] == [
            (5, OrderResult.NO_TIME),
            (6, OrderResult.REPLAYED),
        ]


async def test_what_is_not_certainly_ours_is_counted_and_nothing_else(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        foreign = replace(words(), unit_id="uz-other")
        assert truck.orders.take(b"noise").refused is Reason.BAD_ENVELOPE
        assert truck.orders.take(signed(foreign)).refused is Reason.WRONG_UNIT
        message = bytearray(signed(words()))
        message[-1] ^= 1
        assert truck.orders.take(bytes(message)).refused is Reason.BAD_SIGNATURE
        await truck.run(1)
        assert await truck.results() == []


async def test_more_orders_than_can_wait_are_not_heard_out(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        for counter in range(1, 20):
            truck.orders.take(signed(words(counter=counter, area=FAR)))
        await truck.turn()
        assert len(await truck.results()) == 16
        assert truck.orders.counters["not_heard_out"] == 3
