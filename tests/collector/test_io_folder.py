"""One collector a directory, found by the operator's commands; troubles are told once."""

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from collector.io.backoff import PAUSE_MS_MAX, PAUSE_MS_MIN, SOUND_MS, Trouble
from collector.io.folder import ADDRESS, FolderError, hold, make, running, tell


def test_a_directory_has_one_collector_at_a_time(tmp_path: Path) -> None:
    with hold(tmp_path):
        with pytest.raises(FolderError, match=r"its pid is not known yet.*--data"), hold(tmp_path):
            pass
        tell(tmp_path, "http://127.0.0.1:8480")
        with pytest.raises(FolderError, match=f"pid {os.getpid()}"), hold(tmp_path):
            pass
    with hold(tmp_path):
        pass


def test_the_running_collector_is_found_and_a_dead_one_is_not(tmp_path: Path) -> None:
    assert running(tmp_path) is None
    with hold(tmp_path):
        tell(tmp_path, "http://127.0.0.1:8480")
        there = running(tmp_path)
        assert there is not None
        assert (there.pid, there.api_url) == (os.getpid(), "http://127.0.0.1:8480")
    assert running(tmp_path) is None


@pytest.mark.parametrize("text", ["", "x", "1 2 3", "-", "\xff"])
def test_an_address_that_cannot_be_read_is_nobodys(tmp_path: Path, text: str) -> None:
    (tmp_path / ADDRESS).write_bytes(text.encode("latin-1"))
    assert running(tmp_path) is None


def test_an_address_of_a_process_that_is_gone_is_nobodys(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / ADDRESS).write_text(f"{gone.pid} http://127.0.0.1:1\n")
    assert running(tmp_path) is None


def test_a_directory_is_made_for_its_owner_and_one_that_cannot_be_is_said(tmp_path: Path) -> None:
    make(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o077 == 0
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="name a directory"):
        make(tmp_path / "file")


def test_a_trouble_is_told_when_it_begins_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    trouble = Trouble(what="broker")
    pauses = [trouble.failed("refused", now_ms) for now_ms in range(0, 10_000, 1_000)]
    trouble.works(12_500)
    trouble.works(13_000)
    assert [record.getMessage() for record in caplog.records] == [
        "broker lost: refused; trying again",
        "broker back after 12.5 s",
    ]
    assert pauses[:3] == [0.2, 0.4, 0.8]
    assert pauses[-1] == PAUSE_MS_MAX / 1_000


def test_what_held_for_long_is_tried_again_at_once() -> None:
    trouble = Trouble(what="broker")
    for _ in range(9):
        trouble.failed("refused", 0)
    assert trouble.failed("cut", 0, held_ms=SOUND_MS) == PAUSE_MS_MIN / 1_000


async def test_the_lock_of_a_block_that_was_cancelled_is_free(tmp_path: Path) -> None:
    async def keep() -> None:
        with hold(tmp_path):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(keep())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with hold(tmp_path):
        pass
