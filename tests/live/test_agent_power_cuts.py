"""Power cuts, from what the kernel was really asked to do (EDGE section 12): every prefix of the writes, and torn ones.

A child stores batches under strace and says after each that it is promised. Its writes are replayed into images: all up to a point, and
seeded subsets of the 512-byte sectors that no sync had covered yet. Each image starts and holds all that was promised by then.
"""

import asyncio
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from tests.agent.facts import at
from tests.agent.outbox_rig import all_rows, batch, opened, sound

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
BATCHES = 14
SUBSETS = 4  # of each sync interval; 200 in the night's run
SECTOR = 512
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
_FILE = re.compile(r"^\d+<([^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
CALLS = "pwrite64,write,fdatasync,fsync,ftruncate,rename,unlink"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing that the kernel was asked for, of a file in the store's folder."""

    what: str  # write, sync, cut, remove, promise
    name: str = ""
    data: bytes = b""
    at: int = 0


@dataclass(slots=True)
class Image:
    """What a disk holds: what was synced, and what is still on its way."""

    solid: dict[str, bytearray] = field(default_factory=dict)
    loose: list[Act] = field(default_factory=list)
    promised: int = 0

    def take(self, act: Act) -> None:
        match act.what:
            case "promise":
                self.promised += 1
            case "sync":
                for one in [one for one in self.loose if one.name == act.name]:
                    _apply(self.solid, one)
                self.loose = [one for one in self.loose if one.name != act.name]
            case _:
                self.loose.append(act)

    def whole(self) -> dict[str, bytearray]:
        """Everything has reached the disk."""
        files = {name: bytearray(data) for name, data in self.solid.items()}
        for act in self.loose:
            _apply(files, act)
        return files

    def torn(self, rng: Random) -> dict[str, bytearray]:
        """Of what no sync has covered some sectors have reached the disk, in any order."""
        files = {name: bytearray(data) for name, data in self.solid.items()}
        for act in self.loose:
            if act.what != "write":
                _apply(files, act)
                continue
            for begin in range(0, len(act.data), SECTOR):
                if rng.random() < 0.5:
                    part = act.data[begin : begin + SECTOR]
                    _apply(files, Act(what="write", name=act.name, data=part, at=act.at + begin))
        return files


def _apply(files: dict[str, bytearray], act: Act) -> None:
    if act.what == "remove":
        files.pop(act.name, None)
        return
    data = files.setdefault(act.name, bytearray())
    if act.what == "cut":
        del data[act.at :]
        data.extend(bytes(max(0, act.at - len(data))))
        return
    end = act.at + len(act.data)
    data.extend(bytes(max(0, end - len(data))))
    data[act.at : end] = act.data


async def child(folder: Path) -> None:
    """Under strace: stores, and promises after each."""
    promise = (folder.parent / "promise").open("ab", buffering=0)  # nobody else waits
    async with opened(folder) as outbox:
        promise.write(b"!")
        for number in range(BATCHES):
            text = Random(number).randbytes(100 + 30 * number).hex()
            await outbox.store(batch(text, urgent=number % 4 == 0), at(2_000 + number))
            promise.write(b"!")
            if number == 5:
                row = (await outbox.waiting())[0]
                envelope = await outbox.read(row.pos, at(2_500))
                assert envelope is not None
            if number == 8:
                await outbox.lay_in()  # zeros behind the newest frame of the WAL
    promise.close()


def record(folder: Path, log: Path) -> list[Act]:
    command = [
        *("strace", "-f", "-y", "-xx", "-s", "200000", "-e", f"trace={CALLS}", "-o", str(log)),
        *(sys.executable, "-c"),
        (
            "import asyncio, sys; from pathlib import Path;"
            " from tests.live.test_agent_power_cuts import child; asyncio.run(child(Path(sys.argv[1])))"
        ),
        str(folder),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        if "ptrace" in done.stderr:
            pytest.skip(f"strace may not trace here: {done.stderr.strip().splitlines()[-1]}")
        pytest.fail(done.stderr)
    acts = []
    for line in log.read_text().splitlines():
        match = _CALL.match(line)
        if match is not None and int(match[3]) >= 0:
            acts += _act(match[1], match[2], folder)
    return acts


def _act(call: str, arguments: str, folder: Path) -> list[Act]:
    if call in {"unlink", "rename"}:
        names = [Path(_text(one).decode()) for one in _TEXT.findall(arguments)]
        return [Act(what="remove", name=names[0].name)] if names[0].parent == folder else []
    found = _FILE.match(arguments)
    path = Path(_decode(found[1])) if found is not None else Path()
    if path.name == "promise" and call == "write":
        return [Act(what="promise")]
    if path.parent != folder or path.name == "agent.lock":
        return []
    if call in {"fsync", "fdatasync"}:
        return [Act(what="sync", name=path.name)]
    if call == "ftruncate":
        return [Act(what="cut", name=path.name, at=int(arguments.rsplit(",", 1)[1]))]
    data = _TEXT.search(arguments)
    assert data is not None
    where = int(arguments.rsplit(",", 1)[1]) if call == "pwrite64" else 0
    return [Act(what="write", name=path.name, data=_text(data[1]), at=where)]


def _text(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def _decode(path: str) -> str:
    return _text(path).decode() if path.startswith("\\x") else path


def check(files: dict[str, bytearray], promised: list[bytes], folder: Path) -> None:
    """The unit starts, and what was promised is there byte for byte."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(bytes(data))

    async def start() -> None:
        async with opened(folder, boot_no=2, moment=at(9_000)) as outbox:
            rows = list((await all_rows(outbox, 9_001)).values())
            assert rows[: len(promised)] == promised
            assert not promised or outbox.stats().aside_files == 0
            genesis = [one for one in rows if sound(one).header.batch_no == 0]
            assert len(genesis) in {1, 2}

    asyncio.run(start())


def test_e03_every_power_cut_leaves_what_was_promised(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    folder = tmp_path / "store"
    acts = record(folder, tmp_path / "log")
    assert sum(act.what == "promise" for act in acts) == BATCHES + 1
    assert sum(act.what == "sync" for act in acts) > BATCHES

    async def truth() -> list[bytes]:
        async with opened(folder, moment=at(9_000)) as outbox:
            return list((await all_rows(outbox)).values())

    rows = asyncio.run(truth())
    zeros = [act for act in acts if act.name == "outbox.db-wal" and act.data == bytes(4_096)]
    assert len(zeros) > 50, "the WAL was laid in under strace too"
    image, rng, images = Image(), Random(12), 0
    for act in acts:
        if act.what == "sync":
            for _ in range(SUBSETS):
                check(image.torn(rng), rows[: image.promised], tmp_path / "image")
                images += 1
        image.take(act)
        if act.what != "promise":
            check(image.whole(), rows[: image.promised], tmp_path / "image")
            images += 1
    assert images > 100
