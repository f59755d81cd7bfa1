"""A collector with people, and browsers in which they look at it.

Law: a browser is never told that it is measured by anything that the console can see; the policy of the pages is not bypassed.
"""

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.officer import BenchError
from bench.site import Site, SiteError, end, free_ports, is_open, tail
from collector.api.static import built
from collector.people import Role
from collector.people.passwords import SALT_BYTES, Hasher
from collector.store import people
from collector.store.database import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, CDPSession, Page

PASSWORD = "four grey trucks by noon"  # noqa: S105  # of accounts that live for a minute
SEATS = {"op-03": Role.OPERATOR, "op-07": Role.OPERATOR}
SCREEN = {"width": 1280, "height": 800}
HOOKS = Path(__file__).with_name("hooks.js")
WEBGL = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
START_S = 120.0
SOON_S = 60.0  # a machine that is shared is slow; what never comes is an error, and no figure
_FRESH = "document.querySelector('header .live')?.classList.contains('fresh') ?? false"
_NOW = "performance.now()"


@dataclass(slots=True, kw_only=True)
class Seat:
    """One person's browser. Times inside it can be put on this machine's monotonic axis."""

    page: "Page"
    tools: "CDPSession"
    ahead_ms: float = 0.0  # monotonic time minus the page's own

    def log_in(self, url: str, user: str, path: str = "/") -> None:
        """By the form, as a person does; until the stream flows."""
        self.page.goto(url + path)
        self.page.fill("input[name=user]", user)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.click("button[type=submit]")
        self.until_fresh()

    def open(self, url: str) -> None:
        """Somebody who is logged in opens the room anew."""
        self.page.goto(url)
        self.until_fresh()

    def until_fresh(self) -> None:
        self.until(_FRESH, "the stream flows")
        self.ahead_ms = min(self._looked() for _ in range(10))

    def until(self, expression: str, what: str, seconds: float = SOON_S) -> None:
        """Return when it is true in the page; looked at every 20 ms, from outside: the policy forbids `eval`."""
        wait_for(lambda: self.ask(expression), what, seconds)

    def ask(self, expression: str) -> Any:  # noqa: ANN401  # whatever the page says
        """The value of an expression in the page."""
        return self.page.evaluate(expression)

    def metrics(self) -> dict[str, float]:
        """What the browser counts of this page: seconds of work, bytes of heap."""
        said = self.tools.send("Performance.getMetrics")
        return {str(one["name"]): float(one["value"]) for one in said["metrics"]}

    def close(self) -> None:
        self.page.context.close()

    def _looked(self) -> float:
        """An upper bound of `ahead_ms`: the page was asked before it answered."""
        said = float(self.ask(_NOW))
        return time.monotonic() * 1_000 - said


@dataclass(slots=True, kw_only=True)
class Centre:
    """A running site and a running browser."""

    site: Site
    browser: "Browser"
    seats: list[Seat] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.site.api_port}"

    def seat(self, *, own_stream: bool = False) -> Seat:
        """A browser that nobody has used before."""
        context = self.browser.new_context(
            locale="en-GB",
            viewport=SCREEN,  # type: ignore[arg-type]  # its own type is private
            reduced_motion="reduce",  # a map that flashes without a graphics card takes a core
        )
        context.add_init_script(f"window.benchOwnStream = {'true' if own_stream else 'false'};")
        context.add_init_script(path=HOOKS)
        return self.beside(context)

    def beside(self, context: "BrowserContext") -> Seat:
        """One more page of the same browser."""
        page = context.new_page()
        tools = context.new_cdp_session(page)
        tools.send("Performance.enable")
        seat = Seat(page=page, tools=tools)
        self.seats.append(seat)
        return seat


@contextmanager
def collector(enrol: Callable[[Path], None] | None = None) -> Iterator[Site]:
    """A collector with its broker in a folder of its own; `enrol` is handed its store."""
    mqtt_port, api_port = free_ports(2, random.Random())  # noqa: S311  # spreads ports, hides nothing
    with tempfile.TemporaryDirectory(prefix="plomba-console-") as made:
        site = Site(folder=Path(made), mqtt_port=mqtt_port, api_port=api_port)
        site.start_collector()
        try:
            wait_for(lambda: is_up(site), "the collector answers", START_S)
            aside(_accounts, site.store)
            if enrol is not None:
                enrol(site.store)
                end(site.collector)  # whom it has known from its start it does not have to look for
                site.start_collector()
                wait_for(lambda: is_up(site), "the collector answers again", START_S)
            yield site
        finally:
            site.end()


@contextmanager
def chromium() -> Iterator["Browser"]:
    """The system's own, WebGL in software."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise BenchError("chromium is not installed: apt-get install chromium")
    if not built():
        raise BenchError("the console is not built: make web")
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415  # a tool of the development only
    except ImportError as error:
        raise BenchError("playwright is not installed: make setup") from error
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=WEBGL)
        try:
            yield browser
        finally:
            browser.close()


def is_up(site: Site) -> bool:
    """Whether it takes calls; SiteError if it has ended."""
    assert site.collector is not None
    if site.collector.poll() is not None:
        raise SiteError(f"the collector ended:\n{tail(site.collector_log)}")
    return is_open(site.api_port) and is_open(site.mqtt_port)


def failures() -> tuple[type[Exception], ...]:
    """How a part fails that could not be carried out: ours, a program's, and what a browser raises of a page."""
    from playwright.sync_api import Error  # noqa: PLC0415  # a tool of the development only

    return (BenchError, SiteError, Error)


def wait_for(true: Callable[[], object], what: str, seconds: float = SOON_S) -> None:
    """Return as soon as `true()` is; BenchError with `what` if it never is."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            raise BenchError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.02)


def aside(job: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401  # what the job gives
    """Run a coroutine beside the browser's own loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(job(*arguments))).result()


async def _accounts(file: Path) -> None:
    async with await Store.open(f"sqlite:///{file}") as store, store.write() as connection:
        encoded = Hasher().hash_of(PASSWORD, bytes(SALT_BYTES))
        for user_id, role in SEATS.items():
            said = {"name": "", "scope": "", "desk": "", "by": "bench", "now_ms": 1}
            await people.add_account(connection, user_id=user_id, role=role, **said)  # type: ignore[arg-type]  # plain words
            await people.set_password(connection, user_id, encoded)
