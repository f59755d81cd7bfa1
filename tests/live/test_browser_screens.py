"""The other screens in a real browser, over a real truck: each in three languages and two themes, by keys, and at 320 px."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from collector.people import Role
from tests.live.browser import (
    A_DESK,
    LOOKS,
    SOON_MS,
    Centre,
    Colleague,
    control_room,
    dress_by_address,
    faults,
    follow,
    looked_at,
    shots,
)

pytestmark = pytest.mark.live

PEOPLE = {
    "op-07": Role.OPERATOR,
    "sv-01": Role.SUPERVISOR,
    "ad-01": Role.ADMIN,
    "ad-02": Role.ADMIN,
}
WALL = {"name": "north", "scope": "", "desk": ""}
# What sleep looks like from inside: the wall clock goes on, the monotonic one does not.
ASLEEP = "const wall = Date.now; let ahead = 0; Date.now = () => wall() + (ahead += 10_000)"


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    with control_room(tmp_path_factory.mktemp("screens"), PEOPLE) as room:
        yield room


@pytest.fixture(scope="module")
def cut(centre: Centre) -> None:
    """The seal of the truck is cut; nobody acknowledges it here."""
    centre.hardware.do("cut")


@pytest.fixture(autouse=True)
def everybody_leaves(centre: Centre) -> Iterator[None]:
    yield
    centre.leave()


def test_a_desk_is_handed_over_by_two_persons(centre: Centre) -> None:
    going, coming = (
        centre.log_in(user, centre.seat(with_axe=True), desk=A_DESK, path="/handover")
        for user in ("sv-01", "op-07")
    )
    for page in (going, coming):
        title = page.get_by_role("heading", level=1)
        expect(title).to_have_text(f"Hand-over of desk {A_DESK}", timeout=SOON_MS)
    note = going.get_by_label("What the next person has to know")
    note.fill("gate 4 reads no tags")
    follow(going, "/")  # to look once more costs nothing typed
    follow(going, "/handover")
    expect(note).to_have_value("gate 4 reads no tags", timeout=SOON_MS)
    going.get_by_role("button", name="Sign and hand over").click()
    expect(going.get_by_text("Signed by sv-01 on")).to_be_visible(timeout=SOON_MS)
    expect(note).to_have_value("")
    expect(going.get_by_role("button", name="I take over")).to_have_count(0)
    take = coming.get_by_role("button", name="I take over")
    expect(take).to_be_visible(timeout=2 * SOON_MS)
    expect(coming.get_by_text("gate 4 reads no tags")).to_be_visible()
    take.click()
    expect(coming.get_by_text("Last hand-over: sv-01 to op-07")).to_be_visible(timeout=SOON_MS)
    looked_at(coming, "handover")


def test_a_unit_shows_where_it_was_what_happened_and_who_had_its_seal(
    centre: Centre, cut: None
) -> None:
    page = centre.seat(with_axe=True)
    centre.log_in("sv-01", page)
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


def test_a_wall_is_read_by_everybody_and_says_that_it_is_old(centre: Centre, cut: None) -> None:
    office = Colleague(centre.url, "ad-01")
    page = centre.seat(with_axe=True)
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.goto(f"{centre.url}/enter?kiosk=1#{office.post('/admin/kiosks', WALL)['token']}")
    wall = page.locator(".wall")
    expect(wall.locator(".age")).to_contain_text("LIVE", timeout=SOON_MS)
    row = wall.locator(".rows li", has_text="Seal opened without order")
    expect(row).to_contain_text("truck-1", timeout=2 * SOON_MS)
    expect(wall.locator(".tiles li").first).to_be_visible(timeout=SOON_MS)
    assert (
        page.locator(":is(button, a, select, input):visible").count() == 0
    )  # nobody touches a wall
    for language, theme in LOOKS:
        dress_by_address(page, language, theme)
        assert faults(page) == [], (language, theme)
        if language == "en":
            page.screenshot(path=shots(f"wall-{theme}"))
    dress_by_address(page, "en", "dark")
    page.evaluate(ASLEEP)
    expect(wall.locator(".age")).to_contain_text("OLD", timeout=SOON_MS)
    expect(page.locator(".veil")).to_be_attached()
    expect(page.locator(".notice").first).to_contain_text("asleep")
    sizes = page.locator("header *, .notice, .wall *").evaluate_all(
        "all => all.filter(one => one.checkVisibility() && one.innerText?.trim()).map(one => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert min(sizes) >= 24, "read from five metres"
    for theme in ("dark", "light"):
        dress_by_address(page, "en", theme)
        page.screenshot(path=shots(f"wall-old-{theme}"))


def test_zones_and_routes_are_drawn_and_told_in_every_look(centre: Centre) -> None:
    drawn = "/fences?tab=draft&at=69.35,41.35,9"
    page = centre.log_in("sv-01", centre.seat(with_axe=True), path=drawn)
    expect(page.locator(".draw[aria-busy=false]")).to_be_visible(timeout=SOON_MS)
    page.get_by_role("button", name="Paste text").click()
    page.get_by_label("GeoJSON or WKT").fill(
        "POLYGON((69.3 41.3, 69.4 41.4, 69.4 41.3, 69.3 41.4, 69.3 41.3))"
    )
    page.get_by_role("button", name="Take it into the draft").click()
    expect(page.get_by_label("Faults")).to_be_visible(timeout=SOON_MS)
    looked_at(page, "fences-draft")
