"""What systemd itself says of our units."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.live

SYSTEMD = Path(__file__).resolve().parents[2] / "configs" / "systemd"
SERVICES = ("plomba-agent", "plomba-collector", "plomba-mark-good")


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    return found


def copied(name: str, folder: Path) -> Path:
    """The unit, with a program that is there: what it would run is installed elsewhere."""
    text = (SYSTEMD / f"{name}.service").read_text(encoding="utf-8")
    path = folder / f"{name}.service"
    path.write_text(re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    return path


def test_systemd_reads_them_without_a_word(analyze: str, tmp_path: Path) -> None:
    paths = [str(copied(name, tmp_path)) for name in SERVICES]
    done = subprocess.run(
        [analyze, "verify", "--man=no", *paths], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["plomba-agent", "plomba-collector"])
def test_a_service_is_well_shut_in(analyze: str, tmp_path: Path, name: str) -> None:
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=30", str(copied(name, tmp_path))],
        capture_output=True,
        text=True,
        check=False,
    )
    if "Unknown" in done.stderr or "unrecognized" in done.stderr:
        pytest.skip("this systemd-analyze cannot judge a unit offline")
    assert done.returncode == 0, done.stdout[-400:]
