"""The wheel holds the console as it was built, or says that it holds none. From the wheel alone: no checkout beside it."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from collector.api.static import built
from tests.live.browser import missing

pytestmark = pytest.mark.live

HOUSE = Path(__file__).resolve().parents[2]
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
    """A wheel of this checkout, by the build backend itself."""
    pip = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    done = subprocess.run(
        [sys.executable, *pip, "--wheel-dir", str(folder), str(HOUSE)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    shutil.rmtree(HOUSE / "build", ignore_errors=True)  # what the backend leaves in the checkout
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
    """CONSOLE section 11: 500 KiB packed with map and worker, own code 60."""
    if not built():
        missing("the built console", "make web")
    sizes = {
        name: len(asset.packed() or asset.data)
        for name, asset in built().items()
        if name.endswith((".js", ".css"))
        and not name.startswith(("en-", "ru-", "uz-", "places-"))  # words and towns are data
    }
    assert any(name.startswith("maplibre-gl-worker-") for name in sizes)
    assert sum(sizes.values()) <= 500 * 1_024, sizes
    own = sum(size for name, size in sizes.items() if name.startswith(("index-", "worker-")))
    assert own <= 60 * 1_024, sizes
