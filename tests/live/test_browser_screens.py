"""The other screens in a real browser, over a real truck: each in three languages and two themes, by keys, and at 320 px."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from collector.people import Role
from tests.live.browser import A_DESK, SOON_MS, Centre, control_room, looked_at

pytestmark = pytest.mark.live

PEOPLE = {
    "op-07": Role.OPERATOR,
    "sv-01": Role.SUPERVISOR,
    "ad-01": Role.ADMIN,
    "ad-02": Role.ADMIN,
}


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    with control_room(tmp_path_factory.mktemp("screens"), PEOPLE) as room:
        yield room


@pytest.fixture(autouse=True)
def everybody_leaves(centre: Centre) -> Iterator[None]:
    yield
    centre.leave()


def test_a_desk_is_handed_over_by_two_persons(centre: Centre) -> None:
    going, coming = (
        centre.log_in(user, centre.seat(with_axe=True), desk=A_DESK) for user in ("sv-01", "op-07")
    )
    for page in (going, coming):
        page.goto(f"{centre.url}/handover")
        title = page.get_by_role("heading", level=1)
        expect(title).to_have_text(f"Hand-over of desk {A_DESK}", timeout=SOON_MS)
    going.get_by_label("What the next person has to know").fill("gate 4 reads no tags")
    going.get_by_role("button", name="Sign and hand over").click()
    expect(going.get_by_text("Signed by sv-01 on")).to_be_visible(timeout=SOON_MS)
    expect(going.get_by_role("button", name="I take over")).to_have_count(0)
    take = coming.get_by_role("button", name="I take over")
    expect(take).to_be_visible(timeout=2 * SOON_MS)
    expect(coming.get_by_text("gate 4 reads no tags")).to_be_visible()
    take.click()
    expect(coming.get_by_text("Last hand-over: sv-01 to op-07")).to_be_visible(timeout=SOON_MS)
    looked_at(coming, "handover")


def test_a_unit_shows_where_it_was_what_happened_and_who_had_its_seal(centre: Centre) -> None:
    page = centre.seat(with_axe=True)
    centre.log_in("sv-01", page)
    centre.hardware.do("cut")
    expect(page.locator(".row.p1").first).to_be_visible(timeout=2 * SOON_MS)
    page.goto(f"{centre.url}/unit/1")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("truck-1", timeout=SOON_MS)
    alarm = page.locator(".unit li", has_text="Seal opened without order")
    expect(alarm).to_be_visible(timeout=SOON_MS)
    badge = alarm.locator(".badge")
    expect(badge).to_have_text(re.compile("PENDING|UNLOGGED"))  # PROVEN takes the public log
    assert (badge.get_attribute("href") or "").startswith("/evidence/truck-1.")
    custody = page.locator("tbody tr", has_text="Seal opened without order")
    expect(custody.locator(".badge")).to_have_text(re.compile("PENDING|UNLOGGED"))
    expect(page.locator("output")).to_contain_text("km/h")
    alarm.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(alarm.get_by_role("button")).to_have_attribute("aria-current", "true")
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowLeft")
    page.locator("main").click(position={"x": 2, "y": 2})
    page.keyboard.press("f")
    expect(page.get_by_label("follow")).to_be_checked()
    page.get_by_role("button", name="GPX").click()
    expect(page.get_by_role("dialog")).to_be_visible(timeout=SOON_MS)  # a second factor first
    page.keyboard.press("Escape")
    looked_at(page, "unit")


def test_zones_and_routes_are_drawn_and_told_in_every_look(centre: Centre) -> None:
    page = centre.seat(with_axe=True)
    centre.log_in("sv-01", page)
    page.goto(f"{centre.url}/fences?tab=draft&at=69.35,41.35,9")
    expect(page.locator(".draw[aria-busy=false]")).to_be_visible(timeout=SOON_MS)
    page.get_by_role("button", name="Paste text").click()
    page.get_by_label("GeoJSON or WKT").fill(
        "POLYGON((69.3 41.3, 69.4 41.4, 69.4 41.3, 69.3 41.4, 69.3 41.3))"
    )
    page.get_by_role("button", name="Take it into the draft").click()
    expect(page.get_by_label("Faults")).to_be_visible(timeout=SOON_MS)
    looked_at(page, "fences-draft")
