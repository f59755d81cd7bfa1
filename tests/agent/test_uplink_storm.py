"""A fleet of uplinks on simulated time against one broker (EDGE section 5, rungs; section 12, fleet). The sea is `bench.storm`'s."""

from xml.etree import ElementTree as ET

import pytest

from bench.storm import CASES, Case, Storm, plain_back_off, sail
from bench.storm_plot import svg_of


def test_e10_a_small_fleet_comes_back_without_a_storm_and_every_batch_is_receipted() -> None:
    storm = Storm(units=100, handshakes_s=4).sail(400, seal_s=300)
    assert len(storm.back_at) == 100
    assert storm.peak <= 30  # 12.5 on average in the first 8 s; a crowd would be 100
    assert (storm.back_s(0.99) or 999) < 120
    assert storm.unreceipted == 0
    assert sum(len(member.rows) for member in storm.fleet) > 500


def test_e10_a_broker_that_accepts_and_drops_is_dialled_ever_more_seldom() -> None:
    storm = Storm(units=60, handshakes_s=1000, drops=True).sail(3600, seal_s=0)
    assert storm.dials_between(0, 600) / 60 == pytest.approx(8, rel=0.2)
    assert 60 * 1800 / storm.dials_between(1800, 3600) == pytest.approx(150, rel=0.2)  # s a dial


def test_e10_what_the_broker_never_took_is_not_counted_as_receipted() -> None:
    storm = Storm(units=10, handshakes_s=1000, away_s=300).sail(300)
    assert storm.unreceipted == 50
    assert not storm.back_at


def test_the_plain_client_is_the_crowd_that_we_are_not() -> None:
    plain = plain_back_off(100, 4, away_s=0, drops=False, seconds=60)
    assert max(plain.values()) == 100


@pytest.mark.slow
@pytest.mark.parametrize("case", [one for one in CASES if not one.drops], ids=lambda one: one.name)
def test_e10_five_thousand_units_come_back_as_section_5_says(case: Case) -> None:
    report = sail(case, 5_000, 200, 1).report
    assert report["sound"], report


def test_the_picture_is_sound_xml_and_holds_a_panel_a_case() -> None:
    small = [sail(case, 50, 2, 1) for case in CASES]
    root = ET.fromstring(svg_of(small, "fifty & more"))
    words = [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert all(any(case.name in word for word in words) for case in CASES)
    lines = list(root.iter("{http://www.w3.org/2000/svg}polyline"))
    assert len(lines) == 2 * len(CASES)
