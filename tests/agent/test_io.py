"""What the unit's io rooms promise without a device: keys, clocks, the inbox, link states, the status socket."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.app.identity import IdentityError, fingerprint, load as load_identity, make as make_it
from agent.io import clock, disk, key, memory
from agent.io.clock import Clock
from agent.io.inbox import HeardFact, Inbox
from agent.io.key import KeyFileError
from agent.io.link_watch import LinkWatch
from agent.io.mqtt import TlsFilesError, certificate_dates_ms, tls_context
from agent.io.tag_sieve import TAGS_MAX, TagSieve
from agent.io.words import Tls
from agent.recorder.facts import LinkState, PortState, SealSilence
from agent.recorder.settings import Role
from devices import Fact, NoFix, NoFixReason, Odd, SealAlive, SealAnswer
from tests.agent.facts import tag
from wire.envelope import Aad, kid_of, open_envelope, seal, verify

# keys


def test_a_key_is_made_once_for_its_owner_alone_and_signs_the_same_again(tmp_path: Path) -> None:
    path = tmp_path / "evidence.pem"
    made = key.make(path)
    assert path.stat().st_mode & 0o777 == 0o600
    again = key.load(path)
    assert again.public_key == made.public_key
    assert again.sign(b"same") == made.sign(b"same")
    message = seal(b"x" * 40, Aad.HELLO, kid_of(made.public_key), again.sign)
    opened = open_envelope(message, Aad.HELLO)
    assert verify(opened, Aad.HELLO, made.public_key)  # type: ignore[arg-type]  # a Refused would fail here
    with pytest.raises(KeyFileError, match="File exists"):
        key.make(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622])
def test_a_key_that_others_can_touch_is_no_key(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "evidence.pem"
    key.make(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="others can read or write"):
        key.load(path)


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_what_is_no_key_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "evidence.pem"
    key.write_once(path, content)
    with pytest.raises(KeyFileError, match="no PKCS#8 PEM key"):
        key.load(path)


def test_a_link_in_place_of_the_key_is_refused(tmp_path: Path) -> None:
    key.make(tmp_path / "real.pem")
    (tmp_path / "evidence.pem").symlink_to(tmp_path / "real.pem")
    with pytest.raises(KeyFileError):
        key.load(tmp_path / "evidence.pem")


def test_an_identity_is_made_whole_and_never_over_another(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "identity"
    half = tmp_path / "state" / "identity.new"
    half.mkdir(parents=True)
    (half / "evidence.pem").write_text("of a run that was killed")
    words = {"unit_id": "uz-0042", "receipt_key": b"r" * 32, "order_key": b"o" * 32}
    public_key = make_it(folder, **words)  # type: ignore[arg-type]  # three names, three types
    assert load_identity(folder, "uz-0042").identity.public_key == public_key
    assert not half.exists()
    with pytest.raises(IdentityError, match="made once"):
        make_it(folder, **words)  # type: ignore[arg-type]  # as above
    with pytest.raises(IdentityError, match="the config says other-1"):
        load_identity(folder, "other-1")


def test_a_fingerprint_is_four_groups_of_the_kid() -> None:
    assert fingerprint(b"k" * 32).replace(" ", "") == kid_of(b"k" * 32).hex()
    assert [len(group) for group in fingerprint(b"k" * 32).split()] == [4, 4, 4, 4]


# clock and disk


def test_both_axes_run_alike() -> None:
    ticker = Clock()
    mono_ms = ticker.mono_ms()
    assert ticker.now_of(mono_ms + 5_000) - ticker.now_of(mono_ms) == 5_000
    assert abs(ticker.now_ms() - clock.system_ms()) < 5_000
    assert ticker.mono_ms() >= mono_ms


def test_the_boot_has_a_name_of_16_bytes() -> None:
    assert len(clock.boot_id()) == 16
    assert clock.boot_id() == clock.boot_id()


def test_the_kernel_answers_about_its_clock() -> None:
    assert abs(clock.ask_ntp().utc_ms - clock.system_ms()) < 5_000


def test_the_machine_tells_its_numbers_or_none(tmp_path: Path) -> None:
    space = disk.space(tmp_path)
    assert space is not None
    assert space.free_bytes > 0
    assert disk.space(tmp_path / "none") is None
    assert (disk.rss_kib() or 0) > 1_000
    assert disk.cpu_ms() >= 0
    assert disk.probe_write_ms(tmp_path) >= 0
    assert list(tmp_path.iterdir()) == []


# the inbox


def heard(n: int) -> HeardFact:
    return HeardFact(source="gps", mono_ms=n, fact=SealAlive(at_ms=n, seal_id="1"))


def put_all(inbox: Inbox, facts: int, stop: threading.Event) -> None:
    for n in range(facts):
        inbox.put(heard(n), stop)


async def take(inbox: Inbox, facts: int) -> list[int]:
    got: list[int] = []
    async with asyncio.timeout(20):
        while len(got) < facts:
            fact = await inbox.get(5)
            if fact is not None:  # else the word of a fact that was taken already
                got.append(fact.mono_ms)
    return got


def start(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


async def test_facts_come_out_in_the_order_in_which_they_went_in() -> None:
    inbox = Inbox(asyncio.get_running_loop())
    stop = threading.Event()
    thread = start(lambda: put_all(inbox, 500, stop))
    got = await take(inbox, 500)
    thread.join()
    assert got == list(range(500))
    assert len(inbox) == 0


async def test_a_full_inbox_holds_its_port_back_and_loses_nothing() -> None:
    inbox = Inbox(asyncio.get_running_loop(), facts_max=4)
    stop = threading.Event()
    thread = start(lambda: put_all(inbox, 20, stop))
    while inbox.waits == 0:  # noqa: ASYNC110  # a thread is awaited, which sets no asyncio.Event
        await asyncio.sleep(0)  # the thread has come to the bound
    assert len(inbox) == 4
    got = await take(inbox, 20)
    thread.join()
    assert got == list(range(20))


async def test_a_stop_frees_a_port_that_waits_for_room() -> None:
    inbox = Inbox(asyncio.get_running_loop(), facts_max=1)
    stop = threading.Event()
    inbox.post(heard(0))
    thread = start(lambda: inbox.put(heard(1), stop))
    stop.set()
    inbox.release()
    thread.join(5)
    assert not thread.is_alive()


# link states


class Play:
    """A link, and the words that it said."""

    def __init__(self, role: Role, *, hunts: bool = False) -> None:
        protocol = "nmea" if role is Role.GPS else "jt701"
        self.watch = LinkWatch(name="x", role=role, protocol=protocol, hunts=hunts)
        self.watch.opened(0)

    def at(self, second: int, *facts: Fact, noise: int = 0, valid: int = 0) -> LinkState:
        self.said = self.watch.heard(
            bytes_seen=noise + 50 * len(facts) + 50 * valid,
            valid=valid,
            facts=facts,
            mono_ms=second * 1000,
        )
        return self.watch.state


def no_fix(second: int) -> NoFix:
    return NoFix(at_ms=second * 1000, time_ms=None, reason=NoFixReason.VOID)


def test_a_receiver_without_a_byte_is_mute_not_noisy() -> None:
    play = Play(Role.GPS)
    assert play.at(9) is LinkState.OPENING
    assert play.at(10) is LinkState.MUTE
    assert play.at(11, no_fix(11), valid=1) is LinkState.NO_FIX


def test_bytes_without_a_sentence_are_noise_after_five_seconds() -> None:
    play = Play(Role.GPS)
    assert play.at(1, noise=99) is LinkState.OPENING
    assert play.at(6, noise=99) is LinkState.NOISE
    assert play.at(7, valid=1) is LinkState.NO_FIX


def test_a_hunt_is_told_as_one_until_two_rounds_have_failed() -> None:
    play = Play(Role.GPS, hunts=True)
    assert play.at(1, noise=9) is LinkState.HUNTING
    assert play.at(30, noise=9) is LinkState.HUNTING
    assert play.at(60, noise=9) is LinkState.NOISE


def test_a_receiver_that_talks_of_everything_but_a_place_has_no_fix() -> None:
    play = Play(Role.GPS)
    play.at(1, no_fix(1), valid=1)
    assert play.at(7, valid=1) is LinkState.NO_FIX


def test_a_lock_is_silent_after_two_minutes_or_three_of_its_intervals() -> None:
    play = Play(Role.SEAL)
    assert play.at(1) is LinkState.OPENING
    assert play.at(2, SealAlive(at_ms=2, seal_id="7")) is LinkState.TALKING
    assert play.at(121) is LinkState.TALKING
    assert play.at(122) is LinkState.SILENT
    assert SealSilence(seal_id="7", protocol="jt701", silent=True) in play.said
    assert play.at(130, SealAlive(at_ms=130, seal_id="7")) is LinkState.TALKING
    assert SealSilence(seal_id="7", protocol="jt701", silent=False) in play.said


def test_a_lock_that_reports_every_ten_minutes_is_not_called_silent_for_it() -> None:
    play = Play(Role.SEAL)
    for minute in (0, 1, 2):
        play.at(minute * 60, SealAlive(at_ms=0, seal_id="7"))
    play.at(720, SealAlive(at_ms=0, seal_id="7"))  # silent once: then it is known to speak seldom
    for minute in range(22, 92, 10):
        play.at(minute * 60, SealAlive(at_ms=0, seal_id="7"))
    assert play.at(91 * 60) is LinkState.TALKING


def test_a_lock_that_never_spoke_is_silent_after_two_minutes() -> None:
    play = Play(Role.SEAL)
    assert play.at(120) is LinkState.SILENT


def test_an_order_without_an_answer_is_no_sign_of_life() -> None:
    link = Play(Role.SEAL)
    silence = SealAnswer(at_ms=0, seal_id="1", command="P43", ok=None)
    assert link.at(100, silence) is LinkState.OPENING
    assert link.at(130, silence) is LinkState.SILENT
    unread = SealAnswer(at_ms=0, seal_id="1", command="P43", ok=None, values=("7",))
    assert link.at(131, unread) is LinkState.TALKING


def test_an_rfid_module_that_sees_no_tag_talks() -> None:
    link = Play(Role.RFID)
    assert link.at(1, valid=1) is LinkState.TALKING
    assert link.at(122) is LinkState.SILENT
    assert link.at(123, valid=1) is LinkState.TALKING


def test_of_a_tag_that_is_read_twenty_times_a_second_one_reading_a_second_is_a_fact() -> None:
    sieve = TagSieve()
    passed = [at_ms for at_ms in range(0, 3_000, 50) if sieve.passes(tag(b"one"), at_ms)]
    assert passed == [0, 1_000, 2_000]
    assert sieve.passes(tag(b"two"), 2_010)
    assert not sieve.passes(tag(b"two"), 2_020)
    assert sieve.passes(replace(tag(b"two"), antenna=2), 2_020)


def test_a_crowd_of_tags_passes_whole_and_takes_no_more_room_than_its_bound() -> None:
    sieve = TagSieve()
    crowd = [number.to_bytes(2, "big") for number in range(TAGS_MAX + 100)]
    assert all(sieve.passes(tag(epc), 0) for epc in crowd)
    assert [sieve.passes(tag(epc), 10) for epc in crowd] == [False] * TAGS_MAX + [True] * 100
    assert all(sieve.passes(tag(epc), 1_000) for epc in reversed(crowd))


def test_an_odd_frame_is_no_sign_of_life() -> None:
    play = Play(Role.SEAL)
    odd = Odd(at_ms=0, protocol="jt701", reason="too_long", sample=b"")
    assert play.at(1, odd) is LinkState.OPENING


def test_a_change_is_told_once_with_how_long_it_was_silent() -> None:
    play = Play(Role.GPS)
    play.at(1, no_fix(1), valid=1)
    assert play.watch.closed(LinkState.ABSENT, 4_000) == [
        PortState(name="x", role=Role.GPS, state=LinkState.ABSENT, silent_ms=3_000)
    ]
    assert play.watch.closed(LinkState.ABSENT, 5_000) == []
    assert play.watch.wake(60_000) == []


# broker's papers


def test_a_certificate_tells_its_dates() -> None:
    assert certificate_dates_ms(
        {"notBefore": "Jan  1 00:00:00 2026 GMT", "notAfter": "Jan  2 00:00:00 2026 GMT"}
    ) == (1_767_225_600_000, 1_767_312_000_000)


def test_without_our_own_ca_there_is_no_tls(tmp_path: Path) -> None:
    with pytest.raises(TlsFilesError, match=str(tmp_path)):
        tls_context(Tls(ca_file=tmp_path / "ca.pem"))


def test_the_unit_starts_without_what_it_does_not_need() -> None:
    """Each of these costs more than the page that it would pay for (decision 0026)."""
    heavy = (
        "urllib.request",
        "http.client",
        "email",
        "segno",
        "agent.app.page",
        "agent.io.foreign",
        "cryptography.hazmat.primitives.serialization.ssh",
        *(f"devices.{protocol}" for protocol in ("m100", "jt808", "gpsd", "llrp")),
    )
    said = f"import sys, agent.app.unit; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_first_batch_waits_for_nothing_that_it_does_not_need() -> None:
    """What talks to ports, people and the centre is loaded behind it."""
    late = (
        "paho",
        "serial",
        "agent.app.unit",
        "agent.io.mqtt",
        "agent.io.serial_port",
        "agent.orders.steward",
        "agent.recorder.core",
        "agent.uplink.core",
        *(f"devices.{room}" for room in ("nmea", "jt701", "eseal", "jt808", "m100")),
    )
    said = (
        "import sys, agent.app.commands, agent.app.run;"
        f" print([m for m in {late} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_key_in_any_other_form_is_read_by_the_library(tmp_path: Path) -> None:
    path = tmp_path / "evidence.pem"
    made = key.make(path)
    lines = path.read_bytes().split()
    body = b"".join(lines[3:-3])
    path.write_bytes(  # the same, with its text cut in two lines and a remark above it
        b"remark\n" + b" ".join(lines[:3]) + b"\n" + body[:40] + b"\n" + body[40:] + b"\n"
        b"" + b" ".join(lines[-3:]) + b"\n"
    )
    assert key.load(path).public_key == made.public_key
    path.write_bytes(b" ".join(lines[:3]) + b"\nAAAA\n" + b" ".join(lines[-3:]) + b"\n")
    with pytest.raises(KeyFileError, match="no PKCS#8"):
        key.load(path)


SMAPS = """\
55d0c0000000-55d0c0001000 r--p 00000000 fe:01 11 /usr/bin/python3.11
Rss:                   4 kB
Anonymous:             0 kB
55d0c0001000-55d0c0003000 r-xp 00001000 fe:01 11 /opt/a folder/libssl.so.3 (deleted)
Rss:                   8 kB
Anonymous:             0 kB
55d0c0003000-55d0c0004000 r--p 00003000 fe:01 11 /usr/lib/libssl.so.3
Anonymous:             4 kB
55d0c0004000-55d0c0005000 rw-p 00004000 fe:01 11 /usr/lib/libssl.so.3
Anonymous:             0 kB
55d0c0005000-55d0c0006000 r--s 00000000 fe:01 12 /usr/lib/shared
Anonymous:             0 kB
7ffc00000000-7ffc00001000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
7ffd00000000-7ffd00001000 r--p 00000000 00:00 0
Anonymous:             0 kB
"""


def test_only_unchanged_pages_of_files_that_nobody_writes_go_back() -> None:
    assert memory.clean_mappings(SMAPS) == [
        (0x55D0C0000000, 0x55D0C0001000),
        (0x55D0C0001000, 0x55D0C0003000),
    ]
    assert memory.clean_mappings("") == []
    assert memory.clean_mappings("garbage\nAnonymous: 0 kB") == []


def test_after_giving_back_everything_works_in_less_memory() -> None:
    said = """
import agent.app.unit, ssl, sqlite3
from agent.io import disk, memory
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
before = disk.rss_kib()
memory.give_back()
after = disk.rss_kib()
key = Ed25519PrivateKey.generate()
key.public_key().verify(key.sign(b"x"), b"x")
ssl.create_default_context()
sqlite3.connect(":memory:").execute("CREATE TABLE t (x)").fetchall()
memory.give_back()
print(after < before)
"""
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
