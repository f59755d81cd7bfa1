"""The whole collector as a process: batches in, receipts out, and nothing lost or twice when things are killed."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from collector.io import clock
from tests.collector.fleet import FleetUnit, fix
from tests.live.collector_world import (
    free_port,
    is_alive,
    kill_9,
    mosquitto,
    pid_of_broker,
    until,
    until_async,
)
from wire import Refused
from wire.envelope import kid_of
from wire.receipts import ChainKnown, Receipt, judge

pytestmark = pytest.mark.live

KILLED_AFTER_COMMIT = """
import os, signal, sys
from pathlib import Path
from collector.app.intake import Intake
from collector.app.run import start
from collector.config import read

async def die(self, way, result):
    if result.acks:
        os.kill(os.getpid(), signal.SIGKILL)

Intake._after = die
data, mqtt_port, api_port = sys.argv[1:]
start(read(data_dir=Path(data), mqtt_port=int(mqtt_port), api_port=int(api_port)))
"""


class Site:
    """A data directory with its ports, a collector that can be started, and the operator's commands."""

    def __init__(self, folder: Path, config: str = "") -> None:
        self.data = folder / "data"
        self.log = folder / "collector.log"
        self.mqtt_port, self.api_port = free_port(), free_port()
        self.config = folder / "collector.toml"
        self.token = folder / "operator.token"
        self.config.write_text(config)
        self.process: asyncio.subprocess.Process | None = None

    @contextlib.asynccontextmanager
    async def running(self, *, script: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
        run = [
            "-m",
            "plomba",
            "collector",
            "run",
            "--data",
            str(self.data),
            "--config",
            str(self.config),
        ]
        run += ["--mqtt-port", str(self.mqtt_port), "--api-port", str(self.api_port)]
        if script:
            run = ["-c", script, str(self.data), str(self.mqtt_port), str(self.api_port)]
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *run, stdout=log, stderr=log, start_new_session=True
            )
        try:
            await until_async(self.is_ready, 30)
            if not self.token.exists():
                assert (await self.plomba("login", "--local"))[0] == 0
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                await asyncio.wait_for(process.wait(), 15)

    async def is_ready(self) -> bool:
        try:
            return (await self.asked("/healthz"))["ok"] is True
        except OSError:
            return False

    async def health(self) -> dict[str, Any]:
        return await self.asked("/api/v1/health", self.token.read_text().strip())

    async def asked(self, path: str, token: str = "") -> dict[str, Any]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.api_port)
        words = [f"GET {path} HTTP/1.0", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
        writer.write("".join(f"{word}\r\n" for word in [*words, ""]).encode())
        answer = await reader.read()
        writer.close()
        found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
        return found

    async def plomba(self, *words: str, as_json: bool = False) -> tuple[int, str, str]:
        more = ["--data", str(self.data), *(["--json"] if as_json else [])]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "plomba",
            *words,
            *more,
            env={**os.environ, "PLOMBA_TOKEN_FILE": str(self.token)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, why = await process.communicate()
        assert process.returncode is not None
        return process.returncode, said.decode(), why.decode()

    async def rows(self, *words: str) -> list[dict[str, Any]]:
        code, said, why = await self.plomba(*words, as_json=True)
        assert code == 0, why
        return [json.loads(line) for line in said.splitlines()]

    async def enrol(self, unit: FleetUnit) -> None:
        await self.rows("unit", "add", unit.unit_id, "--public-key", unit.public_key.hex())

    def stored(self) -> list[tuple[int, bytes]]:
        """Number and envelope of every batch in the store, parked ones too."""
        with contextlib.closing(sqlite3.connect(self.data / "collector.db")) as base:
            return base.execute(
                "select batch_no, envelope from batch union all select batch_no, envelope from parked order by 1"
            ).fetchall()

    def said(self) -> str:
        return self.log.read_text(errors="replace")


class Speaker:
    """A unit's connection, which judges receipts as a unit does."""

    def __init__(self, unit: FleetUnit, port: int, receipt_key: bytes) -> None:
        self.unit = unit
        self.receipts: list[Receipt] = []
        self._keys = {kid_of(receipt_key): receipt_key}
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        self._client.on_message = lambda _client, _data, message: self._hear(bytes(message.payload))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe(f"plomba/1/down/{unit.unit_id}/+", qos=0)

    def say(self, payload: bytes, lane: str = "batch") -> None:
        topic = f"plomba/1/up/{self.unit.unit_id}/{lane}"
        self._client.publish(topic, payload, qos=1).wait_for_publish(5)

    def covered(self) -> int:
        return max((receipt.through_batch_no for receipt in self.receipts), default=-1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _hear(self, message: bytes) -> None:
        heads = {one.batch_no: one.head for one in self.unit.sealed}
        known = ChainKnown(covered=-1, newest=max(heads), head_at=heads.get)
        receipt = judge(
            message,
            unit_id=self.unit.unit_id,
            receipt_keys=self._keys,
            chains={self.unit.chain_id: known},
        )
        assert not isinstance(receipt, Refused), receipt
        self.receipts.append(receipt)


@contextlib.asynccontextmanager
async def speaking(site: Site, unit: FleetUnit, port: int | None = None) -> AsyncIterator[Speaker]:
    keys = (await site.rows("collector", "keys"))[0]
    speaker = Speaker(unit, port or site.mqtt_port, bytes.fromhex(keys["receipt_key"]))
    try:
        yield speaker
    finally:
        speaker.close()


def unit_now(unit_id: str = "uz-0001") -> FleetUnit:
    """A unit whose clock stood ten minutes ago, since each batch moves it on by a minute."""
    return FleetUnit(unit_id=unit_id, clock_ms=clock.now_ms() // 1_000 * 1_000 - 600_000)


async def test_a_signed_batch_is_stored_and_then_receipted(tmp_path: Path) -> None:
    site, unit = Site(tmp_path), unit_now()
    async with site.running() as process:
        await site.enrol(unit)
        async with speaking(site, unit) as speaker:
            for sealed in (unit.begin(), unit.seal(), unit.seal()):
                speaker.say(sealed.envelope)
            await until(lambda: speaker.covered() == 2)
            assert [envelope for _, envelope in site.stored()] == [
                one.envelope for one in unit.sealed
            ]
            [row] = await site.rows("unit", "list")
            assert (row["unit"], row["lat"], row["old"]) == ("uz-0001", 41.3111, False)
            [shown] = await site.rows("unit", "show", "uz-0001")
            assert shown["chain"] == {"id": unit.chain_id.hex(), "through": 2}
            assert len(await site.rows("unit", "track", "uz-0001")) >= 1
            assert "41.311100, 69.279700" in (await site.plomba("unit", "list"))[1]
        broker = pid_of_broker(site.data)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
        assert not is_alive(broker)
    assert (await site.plomba("unit", "list"))[0] == 5


async def test_the_same_by_mosquitto(tmp_path: Path) -> None:
    port = free_port()
    config = f'[broker]\nembedded = false\n[mqtt]\nserver = "mqtt://127.0.0.1:{port}"\n'
    site, unit = Site(tmp_path, config), unit_now()
    (tmp_path / "mosquitto").mkdir()
    async with mosquitto(tmp_path / "mosquitto", port), site.running():
        await site.enrol(unit)
        async with speaking(site, unit, port) as speaker:
            for sealed in (unit.begin(), unit.seal(), unit.seal()):
                speaker.say(sealed.envelope)
            await until(lambda: speaker.covered() == 2)
            assert [number for number, _ in site.stored()] == [0, 1, 2]


async def test_a_broker_killed_with_its_store_wiped_costs_a_repetition_and_nothing_else(
    tmp_path: Path,
) -> None:
    site, unit = Site(tmp_path), unit_now()
    async with site.running():
        await site.enrol(unit)
        async with speaking(site, unit) as speaker:
            speaker.say(unit.begin().envelope)
            await until(lambda: speaker.covered() == 0)
        kill_9(pid_of_broker(site.data))
        shutil.rmtree(site.data / "broker" / "store", ignore_errors=True)
        await until(lambda: "broker link back" in site.said())
        async with speaking(site, unit) as speaker:
            for sealed in (unit.sealed[0], unit.seal()):
                speaker.say(sealed.envelope)
            await until(lambda: speaker.covered() == 1)
        assert [number for number, _ in site.stored()] == [0, 1]
        assert (await site.rows("alert", "list")) == []
    said = site.said()
    assert said.count("broker died") == said.count("broker back") == 1
    assert said.count("broker link lost") == said.count("broker link back") == 1


async def test_killed_between_commit_and_acknowledgement_it_receipts_the_duplicate_and_stores_once(
    tmp_path: Path,
) -> None:
    site, unit = Site(tmp_path), unit_now()
    first = unit.begin()
    async with site.running(script=KILLED_AFTER_COMMIT) as process:
        await site.enrol(unit)
        broker = pid_of_broker(site.data)
        async with speaking(site, unit) as speaker:
            speaker.say(first.envelope)
            assert await asyncio.wait_for(process.wait(), 15) == -signal.SIGKILL
            assert speaker.receipts == []
    assert [number for number, _ in site.stored()] == [0]
    await until(lambda: not is_alive(broker))
    async with site.running():
        # The stream gives it again by itself: this was said while nobody could hear the receipt, so the unit says it too.
        async with speaking(site, unit) as speaker:
            speaker.say(first.envelope)
            await until(lambda: speaker.covered() == 0)
        assert [number for number, _ in site.stored()] == [0]
        assert (await site.rows("alert", "list")) == []
        assert (await site.health())["counts"]["verdict.Duplicate"] >= 1


async def test_a_stranger_is_named_and_is_let_in_while_the_collector_runs(tmp_path: Path) -> None:
    site, unit = Site(tmp_path), unit_now("uz-0009")
    first = unit.begin()
    async with site.running(), speaking(site, unit) as speaker:
        speaker.say(first.envelope)
        await until(lambda: "plomba unit add uz-0009 --public-key HEX" in site.said())
        assert (await site.health())["refused"] == {"UnknownKey": 1}
        await site.enrol(unit)
        await asyncio.sleep(1.2)  # a key is looked for once a second
        speaker.say(first.envelope)
        await until(lambda: speaker.covered() == 0)
        _, told, _ = await site.plomba("doctor", "--json", "--api-port", str(site.api_port))
        lines = {row["check"]: row for row in map(json.loads, told.splitlines())}
        assert lines["collector"]["grade"] == "ok"
        assert lines["refused"]["found"] == "1 UnknownKey"


async def test_zones_are_in_force_while_the_collector_runs_and_an_alert_is_shown(
    tmp_path: Path,
) -> None:
    site, unit = Site(tmp_path), unit_now()
    ring = [[69.2, 41.3], [69.4, 41.3], [69.4, 41.4], [69.2, 41.4], [69.2, 41.3]]
    shapes = tmp_path / "zones.geojson"
    shapes.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [
                    {
                        "type": "Feature",
                        "properties": {"id": "depot", "kind": "forbidden"},
                        "geometry": {"type": "Polygon", "coordinates": [ring]},
                    }
                ],
            }
        )
    )
    async with site.running():
        await site.enrol(unit)
        assert (await site.rows("zone", "import", str(shapes))) == [{"version": 1, "zones": 1}]
        await until(lambda: "rules version 1 is in force" in site.said())
        # Facts are judged by the rules of their own time, so the drive begins now: 330 m north in 20 s.
        now_ms = clock.now_ms()
        outside = [fix(now_ms + 1_000 * s, 412_980_000, 693_000_000) for s in range(3)]
        inside = [
            fix(now_ms + 20_000 + 1_000 * s, 413_010_000 + 1_000 * s, 693_000_000) for s in range(5)
        ]
        async with speaking(site, unit) as speaker:
            for sealed in (unit.begin(), unit.seal(outside), unit.seal(inside)):
                speaker.say(sealed.envelope)
            await until(lambda: speaker.covered() == 2)
        alerts = await site.rows("alert", "list")
        assert [(row["code"], row["unit"], row["p"]["zone"]) for row in alerts] == [
            ("FORBIDDEN_ZONE", "uz-0001", "depot")
        ]
        assert "FORBIDDEN_ZONE" in (await site.plomba("alert", "list"))[1]


async def test_a_second_collector_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.running() as process:
        code, _, why = await site.plomba("collector", "run", "--api-port", str(free_port()))
        assert code == 1
        assert f"another collector runs on {site.data} (pid {process.pid})" in why


async def test_many_units_at_once_are_all_receipted(tmp_path: Path) -> None:
    site = Site(tmp_path)
    units = [unit_now(f"uz-{number:04}") for number in range(4)]
    async with site.running(), contextlib.AsyncExitStack() as stack:
        for unit in units:
            await site.enrol(unit)
        speakers = [await stack.enter_async_context(speaking(site, unit)) for unit in units]
        for speaker in speakers:
            unit = speaker.unit
            unit.begin()
            for _ in range(40):
                unit.seal()
        for speaker in speakers:
            for sealed in speaker.unit.sealed:
                await asyncio.to_thread(speaker.say, sealed.envelope)
        await until(lambda: all(speaker.covered() == 40 for speaker in speakers))
        assert len(site.stored()) == 4 * 41
