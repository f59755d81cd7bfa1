"""The system's own Chromium, as a phone: no page of ours may break its policy, and offline is really offline."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

SCREENS = Path(__file__).resolve().parents[2] / "artifacts" / "screens"
PHONE = {"width": 360, "height": 740}


def missing(what: str, how: str) -> NoReturn:
    """Skip, or fail where everything has to be there."""
    if os.environ.get("PLOMBA_CI"):
        pytest.fail(f"{what} is missing: {how}")
    pytest.skip(f"{what} is missing: {how}")


def path_of_chromium() -> str:
    """The system's own."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
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


def shot(page: Page, name: str) -> None:
    """A picture for the eye; nothing compares it."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{name}.png", full_page=True)
