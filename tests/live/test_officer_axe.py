"""Every page of the officer is for everybody: no violation of WCAG 2.2 AA that axe-core can find, in each language and theme."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from collector.texts import LANGUAGES
from tests.collector.test_officer_pages import FOUR, PAGES, REPORT, answer, every_page, frame
from tests.live.browser import PHONE, chromium

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
    for html in [*every_page(language), stored]:
        page.set_content(re.sub(r'src="/o/officer.js[^"]*"', "", html))
        page.evaluate(axe)
        found = page.evaluate(f"axe.run({RULES})")
        assert [(one["id"], one["nodes"][0]["target"]) for one in found["violations"]] == []
        assert found["passes"]
