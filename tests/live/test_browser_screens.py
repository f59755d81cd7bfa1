"""The other screens in a real browser, over a real truck: each in three languages and two themes, by keys, and at 320 px."""

import asyncio
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from collector.api.static import built
from collector.people import Role
from collector.people.passwords import SALT_BYTES, Hasher
from collector.store import people
from collector.store.database import Store
from tests.live.browser import missing, path_of_chromium
from tests.live.site_world import world
from tests.live.test_browser_room import (
    LOOKS,
    PASSWORD,
    SCENARIO,
    SOON_MS,
    WEBGL,
    Centre,
    bears,
    dress,
    faults,
    shots,
)

pytestmark = pytest.mark.live

PEOPLE = {"sv-01": Role.SUPERVISOR, "ad-01": Role.ADMIN, "ad-02": Role.ADMIN}


async def _accounts(store_file: Path) -> None:
    async with await Store.open(f"sqlite:///{store_file}") as store, store.write() as connection:
        encoded = Hasher().hash_of(PASSWORD, bytes(SALT_BYTES))
        for user_id, role in PEOPLE.items():
            await people.add_account(
                connection,
                user_id=user_id,
                role=role,
                name="",
                scope="",
                desk="",
                by="test",
                now_ms=1,
            )
            await people.set_password(connection, user_id, encoded)


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    path = path_of_chromium()
    if not built():
        missing("the built console", "make web")
    with world(tmp_path_factory.mktemp("screens")) as site, ThreadPoolExecutor(1) as aside:
        site.start_collector()
        aside.submit(asyncio.run, _accounts(site.site.store)).result()
        begins = datetime.fromtimestamp(int(time.time()), UTC)
        site.start_unit("truck-1", SCENARIO.format(start=begins.isoformat()))
        assert site.hardware is not None
        site.hardware.go()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=WEBGL)
            yield Centre(site=site, browser=browser)
            browser.close()


@pytest.fixture(autouse=True)
def everybody_leaves(centre: Centre) -> Iterator[None]:
    yield
    centre.leave()


def test_a_unit_shows_where_it_was_what_happened_and_who_had_its_seal(centre: Centre) -> None:
    page = centre.seat(with_axe=True)
    centre.log_in("sv-01", page)
    assert centre.site.hardware is not None
    centre.site.hardware.do("cut")
    expect(page.locator(".row.p1").first).to_be_visible(timeout=2 * SOON_MS)
    page.goto(f"{centre.url}/unit/1")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("truck-1", timeout=SOON_MS)
    alarm = page.locator(".unit li", has_text="Seal opened without order")
    expect(alarm).to_be_visible(timeout=SOON_MS)
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


def looked_at(page: Page, name: str) -> None:
    """Each language and theme without a fault, and nothing to scroll sideways at 320 px."""
    for language, theme in LOOKS:
        dress(page, language, theme)
        assert faults(page) == [], (name, language, theme)
        page.screenshot(path=shots(f"{name}-{language}-{theme}"))
    wide = page.viewport_size
    page.set_viewport_size({"width": 320, "height": 800})
    expect(page.locator("header .live")).to_have_class(bears("fresh"), timeout=SOON_MS)
    page.screenshot(path=shots(f"{name}-320"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.evaluate(
        "[...document.querySelectorAll('main')].every(one => one.scrollWidth <= one.clientWidth)"
    )
    assert wide is not None
    page.set_viewport_size(wide)
