"""A real nats-server under the collector's care."""

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from collector.io.broker import Broker, BrokerError, BrokerSettings, end_orphan, find_binary
from tests.live.collector_world import (
    embedded,
    free_port,
    is_alive,
    kill_9,
    pid_of_broker,
    running,
    until,
)

pytestmark = pytest.mark.live


async def test_it_ends_with_us(tmp_path: Path) -> None:
    async with running(embedded(tmp_path)):
        pid = pid_of_broker(tmp_path)
        assert is_alive(pid)
    assert not is_alive(pid)


async def test_killed_it_comes_back_and_the_log_hears_of_it_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with running(embedded(tmp_path)) as broker:
        first = pid_of_broker(tmp_path)
        kill_9(first)
        await until(lambda: broker.starts == 2)
        await asyncio.wait_for(broker.url(), 20)
        assert pid_of_broker(tmp_path) != first
    said = [record.getMessage().split(" ")[:2] for record in caplog.records]
    assert said == [["broker", "died"], ["broker", "back"]]


async def test_killed_while_it_starts_it_is_started_again_as_one_that_was_killed_later(
    tmp_path: Path,
) -> None:
    real = find_binary(BrokerSettings())
    binary = tmp_path / "nats-server"
    binary.write_text(
        f'#!/bin/sh\n[ -e {tmp_path}/born ] || {{ touch {tmp_path}/born; kill -9 $$; }}\nexec {real} "$@"\n'
    )
    binary.chmod(0o755)
    broker = Broker(BrokerSettings(mqtt_port=free_port(), binary=binary), tmp_path / "broker")
    task = asyncio.create_task(broker.run())
    try:
        await asyncio.wait_for(broker.url(), 20)
        assert broker.starts == 2
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_its_store_may_be_wiped_under_it(tmp_path: Path) -> None:
    async with running(embedded(tmp_path)) as broker:
        kill_9(pid_of_broker(tmp_path))
        shutil.rmtree(tmp_path / "broker" / "store")
        await until(lambda: broker.starts == 2)
        await asyncio.wait_for(broker.url(), 20)
        assert (tmp_path / "broker" / "store").is_dir()


async def test_a_taken_port_is_said_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=f"127.0.0.1:{port} is taken.*--mqtt-port"):
            await Broker(BrokerSettings(mqtt_port=port), tmp_path / "broker").run()


async def test_a_binary_that_is_no_broker_is_said(tmp_path: Path) -> None:
    settings = BrokerSettings(mqtt_port=free_port(), binary=Path("/bin/false"))
    with pytest.raises(BrokerError, match="does not start"):
        await Broker(settings, tmp_path / "broker").run()


KEEPER = """
import asyncio, sys
from pathlib import Path
from collector.io.broker import Broker, BrokerSettings
asyncio.run(Broker(BrokerSettings(mqtt_port=int(sys.argv[2])), Path(sys.argv[1]) / "broker").run())
"""


async def test_a_collector_killed_with_9_leaves_no_orphan(tmp_path: Path) -> None:
    port = free_port()
    keeper = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KEEPER, str(tmp_path), str(port)
    )
    await until((tmp_path / "broker" / "broker.pid").exists)
    pid = pid_of_broker(tmp_path)
    kill_9(keeper.pid)
    await keeper.wait()
    await until(lambda: not is_alive(pid))


async def test_a_next_start_ends_an_orphan_and_touches_no_stranger(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    async with running(embedded(tmp_path)):
        config = folder / "nats.conf"
    binary = find_binary(BrokerSettings())
    assert binary is not None
    orphan = await asyncio.create_subprocess_exec(
        binary, "-c", str(config), start_new_session=True, stderr=asyncio.subprocess.DEVNULL
    )
    await until(lambda: (folder / "broker.pid").exists() and pid_of_broker(tmp_path) == orphan.pid)
    async with running(embedded(tmp_path)):
        assert await orphan.wait() is not None
    stranger = folder / "stranger.pid"
    stranger.write_text(str(os.getpid()))
    await end_orphan(stranger, config)
    assert is_alive(os.getpid())
