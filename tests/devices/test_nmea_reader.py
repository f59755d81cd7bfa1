"""Time, cutting, memory and noise: what holds for the reader as a whole (DEVICES sections 1, 3.4 and 9)."""

import gc
import random
import tracemalloc
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, strategies as st

from devices import READER_MEMORY_BYTES_MAX, Fact, Fix, NoFix, NoFixReason, Reader
from devices.nmea import NmeaReader
from devices.nmea.reader import COUNTERS
from tests.devices.nmea_lines import (
    NOT_BEFORE,
    fixes,
    gga,
    gll,
    gns,
    line,
    lines,
    no_fixes,
    read,
    rmc,
    statuses,
)
from tests.devices.test_nmea_sky import mon_rf, nav_status


def told(facts: Sequence[Fact]) -> list[str]:
    """The epochs in short: fix, or the reason why not."""
    return [
        "fix" if isinstance(fact, Fix) else fact.reason.name
        for fact in facts
        if isinstance(fact, Fix | NoFix)
    ]


def play(reader: NmeaReader, script: str) -> list[str]:
    """Lines of `ms`, then the second of an RMC to feed or `wake`; the answer is `ms` and what was told."""
    answers = []
    for row in script.strip().splitlines():
        now, what = row.split()
        now_ms = int(now)
        facts = (
            reader.wake(now_ms)
            if what == "wake"
            else reader.feed(line(rmc(time=f"0500{what}.00")), now_ms)
        )
        answers += [f"{now} {each}" for each in told(facts)]
    return answers


def test_the_reader_has_the_shape_of_every_reader() -> None:
    reader: Reader = NmeaReader(NOT_BEFORE)
    assert reader.take_bytes() == b""
    assert set(reader.counters) == set(COUNTERS)
    assert reader.wake(0) == []
    assert reader.next_deadline() is None


def test_half_a_sentence_is_nothing_and_the_rest_completes_it() -> None:
    reader = NmeaReader(NOT_BEFORE)
    data = lines(rmc(), rmc(time="050011.00"))
    assert reader.feed(data[:-3], 0) == []
    assert told(reader.feed(data[-3:], 0)) == ["fix"]


# Time


def test_an_epoch_ends_after_quiet() -> None:
    reader = NmeaReader(NOT_BEFORE)
    reader.feed(line(rmc()), 1_000)
    assert reader.next_deadline() == 1_250
    reader.feed(line(gga()), 1_100)
    assert reader.next_deadline() == 1_350
    reader.feed(line("GPGSV,1,1,00"), 1_200)
    assert reader.next_deadline() == 1_450
    reader.feed(line("PMTK,1"), 1_300)  # unknown: no part of the epoch
    assert reader.next_deadline() == 1_450
    assert reader.wake(1_449) == []
    (fix,) = fixes(reader.wake(1_450))
    assert (fix.at_ms, fix.said_by) == (1_000, ("RMC", "GGA"))
    assert reader.next_deadline() is None
    assert reader.wake(9_999) == []


def test_one_second_after_the_other() -> None:
    script = """
        0     10
        300   wake
        1000  11
        1250  wake
        2000  12
        2249  wake
        2250  wake
    """
    assert play(NmeaReader(NOT_BEFORE), script) == ["300 fix", "1250 fix", "2250 fix"]


def test_a_straggler_makes_no_second_fix_and_doubles_the_quiet() -> None:
    reader = NmeaReader(NOT_BEFORE)
    script = """
        0     10
        250   wake
        600   10
        700   10
        1000  11
        1499  wake
        1500  wake
        1700  11
        2000  12
        2799  wake
        2800  wake
        2900  12
        3000  13
        3799  wake
        3800  wake
    """
    assert play(reader, script) == ["250 fix", "1500 fix", "2800 fix", "3800 fix"]
    assert reader.counters["late"] == 4


def test_a_frozen_receiver_is_told_once_until_the_time_moves() -> None:
    reader = NmeaReader(NOT_BEFORE)
    script = """
        0      10
        250    wake
        1149   10
        1150   10
        2000   10
        9000   10
        9800   wake
        10000  11
        10500  wake
        11500  11
    """
    assert play(reader, script) == ["250 fix", "1150 FROZEN", "10500 fix", "11500 FROZEN"]
    assert [reader.counters[name] for name in ("late", "frozen", "fixes", "no_fixes")] == [
        1,
        2,
        2,
        2,
    ]


def test_a_receiver_frozen_at_ten_times_a_second_is_found_too() -> None:
    reader = NmeaReader(NOT_BEFORE)
    facts: list[Fact] = []
    for now_ms in range(0, 10_000, 100):
        facts += reader.feed(line(rmc()), now_ms)
        deadline = reader.next_deadline()
        if deadline is not None and deadline <= now_ms + 50:
            facts += reader.wake(now_ms + 50)
    assert told(facts) == ["fix", "FROZEN"]


def test_frozen_means_that_the_fix_is_lost() -> None:
    reader = NmeaReader(NOT_BEFORE)
    reader.feed(lines(rmc(), "GPGSV,1,1,00"), 0)
    reader.wake(250)
    frozen = reader.feed(line(rmc()), 2_000)
    assert [fact.reason for fact in no_fixes(frozen)] == [NoFixReason.FROZEN]
    assert len(statuses(frozen)) == 1


def test_a_receiver_without_a_clock_is_neither_late_nor_frozen() -> None:
    reader = NmeaReader(NOT_BEFORE)
    facts: list[Fact] = []
    for now_ms in range(0, 5_000, 1_000):
        facts += reader.feed(lines("GPRMC,,V,,,,,,,,,,N", "GPGGA,,,,,,0,00,99.99,,,,,,"), now_ms)
        facts += reader.wake(now_ms + 250)
    assert told(facts) == ["VOID"] * 5


def test_silence_is_no_fact() -> None:
    reader = NmeaReader(NOT_BEFORE)
    assert [reader.wake(now_ms) for now_ms in range(0, 100_000, 1_000)] == [[]] * 100


# Any cutting of the bytes

BODIES = [
    rmc(),
    gga(),
    gll(),
    gns(),
    rmc(status="V"),
    gga(quality="0", place=",,,"),
    rmc(time="050011.00"),
    gga(time="050011.00", sats="00"),
    "GPGSV,2,1,05,01,40,083,46,02,17,308,41,12,07,344,39,14,22,228,45",
    "GPGSV,2,2,05,15,09,077,",
    "GPGSA,A,3,01,02,12,,,,,,,,,,1.8,1.1,1.5",
    "GPVTG,180.0,T,,M,10.0,N,18.5,K,A",
    "GPZDA,050011.00,01,03,2027,00,00",
    "GPGST,050010.00,5.0,3.0,2.0,45.0,3.0,4.0,9.9",
    "GPTXT,01,01,02,ANTSTATUS=OPEN",
    "PGRME,1,M,2,M,3,M",
]
frames = st.one_of(
    st.sampled_from(BODIES).map(line),
    st.sampled_from([mon_rf((1, 2, 100, 3)), mon_rf((3, 4, 9, 9), (1, 2, 3, 4)), nav_status(2)]),
    st.binary(max_size=40),
    st.sampled_from([b"$", b"$$", b"!", b"\r\n", b"\xb5", b"\xb5\x62\x0a\x38", b"*00", b"\x00"]),
    st.sampled_from(BODIES).map(lambda body: line(body)[: len(body) // 2]),
    st.integers(100, 300).map(lambda size: b"$" + b"x" * size),
)


def whole(data: bytes) -> tuple[list[Fact], dict[str, int]]:
    reader = NmeaReader(NOT_BEFORE)
    return read(data, reader), dict(reader.counters)


def in_pieces(data: bytes, cuts: Sequence[int]) -> tuple[list[Fact], dict[str, int]]:
    reader = NmeaReader(NOT_BEFORE)
    facts: list[Fact] = []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        facts += reader.feed(data[start:end], 0)
    return facts + reader.close(0), dict(reader.counters)


@given(st.lists(frames, max_size=25).map(b"".join), st.data())
def test_any_cutting_gives_the_same_facts_and_counters(data: bytes, draw: st.DataObject) -> None:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=30)))
    expected = whole(data)
    assert in_pieces(data, cuts) == expected
    assert in_pieces(data, range(1, len(data))) == expected


@given(st.lists(frames, max_size=10), st.lists(st.integers(0, 3_000), min_size=10, max_size=10))
def test_nothing_is_raised_and_time_moves_on_whatever_comes(
    pieces: list[bytes], pauses: list[int]
) -> None:
    reader = NmeaReader(NOT_BEFORE)
    now_ms = 0
    for piece, pause in zip(pieces, pauses, strict=False):
        reader.feed(piece, now_ms)
        now_ms += pause
        deadline = reader.next_deadline()
        reader.wake(now_ms)
        if deadline is not None and deadline <= now_ms:
            assert reader.next_deadline() is None
    assert reader.counters["bytes"] == sum(map(len, pieces[: len(pauses)]))


@given(st.text(alphabet="0123456789.,-+ANVSEWMKTx*", max_size=60), st.sampled_from(BODIES))
def test_a_sentence_with_a_right_checksum_and_odd_fields_raises_nothing(
    tail: str, body: str
) -> None:
    reader = NmeaReader(NOT_BEFORE)
    for kind in ("RMC", "GGA", "GNS", "GLL", "VTG", "ZDA", "GST", "GBS", "TXT", "GSV", "GSA"):
        read(line(f"GN{kind},{tail}"), reader)
    read(line(body[:10] + tail), reader)
    assert reader.counters["sentences"] == 12


@given(st.binary(max_size=2_000))
def test_random_bytes_are_no_fix(data: bytes) -> None:
    assert fixes(read(data)) == []


# Memory


def hostile(kind: str, rng: random.Random) -> bytes:
    """64 KiB of one kind of input that wants to be kept."""
    made: dict[str, Callable[[], bytes]] = {
        "noise": lambda: rng.randbytes(512),
        "dollars": lambda: b"$" * 512,
        "a line without end": lambda: b"x" * 512,
        "ubx without end": lambda: b"\xb5\x62\x0a\x38\xc4\x00" + b"\xb5" * 100,
        "satellites": lambda: line(
            f"G{rng.choice('PNLABQI')}GSV,9,{rng.randint(1, 9)},36"
            + "".join(f",{rng.randint(300, 999)},1,1,{rng.randint(10, 99)}" for _ in range(4))
            + f",{rng.randint(0, 15):X}"
        ),
        "used": lambda: line(
            "GNGSA,A,3" + f",{rng.randint(1, 999)}" * 12 + f",1.0,1.0,1.0,{rng.randint(1, 9)}"
        ),
        "epochs": lambda: line(rmc(time=f"{rng.randint(0, 23):02d}0010.{rng.randint(0, 999):03d}")),
        "names": lambda: line(f"{rng.choice('ABCD')}{rng.randint(0, 9)}X{rng.randint(10, 99)},1"),
    }
    data = b""
    while len(data) < 32_768:
        data += made[kind]()
    return data


@pytest.mark.long
@pytest.mark.parametrize(
    "kind",
    ["noise", "dollars", "a line without end", "ubx without end", "satellites", "used", "epochs", "names"],
)  # fmt: skip
def test_memory_has_an_end_whatever_is_fed(kind: str) -> None:
    rng = random.Random(7)
    warm = NmeaReader(NOT_BEFORE)
    read(lines(*BODIES), warm)  # what the library keeps once is not the reader's
    data = [hostile(kind, rng) for _ in range(2)]
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        reader = NmeaReader(NOT_BEFORE)
        for each in data:
            reader.feed(each, 0)
        gc.collect()  # also empties the interpreter's own stock of tuples
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < READER_MEMORY_BYTES_MAX
    assert reader.counters["bytes"] == sum(map(len, data))
