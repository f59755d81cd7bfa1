"""A code before a phone's camera or in a photo of it: read in a browser that has no detector of its own, and typing is left to who has neither."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import segno
from playwright.sync_api import Browser, Page, expect, sync_playwright

from collector.api.static import name_of
from collector.people import Role
from collector.texts.catalogue import text
from tests.collector.api_rig import PASSWORD
from tests.collector.api_thread import Centre, running
from tests.live.browser import missing, path_of_chromium, phone
from tests.wire.keys import private_key
from wire import handover

pytestmark = pytest.mark.live

CODE = handover.url(
    "centre.example.uz",
    handover.make(
        unit_number=7, batch_no=3, head=bytes(16), at_s=1_795_330_000, sign=private_key("x").sign
    ),
)
WIDE, HIGH = 640, 480


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    if name_of("qr-") is None:
        missing("the built reader of codes", "make web")
    with running(tmp_path_factory.mktemp("centre"), users=(("olim", Role.OFFICER),)) as made:
        yield made


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """With a camera that sees the unit's code, for whom it is lent to."""
    seen = film(tmp_path_factory.mktemp("film") / "film.y4m", CODE)
    args = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={seen}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path_of_chromium(), args=["--no-sandbox", *args]
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
