"""The centre's disk is full: nothing is receipted that is not stored, and everything goes on by itself once there is room."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.live.collector_world import until
from tests.live.test_collector_whole import Site, Speaker, speaking, unit_now

pytestmark = pytest.mark.live

DISK_MIB = 64


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, in memory."""
    folder.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size={DISK_MIB}m none {folder}") != 0:
        pytest.skip("a small disk can be mounted by root only")
    try:
        yield folder
    finally:
        os.system(f"umount -l {folder}")


def fill(folder: Path) -> Path:
    """Take every free byte."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4_096))
    return ballast


async def insist(site: Site, speaker: Speaker, until_no: int, seconds: float = 60) -> None:
    """Send as a unit does, again and again, until the newest has its receipt."""
    end = asyncio.get_running_loop().time() + seconds
    while speaker.covered() < until_no:
        assert asyncio.get_running_loop().time() < end, site.said()[-3_000:]
        try:
            async with speaking(site, speaker.unit) as again:
                for sealed in speaker.unit.sealed[speaker.covered() + 1 :]:
                    await asyncio.to_thread(again.say, sealed.envelope)
                await asyncio.sleep(1)
                speaker.receipts += again.receipts
        except (OSError, RuntimeError, ValueError):
            await asyncio.sleep(1)  # the broker is started anew just now


async def is_told(site: Site) -> bool:
    """Whether a seat in the control room hears that nothing is kept."""
    headers = {"Authorization": f"Bearer {site.token.read_text().strip()}"}
    url = f"http://127.0.0.1:{site.api_port}/api/v1/live/stream"
    async with (
        httpx.AsyncClient(timeout=20) as client,
        client.stream("GET", url, headers=headers) as seat,
    ):
        assert seat.status_code == 200
        async for line in seat.aiter_lines():
            if '"ingest_age_s"' in line:
                return '"kept":false' in line
    return False


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    with small_disk(tmp_path / "disk") as disk:
        site = Site(tmp_path)
        site.data = disk / "data"
        yield site


async def test_a_disk_that_fills_up_costs_time_and_nothing_else(site: Site) -> None:
    unit = unit_now()
    async with site.running() as process:
        await site.enrol(unit)
        async with speaking(site, unit) as speaker:
            for sealed in (unit.begin(), unit.seal(), unit.seal()):
                speaker.say(sealed.envelope)
            await until(lambda: speaker.covered() == 2)
            ballast = fill(site.data.parent)
            for _ in range(200):
                sealed = unit.seal()
                with contextlib.suppress(Exception):
                    await asyncio.to_thread(speaker.say, sealed.envelope)
            await asyncio.sleep(5)
            assert process.returncode is None
            stored = {number for number, _ in site.stored()}
            assert speaker.covered() <= max(stored)
            assert not await site.is_ready()
            code, said, _ = await site.plomba("collector", "status")
            assert (code, "keeps NOTHING since" in said) == (6, True)
            assert await is_told(site)
            ballast.unlink()
            await insist(site, speaker, 202)
            assert await site.is_ready()
            code, said, _ = await site.plomba("collector", "status")
            assert (code, "keeps what comes" in said) == (0, True)
            assert [number for number, _ in site.stored()] == list(range(203))


async def test_it_stops_on_a_full_disk_and_says_at_the_next_start_what_to_do(site: Site) -> None:
    unit = unit_now()
    async with site.running() as process:
        await site.enrol(unit)
        async with speaking(site, unit) as speaker:
            speaker.say(unit.begin().envelope)
            await until(lambda: speaker.covered() == 0)
        ballast = fill(site.data.parent)
        process.terminate()
        await asyncio.wait_for(process.wait(), 15)
    assert process.returncode == 0
    fill(site.data.parent)
    run = ["collector", "run", "--config", str(site.config), "--mqtt-port", str(site.mqtt_port)]
    code, _, why = await asyncio.wait_for(site.plomba(*run, "--api-port", str(site.api_port)), 30)
    assert code == 1
    assert "disk is full" in why
    assert "make room" in why
    ballast.unlink()
    async with site.running(), speaking(site, unit) as speaker:
        speaker.say(unit.seal().envelope)
        await until(lambda: speaker.covered() == 1)
