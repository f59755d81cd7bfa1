"""Numbers as people write them: a digit is never guessed, and a search finds them however they were written."""

import csv
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from collector.customs.ids import Bad, Kind, Ok, Wanted, check, container_digit, key_of, wanted
from tests.shared_data import shared

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "ids"


@cache
def rows(name: str) -> list[dict[str, str]]:
    with (VECTORS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", ["iso6346.csv", "mrn.csv", "plates.csv"])
def test_the_vectors_are_those_of_the_shared_data(name: str) -> None:
    assert (VECTORS / name).read_bytes() == shared("customs", "ids", name).read_bytes()


@pytest.mark.parametrize("row", rows("iso6346.csv"), ids=lambda row: row["number"])
def test_a_container_number_has_its_check_digit(row: dict[str, str]) -> None:
    found = check(Kind.CONTAINER, row["number"])
    assert isinstance(found, Ok) == (row["valid"] == "1")
    if isinstance(found, Ok):
        assert found.info == ({"remark": "remainder-10"} if row["remainder"] == "10" else {})
    elif "format" in row["origin"]:
        assert found == Bad(reason="format")
    else:
        assert found == Bad(reason="check-digit")


@pytest.mark.parametrize("row", rows("mrn.csv"), ids=lambda row: row["mrn"])
def test_a_movement_number_has_its_check_digit(row: dict[str, str]) -> None:
    found = check(Kind.MRN, row["mrn"])
    assert isinstance(found, Ok) == (row["checksum_ok"] == "1")
    if isinstance(found, Ok):
        assert found.info == {"country": row["mrn"][2:4], "procedure": row["procedure_char"]}


@pytest.mark.parametrize("row", rows("plates.csv"), ids=lambda row: row["raw"] or "empty")
def test_a_plate_is_read_by_its_shapes(row: dict[str, str]) -> None:
    found = check(Kind.PLATE, row["raw"])
    if row["valid"] == "0":
        assert found == Bad(reason=row["reason"])
        return
    assert found == Ok(normal=row["key"], info={"shape": row["shape"]})
    assert key_of(row["raw"]) == row["search_key"]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("UZ-000123", Ok(normal="UZ-000123")),
        ("uz-000123 ", Ok(normal="UZ-000123")),
        ("AB/12", Ok(normal="AB/12")),
        ("-1", Bad(reason="format")),
        ("A" * 21, Bad(reason="format")),
    ],
)
def test_a_seal_keeps_its_dashes(value: str, found: Ok | Bad) -> None:
    assert check(Kind.SEAL, value) == found


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("01 A 123 BC", "01A123BC"),
        ("01-а-123-вс", "01A123BC"),  # all of its letters are Cyrillic
        ("uz-000123", "UZ000123"),
        ("msku 907032 3", "MSKU9070323"),
        ("26UZ000001726001J6", "26UZ000001726001J6"),
        ("01 123 abc", "01123ABC"),
        ("０１Ａ１２３ＢＣ", "01A123BC"),  # full width
        ("01 А 123 ВС\u200b", "01A123BC"),  # pasted out of a messenger
        ("№ uz\u2212000123,", "UZ000123"),
        ("01Ё123ІЅ", "01E123IS"),
    ],
)
def test_whoever_types_sees_what_was_looked_for(typed: str, shown: str) -> None:
    assert wanted(typed) == Wanted(shown=shown, key=key_of(shown))


def test_o_and_0_and_i_and_1_are_found_for_one_another() -> None:
    assert key_of("50O111OO") == key_of("500111oo") == key_of("5OO lll OO".replace("l", "I"))


def test_a_wrong_check_digit_is_said_and_not_refused() -> None:
    assert wanted("MSKU9070324") == Wanted(
        shown="MSKU9070324", key=key_of("MSKU9070324"), is_misspelt=True
    )
    confused = wanted("MSKU 9O7O32-4")
    assert isinstance(confused, Wanted)
    assert confused.is_misspelt
    right = wanted("MSKU9O70323")
    assert isinstance(right, Wanted)
    assert not right.is_misspelt


@pytest.mark.parametrize(
    ("typed", "reason"),
    [("", "too-short"), (" - ", "too-short"), ("01Ж123BC", "character"), ("A" * 65, "too-long")],
)
def test_what_no_number_can_be_is_said(typed: str, reason: str) -> None:
    assert wanted(typed) == Bad(reason=reason)


@given(st.text(max_size=80))
def test_any_text_gets_a_word_and_its_key_is_plain(typed: str) -> None:
    found = wanted(typed)
    if isinstance(found, Wanted):
        assert found.key.isascii()
        assert found.key.isalnum()
        again = wanted(found.shown)
        assert isinstance(again, Wanted)
        assert again.key == found.key


@given(
    st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3), st.integers(0, 999_999)
)
def test_one_wrong_digit_of_a_container_is_nearly_always_seen(owner: str, serial: int) -> None:
    first = f"{owner}U{serial:06}"
    digit = container_digit(first)
    for other in range(10):
        said = check(Kind.CONTAINER, f"{first}{other}")
        assert isinstance(said, Ok) == (other == digit)
