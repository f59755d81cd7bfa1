"""The load of the alarms in a real browser: figures beside their limits, by desk, as picture, as table and as a file."""

import asyncio
import csv
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from collector.api.static import built
from collector.people import Role
from collector.people.passwords import SALT_BYTES, Hasher
from collector.store import people, schema
from collector.store.database import Store
from tests.collector.fleet import FleetUnit
from tests.live.browser import (
    PASSWORD,
    SOON_MS,
    WEBGL,
    Centre,
    dress,
    looked_at,
    missing,
    path_of_chromium,
    shots,
)
from tests.live.site_world import world

pytestmark = pytest.mark.live

PEOPLE = {"op-03": (Role.OPERATOR, "uz.south"), "sv-01": (Role.SUPERVISOR, "")}
FLOOD = 12  # more than ten in ten minutes


async def _accounts(store_file: Path) -> None:
    async with await Store.open(f"sqlite:///{store_file}") as store, store.write() as connection:
        encoded = Hasher().hash_of(PASSWORD, bytes(SALT_BYTES))
        for user_id, (role, scope) in PEOPLE.items():
            said = {"name": "", "scope": scope, "desk": "", "by": "test", "now_ms": 1}
            await people.add_account(connection, user_id=user_id, role=role, **said)  # type: ignore[arg-type]  # plain words
            await people.set_password(connection, user_id, encoded)
        south = {"name": "", "scope": "uz.south", "fallback": "", "made_by": "", "made_ms": 0}
        await connection.execute(schema.desk.insert().values(desk_id="south", **south))


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    path = path_of_chromium()
    if not built():
        missing("the built console", "make web")
    with world(tmp_path_factory.mktemp("kpi")) as site, ThreadPoolExecutor(1) as aside:
        site.start_collector()
        aside.submit(asyncio.run, _accounts(site.site.store)).result()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=WEBGL)
            made = Centre(site=site, browser=browser)
            raise_alerts(made)
            yield made
            browser.close()


def raise_alerts(centre: Centre) -> None:
    """A dozen histories that begin twice: one critical alert each, all at once."""
    now_ms = time.time_ns() // 1_000_000 - 120_000
    units = [FleetUnit(unit_id=f"loud-{n:02}", clock_ms=now_ms) for n in range(FLOOD)]
    centre.enrol(units)
    for unit in units:
        centre.say(unit, unit.begin(), unit.begin(forgets=True))
    centre.site.until(
        lambda: len(centre.site.begun("LOG_INTEGRITY")) == FLOOD, what="each has raised its alert"
    )


@pytest.fixture(autouse=True)
def everybody_leaves(centre: Centre) -> Iterator[None]:
    yield
    centre.leave()


def row(page: Page, name: str) -> str:
    return page.get_by_role("row", name=name).first.inner_text()


def test_a_flood_stands_over_its_lines_and_every_picture_is_a_table_too(
    centre: Centre, tmp_path: Path
) -> None:
    page = centre.log_in("sv-01", centre.seat(with_axe=True), path="/kpi?days=1")
    expect(page.get_by_text("12 of 144 that a desk may hear")).to_be_visible(timeout=SOON_MS)
    expect(page.get_by_text("floods: 1.")).to_be_visible()
    assert "held" in row(page, "Time in flood")  # ten minutes of a day
    assert "over" in row(page, "Record of the unit broken")
    assert "100%" in row(page, "Record of the unit broken")
    most = page.get_by_role("img", name="Most in 10 minutes")
    expect(most).to_have_attribute(
        "aria-label", "Most in 10 minutes; line at 10. 1 bar over the line"
    )
    page.get_by_text("As a table").nth(1).click()
    expect(page.locator("details tr.over")).to_have_count(1)
    with page.expect_download() as coming:
        page.get_by_role("button", name="CSV: The ten worst").click()
    file = tmp_path / "worst.csv"
    coming.value.save_as(file)
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 10
    assert {one["code"] for one in rows} == {"LOG_INTEGRITY"}
    page.screenshot(path=shots("kpi-flood"), full_page=True)
    page.get_by_label("Desk").select_option("south")
    expect(page.get_by_text("No unit said anything in this time")).to_be_visible(timeout=SOON_MS)
    page.get_by_label("Desk").select_option("")
    expect(page.get_by_text("12 of 144 that a desk may hear")).to_be_visible(timeout=SOON_MS)
    looked_at(page, "kpi")
    dress(page, "en", "dark")
    page.route("**/api/v1/kpi/alarms?*", lambda route: route.abort())
    page.get_by_label("Desk").select_option("south")
    expect(page.locator("main").get_by_role("alert")).to_contain_text("does not answer")
    # Figures of another desk do not stand there as those of this one.
    expect(page.get_by_role("heading", name="Figures and limits")).to_have_count(0)
    page.unroute("**/api/v1/kpi/alarms?*")
    page.get_by_role("button", name="Reckon anew").click()
    expect(page.get_by_text("No unit said anything in this time")).to_be_visible(timeout=SOON_MS)


def test_an_operator_sees_his_own_and_is_told_so_when_he_asks_for_more(centre: Centre) -> None:
    page = centre.log_in("op-03", path="/kpi")
    expect(page.get_by_text("No unit said anything in this time")).to_be_visible(timeout=SOON_MS)
    expect(page.get_by_label("Desk")).to_have_count(0)
    page.goto(f"{centre.url}/kpi?desk=north")
    expect(page.get_by_text("Of desks you see your own alone.")).to_be_visible(timeout=SOON_MS)
