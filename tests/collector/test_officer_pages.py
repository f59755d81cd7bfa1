"""The officer's pages as documents: small, whole without a script, and in the unit's own words, shapes and colours."""

import gzip
import re
from dataclasses import replace
from datetime import timedelta, timezone
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from agent.app import page as unit_page
from agent.app.page_verdict import Colour as UnitColour
from agent.app.page_words import CATALOGUES as UNIT_WORDS
from collector.api.officer_answers import Answer
from collector.api.officer_pages import ICONS, Frame, Pages, language_of, script_of
from collector.api.places import Places
from collector.customs.ids import Wanted
from collector.customs.verdict import (
    AlertSeen,
    Claim,
    Code,
    Colour,
    Facts,
    Limits,
    SealLife,
    SealSeen,
    verdict,
)
from collector.store.handovers import Weighed
from collector.store.names import Hit
from collector.store.standing import Subject
from collector.texts import LANGUAGES
from collector.texts.catalogue import catalogue, text
from wire.handover import Statement
from wire.records import SealBit as Bit

NOW = 1_795_330_000_000  # 2026-11-22 11:46:40 in Tashkent
S, MIN = 1_000, 60_000
SEAL = "UZ-000123"
CLOSED = int(Bit.LOCKED | Bit.ROPE_IN)
ZONE = timezone(timedelta(hours=5))
PAGES = Pages(zone=ZONE, phone="+998711234567", places=Places.load())
FIRST_BYTES_MAX = 14_336  # what a server sends before it hears from the phone: ten packets
ANSWER_GZ_MAX = 1_536
SCRIPT_GZ_MAX = 8_192
SUBJECT = Subject(
    unit_no=42,
    unit_id="uz-0042",
    plate="01A123BC",
    trailer="014567AA",
    containers=("MSKU9070323",),
    journey="26UZ000001726001J6",
    route="yallama-tashkent",
    lat_e7=411_234_567,
    lon_e7=692_345_678,
)


def seal(true: int = CLOSED, **more: object) -> SealSeen:
    said = {"reported_ms": NOW - 40 * S, "known": 0xFFFF, "battery_percent": 80, **more}
    return SealSeen(seal_id=SEAL, true=true, life=SealLife.SEALED, **said)  # type: ignore[arg-type]  # a test says what it likes


def facts(**more: object) -> Facts:
    said: dict[str, object] = {
        "journey": SUBJECT.journey,
        "seals": [seal()],
        "fix_ms": NOW - 10 * S,
        "ingest_ms": NOW - 5 * S,
        **more,
    }
    return Facts(**said)  # type: ignore[arg-type]  # as above


ALERTS = [
    AlertSeen(code="ROUTE_DEVIATION", priority="P2", at_ms=NOW - 7 * MIN),
    AlertSeen(code="SPEEDING", priority="P3", at_ms=NOW - 1_500 * MIN),
]
FOUR = {
    "green": facts(),
    "grey": facts(fix_ms=NOW - 16 * MIN, seals=[seal(reported_ms=None)]),
    "amber": facts(alerts=ALERTS, claims=[Claim(number="01A123BC", journey="J2")]),
    "red": facts(seals=[seal(int(Bit.ROPE_CUT), opened_ms=NOW - 5 * MIN)], alerts=ALERTS),
}


def answer(known: Facts, **more: object) -> Answer:
    said: dict[str, object] = {
        "now_ms": NOW,
        "verdict": verdict(known, Limits(), NOW),
        "facts": known,
        "subject": SUBJECT,
        "checked": (True, NOW - 3 * MIN),
        "wanted": Wanted(shown="01A123BC", key="01A123BC"),
        **more,
    }
    return Answer(**said)  # type: ignore[arg-type]  # as above


def frame(language: str = "en") -> Frame:
    return Frame(language=language, nonce="n0nce", csrf="c" * 64, who="officer-12", asked="01A")


REPORT = [("csrf", "c" * 64), ("key", "k" * 32), ("unit", "uz-0042"), ("seen", "green")]


class Reader(HTMLParser):
    """What a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.style = ""
        self.feed(html)
        assert self.open == [], "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "br", "input"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            self.style += data
        elif data.strip():
            self.words.append(data.strip())


def every_page(language: str) -> list[str]:
    of = frame(language)
    hits = [Hit(unit_no=n, unit_id=f"uz-{n:04}", kind="plate", shown="01A<b>") for n in (1, 2)]
    pages = [PAGES.answer(of, answer(known), REPORT) for known in FOUR.values()]
    pages += [PAGES.form(of), PAGES.form(of, fault="officer.fault.too-short")]
    pages += [PAGES.login(of, then="/o/s?q=1", fault="officer.fault.login")]
    pages += [PAGES.hits(of, Wanted(shown="01", key="01"), hits)]
    nobody = answer(Facts(found=False), subject=None, checked=None)
    return [*pages, PAGES.answer(of, nobody)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_page_is_whole_in_one_small_response_and_needs_no_script(language: str) -> None:
    for html in every_page(language):
        page = Reader(html)
        assert len(html.encode()) < FIRST_BYTES_MAX
        assert page.tags[0] == ("html", {"lang": language, "data-v": "live"})
        assert html.count('data-v="live"') == 1  # what the phone's store turns
        names = {tag for tag, _ in page.tags}
        assert not names & {"img", "link", "iframe", "base"}
        scripts = [attrs for tag, attrs in page.tags if tag == "script"]
        source = f"/o/officer.js?v={script_of('officer.js').version}"
        assert all(attrs == {"type": "module", "src": source} for attrs in scripts)
        attributes = {name for _, attrs in page.tags for name in attrs}
        assert "style" not in attributes
        assert not {name for name in attributes if name.startswith("on")}
        [style] = [attrs for tag, attrs in page.tags if tag == "style"]
        assert style == {"nonce": "n0nce"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("colour", FOUR)
def test_the_answer_is_one_and_a_half_kilobyte_in_the_air(colour: str, language: str) -> None:
    html = PAGES.answer(frame(language), answer(FOUR[colour]), REPORT)
    [main] = re.findall("<main>.*</main>", html, re.DOTALL)
    assert len(gzip.compress(main.encode(), 9)) <= ANSWER_GZ_MAX
    assert f'class="v {colour}"' in main
    assert text(f"officer.{colour}", language) in Reader(html).words


def test_the_script_is_small() -> None:
    for name in ("officer.js", "sw.js"):
        script = files("collector").joinpath("web", "officer", name).read_bytes()
        assert len(gzip.compress(script, 9)) <= SCRIPT_GZ_MAX


# the same words, shapes and colours as beside the truck

SHARED = {
    **{name: name for name in ("red", "amber", "grey", "green", "verdict", "as_of", "green_until")},
    **{name: name for name in ("expired", "languages", "seals", "fix", "unit", "unknown")},
    **{name: name for name in ("locked", "unlocked", "battery", "unheard")},
}
SHARED_REASONS = (
    *("rope_cut", "cover_opened", "removed", "opened_while_sealed", "head_mismatch"),
    *("not_locked", "low_battery", "centre_lacks"),
    *("no_fix", "old_fix", "seal_unheard", "seal_silent"),
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_officer_and_unit_say_the_same_in_the_same_words(language: str) -> None:
    ours, units = catalogue(language), UNIT_WORDS[language]
    for key, theirs in SHARED.items():
        if key in ("seals", "unit"):  # headings: alike where the page has them
            assert ours[f"officer.{key}"] == units[theirs]
            continue
        assert ours[f"officer.{key}"] == units[theirs], key
    assert ours["time.ago"].replace("{span}", "{age}") == units["ago"]
    for code in SHARED_REASONS:
        assert ours[f"officer.reason.{code}"] == units[code], code


def test_officer_and_unit_show_the_same_shapes() -> None:
    for colour in Colour:
        assert str(ICONS[colour.value]) == unit_page._ICONS[UnitColour(colour.value)]


def test_officer_and_unit_show_the_same_colours() -> None:
    ours = Reader(PAGES.form(frame())).style
    for colour in Colour:
        rule = re.compile(rf"\.{colour.value}\{{background:(#\w+);color:(#\w+)\}}")
        mine, theirs = rule.search(ours), rule.search(unit_page._STYLE)
        assert mine is not None
        assert theirs is not None
        assert mine.groups() == theirs.groups()


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * one for one in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


def test_words_on_their_colours_can_be_read_in_the_sun() -> None:
    style = Reader(PAGES.form(frame())).style
    for colour in Colour:
        pair = re.search(rf"\.{colour.value}\{{background:(#\w+);color:(#\w+)\}}", style)
        assert pair is not None
        assert contrast(*pair.groups()) >= 4.5
    for theme in re.findall(r":root\{([^}]*)\}", style):
        tokens = dict(re.findall(r"--(\w):(#\w+)", theme))
        for ground in ("g", "p"):
            for ink, least in (("t", 4.5), ("m", 4.5), ("s", 4.5), ("l", 3)):
                assert contrast(tokens[ink], tokens[ground]) >= least, (ink, ground)


# green


def test_green_pales_by_itself_when_its_time_is_over() -> None:
    known = facts(fix_ms=NOW - 13 * MIN)
    html = PAGES.answer(frame(), answer(known))
    assert html.count("0s 115s forwards") == 3  # 120 s less the way on a slow line
    assert 'data-green="115"' in html
    assert "let go until 11:48:40\u00a0+05" in html
    assert text("officer.expired", "en") in html


def test_no_other_answer_has_anything_to_expire() -> None:
    for colour, known in FOUR.items():
        html = PAGES.answer(frame(), answer(known))
        assert ("animation" in html) == (colour == "green")
        assert ('class="then"' in html) == (colour == "green")


def test_green_that_ends_in_this_second_lasts_no_longer_than_one() -> None:
    html = PAGES.answer(frame(), answer(facts(fix_ms=NOW - 15 * MIN + 5)))
    assert "0s 1s forwards" in html


# what it says


def said(known: Facts, language: str = "en", **more: object) -> str:
    words = Reader(PAGES.answer(frame(language), answer(known, **more), REPORT)).words
    return " | ".join(words).replace("\u00a0", " ")


def test_data_are_as_old_as_the_oldest_of_them() -> None:
    assert "as of 11:46:00 +05 | , 40 s ago" in said(facts())


def test_a_reason_bears_its_time_and_another_days_its_date() -> None:
    red = said(FOUR["red"])
    assert "Seal UZ-000123: rope cut, 11:41" in red
    assert "Route deviation, 11:39" in red
    assert "21 Nov 2026, 10:46" in red


def test_of_all_facts_an_officer_sees_these() -> None:
    told = said(facts())
    for fact in ("01A123BC", "014567AA", "MSKU9070323", SUBJECT.journey, "yallama-tashkent"):
        assert fact in told
    assert "| 8 km S of Sergeli | 41.12346, 69.23457 |" in told
    assert "Last check | seal matches, 11:43" in told
    assert f"{SEAL} | locked, battery 80 % | 11:46 |" in told


def test_a_wrong_check_digit_is_said_above_the_answer() -> None:
    misspelt = Wanted(shown="MSKU9070324", key="X", is_misspelt=True)
    assert "check digit" in said(facts(), wanted=misspelt)


def test_nothing_known_is_grey_with_a_call() -> None:
    html = PAGES.answer(frame(), answer(Facts(found=False), subject=None, checked=None))
    assert 'class="v grey"' in html
    assert 'href="tel:+998711234567"' in html
    assert "Nothing is known" in html
    assert "<dl>" not in html
    without = Pages(zone=ZONE, phone="", places=Places())
    assert "tel:" not in without.answer(frame(), answer(facts()), REPORT)


def test_who_may_not_report_sees_no_form_for_it() -> None:
    assert 'action="/o/report"' in PAGES.answer(frame(), answer(facts()), REPORT)
    assert 'action="/o/report"' not in PAGES.answer(frame(), answer(facts()))


STATEMENT = Statement(unit_number=42, batch_no=812, head=bytes(16), at_s=NOW // S, signature=b"")


@pytest.mark.parametrize(
    ("code", "lacks", "our_no", "words"),
    [
        (Code.SAME, 0, 812, ["The centre has everything that the unit held at 11:46:40 +05."]),
        (Code.LACKS, 3, 809, ["Batches that the centre lacks: 3", "Centre: batch 809, abababab"]),
        (Code.LACKS, 813, -1, ["Centre: no batch"]),
        (
            Code.DIFFERS,
            0,
            812,
            ["The centre's history differs", "Unit: batch 812, 00000000", "abababab"],
        ),
        (Code.REVOKED, 0, 812, ["The unit's key is out of force"]),
    ],
)
def test_what_the_units_code_says_is_shown_beside_the_centres(
    code: Code, lacks: int, our_no: int, words: list[str]
) -> None:
    weighed = Weighed(unit_no=42, code=code, lacks=lacks, our_no=our_no, our_head=b"\xab" * 16)
    known = facts(code=code, code_ms=NOW, code_lacks=lacks)
    told = said(known, wanted=None, by_code=True, statement=STATEMENT, weighed=weighed)
    for word in words:
        assert word in told


def test_a_code_of_nobody_says_so() -> None:
    nobody = answer(Facts(found=False), subject=None, checked=None, wanted=None)
    html = PAGES.answer(frame(), replace(nobody, by_code=True, statement=STATEMENT))
    assert text("officer.code.bad", "en") in html


def test_what_comes_from_outside_is_only_text() -> None:
    evil = "<script>&\"'"
    subject = replace(SUBJECT, plate=evil, containers=(evil,) * 5, route=evil, journey=evil)
    html = PAGES.answer(
        replace(frame(), asked=evil),
        answer(facts(seals=[replace(seal(), seal_id=evil)] * 9), subject=subject),
        [("journey", evil)],
    )
    assert html.count("<script") == 1
    assert "+ 2" in html
    assert "+ 4" in html


def test_every_reason_has_its_sentence() -> None:
    from collector.customs import verdict as room  # noqa: PLC0415  # its own text is the list

    source = files(room.__package__).joinpath("verdict.py").read_text(encoding="utf-8")
    codes = set(re.findall(r'Reason\(\s*code="(\w+)"', source)) | set(
        re.findall(r'\(SealBit\.\w+, "(\w+)"\)', source)
    )
    codes = (codes | {"opened"}) - {"alert"}
    keys = {key for key in catalogue("en") if key.startswith("officer.reason.")}
    assert keys == {f"officer.reason.{code}" for code in codes}


@pytest.mark.parametrize(
    ("wanted", "accept", "language"),
    [
        ("", "", "uz"),
        ("", "de, en;q=0.3, ru;q=0.8", "ru"),
        ("en", "ru", "en"),
        ("xx", "en-GB", "en"),
    ],
)
def test_the_language_is_the_readers(wanted: str, accept: str, language: str) -> None:
    assert language_of(wanted, accept) == language


@pytest.mark.parametrize("accept", ["en;q=nan", "en;q=x", ";;;,,,", "ru;q=-1", "e" * 9_999])
def test_any_header_gets_a_language(accept: str) -> None:
    assert language_of("", accept) == "uz"
