"""Topics: who claims to speak of what."""

import pytest

from wire import MisuseError, Reason, Refused
from wire.topics import Down, Up, down, down_filter, is_unit_id, parse_up, up


def test_what_is_said_is_heard() -> None:
    for what in Up:
        assert parse_up(up("uz-01a234bc", what)) == ("uz-01a234bc", what)
    assert down("uz-01a234bc", Down.RECEIPT) == "plomba/1/down/uz-01a234bc/receipt"
    assert down_filter("uz-01a234bc") == "plomba/1/down/uz-01a234bc/+"


@pytest.mark.parametrize(
    ("unit_id", "good"),
    [
        ("abc", True),
        ("a" * 32, True),
        ("ab", False),
        ("a" * 33, False),
        ("-bc", False),
        ("ab-", False),
        ("Abc", False),
        ("a.c", False),
        ("abc\n", False),
        ("аbc", False),
    ],
)
def test_a_unit_id_has_one_form(unit_id: str, good: bool) -> None:  # noqa: FBT001  # a table
    assert is_unit_id(unit_id) == good
    if not good:
        with pytest.raises(MisuseError):
            up(unit_id, Up.BATCH)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "plomba/1/up/abc",
        "plomba/1/up/abc/receipt",
        "plomba/1/up/abc/batch/x",
        "plomba/1/up/a+c/batch",
        "plomba/1/down/abc/batch",
        "plomba/1/up/" + "a" * 99 + "/batch",
    ],
)
def test_every_other_topic_is_bad(topic: str) -> None:
    verdict = parse_up(topic)
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.BAD_TOPIC
