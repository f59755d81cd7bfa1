"""Messages to people through the real apprise, taken by a small HTTP receiver on this machine; a kill -9 in between."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from collector.io.notify import TargetSettings, send
from collector.store import notifications
from collector.store.database import Store
from collector.tick.ticker import Ticker
from plomba import exits
from plomba.__main__ import app
from tests.collector.fleet import ORDER_KEY, RECEIPT_KEY, Centre, FleetUnit
from tests.collector.test_tick import panic
from tests.live.collector_world import until
from tests.live.test_collector_whole import Site, speaking, unit_now

pytestmark = [
    pytest.mark.live,
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),  # apprise's
]

SECRET = "s3cret-path"
HOUSE = Path(__file__).resolve().parents[2]

SENDER = """
import asyncio, sys
from pathlib import Path
from random import Random
from collector.app.notifying import Notifying, begin
from collector.io.notify import TargetSettings, send
from collector.store.database import Store

async def main():
    settings = TargetSettings(name="desk", url_file=Path(sys.argv[2]))
    async with await Store.open(sys.argv[1]) as store:
        await begin(store, [settings])
        await Notifying(store=store, settings=settings, send=send, rng=Random(1)).serve()

asyncio.run(main())
"""


@dataclass(slots=True)
class Receiver:
    """What came, and how it is answered."""

    port: int = 0
    status: int = 200
    messages: list[dict[str, object]] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)
    answers: threading.Event = field(default_factory=threading.Event)  # cleared: it hangs


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    state = Receiver()
    state.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.messages.append(said)
            state.came.set()
            state.answers.wait(30)
            self.send_response(state.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its parent's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state
    state.answers.set()
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def url_file(tmp_path: Path, receiver: Receiver) -> Path:
    file = tmp_path / "desk.url"
    file.write_text(f"json://127.0.0.1:{receiver.port}/{SECRET}\n")
    file.chmod(0o600)
    return file


def test_a_message_reaches_the_receiver_word_for_word(url_file: Path, receiver: Receiver) -> None:
    assert asyncio.run(send(url_file, "P1 Пломба", "Oʻgʻirlik {x} <b>")) is None
    (said,) = receiver.messages
    assert said["title"] == "P1 Пломба"
    assert said["message"] == "Oʻgʻirlik {x} <b>"


@pytest.mark.parametrize("down", [False, True])
def test_a_service_that_refuses_or_is_away_is_said_without_the_url(
    url_file: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture, *, down: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.status = 500
    if down:
        url_file.write_text(f"json://127.0.0.1:1/{SECRET}\n")
    why = asyncio.run(send(url_file, "t", "b"))
    assert why is not None
    assert SECRET not in why
    assert SECRET not in caplog.text


def test_a_url_that_apprise_does_not_know_is_said_without_it(url_file: Path) -> None:
    url_file.write_text(f"nonsense://{SECRET}\n")
    why = asyncio.run(send(url_file, "t", "b"))
    assert why is not None
    assert "none that apprise knows" in why
    assert SECRET not in why


def test_the_command_tries_a_target(url_file: Path, receiver: Receiver, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        f'[[notify.target]]\nname = "desk"\nurl_file = "{url_file}"\nlanguage = "ru"\n'
    )

    def run(target: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["alert", "notify-test", target, "--config", str(config)])
        assert SECRET not in done.output
        return done.exit_code, done.output

    assert run("desk") == (exits.OK, "desk: taken\n")
    assert receiver.messages[0]["message"] == "Проверка адресата desk: тревоги нет."
    assert run("nobody")[0] == exits.NOT_FOUND
    receiver.status = 503
    assert run("desk")[0] == exits.UNREACHABLE
    url_file.chmod(0o644)
    assert run("desk")[0] == exits.FAILED


async def _alarmed(store_url: str) -> None:
    settings = TargetSettings(name="desk", url_file=Path("/nowhere"))
    async with await Store.open(store_url) as store:
        centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
        centre.ticker = Ticker(
            store=store,
            receipt_key=RECEIPT_KEY,
            order_key=ORDER_KEY,
            targets=(settings.target,),
        )
        await centre.enrol(unit)
        unit.begin()
        unit.seal([panic(unit)])
        centre.now_ms = 0  # due long ago, whatever the clock of the sender says
        await centre.hear(unit, *(sealed.envelope for sealed in unit.sealed))


async def _states(store_url: str) -> list[tuple[str, str]]:
    async with await Store.open(store_url) as store, store.read() as connection:
        return [(row.state, row.why) for row in await notifications.letters(connection)]


def _sender(store_url: str, url_file: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SENDER, store_url, str(url_file)], cwd=HOUSE)


async def test_a_sender_killed_while_the_service_hangs_says_nothing_twice(
    tmp_path: Path, url_file: Path, receiver: Receiver
) -> None:
    store_url = f"sqlite:///{tmp_path / 'c.db'}"
    await _alarmed(store_url)
    receiver.answers.clear()
    first = _sender(store_url, url_file)
    try:
        assert await asyncio.to_thread(receiver.came.wait, 30), "nothing was sent"
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait(10)
    receiver.answers.set()
    assert [state for state, _ in await _states(store_url)] == ["sending"]
    second = _sender(store_url, url_file)
    try:
        for _ in range(100):
            if [state for state, _ in await _states(store_url)] == ["dead"]:
                break
            await asyncio.sleep(0.2)
        await asyncio.sleep(3)  # three looks of the second sender
        assert second.poll() is None
    finally:
        second.kill()
        second.wait(10)
    assert await _states(store_url) == [("dead", notifications.INTERRUPTED)]
    assert len(receiver.messages) == 1


async def test_a_whole_collector_tells_the_desk_and_then_the_chief_and_nobody_twice(
    tmp_path: Path, url_file: Path, receiver: Receiver
) -> None:
    targets = (
        f'[[notify.target]]\nname = "desk"\nurl_file = "{url_file}"\nlanguage = "uz"\n'
        f'[[notify.target]]\nname = "chief"\nurl_file = "{url_file}"\nescalate_after_s = [2, 600]\n'
    )
    site, unit = Site(tmp_path, targets), unit_now()

    def titles() -> list[object]:
        return [said["title"] for said in receiver.messages]

    async with site.running() as process:
        await site.enrol(unit)
        async with speaking(site, unit) as speaker:
            for sealed in (unit.begin(), unit.seal([panic(unit)])):
                speaker.say(sealed.envelope)
            await until(lambda: len(titles()) == 2)
        desk, chief = titles()
        assert desk == f"P1 Haydovchi yordam soʻramoqda, {unit.unit_id}"
        assert chief == f"Not acknowledged: P1 Driver calls for help, {unit.unit_id}"
        await until(lambda: _sent(site) == 2)
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    async with site.running():
        (alert,) = await site.rows("alert", "list")
        (shown,) = await site.rows("alert", "show", str(alert["id"]))
        states = {(row["target"], row["step"]): row["state"] for row in shown["messages"]}
        assert states == {
            ("desk", "raise"): "sent",
            ("chief", "raise+2s"): "sent",
            ("chief", "raise+600s"): "waiting",
        }
        await asyncio.sleep(3)
    assert len(titles()) == 2
    assert SECRET not in site.said()


def _sent(site: Site) -> int:
    with contextlib.closing(sqlite3.connect(site.data / "collector.db")) as base:
        (count,) = base.execute("SELECT count(*) FROM notification WHERE state = 'sent'").fetchone()
    return int(count)
