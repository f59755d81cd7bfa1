"""The catalogues are alike, whole, and in their own language; what a finding says becomes a sentence."""

import csv
import json
import re
from functools import cache
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import example, given, strategies as st

from collector.alerts import State
from collector.detect import PRIORITIES, Phase, Priority
from collector.ingest import Oddity
from collector.texts import LANGUAGES, NAME_CHARS_MAX, language_of
from collector.texts.alerts import CODES, MINUTES, answer, entry, name, sentence
from collector.texts.catalogue import FORMS, catalogue, number, plural_form
from collector.texts.measures import distance, percent, span
from collector.texts.moments import ago, date, moment, time
from collector.texts.page import page
from tests.shared_data import shared

HOUSE = Path(__file__).resolve().parents[2]
GLOSSARY = HOUSE / "tests" / "vectors" / "texts" / "glossary.csv"
VECTORS = HOUSE / "collector" / "web" / "locales" / "vectors.json"
ENTRIES = [(code, language) for code in CODES for language in LANGUAGES]

# Signs that all languages share: names of systems and of standards, never words.
SIGNS = {"CSV", "Esc", "GNSS", "GeoJSON", "ISA", "QR", "RFID", "SRID", "UTC", "WGS", "WKT"}
LATIN = re.compile(r"[A-Za-z]+")
CYRILLIC = re.compile(r"[\u0400-\u04ff]")
ENGLISH = re.compile(
    r"\b(the|of|and|or|is|are|not|with|for|in|on|at|by|seal|unit|driver|order|call|alert)\b",
    re.IGNORECASE,
)

# (key of a text, key of the glossary): the text holds the glossary's term as it stands there.
TERMS = [
    ("alert.SEAL_OPEN_UNAUTHORISED.name", "seal_opened_unauthorised"),
    ("alert.ROUTE_DEVIATION.name", "route_deviation"),
    ("alert.CONTACT_LOST.name", "contact_lost"),
    ("alert.BATTERY_LOW.name", "battery_low"),
    ("alert.TIME_LIMIT_EXCEEDED.name", "time_limit"),
    ("alert.TIME_LIMIT_RISK.name", "time_limit"),
    ("alert.ARRIVAL_DISCREPANCY.name", "state_discrepancy"),
    ("alert.GUARANTEE_INSUFFICIENT.name", "guarantee"),
    ("alert.YIELD_OUT_OF_BAND.name", "yield_norm"),
    ("alert.DISCHARGE_DUE.name", "processing_term"),
    ("alert.DISCHARGE_OVERDUE.name", "processing_term"),
    ("alert.DISCHARGE_OVERDUE.name", "balance_open"),
    ("alert.BILL_OVERDUE.name", "discharge_report"),
]


@cache
def glossary() -> dict[str, dict[str, str]]:
    with GLOSSARY.open(encoding="utf-8", newline="") as rows:
        return {row["key"]: row for row in csv.DictReader(rows)}


def base(key: str) -> str:
    """The key without the form of a plural."""
    stem, _, form = key.rpartition("_")
    return stem if form in FORMS["ru"] else key


def parameters(text: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(text) if field is not None}


def told(code: str, language: str = "en", **given: object) -> str:
    return sentence(code, language, unit="uz-01", **given).replace("\u00a0", " ")  # type: ignore[arg-type]  # each test gives what its finding has


def test_the_three_catalogues_have_the_same_keys() -> None:
    keys = [{base(key) for key in catalogue(language)} for language in LANGUAGES]
    assert keys[0] == keys[1] == keys[2]


def test_each_key_takes_the_same_parameters_in_each_language() -> None:
    found: dict[str, set[frozenset[str]]] = {}
    for language in LANGUAGES:
        for key, text in catalogue(language).items():
            found.setdefault(base(key), set()).add(frozenset(parameters(text)))
    assert {key: takes for key, takes in found.items() if len(takes) > 1} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_plural_has_every_form_of_its_language_and_no_other(language: str) -> None:
    plurals = {base(key) for key in catalogue("ru") if base(key) != key}
    for stem in plurals:
        forms = {key for key in catalogue(language) if base(key) == stem}
        assert forms == {f"{stem}_{form}" for form in FORMS[language]}
    assert plurals


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_padded(language: str) -> None:
    for key, text in catalogue(language).items():
        assert text.strip() == text != "", key


def test_every_code_that_detectors_and_customs_raise_has_its_entry() -> None:
    customs = {
        "ARRIVAL_DISCREPANCY",
        "GUARANTEE_INSUFFICIENT",
        "YIELD_OUT_OF_BAND",
        "MASS_IMBALANCE",
        "DISCHARGE_OVERDUE",
        "BILL_OVERDUE",
        "DISCHARGE_DUE",
    }
    assert set(CODES) == set(PRIORITIES) | customs
    assert all(CODES[code][0] is priority for code, priority in PRIORITIES.items())
    alerts = {key.split(".")[1] for key in catalogue("en") if key.startswith("alert.")}
    assert alerts == set(CODES)


def test_what_an_alert_may_worsen_to_is_worse() -> None:
    for priorities in CODES.values():
        said = [priority.value for priority in priorities]
        assert said == sorted(set(said), reverse=True)


def test_the_shared_list_of_codes_is_held_whole() -> None:
    with shared("customs", "codes", "alert_catalogue.csv").open(encoding="utf-8") as rows:
        assert {row["type"] for row in csv.DictReader(rows)} <= set(CODES)


def test_the_glossary_here_is_the_shared_one() -> None:
    with shared("customs", "codes", "glossary_en_ru_uz.csv").open(encoding="utf-8") as rows:
        whole = {row["key"]: row for row in csv.DictReader(rows)}
    assert glossary() == {key: whole[key] for key in glossary()}


@pytest.mark.parametrize(("code", "language"), ENTRIES)
def test_an_entry_says_name_what_cause_and_action(code: str, language: str) -> None:
    found = entry(code, language)
    assert all(len(text) > 4 for text in (found.name, found.what, found.cause, found.do))
    assert found.cause.endswith(".")
    assert found.do.endswith((".", "?"))
    assert found.name[0].isupper()
    assert not found.what.endswith(".")
    for priority in found.priorities:
        assert number(MINUTES[priority], language) in answer(priority, language)


def test_no_latin_word_stands_in_a_russian_text() -> None:
    for key, text in catalogue("ru").items():
        bare = re.sub(r"\{[^}]*\}", "", text)
        assert set(LATIN.findall(bare)) <= SIGNS, (key, text)


def test_no_cyrillic_letter_and_no_english_word_stands_in_an_uzbek_text() -> None:
    for key, text in catalogue("uz").items():
        bare = re.sub(r"\{[^}]*\}", "", text)
        assert not CYRILLIC.search(bare), (key, text)
        assert not ENGLISH.search(bare), (key, text)
        assert not re.search("['\u2018\u2019`]", bare), (
            key,
            "o' and g' take U+02BB, the stop U+02BC",
        )


def test_no_text_of_an_alert_is_the_english_one() -> None:
    for key, text in catalogue("en").items():
        if key.startswith(("alert.", "state.", "label.", "note.")) and not key.endswith(".other"):
            assert catalogue("uz").get(key, "") != text, key
            assert catalogue("ru").get(key, "") != text, key


@pytest.mark.parametrize(("key", "term"), TERMS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_names_use_the_terms_of_the_glossary(key: str, term: str, language: str) -> None:
    words = glossary()[term][language].partition(" (")[0].casefold()
    assert words in catalogue(language)[key].casefold()


def test_every_state_has_its_word() -> None:
    for language in LANGUAGES:
        assert all(f"state.{state.value}" in catalogue(language) for state in State)


def test_every_break_of_a_history_has_its_word() -> None:
    for oddity in Oddity:
        if oddity is not Oddity.LATE_TAIL:
            assert f"alert.LOG_INTEGRITY.word.{oddity.value}" in catalogue("en")


@pytest.mark.parametrize(
    "row", json.loads(VECTORS.read_text(encoding="utf-8")), ids=lambda row: str(list(row.values()))
)
def test_numbers_and_dates_are_said_as_people_say_them(row: dict[str, object]) -> None:
    say = {"span": span, "distance": distance, "percent": percent, "number": number, "ago": ago}
    language, kind, given = str(row["language"]), str(row["kind"]), row["input"]
    if isinstance(given, list):
        at_ms, offset_min = given
        when = {"date": date, "moment": moment}
        said = (
            time(at_ms, offset_min) if kind == "time" else when[kind](at_ms, offset_min, language)
        )
    else:
        assert isinstance(given, int | float)
        said = plural_form(language, given) if kind == "plural" else say[kind](given, language)
    assert said == row["output"]


def test_a_seal_says_why_its_opening_was_not_legal() -> None:
    data = {"reasons": ["wrong_time", "wrong_place"]}
    assert told("SEAL_OPEN_UNAUTHORISED", seal="UZ-000123", value="wrong_time", data=data) == (
        "Unit uz-01, seal UZ-000123: the seal is open or cut and no order makes it legal"
        " (outside the time of the order; outside the place of the order)."
    )
    assert told("SEAL_OPEN_UNAUTHORISED", "ru", seal="UZ-000123", value="rope_cut") == (
        "Устройство uz-01, пломба UZ-000123: пломба вскрыта или срезана,"
        " и ни одно разрешение этого не оправдывает (трос перерезан)."
    )
    assert "(tros kesilgan)" in told("SEAL_OPEN_UNAUTHORISED", "uz", value="rope_cut")


def test_a_deviation_says_how_far_and_an_end_that_it_is_over() -> None:
    assert "(на расстоянии 1,2 км)." in told("ROUTE_DEVIATION", "ru", value=1234.5)
    ended = told("ROUTE_DEVIATION", route="R1", value=640.0, phase=Phase.END)
    assert ended == (
        "Unit uz-01, route R1: the vehicle is off the prescribed route (640 m away). It is over."
    )


def test_lost_contact_says_its_class_and_how_long() -> None:
    said = told("CONTACT_LOST", "uz", value="power", data={"silent_s": 7_500.0})
    assert (
        said == "Qurilma uz-01: qurilmadan xabar kelmayapti (quvvat yoʻq; 2 soat 5 daq aloqa yoʻq)."
    )


def test_things_are_counted_in_the_form_of_the_language() -> None:
    def tags(n: int) -> str:
        return told("RFID_CARGO_MISMATCH", "ru", value="missing", data={"missing_n": n})

    assert "1 метка" in tags(1)
    assert "3 метки" in tags(3)
    assert "11 меток" in tags(11)
    assert "21 метка" in tags(21)
    names = [f"p{n}" for n in range(7)]
    skipped = told("ROUTE_PART_SKIPPED", value=12_000.0, data={"checkpoints": names})
    assert "12 km left out; 7 checkpoints left out: p0, p1, p2, p3, p4, …" in skipped


def test_a_gap_names_its_batches_and_a_broken_rule_its_name() -> None:
    gap = told("LOG_INTEGRITY", value="gap", data={"first_batch": 1_200, "last_batch": 1_207})
    assert gap.endswith("(batches are missing; numbers 1,200 to 1,207).")
    assert "records break the rules: BadColumns" in told("LOG_INTEGRITY", value="BadColumns")


def test_a_finding_under_interference_says_that_its_place_is_doubtful() -> None:
    said = told("FORBIDDEN_ZONE", zone="z1", value="entered", data={"gnss": ["spoofing"]})
    assert said.endswith("(drove in; the position is doubtful: GNSS interference).")


def test_what_several_units_tell_names_them() -> None:
    data = {"by": "jumped", "units": ["uz-01", "uz-02", "uz-03"]}
    assert sentence("GNSS_INTERFERENCE", "en", value="fleet", data=data) == (
        "Several units: the position from satellites cannot be trusted"
        " (several vehicles at once in one area; units uz-01, uz-02, uz-03)."
    )
    pair = {"journey": "J1", "units": ["uz-01", "uz-02"]}
    said = told("UNIT_SEPARATED", "ru", value=640.0, data=pair)
    assert said.endswith("(расстояние 640 м; устройства uz-01, uz-02).")


def test_an_alert_of_the_office_has_no_unit() -> None:
    assert sentence("BILL_OVERDUE", "en").startswith("A journey: the bill of discharge")


def test_a_code_or_a_word_that_is_newer_than_the_catalogue_is_shown_as_it_is() -> None:
    assert told("SOMETHING_NEW", value="strange") == "Unit uz-01: SOMETHING_NEW (strange)."
    assert name("SOMETHING_NEW", "uz") == "SOMETHING_NEW"
    assert "(plasma)" in told("GNSS_INTERFERENCE", value="plasma")


def test_what_a_unit_says_cannot_move_the_terminal_or_fill_it() -> None:
    said = told("SEAL_LOST", seal="\x1b[2J{what}" + "x" * 500)
    assert "\x1b" not in said
    assert "{what}" in said
    assert len(said) < 200 + NAME_CHARS_MAX


@given(
    code=st.sampled_from([*CODES, "NEW"]),
    language=st.sampled_from(LANGUAGES),
    value=st.none() | st.text(max_size=20) | st.integers() | st.floats(),
    data=st.dictionaries(
        st.sampled_from(
            ["reasons", "silent_s", "missing_n", "foreign_n", "checkpoints", "gnss", "units"]
        ),
        st.none()
        | st.text(max_size=5)
        | st.integers()
        | st.lists(st.text(max_size=5))
        | st.floats(),
    ),
    phase=st.sampled_from(Phase),
)
@example(
    code="CONTACT_LOST",
    language="en",
    value=float("nan"),
    data={"silent_s": float("inf")},
    phase=Phase.END,
)
def test_whatever_a_finding_says_becomes_a_sentence(
    code: str, language: str, value: float | str | None, data: dict[str, object], phase: Phase
) -> None:
    said = sentence(code, language, value=value, data=data, unit="u", seal="s", phase=phase)
    assert said.endswith(".")
    assert said.replace("\u00a0", " ").isprintable()


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "uz_UZ.UTF-8"}, "uz"),
        ({"LANG": "uz_UZ@cyrillic"}, "uz"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "ru_RU.UTF-8"}, "ru"),
        ({"LC_ALL": "", "LANG": "ru"}, "ru"),
        ({"LC_ALL": "C", "LANG": "ru_RU.UTF-8"}, "en"),
        ({"LANG": "rum_RO"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_of_a_terminal_is_that_of_posix(
    environment: dict[str, str], language: str
) -> None:
    assert language_of(environment) == language


def test_minutes_are_those_of_the_paper() -> None:
    assert {priority.value: MINUTES[priority] for priority in Priority} == {
        "P1": 2,
        "P2": 10,
        "P3": 60,
    }
    assert answer(Priority.P1, "ru") == "в течение 2 минут"


def test_the_page_of_alerts_is_fresh() -> None:
    there = (HOUSE / "docs" / "ALERTS.md").read_text(encoding="utf-8")
    assert there == page(), "draw it anew: plomba alert catalogue --write docs/ALERTS.md"
