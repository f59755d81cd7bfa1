"""The reckoning of the console's numbers, and the page that holds them. Nothing here is timed."""

import pytest

from bench.console.cuts import Shown, figures_of
from bench.console.figure import Figure, growth_percent, inp_p75, missed, shares, times_of
from bench.console.page import page
from bench.console.run import Report, not_taken, officer_figures
from bench.console.weights import first_load, own_bytes, parted

MACHINE = {
    "cpu": "Some Processor",
    "cores": 2,
    "system": "Linux 6",
    "python": "3.11",
    "browser": "Chromium 1",
    "commit": "abc1234",
}


def figure(found: float | None, most: float | None, load: float = 0.5) -> Figure:
    return Figure(what="a thing", found=found, unit="ms", most=most, how="so", load=load)


@pytest.mark.parametrize(
    ("found", "most", "is_met"),
    [(10, 10, True), (10.1, 10, False), (None, 10, False), (3, None, None), (None, None, None)],
)
def test_a_goal_is_met_up_to_itself_and_never_by_what_was_not_taken(
    *, found: float | None, most: float | None, is_met: bool | None
) -> None:
    assert figure(found, most).is_met is is_met


def test_the_page_says_what_was_missed_and_how_it_was_measured_once() -> None:
    parts = {"Part": [figure(1234.5, 2_000), figure(9, 3), figure(None, 1), figure(7, None)]}
    text = page(parts, MACHINE)
    assert "| a thing | 1,234.5 ms | 2,000 ms | yes |  | 0.5 |" in text
    assert "| a thing | 9 ms | 3 ms | **no** |  | 0.5 |" in text
    assert "| a thing | not taken | 1 ms | **no** |  | 0.5 |" in text
    assert "| a thing | 7 ms |  |  |  | 0.5 |" in text
    assert text.count("- so\n") == 1
    assert "Goals met: 1 of 3." in text
    assert "Some Processor, 2 cores, Linux 6, Python 3.11, Chromium 1, commit abc1234." in text
    assert missed(parts["Part"]) == ["a thing", "a thing"]


@pytest.mark.parametrize(
    ("load", "words"), [(1.9, "stayed under"), (2.1, "reached 2.1 on 2 cores")]
)
def test_a_busy_machine_is_told(load: float, words: str) -> None:
    assert words in page({"Part": [figure(1, 2, load)]}, MACHINE)


def test_a_part_that_failed_is_a_figure_that_was_not_taken() -> None:
    (line,) = [not_taken("Part", "no\n chromium")]
    assert line.is_met is False
    assert "Not taken: no chromium" in page({"Part": [line]}, MACHINE)


def test_what_a_browser_does_not_tell_of_a_key_was_short() -> None:
    assert inp_p75([], 4) == 16
    assert inp_p75([300.0, 24.0], 8) == 16
    assert inp_p75([300.0, 280.0, 24.0], 4) == 280
    assert inp_p75([], 0) is None


def test_shares_are_of_the_ordered_times() -> None:
    assert shares([9, 1, 5, 7], 0.5, 0.95) == [5, 9]
    assert shares([], 0.5) == [None]


def test_growth_and_multiples() -> None:
    assert growth_percent(200, 219) == 9.5
    assert growth_percent(200, 150) == -25.0
    assert times_of(300, 120, "an empty page") == "2.5 x an empty page (120)"
    assert times_of(None, 120, "an empty page") == times_of(1, 0, "an empty page") == ""


def test_a_cut_that_one_browser_did_not_show_leaves_no_p95() -> None:
    seen = Shown(stored_ms=100, row_ms=180, marker_ms=300)
    halves = {one.what: one.found for one in figures_of([seen, seen])}
    assert halves["commit to painted row, p95"] == 80
    assert halves["seal cut to marker, p95"] == 300
    some = {
        one.what: one
        for one in figures_of([seen, Shown(stored_ms=100, row_ms=None, marker_ms=None)])
    }
    assert some["seal cut to row, p50"].found == 180
    assert some["seal cut to row, p95"].found is None
    assert some["seal cut to row, p95"].is_met is False
    assert "1 unseen" in some["seal cut to row, p95"].beside


def test_the_first_load_follows_imports_and_leaves_what_is_asked_for_later() -> None:
    manifest = {
        "index.html": {"file": "i.js", "css": ["i.css"], "dynamicImports": ["locales/ru.json"]},
        "console/room/Room.svelte": {
            "file": "r.js",
            "imports": ["index.html", "_lib"],
            "assets": ["maplibre-worker.js", "region-1.json"],
        },
        "_lib": {"file": "lib.js"},
        "basemap/places.json": {"file": "places-1.js"},
        "locales/en.json": {"file": "en.js"},
        "locales/ru.json": {"file": "ru.js"},
    }
    found = first_load(manifest)
    assert "ru.js" not in found
    assert {"i.js", "i.css", "r.js", "lib.js", "en.js", "maplibre-worker.js"} <= found
    code, data = parted(dict.fromkeys(found, 10))
    assert set(data) == {"region-1.json", "places-1.js"}
    assert own_bytes(code, 20) == (len(code) - 1) * 10 - 20


def test_the_officers_figures_have_their_goals() -> None:
    report: dict[str, object] = {
        "scripts_on": {"lcp_ms": 2_600, "stored_ms": 120, "page_gz_bytes": 5_000},
        "scripts_off": {"paint_ms": 2_200},
    }
    figures = officer_figures(report)
    assert missed(figures) == ["LCP, scripts on"]
    assert Report(machine=MACHINE, parts={"Officer": figures}).plain()["missed"] == [
        "LCP, scripts on"
    ]
