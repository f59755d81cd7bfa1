"""The build knows of which sources its result is, and leaves a machine without a network alone."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

WEB = Path(__file__).resolve().parents[3] / "collector" / "web"


def build_in(folder: Path) -> ModuleType:
    """build.py, over another folder."""
    spec = importlib.util.spec_from_file_location("web_build", WEB / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.__dict__.update(WEB=folder, DIST=folder / "dist", STAMP=folder / "dist" / ".stamp")
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("console", "locales", "basemap", "officer", "dist"):
        (tmp_path / name).mkdir()
    for name in ("package.json", "package-lock.json", "vite.config.ts", "tsconfig.json"):
        (tmp_path / name).write_text(name)
    for name in ("index.html", "tokens.css", "console/a.ts", "locales/en.json", "officer/qr.js"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_result_is_current_until_a_source_changes_its_text_or_its_name(folder: Path) -> None:
    build = build_in(folder)
    assert not build.is_current()
    build.STAMP.write_text(build.stamp() + "\n")
    assert build.is_current()
    (folder / "console" / "a.ts").rename(folder / "console" / "b.ts")
    assert not build.is_current()
    (folder / "console" / "b.ts").rename(folder / "console" / "a.ts")
    assert build.is_current()
    (folder / "tokens.css").write_text("tokens.CSS")
    assert not build.is_current()


def test_the_maker_of_the_basemap_is_no_source(folder: Path) -> None:
    build = build_in(folder)
    before = build.stamp()
    (folder / "basemap" / "make.py").write_text("pass")
    assert build.stamp() == before


def test_a_try_without_time_says_so_and_ends_well(tmp_path: Path) -> None:
    for name in ("collector/web", "requirements"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "collector/web/build.py").write_bytes((WEB / "build.py").read_bytes())
    (tmp_path / "requirements/web.txt").write_text("")
    done = subprocess.run(
        [sys.executable, tmp_path / "collector/web/build.py", "--try", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "the console was not built" in done.stderr
    assert "make web" in done.stderr


def test_the_basemap_bears_every_town_in_three_languages() -> None:
    text = (WEB / "basemap" / "places.json").read_text(encoding="utf-8")
    towns = json.loads(text)
    assert len(towns) > 150
    assert all(set(town["names"]) == {"en", "ru", "uz"} for town in towns)
    assert all(all(town["names"].values()) for town in towns)
    assert len({town["id"] for town in towns}) == len(towns)
    assert "\u2019" not in text
    assert "\u2018" not in text
