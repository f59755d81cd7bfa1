"""Once at most: the unit dies at every named point of an order's life, and any course of events acts once on one counter."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings, strategies as st

from agent.app.kill import APP_POINTS
from agent.io.inbox import Inbox
from agent.io.serial_port import SerialPort
from agent.io.words import PortSettings
from agent.orders.book import Book, read_book
from agent.orders.means import means_of
from agent.orders.steward import Steward
from agent.orders.words import Scene, State, Step
from agent.outbox import KILL_POINTS
from agent.recorder.settings import Role
from devices import Fact, SealAnswer, SealEvent, SealReport
from devices.eseal import EsealReader, RemoteUnlock
from devices.jt701 import Jt701Reader, UnlockStatic
from firmware_sim.ct_c import CtC
from firmware_sim.eseal import Jt701d
from firmware_sim.seal_settings import SealSpec
from firmware_sim.world import Track, Vertex, World
from tests.agent.facts import UTC, at, report
from tests.agent.orders_rig import (
    BEGIN_MS,
    SEAL,
    HandClock,
    Truck,
    new_seal,
    on_the_road,
    secret_file,
    twin,
    words,
)
from tests.agent.outbox_rig import image
from wire.orders import OrderKind, OrderResult

ESEAL = "2000001"
ENDS = {OrderResult.DONE, OrderResult.FAILED, OrderResult.SEAL_SILENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """The unit died here: what its disk holds, and the lock as it stands."""

    point: str
    nth: int
    folder: Path
    seal: Jt701d
    heard: int  # unlocks that the lock has heard
    now: int


class Deaths:
    """Takes an image of the disk and of the lock at every named point."""

    def __init__(self, folder: Path) -> None:
        self.taken: list[Death] = []
        self.truck: Truck | None = None
        self._folder = folder

    def __call__(self, point: str) -> None:
        if self.truck is None or len(self.taken) >= 60:
            return
        name = f"death-{len(self.taken)}"
        place = self._folder / name
        place.mkdir()
        image(self._folder / "outbox", place / "outbox")
        self.taken.append(
            Death(
                point=point,
                nth=sum(one.point == point for one in self.taken),
                folder=place,
                seal=twin(self.truck.wire.seal),
                heard=len(self.truck.wire.acts()),
                now=self.truck.clock.now,
            )
        )


async def the_end_of(death: Death, password: Path, pause_s: float, *, centre_repeats: bool) -> None:
    """Start again there: the lock has heard it once at most, and one record says what became of it."""
    clock = HandClock(death.now + round(pause_s * 1000))
    async with on_the_road(
        death.folder, seal=death.seal, clock=clock, secrets={SEAL: password}, warm_s=5
    ) as truck:
        before = await truck.results()
        acting = truck.outbox.memory("acting") is not None
        if centre_repeats:
            await truck.give(words())
        await truck.run(130)
        results = await truck.results()
        heard = death.heard + len(truck.wire.acts())
        assert heard <= 1, death
        committed = bool(before) or acting
        assert len(results) == (1 if committed or centre_repeats else 0), (death, results)
        if committed and not before:
            assert results[0][2] == "restart", death
            opened = death.heard == 1
            assert results[0][1] == (OrderResult.DONE if opened else OrderResult.FAILED), death
        assert all(result in ENDS for _, result, _ in results)
        assert truck.orders.idle


@pytest.mark.long
@pytest.mark.parametrize(("pause_s", "centre_repeats"), [(2, False), (2, True), (45, True)])
async def test_e28_killed_at_each_point_the_seal_hears_it_once_at_most(
    tmp_path: Path, *, pause_s: float, centre_repeats: bool
) -> None:
    deaths = Deaths(tmp_path)
    async with on_the_road(tmp_path, at=deaths, seal=new_seal()) as truck:
        deaths.truck = truck
        await truck.give(words())
        await truck.run(1)
        assert await truck.results() == [(1, OrderResult.DONE, "")]
        deaths.truck = None
    hit = {one.point for one in deaths.taken}
    assert hit >= {"order:judged", "order:committed", "order:said", "order:ended"}
    assert hit >= {"store:begin", "store:signed", "store:inserted", "store:committing"}
    assert hit <= {*APP_POINTS, *KILL_POINTS}
    password = secret_file(tmp_path)
    for death in deaths.taken:
        await the_end_of(death, password, pause_s, centre_repeats=centre_repeats)


# any course of events

SEALS_WORDS: list[Fact] = [
    SealAnswer(at_ms=0, seal_id=SEAL, command="P43", ok=True),
    SealAnswer(at_ms=0, seal_id=SEAL, command="P43", ok=False),
    SealAnswer(at_ms=0, seal_id=SEAL, command="P43", ok=None),
    SealAnswer(at_ms=0, seal_id="other", command="P43", ok=True),
    report(seal_id=SEAL, locked=True),
    report(seal_id=SEAL, locked=False),
    report(seal_id=SEAL, locked=None),
    *(
        SealEvent(
            at_ms=0,
            seal_id=SEAL,
            protocol="jt701",
            time_ms=UTC,
            kind="access",
            source=source,
            opened=opened,
            locked=False if opened else None,
        )
        for source in ("static_password", "card")
        for opened in (True, False)
    ),
]
COURSE = st.lists(
    st.one_of(
        st.tuples(st.just("order"), st.integers(1, 4), st.sampled_from([1, 2, 3])),
        st.tuples(st.just("hear"), st.sampled_from(SEALS_WORDS)),
        st.tuples(st.just("wait"), st.sampled_from([100, 5_000, 30_000, 61_000, 125_000])),
        st.tuples(st.just("restart"), st.booleans()),  # whether the last commit had come through
        st.tuples(st.just("refuse"), st.integers(1, 4)),
    ),
    max_size=40,
)


class Course:
    """A steward and its store; every step may be lost before its commit."""

    def __init__(self) -> None:
        self.cells: dict[str, bytes] = {}
        self.now = 0
        self.acts: list[int] = []  # counters that were acted on
        self.ends: list[tuple[bytes, int]] = []
        self.dies = False
        self.steward = self._start()

    def _start(self) -> Steward:
        return Steward(read_book(self.cells.get), mono_ms=self.now)

    def restart(self) -> None:
        before = self.steward.book
        self.steward = self._start()
        assert self.steward.book == before  # what is in the store is all that was believed
        assert self.steward.state in {State.IDLE, State.ASKING}

    def carry_out(self, step: Step | None, *, lost: bool = False) -> None:
        if step is None or lost:
            return
        for name, value in step.memory.items():
            if value is None:
                self.cells.pop(name, None)
            else:
                self.cells[name] = value
        if step.ended is not None:
            self.ends.append((step.ended.order_id, step.ended.result))
        self.steward.committed(step, at(self.now))
        if step.say is not None and step.say.acts:
            acting = self.steward.book.acting
            assert acting is not None
            assert self.cells["counter"]
            assert acting.counter == self.steward.book.counter
            self.acts.append(acting.counter)

    def take(self, event: tuple[object, ...]) -> None:
        match event:
            case ("order", int(counter), int(kind)):
                self._order(counter, kind)
            case ("refuse", int(counter)):
                self._order(counter, OrderKind.UNLOCK, moving=True)
            case ("hear", SealAnswer() | SealReport() | SealEvent() as fact):
                self.carry_out(self.steward.hear(fact, at(self.now)))
            case ("wait", int(pause_ms)):
                self.now += pause_ms
                self.carry_out(self.steward.wake(at(self.now), "jt701"))
            case ("restart", bool(lost)):
                step = self.steward.wake(at(self.now), "jt701")
                self.carry_out(step, lost=lost)
                self.restart()
            case _:
                raise AssertionError(event)

    def _order(self, counter: int, kind: int, *, moving: bool = False) -> None:
        from wire.orders import UnitState, refusal  # noqa: PLC0415  # beside the room's own words
        from wire.topics import Down  # noqa: PLC0415  # as above

        order = words(kind, counter=counter)
        state = UnitState(
            unit_id=order.unit_id,
            now_ms=UTC + 1,
            time_quality=3,
            counter=self.steward.book.counter,
            config_version=0,
            movement=None,
            seals=frozenset({SEAL}),
            place=None,
        )
        refused = refusal(order, topic_what=Down.ORDER, state=state)
        reason = None if refused is None or refused.reason.value == "NoFix" else refused.reason
        scene = Scene(
            moment=at(self.now), protocol="jt701", password="p", moving=moving
        )  # a test's
        self.carry_out(self.steward.take(order, reason, scene))


@given(course=COURSE)
@settings(max_examples=300)
def test_e28_any_course_of_events_acts_once_at_most_on_a_counter(
    course: list[tuple[object, ...]],
) -> None:
    world = Course()
    for event in course:
        world.take(event)
        assert len(world.acts) == len(set(world.acts))
        assert world.acts == sorted(world.acts)
    world.now += 300_000
    world.carry_out(world.steward.wake(at(world.now), "jt701"))
    assert world.steward.state is State.IDLE  # everything has an end
    done = [id_ for id_, result in world.ends if result != OrderResult.REPLAYED]
    assert len(done) == len(set(done))  # and one only
    acted = {counter.to_bytes(16, "big") for counter in world.acts}
    assert acted <= set(done)


@given(course=COURSE, cut=st.integers(0, 60), bit=st.integers(0, 7))
@settings(max_examples=200)
def test_e22_a_flipped_bit_in_the_memory_of_orders_is_seen(
    course: list[tuple[object, ...]], cut: int, bit: int
) -> None:
    world = Course()
    for event in course:
        world.take(event)
    for name, cell in world.cells.items():
        if name == "door":
            continue
        flipped = bytearray(cell)
        flipped[cut % len(cell)] ^= 1 << bit
        book = read_book({**world.cells, name: bytes(flipped)}.get)
        assert book.damaged
        assert book != read_book(world.cells.get)


def test_an_eseal_opens_by_its_own_word_and_says_so_by_its_own_event() -> None:
    track = Track(vertices=(Vertex(t_ms=0, lat=41.0, lon=69.0),))
    spec = SealSpec(id=ESEAL, protocol="eseal", armed=True)
    seal = CtC(spec, World(track), start_ms=UTC, seed=1)
    reader, course = EsealReader(seal_id=ESEAL), Course()
    scene = Scene(moment=at(5_000), protocol="eseal")
    said = 0
    for world_ms in range(0, 90_000, 250):
        if (due_ms := seal.next_due_ms()) is not None and due_ms <= world_ms:
            seal.wake(world_ms)
        for fact in reader.feed(b"".join(one.data for one in seal.take()), world_ms):
            if isinstance(fact, SealAnswer | SealReport | SealEvent):
                course.carry_out(course.steward.hear(fact, at(world_ms)))
        if world_ms == 65_000:  # it has reported, so its prefix is known
            step = course.steward.take(words(seal=ESEAL), None, scene)
            assert step is not None
            course.carry_out(step)
            assert step.say is not None
            assert isinstance(step.say.order, RemoteUnlock)
            reader.order(step.say.order, world_ms)
        if out := reader.take_bytes():
            said += b"RC-Unlock" in out
            seal.feed(out, world_ms)
    assert (said, course.ends) == (1, [((1).to_bytes(16, "big"), OrderResult.DONE)])
    assert seal.truth(90_000)["seal"] == "opened"


def test_a_seal_whose_language_has_no_such_order_is_not_opened() -> None:
    assert means_of("jt808", one_time=None, static="p") == "jt808 cannot be told to open"
    assert means_of(None, one_time="p", static="p") == "no line to this seal"
    assert means_of("jt701", one_time=None, static=None) == "no password"


class Line:
    """The far end of a port: what was written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.written.append(data)
        return len(data)


async def test_e28_what_no_open_port_took_in_ten_seconds_is_never_said(tmp_path: Path) -> None:
    clock, line = HandClock(BEGIN_MS), Line()
    port = SerialPort(
        PortSettings(
            name="seal", device=str(tmp_path / "x"), protocol="jt701", role=Role.SEAL, baud=9_600
        ),
        reader=Jt701Reader(seal_id=SEAL),
        clock=clock,
        inbox=Inbox(asyncio.get_running_loop()),
    )
    said: list[int] = []
    assert not port.is_open
    assert port.order(UnlockStatic(password="late"), lambda: said.append(1))
    clock.now += 10_001
    assert port.order(UnlockStatic(password="now"), lambda: said.append(2))
    assert port.order(UnlockStatic(password="a,b"), lambda: said.append(3))  # cannot be said
    port._say_orders(line)  # type: ignore[arg-type]  # the port has come
    port._say_orders(line)  # type: ignore[arg-type]  # as above
    assert (line.written, said) == ([b"(P43,now)"], [2])
    assert all(port.order(UnlockStatic(password="many")) for _ in range(16))
    assert not port.order(UnlockStatic(password="many"))


def test_an_empty_store_is_an_empty_book() -> None:
    assert read_book(lambda _name: None) == Book()


def run(work: Callable[[Path], object]) -> None:
    """A coroutine in a folder of its own, for laws that are no coroutines."""
    with TemporaryDirectory() as folder:
        result = work(Path(folder))
        assert asyncio.iscoroutine(result)
        asyncio.run(result)


@pytest.mark.long
@given(
    silences=st.lists(st.integers(0, 20), max_size=3),
    counters=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    dies=st.lists(
        st.sampled_from(["order:judged", "order:committed", "order:said", "order:ended"]),
        max_size=3,
    ),
)
@settings(max_examples=10, deadline=None)  # each is minutes of a truck's time
def test_e28_the_lock_hears_each_counter_once_through_any_crashes(
    silences: list[int], counters: list[int], dies: list[str]
) -> None:
    async def drive(folder: Path) -> None:
        seal, clock = new_seal(), HandClock(BEGIN_MS)
        heard: list[bytes] = []
        for turn, point in enumerate([*dies, ""]):
            results: list[tuple[int, int, str]] = []

            def killer(name: str, point: str = point) -> None:
                if name == point:
                    raise KilledError

            try:
                async with on_the_road(folder, seal=seal, clock=clock, at=killer) as truck:
                    truck.wire.heard = heard
                    if turn < len(silences):
                        truck.wire.open = silences[turn] % 2 == 0
                    for counter in counters:
                        await truck.give(words(counter=counter))
                        await truck.run(2)
                    await truck.run(130)
                    results = await truck.results()
            except KilledError:
                continue
            ends = [one for one in results if one[1] in ENDS]
            assert len({one[0] for one in ends}) == len(ends)
        acts = [data for data in heard if b"(P43" in data]
        assert len(acts) <= len(set(counters))

    run(drive)


class KilledError(Exception):
    """The process is gone."""
