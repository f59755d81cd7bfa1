"""Plays of the control room: seven windows, one sound, a lost race, what rests and returns, a backlog, a gap, a centre that stops."""

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from bench.site import end
from collector.people import Role
from tests.collector.fleet import FleetUnit, event
from tests.live.browser import SOON_MS, Centre, bears, control_room, is_live, shots
from wire.records import EventKind, EventRecord, FixRecord, SealBit

pytestmark = pytest.mark.live

PEOPLE = {"op-03": Role.OPERATOR, "op-07": Role.OPERATOR, "sv-01": Role.SUPERVISOR}
WINDOWS = 7  # one more than a browser has connections to one origin
HOUR_MS = 3_600_000
# The console marks each tone; what it says is only listened to.
TONES = """
window.tones = [];
const marked = performance.mark.bind(performance);
performance.mark = (name, ...more) => {
  if (name.startsWith('tone-')) tones.push([name.slice(5), Math.round(performance.now())]);
  return marked(name, ...more);
};
"""
# A slow line for acts, and a rest that is over in seconds: what the page says is held up, or said shorter.
SLOW = """
window.slowMs = 0; window.restS = null;
const asked = window.fetch.bind(window);
window.fetch = async (url, init) => {
  if (init?.method === 'POST' && String(url).includes('/alerts/')) {
    if (slowMs > 0) await new Promise((done) => setTimeout(done, slowMs));
    if (restS !== null) init = { ...init, body: init.body.replace(/"for_s":\\d+/, `"for_s":${restS}`) };
  }
  return asked(url, init);
};
"""
# Both clocks of a page go ahead together: a minute of silence without waiting for it.
AHEAD = """
delete window.SharedWorker;
window.aheadMs = 0;
const [mono, wall] = [performance.now.bind(performance), Date.now.bind(Date)];
performance.now = () => mono() + aheadMs;
Date.now = () => wall() + aheadMs;
"""


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    with control_room(tmp_path_factory.mktemp("plays"), PEOPLE) as room:
        yield room


@pytest.fixture(autouse=True)
def everybody_leaves(centre: Centre) -> Iterator[None]:
    yield
    centre.leave()


def test_seven_windows_of_one_browser_are_all_live(centre: Centre) -> None:
    first = centre.log_in("op-07")
    windows = [first]
    while len(windows) < WINDOWS:
        page = first.context.new_page()
        page.goto(
            f"{centre.url}/handover"
        )  # a screen without a map: seven maps are no matter of streams
        windows.append(page)
    for page in windows:
        is_live(page)
    centre.hardware.do("cut")
    for page in windows:
        expect(page).to_have_title("(1) Plomba", timeout=2 * SOON_MS)
    acknowledged(first, alarms(first).first)
    for page in windows:
        expect(page).to_have_title("Plomba", timeout=2 * SOON_MS)


def test_of_two_tabs_one_sounds_and_the_other_takes_over(centre: Centre) -> None:
    page = centre.seat(script=TONES)
    centre.log_in("op-07", page)
    other = page.context.new_page()
    other.goto(f"{centre.url}/handover")
    other.locator("button.sound").click()
    for tab in (page, other):
        expect(tab.locator("button.sound")).to_have_text("SOUND ON", timeout=SOON_MS)
    centre.hardware.do("rope_in")
    time.sleep(2)
    centre.hardware.do("cut")
    urgent = page.locator(".row.urgent")
    expect(urgent.first).to_be_visible(timeout=2 * SOON_MS)
    until(lambda: tones(page) + tones(other), "a tone")
    loud, still = (page, other) if tones(page) else (other, page)
    time.sleep(1.5)
    assert "critical" in tones(loud)
    assert tones(still) == []
    loud.close()
    until(lambda: "critical" in tones(still), "the other tab takes over")


def test_who_is_slower_is_told_who_was_quicker(centre: Centre) -> None:
    page = centre.seat(script=SLOW)
    mine, theirs = centre.log_in("op-07", page), centre.log_in("op-03")
    for one in (mine, theirs):
        chosen(one, one.locator(".row.urgent").first)
    mine.evaluate("window.slowMs = 4000")
    mine.keyboard.press("a")
    theirs.keyboard.press("a")
    expect(theirs.locator(".row.urgent")).to_have_count(0, timeout=SOON_MS)
    expect(mine.locator(".refusal")).to_contain_text("op-03 was quicker", timeout=SOON_MS)
    mine.screenshot(path=shots("room-quicker"))


def test_what_is_shelved_returns_and_what_is_over_stays_until_somebody_has_seen_it(
    centre: Centre,
) -> None:
    page = centre.seat(script=SLOW)
    centre.log_in("op-07", page)
    centre.hardware.do("battery", percent=10)
    row = page.locator(".row", has_text="Battery low")
    expect(row).to_have_class(bears("urgent"), timeout=4 * SOON_MS)
    page.evaluate("window.restS = 5")
    chosen(page, row)
    page.keyboard.press("s")
    page.get_by_label("Reason").fill("the charger is on its way")
    page.get_by_role("button", name="Shelve", exact=True).click()
    expect(row).to_have_count(0, timeout=SOON_MS)
    expect(page.get_by_role("tab", name="Shelved")).to_contain_text("1")
    expect(row).to_have_class(bears("urgent"), timeout=2 * SOON_MS)  # its time is over
    centre.hardware.do("battery", percent=90)
    expect(row).to_have_class(bears("over"), timeout=4 * SOON_MS)
    page.screenshot(path=shots("room-cleared"))
    acknowledged(page, row)
    expect(row).to_have_count(0, timeout=SOON_MS)


def test_a_backlog_of_three_days_sounds_once(centre: Centre) -> None:
    page = centre.seat(script=TONES)
    centre.log_in("op-07", page)
    unit = FleetUnit(unit_id="late-1", clock_ms=now_ms() - 72 * HOUR_MS)
    centre.enrol([unit])
    centre.say(unit, unit.begin(more=[fix_at(unit.clock_ms, 0)]))
    for seal in ("one", "two", "three"):
        centre.say(unit, unit.seal([report(seal, unit.clock_ms, SealBit.LOCKED)]))
        centre.say(unit, unit.seal([report(seal, unit.clock_ms, SealBit.ROPE_CUT)]))
        time.sleep(1.5)  # another tick of the collector, and of the sound
    rows = page.locator(".row", has_text="late-1")
    expect(rows).to_have_count(3, timeout=2 * SOON_MS)
    expect(rows.first).to_contain_text("late")
    first = tones_with_times(page)[0]
    assert first[0] == "critical"
    early = [at for name, at in tones_with_times(page) if at - first[1] < 9_000]
    assert len(early) == 1, "three alarms, one tone until its time to be said again"


def test_who_goes_on_while_his_act_is_under_way_loses_nothing_that_he_types(
    centre: Centre,
) -> None:
    page = centre.seat(script=SLOW)
    centre.log_in("op-07", page)
    rows = page.locator(".row", has_text="late-1")
    chosen(page, rows.nth(0))
    page.evaluate("window.slowMs = 4000")
    page.keyboard.press("a")
    page.keyboard.press("a")  # the same wish once more is none
    rows.nth(1).click()
    page.keyboard.press("n")
    field = page.locator(".detail form input")
    expect(field).to_be_focused()
    page.keyboard.type("the driver does not answer")
    expect(page.locator(".row.urgent", has_text="late-1")).to_have_count(2, timeout=SOON_MS)
    page.wait_for_timeout(1_000)
    expect(field).to_have_value("the driver does not answer")
    expect(page.locator(".refusal")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(field).to_have_count(0)
    expect(page.locator("#queue-list")).to_be_focused()  # not at the beginning of the page


def test_playback_runs_over_a_gap_as_over_what_nobody_knows(centre: Centre) -> None:
    begin_ms = now_ms() - 40 * 60_000
    unit = FleetUnit(unit_id="gap-1", clock_ms=begin_ms)
    centre.enrol([unit])
    before = [fix_at(begin_ms + s * 1_000, s) for s in range(0, 600, 10)]
    after = [fix_at(begin_ms + s * 1_000, s) for s in range(1_500, 2_100, 10)]
    centre.say(unit, unit.begin(more=before), unit.seal(after))
    page = centre.log_in("sv-01")
    page.locator("[data-search]").fill("gap-1")
    page.keyboard.press("Enter")
    expect(page.locator(".hits")).to_contain_text("1 unit found", timeout=SOON_MS)
    page.locator(".hits a").click()
    gap = page.locator(".unit li", has_text="Nothing known for 15 min")
    expect(gap).to_be_visible(timeout=2 * SOON_MS)
    reading = page.locator("output")
    page.get_by_role("slider").evaluate(
        "(slider, ms) => { slider.value = ms; slider.dispatchEvent(new Event('input', {bubbles: true})); }",
        begin_ms + 560_000,
    )
    expect(reading).to_contain_text("km/h")
    page.get_by_label("Speed of playback").select_option("100×")
    page.get_by_role("button", name="Play").click()
    expect(reading).to_contain_text("last seen", timeout=SOON_MS)
    page.screenshot(path=shots("unit-gap"))
    expect(reading).to_contain_text(
        "km/h", timeout=2 * SOON_MS
    )  # fifteen minutes, a hundred times as fast


def test_a_centre_that_stops_makes_amber_then_a_veil_and_its_return_no_storm(
    centre: Centre,
) -> None:
    page = centre.seat(script=TONES + AHEAD)
    centre.log_in("op-07", page)
    live, loaded = page.locator("header .live"), page.evaluate("performance.timeOrigin")
    chosen(page, page.locator(".row").first)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("?")[0]))
    end(centre.site.site.collector)
    page.evaluate("window.aheadMs = 21_000")
    expect(live).to_have_class(bears("amber"), timeout=SOON_MS)
    expect(page.locator(".veil")).not_to_be_attached()
    page.evaluate("window.aheadMs = 61_000")
    expect(live).to_have_class(bears("red"), timeout=SOON_MS)
    expect(page.locator(".veil")).to_be_attached()
    page.keyboard.press("t")  # to take is possible for whatever is open
    expect(page.locator(".refusal")).to_contain_text("The data are old", timeout=SOON_MS)
    until(lambda: "link" in tones(page), "the lost link is heard")
    centre.site.site.start_collector(centre.site.site.config)
    centre.site.site.wait_for_collector()
    expect(live).to_have_class(bears("fresh"), timeout=4 * SOON_MS)
    expect(page.locator(".veil")).not_to_be_attached()
    page.wait_for_timeout(2_000)
    assert page.evaluate("performance.timeOrigin") == loaded
    paths = [url.removeprefix(centre.url) for url in asked]
    assert paths.count("/") == 0
    assert paths.count("/api/v1/live/snapshot") <= 1, paths
    assert paths.count("/api/v1/live/stream") <= 30, (
        paths
    )  # one a second at most while nobody answers
    assert len([path for path in paths if path.startswith("/api/v1/alerts")]) <= 6, paths


def alarms(page: Page) -> Locator:
    return page.locator(".row.p1", has_text="Seal opened without order")


def chosen(page: Page, row: Locator) -> None:
    """Looked at for so long that a key may act on it."""
    expect(row).to_be_visible(timeout=2 * SOON_MS)
    row.click()
    expect(page.locator(".detail")).to_be_visible()
    page.wait_for_timeout(700)


def acknowledged(page: Page, row: Locator) -> None:
    chosen(page, row)
    page.keyboard.press("a")
    expect(page.locator(".row.urgent")).to_have_count(0, timeout=SOON_MS)


def tones(page: Page) -> list[str]:
    return [name for name, _ in tones_with_times(page)]


def tones_with_times(page: Page) -> list[tuple[str, int]]:
    return [(str(name), int(at)) for name, at in page.evaluate("window.tones")]


def until(true: Callable[[], object], what: str) -> None:
    end_s = time.monotonic() + 2 * SOON_MS / 1_000
    while not true():
        assert time.monotonic() < end_s, f"never: {what}"
        time.sleep(0.1)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def report(seal: str, t_ms: int, true: SealBit) -> EventRecord:
    known = int(SealBit.LOCKED | SealBit.ROPE_CUT)
    return event(EventKind.SEAL, (seal, "jt701", known, int(true), 1, None, 90, 1, 1, b"$"), t_ms)


def fix_at(t_ms: int, second: int) -> FixRecord:
    """On the road eastward at 50 km/h."""
    return FixRecord(
        t_ms=t_ms,
        lat_e7=413_111_000,
        lon_e7=692_797_000 + second * 1_663,
        alt_dm=4_550,
        speed_cm_s=1_390,
        course_cdeg=9_000,
        hdop_centi=80,
        err_cm=None,
        sats=12,
        flags=1 | 1 << 9,
    )
