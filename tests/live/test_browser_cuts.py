"""Three seals cut on their serial lines, seen in two browsers and acknowledged: the short form of `plomba bench console --only cuts`."""

import pytest

from bench.console import cuts
from bench.console.centre import Centre, chromium, collector
from collector.api.static import built
from tests.live.browser import missing, path_of_chromium

pytestmark = pytest.mark.live

CUTS = 3


def test_each_cut_stands_in_two_browsers_and_the_name_of_who_has_seen_it_in_the_other() -> None:
    path_of_chromium()
    if not built():
        missing("the built console", "make web")
    with chromium() as browser, collector() as site, cuts.trucks(site) as hardware:
        figures = cuts.run(Centre(site=site, browser=browser), hardware, CUTS)
    found = {figure.what: figure.found for figure in figures if figure.what.endswith("p95")}
    assert len(found) == 4
    assert None not in found.values(), found  # one that was never seen leaves no p95
