"""A zone in a real browser: drawn by hand, tried on what is stored, proposed, approved by another person, and obeyed when a truck drives in."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from collector.api.static import built
from collector.people import Role, totp
from collector.people.passwords import SALT_BYTES, Hasher
from collector.store import people
from collector.store.database import Store
from tests.collector.fleet import FleetUnit, fix
from tests.live.browser import (
    PASSWORD,
    SOON_MS,
    WEBGL,
    Centre,
    missing,
    path_of_chromium,
    shots,
)
from tests.live.site_world import SEAL_ID, world

pytestmark = pytest.mark.live

PEOPLE = {"op-03": Role.OPERATOR, "sv-01": Role.SUPERVISOR, "sv-02": Role.SUPERVISOR}
SECOND = b"a second factor whole"[: totp.SECRET_BYTES]
VIEW = (69.2045, 41.2, 15.0)  # what the map shows when the hand begins
YARD = ((69.2025, 41.199), (69.2065, 41.199), (69.2065, 41.201), (69.2025, 41.201))
PIXEL_DEG = 360 / (512 * 2 ** VIEW[2])  # of longitude, at this zoom
SCENARIO = f"""
scenario = {{{{ name = "yard", seed = 7, start = {{start}}, end_s = 3600 }}}}
track = {{{{ points = [[41.2, 69.2], [41.2, 69.6]], speed_km_h = 60 }}}}
receiver = {{{{ fix_after_s = 1, noise_m = 0 }}}}
seal = {{{{ id = "{SEAL_ID}", armed = true, dynamic = false }}}}
"""  # the yard begins 210 m on: a quarter of a minute
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


def open_draft(centre: Centre, page: Page) -> None:
    lon, lat, zoom = VIEW
    page.goto(f"{centre.url}/fences?tab=draft&at={lon},{lat},{zoom}")
    expect(page.locator(".draw[aria-busy=false]")).to_be_visible(timeout=2 * SOON_MS)


def press_at(page: Page, lon: float, lat: float) -> None:
    """A press on the map where that place lies."""
    box = page.locator(".maplibregl-canvas").bounding_box()
    assert box is not None
    x = box["x"] + box["width"] / 2 + (lon - VIEW[0]) / PIXEL_DEG
    y = box["y"] + box["height"] / 2 - (lat - VIEW[1]) / (PIXEL_DEG * 0.7524)  # cos 41.2
    page.mouse.click(x, y)


def test_a_zone_is_drawn_tried_proposed_approved_and_obeyed(centre: Centre) -> None:
    mine = centre.log_in("op-03")
    open_draft(centre, mine)
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

    theirs = centre.log_in("sv-02")
    theirs.goto(f"{centre.url}/fences?tab=waiting&proposal=1")
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
    page = centre.log_in("sv-01")
    open_draft(centre, page)
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
