"""`plomba-agent outbox`: every signature looked at, nothing changed, laid out as a bundle (EDGE section 13)."""

import fcntl
import json
import sqlite3
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from agent import Identity
from agent.__main__ import main
from agent.app.identity import load, make
from tests.agent.facts import at
from tests.agent.outbox_rig import (
    RECEIPT_PUBLIC,
    SMALL,
    UNIT,
    batch,
    image,
    opened,
    receipt,
    sound,
    stop_batch,
)
from wire.envelope import Key
from wire.hello import SoundHello, judge as judge_hello
from wire.topics import Up, up

BATCHES = 24
ORDER_PUBLIC = b"o" * 32


class Unit:
    """A unit on a disk, with an outbox that no agent holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.config = folder / "unit.toml"
        self.outbox = self.state / "outbox"
        self.config.write_text(
            f'[unit]\nid = "{UNIT}"\nstate_dir = "{self.state}"\nrun_dir = "{folder}/run"\n'
            '[uplink]\nservers = ["mqtt://127.0.0.1"]\n'
        )
        self.state.mkdir()
        make(
            self.state / "identity",
            unit_id=UNIT,
            receipt_key=RECEIPT_PUBLIC,
            order_key=ORDER_PUBLIC,
        )

    @property
    def identity(self) -> Identity:
        return load(self.state / "identity", UNIT).identity

    async def live(self, *, covered: int, clean: bool) -> None:
        """Some batches, a receipt for the first of them, and a stop or a power cut."""
        async with opened(self.outbox, who=self.identity, settings=SMALL) as outbox:
            for number in range(BATCHES):
                await outbox.store(batch(f"door {number}", urgent=number == 15), at(2_000))
            chain = outbox.chains()[-1]
            head = await outbox.head_at(chain.chain_id, covered)
            assert head is not None
            outbox.cover(*receipt(chain.chain_id, covered, head))
            await outbox.flush(at(3_000))
            if clean:
                await outbox.store(stop_batch(), at(4_000))
                await outbox.close(at(4_000), clean=True)
            else:
                image(self.outbox, self.folder / "cut")
        if not clean:
            image(self.folder / "cut", self.outbox)

    def run(self, *arguments: str) -> int:
        return main(["outbox", *arguments, "--config", str(self.config)])


@pytest.fixture
async def stopped(tmp_path: Path) -> Unit:
    unit = Unit(tmp_path)
    await unit.live(covered=9, clean=True)
    return unit


@pytest.fixture
async def cut(tmp_path: Path) -> Unit:
    unit = Unit(tmp_path)
    await unit.live(covered=9, clean=False)
    assert (unit.outbox / "outbox.db-wal").stat().st_size > 0
    return unit


def lies(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def damage(unit: Unit, sql: str, *values: object) -> None:
    with sqlite3.connect(unit.outbox / "outbox.db") as connection:
        connection.execute(sql, values)
    connection.close()


def envelopes(folder: Path) -> dict[int, bytes]:
    return {int(path.stem): path.read_bytes() for path in folder.glob("batches/*/*.cose")}


def test_an_export_is_a_bundle_with_every_envelope_as_it_was_signed(
    stopped: Unit, tmp_path: Path
) -> None:
    before, out = lies(stopped.outbox), tmp_path / "stick"
    assert stopped.run("export", str(out)) == 0
    assert lies(stopped.outbox) == before
    found = envelopes(out)
    assert sorted(found) == list(range(BATCHES + 2))  # genesis and stop besides
    head = None
    for number in sorted(found):
        one = sound(found[number], stopped.identity)
        assert head in (None, one.header.prev)
        head = one.head
    bundle = json.loads((out / "bundle.json").read_text())
    assert (bundle["format"], bundle["kind"], bundle["unit"]) == (1, "unit", UNIT)
    said = {
        str(path.relative_to(out)): sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file() and path.name != "bundle.json"
    }
    assert bundle["files"] == said
    assert len([*out.glob("receipts/1-*.cose")]) == 1
    (hello,) = out.glob("hellos/*.cose")
    key = Key(unit_id=UNIT, public_key=stopped.identity.public_key)
    judged = judge_hello(hello.read_bytes(), up(UNIT, Up.HELLO), lambda _: key)
    assert isinstance(judged, SoundHello)
    assert (judged.hello.batch_no, judged.hello.head) == (BATCHES + 1, head)


def test_after_a_power_cut_the_file_is_read_and_stays_as_it_lay(
    cut: Unit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = lies(cut.outbox)
    assert cut.run("export", str(tmp_path / "stick")) == 0
    assert cut.run("stats", "--json") == 0
    assert lies(cut.outbox) == before
    assert len(envelopes(tmp_path / "stick")) == BATCHES + 1
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["waiting"], said["urgent"]) == (BATCHES + 1, BATCHES - 9, 1)
    (chain,) = said["chains"]
    assert (chain["first"], chain["last"], chain["covered"]) == (0, BATCHES, 9)


def test_unsent_and_from_choose_rows(stopped: Unit, tmp_path: Path) -> None:
    assert stopped.run("export", str(tmp_path / "unsent"), "--unsent") == 0
    assert min(envelopes(tmp_path / "unsent")) == 10
    assert stopped.run("export", str(tmp_path / "late"), "--from", str(BATCHES + 1)) == 0
    assert sorted(envelopes(tmp_path / "late")) == [BATCHES, BATCHES + 1]


@pytest.mark.parametrize("at_byte", [0, 30, 150, -1])
def test_e22_a_row_with_one_flipped_byte_is_named_and_left_out(
    stopped: Unit, tmp_path: Path, at_byte: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(stopped.outbox / "outbox.db") as connection:
        ((envelope,),) = connection.execute("SELECT envelope FROM batch WHERE no = 20")
        torn = bytearray(envelope)
        torn[at_byte] ^= 1
        connection.execute("UPDATE batch SET envelope = ? WHERE no = 20", (bytes(torn),))
    connection.close()
    assert stopped.run("export", str(tmp_path / "stick")) == 6
    assert set(range(BATCHES + 2)) - set(envelopes(tmp_path / "stick")) == {20}
    assert "batch 20 does not bear our signature" in capsys.readouterr().err
    assert stopped.run("stats", "--json") == 6
    assert json.loads(capsys.readouterr().out)["bad"] == 1
    assert stopped.run("stats", "--fast") == 0  # the newest is sound


def test_missing_numbers_are_told(
    stopped: Unit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(stopped, "DELETE FROM batch WHERE no BETWEEN 12 AND 14")
    assert stopped.run("export", str(tmp_path / "stick")) == 1
    assert "3 numbers missing" in capsys.readouterr().err
    assert stopped.run("stats") == 0
    assert "missing            3" in capsys.readouterr().out


def test_a_batch_in_anothers_place_is_no_batch(stopped: Unit, tmp_path: Path) -> None:
    damage(stopped, "UPDATE batch SET no = 99 WHERE no = 20")
    assert stopped.run("export", str(tmp_path / "stick")) == 6
    assert 99 not in envelopes(tmp_path / "stick")


def test_of_a_file_with_a_dead_page_both_ends_are_read(
    stopped: Unit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stopped.outbox / "outbox.db"
    data = bytearray(path.read_bytes())
    where = data.find(b"door 20") // 1024 * 1024  # the page of a row in the middle
    data[where : where + 1024] = bytes(1024)
    path.write_bytes(data)
    assert stopped.run("export", str(tmp_path / "stick")) == 6
    found = envelopes(tmp_path / "stick")
    assert 0 in found
    assert BATCHES + 1 in found
    assert len(found) >= BATCHES - 8  # of 1,024 bytes hold three or four rows
    assert "malformed" in capsys.readouterr().err


def test_a_file_that_was_set_aside_is_exported_without_a_hello(
    stopped: Unit, tmp_path: Path
) -> None:
    aside = stopped.outbox / "outbox.bad-1"
    (stopped.outbox / "outbox.db").rename(aside)
    assert stopped.run("export", str(tmp_path / "stick"), "--store", str(aside)) == 0
    assert len(envelopes(tmp_path / "stick")) == BATCHES + 2
    assert not (tmp_path / "stick" / "hellos").exists()


async def test_what_waits_for_the_word_stays_at_home(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = Unit(tmp_path)
    await unit.live(covered=9, clean=False)
    async with opened(unit.outbox, boot_no=2, who=unit.identity, settings=SMALL) as outbox:
        assert outbox.at_home is not None
        at_home = outbox.chains()[-1].chain_id.hex()
        await outbox.store(batch("of the new chain"), at(5_000))
        image(unit.outbox, tmp_path / "now")
    image(tmp_path / "now", unit.outbox)
    assert unit.run("export", str(tmp_path / "stick")) == 0
    assert not (tmp_path / "stick" / "batches" / at_home).exists()
    assert len(envelopes(tmp_path / "stick")) == BATCHES + 1
    assert "left out: 2 batches that wait" in capsys.readouterr().err


def test_no_store_a_full_folder_and_a_held_store(
    stopped: Unit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").touch()
    assert stopped.run("export", str(full)) == 1
    assert stopped.run("export", str(tmp_path / "y"), "--store", str(tmp_path / "none")) == 3
    with (stopped.outbox / "agent.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert stopped.run("stats") == 3
        assert "held by an agent" in capsys.readouterr().err
    (stopped.outbox / "outbox.db").write_bytes(b"this is none")
    assert stopped.run("stats") == 6
    stopped.outbox.rename(tmp_path / "gone")
    assert stopped.run("stats") == 3


@pytest.mark.parametrize(
    "spoil",
    [lambda data: data[:3_000], lambda data: bytes(len(data)), lambda _: b""],
    ids=["cut short", "zeros", "empty"],
)
def test_any_file_gets_an_answer(
    stopped: Unit, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    path = stopped.outbox / "outbox.db"
    path.write_bytes(spoil(path.read_bytes()))
    assert stopped.run("stats") in {3, 6}
    assert stopped.run("export", str(tmp_path / "stick")) in {3, 6}
