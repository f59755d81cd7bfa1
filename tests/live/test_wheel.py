"""The wheel holds the console as it was built, or says that it holds none. From the wheel alone: no checkout beside it."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from collector.api.static import built
from tests.live.browser import missing

pytestmark = pytest.mark.live

HOUSE = Path(__file__).resolve().parents[2]
DIST = HOUSE / "collector" / "web" / "dist"
SAY = """
import asyncio, json, sys
import collector
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from collector.api.static import add_console, built

async def page():
    api = FastAPI()
    add_console(api, built())
    async with AsyncClient(transport=ASGITransport(api), base_url="http://127.0.0.1") as client:
        return (await client.get("/")).text

print(json.dumps({"from": collector.__file__, "files": sorted(built()), "page": asyncio.run(page())}))
"""


def wheel(folder: Path, **environment: str) -> Path:
    """A wheel of this checkout, by the build backend itself; what that leaves behind lies where nobody else builds."""
    folder.mkdir()
    said = folder.with_name(f"{folder.name}.cfg")
    said.write_text(f"[build]\nbuild_base = {folder}-build\n[egg_info]\negg_base = {folder}\n")
    pip = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    done = subprocess.run(
        [sys.executable, *pip, "--wheel-dir", str(folder), str(HOUSE)],
        env=os.environ | environment | {"DIST_EXTRA_CONFIG": str(said)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [found] = folder.glob("*.whl")
    return found


def said_by(file: Path, folder: Path) -> dict[str, object]:
    """What the collector of a wheel serves at `/`."""
    with zipfile.ZipFile(file) as packed:
        packed.extractall(folder)
    done = subprocess.run(
        [sys.executable, "-c", SAY],
        env=os.environ | {"PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    said: dict[str, object] = json.loads(done.stdout)
    assert str(said["from"]).startswith(str(folder))
    return said


def test_a_wheel_brings_every_file_of_the_console(tmp_path: Path) -> None:
    if not built():
        missing("the built console", "make web")
    said = said_by(wheel(tmp_path / "wheel"), tmp_path / "out")
    assert said["files"] == sorted(built())
    page = str(said["page"])
    assert 'type="module"' in page
    assert not list((tmp_path / "out" / "collector" / "web").rglob("node_modules"))


def test_a_wheel_without_a_console_says_so(tmp_path: Path) -> None:
    said = said_by(wheel(tmp_path / "wheel", PLOMBA_WEB="skip"), tmp_path / "out")
    assert said["files"] == []
    assert "make web" in str(said["page"])


def test_what_the_first_screen_loads_is_within_its_budget() -> None:
    """CONSOLE section 11: 500 KiB packed with map and worker, own code 60; a screen that is opened later 40."""
    if not built():
        missing("the built console", "make web")
    parts = json.loads((DIST / ".vite" / "manifest.json").read_text(encoding="utf-8"))
    first = loads(parts, "console/room/Room.svelte")
    sizes = {name: packed(name) for name in first}
    workers = {name: packed(name) for name in built() if "worker-" in name}
    assert any(name.startswith("maplibre-gl-worker-") for name in workers)
    maps = {  # the chunk that calls for MapLibre's worker holds MapLibre, however it is named
        str(file).rpartition("/")[2]
        for part in parts.values()
        if any("maplibre-gl-worker" in str(file) for file in named(part, "assets"))
        for file in (part["file"], *named(part, "css"))
    }
    assert maps & set(sizes)
    whole = {**sizes, **workers}
    assert sum(whole.values()) <= 500 * 1_024, whole
    own = {
        name: size
        for name, size in whole.items()
        if name not in maps and not name.startswith("maplibre-gl")
    }
    assert sum(own.values()) <= 60 * 1_024, own
    screens = [name for name in parts if name.startswith("console/") and name.endswith(".svelte")]
    assert len(screens) > 1
    for screen in screens:
        later = loads(parts, screen) - first
        assert sum(packed(name) for name in later) <= 40 * 1_024, (screen, later)


def loads(
    parts: dict[str, dict[str, object]], name: str, seen: frozenset[str] = frozenset()
) -> set[str]:
    """The scripts and styles that come with a part of the build, as Vite's manifest has it."""
    part = parts[name]
    found = {str(file).rpartition("/")[2] for file in [part["file"], *named(part, "css")]}
    for other in named(part, "imports"):
        if other not in seen:
            found |= loads(parts, other, seen | {name})
    return found


def packed(name: str) -> int:
    asset = built()[name]
    return len(asset.packed() or asset.data)


def named(part: dict[str, object], key: str) -> list[str]:
    """A list of a part, which Vite leaves away where it is empty."""
    found = part.get(key, [])
    assert isinstance(found, list)
    return found
