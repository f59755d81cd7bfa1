"""Every page of the officer, and the unit's own, is for everybody: no violation of WCAG 2.2 AA that axe-core can find, in each language and theme."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from agent.app.page import document
from collector.texts import LANGUAGES
from tests.agent.test_page import GOOD, known, seal, shown
from tests.collector.test_officer_pages import FOUR, PAGES, REPORT, answer, every_page, frame
from tests.live.browser import PHONE, chromium, shot
from wire.records import SealBit as Bit

pytestmark = pytest.mark.live
__all__ = ["chromium"]

AXE = (
    Path(__file__).resolve().parents[2]
    / "collector"
    / "web"
    / "node_modules"
    / "axe-core"
    / "axe.min.js"
)
NAMES = ("green", "grey", "amber", "red", "form", "form-fault", "login", "hits", "nobody", "stored")
UNIT = {
    "green": known(),
    "red": known(seals=[seal(GOOD | Bit.ROPE_CUT)]),
    "amber": known(at_home=True),
    "grey": known(fix_age_s=None),
}
RULES = "{ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] }"


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport=PHONE, color_scheme=request.param)  # type: ignore[arg-type]  # its own type is private
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        if os.environ.get("PLOMBA_CI"):
            pytest.fail("axe-core is not there: make web")
        pytest.skip("axe-core is not there: make web")
    return AXE.read_text(encoding="utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_shuts_anybody_out(page: Page, axe: str, language: str) -> None:
    green = PAGES.answer(frame(language), answer(FOUR["green"]), REPORT)
    stored = green.replace('data-v="live"', 'data-v="stored"')
    for name, html in zip(NAMES, [*every_page(language), stored], strict=True):
        page.set_content(re.sub(r'src="/o/officer.js[^"]*"', "", html))
        looked_at(page, axe, f"officer-{name}", language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_nor_does_the_page_of_the_unit(page: Page, axe: str, language: str) -> None:
    for name, of in UNIT.items():
        page.set_content(document(shown(of), language).html.decode())
        looked_at(page, axe, f"unit-page-{name}", language)


def looked_at(page: Page, axe: str, name: str, language: str) -> None:
    page.evaluate(axe)
    found = page.evaluate(f"axe.run({RULES})")
    assert [(one["id"], one["nodes"][0]["target"]) for one in found["violations"]] == [], name
    assert found["passes"]
    if language == "en":
        is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        shot(page, f"{name}-{'dark' if is_dark else 'light'}")
