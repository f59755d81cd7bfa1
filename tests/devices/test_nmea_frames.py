"""Where sentences begin and end (DEVICES section 3.1 and 3.2)."""

import pytest

from devices.nmea import NmeaReader
from devices.nmea.frames import LINE_BYTES_MAX, xor_of
from tests.devices.nmea_lines import (
    NOT_BEFORE,
    PLACE,
    counted,
    fixes,
    gga,
    line,
    odds,
    read,
    rmc,
)

GOOD = line(rmc())
HALF = GOOD[:40]


def judged(data: bytes) -> dict[str, int]:
    reader = NmeaReader(NOT_BEFORE)
    read(data, reader)
    return {name: value for name, value in reader.counters.items() if value and name != "bytes"}


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a line", GOOD, {"sentences": 1, "fixes": 1}),
        ("line feed alone", GOOD[:-2] + b"\n", {"sentences": 1, "fixes": 1}),
        ("carriage return alone", GOOD[:-2] + b"\r", {"sentences": 1, "fixes": 1}),
        ("two carriage returns", GOOD[:-2] + b"\r\r\n", {"sentences": 1, "fixes": 1}),
        ("no line end before the end", GOOD[:-2], {"sentences": 1, "fixes": 1}),
        ("text before it", b"hello " + GOOD, {"sentences": 1, "fixes": 1}),
        ("doubled dollar", b"$" + GOOD, {"sentences": 1, "fixes": 1}),
        ("half of it", HALF, {"no_checksum": 1}),
        ("cut by the next", HALF + GOOD, {"cut": 1, "sentences": 1, "fixes": 1}),
        ("cut by an AIS message", HALF + b"!A\r\n", {"cut": 1, "no_checksum": 1}),
        ("binary inside", HALF + b"\x00" + GOOD, {"binary": 1, "sentences": 1, "fixes": 1}),
        ("a high byte inside", HALF + b"\xff" + GOOD, {"binary": 1, "sentences": 1, "fixes": 1}),
        ("a tab is binary", HALF + b"\t" + HALF[1:], {"binary": 1}),
        ("binary outside costs nothing", b"\x00\xffab" + GOOD, {"sentences": 1, "fixes": 1}),
        ("whole, its line end lost", GOOD[:-2] + GOOD, {"sentences": 2, "fixes": 1}),
        ("whole, an AIS message behind it", GOOD[:-2] + b"!A\r\n", {"sentences": 1, "no_checksum": 1, "fixes": 1}),
        ("whole, a NUL for its line end", GOOD[:-2] + b"\x00" + HALF, {"sentences": 1, "no_checksum": 1, "fixes": 1}),
        ("whole, UBX behind it", GOOD[:-2] + b"\xb5\x62\x01\x07", {"sentences": 1, "fixes": 1}),
        ("cut behind a text behind a checksum", GOOD[:-2] + b" " + GOOD, {"cut": 1, "sentences": 1, "fixes": 1}),
        ("cut behind one digit", GOOD[:-3] + GOOD, {"cut": 1, "sentences": 1, "fixes": 1}),
        ("cut behind a wrong checksum", b"$GPXXX,1*00" + GOOD, {"cut": 1, "sentences": 1, "fixes": 1}),
        ("nothing behind the dollar", b"$\r\n", {"no_checksum": 1}),
        ("checksum in lower case", line("GPXXX,1").lower().replace(b"gpxxx", b"GPXXX"), {"sentences": 1, "unknown": 1}),
        ("text behind the checksum", line("GPXXX,1")[:-2] + b" ok\r\n", {"sentences": 1, "unknown": 1}),
        ("a star in the text, the last one counts", line("GPXXX,a*b"), {"sentences": 1, "unknown": 1}),
        ("no star", b"$GPXXX,1\r\n", {"no_checksum": 1}),
        ("one digit", b"$GPXXX,1*4\r\n", {"bad_checksum": 1}),
        ("no digits", b"$GPXXX,1*\r\n", {"bad_checksum": 1}),
        ("signed digits are none", b"$GPXXX,1*+4\r\n", {"bad_checksum": 1}),
        ("wrong", b"$GPXXX,1*00\r\n", {"bad_checksum": 1}),
    ],
)  # fmt: skip
def test_a_sentence_begins_ends_and_is_checked(
    name: str, data: bytes, expected: dict[str, int]
) -> None:
    assert judged(data) == expected, name


def test_the_longest_line_is_read_and_one_byte_more_is_two_sentences_run_together() -> None:
    longest = "GPXXX," + "x" * (LINE_BYTES_MAX - len("$GPXXX,*00"))
    assert judged(line(longest)) == {"sentences": 1, "unknown": 1}
    assert judged(line(longest + "x")) == {"too_long": 1}


def test_after_a_line_that_is_too_long_the_next_is_read() -> None:
    run_together = GOOD[:-2].replace(b"$", b"") * 3
    assert judged(b"$" + run_together + b"\r\n" + GOOD)["fixes"] == 1


def test_a_line_longer_than_allowed_is_not_a_cut_one() -> None:
    assert judged(b"$" + b"x" * 200 + GOOD) == {"too_long": 1, "sentences": 1, "fixes": 1}


def test_at_most_a_hundred_fields() -> None:
    assert counted("GPXXX" + "," * 99) == {"unknown": 1}
    assert counted("GPXXX" + "," * 100) == {"bad_field": 1}


def test_a_sentence_without_checksum_is_never_believed() -> None:
    bare = f"${rmc()}\r\n${gga()}\r\n".encode()
    assert fixes(read(bare)) == []
    assert judged(bare) == {"no_checksum": 2}


def test_a_refusal_is_shown_once_in_ten_seconds_for_each_reason_with_a_short_sample() -> None:
    reader = NmeaReader(NOT_BEFORE)
    noise = b"$" + b"x" * 100 + b"\r\n" + b"$x*00\r\n"
    shown = [
        [(odd.reason, len(odd.sample)) for odd in odds(reader.feed(noise, now_ms))]
        for now_ms in (0, 1, 9_999, 10_000)
    ]
    both = [("no_checksum", 64), ("bad_checksum", 5)]
    assert shown == [both, [], [], both]
    assert reader.counters["no_checksum"] == 4


def test_folding_gives_the_xor_of_all_bytes() -> None:
    for size in (0, 1, 7, 8, 63, 64, 65, 127, 128, 129):
        body = bytes((i * 37 + size) & 0xFF for i in range(size))
        plain = 0
        for byte in body:
            plain ^= byte
        assert xor_of(body) == plain


def test_one_flipped_bit_never_makes_another_fix() -> None:
    (told,) = fixes(read(GOOD))
    for at in range(len(GOOD)):
        for bit in range(8):
            broken = bytearray(GOOD)
            broken[at] ^= 1 << bit
            assert fixes(read(bytes(broken))) in ([], [told]), (at, bit)


def test_the_place_of_these_tests_is_where_it_should_be() -> None:
    (told,) = fixes(read(GOOD))
    assert PLACE.startswith("4118.1")
    assert (told.lat_e7, told.lon_e7) == (413_016_833, 692_416_667)
