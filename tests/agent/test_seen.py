"""What goes by on the way of the facts, for page, counters and keeper (EDGE section 9)."""

from pathlib import Path

from agent import Kept
from agent.app.seen import SEALS_MAX, Seen
from agent.outbox import OutboxDiskError
from agent.recorder.facts import PowerSource, PowerState
from devices import SealAlive
from tests.agent.facts import at
from tests.agent.orders_rig import SEAL, on_the_road
from tests.agent.outbox_rig import batch
from wire.records import EventKind, EventRecord


def test_the_newest_of_each_is_remembered_and_all_is_counted() -> None:
    seen = Seen()
    for number in range(SEALS_MAX + 3):
        seen.heard(SealAlive(at_ms=0, seal_id=f"s{number}"), number)
    assert len(seen.seals_heard) == SEALS_MAX
    assert "s0" not in seen.seals_heard
    seen.heard(PowerState(source=PowerSource.BATTERY), 5)
    assert seen.power == PowerState(source=PowerSource.BATTERY)
    assert seen.facts == {"SealAlive": SEALS_MAX + 3, "PowerState": 1}


def test_urgent_records_leave_their_time_and_unknown_kinds_a_name() -> None:
    seen = Seen()
    record = EventRecord(kind=99, t_ms=0, mono_ms=0, data=())
    seen.kept([Kept(record=record)], 11)
    seal = EventRecord(kind=EventKind.SEAL, t_ms=0, mono_ms=0, data=())
    seen.kept([Kept(record=seal, urgent=True)], 9)
    assert seen.urgent_mono_ms == 9
    assert seen.records == {"kind 99": 1, "seal": 1}


async def test_on_the_road_the_seal_is_heard_and_the_task_turns(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        assert SEAL in truck.way.seen.seals_heard
        assert truck.way.seen.facts["Fix"] >= 4
        assert truck.way.turned_mono_ms == truck.clock.now
        dues = truck.way.deadlines()
        assert set(dues) >= {"timekeeper", "recorder", "sealer"}
        late = [due for due in dues.values() if due is not None and due < truck.clock.now]
        assert late == []


async def test_commit_errors_are_counted_for_ever(tmp_path: Path) -> None:
    sick = False

    def refuse(name: str) -> None:
        if sick and name == "store:begin":
            raise OutboxDiskError("the disk refuses")

    async with on_the_road(tmp_path, at=refuse) as truck:
        sick = True
        storing = truck.way.storing
        storing.add(batch("x"))
        closed = storing.waiting.hold_first()
        assert closed is not None
        for _ in range(3):
            assert await storing._try_to_store(closed) is None
        assert truck.outbox.memory("commit_errors") is None
        sick = False
        assert await storing._try_to_store(closed) is not None
        assert truck.way.storing.commit_errors_ever == 3
        await truck.outbox.close(at(9_000), clean=False)
    async with on_the_road(tmp_path, boot_no=2) as truck:
        assert truck.way.storing.commit_errors_ever == 3
