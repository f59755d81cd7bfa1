"""The demo: its script is held against what was found, its screen says old and unknown, its link can be cut."""

import asyncio
import contextlib
import io
import tomllib
from pathlib import Path

import pytest
from rich.console import Console

import configs
from bench.accounts import Found
from plomba.demo.incidents import SCRIPT, SCRIPT_S, faults_of, raised
from plomba.demo.link import Link
from plomba.demo.show import TruckView, View, draw

SAMPLES = Path(configs.__file__).parent / "demo"


def found(unit: str, code: str, phase: str = "begin", level: str = "alert") -> Found:
    return Found(
        id=f"{unit}{code}".encode()[:16],
        n=0,
        code=code,
        level=level,
        phase=phase,
        unit=unit,
        at_ms=1_000,
        received_ms=2_500,
        late=False,
        value=None,
    )


SCRIPTED = [found(incident.unit, incident.code) for incident in SCRIPT]


def test_a_run_that_raised_the_script_once_has_no_fault() -> None:
    others = [
        found("demo-2", "ROUTE_LEFT", "point", "record"),
        found("demo-2", "ROUTE_DEVIATION", "end"),
    ]
    assert faults_of([*SCRIPTED, *others], SCRIPT_S) == []


def test_what_is_missing_doubled_or_unscripted_is_a_fault() -> None:
    assert len(faults_of(SCRIPTED[1:], SCRIPT_S)) == 1
    assert len(faults_of([*SCRIPTED, SCRIPTED[0]], SCRIPT_S)) == 1
    assert len(faults_of([*SCRIPTED, found("demo-1", "LOG_INTEGRITY", "point")], SCRIPT_S)) == 1


def test_a_run_that_ended_early_misses_nothing_but_may_double_nothing() -> None:
    assert faults_of([], SCRIPT_S - 1) == []
    assert len(faults_of([SCRIPTED[0], SCRIPTED[0]], 5)) == 1
    assert raised(SCRIPTED) == {(incident.unit, incident.code): 1 for incident in SCRIPT}


def test_every_scripted_truck_has_its_scenario_and_its_road() -> None:
    shapes = (SAMPLES / "demo.geojson").read_text()
    for incident in SCRIPT:
        scenario = tomllib.loads((SAMPLES / f"{incident.unit}.toml").read_text())
        assert incident.code in (SAMPLES / f"{incident.unit}.toml").read_text()
        assert scenario["seal"]["id"].startswith("80006200")
        assert f'"unit": "{incident.unit}"' in shapes


def text_of(view: View) -> str:
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(draw(view))
    return console.export_text()


def test_the_screen_shows_unknown_as_unknown_and_old_as_old() -> None:
    known = TruckView(
        unit="demo-1",
        link_up=True,
        running=True,
        records=7,
        waiting=1,
        covered=3,
        lat=41.2,
        lon=69.2,
        age_s=1.0,
    )
    unknown = TruckView(
        unit="demo-3", link_up=False, running=False, records=None, waiting=None, covered=None
    )
    text = text_of(View(played_s=31.0, trucks=[known, unknown], findings=SCRIPTED[:1]))
    assert "41.20000 69.20000" in text
    assert "1 s old" in text
    assert "unknown" in text
    assert "cut" in text
    assert "SEAL_OPEN_UNAUTHORISED" in text
    assert "told 1.5 s after it happened" in text


async def ended(reader: asyncio.StreamReader) -> bool:
    """True if the connection is gone; whether by an end or a reset is the kernel's affair."""
    try:
        return await reader.read(1) == b""
    except OSError:
        return True


async def test_a_link_relays_until_it_is_cut_and_again_when_it_is_mended() -> None:
    heard: list[bytes] = []
    gone = asyncio.Semaphore(0)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(100):
                heard.append(data)
                writer.write(data)
        writer.close()
        gone.release()

    far = await asyncio.start_server(echo, "127.0.0.1", 0)
    near = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = near.sockets[0].getsockname()[1]
    near.close()
    link = Link(port=port, broker_port=far.sockets[0].getsockname()[1])
    await link.mend()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"one")
    assert await reader.read(10) == b"one"
    await link.cut()
    assert await ended(reader)
    writer.close()
    with pytest.raises(OSError):  # noqa: PT011  # refused
        await asyncio.open_connection("127.0.0.1", port)
    await link.mend()
    _, again = await asyncio.open_connection("127.0.0.1", port)
    again.write(b"two")
    await again.drain()
    for _ in range(100):
        if heard == [b"one", b"two"]:
            break
        await asyncio.sleep(0.01)
    assert heard == [b"one", b"two"]
    again.close()
    await link.cut()
    for _ in range(2):  # both conversations have ended at the far end too
        await asyncio.wait_for(gone.acquire(), 5)
    far.close()
    await asyncio.sleep(0)
