"""A zone in a real browser: drawn by hand, tried on what is stored, proposed, approved by another person, and obeyed when a truck drives in.

And circles, routes, corners that are dragged, and what becomes of a drawing when somebody else was quicker.
"""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, Route, expect, sync_playwright

from collector.api.static import built
from collector.people import Role, totp
from collector.people.passwords import SALT_BYTES, Hasher
from collector.store import people
from collector.store.database import Store
from tests.collector.fleet import FleetUnit, fix
from tests.live.browser import (
    LOOKS,
    PASSWORD,
    SOON_MS,
    WEBGL,
    Centre,
    Colleague,
    dress,
    faults,
    missing,
    path_of_chromium,
    shots,
)
from tests.live.site_world import SEAL_ID, world

pytestmark = pytest.mark.live

PEOPLE = {
    "op-03": Role.OPERATOR,
    "sv-01": Role.SUPERVISOR,
    "sv-02": Role.SUPERVISOR,
    "sv-03": Role.SUPERVISOR,
    "sv-04": Role.SUPERVISOR,
}
SECOND = b"a second factor whole"[: totp.SECRET_BYTES]
VIEW = (69.2045, 41.2, 15.0)  # what the map shows when the hand begins
ZOOM_DEG = 360 / 512  # of longitude in a pixel at zoom 0; each zoom halves it
FLAT = 0.7524  # of latitude: the cosine of 41.2
YARD = ((69.2025, 41.199), (69.2065, 41.199), (69.2065, 41.201), (69.2025, 41.201))
SCENARIO = f"""
scenario = {{{{ name = "yard", seed = 7, start = {{start}}, end_s = 3600 }}}}
track = {{{{ points = [[41.2, 69.2], [41.2, 69.6]], speed_km_h = 60 }}}}
receiver = {{{{ fix_after_s = 1, noise_m = 0 }}}}
seal = {{{{ id = "{SEAL_ID}", armed = true, dynamic = false }}}}
"""  # the yard begins 210 m on: a quarter of a minute
DEPOT = ((69.30, 41.30), (69.31, 41.30), (69.31, 41.31), (69.30, 41.31), (69.30, 41.30))
WIDER = ((69.30, 41.30), (69.32, 41.30), (69.32, 41.31), (69.30, 41.31), (69.30, 41.30))
CODE_S = 120.0  # a code counts for five minutes, and one of half a minute for once
VIEWS = ("force", "waiting", "versions", "tried")
BOW = "POLYGON((69.3 41.3, 69.4 41.4, 69.4 41.3, 69.3 41.4, 69.3 41.3))"
WELL = "POLYGON((69.3 41.3, 69.4 41.3, 69.4 41.4, 69.3 41.4, 69.3 41.3))"


async def _accounts(store_file: Path) -> None:
    async with await Store.open(f"sqlite:///{store_file}") as store, store.write() as connection:
        encoded = Hasher().hash_of(PASSWORD, bytes(SALT_BYTES))
        for user_id, role in PEOPLE.items():
            said = {"name": "", "scope": "", "desk": "", "by": "test", "now_ms": 1}
            await people.add_account(connection, user_id=user_id, role=role, **said)  # type: ignore[arg-type]  # plain words
            await people.set_password(connection, user_id, encoded, totp_secret=SECOND)


def drive_by(centre: Centre) -> None:
    """What is stored already: an hour ago this one drove where the yard will be."""
    unit = FleetUnit(
        unit_id="passed-1", clock_ms=time.time_ns() // 1_000_000_000 * 1_000 - 3_600_000
    )
    centre.enrol([unit])
    sealed = [unit.begin()]
    for first in range(0, 60, 6):  # 84 m each ten seconds, from 69.198 on
        records = [
            fix(unit.clock_ms + n * 10_000, 412_000_000, 691_980_000 + (first + n) * 10_000)
            for n in range(6)
        ]
        unit.clock_ms += 50_000
        sealed.append(unit.seal(records))
        unit.clock_ms -= 50_000
    centre.say(unit, *sealed)
    centre.site.until(
        lambda: sum(one.unit == unit.unit_id for one in centre.site.stored()) == len(sealed),
        what="the history is stored",
    )


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    path = path_of_chromium()
    if not built():
        missing("the built console", "make web")
    with world(tmp_path_factory.mktemp("fences")) as site, ThreadPoolExecutor(1) as aside:
        site.start_collector()
        aside.submit(asyncio.run, _accounts(site.site.store)).result()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=WEBGL)
            made = Centre(site=site, browser=browser)
            drive_by(made)
            yield made
            browser.close()


@pytest.fixture(autouse=True)
def everybody_leaves(centre: Centre) -> Iterator[None]:
    yield
    centre.leave()


def open_draft(centre: Centre, user: str) -> Page:
    lon, lat, zoom = VIEW
    page = centre.log_in(user, path=f"/fences?tab=draft&at={lon},{lat},{zoom}")
    expect(page.locator(".draw[aria-busy=false]")).to_be_visible(timeout=2 * SOON_MS)
    return page


def on_screen(page: Page, lon: float, lat: float) -> tuple[float, float]:
    """Where that place lies now."""
    box = page.locator(".maplibregl-canvas").bounding_box()
    [at] = parse_qs(urlsplit(page.url).query)["at"]
    middle_lon, middle_lat, zoom = map(float, at.split(","))
    pixel_deg = ZOOM_DEG / 2**zoom
    assert box is not None
    x = box["x"] + box["width"] / 2 + (lon - middle_lon) / pixel_deg
    return x, box["y"] + box["height"] / 2 - (lat - middle_lat) / (pixel_deg * FLAT)


def press_at(page: Page, lon: float, lat: float) -> None:
    """A press on the map where that place lies."""
    page.mouse.click(*on_screen(page, lon, lat))


def drag(page: Page, begin: tuple[float, float], by: tuple[int, int]) -> None:
    """A corner from there to there, as soon as it lies under the hand."""
    canvas = page.locator(".maplibregl-canvas")
    expect(page).to_have_url(re.compile("[?&]at="), timeout=SOON_MS)
    for n in range(200):
        x, y = on_screen(page, *begin)
        page.mouse.move(x + n % 2, y)
        if canvas.evaluate("one => one.style.cursor") == "move":
            break
        page.wait_for_timeout(50)
    else:
        pytest.fail("no corner under the hand")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by[0], y + by[1], steps=4)
    page.mouse.up()


def number(field: Locator) -> float:
    return float(field.input_value())


def propose(page: Page, why: str) -> None:
    """Tried first, or it may not be."""
    page.get_by_role("button", name="Try", exact=True).click()
    expect(page.locator(".sentence")).to_be_visible(timeout=4 * SOON_MS)
    page.get_by_label("Why it is to change").fill(why)
    page.get_by_role("button", name="Propose", exact=True).click()


class Others:
    """Two supervisors elsewhere, who propose and approve meanwhile."""

    def __init__(self, url: str) -> None:
        self._one, self._other = Colleague(url, "sv-04"), Colleague(url, "sv-03")
        self._shown_s = -CODE_S

    def propose(self, id_: str, ring: Sequence[tuple[float, float]]) -> int:
        zone = {
            "type": "Feature",
            "properties": {"id": id_, "kind": "area", "dwell_s": 5_400},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        collection = {"type": "FeatureCollection", "features": [zone]}
        said = self._one.post("/fences", {"shapes": collection, "reason": "as surveyed"})
        return int(said["id"])

    def decide(self, number: int, act: str) -> None:
        if time.monotonic() - self._shown_s >= CODE_S:
            self._shown_s = time.monotonic()
            code = totp.code_of(SECOND, totp.step_of(time.time_ns() // 1_000_000))
            self._other.post("/step-up", {"code": code})
        self._other.post(f"/fences/{number}/{act}", {"reason": "seen on the spot"})

    def put_in_force(self, id_: str, ring: Sequence[tuple[float, float]]) -> None:
        self.decide(self.propose(id_, ring), "approve")


@pytest.fixture(scope="module")
def others(centre: Centre) -> Others:
    return Others(centre.url)


def test_a_zone_is_drawn_tried_proposed_approved_and_obeyed(centre: Centre) -> None:
    mine = open_draft(centre, "op-03")
    mine.get_by_role("button", name="+ Polygon").click()
    places = mine.get_by_label("Places").locator("tbody tr")
    for count, (lon, lat) in enumerate(YARD, start=1):
        press_at(mine, lon, lat)
        expect(places).to_have_count(count, timeout=SOON_MS)
        drawn = float(mine.get_by_label(f"Place {count}, longitude").input_value())
        assert abs(drawn - lon) < 0.0003, "a corner stands where the hand was"
    mine.get_by_label("Id", exact=True).fill("yard")
    mine.get_by_label("Kind").select_option("forbidden")
    expect(mine.get_by_text("finds no fault")).to_be_visible(timeout=SOON_MS)
    assert mine.get_by_role("button", name="Propose", exact=True).is_disabled()  # untried
    mine.get_by_role("button", name="Try", exact=True).click()
    outcome = mine.locator(".sentence")
    expect(outcome).to_contain_text(
        "1 alarm in the last 7 days on 1 unit, 0 of them also by today's rules", timeout=4 * SOON_MS
    )
    expect(outcome).to_contain_text("of the desk's budget")
    found = mine.locator(".list tbody tr")
    expect(found).to_contain_text("passed-1")
    expect(found).to_contain_text("In a forbidden zone")
    found.get_by_role("button").click()
    mine.screenshot(path=shots("fences-tried"))
    mine.get_by_label("Why it is to change").fill("the yard is closed")
    mine.get_by_role("button", name="Propose", exact=True).click()
    expect(mine.get_by_text("A supervisor other than the proposer")).to_be_visible(timeout=SOON_MS)

    theirs = centre.log_in("sv-02", path="/fences?tab=waiting&proposal=1")
    expect(theirs.get_by_text("new: yard")).to_be_visible(timeout=SOON_MS)
    approve = theirs.get_by_role("button", name="Approve")
    approve.click()
    theirs.get_by_label("Six digits").fill(
        totp.code_of(SECOND, totp.step_of(time.time_ns() // 1_000_000))
    )
    theirs.get_by_role("button", name="Go on").click()
    expect(theirs.get_by_role("dialog")).to_have_count(0, timeout=SOON_MS)
    approve.click()
    expect(theirs.get_by_text("Approved: it is in force.")).to_be_visible(timeout=SOON_MS)
    expect(theirs.get_by_text("The detectors judge by it.")).to_be_visible(timeout=3 * SOON_MS)
    theirs.get_by_role("button", name="In force").click()
    theirs.get_by_role("button", name="yard forbidden").click()
    expect(theirs.get_by_text("version 1: proposed by op-03, approved by sv-02")).to_be_visible()
    theirs.screenshot(path=shots("fences-in-force"))

    mine.goto(f"{centre.url}/")
    begins = datetime.fromtimestamp(int(time.time()), UTC)  # a version judges what is after it
    centre.site.start_unit("truck-1", SCENARIO.format(start=begins.isoformat()))
    centre.hardware.go()
    alarm = mine.locator(".row.p1", has_text="In a forbidden zone")
    expect(alarm).to_contain_text("truck-1", timeout=4 * SOON_MS)


def test_a_shape_is_made_without_a_mouse_and_its_fault_is_named(centre: Centre) -> None:
    page = open_draft(centre, "sv-01")
    page.get_by_role("button", name="Paste text").focus()
    page.keyboard.press("Enter")
    text = page.get_by_label("GeoJSON or WKT")
    expect(text).to_be_focused()
    page.keyboard.insert_text("POLYGON((69.3 41.3, 69.4")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="does not go on as such")).to_be_visible()
    text.fill(BOW)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    faults = page.get_by_label("Faults")
    expect(faults).to_contain_text("crosses itself", timeout=SOON_MS)
    expect(faults).to_contain_text("Self-intersection")  # the server's own words
    page.screenshot(path=shots("fences-fault"))
    for number, (lon, lat) in enumerate(((69.3, 41.3), (69.4, 41.3), (69.4, 41.4), (69.3, 41.4))):
        for name, value in (("latitude", lat), ("longitude", lon)):
            page.get_by_label(f"Place {number + 1}, {name}").focus()
            page.keyboard.press("Control+a")
            page.keyboard.type(str(value))
            page.keyboard.press("Tab")
    expect(page.get_by_text("finds no fault")).to_be_visible(timeout=SOON_MS)
    expect(faults).to_have_count(0)
    page.reload()  # left by mistake: nothing is lost
    expect(page.get_by_label("Place 2, longitude")).to_have_value("69.4", timeout=SOON_MS)
    page.get_by_role("button", name="Discard the draft").click()
    expect(page.get_by_text("The draft is empty")).to_be_visible()


def test_a_circle_and_a_route_are_drawn_dragged_tried_and_put_in_force(
    centre: Centre, others: Others
) -> None:
    page = open_draft(centre, "op-03")
    lon, lat, _ = VIEW
    page.get_by_role("button", name="+ Circle").click()
    press_at(page, lon, lat)
    east, radius = page.get_by_label("Place 1, longitude"), page.get_by_label("Radius, m")
    expect(radius).to_have_value("500")
    assert abs(number(east) - lon) < 0.0001
    edge_deg = 500 / (111_195 * FLAT)
    drag(page, (lon + edge_deg, lat), (-140, 0))  # 278 px, and then 138
    expect(radius).not_to_have_value("500")
    assert 238 < number(radius) < 258, "the radius is where the hand let go"
    page.get_by_role("button", name="Undo").click()
    expect(radius).to_have_value("500")  # the whole way is one step
    drag(page, (lon, lat), (-60, 40))
    expect(east).not_to_have_value(str(lon))
    assert abs(number(east) - (lon - 60 * ZOOM_DEG / 2**15)) < 0.0001
    expect(radius).to_have_value("500")  # it moves as a whole
    page.get_by_label("Id", exact=True).fill("post-7")

    page.get_by_role("button", name="+ Route").click()
    places = page.get_by_label("Places").locator("tbody tr")
    way = [(lon - 0.004, lat - 0.001), (lon - 0.001, lat - 0.001), (lon + 0.002, lat - 0.001)]
    for count, at in enumerate(way, start=1):
        press_at(page, *at)
        expect(places).to_have_count(count)
    page.keyboard.press("Escape")  # no press sets a place any more
    expect(page.get_by_role("button", name="Set places")).to_have_attribute("aria-pressed", "false")
    drag(page, (lon - 0.0025, lat - 0.001), (0, 60))  # the middle of a stretch becomes a place
    expect(places).to_have_count(4)
    split = number(page.get_by_label("Place 2, latitude"))
    assert abs(split - (lat - 0.001 - 60 * ZOOM_DEG * FLAT / 2**15)) < 0.0001
    page.get_by_role("button", name="Remove place 4").click()
    expect(places).to_have_count(3)
    page.get_by_label("Id", exact=True).fill("to-post-7")
    page.get_by_label("Half width, m").fill("200")
    page.get_by_label("To zone").select_option("post-7")
    expect(page.get_by_text("finds no fault")).to_be_visible(timeout=SOON_MS)
    page.screenshot(path=shots("fences-circle-route"))
    propose(page, "a post is set up")
    expect(page.get_by_text("Proposed. Another person approves it.")).to_be_visible(timeout=SOON_MS)
    expect(page).to_have_url(re.compile("proposal="))  # the address follows a moment later
    [proposal] = parse_qs(urlsplit(page.url).query)["proposal"]
    others.decide(int(proposal), "approve")
    page.goto(f"{centre.url}/fences?shape=post-7")
    expect(page.get_by_text("circle, radius 500 m")).to_be_visible(timeout=SOON_MS)
    page.get_by_role("button", name="to-post-7").click()
    expect(page.get_by_text("3 places, 400 m wide")).to_be_visible()
    expect(page.locator("dt", has_text="half_width_m")).to_have_count(0)  # nobody reads that


def test_who_was_overtaken_loses_no_drawing_and_is_told_by_whom(
    centre: Centre, others: Others
) -> None:
    others.put_in_force("depot", DEPOT)
    page = centre.log_in("op-03", centre.seat(with_axe=True), path="/fences?shape=depot")
    page.get_by_role("button", name="Draw anew").click(timeout=SOON_MS)
    corner = page.get_by_label("Place 2, longitude")
    expect(corner).to_have_value("69.31")
    drag(page, DEPOT[1], (30, 20))
    expect(corner).not_to_have_value("69.31")
    mine = corner.input_value()
    others.put_in_force("depot", WIDER)
    propose(page, "the fence was moved")

    told = page.get_by_role("alert", name="Somebody else was quicker")
    expect(told).to_contain_text("proposed by sv-04, approved by sv-03", timeout=2 * SOON_MS)
    expect(told).to_contain_text("changed: zone depot")
    expect(told).to_contain_text("lay yours over it and try it anew, or take theirs")
    expect(page.get_by_text("Nothing was done: somebody else has changed")).to_be_visible()
    expect(corner).to_have_value(mine)
    for theme in ("light", "dark"):
        dress(page, "en", theme)
        assert faults(page, ".panel") == []
        page.screenshot(path=shots(f"fences-overtaken-{theme}"))
    page.reload()  # also a page that is loaded anew has both the drawing and the word
    expect(corner).to_have_value(mine, timeout=SOON_MS)
    expect(told).to_be_visible(timeout=SOON_MS)
    page.get_by_role("button", name="Take theirs: depot").click()
    expect(corner).to_have_value("69.32")
    expect(told).to_have_count(0)
    undo = page.get_by_role("button", name="Undo")
    undo.click()
    undo.click()
    expect(corner).to_have_value(mine)
    # By the key: what the reader of the detectors answers meanwhile moves the button under a mouse.
    page.get_by_role("button", name="I have looked").press("Enter")
    expect(told).to_have_count(0, timeout=SOON_MS)

    # 412 is what other doors say to who has seen an older one; no door of the zones does. The drawing would outlive that too.
    page.route("**/api/v1/fences", changed_meanwhile)
    propose(page, "the fence was moved")
    expect(page.get_by_text("The draft stays: look at it as it is now")).to_be_visible()
    expect(corner).to_have_value(mine)
    page.unroute("**/api/v1/fences")
    page.get_by_role("button", name="Propose", exact=True).click()
    expect(page.get_by_text("Proposed. Another person approves it.")).to_be_visible(timeout=SOON_MS)
    others.put_in_force("depot", DEPOT)
    page.goto(f"{centre.url}/fences?tab=waiting")
    page.get_by_role("button", name="the fence was moved").click(timeout=SOON_MS)
    expect(told).to_contain_text("cannot be approved so", timeout=SOON_MS)


def changed_meanwhile(route: Route) -> None:
    if route.request.method == "POST":
        route.fulfill(status=412, json={"code": "stale", "detail": "changed meanwhile"})
    else:
        route.continue_()


def test_who_decides_second_is_told_who_has_decided(centre: Centre, others: Others) -> None:
    number = others.propose("lot", ((69.5, 41.3), (69.51, 41.3), (69.51, 41.31), (69.5, 41.3)))
    page = centre.log_in("sv-01", path=f"/fences?tab=waiting&proposal={number}")
    refuse = page.get_by_role("button", name="Refuse", exact=True)
    refuse.click(timeout=SOON_MS)
    page.get_by_label("Six digits").fill(
        totp.code_of(SECOND, totp.step_of(time.time_ns() // 1_000_000))
    )
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("dialog")).to_have_count(0, timeout=SOON_MS)
    page.route("**/api/v1/fences/proposals*", lambda route: route.abort())  # he has not seen it yet
    others.decide(number, "approve")
    refuse.click()
    expect(page.get_by_text("somebody else has decided meanwhile")).to_be_visible(timeout=SOON_MS)
    page.unroute("**/api/v1/fences/proposals*")
    expect(page.get_by_text("sv-03,")).to_be_visible(timeout=2 * SOON_MS)
    expect(refuse).to_have_count(0)


def test_each_view_of_the_zones_is_for_everybody(centre: Centre, others: Others) -> None:
    others.put_in_force("gate", DEPOT)
    number = others.propose("gate-2", WIDER)
    view = f"/fences?shape=gate&proposal={number}&version=1"
    page = centre.log_in("sv-01", centre.seat(with_axe=True), path=view)
    opened = page.get_by_text("proposed by sv-04, approved by sv-03").first
    expect(opened).to_be_visible(timeout=SOON_MS)
    page.get_by_role("button", name="Draw anew").click()
    expect(page.get_by_label("Faults")).to_contain_text("All of it is so already", timeout=SOON_MS)
    page.get_by_role("button", name="Paste text").click()
    ring = ", ".join(f"{lon} {lat}" for lon, lat in (*YARD, YARD[0]))
    page.get_by_label("GeoJSON or WKT").fill(f"POLYGON(({ring}))")
    page.get_by_role("button", name="Take it into the draft").click()
    page.get_by_label("Kind").select_option("forbidden")
    page.get_by_role("button", name="Try", exact=True).click()
    expect(page.locator(".list tbody tr").first).to_be_visible(timeout=4 * SOON_MS)
    for (
        language,
        theme,
    ) in LOOKS:  # each dress is a map drawn anew, without a graphics card: once for all views
        dress(page, language, theme)
        for tab, view in enumerate(VIEWS):
            page.locator(".panel > nav button").nth(tab).click()
            assert faults(page, ".panel") == [], (view, language, theme)
            if language == "en":
                page.screenshot(path=shots(f"fences-{view}-{theme}"))
