import pytest

from firmware_sim.tracks import read_csv, read_gpx
from firmware_sim.world import Track

GPX = """<?xml version="1.0"?><gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>
<trkpt lat="41.1" lon="69.1"><ele>455.5</ele><time>2026-05-01T10:00:00Z</time></trkpt>
<trkpt lat="41.2" lon="69.2"><time>2026-05-01T10:00:02.500Z</time></trkpt>
</trkseg></trk></gpx>"""
REPLAY = """unit,time,lat,lon,speed_m_s,course_deg,hdop,received
a,2018-05-03T15:10:43.000Z,22.2,96.6,4.583,14,,2018-05-03T15:10:45.847Z
a,2018-05-03T15:10:37.000Z,22.1,96.5,3.611,18,0.9,2018-05-03T15:10:42.594Z
b,2018-05-03T15:10:38.000Z,10.0,10.0,,,,
"""


def test_a_plan_counts_from_the_start_of_the_scenario() -> None:
    track = read_csv("t_s,lat,lon,alt_m\n0,41,69,400\n1.5,41.1,69.1,\n")
    assert isinstance(track, Track)
    assert track.recorded_ms is None
    assert [(v.t_ms, v.lat, v.alt_m) for v in track.vertices] == [
        (0, 41.0, 400.0),
        (1500, 41.1, None),
    ]


def test_a_recording_is_put_in_order_and_keeps_its_own_time() -> None:
    track = read_csv(REPLAY, unit="a")
    assert isinstance(track, Track)
    assert track.recorded_ms == 1_525_360_237_000
    assert [(v.t_ms, v.speed_m_s, v.hdop) for v in track.vertices] == [
        (0, 3.611, 0.9),
        (6000, 4.583, None),
    ]


def test_gpx_points_are_a_recording() -> None:
    track = read_gpx(GPX)
    assert isinstance(track, Track)
    assert [(v.t_ms, v.lat, v.lon, v.alt_m) for v in track.vertices] == [
        (0, 41.1, 69.1, 455.5),
        (2500, 41.2, 69.2, None),
    ]


@pytest.mark.parametrize(
    ("text", "unit", "says"),
    [
        ("", None, "column lat is missing"),
        ("t_s,lat\n", None, "column lon is missing"),
        ("lat,lon\n1,2\n", None, "neither column t_s nor column time"),
        ("t_s,lat,lon\n", None, "no place in it"),
        ("t_s,lat,lon\n0,91,0\n", None, "line 2: place 91.0, 0.0 is not on Earth"),
        ("t_s,lat,lon\n0,1\n", None, "line 2"),
        ("t_s,lat,lon\n0,1,2\nx,1,2\n", None, "line 3"),
        ("t_s,lat,lon,hdop\n0,1,2,nan\n", None, "line 2: nan is no number"),
        ("time,lat,lon\n2026-01-01T00:00:00,1,2\n", None, "has no zone"),
        ("t_s,lat,lon\n0,1,2\n", "a", "asks for a column unit"),
        (REPLAY, None, "several units are in it (a, b)"),
        (REPLAY, "c", "no place in it"),
    ],
)
def test_a_bad_file_is_answered_with_its_line(text: str, unit: str | None, says: str) -> None:
    answer = read_csv(text, unit)
    assert isinstance(answer, str)
    assert says in answer


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no xml", "no GPX"),
        ("<gpx/>", "no place in it"),
        ('<gpx><trkpt lat="1" lon="2"/></gpx>', "point 1"),
    ],
)
def test_gpx_without_times_is_refused(text: str, says: str) -> None:
    answer = read_gpx(text)
    assert isinstance(answer, str)
    assert says in answer
