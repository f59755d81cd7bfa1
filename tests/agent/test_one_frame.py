"""What one frame of a seal says is stored together: a part of it would pass for all of it when the lock says it again."""

from pathlib import Path

from agent import Kept
from agent.app.heard import FRAMES_BYTES_MAX, frames_of, of_one_frame
from agent.io.inbox import HeardFact
from agent.io.serial_port import are_of_one_frame
from agent.recorder.core import Recorder
from agent.recorder.settings import RecorderSettings
from devices import Fact, SealEvent
from devices.jt808 import Jt808Reader
from tests.agent.facts import at, events, fix_at
from tests.agent.orders_rig import Truck, on_the_road
from tests.agent.outbox_rig import all_rows, sound
from tests.devices.jt808_frames import batch, frame, place, tlv
from wire.records import EventKind

REPORTS = 26  # with the event of the first as many as a frame can hold
CUT = tlv(0x60, b"\x00\x11\x01")
KEPT_BY_THE_LOCK = frame(
    0x0704,
    batch(place(CUT), *(place(time=f"2611221816{at:02}") for at in range(1, REPORTS))),
)


async def hear(truck: Truck, facts: list[Fact]) -> list[tuple[int, int]]:
    """A machine so slow that an urgent batch is due between any two facts; (batches, events of seals) stored after each."""
    found = []
    for behind, fact in enumerate(facts, 1):
        truck.clock.now += 25
        now = truck.clock.now
        truck.way.hear(HeardFact(source="gps", mono_ms=now, fact=fix_at(now, east_m=0)))
        is_followed = are_of_one_frame(fact, facts[behind:])
        truck.way.hear(HeardFact(source="seal", mono_ms=now, fact=fact, is_followed=is_followed))
        truck.way.wake()
        await truck.way.storing.work()
        found.append(await stored(truck))
    return found


async def stored(truck: Truck) -> tuple[int, int]:
    rows = await all_rows(truck.outbox, truck.clock.now)
    bodies = [sound(envelope).body for _, envelope in sorted(rows.items())]
    with_seals = [
        sum(event.kind in {EventKind.SEAL, EventKind.ACCESS} for event in body.events)
        for body in bodies
    ]
    return len([one for one in with_seals if one]), sum(with_seals)


async def test_all_that_a_frame_says_is_in_one_batch_and_nothing_of_it_is_stored_before(
    tmp_path: Path,
) -> None:
    async with on_the_road(tmp_path) as truck:
        facts = Jt808Reader().feed(KEPT_BY_THE_LOCK, truck.clock.now)
        assert len(facts) == REPORTS + 1
        assert isinstance(facts[0], SealEvent)
        before = await stored(truck)
        steps = await hear(truck, facts)
        assert set(steps[:-1]) == {before}
        truck.clock.now += 25
        truck.way.wake()
        await truck.way.storing.work()
        assert await stored(truck) == (before[0] + 1, before[1] + len(facts))
        rows = await all_rows(truck.outbox, truck.clock.now)
        again = Jt808Reader()
        frames = [*frames_of(envelope for _, envelope in sorted(rows.items()))]
        assert frames.count(KEPT_BY_THE_LOCK) == 1
        again.stored(KEPT_BY_THE_LOCK)
        assert again.feed(KEPT_BY_THE_LOCK, 0) == []
        assert again.take_bytes() == facts[-1].ack  # type: ignore[union-attr]  # the last bears it


async def test_a_stop_in_the_middle_of_a_frame_stores_what_was_heard_of_it(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        before = await stored(truck)
        facts = Jt808Reader().feed(KEPT_BY_THE_LOCK, truck.clock.now)
        await hear(truck, facts[:3])
        truck.way.hear(
            HeardFact(source="seal", mono_ms=truck.clock.now, fact=facts[3], is_followed=True)
        )
        await truck.way.stop(4)
        assert (await stored(truck))[1] == before[1] + 4


def test_a_frame_of_two_records_stays_in_both() -> None:
    short = frame(0x0200, place(CUT))
    facts = Jt808Reader().feed(short, 0)
    kept = kept_of(facts)
    assert len(kept) == 2
    assert of_one_frame(kept) == kept
    many = kept * (FRAMES_BYTES_MAX // len(short))
    assert [one.record.data[9] for one in of_one_frame(many)] == [  # type: ignore[union-attr]  # events all of them
        short,
        *[None] * (len(many) - 1),
    ]


def kept_of(facts: list[Fact]) -> list[Kept]:
    recorder = Recorder(RecorderSettings())
    kept = [one for fact in facts for one in recorder.take(fact, at(0), "seal")]
    return [one for one in kept if one.record in events(kept, EventKind.SEAL)]
