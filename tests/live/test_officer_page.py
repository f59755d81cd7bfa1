"""The officer's page in a real browser, on a real truck: green by the seal, red by its cut, and never green from what is old."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect
from sqlalchemy import select

from bench.site import Unit, run
from collector.alerts import Act, Event
from collector.people import Role
from collector.people.passwords import SALT_BYTES, Hasher
from collector.store import alert_acts, people, schema, witnessed
from collector.store.alert_acts import Acted
from collector.store.database import Store
from tests.live.browser import Phone, chromium, phone, shot
from tests.live.site_world import OPENED_S, QUICK, SEAL_ID, World, world
from tests.wire.keys import private_key
from wire import handover
from wire.handover import TEXT_CHARS

pytestmark = pytest.mark.live
__all__ = ["chromium"]

PLATE = "01A123BC"
PASSWORD = "four grey trucks by noon"
ANSWER_S = 11  # so long an answer is green here: nobody waits five minutes for a test
SCENARIO = f"""
scenario = {{{{ name = "road", seed = 5, start = {{start}}, end_s = 3600 }}}}
track = {{{{ points = [[41.2, 69.2], [41.2, 69.6]], speed_km_h = 60 }}}}
receiver = {{{{ fix_after_s = 1, noise_m = 0 }}}}
seal = {{{{ id = "{SEAL_ID}", armed = true, dynamic = false }}}}
"""
LET_GO, STOP, UNKNOWN = "LET GO", "STOP", "UNKNOWN"


@dataclass(slots=True, kw_only=True)
class Post:
    """A site with a truck on a journey, and an officer's account."""

    site: World
    unit: Unit

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.site.site.api_port}"

    def act(self, *words: str) -> None:
        run("plomba", [*words, "--data", str(self.site.site.data_dir)])

    def log_in(self, held: Phone) -> Page:
        """By the form, as a person does."""
        page = held.page
        page.goto(f"{self.url}/o/?lang=en")
        page.fill("input[name=user]", "officer-12")
        page.fill("input[name=password]", PASSWORD)
        page.click("main button")
        page.wait_for_url("**/o/?*")
        return page

    def ask(self, page: Page, number: str = PLATE) -> None:
        page.fill("input[name=q]", number)
        page.click("header button.k")
        page.wait_for_url("**/o/s?**")

    def until_it_says(self, page: Page, word: str) -> None:
        """Asked again and again: the truck has its own pace."""

        said = ""

        def says() -> bool:
            nonlocal said
            page.goto(f"{self.url}/o/s?q={PLATE}&lang=en")
            said = page.inner_text(".v")
            return shown(page) == word

        try:
            self.site.until(says, what=f"the page says {word}")
        except AssertionError as error:
            raise AssertionError(said) from error


async def _account(store_file: Path) -> None:
    async with await Store.open(f"sqlite:///{store_file}") as store, store.write() as connection:
        said = {"name": "", "scope": "", "desk": "", "by": "test", "now_ms": 1}
        await people.add_account(connection, user_id="officer-12", role=Role.OFFICER, **said)  # type: ignore[arg-type]  # plain words
        encoded = Hasher().hash_of(PASSWORD, bytes(SALT_BYTES))
        await people.set_password(connection, "officer-12", encoded)


async def _closed_by_two(store_file: Path) -> int:
    """Two people at the centre close what officers' words have begun; how many alerts."""
    alert = schema.alert.c
    async with await Store.open(f"sqlite:///{store_file}") as store, store.write() as connection:
        found = await connection.execute(
            select(alert.id).where(alert.code == witnessed.CODE, alert.state != "CLOSED")
        )
        ids = list(found.scalars())
        for id_ in ids:
            for event, by in ((Event.ACK, "a"), (Event.RESET, "a"), (Event.SECOND, "b")):
                act = Act(event=event, by=by, reason="seen", outcome="FALSE", is_supervisor=True)
                now_ms = time.time_ns() // 1_000_000
                done = await alert_acts.act(connection, id_, act, now_ms)
                assert isinstance(done, Acted), done
    return len(ids)


def shown(page: Page) -> str:
    """The one word that a person sees now."""
    words = page.locator(".v .w")
    seen = [words.nth(at) for at in range(words.count())]
    [word] = [one.inner_text() for one in seen if one.is_visible()]
    return word


def ground(page: Page) -> str:
    return str(page.locator(".v").evaluate("element => getComputedStyle(element).backgroundColor"))


def _unit(site: World, scenario: str) -> Unit:
    """The truck's unit, which knows its number and the centre's host: so it has a hand-over code."""
    hardware = site.power_on(scenario)
    unit = site.site.make_unit(
        "truck-1", gps=hardware.gps, seal=hardware.seal, seal_id=SEAL_ID, more=QUICK
    )
    pins = unit.folder / "state" / "identity" / "pins.toml"
    with pins.open("a", encoding="utf-8") as file:
        file.write('unit_number = 1\ncentre = "centre.example.uz"\n')
    site.site.start_unit(unit)
    site.until(
        lambda: site.status(unit).get("uplink") == "flowing" and site.has_ports(unit),
        what="the unit is ready",
    )
    time.sleep(OPENED_S)
    return unit


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Post]:
    folder = tmp_path_factory.mktemp("officer")
    with world(folder) as site:
        config = folder / "collector.toml"
        config.write_text(f'[officer]\nphone = "+998711234567"\nanswer_s_max = {ANSWER_S}\n')
        site.site.start_collector(config)
        site.site.wait_for_collector()
        with ThreadPoolExecutor(1) as aside:  # a browser may have a loop of its own in this thread
            aside.submit(asyncio.run, _account(site.site.store)).result()
        begins = datetime.fromtimestamp(int(time.time()), UTC)
        unit = _unit(site, SCENARIO.format(start=begins.isoformat()))
        made = Post(site=site, unit=unit)
        made.act(
            *("journey", "add", "truck-1", "26UZ000001726001J6", "--plate", PLATE),
            *("--seal", SEAL_ID, "--container", "MSKU9070323", "--since", "2026-01-01T00:00:00Z"),
        )
        assert site.hardware is not None
        site.hardware.go()
        yield made


def never(page: Page, word: str) -> None:
    """No element that a person sees says it."""
    found = page.get_by_text(word, exact=True)
    assert not any(found.nth(at).is_visible() for at in range(found.count()))


def test_without_scripts_green_turns_grey_by_itself_and_back_never_shows_it(
    post: Post, chromium: Browser
) -> None:
    with phone(chromium, scripts=False) as held:
        page = post.log_in(held)
        post.until_it_says(page, LET_GO)
        post.ask(page, "01 а 123 вс")
        assert shown(page) == LET_GO
        assert ground(page) == "rgb(0, 107, 45)"
        shot(page, "officer-green-en")
        expect(page.locator(".then .w")).to_be_visible(timeout=ANSWER_S * 1_000)
        assert shown(page) == UNKNOWN
        assert ground(page) == "rgb(90, 90, 90)"
        assert "Out of date" in page.inner_text(".v")
        page.reload()
        assert shown(page) == LET_GO
        page.goto(f"{post.url}/o/")
        held.context.set_offline(True)
        with pytest.raises(Error, match="ERR_INTERNET_DISCONNECTED"):
            page.go_back()
        never(page, LET_GO)
        held.context.set_offline(False)
        page.goto(f"{post.url}/o/s?unit=truck-1&lang=en")
        page.click("text=SEAL MATCHES")
        assert "seal matches" in page.inner_text("dl")


def test_what_the_phone_has_stored_is_never_green_and_its_reports_leave_later(
    post: Post, chromium: Browser
) -> None:
    with phone(chromium) as held:
        page = post.log_in(held)
        page.evaluate("navigator.serviceWorker.ready")
        post.until_it_says(page, LET_GO)
        page.goto(f"{post.url}/o/")
        held.context.set_offline(True)
        page.go_back()
        assert shown(page) == UNKNOWN
        assert ground(page) == "rgb(90, 90, 90)"
        assert "From this phone's store" in page.inner_text(".v")
        never(page, LET_GO)
        shot(page, "officer-stored-en")
        page.click("text=DIFFERS")
        expect(page.locator("#wait")).to_contain_text("1")
        never(page, LET_GO)
        page.goto(f"{post.url}/o/s?q=77X777XX&lang=en")  # never asked: the form, and it says so
        assert "From this phone's store" in page.inner_text("main")
        held.context.set_offline(False)
        page.goto(f"{post.url}/o/s?q={PLATE}&lang=en")
        expect(page.locator("#wait")).to_have_text("")
        page.reload()
        assert shown(page) == STOP
        assert "An officer has reported that the seal differs" in page.inner_text(".v")
        page.click("text=SEAL MATCHES")
        expect(page.locator("dl")).to_contain_text("seal matches")
        assert shown(page) == STOP  # until two at the centre have closed the alert that it began
        with ThreadPoolExecutor(1) as aside:
            assert aside.submit(asyncio.run, _closed_by_two(post.site.site.store)).result() == 1
        post.until_it_says(page, LET_GO)
        page.click("text=Log out")
        page.wait_for_url("**/o/login**")
        assert page.evaluate("caches.keys()") == []
    assert reported(post).count("differs") == 1


def test_the_code_on_the_units_own_page_opens_the_centres_answer(
    post: Post, chromium: Browser
) -> None:
    with phone(chromium) as held:
        page = post.log_in(held)
        post.until_it_says(page, LET_GO)

        def agrees() -> bool:
            """A batch is always on its way; the centre has the one of the code in a moment."""
            shown_code = str(post.site.status(post.unit)["handover"]).rpartition("/")[2]
            assert len(shown_code) == TEXT_CHARS
            page.goto(f"{post.url}/O/H/{shown_code}?lang=en")
            return "The centre has everything that the unit held" in page.inner_text("main")

        post.site.until(agrees, what="the centre has what the unit says it holds")
        assert shown(page) == LET_GO
        shot(page, "officer-code-en")

        # Somebody else's key under this unit's number, and a code of which one letter was exchanged.
        forged = handover.make(
            unit_number=1,
            batch_no=7,
            head=bytes(16),
            at_s=int(time.time()),
            sign=private_key("a forger").sign,
        )
        true = str(post.site.status(post.unit)["handover"]).rpartition("/")[2]
        exchanged = ("B" if true[20] == "A" else "A").join((true[:20], true[21:]))
        for code in (handover.url("x", forged).rpartition("/")[2], exchanged):
            page.goto(f"{post.url}/O/H/{code}?lang=en")
            assert shown(page) == UNKNOWN, code
            never(page, LET_GO)


def test_a_cut_on_the_seals_line_is_red_and_stays_red_out_of_the_store(
    post: Post, chromium: Browser
) -> None:
    with phone(chromium) as held:
        page = post.log_in(held)
        page.evaluate("navigator.serviceWorker.ready")
        post.until_it_says(page, LET_GO)
        assert post.site.hardware is not None
        post.site.hardware.do("cut")
        post.until_it_says(page, STOP)
        assert ground(page) == "rgb(176, 0, 32)"
        assert SEAL_ID in page.inner_text(".v")
        shot(page, "officer-red-en")
        held.context.set_offline(True)
        page.reload()
        assert shown(page) == STOP
        assert "From this phone's store" in page.inner_text(".v")
        never(page, LET_GO)


def reported(post: Post) -> list[str]:
    """What officers have reported, as the command line shows it."""
    words = ["unit", "checks", "truck-1", "--json", "--data", str(post.site.site.data_dir)]
    return [json.loads(line)["seal"] for line in run("plomba", words).splitlines()]
