"""Satellites, antenna, jamming and spoofing (DEVICES section 3.8)."""

import pytest

from devices import GnssStatus
from devices.nmea import NmeaReader
from devices.nmea.sky import SIGNALS_MAX, SKY_MS_MAX
from tests.devices.nmea_lines import (
    NOT_BEFORE,
    fixes,
    gga,
    line,
    lines,
    read,
    rmc,
    statuses,
)

GSV_1 = "GPGSV,2,1,06,01,40,083,46,02,17,308,41,12,07,344,39,14,22,228,45"
GSV_2 = "GPGSV,2,2,06,15,09,077,,24,71,034,26"


def status_of(*bodies: str) -> GnssStatus:
    """What is told at the end of an epoch with these sentences."""
    return statuses(read(lines(rmc(), *bodies)))[-1]


def ubx(class_id: bytes, payload: bytes) -> bytes:
    body = class_id + len(payload).to_bytes(2, "little") + payload
    first = second = 0
    for byte in body:
        first = (first + byte) % 256
        second = (second + first) % 256
    return b"\xb5\x62" + body + bytes((first, second))


def mon_rf(*blocks: tuple[int, int, int, int]) -> bytes:
    """Blocks of jam state, antenna status, AGC and jam indicator."""
    payload = bytes((0, len(blocks), 0, 0))
    for jam, antenna, agc, indicator in blocks:
        block = bytearray(24)
        block[1], block[2], block[16] = jam | 0xFC, antenna, indicator
        block[14:16] = agc.to_bytes(2, "little")
        payload += bytes(block)
    return ubx(b"\x0a\x38", payload)


def nav_status(spoof: int) -> bytes:
    payload = bytearray(16)
    payload[7] = spoof << 3 | 0xE7
    return ubx(b"\x01\x03", bytes(payload))


def test_a_set_of_satellites_is_told_with_its_strengths() -> None:
    status = status_of(GSV_1, GSV_2)
    assert (status.in_view, status.tracked, status.strong_25) == (6, 5, 5)
    assert status.cn0_top4_cdb == 4275  # of 46 45 41 39
    assert status.cn0_std_cdb == 717  # of these and 26, population
    assert status.systems == (("GPS", 6, 5, 0),)


def test_25_is_not_above_25() -> None:
    status = status_of("GPGSV,1,1,02,01,40,083,25,02,17,308,26")
    assert (status.tracked, status.strong_25) == (2, 1)


def test_one_satellite_has_a_mean_and_no_spread() -> None:
    status = status_of("GPGSV,1,1,01,01,40,083,30")
    assert (status.cn0_top4_cdb, status.cn0_std_cdb) == (3000, 0)


def test_an_empty_sky_is_zero_and_an_unknown_one_is_none() -> None:
    empty = status_of("GPGSV,1,1,00")
    assert (empty.in_view, empty.tracked, empty.strong_25) == (0, 0, 0)
    assert (empty.cn0_top4_cdb, empty.cn0_std_cdb) == (None, None)
    unknown = status_of("GPTXT,01,01,02,ANTSTATUS=OK")
    assert (unknown.in_view, unknown.tracked, unknown.used, unknown.strong_25) == (None,) * 4


def test_signals_of_one_satellite_count_once_with_the_strongest() -> None:
    status = status_of("GPGSV,1,1,02,01,40,083,30,02,17,308,20,1", "GPGSV,1,1,01,01,40,083,44,6")
    assert (status.in_view, status.tracked, status.cn0_top4_cdb) == (2, 2, 3200)


def test_systems_stand_in_their_order_by_talker_and_by_number() -> None:
    status = status_of(
        "GAGSV,1,1,01,03,40,083,30,7",
        "GLGSV,1,1,01,70,40,083,31,1",
        "GBGSV,1,1,01,11,40,083,32,1",
        "GQGSV,1,1,01,01,40,083,33,1",
        "GPGSV,1,1,02,05,40,083,34,33,10,100,35,1",
        "GNGSA,A,3,05,,,,,,,,,,,,1.0,0.5,0.8,1",
        "GNGSA,A,3,70,,,,,,,,,,,,1.0,0.5,0.8,2",
        "GNGSA,A,3,03,08,,,,,,,,,,,1.0,0.5,0.8,3",
    )
    assert status.systems == (
        ("GPS", 1, 1, 1),
        ("GLONASS", 1, 1, 1),
        ("GALILEO", 1, 1, 2),
        ("BEIDOU", 1, 1, 0),
        ("QZSS", 1, 1, 0),
        ("SBAS", 1, 1, 0),
    )
    assert (status.in_view, status.used) == (6, 4)


def test_before_nmea_4_1_the_number_names_the_system() -> None:
    gsa = "GNGSA,A,3,01,32,65,88,193,201,301,999,00,,,,1.0,0.5,0.8"
    systems = {system: used for system, _, _, used in status_of(gsa).systems}
    assert systems == {"GPS": 2, "GLONASS": 2, "QZSS": 1, "BEIDOU": 1, "GALILEO": 1, "OTHER": 1}


def test_satellites_used_are_those_of_gsa_else_gga() -> None:
    gsa = "GPGSA,A,3,01,02,03,,,,,,,,,,1.0,0.5,0.8"
    assert status_of(gga(sats="09")).used == 9
    assert status_of(gga(sats="09"), gsa, gsa).used == 3


def test_a_lost_solution_uses_no_satellite() -> None:
    gsa = "GPGSA,A,{},01,02,03,,,,,,,,,,1.0,0.5,0.8"
    void = rmc(time="050011.00", status="V")
    told = statuses(read(lines(rmc(), gsa.format(3), void, gsa.format(1))))
    assert [status.used for status in told] == [3, 0]


@pytest.mark.parametrize(
    "parts",
    [
        [GSV_2],
        [GSV_2, GSV_1],
        [GSV_1, GSV_1.replace("2,1", "2,1")],
        [GSV_1, GSV_2.replace("2,2", "3,2")],
        [GSV_1, GSV_2.replace("2,2", "2,3")],
        [GSV_1, GSV_2.replace("GP", "GL")],
    ],
)
def test_a_part_out_of_order_drops_the_set(parts: list[str]) -> None:
    told = statuses(read(lines(rmc(), *parts)))
    assert [status.in_view for status in told] in ([], [None])


def test_a_dropped_set_leaves_the_one_before() -> None:
    assert status_of(GSV_1, GSV_2, GSV_2, GSV_1).in_view == 6


def test_parts_of_two_systems_may_come_in_turn() -> None:
    other = [part.replace("GP", "GA") for part in (GSV_1, GSV_2)]
    assert status_of(GSV_1, other[0], GSV_2, other[1]).in_view == 12


def test_parts_numbered_through_all_signals_make_one_set() -> None:
    """Quectel LC79D: three parts of signal 1, the fourth of signal 8."""
    status = status_of(
        "GPGSV,4,1,12,01,38,160,35,03,80,057,29,04,65,211,44,09,26,227,36,1",
        "GPGSV,4,2,12,17,30,269,29,19,,,13,21,19,157,39,22,58,098,35,1",
        "GPGSV,4,3,12,31,29,056,18,1",
        "GPGSV,4,4,12,01,38,160,38,03,80,057,20,09,26,227,40,8",
    )
    assert (status.in_view, status.tracked, status.cn0_top4_cdb) == (9, 9, 4025)


@pytest.mark.parametrize(
    ("body", "bad"),
    [
        ("GPGSV,1,1,01,01,40,083,4x", 1),
        ("GPGSV,1,1,01,x1,40,083,40", 1),
        ("GPGSV,1,1,01,0001,40,083,400", 2),
        ("GPGSV,0,1,01", 1),
        ("GPGSV,1,10,01", 1),
        ("GPGSV,1", 1),
        ("GPGSV,3,1,00,,,,,,,,,,,,,,,,", 0),
        ("GPGSA,A,9,01,,,,,,,,,,,,1.0,0.5,0.8", 1),
        ("GPGSA,A,3,x,,,,,,,,,,,,1.0,0,x.8", 1),
        ("GPGSA,A,3,01,,,,,,,,,,,,1.0,x,0.8", 1),
        ("GPGSA,A", 0),
    ],
)
def test_wrong_fields_are_counted_and_the_rest_is_kept(body: str, bad: int) -> None:
    reader = NmeaReader(NOT_BEFORE)
    read(line(body), reader)
    assert reader.counters["bad_field"] == bad


def test_satellites_not_spoken_of_any_more_are_forgotten() -> None:
    reader = NmeaReader(NOT_BEFORE)
    reader.feed(lines(rmc(), "GPGSV,1,1,01,01,40,083,30"), 0)
    (status,) = statuses(reader.feed(line(rmc("050011.00", status="V")), SKY_MS_MAX))
    assert status.in_view == 1
    (later,) = statuses(reader.close(SKY_MS_MAX + 1))
    assert later.in_view is None


def test_signals_have_an_end() -> None:
    reader = NmeaReader(NOT_BEFORE)
    for signal in range(40):
        reader.feed(line(f"GPGSV,2,1,01,{signal + 1},40,083,30,{signal % 16:X}"), 0)
        reader.feed(line(f"G{'PNLABQI'[signal % 7]}GSV,1,1,01,5,40,083,30,{signal % 16:X}"), 0)
    assert len(reader._sky._views) == SIGNALS_MAX
    assert len(reader._sky._begun) <= SIGNALS_MAX


# When it is told


def test_the_status_comes_every_ten_seconds_and_when_the_fix_is_lost_or_found() -> None:
    reader = NmeaReader(NOT_BEFORE)
    told = []
    for second in range(40):
        status = "V" if second in (5, 6, 27) else "A"
        body = rmc(time=f"0500{second:02d}.00", status=status)
        reader.feed(lines(body, "GPGSV,1,1,00"), second * 1000)
        if statuses(reader.wake(second * 1000 + 300)):
            told.append(second)
    assert told == [0, 5, 7, 17, 27, 28, 38]


def test_nothing_is_told_of_a_sky_never_spoken_of() -> None:
    assert statuses(read(lines(rmc(), rmc("050011.00", status="V")))) == []


@pytest.mark.parametrize(
    ("body", "antenna"),
    [
        ("GPTXT,01,01,02,ANTSTATUS=OK", "OK"),
        ("GNTXT,01,01,02,ANTSTATUS=SHORT", "SHORT"),
        ("GPTXT,01,01,02,ANTSTATUS=OPEN", "OPEN"),
        ("GPTXT,01,01,02,ANTSTATUS=DONTKNOW", "DONTKNOW"),
        ("GPTXT,01,01,01,ANTENNA OPEN", "OPEN"),
        ("PSTMANTENNASTATUS,0", "OK"),
        ("PSTMANTENNASTATUS,1,0,0,0", "OPEN"),
        ("PSTMANTENNASTATUS,2,0,0,0", "SHORT"),
    ],
)
def test_a_change_of_the_antenna_is_told_at_once_and_once(body: str, antenna: str) -> None:
    reader = NmeaReader(NOT_BEFORE)
    assert [status.antenna for status in statuses(reader.feed(line(body), 0))] == [antenna]
    assert reader.feed(line(body), 1) == []


@pytest.mark.parametrize(
    "body", ["GPTXT,01,01,02,ANTSTATUS=INIT", "GPTXT,01,01,02,HW UBX-M8030", "GPTXT,01,01,02,ANTSUPERV=AC"]
)  # fmt: skip
def test_other_texts_say_nothing_of_the_antenna(body: str) -> None:
    assert read(line(body)) == []


@pytest.mark.parametrize("body", ["PSTMANTENNASTATUS,9", "PSTMANTENNASTATUS"])
def test_an_unknown_antenna_state_is_a_bad_field(body: str) -> None:
    reader = NmeaReader(NOT_BEFORE)
    assert statuses(read(line(body), reader)) == []
    assert reader.counters["bad_field"] == 1


# UBX


def test_mon_rf_between_sentences_tells_of_jamming_and_the_worst_block_counts() -> None:
    reader = NmeaReader(NOT_BEFORE)
    data = mon_rf((1, 2, 4096, 20), (3, 4, 8191, 200), (2, 3, 0, 255)) + line(rmc())
    (status,) = statuses(reader.feed(data, 0))
    assert (status.jam_state, status.jam_level, status.agc_permille) == (3, 200, 1000)
    assert status.antenna == "SHORT"
    assert (reader.counters["ubx"], reader.counters["sentences"]) == (1, 1)


@pytest.mark.parametrize(
    ("code", "antenna"), [(0, None), (1, "DONTKNOW"), (2, "OK"), (3, "SHORT"), (4, "OPEN"), (9, None)]
)  # fmt: skip
def test_mon_rf_tells_of_the_antenna(code: int, antenna: str | None) -> None:
    (status,) = statuses(read(mon_rf((1, code, 4096, 0))))
    assert (status.antenna, status.agc_permille) == (antenna, 500)


@pytest.mark.parametrize("spoof", [0, 1, 2, 3])
def test_nav_status_tells_of_spoofing(spoof: int) -> None:
    (status,) = statuses(read(nav_status(spoof)))
    assert status.spoof_state == spoof


def test_only_a_change_of_a_state_is_told_at_once() -> None:
    reader = NmeaReader(NOT_BEFORE)
    same = mon_rf((1, 2, 4096, 20)) + mon_rf((1, 2, 5000, 30)) + nav_status(1) * 2
    told = statuses(reader.feed(same + mon_rf((2, 2, 5000, 30)) + nav_status(2), 0))
    assert [(status.jam_state, status.spoof_state) for status in told] == [
        (1, None),
        (1, 1),
        (2, 1),
        (2, 2),
    ]


def test_nothing_else_of_ubx_is_read() -> None:
    reader = NmeaReader(NOT_BEFORE)
    short_block = ubx(b"\x0a\x38", bytes((0, 6, 0, 0)) + bytes(20 * 6))  # 124 bytes, as five of 24
    nav_pvt = ubx(b"\x01\x07", bytes(92))
    other_length = ubx(b"\x01\x03", bytes(20))
    facts = read(short_block + nav_pvt + other_length + line(rmc()), reader)
    assert statuses(facts) == []
    assert (reader.counters["ubx"], reader.counters["fixes"]) == (1, 1)  # the first was sound


def test_a_broken_ubx_message_is_counted_and_hides_no_sentence() -> None:
    reader = NmeaReader(NOT_BEFORE)
    broken = bytearray(mon_rf((3, 2, 0, 0)))
    broken[-1] ^= 1
    facts = read(bytes(broken[:20]) + line(rmc()) + bytes(broken), reader)
    assert statuses(facts) == []
    assert (reader.counters["bad_checksum"], reader.counters["fixes"]) == (2, 1)


def test_a_ubx_message_that_never_ends_hides_no_sentence() -> None:
    whole = mon_rf((3, 2, 0, 0))
    for size in range(1, len(whole)):
        facts = read(whole[:size] + line(rmc()))
        assert (len(fixes(facts)), statuses(facts)) == (1, [])


def test_one_flipped_bit_in_a_ubx_message_never_makes_a_state() -> None:
    for good in (mon_rf((1, 2, 4096, 20)), nav_status(1)):
        for at in range(len(good)):
            for bit in range(8):
                broken = bytearray(good)
                broken[at] ^= 1 << bit
                assert statuses(read(bytes(broken))) == []
