"""The profile of the Eurasian Economic Union: what it sets, and the situation that every alert names (DETECTION section 7.7)."""

import tomllib

import pytest

from collector.detect import EAEU_SITUATIONS, PRIORITIES, Finding
from collector.detect.engine import EarlyCopy, Tick
from collector.detect.engine.early import judge
from collector.detect.engine.run import run
from collector.detect.rules import Rules, RulesError, Thresholds, build, thresholds_from
from tests.collector.detect.worlds import At, Unit, book_of, line, play, seal, shapes_of

ON = Thresholds(eaeu=True)
CUT = seal(5, rope_cut=True)


def cut(thresholds: Thresholds | None) -> tuple[Finding, ...]:
    unit = Unit()
    batch = unit.batch(At(t_s=0, x_m=0, y_m=0), CUT)
    return judge(book_of(thresholds=thresholds), batch)


def test_every_situation_belongs_to_an_alert() -> None:
    assert EAEU_SITUATIONS.keys() <= PRIORITIES.keys()
    assert set(EAEU_SITUATIONS.values()) == {f"{number:02d}" for number in range(1, 8)}


def test_an_alert_names_its_situation_where_the_profile_is_on_and_only_there() -> None:
    assert [(one.code, one.data.get("eaeu")) for one in cut(ON)] == [
        ("SEAL_OPEN_UNAUTHORISED", "01")
    ]
    assert [one.data.get("eaeu") for one in cut(None)] == [None]
    assert [one.id for one in cut(ON)] == [one.id for one in cut(None)]


def test_an_early_copy_and_the_pass_in_order_name_the_same() -> None:
    book, unit = book_of(thresholds=ON), Unit()
    batch = unit.batch(At(t_s=0, x_m=0, y_m=0), CUT, early_s=6, received_s=8)
    result = run(book, {}, Tick(items=(EarlyCopy(batch=batch), batch)))
    said = {one.data["eaeu"] for one in result.findings if one.code in EAEU_SITUATIONS}
    assert said == {"01"}
    assert [word.outcome.value for word in result.settled] == ["confirmed"]


def test_a_record_has_no_situation() -> None:
    unit = Unit()
    seen = play(book_of(thresholds=ON), [unit.batch(seal(1, locked=True, rope_in=True))])
    assert [(one.code, "eaeu" in one.data) for one in seen.findings] == [("SEAL_SEALED", False)]


def test_a_route_may_be_held_closer_than_fifty_kilometres_but_no_farther() -> None:
    def legal_m(thresholds: Thresholds | None, **properties: object) -> float:
        rules: Rules = build(
            shapes_of(line("r", [(0, 0), (90_000, 0)], **properties)), thresholds=thresholds
        )
        return rules.routes["r"].legal_m

    assert [legal_m(ON, legal_m=far) for far in (1_000, 80_000)] == [1_000, 50_000]
    assert legal_m(None, legal_m=80_000) == 80_000


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("profile = true", "profile"),
        ("[profile]\neaeu = 1", "profile.eaeu"),
        ("[profile]\neeau = true", "profile.eeau"),
        ("eaeu = true", "eaeu"),
        ("battery_low_percent = 20\n[profile]\neaeu = true", "battery_low_percent"),
    ],
)
def test_what_is_no_profile_or_speaks_against_it_is_refused_by_its_key(text: str, key: str) -> None:
    with pytest.raises(RulesError) as refused:
        thresholds_from(tomllib.loads(text))
    assert refused.value.key == key


def test_the_profile_stands_beside_other_thresholds() -> None:
    table = tomllib.loads("battery_low_percent = 15\nlate_s = 7\n[profile]\neaeu = true\n")
    assert thresholds_from(table) == Thresholds(eaeu=True, battery_low_percent=15, late_s=7)
    assert thresholds_from(tomllib.loads("[profile]\neaeu = false\n")) == Thresholds()
