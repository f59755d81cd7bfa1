from math import cos, hypot, radians

import pytest
from hypothesis import given, strategies as st

from firmware_sim.world import EARTH_RADIUS_M, Track, Vertex, World, along, offset

LINE = [(41.0, 69.0), (41.01, 69.0)]  # north, 1111.95 m
LEG_M = radians(0.01) * EARTH_RADIUS_M


def test_between_two_vertices_the_truck_drives_straight_at_constant_speed() -> None:
    world = World(along(LINE, 10.0, []))
    half = world.at(round(LEG_M * 50))
    assert half.lat == pytest.approx(41.005, abs=1e-7)
    assert half.speed_m_s == pytest.approx(10.0, abs=1e-3)
    assert half.course_deg == 0.0
    assert half.odometer_m == pytest.approx(LEG_M / 2, abs=0.01)


def test_before_the_first_and_after_the_last_vertex_it_stands() -> None:
    world = World(
        Track(vertices=(Vertex(t_ms=5000, lat=41, lon=69), Vertex(t_ms=6000, lat=42, lon=69)))
    )
    assert (world.at(0).lat, world.at(0).speed_m_s) == (41, 0)
    assert (world.at(9000).lat, world.at(9000).speed_m_s) == (42, 0)


def test_a_stop_holds_the_place_and_the_course_for_its_time() -> None:
    world = World(along(LINE, 10.0, [(20.0, 60.0)]))
    begin, end = world.at(20_000), world.at(79_999)
    assert begin.lat == pytest.approx(end.lat, abs=1e-9)
    assert end.speed_m_s == 0.0
    assert world.at(81_000).speed_m_s == pytest.approx(10.0, abs=1e-3)
    assert world.track.end_ms() == pytest.approx(LEG_M * 100 + 60_000, abs=1)


def test_the_course_turns_clockwise_from_north() -> None:
    corners = [(41.0, 69.0), (41.0, 69.01), (40.99, 69.01), (40.99, 69.0)]
    world = World(along(corners, 10.0, []))
    times = [vertex.t_ms + 1 for vertex in world.track.vertices[:3]]
    assert [round(world.at(t_ms).course_deg) for t_ms in times] == [90, 180, 270]


@given(st.floats(-80, 80), st.floats(-170, 170), st.floats(-5000, 5000), st.floats(-5000, 5000))
def test_an_offset_is_as_far_as_it_says(
    lat: float, lon: float, east_m: float, north_m: float
) -> None:
    to_lat, to_lon = offset(lat, lon, east_m, north_m)
    north = radians(to_lat - lat) * EARTH_RADIUS_M
    east = radians(to_lon - lon) * EARTH_RADIUS_M * cos(radians(lat))
    assert hypot(north - north_m, east - east_m) < 0.01
