"""EDGE section 10 and rows 18, 29 of section 11: settings by air, their probation, the way back."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, strategies as st

from agent import Moment, Quality
from agent.app import versions
from agent.app.versions import (
    Ignore,
    Instant,
    Refuse,
    Result,
    Take,
    Try,
    Verdict,
    Versions,
    Wait,
    judge,
)
from agent.app.versions_disk import Life, VersionFiles, first_life
from agent.app.versions_keeper import Keeper
from agent.config import BadConfigError, with_version
from agent.outbox import Outbox
from agent.recorder.facts import ConfigDone
from tests.agent.outbox_rig import all_rows, batch, opened

HOUR = 3_600_000
SAMPLE = (Path(__file__).parents[2] / "configs" / "agent" / "unit.toml").read_bytes()
SHA = b"s" * 32
BASE = '[unit]\nid = "uz-0042"\nstate_dir = "/STATE"\n[uplink]\nservers = ["mqtts://here.example.org"]\n'
GOOD = b"[sealer]\nrecords_min = 20\n"


def at(hours: float, boot_no: int = 1) -> Instant:
    return Instant(boot_no=boot_no, mono_ms=int(hours * HOUR))


def failed(tries: int, when: Instant, version: int = 5) -> Versions:
    return Versions(running=4, newest=version, tries=tries, failed=when)


FOUR = Versions(running=4, newest=4)
ON_TRIAL = Versions(running=4, newest=5, trial=5, trial_sha=SHA, tries=1)


@pytest.mark.parametrize(
    ("state", "version", "fault", "same", "now", "wanted"),
    [
        (Versions(), 1, "", False, at(0), Try()),
        (FOUR, 3, "", False, at(0), Ignore(why="older")),
        (FOUR, 4, "", False, at(0), Ignore(why="older")),
        (FOUR, 5, "", False, at(0), Try()),
        (FOUR, 5, "", True, at(0), Take()),
        (FOUR, 5, "sealer: no", False, at(0), Refuse(why="sealer: no")),
        (versions.refuse(FOUR, 5), 5, "", False, at(0), Ignore(why="refused before")),
        (versions.refuse(FOUR, 5), 6, "", False, at(0), Try()),
        (ON_TRIAL, 5, "", True, at(0), Ignore(why="on probation")),
        (ON_TRIAL, 6, "", False, at(0), Try()),
        (ON_TRIAL, 6, "", True, at(0), Try()),  # the same as what has proved nothing yet
        (failed(1, at(0)), 5, "", False, at(0.9), Wait(until_mono_ms=HOUR)),
        (failed(1, at(0)), 5, "", False, at(1), Try()),
        (failed(2, at(1)), 5, "", False, at(6.9), Wait(until_mono_ms=7 * HOUR)),
        (failed(2, at(1)), 5, "", False, at(7), Try()),
        (failed(3, at(1)), 5, "", False, at(99), Refuse(why="tried three times")),
        (failed(3, at(1)), 6, "", False, at(1), Try()),
        (failed(1, at(0)), 4, "", False, at(9), Ignore(why="older")),
        # The system has started since: how long it was off nobody knows, so the wait begins anew.
        (failed(1, at(50)), 5, "", False, at(0.5, boot_no=2), Wait(until_mono_ms=HOUR)),
        (failed(1, at(50)), 5, "", False, at(1, boot_no=2), Try()),
    ],
)
def test_e29_each_case_has_its_verdict(
    state: Versions,
    version: int,
    fault: str,
    same: bool,  # noqa: FBT001  # a column of the table above
    now: Instant,
    wanted: Verdict,
) -> None:
    assert judge(state, version, fault=fault, same=same, now=now) == wanted


def test_e29_a_version_is_tried_at_once_after_1_h_after_6_h_and_then_refused() -> None:
    state, tried_at = FOUR, []
    for minute in range(24 * 60):  # the retained topic says it again and again
        now = at(minute / 60)
        match judge(state, 5, fault="", same=False, now=now):
            case Try():
                tried_at.append(minute)
                state = versions.give_back(versions.begin(state, 5, SHA), now)
            case Refuse():
                state = versions.refuse(state, 5)
                tried_at.append(-minute)
            case _:
                pass
    assert tried_at == [0, 60, 420, -421]
    assert state.running == 4
    assert judge(state, 6, fault="", same=False, now=at(24)) == Try()


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["ok", "bad", "none"])), max_size=40))
def test_e29_whatever_is_said_no_version_is_tried_four_times_and_none_comes_back(
    said: list[tuple[int, str]],
) -> None:
    state, hours, tries, running = Versions(), 0, dict.fromkeys(range(1, 5), 0), [0]
    for version, outcome in said:
        hours += 7
        fault = "bad" if outcome == "bad" else ""
        match judge(state, version, fault=fault, same=False, now=at(hours)):
            case Try():
                tries[version] += 1
                state = versions.begin(state, version, SHA)
                if outcome == "ok":
                    state = versions.confirm(state)
                else:
                    state = versions.give_back(state, at(hours))
            case Refuse():
                state = versions.refuse(state, version)
            case _:
                pass
        assert versions.decode_cell(versions.encode_cell(state)) == state
        running.append(state.running)
    assert max(tries.values()) <= 3
    assert running == sorted(running)


@pytest.mark.parametrize("cell", [None, b"", b"\x00", b"\x97", versions.encode_cell(FOUR)[:-1]])
def test_a_memory_that_cannot_be_read_is_the_local_file(cell: bytes | None) -> None:
    assert versions.decode_cell(cell) == Versions()


# What may be said by air


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[unit]\nid = "uz-0043"\n', "unit"),
        ('[links.gps]\ndevice = "/dev/ttyS1"\n', "links"),
        ('[seals.1]\nsecret_file = "/x"\n', "seals"),
        ('[clock]\nchrony_sock = "/run/x"\n', "clock.chrony_sock"),
        ("[pins]\n", "pins"),
        ("[uplink]\nservers = []\n", "uplink.servers"),
        ("[uplink]\nwindow = 3\n", "uplink.window"),
        ("[sealer]\nrecords_min = 0\n", "sealer.records_min"),
        ("a = " + "[" * 4_000, ""),
        ("[a" + ".a" * 4_000 + "]\n", ""),
        ("a = " + "9" * 5_000, ""),
        ("x" * 100, ""),
    ],
)
def test_e18_a_version_says_pace_and_brokers_and_never_who_the_unit_is(text: str, key: str) -> None:
    with pytest.raises(BadConfigError) as raised:
        with_version(BASE, text)
    assert [error.key for error in raised.value.errors] == [key]


def test_what_a_version_does_not_say_stays_as_the_local_file_has_it() -> None:
    local = BASE + "[sealer]\nrecords_min = 7\nage_live_s = 9\n"
    config = with_version(local, "[sealer]\nrecords_min = 20\n")
    assert (config.sealer.records_min, config.sealer.age_live_s) == (20, 9)
    assert config.unit_id == "uz-0042"


# The keeper, over a real outbox and real files


class Rig:
    """A unit that lives, stops and lives again, as `commands.run` lets it; time is an argument."""

    def __init__(self, folder: Path, outbox: Outbox) -> None:
        self.local = BASE.replace("/STATE", str(folder))
        self.outbox = outbox
        self.mono_ms = 10_000
        self.receipt_ms: int | None = None
        self.free_bytes = 1 << 40
        self.said: list[tuple[int, int]] = []
        self.memories: list[Mapping[str, bytes | None]] = []
        self.next: Life | None = None
        self.lives = 0
        self.keeper: Keeper

    async def live(self, life: Life | None = None) -> None:
        """A life begins; without a word it is a process of its own."""
        self.next = None
        self.receipt_ms = None
        self.lives += 1
        self.keeper = Keeper(
            life=life or first_life(self.local),
            outbox=self.outbox,
            moment=self.moment,
            receipt_mono_ms=lambda: self.receipt_ms,
            free_bytes=lambda: self.free_bytes,
            tell=self._tell,
            restart=self._restart,
        )
        await self.keeper.begin()
        await self._store()

    async def pass_ms(self, ms: int = 0) -> None:
        """Time passes; the keeper looks; if it wants another life, that begins."""
        self.mono_ms += ms
        await self.keeper.wake()
        await self._store()
        if self.next is not None:
            await self.live(self.next)

    def moment(self) -> Moment:
        return Moment(mono_ms=self.mono_ms, now_ms=0, utc_ms=0, quality=Quality.NONE)

    def _tell(self, done: ConfigDone, memory: Mapping[str, bytes | None]) -> None:
        self.said.append((done.version, done.result))
        self.memories.append(memory)

    async def _store(self) -> None:
        for memory in self.memories:
            await self.outbox.remember(memory, self.moment())
        self.memories.clear()

    def _restart(self, life: Life) -> None:
        self.next = life


@asynccontextmanager
async def rig_in(folder: Path) -> AsyncIterator[Rig]:
    async with opened(folder / "outbox") as outbox:
        rig = Rig(folder, outbox)
        await rig.live()
        yield rig


def current(folder: Path) -> bytes:
    return VersionFiles(folder / "config").current()


async def test_a_receipt_within_15_min_makes_a_version_current(tmp_path: Path) -> None:
    async with rig_in(tmp_path) as rig:
        rig.keeper.ask(1, GOOD)
        await rig.pass_ms()
        assert (rig.lives, rig.keeper.trial, rig.said) == (2, 1, [])
        rig.receipt_ms = rig.mono_ms + 899_000
        await rig.pass_ms(899_000)
        assert rig.said == [(1, Result.TAKEN)]
        assert current(tmp_path) == GOOD
        await rig.pass_ms(3_600_000)
        assert (rig.lives, rig.keeper.running) == (2, 1)
        await rig.live()  # another process
        assert (rig.keeper.running, rig.keeper.trial, rig.said) == (1, 0, [(1, Result.TAKEN)])


async def test_e18_without_a_receipt_the_version_before_returns_by_itself(tmp_path: Path) -> None:
    async with rig_in(tmp_path) as rig:
        rig.keeper.ask(1, b'[uplink]\nservers = ["mqtts://wrong.example.org"]\n')
        await rig.pass_ms()
        await rig.pass_ms(899_999)
        assert (rig.lives, rig.said) == (2, [])
        await rig.pass_ms(1)
        assert (rig.lives, rig.said) == (3, [(1, Result.ROLLED_BACK)])
        assert current(tmp_path) == b""
        assert not (tmp_path / "config" / "next.toml").exists()
        rig.keeper.ask(1, GOOD)  # the retained topic
        await rig.pass_ms(1)
        assert rig.lives == 3
        await rig.pass_ms(3_600_000)
        assert (rig.lives, rig.keeper.trial) == (4, 1)


async def test_a_receipt_of_the_life_before_confirms_nothing(tmp_path: Path) -> None:
    async with rig_in(tmp_path) as rig:
        rig.receipt_ms = rig.mono_ms
        rig.keeper.ask(1, GOOD)
        rig.mono_ms += 1_000
        await rig.pass_ms()
        rig.receipt_ms = 10_500
        await rig.pass_ms(1_000)
        assert rig.said == []


async def test_e18_the_same_content_restarts_nothing_whatever_its_spelling(tmp_path: Path) -> None:
    async with rig_in(tmp_path) as rig:
        rig.keeper.ask(3, b"# nothing\n")
        await rig.pass_ms()
        assert (rig.lives, rig.said, rig.keeper.running) == (1, [(3, Result.TAKEN)], 3)
        rig.keeper.ask(4, b'uplink.servers = ["mqtts://here.example.org"]')
        await rig.pass_ms()
        assert (rig.lives, rig.keeper.running) == (1, 4)


async def test_a_process_that_ends_in_probation_has_tried_and_failed(tmp_path: Path) -> None:
    async with rig_in(tmp_path) as rig:
        for life in range(3):
            rig.keeper.ask(1, GOOD)
            await rig.pass_ms(6 * 3_600_000)
            assert rig.keeper.trial == 1, life
            await rig.live()  # killed; another process
            assert rig.keeper.trial == 0
        rig.keeper.ask(1, GOOD)
        await rig.pass_ms(24 * 3_600_000)
        assert rig.said == [(1, Result.ROLLED_BACK)] * 3 + [(1, Result.REFUSED)]
        rig.keeper.ask(1, GOOD)
        await rig.pass_ms(24 * 3_600_000)
        assert len(rig.said) == 4  # told once


async def test_killed_between_the_rename_and_its_record_the_version_is_taken(
    tmp_path: Path,
) -> None:
    async with rig_in(tmp_path) as rig:
        rig.keeper.ask(1, GOOD)
        await rig.pass_ms()
        VersionFiles(tmp_path / "config").promote()
        await rig.live()
        assert (rig.said, rig.keeper.running) == ([(1, Result.TAKEN)], 1)


async def test_a_successor_takes_the_place_of_a_version_on_probation(tmp_path: Path) -> None:
    async with rig_in(tmp_path) as rig:
        rig.keeper.ask(1, GOOD)
        await rig.pass_ms()
        rig.keeper.ask(2, b"[sealer]\nrecords_min = 21\n")
        await rig.pass_ms(1_000)
        assert (rig.keeper.trial, rig.said) == (2, [(1, Result.ROLLED_BACK)])
        rig.receipt_ms = rig.mono_ms + 1
        await rig.pass_ms(1)
        assert rig.said[-1] == (2, Result.TAKEN)


async def test_a_damaged_current_file_gives_way_to_the_local_one_and_is_said(
    tmp_path: Path,
) -> None:
    async with rig_in(tmp_path) as rig:
        rig.keeper.ask(1, GOOD)
        await rig.pass_ms()
        rig.receipt_ms = rig.mono_ms
        await rig.pass_ms()
        (tmp_path / "config" / "current.toml").write_bytes(b"[sealer]\nrecords_min = \x00\n")
        await rig.live()
        assert rig.said == [(1, Result.TAKEN), (1, Result.ROLLED_BACK)]
        assert rig.keeper.running == 0
        rig.keeper.ask(1, GOOD)  # and the centre's retained word heals it
        await rig.pass_ms()
        assert rig.keeper.trial == 1


@pytest.mark.long
async def test_e18_no_version_makes_the_store_forget(tmp_path: Path) -> None:
    async with rig_in(tmp_path) as rig:
        noise = Random(7)
        for _ in range(600):
            await rig.outbox.store(batch(noise.randbytes(550).hex()), rig.moment())
        assert 2 * rig.outbox.stats().bytes_used > 1_048_576
        rig.keeper.ask(1, b"[outbox]\nbytes_max = 1048576\nspare_bytes = 0\n")
        await rig.pass_ms()
        rig.free_bytes = 1_000
        rig.keeper.ask(2, b"[outbox]\nheadroom_bytes = 68000000000\n")
        await rig.pass_ms()
        assert (rig.lives, rig.said) == (1, [(1, Result.REFUSED), (2, Result.REFUSED)])


@pytest.mark.long
async def test_e18_a_thousand_mutated_configs_never_stop_it_and_never_touch_the_outbox(
    tmp_path: Path,
) -> None:
    rng = Random(18)
    allowed = (
        b'[uplink]\nservers = ["mqtts://a.example.org"]\nhello_s = 60\n[sealer]\nrecords_min = 3\n'
        b"[outbox]\nspare_bytes = 0\n[recorder.open_moving]\ntime_s = 2\n[clock]\nnot_before = '2026-02-01'\n"
    )
    async with rig_in(tmp_path) as rig:
        stored = await rig.outbox.store(batch("evidence"), rig.moment())
        before = await all_rows(rig.outbox)
        assert stored.pos in before
        tried = 0
        for version in range(1, 1_001):
            text = _mutated(rng, SAMPLE if version % 4 == 0 else allowed)
            rig.keeper.ask(version, text)
            await rig.pass_ms(1_000)
            if rig.keeper.trial:
                tried += 1
                await rig.pass_ms(900_000)
            assert rig.keeper.trial == 0
        assert await all_rows(rig.outbox) == before
        results = {result: sum(one[1] == result for one in rig.said) for result in Result}
        assert sum(results.values()) == 1_000  # each ended in one event
        assert results[Result.ROLLED_BACK] == tried > 50
        assert results[Result.REFUSED] > 300
        assert rig.keeper.running in {0, *(v for v, result in rig.said if result is Result.TAKEN)}
        assert current(tmp_path) == b""


def _mutated(rng: Random, text: bytes) -> bytes:
    data = bytearray(text)
    for _ in range(rng.choice((1, 1, 1, 2, 5, 40))):
        at_byte = rng.randrange(len(data))
        match rng.randrange(7):
            case 5 | 6:  # another number, which is often a good one
                digits = [i for i, byte in enumerate(data) if 48 <= byte < 58] or [0]
                data[rng.choice(digits)] = rng.choice(b"123456789")
            case 0:
                data[at_byte] ^= 1 << rng.randrange(8)
            case 1:
                del data[at_byte : at_byte + rng.randrange(1, 20)]
            case 2:
                data[at_byte:at_byte] = bytes(rng.randrange(256) for _ in range(rng.randrange(8)))
            case 3:
                data[at_byte:at_byte] = str(rng.choice((0, -1, 7, 2**40, 10**40))).encode()
            case _:
                data[at_byte:at_byte] = rng.choice((b"[", b"]\n", b'"', b"\n[unit]\n", b"= 3\n"))
        if not data:
            return b"x"
    return bytes(data[:8_192])


async def test_a_probation_that_the_memory_cannot_note_is_given_up_and_the_unit_goes_on(
    tmp_path: Path,
) -> None:
    async with rig_in(tmp_path) as rig:
        local = first_life(rig.local)
        life = Life(
            local_text=rig.local,
            version_text=GOOD.decode(),
            config=with_version(rig.local, GOOD.decode()),
            trial=1,
        )
        await rig.outbox.abandon()  # whatever is asked of it is refused from here on
        await rig.live(life)
        assert rig.next == local
