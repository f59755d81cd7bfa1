"""The unit's page: its verdict, its words, its bounds, its counters (EDGE section 9, CONSOLE section 6)."""

import re
from base64 import b32encode, b64encode
from hashlib import sha256
from html.parser import HTMLParser
from string import Formatter

import pytest
import segno
from hypothesis import given, strategies as st

from agent.app.page import PAGE_BYTES_MAX, Shown, document
from agent.app.page_metrics import by, families, one, text
from agent.app.page_verdict import (
    ANSWER_S,
    OLD_S,
    REASONS_MAX,
    Colour,
    Known,
    Reason,
    SealSeen,
    Verdict,
    verdict,
)
from agent.app.page_words import CATALOGUES, LANGUAGES, age, language_of
from wire.records import SealBit as Bit

GOOD = Bit.LOCKED | Bit.ROPE_IN
ADDRESS = "HTTPS://CUSTOMS.EXAMPLE.UZ/O/H/" + b32encode(bytes(range(1, 231, 5)) * 2).decode()[:148]
QR = [
    "".join("1" if module else "0" for module in row)
    for row in segno.make_qr(ADDRESS, error="L").matrix
]
COLOURS = {Colour.RED: "b00020", Colour.AMBER: "ffb000", Colour.GREY: "5a5a5a"}


def seal(true: Bit = GOOD, **more: object) -> SealSeen:
    said: dict[str, object] = {"battery_percent": 78, "silent": False, "age_s": 40, **more}
    return SealSeen(seal_id="7591225008", known=int(Bit(0x1FF)), true=int(true), **said)  # type: ignore[arg-type]  # a test says what it likes


def known(**more: object) -> Known:
    said: dict[str, object] = {
        "seals": [seal()],
        "fix_age_s": 4,
        "time_quality": 3,
        "waiting": 1,
        "oldest_waiting_s": 6,
        "at_home": False,
        "store": "ok",
        "distrusted": "",
        "interference": False,
        **more,
    }
    return Known(**said)  # type: ignore[arg-type]  # as above


def shown(of: Known, **more: object) -> Shown:
    said: dict[str, object] = {
        "unit_id": "uz-0042",
        "program": "plomba-agent 0.1.0",
        "now_ms": 1_795_330_002_000,
        "known": of,
        "verdict": verdict(of),
        "link": "flowing",
        "receipt_age_s": 3,
        "place": (413_000_000, 692_400_000),
        "alarms": [],
        "states": {},
        "handover": ADDRESS,
        "qr": QR,
        **more,
    }
    return Shown(**said)  # type: ignore[arg-type]  # as above


ROWS = [
    ({}, "green", []),
    ({"seals": []}, "green", []),
    ({"seals": [seal(GOOD | Bit.ROPE_CUT)]}, "red", ["rope_cut"]),
    ({"seals": [seal(Bit.ROPE_CUT)]}, "red", ["rope_cut"]),
    ({"seals": [seal(GOOD | Bit.COVER_OPENED)]}, "red", ["cover_opened"]),
    ({"seals": [seal(GOOD | Bit.REMOVED)]}, "red", ["removed"]),
    ({"seals": [seal(GOOD | Bit.OPENED_WHILE_SEALED)]}, "red", ["opened_while_sealed"]),
    ({"distrusted": "head"}, "red", ["head_mismatch"]),
    ({"seals": [seal(Bit.ROPE_IN)]}, "amber", ["not_locked"]),
    ({"seals": [seal(GOOD | Bit.WRONG_PASSWORD)]}, "amber", ["wrong_password"]),
    ({"seals": [seal(GOOD | Bit.VIBRATION)]}, "green", []),  # a road shakes
    ({"seals": [seal(battery_percent=14)]}, "amber", ["low_battery"]),
    ({"seals": [seal(battery_percent=15)]}, "green", []),
    ({"oldest_waiting_s": 121, "waiting": 9}, "amber", ["centre_lacks"]),
    ({"at_home": True}, "amber", ["centre_lacks"]),
    ({"store": "full"}, "amber", ["store_full"]),
    ({"interference": True}, "amber", ["interference"]),
    ({"fix_age_s": None}, "grey", ["no_fix"]),
    ({"fix_age_s": OLD_S - 1}, "green", []),
    ({"fix_age_s": OLD_S}, "grey", ["old_fix"]),
    ({"seals": [seal(age_s=None)]}, "grey", ["seal_unheard"]),
    ({"seals": [seal(age_s=OLD_S)]}, "grey", ["seal_silent"]),
    ({"seals": [seal(silent=True)]}, "grey", ["seal_silent"]),
    ({"time_quality": 0}, "grey", ["no_time"]),
    ({"store": "spill"}, "grey", ["store_spill"]),
    ({"store": "silent", "oldest_waiting_s": None}, "grey", ["store_silent"]),
    ({"fix_age_s": None, "seals": [seal(GOOD | Bit.ROPE_CUT)]}, "red", ["rope_cut", "no_fix"]),
    ({"fix_age_s": None, "at_home": True}, "amber", ["centre_lacks", "no_fix"]),
]


@pytest.mark.parametrize(("more", "colour", "codes"), ROWS)
def test_the_first_row_that_holds_gives_the_colour(
    more: dict[str, object], colour: str, codes: list[str]
) -> None:
    judged = verdict(known(**more))
    assert (judged.colour.value, [reason.code for reason in judged.reasons]) == (colour, codes)


AGES = st.none() | st.integers(0, 2 * OLD_S)


@given(AGES, AGES, st.integers(0, 3), st.sampled_from(["ok", "full", "spill", "silent"]))
def test_never_green_from_old_data(
    fix_age_s: int | None, seal_age_s: int | None, quality: int, store: str
) -> None:
    judged = verdict(
        known(
            seals=[seal(age_s=seal_age_s)], fix_age_s=fix_age_s, time_quality=quality, store=store
        )
    )
    assert len(judged.reasons) <= REASONS_MAX
    if judged.colour is Colour.GREEN:
        assert fix_age_s is not None
        assert seal_age_s is not None
        assert quality > 0
        assert store == "ok"
        assert 0 < judged.green_s <= min(ANSWER_S, OLD_S - fix_age_s, OLD_S - seal_age_s)
    else:
        assert judged.green_s == 0


class Reader(HTMLParser):
    """What a browser would see: elements, their attributes, their words."""

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
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            self.style += data
        else:
            self.words.append(data)


ALARMS = [("rope_cut", "7591225008", 0), ("link_bad", "gps", 0), ("stuck", "", 2)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("more", "colour"), [(row[0], row[1]) for row in ROWS])
def test_each_page_is_small_whole_and_without_a_script(
    more: dict[str, object], colour: str, language: str
) -> None:
    made = document(shown(known(**more), alarms=ALARMS, states={"gps": "mute"}), language)
    assert len(made.html) <= PAGE_BYTES_MAX
    page = Reader(made.html.decode())
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "img", "link", "iframe", "form", "base"}
    attributes = {name for _, attrs in page.tags for name in attrs}
    assert not {name for name in attributes if name.startswith("on")}
    assert "style" not in attributes  # the policy allows the one sheet only
    assert made.style_hash == b64encode(sha256(page.style.encode()).digest()).decode()
    assert CATALOGUES[language][colour] in page.words
    assert page.tags[0] == ("html", {"lang": language})


def test_shapes_tell_what_colours_tell_and_colours_are_the_papers() -> None:
    icons = {}
    for more, colour in (
        ({"distrusted": "x"}, "red"),
        ({"at_home": True}, "amber"),
        ({"fix_age_s": None}, "grey"),
        ({}, "green"),
    ):
        html = document(shown(known(**more)), "en").html.decode()
        icon = re.search(r'<svg class="i"[^>]*>(.*?)</svg>', html)
        assert icon is not None
        icons[colour] = icon[1]
    assert len(set(icons.values())) == 4
    style = document(shown(known()), "en").html.decode()
    for name, background, ink in (
        ("red", "#b00020", "#fff"),
        ("amber", "#ffb000", "#000"),
        ("grey", "#5a5a5a", "#fff"),
        ("green", "#006b2d", "#fff"),
    ):
        assert f".{name}{{background:{background};color:{ink}}}" in style


def test_green_pales_by_itself_when_its_time_is_over() -> None:
    green = document(shown(known(fix_age_s=OLD_S - 77)), "en").html.decode()
    assert green.count("0s 77s forwards") == 3
    assert CATALOGUES["en"]["expired"] in green
    grey = document(shown(known(fix_age_s=None)), "en").html.decode()
    assert "animation" not in grey
    assert CATALOGUES["en"]["expired"] not in grey


def test_the_qr_is_drawn_module_by_module_and_may_be_tapped() -> None:
    rows = ["1101", "0010", "1111"]
    html = document(shown(known(), qr=rows), "en").html.decode()
    path = re.search(r'<path stroke="#000" d="([^"]*)"', html)
    assert path is not None
    drawn = [[0] * 4 for _ in rows]
    x = y = 0.0
    for letter, numbers in re.findall(r"([Mmh])([-\d. ]+)", path[1]):
        values = [float(value) for value in numbers.split()]
        if letter == "h":
            for at in range(int(x), int(x + values[0])):
                drawn[int(y)][at] = 1
            x += values[0]
        else:
            x, y = (values[0], values[1]) if letter == "M" else (x + values[0], y + values[1])
    assert ["".join(map(str, row)) for row in drawn] == rows
    assert f'href="{ADDRESS}"' in html


def test_without_number_or_centre_the_page_says_that_there_is_no_code() -> None:
    html = document(shown(known(), handover="", qr=()), "en").html.decode()
    assert CATALOGUES["en"]["no_code"] in html
    assert "shape-rendering" not in html


def test_what_a_device_calls_itself_is_only_text() -> None:
    evil = SealSeen(
        seal_id="<script>&\"'", known=1, true=0, battery_percent=None, silent=False, age_s=1
    )
    html = document(shown(known(seals=[evil])), "en").html.decode()
    assert "<script" not in html
    assert "&lt;script&gt;&amp;" in html


def test_a_truck_with_many_seals_and_alarms_stays_within_the_page() -> None:
    many = [
        SealSeen(
            seal_id="ж" * 20 + str(n),
            known=0xFFFF,
            true=0xFFF0,
            battery_percent=1,
            silent=True,
            age_s=5,
        )
        for n in range(64)
    ]
    alarms = [("rope_cut", one.seal_id, 0) for one in many]
    for language in LANGUAGES:
        assert (
            len(document(shown(known(seals=many), alarms=alarms), language).html) <= PAGE_BYTES_MAX
        )


# words


def places(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def test_the_three_catalogues_hold_the_same_keys_and_placeholders() -> None:
    english = CATALOGUES["en"]
    for language in LANGUAGES:
        words = CATALOGUES[language]
        assert words.keys() == english.keys()
        for key, sentence in words.items():
            assert places(sentence) == places(english[key]), (language, key)
            assert sentence.strip() == sentence != ""


def test_uzbek_is_latin_with_its_own_marks() -> None:
    for key, sentence in CATALOGUES["uz"].items():
        assert not re.search(r"[Ѐ-ӿ]", sentence), key
        assert not re.search(r"[oOgG]['’`‘]", sentence), key


def test_every_reason_and_every_colour_has_its_words() -> None:
    codes = {code for _, _, codes in ROWS for code in codes}
    assert codes | {colour.value for colour in Colour} <= CATALOGUES["en"].keys()


@pytest.mark.parametrize(
    ("wanted", "accept", "language"),
    [
        ("", "", "uz"),
        ("", "ru", "ru"),
        ("", "de, en;q=0.3, ru;q=0.8", "ru"),
        ("", "uz-Latn-UZ,ru;q=0.9", "uz"),
        ("", "en-GB,en;q=0.9", "en"),
        ("", "de", "uz"),
        ("", "en;q=x", "uz"),
        ("", "ru;q=0", "uz"),
        ("en", "ru", "en"),
        ("xx", "ru", "ru"),
    ],
)
def test_the_language_is_the_readers(wanted: str, accept: str, language: str) -> None:
    assert language_of(wanted, accept) == language


@given(st.text(max_size=200))
def test_any_header_gets_a_language(accept: str) -> None:
    assert language_of("", accept) in LANGUAGES


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h 0 min"),
        (9_300, "2 h 35 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_an_age_has_two_units_at_most(seconds: int, said: str) -> None:
    assert age(CATALOGUES["en"], seconds) == said


def test_a_reason_is_a_whole_sentence() -> None:
    judged = Verdict(
        colour=Colour.AMBER, reasons=(Reason(code="seal_silent", seal="A<1", number=960),)
    )
    html = document(shown(known(), verdict=judged), "en").html.decode()
    assert "<li>Seal A&lt;1: silent, 16 min</li>" in html


# counters


def test_counters_are_prometheus_text_and_unknown_numbers_are_left_out() -> None:
    numbers: dict[str, object] = {
        "up_s": 7,
        "free_bytes": None,
        "uplink": "flowing",
        "time_quality": "gnss",
        "store": "ok",
        "links": [{"name": 'g"p\\s', "state": "fix"}],
    }
    counters = {"facts_total": ("kind", "Facts heard", {"Fix": 3, "Odd": 1})}
    said = text(families(numbers, counters)).decode()
    for line in said.splitlines():
        assert re.fullmatch(
            r"# (HELP|TYPE) plomba_agent_[a-z_]+ .+|"
            r'plomba_agent_[a-z_]+(\{([a-z]+="(\\.|[^"\\])*",?)+\})? -?[0-9.e+]+',
            line,
        ), line
    assert "plomba_agent_up_seconds 7\n" in said
    assert "free_bytes" not in said
    assert 'plomba_agent_facts_total{kind="Fix"} 3\n' in said
    assert 'plomba_agent_uplink{state="flowing"} 1\n' in said
    assert 'plomba_agent_uplink{state="down"} 0\n' in said
    assert r'plomba_agent_link{link="g\"p\\s",state="fix"} 1' in said


def test_a_family_without_samples_is_not_said() -> None:
    assert text([one("x", "gauge", "X", None), by("y", "counter", "Y", "k", {})]) == b""
    assert text([one("x", "gauge", "X", 2.5)]).endswith(b"plomba_agent_x 2.5\n")
