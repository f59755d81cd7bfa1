"""The system's own Chromium, as a phone and as a seat in the control room: no page of ours may break its policy, and offline is really offline."""

import asyncio
import contextlib
import itertools
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import httpx
import pytest
from paho.mqtt.client import Client as Mqtt
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from bench.simulator import Simulator
from collector.api.static import built
from collector.people import Role
from collector.people.passwords import SALT_BYTES, Hasher
from collector.store import people
from collector.store.database import Store
from tests.collector.api_rig import CHANGE
from tests.collector.fleet import FleetUnit, Sealed
from tests.live.site_world import SEAL_ID, World, world
from wire.topics import Up, up

ROOT = Path(__file__).resolve().parents[2]
SCREENS = ROOT / "artifacts" / "screens"
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 800}
PASSWORD = "four grey trucks by noon"
AXE = ROOT / "collector" / "web" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LOOKS = [(language, theme) for language in ("en", "ru", "uz") for theme in ("dark", "light")]
SOON_MS = 15_000  # a machine that is shared is slow: what is timed is measured elsewhere
SCENARIO = f"""
scenario = {{{{ name = "room", seed = 7, start = {{start}}, end_s = 3600 }}}}
track = {{{{ points = [[41.2, 69.2], [41.2, 69.6]], speed_km_h = 60 }}}}
receiver = {{{{ fix_after_s = 1, noise_m = 0 }}}}
seal = {{{{ id = "{SEAL_ID}", armed = true, dynamic = false, interval_s = 5 }}}}
"""
# As on a desk without a graphics card: the page is composed by the processor, which takes a fifth of what it takes through a drawn GPU.
WEBGL = ["--no-sandbox", "--enable-unsafe-swiftshader"]
NOTHING: Mapping[str, object] = MappingProxyType({})
KEYS = itertools.count()
A_DESK = "a1"  # at which whoever likes may sit

REFUSED = """
window.refused = [];
document.addEventListener('securitypolicyviolation', (event) =>
  window.refused.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


def missing(what: str, how: str) -> NoReturn:
    """Skip, or fail where everything has to be there."""
    if os.environ.get("PLOMBA_CI"):
        pytest.fail(f"{what} is missing: {how}")
    pytest.skip(f"{what} is missing: {how}")


def path_of_chromium(*, has_camera: bool = False) -> str:
    """The system's own: best the one without windows, which draws no tabs and menus for nobody, and knows no camera."""
    whole = ("chromium", "chromium-browser")
    names = whole if has_camera else ("chromium-headless-shell", *whole)
    path = next(filter(None, map(shutil.which, names)), None)
    return path or missing("chromium", "apt-get install chromium")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser a file."""
    path = path_of_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass(kw_only=True)  # without slots: Playwright leaves a mark on whoever listens
class Phone:
    """A browser of its own, and what it complained of."""

    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    def hear(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.complaints.append(message.text)


@contextlib.contextmanager
def phone(browser: Browser, *, scripts: bool = True, language: str = "en") -> Iterator[Phone]:
    """A phone of 360 px in somebody's hand; at the end its policy was not broken once."""
    context = browser.new_context(
        viewport=PHONE,  # type: ignore[arg-type]  # its own type is private
        java_script_enabled=scripts,
        locale=language,
        has_touch=True,
        is_mobile=True,
    )
    try:
        held = Phone(context=context, page=context.new_page())
        held.page.on("console", held.hear)
        yield held
        assert held.complaints == []
    finally:
        context.close()


class Colleague:
    """Somebody at another seat, who needs no screen for what he does meanwhile."""

    def __init__(self, url: str, user: str) -> None:
        self._url, self._headers = f"{url}/api/v1", {**CHANGE}
        said = self.post("/login", {"user": user, "password": PASSWORD, "token": True})
        self._headers["Authorization"] = f"Bearer {said['token']}"

    def post(self, path: str, body: Mapping[str, object] = NOTHING) -> dict[str, Any]:
        """A change that is not refused; its answer."""
        headers = {**self._headers, "Idempotency-Key": f"key-{next(KEYS)}"}
        answer = httpx.post(self._url + path, json=dict(body), headers=headers, timeout=30)
        assert answer.is_success, answer.text
        said: dict[str, Any] = answer.json()
        return said


@dataclass(kw_only=True)
class Centre:
    """A site with one truck, and the people who look at it, each in a browser of his own."""

    site: World
    browser: Browser
    seats: list[BrowserContext] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.site.site.api_port}"

    @property
    def hardware(self) -> Simulator:
        assert self.site.hardware is not None
        return self.site.hardware

    def seat(self, *, with_axe: bool = False, script: str = "") -> Page:
        """A browser that nobody has used before: no cookie and no worker is shared."""
        context = self.browser.new_context(
            locale="en-GB",
            viewport=DESK,  # type: ignore[arg-type]  # its own type is private
            reduced_motion="reduce",  # a map that flashes without a graphics card takes a core
        )
        context.add_init_script(REFUSED + script)
        if with_axe:
            if not AXE.is_file():
                missing("axe-core", "make web")
            context.add_init_script(path=AXE)  # Trusted Types refuse a script tag
        self.seats.append(context)
        return context.new_page()

    def log_in(
        self, user: str, page: Page | None = None, *, desk: str = "", path: str = "/"
    ) -> Page:
        """By the form, as a person does, where he wants to go: until the stream flows."""
        page = page or self.seat()
        page.goto(self.url + path)
        page.fill("input[name=user]", user)
        page.fill("input[name=password]", PASSWORD)
        page.fill("input[name=desk]", desk)
        page.click("button[type=submit]")
        is_live(page)
        return page

    def enrol(self, units: Sequence[FleetUnit]) -> None:
        """Let units in that a test speaks for; returns when the collector knows them."""
        with ThreadPoolExecutor(1) as aside:
            aside.submit(asyncio.run, _enrol(self.site.site.store, units)).result()
        time.sleep(1.5)  # the collector looks for new units once a second

    def say(self, unit: FleetUnit, *batches: Sealed) -> None:
        """What a unit sealed, through the broker, as everything."""
        mqtt = Mqtt(CallbackAPIVersion.VERSION2, client_id=f"for-{unit.unit_id}")
        mqtt.connect("127.0.0.1", self.site.site.mqtt_port)
        mqtt.loop_start()
        for sealed in batches:
            topic = up(unit.unit_id, Up.BATCH)
            mqtt.publish(topic, sealed.envelope, qos=1).wait_for_publish(10)
        mqtt.disconnect()
        mqtt.loop_stop()

    def leave(self) -> None:
        """Everybody goes; nobody's browser had to refuse anything that the console wanted."""
        pages = [page for context in self.seats for page in context.pages]
        refused = [said for page in pages for said in page.evaluate("window.refused ?? []")]
        for context in self.seats:
            context.close()
        self.seats.clear()
        assert refused == []


@contextlib.contextmanager
def control_room(folder: Path, accounts: Mapping[str, Role]) -> Iterator[Centre]:
    """A running site, its truck on the road, and people who may log in."""
    path = path_of_chromium()
    if not built():
        missing("the built console", "make web")
    with world(folder) as site:
        site.start_collector()
        with ThreadPoolExecutor(1) as aside:  # beside Playwright's own loop
            aside.submit(asyncio.run, _accounts(site.site.store, accounts)).result()
        begins = datetime.fromtimestamp(int(time.time()), UTC)
        site.start_unit("truck-1", SCENARIO.format(start=begins.isoformat()))
        assert site.hardware is not None
        site.hardware.go()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=WEBGL)
            yield Centre(site=site, browser=browser)
            browser.close()


async def _accounts(store_file: Path, accounts: Mapping[str, Role]) -> None:
    async with await Store.open(f"sqlite:///{store_file}") as store, store.write() as connection:
        encoded = Hasher().hash_of(PASSWORD, bytes(SALT_BYTES))
        for user_id, role in accounts.items():
            said = {"name": "", "scope": "", "desk": "", "by": "test", "now_ms": 1}
            await people.add_account(connection, user_id=user_id, role=role, **said)  # type: ignore[arg-type]  # plain words
            await people.set_password(connection, user_id, encoded)
        await people.put_desk(
            connection, desk_id=A_DESK, name="", scope="", fallback="", by="test", now_ms=1
        )


async def _enrol(store_file: Path, units: Sequence[FleetUnit]) -> None:
    async with await Store.open(f"sqlite:///{store_file}") as store:
        for unit in units:
            await store.add_unit(unit.unit_id, unit.public_key, now_ms=unit.clock_ms)


def is_live(page: Page) -> None:
    """Until the page has the stream and the time."""
    expect(page.locator("header .live")).to_have_class(bears("fresh"), timeout=SOON_MS)
    expect(page.locator("header time")).to_be_visible(timeout=SOON_MS)


def dress(page: Page, language: str, theme: str) -> None:
    """Language and theme as a person chooses them, without a new page."""
    html, more = page.locator("html"), page.locator("header .more")
    is_behind = more.is_visible()  # the strip of who watches keeps them behind one press
    if is_behind:
        more.click()
    page.select_option(".choices select", language)
    expect(html).to_have_attribute("lang", language)
    if html.get_attribute("data-theme") != theme:
        page.click(".choices button")
    expect(html).to_have_attribute("data-theme", theme)
    if is_behind:
        more.click()
        expect(page.locator(".choices")).to_be_hidden()


def follow(page: Page, path: str) -> None:
    """The way to another screen, which the strip of who watches keeps behind one press."""
    link = page.locator(f"a[href='{path}']").first
    is_behind = not link.is_visible()
    if is_behind:
        page.locator("header .more").click()
    link.click()
    if is_behind:
        expect(link).to_be_hidden()  # also behind the way to where one is already


def dress_by_address(page: Page, language: str, theme: str) -> None:
    """The same where nothing may be chosen: every view is a URL, so is its dress."""
    page.evaluate(
        """([lang, theme]) => {
          const to = new URL(location.href);
          to.searchParams.set('lang', lang);
          to.searchParams.set('theme', theme);
          history.replaceState(null, '', to);
          dispatchEvent(new PopStateEvent('popstate'));
        }""",
        [language, theme],
    )
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.locator("html")).to_have_attribute("data-theme", theme)


def faults(page: Page, within: str = "") -> list[str]:
    """What axe finds, each with its place; in the whole document, or only in what a screen does not share with the others."""
    found = page.evaluate(
        "([within, tags]) => axe.run(within || document, {runOnly: {type: 'tag', values: tags}})",
        [within, TAGS],
    )
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


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


def bears(word: str) -> re.Pattern[str]:
    """A class attribute with this word in it."""
    return re.compile(rf"\b{word}\b")


def shots(name: str) -> Path:
    """Where a picture for the eye lies; nothing compares it."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    return SCREENS / f"{name}.png"


def shot(page: Page, name: str) -> None:
    """All of a page as a picture."""
    page.screenshot(path=shots(name), full_page=True)
