"""The admin's office and the audit in a real browser: a user made and locked out, a wall, a unit let in by two, and who did all that."""

import asyncio
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect, sync_playwright

from collector.api.static import built
from collector.people import Role, totp
from collector.people.passwords import SALT_BYTES, Hasher
from collector.store import people, people_audit, schema
from collector.store.database import Store
from tests.collector.fleet import FleetUnit
from tests.live.browser import (
    LOOKS,
    PASSWORD,
    SOON_MS,
    WEBGL,
    Centre,
    dress,
    dress_by_address,
    faults,
    follow,
    missing,
    path_of_chromium,
    shots,
)
from tests.live.site_world import world

pytestmark = pytest.mark.live

PEOPLE = {"ad-01": Role.ADMIN, "ad-02": Role.ADMIN, "au-01": Role.AUDITOR, "op-01": Role.OPERATOR}
PARTS = ("users", "desks", "screens", "units", "enrolment", "rules", "witnesses")
NEW_PASSWORD = "seven blue wagons at dawn"
DAY_MS = 86_400_000


def secret_of(user_id: str) -> bytes:
    """Of the second factor, of this file alone."""
    return sha256(user_id.encode()).digest()[:20]


async def accounts(store_file: Path) -> None:
    async with await Store.open(f"sqlite:///{store_file}") as store, store.write() as connection:
        encoded = Hasher().hash_of(PASSWORD, bytes(SALT_BYTES))
        for user_id, role in PEOPLE.items():
            said = {"name": "", "scope": "", "desk": "", "by": "test", "now_ms": 1}
            await people.add_account(connection, user_id=user_id, role=role, **said)  # type: ignore[arg-type]  # plain words
            await people.set_password(connection, user_id, encoded, totp_secret=secret_of(user_id))


async def request(store_file: Path, unit_id: str) -> str:
    """A unit has posted its request with the token of ad-01; its fingerprint."""
    unit, now_ms = FleetUnit(unit_id=unit_id), time.time_ns() // 1_000_000
    kid = sha256(unit.public_key).digest()[:8]
    async with await Store.open(f"sqlite:///{store_file}") as store, store.write() as connection:
        await connection.execute(
            schema.enrolment.insert().values(
                nonce=bytes(16),
                unit_id=unit_id,
                kid=kid,
                public_key=unit.public_key,
                csr=b"",
                request_sha256=bytes(32),
                hardware="box-7",
                asked_by="ad-01",
                posted_ms=now_ms,
                expires_ms=now_ms + DAY_MS,
                standing="waiting",
            )
        )
    digits = kid.hex()
    return " ".join(digits[at : at + 4] for at in range(0, 16, 4))


async def acts(store_file: Path) -> None:
    """What admins have done some day, whichever of the tests here ran before."""
    async with await Store.open(f"sqlite:///{store_file}") as store, store.write() as connection:
        for act, obj in (("enrol-approve", "unit/uz-0099"), ("user-lock", "user/boris")):
            done = people_audit.Act(
                at_ms=time.time_ns() // 1_000_000, who="ad-02", role="admin", act=act, obj=obj
            )
            await people_audit.note_act(connection, done)


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    path = path_of_chromium()
    if not built():
        missing("the built console", "make web")
    with world(tmp_path_factory.mktemp("admin")) as site, ThreadPoolExecutor(1) as aside:
        site.start_collector()
        aside.submit(asyncio.run, accounts(site.site.store)).result()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=WEBGL)
            yield Centre(site=site, browser=browser)
            browser.close()


@pytest.fixture(autouse=True)
def everybody_leaves(centre: Centre) -> Iterator[None]:
    yield
    centre.leave()


def enter(centre: Centre, user: str, path: str = "/", *, with_axe: bool = False) -> Page:
    """By the form, onto this screen."""
    page = centre.seat(with_axe=with_axe)
    page.goto(f"{centre.url}{path}")
    page.fill("input[name=user]", user)
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    expect(page.locator("input[name=password]")).to_have_count(0, timeout=SOON_MS)
    return page


def step_up(page: Page, user: str) -> None:
    """The second factor, as the authenticator shows it."""
    box = page.get_by_role("dialog")
    expect(box).to_be_visible(timeout=SOON_MS)
    box.get_by_label("Six digits").fill(
        totp.code_of(secret_of(user), totp.step_of(time.time_ns() // 1_000_000))
    )
    page.keyboard.press("Enter")
    expect(box).not_to_be_attached(timeout=SOON_MS)


def test_a_user_is_made_comes_in_by_a_link_that_is_shown_once_and_is_locked_out(
    centre: Centre,
) -> None:
    page = enter(centre, "ad-01")
    expect(page).to_have_url(re.compile("/admin"), timeout=SOON_MS)  # no control room for an admin
    row = page.locator("tr", has=page.get_by_role("cell", name="ad-01", exact=True))
    expect(row).to_contain_text("another admin changes yours", timeout=SOON_MS)
    # Nothing old is told of a line that an admin has not.
    assert "".join(page.get_by_role("alert").all_inner_texts()) == ""
    page.locator("input[name=user]").fill("anna")
    page.locator("input[name=name]").fill("Anna K")
    page.keyboard.press("Enter")
    link = page.locator(".once input")
    expect(link).to_have_value(re.compile(r"/setup#\S{20,}"), timeout=SOON_MS)
    expect(link).to_be_focused()
    page.screenshot(path=shots("admin-link"))
    address = link.input_value()
    page.get_by_role("button", name="I have it: hide").click()
    expect(link).not_to_be_attached()

    anna = centre.seat(with_axe=True)
    anna.goto(address)
    expect(anna.locator("input[name=password]")).to_be_visible(timeout=SOON_MS)
    without_faults(anna, "setup")
    anna.fill("input[name=password]", NEW_PASSWORD)
    anna.click("button[type=submit]")
    expect(anna.locator("code")).to_be_visible(timeout=SOON_MS)
    without_faults(anna, "setup-secret")
    anna.get_by_role("button").last.click()
    expect(anna.locator("header .who")).to_contain_text("anna", timeout=SOON_MS)

    theirs = page.locator("tr", has=page.get_by_role("cell", name="anna", exact=True))
    theirs.get_by_role("button").press("Enter")
    page.get_by_role("button", name="Lock out").press("Enter")
    expect(theirs).to_contain_text("LOCKED since", timeout=SOON_MS)
    anna.goto(f"{centre.url}/audit")
    expect(anna.locator("input[name=password]")).to_be_visible(timeout=SOON_MS)
    page.get_by_role("button", name="Let in again").click()
    expect(theirs).to_contain_text("set up", timeout=SOON_MS)
    page.locator("input[name=user]").fill("anna")
    page.keyboard.press("Enter")
    expect(page.locator("main").get_by_role("alert")).to_contain_text(
        "a name is never given anew", timeout=SOON_MS
    )


def test_a_wall_takes_its_link_and_goes_dark_when_its_session_is_ended(centre: Centre) -> None:
    page = enter(centre, "ad-01", "/admin/desks")
    page.locator("input[name=desk]").fill("a1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("cell", name="nobody hears it")).to_be_visible(timeout=SOON_MS)
    page.get_by_role("link", name="Walls, programs, sessions").click()
    page.locator("input[name=wall]").fill("north-wall")
    page.keyboard.press("Enter")
    link = page.locator(".once input")
    expect(link).to_have_value(re.compile(r"/enter\?kiosk=1#\S{20,}"), timeout=SOON_MS)
    wall = centre.seat(with_axe=True)
    wall.route("**/api/v1/kiosk", lambda route: route.fulfill(status=502, body="Bad Gateway"))
    wall.goto(link.input_value())
    expect(wall.get_by_text("The centre does not answer")).to_be_visible(timeout=SOON_MS)
    wall.unroute("**/api/v1/kiosk")  # it started before the centre: a link that nobody took is good
    expect(wall.locator(".wall")).to_be_visible(timeout=SOON_MS)
    late = centre.seat(with_axe=True)
    late.goto(link.input_value())
    expect(late.get_by_text("This link was used")).to_be_visible(timeout=SOON_MS)
    without_faults(late, "link-used")
    page.reload()
    row = page.locator("tr", has=page.get_by_role("cell", name="kiosk:north-wall"))
    row.get_by_role("button").click()
    expect(row).not_to_be_attached(timeout=SOON_MS)
    wall.reload()
    expect(wall.locator("input[name=password]")).to_be_visible(timeout=SOON_MS)


def test_a_unit_is_let_in_by_a_second_admin_who_has_read_its_own_screen(centre: Centre) -> None:
    first = enter(centre, "ad-01", "/admin/enrolment")
    first.locator("input[name=unit]").fill("uz-0042")
    first.keyboard.press("Enter")
    expect(first.locator(".once svg path")).to_be_visible(timeout=SOON_MS)
    expect(first.locator(".once input")).to_have_value(re.compile("[A-Z2-7]{52}"))
    first.screenshot(path=shots("admin-token"))
    with ThreadPoolExecutor(1) as aside:
        shown = aside.submit(asyncio.run, request(centre.site.site.store, "uz-0042")).result()
    first.reload()
    expect(first.get_by_text("another admin decides")).to_be_visible(timeout=SOON_MS)

    second = enter(centre, "ad-02", "/admin/enrolment")
    field = second.locator("input[name=fingerprint]")
    expect(second.locator(".print")).to_have_text(shown, timeout=SOON_MS)
    field.fill("0000 0000 0000 0000")
    let_in = second.get_by_role("button", name="Let it in")
    let_in.click()
    wrong = second.locator("main").get_by_role("alert")
    expect(wrong).to_contain_text("another fingerprint than this request")
    second.screenshot(path=shots("admin-fingerprint"))
    field.fill(shown.replace(" ", "").upper())
    let_in.click()
    step_up(second, "ad-02")
    let_in.click()
    past = second.locator("tr", has_text="uz-0042")
    expect(past).to_contain_text("let in", timeout=SOON_MS)
    expect(past).to_contain_text("ad-02")
    second.get_by_role("link", name="Units", exact=True).click()
    expect(second.get_by_text(shown)).to_be_visible(timeout=SOON_MS)


def test_the_audit_says_who_did_it_and_leaves_as_a_file_after_the_second_factor(
    centre: Centre,
) -> None:
    with ThreadPoolExecutor(1) as aside:
        aside.submit(asyncio.run, acts(centre.site.site.store)).result()
    page = enter(centre, "au-01", "/audit?act=enrol-approve&obj=unit/uz-0099", with_axe=True)
    row = page.locator("tbody tr")
    expect(row).to_have_count(1, timeout=SOON_MS)
    for said in ("ad-02", "admin", "let a unit in", "unit/uz-0099"):
        expect(row).to_contain_text(said)
    for name in ("act", "obj"):
        page.locator(f"input[name={name}]").fill("")
        page.keyboard.press("Tab")
    expect(page.locator("tbody").get_by_text("locked a user out").first).to_be_visible(
        timeout=SOON_MS
    )
    button = page.get_by_role("button", name="CSV")
    button.click()
    expect(page.get_by_role("dialog")).to_be_visible(timeout=SOON_MS)
    without_faults(page, "second-factor", "dialog")
    step_up(page, "au-01")
    with page.expect_download(timeout=SOON_MS) as file:
        button.click()
    assert b"enrol-approve" in file.value.path().read_bytes()
    page.get_by_role("button", name="Looks at tracks and evidence").click()
    expect(page.locator("tbody tr").first).to_contain_text("took away a file", timeout=SOON_MS)
    expect(page).to_have_url(re.compile("what=reads"))
    page.get_by_role("button", name="Changes").click()
    looked_at(page, ["audit"])


def test_days_in_a_wrong_order_are_told_also_while_an_answer_is_on_its_way(centre: Centre) -> None:
    page = enter(centre, "au-01", "/audit")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/v1/audit?*", hold)
    page.locator("input[name=to]").fill("2026-02-01")
    page.locator("input[name=from]").fill("2026-02-02")
    page.keyboard.press("Tab")
    expect(page.locator("main").get_by_role("alert")).to_contain_text("The last day lies before")
    for route in held:
        route.continue_()
    page.unroute("**/api/v1/audit?*")
    expect(page.get_by_text("Loading")).to_have_count(0, timeout=SOON_MS)
    page.locator("input[name=to]").fill("2046-02-02")
    page.keyboard.press("Tab")
    expect(page.locator("main").get_by_role("alert")).to_have_count(0, timeout=SOON_MS)


def test_what_went_wrong_is_told_until_it_goes_well(centre: Centre) -> None:
    page = enter(centre, "ad-01", "/admin/units")
    asked, told = page.locator("input[name=q]"), page.locator("main .wrong")
    expect(page.locator("tbody")).to_be_visible(timeout=SOON_MS)
    page.route("**/api/v1/admin/units?*", lambda route: route.abort())
    asked.fill("uz")
    asked.press("Enter")
    expect(told).to_contain_text("The centre does not answer", timeout=SOON_MS)
    page.unroute("**/api/v1/admin/units?*")
    asked.fill("uz-0")
    asked.press("Enter")
    expect(told).to_have_count(0, timeout=SOON_MS)
    page.get_by_role("link", name="Rules").click()
    built = page.locator("tr", has=page.locator("code", has_text="built_ms"))
    expect(built).to_contain_text("1 Jan 2026", timeout=SOON_MS)
    page.locator(".choices select").select_option("ru")
    expect(built).to_contain_text("1 янв 2026")


def test_nobody_is_shut_out_by_the_office(centre: Centre) -> None:
    page = enter(centre, "ad-01", "/admin", with_axe=True)
    expect(page.get_by_role("heading", level=1)).to_have_text("Users", timeout=SOON_MS)
    looked_at(page, [f"admin/{part}" for part in PARTS])


def test_who_may_not_is_told_so(centre: Centre) -> None:
    page = enter(centre, "op-01", "/admin/users")
    told = page.get_by_text("Your role does not open this screen.")
    expect(told).to_be_visible(timeout=SOON_MS)
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Audit").click()
    expect(page.get_by_text("You see what you did yourself.")).to_be_visible(timeout=SOON_MS)
    expect(page.get_by_role("button", name="CSV")).to_have_count(0)
    reader = enter(centre, "au-01", "/admin/users")
    expect(reader.get_by_text("You may look; an admin changes.")).to_be_visible(timeout=SOON_MS)
    expect(reader.get_by_role("button", name="New user")).to_have_count(0)


def without_faults(page: Page, name: str, within: str = "") -> None:
    """What has no list of languages on it, in each language and theme."""
    for language, theme in LOOKS:
        dress_by_address(page, language, theme)
        assert faults(page, within) == [], (name, language, theme)
        if language == "en":
            page.screenshot(path=shots(f"{name}-{theme}"))
    dress_by_address(page, "en", "dark")


def looked_at(page: Page, paths: list[str]) -> None:
    """Each language and theme without a fault on each of these screens, and nothing to scroll sideways at 320 px."""
    for language, theme in LOOKS:
        dress(page, language, theme)
        for path in paths:
            follow(page, f"/{path}")
            loading = page.locator("main [role=status]").filter(has_text=re.compile(r"\w …$"))
            expect(loading).to_have_count(0, timeout=SOON_MS)
            # What all of them share is looked at once a dress; each screen by itself.
            within = "" if path == paths[0] else "main"
            assert faults(page, within) == [], (path, language, theme)
            page.screenshot(path=shots(f"{path.replace('/', '-')}-{language}-{theme}"))
    page.set_viewport_size({"width": 320, "height": 800})
    for path in paths:
        follow(page, f"/{path}")
        page.screenshot(path=shots(f"{path.replace('/', '-')}-320"))
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
        assert page.evaluate(
            "[...document.querySelectorAll('main')].every(one => one.scrollWidth <= one.clientWidth)"
        ), path
