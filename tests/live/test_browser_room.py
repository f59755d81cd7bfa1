"""The control room in a real browser, on a real truck: an alarm in two rooms at once, who has seen it, a flood, a centre that stops."""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from paho.mqtt.client import Client as Mqtt
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from bench.site import end
from collector.api.static import built
from collector.people import Role
from collector.people.passwords import SALT_BYTES, Hasher
from collector.store import people
from collector.store.database import Store
from tests.collector.fleet import FleetUnit
from tests.live.browser import SCREENS, missing, path_of_chromium
from tests.live.site_world import SEAL_ID, World, world
from wire.topics import Up, up

pytestmark = pytest.mark.live

PASSWORD = "four grey trucks by noon"
PEOPLE = {"op-03": Role.OPERATOR, "op-07": Role.OPERATOR, "sv-01": Role.SUPERVISOR}
FLOOD = 11  # annunciated in ten minutes: one more than a desk can take (ISA-18.2)
AXE = Path(__file__).parents[2] / "collector" / "web" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LOOKS = [(language, theme) for language in ("en", "ru", "uz") for theme in ("dark", "light")]
SOON_MS = 15_000  # a machine that is shared is slow: what is timed is measured elsewhere
SCENARIO = f"""
scenario = {{{{ name = "room", seed = 7, start = {{start}}, end_s = 3600 }}}}
track = {{{{ points = [[41.2, 69.2], [41.2, 69.6]], speed_km_h = 60 }}}}
receiver = {{{{ fix_after_s = 1, noise_m = 0 }}}}
seal = {{{{ id = "{SEAL_ID}", armed = true, dynamic = false }}}}
"""
WEBGL = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
REFUSED = """
window.refused = [];
document.addEventListener('securitypolicyviolation', (event) =>
  window.refused.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


@dataclass(kw_only=True)
class Centre:
    """A site with one truck, and the people who look at it, each in a browser of his own."""

    site: World
    browser: Browser
    seats: list[BrowserContext] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.site.site.api_port}"

    def seat(self, *, with_axe: bool = False) -> Page:
        """A browser that nobody has used before: no cookie and no worker is shared."""
        context = self.browser.new_context(
            locale="en-GB",
            viewport={"width": 1280, "height": 800},
            reduced_motion="reduce",  # a map that flashes without a graphics card takes a core
        )
        context.add_init_script(REFUSED)
        if with_axe:
            if not AXE.is_file():
                missing("axe-core", "make web")
            context.add_init_script(path=AXE)  # Trusted Types refuse a script tag
        self.seats.append(context)
        return context.new_page()

    def log_in(self, user: str, page: Page | None = None) -> Page:
        """By the form, as a person does; until the stream flows."""
        page = page or self.seat()
        page.goto(f"{self.url}/")
        page.fill("input[name=user]", user)
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        expect(page.locator("header .live")).to_have_class(bears("fresh"), timeout=SOON_MS)
        expect(page.locator("header time")).to_be_visible(timeout=SOON_MS)
        return page

    def leave(self) -> None:
        """Everybody goes; nobody's browser had to refuse anything that the console wanted."""
        pages = [page for context in self.seats for page in context.pages]
        refused = [said for page in pages for said in page.evaluate("window.refused ?? []")]
        for context in self.seats:
            context.close()
        self.seats.clear()
        assert refused == []


async def _accounts(store_file: Path) -> None:
    async with await Store.open(f"sqlite:///{store_file}") as store, store.write() as connection:
        encoded = Hasher().hash_of(PASSWORD, bytes(SALT_BYTES))
        for user_id, role in PEOPLE.items():
            said = {"name": "", "scope": "", "desk": "", "by": "test", "now_ms": 1}
            await people.add_account(connection, user_id=user_id, role=role, **said)  # type: ignore[arg-type]  # plain words
            await people.set_password(connection, user_id, encoded)


async def _enrol(store_file: Path, units: Sequence[FleetUnit]) -> None:
    async with await Store.open(f"sqlite:///{store_file}") as store:
        for unit in units:
            await store.add_unit(unit.unit_id, unit.public_key, now_ms=unit.clock_ms)


def broken_histories(centre: Centre, units: Sequence[FleetUnit]) -> None:
    """Each unit says what cannot be true: its signed history begins twice. Through the broker, as everything."""
    mqtt = Mqtt(CallbackAPIVersion.VERSION2, client_id="flood")
    mqtt.connect("127.0.0.1", centre.site.site.mqtt_port)
    mqtt.loop_start()
    for unit in units:
        for sealed in (unit.begin(), unit.begin(forgets=True)):
            topic = up(unit.unit_id, Up.BATCH)
            mqtt.publish(topic, sealed.envelope, qos=1).wait_for_publish(10)
    mqtt.disconnect()
    mqtt.loop_stop()


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    path = path_of_chromium()
    if not built():
        missing("the built console", "make web")
    folder = tmp_path_factory.mktemp("room")
    with world(folder) as site, ThreadPoolExecutor(1) as aside:
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


def test_a_cut_seal_stands_in_two_rooms_and_who_acknowledges_it_in_one_is_named_in_the_other(
    centre: Centre,
) -> None:
    mine, theirs = centre.log_in("op-07"), centre.log_in("op-03")
    assert centre.site.hardware is not None
    centre.site.hardware.do("cut")
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
    with ThreadPoolExecutor(1) as aside:
        aside.submit(asyncio.run, _enrol(centre.site.site.store, units)).result()
    time.sleep(1.5)  # the collector looks for new units once a second
    broken_histories(centre, units)
    expect(page.locator(".flood")).to_be_visible(timeout=2 * SOON_MS)
    rows = page.locator(".row", has_text="flood-")
    expect(rows).to_have_count(FLOOD, timeout=SOON_MS)  # criticals stand alone, none is dropped
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


def test_a_computer_that_slept_and_a_centre_that_stopped_are_told_as_old_and_come_back(
    centre: Centre,
) -> None:
    page = centre.log_in("op-03")
    loaded = page.evaluate("performance.timeOrigin")
    live, notice = page.locator("header .live"), page.locator(".notice")
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


def dress(page: Page, language: str, theme: str) -> None:
    """Language and theme as a person chooses them, without a new page."""
    html = page.locator("html")
    page.select_option(".choices select", language)
    expect(html).to_have_attribute("lang", language)
    if html.get_attribute("data-theme") != theme:
        page.click(".choices button")
    expect(html).to_have_attribute("data-theme", theme)


def faults(page: Page) -> list[str]:
    """What axe finds, each with its place."""
    found = page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})",
        TAGS,
    )
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def bears(word: str) -> re.Pattern[str]:
    """A class attribute with this word in it."""
    return re.compile(rf"\b{word}\b")


def shots(name: str) -> Path:
    """Where a picture for the eye lies; nothing compares it."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    return SCREENS / f"{name}.png"
