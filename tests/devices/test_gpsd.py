"""gpsd's lines: the last TPV of a time, no fix where gpsd sees none, no line that makes memory grow."""

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from devices import (
    READER_MEMORY_BYTES_MAX,
    Fact,
    Fix,
    FixKind,
    GnssStatus,
    MisuseError,
    NoFix,
    NoFixReason,
    Odd,
    TimeQuality,
)
from devices.gpsd import GpsdReader
from tests.devices.cutting import NOW_MS, check_any_cutting, check_each_offset, cut_at, feed
from tests.devices.seal_cases import iso_ms
from tests.shared_data import shared

LOGS = Path(__file__).resolve().parents[1] / "vectors" / "nmea"
TIME = "2027-03-01T05:00:10.000Z"
FIX = (
    b'{"class":"TPV","device":"/dev/ttyS0","status":2,"mode":3,"time":"2027-03-01T05:00:10.000Z","ept":0.005,'
    b'"lat":41.301683349,"lon":-69.241666751,"altHAE":420.1,"altMSL":455.15,"alt":455.1,"track":359.996,'
    b'"speed":11.1155,"climb":0.1,"eph":9.5}\n'
)
VOID = b'{"class":"TPV","mode":1,"time":"2027-03-01T05:00:11.000Z"}\n'
SKY = (
    b'{"class":"SKY","device":"/dev/ttyS0","hdop":0.90,"pdop":1.2,"nSat":4,"uSat":2,"satellites":['
    b'{"PRN":1,"gnssid":0,"svid":1,"el":40.0,"az":95.0,"ss":40.0,"used":true},'
    b'{"PRN":1,"gnssid":0,"svid":1,"sigid":4,"el":40.0,"az":95.0,"ss":44.5,"used":false},'
    b'{"PRN":66,"gnssid":6,"svid":2,"el":10.0,"az":5.0,"ss":20.0,"used":true},'
    b'{"PRN":9,"gnssid":0,"svid":9,"el":4.0,"az":5.0,"ss":0.0,"used":false}]}\n'
)
OTHERS = (
    b'{"class":"VERSION","release":"3.22","rev":"3.22","proto_major":3,"proto_minor":14}\n'
    b'{"class":"DEVICES","devices":[{"class":"DEVICE","path":"/dev/pts/1","activated":"x"}]}\n'
    b'{"class":"WATCH","enable":true,"json":true}\n'
)


def tpv(**fields: object) -> bytes:
    said = {"class": "TPV", "mode": 3, "time": TIME, "lat": 41.5, "lon": 69.25} | fields
    said = {key: value for key, value in said.items() if value is not None}
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def read(*lines: bytes, reader: GpsdReader | None = None) -> list[Fact]:
    reader = reader or GpsdReader()
    return reader.feed(b"".join(lines), NOW_MS) + reader.close(NOW_MS)


def fixes(facts: list[Fact]) -> list[Fix]:
    return [fact for fact in facts if isinstance(fact, Fix)]


def test_a_tpv_is_a_fix_with_what_the_receiver_said_and_nothing_that_gpsd_computed() -> None:
    [fix] = read(FIX)
    assert fix == Fix(
        at_ms=NOW_MS,
        time_ms=iso_ms("2027-03-01T05:00:10Z"),
        time_quality=TimeQuality.GNSS,
        tod_ms=(5 * 3_600 + 10) * 1_000,
        lat_e7=413_016_833,
        lon_e7=-692_416_668,  # half away from zero
        alt_dm=4_552,
        speed_cm_s=1_112,
        course_cdeg=0,
        hdop_centi=None,
        sats=None,
        err_cm=None,
        kind=FixKind.DGNSS,
        mode=3,
        said_by=("TPV",),
    )


@pytest.mark.parametrize(("status", "kind"), [
    (None, FixKind.GNSS), (0, FixKind.GNSS), (1, FixKind.GNSS), (2, FixKind.DGNSS),
    (3, FixKind.RTK_FIXED), (4, FixKind.RTK_FLOAT), (5, FixKind.DEAD_RECKONING),
    (6, FixKind.DEAD_RECKONING), (7, FixKind.MANUAL), (8, FixKind.SIMULATED), (9, FixKind.PPS),
    (10, FixKind.GNSS),
])  # fmt: skip
def test_each_status_has_its_kind(status: int | None, kind: FixKind) -> None:
    [fix] = fixes(read(tpv(status=status)))
    assert fix.kind is kind


@pytest.mark.parametrize(("fields", "reason"), [
    ({"mode": 0}, NoFixReason.VOID),
    ({"mode": 1}, NoFixReason.VOID),
    ({"lat": None}, NoFixReason.NO_POSITION),
    ({"lon": None}, NoFixReason.NO_POSITION),
    ({"lat": 90.1}, NoFixReason.NO_POSITION),
    ({"lat": "41.5"}, NoFixReason.NO_POSITION),
    ({"lat": float("nan")}, NoFixReason.NO_POSITION),
    ({"lon": 180.5}, NoFixReason.NO_POSITION),
])  # fmt: skip
def test_no_place_is_no_fix(fields: dict[str, object], reason: NoFixReason) -> None:
    [no_fix] = read(tpv(**fields))
    assert no_fix == NoFix(at_ms=NOW_MS, time_ms=iso_ms("2027-03-01T05:00:10Z"), reason=reason)


@pytest.mark.parametrize(("name", "value"), [
    ("altMSL", -1_001), ("altMSL", 1e9), ("speed", -1), ("speed", 1_100), ("track", 361),
    ("track", "n/a"), ("jam", 256), ("time", "2027-02-30T05:00:10.000Z"), ("time", "yesterday"), ("time", 5),
])  # fmt: skip
def test_a_field_that_cannot_be_is_none_and_counted(name: str, value: object) -> None:
    reader = GpsdReader()
    [fix] = fixes(read(tpv(**{name: value}), reader=reader))
    assert reader.counters["bad_field"] == 1
    assert fix.alt_dm is fix.speed_cm_s is fix.course_cdeg is None
    assert (fix.time_ms is None) is (name == "time")


def test_a_leap_second_and_a_fix_without_time() -> None:
    [leap] = fixes(read(tpv(time="2016-12-31T23:59:60.000Z")))
    assert leap.time_ms == (iso_ms("2016-12-31T23:59:59Z") or 0) + 999
    [untimed] = fixes(read(tpv(time=None)))
    assert (untimed.time_ms, untimed.tod_ms, untimed.time_quality) == (None, None, TimeQuality.NONE)


def test_the_last_tpv_of_a_time_wins() -> None:
    [fix] = fixes(read(tpv(lat=1), tpv(lat=2), tpv(mode=1), tpv(lat=3, mode=2)))
    assert (fix.lat_e7, fix.mode) == (30_000_000, 2)
    assert [type(fact) for fact in read(tpv(), tpv(mode=1))] == [NoFix]


def test_an_epoch_closes_with_the_next_time_or_when_gpsd_is_quiet() -> None:
    reader = GpsdReader()
    assert reader.feed(FIX, NOW_MS) == []
    assert reader.next_deadline() == NOW_MS + 250
    assert reader.wake(NOW_MS + 249) == []
    [fix] = reader.wake(NOW_MS + 250)
    assert fix.at_ms == NOW_MS
    assert reader.next_deadline() is None
    reader.feed(VOID, NOW_MS + 1_000)
    [no_fix] = reader.feed(tpv(time="2027-03-01T05:00:12.000Z"), NOW_MS + 1_010)
    assert (type(no_fix), no_fix.at_ms) == (NoFix, NOW_MS + 1_000)


def test_a_straggler_makes_no_second_fix_and_a_time_that_stands_still_is_frozen_once() -> None:
    reader = GpsdReader()
    reader.feed(FIX, NOW_MS)
    reader.wake(NOW_MS + 250)
    assert reader.feed(FIX, NOW_MS + 400) == []
    [frozen] = reader.feed(FIX, NOW_MS + 1_250)
    assert frozen == NoFix(
        at_ms=NOW_MS + 1_250,
        time_ms=iso_ms("2027-03-01T05:00:10Z"),
        reason=NoFixReason.FROZEN,
    )
    assert reader.feed(FIX, NOW_MS + 3_000) == []
    assert reader.feed(tpv(time="2027-03-01T05:00:11.000Z"), NOW_MS + 4_000) == []
    assert len(fixes(reader.wake(NOW_MS + 5_000))) == 1
    assert (reader.counters["late"], reader.counters["frozen"]) == (3, 1)


def test_a_receiver_that_lost_its_time_with_its_place_is_no_fix_each_second() -> None:
    reader = GpsdReader()
    reader.feed(FIX, NOW_MS)
    reader.wake(NOW_MS + 250)
    told = [
        fact
        for second in range(1, 6)
        for fact in reader.feed(tpv(mode=1), NOW_MS + 1_000 * second + 300)
    ]
    assert [type(fact) for fact in told] == [NoFix] * 5
    assert {fact.time_ms for fact in told if isinstance(fact, NoFix)} == {None}


def test_a_clock_that_steps_back_is_still_a_clock() -> None:
    reader = GpsdReader()
    told = fixes(read(FIX, tpv(time="2027-03-01T05:00:09.000Z"), reader=reader))
    assert len(told) == 2
    assert reader.counters["time_backward"] == 1


def test_dops_and_satellites_come_from_a_sky_that_is_not_old() -> None:
    reader = GpsdReader()
    reader.feed(SKY, NOW_MS)
    reader.feed(FIX, NOW_MS + 5_000)
    [fix] = fixes(reader.close(NOW_MS + 5_000))
    assert (fix.hdop_centi, fix.sats) == (90, 2)
    reader.feed(tpv(), NOW_MS + 5_001)
    reader.feed(tpv(time="2027-03-01T05:00:12.000Z"), NOW_MS + 5_001)
    [fix] = fixes(reader.close(NOW_MS + 5_002))
    assert (fix.hdop_centi, fix.sats) == (None, None)


@pytest.mark.parametrize(
    ("hdop", "centi"), [("0.00", None), ("0.01", 1), ("98.99", 9_899), ("99.00", None)]
)
def test_a_dilution_of_nothing_or_of_99_is_none(hdop: str, centi: int | None) -> None:
    [fix] = fixes(read(f'{{"class":"SKY","hdop":{hdop}}}\n'.encode(), FIX))
    assert fix.hdop_centi == centi


def test_a_sky_is_the_state_of_the_satellites_each_with_its_strongest_signal() -> None:
    [status] = read(SKY)
    assert status == GnssStatus(
        at_ms=NOW_MS,
        in_view=3,
        tracked=2,
        used=2,
        systems=(("GLONASS", 1, 1, 1), ("GPS", 2, 1, 1)),
        cn0_top4_cdb=3_225,
        cn0_std_cdb=1_225,
        strong_25=1,
        antenna=None,
        jam_state=None,
        jam_level=None,
        spoof_state=None,
        agc_permille=None,
    )


def test_the_sky_is_told_every_ten_seconds_and_when_a_fix_is_found_or_lost() -> None:
    reader = GpsdReader()
    told = [len(reader.feed(SKY, NOW_MS + at)) for at in (0, 1_000, 9_999, 10_000)]
    assert told == [1, 0, 0, 1]
    facts = reader.feed(FIX + VOID + tpv(time="2027-03-01T05:00:12.000Z"), NOW_MS + 10_001)
    assert [type(fact) for fact in facts] == [Fix, GnssStatus, NoFix, GnssStatus]


@pytest.mark.parametrize(("ant", "antenna"), [(1, "OK"), (2, "SHORT"), (3, "OPEN")])
def test_an_antenna_is_told_when_it_changes_and_jamming_with_it(ant: int, antenna: str) -> None:
    facts = read(tpv(ant=ant, jam=27), tpv(ant=ant, jam=28))
    [status] = [fact for fact in facts if isinstance(fact, GnssStatus)]
    assert (status.antenna, status.jam_level, status.in_view) == (antenna, 27, None)


@pytest.mark.parametrize(("line", "reason"), [
    (b"\xff\xfe", "malformed"),
    (b"$GPRMC,081236.00", "malformed"),
    (b'{"mode":3,"class":"TPV"', "malformed"),
    (b'["class":"TPV","mode":3]', "malformed"),
    (b'{"x":{"class":"TPV","mode":3}}', "malformed"),
    (b'{"class":"SKY","satellites":[],"class":"TPV"}', "malformed"),
    (b'{"class":"SKY","satellites":[] "hdop":1}', "malformed"),
    (b'{"class":"TPV"}', "malformed"),
    (b'{"class":"TPV","mode":"3"}', "malformed"),
    (b'{"class":"TPV","mode":4}', "malformed"),
    (b'{"class":"TPV","mode":3', "malformed"),
    (b'{"class":"TPV","mode":' + b"[" * 9_000, "malformed"),
    (b'{"class":"TPV","mode":' + b"9" * 6_000 + b"}", "malformed"),
    (b'{"class":"TPV","mode":3,"a":{"b":[[[[]]]]}}', "malformed"),
    (b'{"class":"TPV","mode":3' + b',"a":1' * 200 + b"}", "malformed"),
    (b'{"class":"SKY","satellites":[', "malformed"),
    (b'{"class":"SKY","satellites":[{}]}', "malformed"),
    (b'{"class":"SKY","satellites":[{"PRN":1,"gnssid":0} {"PRN":2}]}', "malformed"),
    (b'{"class":"SKY","satellites":[' + b",".join(b'{"PRN":%d}' % n for n in range(200)) + b"]}", "malformed"),
    (b'{"class":"SKY",' + b"x" * 16_384, "too_long"),
    (b"x" * 20_000, "too_long"),
])  # fmt: skip
def test_a_line_that_means_nothing_has_its_reason_and_the_next_is_read(
    line: bytes, reason: str
) -> None:
    reader = GpsdReader()
    odd, fix = read(line + b"\n", FIX, reader=reader)
    assert isinstance(odd, Odd)
    assert (odd.reason, odd.sample) == (reason, line[:64])
    assert isinstance(fix, Fix)
    assert reader.counters[reason] == 1


def spaced(line: bytes) -> bytes:
    """As `json.dumps` writes, not gpsd."""
    return line.replace(b":", b": ").replace(b",", b", ").replace(b"T05: 00: 10", b"T05:00:10")


def turned(line: bytes) -> bytes:
    """The same members, the last first."""
    flat, begins, satellites = line.strip(b"{}\n").partition(b',"satellites":')
    members = flat.split(b",")[::-1]
    return b"{%b}\n" % b",".join([begins[1:] + satellites, *members] if begins else members)


@pytest.mark.parametrize("line", [FIX, SKY])
def test_spaces_and_the_order_of_the_members_mean_nothing(line: bytes) -> None:
    plain = read(line)
    assert plain != []
    assert read(spaced(line)) == plain
    assert turned(line).endswith(b'"class":"%b"}\n' % line[10:13])
    assert read(turned(line)) == plain
    assert read(b" " + spaced(turned(line))) == plain


def test_rtcm_that_gpsd_passes_on_is_another_class_and_no_damage() -> None:
    reader = GpsdReader()
    line = b'{"class":"RTCM3","type":1029,"length":38,"station_id":0,"text":"x"}\n'
    assert read(line, b'{"class":"RTCM2","type":9}\n', reader=reader) == []
    assert (reader.counters["other"], reader.counters["malformed"]) == (2, 0)


def test_a_jam_level_that_is_not_set_is_none_and_no_wrong_field() -> None:
    reader = GpsdReader()
    [_, status] = read(SKY, tpv(jam=-1, ant=3), reader=reader)[:2]
    assert isinstance(status, GnssStatus)
    assert (status.jam_level, reader.counters["bad_field"]) == (None, 0)


def test_satellites_of_an_old_gpsd_are_told_apart_by_their_numbers() -> None:
    """gpsd 3.17 knows no gnssid; GLONASS begins at 65, SBAS stands at 120 and above."""
    numbers = (3, 66, 120, 195, 301, 401, 250)
    listed = ",".join(f'{{"PRN":{n},"el":6,"az":84,"ss":30,"used":true}}' for n in numbers)
    [status] = read(f'{{"class":"SKY","satellites":[{listed}]}}\n'.encode())
    assert isinstance(status, GnssStatus)
    assert [name for name, *_ in status.systems] == [
        "BEIDOU", "GALILEO", "GLONASS", "GPS", "OTHER", "QZSS", "SBAS",
    ]  # fmt: skip


def test_two_receivers_behind_one_gpsd_never_alternate() -> None:
    """The one that had a fix is listened to until it has had none for ten seconds."""
    reader = GpsdReader()
    first, second = {"device": "/dev/ttyS0"}, {"device": "/dev/ttyS1", "lat": 50.0}
    facts = read(tpv(**first), tpv(**second), reader=reader)
    assert [fix.lat_e7 for fix in fixes(facts)] == [415_000_000]
    assert reader.counters["other_device"] == 1
    lost = tpv(**first, mode=1, time="2027-03-01T05:00:11.000Z")
    assert fixes(reader.feed(lost + tpv(**second), NOW_MS + 9_999)) == []
    [fix] = fixes(read_at(reader, tpv(**second, time="2027-03-01T05:00:21.000Z"), NOW_MS + 10_000))
    assert fix.lat_e7 == 500_000_000


def read_at(reader: GpsdReader, line: bytes, now_ms: int) -> list[Fact]:
    return reader.feed(line, now_ms) + reader.close(now_ms)


def test_lines_of_other_classes_are_counted_and_not_parsed() -> None:
    reader = GpsdReader()
    assert read(OTHERS, b"\n\r\n", b'{"class":"ATT"' + b"[" * 9_000 + b"\n", reader=reader) == []
    assert reader.counters["other"] == 4
    assert reader.counters["sentences"] == 4


def test_a_sky_without_satellites_is_read() -> None:
    assert read(b'{"class":"SKY","satellites":[]}\n')[0] == GnssStatus(
        at_ms=NOW_MS,
        in_view=0,
        tracked=0,
        used=0,
        systems=(),
        cn0_top4_cdb=None,
        cn0_std_cdb=None,
        strong_25=0,
        antenna=None,
        jam_state=None,
        jam_level=None,
        spoof_state=None,
        agc_permille=None,
    )


@pytest.mark.parametrize("line", [FIX, SKY, FIX + VOID, OTHERS + FIX.replace(b"\n", b"\r\n")])
def test_two_pieces_give_the_same_facts_and_counters_at_each_offset(line: bytes) -> None:
    check_each_offset(GpsdReader, line)


LONG = b"x" * 16_383
EDGES = (LONG + b"\n", LONG + b"\r\n", LONG + b"x\r\n", LONG + b"xx\n", LONG + b"x\rx\n")


def test_lines_at_the_limit_mean_the_same_however_they_are_cut() -> None:
    whole = feed(GpsdReader, [b"".join(EDGES) + FIX])
    for place in range(16_380, 16_390):
        assert feed(GpsdReader, cut_at(b"".join(EDGES) + FIX, [place])) == whole
    for edge in EDGES:
        for place in range(16_380, len(edge)):
            assert feed(GpsdReader, cut_at(edge + FIX, [place])) == feed(GpsdReader, [edge + FIX])


def test_all_lines_in_a_row_mean_the_same_however_they_are_cut() -> None:
    check_any_cutting(GpsdReader, OTHERS + SKY + FIX + VOID + b"nonsense\n" + FIX[:80])


pieces = st.one_of(
    st.sampled_from([FIX, VOID, SKY, OTHERS, FIX[:90], SKY[:200], b"\n", b"\r\n", LONG]),
    st.binary(max_size=40),
    st.integers(16_300, 16_500).map(lambda size: b"y" * size),
)


@settings(max_examples=100)
@given(st.lists(pieces, max_size=8), st.lists(st.integers(0, 40_000), max_size=20))
def test_any_cutting_gives_the_same_facts_and_counters(
    parts: list[bytes], places: list[int]
) -> None:
    data = b"".join(parts)
    assert feed(GpsdReader, cut_at(data, places)) == feed(GpsdReader, [data])


@pytest.mark.parametrize("line", [
    b'{"class":"SKY","satellites":[' + b",".join(
        b'{"PRN":%d,"gnssid":%d,"svid":%d,"el":4.0,"az":5.0,"ss":40.%d,"used":true}' % (n, n % 8, n, n)
        for n in range(1, 129)
    ) + b"]}\n",
    b'{"class":"TPV","mode":' + b"[" * 16_000 + b"\n",
    b'{"class":"SKY","satellites":[' + b"{}," * 5_000 + b"\n",
    b'{"class":"SKY","satellites":[' + b"[]," * 5_000 + b"\n",
    b"x" * 16_384 + b"\n",
    b"x" * 100_000,
])  # fmt: skip
def test_memory_stays_small_whatever_is_fed(line: bytes) -> None:
    reader = GpsdReader()
    reader.feed(FIX + SKY + line, NOW_MS)
    reads = [(line * 4)[start : start + 4_096] for start in range(0, 4 * len(line), 4_096)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for read_bytes in reads:
        reader.feed(read_bytes, NOW_MS + 1)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < READER_MEMORY_BYTES_MAX * 7 // 8  # it was 63,745 once: a hair is no margin


def test_nothing_is_said_to_a_receiver_behind_gpsd() -> None:
    reader = GpsdReader()
    with pytest.raises(MisuseError):
        reader.order("reset", NOW_MS)
    assert reader.take_bytes() == b""


# -- what gpsd itself says of real logs


@pytest.mark.parametrize("log", sorted(LOGS.glob("*.chk")), ids=lambda log: log.name)
def test_gpsds_own_lines_give_its_fixes_and_no_other(log: Path) -> None:
    check_log(log)


def test_gpsds_own_lines_of_the_whole_corpus_give_its_fixes_and_no_other() -> None:
    found = sorted(shared("gpsd").glob("*/*.chk"))
    assert sum(check_log(log) for log in found) > 1_000


def check_log(log: Path) -> int:
    """EXCEPTIONS.md: the last TPV of a time decides whether it is a fix; no TPV with a fix, no fix."""
    lines = [line for line in log.read_bytes().splitlines() if line.startswith(b"{")]
    wanted: dict[int, tuple[float, float] | None] = {}
    ever: set[int] = set()
    for said in map(json.loads, lines):
        if said["class"] != "TPV" or "time" not in said:
            continue
        time_ms = (iso_ms(said["time"][:19]) or 0) + int(said["time"][20:23])
        is_fix = said["mode"] >= 2 and "lat" in said
        wanted[time_ms] = (said["lat"], said["lon"]) if is_fix else None
        ever |= {time_ms} if is_fix else set()
    reader = GpsdReader()
    told = fixes(read(*(line + b"\n" for line in lines), reader=reader))
    places = {fix.time_ms: (fix.lat_e7 / 1e7, fix.lon_e7 / 1e7) for fix in told}
    assert set(places) - {None} <= ever
    for time_ms, place in wanted.items():
        if place is not None:
            lat, lon = places[time_ms]
            assert max(abs(lat - place[0]), abs(lon - place[1])) <= 1.01e-7
    assert reader.counters["malformed"] == reader.counters["too_long"] == 0
    return sum(place is not None for place in wanted.values())
