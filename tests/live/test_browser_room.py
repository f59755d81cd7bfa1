"""The control room in a real browser, on a real truck: an alarm in two rooms at once, who has seen it, a flood, a centre that stops."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from bench.site import end
from collector.people import Role
from tests.collector.fleet import FleetUnit
from tests.collector.web.test_tokens import contrast
from tests.live.browser import LOOKS, SOON_MS, Centre, bears, control_room, dress, faults, shots

pytestmark = pytest.mark.live

PEOPLE = {"op-03": Role.OPERATOR, "op-07": Role.OPERATOR, "sv-01": Role.SUPERVISOR}
FLOOD = 11  # annunciated in ten minutes: one more than a desk can take (ISA-18.2)

LINE_PX_MAX = 40
PAINTED = """row => {
  const hex = (paint) => '#' + paint.match(/\\d+/g).slice(0, 3).map((n) => Number(n).toString(16).padStart(2, '0')).join('');
  const of = (one) => getComputedStyle(one);
  const shape = [...row.querySelectorAll('.shape')].find((one) => one.checkVisibility());
  return { row: hex(of(row).backgroundColor), border: hex(of(shape.querySelector('path')).stroke), number: hex(of(shape.querySelector('text')).fill) };
}"""

COUNT_MEASURED = """() => {
  const height = Object.getOwnPropertyDescriptor(HTMLElement.prototype, 'offsetHeight');
  window.measuredRows = 0;
  const get = function () { window.measuredRows += Number(this.matches('.row')); return height.get.call(this); };
  Object.defineProperty(HTMLElement.prototype, 'offsetHeight', { ...height, get });
}"""


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    with control_room(tmp_path_factory.mktemp("room"), PEOPLE) as room:
        yield room


@pytest.fixture(autouse=True)
def everybody_leaves(centre: Centre) -> Iterator[None]:
    yield
    centre.leave()


def test_a_cut_seal_stands_in_two_rooms_and_who_acknowledges_it_in_one_is_named_in_the_other(
    centre: Centre,
) -> None:
    mine, theirs = centre.log_in("op-07"), centre.log_in("op-03")
    centre.hardware.do("cut")
    row = ".row.p1"
    for page in (mine, theirs):
        alarm = page.locator(row, has_text="Seal opened without order")
        expect(alarm).to_be_visible(timeout=2 * SOON_MS)
        expect(alarm).to_have_class(bears("urgent"))
        expect(alarm).to_contain_text("truck-1")
    mine.keyboard.press("j")
    expect(mine.locator(".detail")).to_contain_text("Hold the vehicle where it is")
    mine.wait_for_timeout(600)  # a key never acts on a row that has just appeared
    mine.keyboard.press("a")
    seen = theirs.locator(row, has_text="truck-1")
    expect(seen).to_contain_text("op-07", timeout=SOON_MS)
    expect(seen).not_to_have_class(bears("urgent"))
    mine.keyboard.press("/")
    mine.keyboard.type("truck")
    mine.keyboard.press("Enter")
    expect(mine.locator(".hits")).to_contain_text("1 unit found", timeout=SOON_MS)
    mine.screenshot(path=shots("room-cut"))


def test_the_eleventh_alarm_in_ten_minutes_is_a_flood(centre: Centre) -> None:
    page = centre.log_in("op-07")
    now_ms = time.time_ns() // 1_000_000 - 120_000
    units = [FleetUnit(unit_id=f"flood-{n}", clock_ms=now_ms) for n in range(FLOOD)]
    centre.enrol(units)
    page.evaluate(COUNT_MEASURED)
    for unit in units:  # what cannot be true: a signed history that begins twice
        centre.say(unit, unit.begin(), unit.begin(forgets=True))
    expect(page.locator(".flood")).to_be_visible(timeout=2 * SOON_MS)
    rows = page.locator(".row", has_text="flood-")
    expect(rows).to_have_count(FLOOD, timeout=SOON_MS)  # criticals stand alone, none is dropped
    assert page.evaluate("measuredRows") <= 1  # each time all of the page is laid out at once
    page.screenshot(path=shots("room-flood"))


def test_nobody_is_shut_out_by_the_log_in_page_or_the_room(centre: Centre) -> None:
    page = centre.seat(with_axe=True)
    page.goto(f"{centre.url}/")
    expect(page.locator("input[name=user]")).to_be_visible(timeout=SOON_MS)
    for language, theme in LOOKS:
        dress(page, language, theme)
        assert faults(page) == [], (language, theme)
        page.screenshot(path=shots(f"login-{language}-{theme}"))
    centre.log_in("sv-01", page)
    page.locator(".row").first.click(timeout=SOON_MS)
    expect(page.locator(".detail")).to_be_visible()
    for language, theme in LOOKS:
        dress(page, language, theme)
        assert faults(page) == [], (language, theme)
        page.screenshot(path=shots(f"room-{language}-{theme}"))


def test_an_alert_shows_its_case_and_another_one_joins_it(centre: Centre) -> None:
    page, detail = centre.log_in("op-07"), ".detail"
    rows = page.locator(".row", has_text="flood-")
    rows.nth(0).click(timeout=SOON_MS)
    page.get_by_role("button", name="Open a case").click(timeout=SOON_MS)
    expect(page.locator(detail)).to_contain_text("No. 1: Open", timeout=SOON_MS)
    expect(page.locator(detail)).to_contain_text("put into case, op-07: 1")
    rows.nth(1).click()
    page.get_by_role("button", name="Add to a case").click(timeout=SOON_MS)
    expect(page.get_by_label("Add to a case")).to_contain_text("No. 1: Open")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(detail)).to_contain_text("2 alerts", timeout=SOON_MS)
    page.screenshot(path=shots("room-case"))


def test_the_strip_is_one_line_and_what_lies_over_the_room_closes_by_escape(
    centre: Centre,
) -> None:
    page = centre.log_in("sv-01", centre.seat(with_axe=True))
    strip, menu = page.locator("header.watch"), page.locator("header nav")
    page.locator(".row").first.click(timeout=SOON_MS)
    for language in ("en", "ru", "uz"):
        dress(page, language, "dark")
        for width in (1280, 1440, 1920):
            page.set_viewport_size({"width": width, "height": 800})
            line = strip.evaluate("one => one.offsetHeight")
            assert line <= LINE_PX_MAX, (language, width, line)
    page.locator("header .more").click()
    expect(menu).to_be_visible()
    assert faults(page) == []
    page.screenshot(path=shots("room-menu"))
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".detail")).to_be_visible()  # what lay beneath was not meant


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_shape_of_an_urgent_row_is_plain_to_see(centre: Centre, theme: str) -> None:
    page = centre.log_in("sv-01")
    dress(page, "en", theme)
    row = page.locator(".row.urgent.p1").first
    expect(row).to_be_visible(timeout=SOON_MS)
    said = row.evaluate(PAINTED)
    border, number = (contrast(said[name], said["row"]) for name in ("border", "number"))
    assert border >= 3, (theme, said)
    assert number >= 4.5, (theme, said)


def test_a_computer_that_slept_and_a_centre_that_stopped_are_told_as_old_and_come_back(
    centre: Centre,
) -> None:
    page = centre.log_in("op-03")
    loaded = page.evaluate("performance.timeOrigin")
    live = page.locator("header .live")
    notice = page.locator(".notice", has_text=re.compile("asleep|No data since"))
    # What sleep looks like from inside: the wall clock goes on, the monotonic one does not.
    page.evaluate(
        "window.wall = Date.now; let ahead = 0; Date.now = () => wall() + (ahead += 10_000)"
    )
    expect(live).to_have_class(bears("red"), timeout=SOON_MS)
    expect(notice).to_have_class(bears("red"))
    expect(page.locator(".veil")).to_be_attached()
    page.screenshot(path=shots("room-veil"))
    page.evaluate("Date.now = window.wall")
    expect(live).to_have_class(bears("fresh"), timeout=2 * SOON_MS)
    expect(page.locator(".veil")).not_to_be_attached()

    end(centre.site.site.collector)
    expect(notice).to_have_class(bears("amber"), timeout=3 * SOON_MS)
    centre.site.site.start_collector(centre.site.site.config)
    centre.site.site.wait_for_collector()
    expect(live).to_have_class(bears("fresh"), timeout=4 * SOON_MS)
    expect(page.locator(".row").first).to_be_visible()
    assert page.evaluate("performance.timeOrigin") == loaded  # by itself: nobody has loaded it anew
