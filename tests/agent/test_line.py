"""The task between outbox and broker, over a real outbox and with nobody to dial (EDGE section 1)."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from agent.app.identity import tls_files
from agent.app.line import REFUSED_MS, Line
from agent.app.log import Troubles
from agent.app.opening import StartError, open_outbox
from agent.config import of_text
from agent.io.mqtt import Heard, LineEvent
from agent.outbox import Outbox, OutboxDiskError
from tests.agent.facts import at
from tests.agent.outbox_rig import ME, batch, no_op, opened
from tests.agent.test_config import SMALLEST
from wire import Reason, Refused
from wire.topics import Down, down


def line_of(outbox: Outbox, folder: Path, troubles: Troubles, clock: list[int]) -> Line:
    return Line(
        config=of_text(SMALLEST),
        identity=ME,
        receipt_keys={},
        orders=cast("Any", None),  # nothing comes down
        tls=tls_files(folder),
        outbox=outbox,
        rng=Random(1),
        moment=lambda: at(clock[0]),
        new_config=lambda _version, _text: None,
        post=lambda _fact: None,
        changed=lambda _state: None,
        shrink=lambda _size: None,
        troubles=troubles,
        program="test",
        at=no_op,
    )


async def turns(line: Line, reached: Callable[[], bool]) -> None:
    """Let it run until then."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(line.run(stop), name="line")
        while not reached():
            line.nudge()
            await asyncio.sleep(0)
        stop.set()
        line.nudge()


async def test_a_store_that_refuses_is_no_end_of_the_line_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as outbox:
        troubles = Troubles()
        clock = [5_000]
        line = line_of(outbox, tmp_path, troubles, clock)
        monkeypatch.setattr(line._dialler, "dial", lambda _number, _server: None)
        asked: list[int] = []
        take_beside = outbox.take_beside

        def refuses(below_pos: int | None = None) -> list[Any]:
            asked.append(len(asked))
            if len(asked) <= 3:
                raise OutboxDiskError("disk I/O error, told by the test")
            return take_beside(below_pos)

        monkeypatch.setattr(outbox, "take_beside", refuses)
        line.stored(await outbox.store(batch("urgent", urgent=True), at(4_000)))
        await turns(line, lambda: len(asked) >= 3)
        assert line.counters["store_refused"] == 3
        assert "line_without_store" in troubles
        clock[0] += REFUSED_MS
        await turns(line, lambda: len(asked) >= 5)
        assert line.counters["store_refused"] == 3
        assert "line_without_store" not in troubles


async def test_a_flood_from_the_broker_does_not_keep_the_line_from_its_deadlines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as outbox:
        clock = [5_000]
        line = line_of(outbox, tmp_path, Troubles(), clock)
        monkeypatch.setattr(line._dialler, "dial", lambda _number, _server: None)
        flood = LineEvent(connection=0, heard=Heard.MESSAGE, topic=down("uz-0042", Down.RECEIPT))
        told: list[int] = []

        async def judged(_message: bytes, _keys: object) -> Refused:
            told.append(len(told))
            clock[0] += 1_000
            line.deliver(flood)  # for each that is judged another is there
            await asyncio.sleep(0)
            return Refused(reason=Reason.BAD_ENVELOPE)

        monkeypatch.setattr(outbox, "judge_receipt", judged)
        for _ in range(100):
            line.deliver(flood)
        await turns(line, lambda: line.counters["dials"] > 0 or len(told) > 2_000)
        assert line.counters["dials"]
        assert clock[0] - line.turned_mono_ms <= 100_000, "and it is seen that it moves"


async def test_a_start_that_cannot_be_says_what_to_do_and_to_each_trouble_its_own(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "state"
    config = of_text(
        SMALLEST.replace(
            "[unit]\n", f'[unit]\nstate_dir = "{folder}"\nrun_dir = "{tmp_path / "no"}"\n'
        )
    )
    (tmp_path / "no").write_text("this is no folder", encoding="utf-8")
    enrolled = cast("Any", type("Enrolled", (), {"identity": ME}))
    async with opened(config.outbox_dir):
        with pytest.raises(StartError, match=r"another agent: stop it, or set unit\.state_dir$"):
            await open_outbox(config, enrolled, at(1_000), no_op)
    (config.outbox_dir / "outbox.db").unlink()
    (config.outbox_dir / "outbox.db").mkdir()
    with pytest.raises(StartError, match=r"/no/spill/outbox.db: Not a directory; make it ours"):
        await open_outbox(config, enrolled, at(2_000), no_op)
