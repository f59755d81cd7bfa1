"""A code before a phone's camera or in a photo of it: read in a browser that has no detector of its own, and typing is left to who has neither.

And a code where there is no network: whose word it is, by the keys that the phone holds.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import segno
from playwright.sync_api import Browser, Page, expect, sync_playwright

from collector.api.static import name_of
from collector.people import Role
from collector.store.database import Added, Store
from collector.texts.catalogue import text
from tests.collector.api_rig import PASSWORD
from tests.collector.api_thread import Centre, running
from tests.live.browser import missing, path_of_chromium, phone
from tests.wire.keys import private_key, public_key
from wire import handover

pytestmark = pytest.mark.live


def code_of(number: int, by: str) -> str:
    """What a unit's own page shows, signed by a key of that name."""
    said = handover.make(
        unit_number=number,
        batch_no=812,
        head=bytes(range(16)),
        at_s=1_795_330_000,
        sign=private_key(by).sign,
    )
    return handover.url("centre.example.uz", said)


CODE = code_of(7, "x")
WIDE, HIGH = 640, 480
PROVIDED = """async () => {
  const is = async () =>
    (await caches.match("/o/keys")) && (await caches.match("/o/h/?lang=en")) &&
    (await caches.match("/o/?lang=en")) &&
    (await navigator.serviceWorker.getRegistrations()).filter((one) => one.active).length === 2;
  while (!(await is())) await new Promise((on) => setTimeout(on, 100));
}"""


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    if name_of("qr-") is None:
        missing("the built reader of codes", "make web")
    with running(tmp_path_factory.mktemp("centre"), users=(("olim", Role.OFFICER),)) as made:
        with ThreadPoolExecutor(1) as aside:  # a browser may have a loop of its own in this thread
            aside.submit(asyncio.run, enrolled(made.data_dir)).result()
        yield made


async def enrolled(data_dir: Path) -> None:
    async with await Store.open(f"sqlite:///{data_dir / 'collector.db'}") as store:
        added = await store.add_unit("uz-0001", public_key("unit"), now_ms=1)
        assert isinstance(added, Added)
        assert added.number == 1


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """With a camera that sees the unit's code, for whom it is lent to."""
    seen = film(tmp_path_factory.mktemp("film") / "film.y4m", CODE)
    args = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={seen}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path_of_chromium(has_camera=True), args=["--no-sandbox", *args]
        )
        yield browser
        browser.close()


def log_in(page: Page, centre: Centre, lang: str = "ru") -> None:
    page.goto(f"{centre.url}/o/?lang={lang}")
    page.fill("input[name=user]", "olim")
    page.fill("input[name=password]", PASSWORD)
    page.click("main button")
    page.wait_for_url("**/o/?*")


def film(path: Path, said: str) -> Path:
    """One picture of a code as a camera gives it: grey, in the middle of a bright frame (YUV4MPEG2)."""
    rows = [bytearray(b"\xdc" * WIDE) for _ in range(HIGH)]
    modules = [list(row) for row in segno.make(said, error="l").matrix_iter(scale=6, border=4)]
    top, left = (HIGH - len(modules)) // 2, (WIDE - len(modules[0])) // 2
    for y, row in enumerate(modules):
        rows[top + y][left : left + len(row)] = bytes(40 if dark else 220 for dark in row)
    plain = bytes([128]) * (WIDE * HIGH // 2)
    frame = b"FRAME\n" + b"".join(rows) + plain
    path.write_bytes(f"YUV4MPEG2 W{WIDE} H{HIGH} F10:1 Ip C420\n".encode() + frame * 2)
    return path


def test_a_photo_of_the_units_code_opens_its_page_and_one_of_nothing_asks_to_type(
    centre: Centre, chromium: Browser, tmp_path: Path
) -> None:
    with phone(chromium) as held:
        page = held.page
        log_in(page, centre)
        asked: list[str] = []
        page.on("request", lambda one: asked.append(one.url))
        page.reload()
        assert not [url for url in asked if "/assets/" in url], "nothing of it comes with a page"
        page.click("#scan")
        photo = page.locator("#scanned input[type=file]")
        expect(photo).to_be_visible()
        assert photo.get_attribute("accept") == "image/*"
        assert photo.get_attribute("capture") == "environment"
        empty = tmp_path / "empty.png"
        segno.make_qr("x").save(str(empty), dark="white", scale=9)
        photo.set_input_files(empty)
        expect(page.locator("#scanned [role=alert]")).to_have_text(text("officer.unread", "ru"))
        taken = tmp_path / "code.png"
        segno.make(CODE, error="l").save(str(taken), scale=12, border=6)
        photo.set_input_files(taken)
        page.wait_for_url("**/o/h/*?lang=ru")
        assert CODE.rpartition("/")[2].lower() in page.url.lower()
        assert text("officer.grey", "ru") in page.inner_text(".v")


def test_a_number_as_a_code_is_looked_for_like_one_that_was_typed(
    centre: Centre, chromium: Browser, tmp_path: Path
) -> None:
    with phone(chromium) as held:
        page = held.page
        log_in(page, centre, "uz")
        page.click("#scan")
        taken = tmp_path / "seal.png"
        segno.make_qr("UZ-000123").save(str(taken), scale=8)
        page.locator("#scanned input").set_input_files(taken)
        page.wait_for_url("**/o/s?q=UZ-000123&lang=uz")


def test_the_camera_reads_the_code_by_itself(centre: Centre, chromium: Browser) -> None:
    with phone(chromium) as held:
        held.context.grant_permissions(["camera"])
        log_in(held.page, centre)
        held.page.click("#scan")
        held.page.wait_for_url("**/o/h/*?lang=ru", timeout=30_000)


def test_without_scripts_there_is_no_button_that_does_nothing(
    centre: Centre, chromium: Browser
) -> None:
    with phone(chromium, scripts=False) as held:
        log_in(held.page, centre)
        expect(held.page.locator("#scan")).to_be_hidden()
        expect(held.page.locator("input[name=q]")).to_be_visible()


def test_without_the_network_a_code_is_held_against_the_keys_of_the_phone(
    centre: Centre, chromium: Browser
) -> None:
    with phone(chromium) as held:
        page = held.page
        log_in(page, centre, "en")
        page.evaluate("navigator.serviceWorker.ready")
        page.evaluate(PROVIDED)
        held.context.set_offline(True)
        words = {
            code_of(
                1, "unit"
            ): "Signed by unit uz-0001: batch 812, 00010203, at 2026-11-22 06:46 UTC",
            code_of(1, "a forger"): text("officer.code.bad", "en"),
            code_of(99, "unit"): text("officer.alone.strange", "en"),
        }
        for code, word in words.items():
            page.goto(f"{centre.url}/O/H/{code.rpartition('/')[2]}")
            said = page.locator("main [role=status] p:visible")
            expect(said).to_have_count(1)
            expect(said).to_contain_text(word)
            assert page.locator(".v").get_attribute("class") == "v grey"
            assert text("officer.green", "en") not in page.inner_text("main")
        page.goto(
            f"{centre.url}/o/s?q=77X777XX&lang=en"
        )  # never asked: the form, in the last language
        expect(page.locator("input[name=q]")).to_be_visible()
        held.context.set_offline(False)
        page.goto(f"{centre.url}/o/?lang=en")
        page.click("text=Log out")
        page.wait_for_url("**/o/login**")
        assert page.evaluate("caches.keys()") == []
