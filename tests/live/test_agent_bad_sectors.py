"""Single sectors of the card that cannot be read, in any place of the store: what they hide is confessed, the rest is kept.

The kernel's word for it is EIO, and SQLite's is another in each place; the sector is made by a library before libc, and a skip says
if there is no compiler.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.agent.facts import at
from tests.agent.outbox_rig import batch, image, opened

pytestmark = pytest.mark.live

HERE = Path(__file__).parent
COUNT = 200
PAGE = 1_024


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler: apt-get install gcc")
    made = tmp_path_factory.mktemp("library") / "bad_sector.so"
    words = ["cc", "-shared", "-fPIC", "-o", str(made), str(HERE / "bad_sector.c"), "-ldl"]
    subprocess.run(words, check=True)
    return made


async def killed(root: Path, count: int = COUNT, text_bytes: int = 10) -> Path:
    """A store as a kill leaves it: half of it brought home, half in its WAL."""
    rng = Random(count)
    async with opened(root / "was") as outbox:
        for number in range(count - 1):
            text = rng.randbytes(text_bytes).hex()
            await outbox.store(batch(text, urgent=number % 7 == 3), at(2_000 + number))
            if number == count // 2:
                await outbox._writer.store.checkpoint()
        return image(root / "was", root / "disk")


def play(
    library: Path,
    disk: Path,
    *more: str,
    sector: tuple[str, int] | None = None,
) -> dict[str, int]:
    sectors = disk.parent / "sectors"
    sectors.touch()
    if sector is not None:
        name, offset = sector
        sectors.write_text(f"{(disk / name).stat().st_ino} {offset}\n")
    words = [sys.executable, "-m", "tests.live.sick_card", str(disk), str(disk.parent / "run")]
    env = os.environ | {"LD_PRELOAD": str(library), "BAD_SECTORS": str(sectors)}
    done = subprocess.run([*words, *more], check=False, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("sector", "back_min"),
    [
        (("outbox.db-wal", 0), COUNT // 2),
        (("outbox.db-wal", 30 * (PAGE + 24)), COUNT // 2),
        (("outbox.db", 20 * PAGE), COUNT - 40),
        (("outbox.db", 0), 0),  # without the header nothing can be found, and that is told
    ],
    ids=["the WAL's header", "a frame of the WAL", "a page of rows", "the file's header"],
)
async def test_e04_a_start_on_a_bad_sector_keeps_the_disk_and_loses_what_the_sector_hides(
    tmp_path: Path, library: Path, sector: tuple[str, int], back_min: int
) -> None:
    disk = await killed(tmp_path)
    found = play(library, disk, sector=sector)
    assert (found["spilled"], found["damaged"], found["aside"]) == (False, 1, 1), found
    assert found["rows"] >= back_min, found


async def test_e04_a_sector_that_goes_bad_under_a_running_unit_is_met_once(
    tmp_path: Path, library: Path
) -> None:
    count = 700  # more than the cache holds
    disk = await killed(tmp_path, count, text_bytes=400)
    found = play(library, disk, str(20 * PAGE))
    assert (found["spilled"], found["spills"], found["aside"]) == (False, 0, 1), found
    assert found["rows"] >= count - 40, found
