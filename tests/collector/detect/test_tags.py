"""Cargo by its tags (DETECTION section 7.4, Tags; hard case 36)."""

from dataclasses import replace

from collector.detect.engine import every_row
from collector.detect.engine.blob import pack, unpack
from collector.detect.rules import Rulebook
from tests.collector.detect.worlds import At, Run, Unit, blobs, book_of, event, play, seal, told
from wire.columns import Event
from wire.records import EventKind

A, B, C, X, Y = (bytes([n]) * 12 for n in (0xA0, 0xB0, 0xC0, 0xE0, 0xE1))
BASE = book_of()
BOOK = replace(
    BASE,
    journeys={"u": (replace(BASE.journeys["u"][0], tags=tuple(t.hex() for t in (A, B, C))),)},
)
HOME = At(t_s=0, x_m=0, y_m=0)


def whole(t_s: float, *epcs: bytes, ok: bool = True, more: bool = False) -> Event:
    return event(t_s, EventKind.TAGS, "rfid", int(ok), 1, epcs, (), int(more))


def change(t_s: float, new: tuple[bytes, ...] = (), gone: tuple[bytes, ...] = ()) -> Event:
    return event(t_s, EventKind.TAGS, "rfid", 1, 0, new, gone, 0)


def tell(*records: At | Event, book: Rulebook = BOOK) -> Run:
    seen = play(book, [Unit().batch(*records)])
    assert told(seen) == told(play(book, [Unit().batch(*records)], screen=every_row))
    unit = Unit()
    cut = play(book, [unit.batch(record) for record in records], cut=1)
    assert told(seen) == told(cut)
    assert blobs(seen) == blobs(cut)
    for state in seen.states.values():
        assert unpack(pack(state)) == state
    return seen


def mismatches(run_: Run) -> list[tuple[str, str, object]]:
    return [
        (f.phase.value, "" if f.priority is None else f.priority.value, f.value)
        for f in run_.findings
        if f.code == "RFID_CARGO_MISMATCH"
    ]


def test_what_is_missing_in_three_rounds_over_a_minute_is_told_and_two_whole_rounds_end_it() -> (
    None
):
    rounds = [whole(0, A, B, C), *(whole(t_s, A, B) for t_s in (60, 90, 120))]
    seen = tell(HOME, *rounds)
    assert mismatches(seen) == [("begin", "P2", "missing")]
    found = seen.findings[-1]
    assert found.data == {"missing": [C.hex().upper()], "missing_n": 1}
    assert found.seq == 2  # the first round without it
    assert mismatches(tell(HOME, *rounds[:-1])) == []
    back = [whole(150, A, B, C), whole(180, A, B, C)]
    seen = tell(HOME, *rounds, *back)
    assert [row[0] for row in mismatches(seen)] == ["begin", "end"]
    assert seen.findings[-1].code == "TAGS_COMPLETE"
    once = [whole(150, A, B, C), whole(160, A, B), whole(180, A, B, C)]
    assert [row[0] for row in mismatches(tell(HOME, *rounds, *once))] == ["begin"]


def test_a_change_is_the_readers_word_after_a_minute_and_needs_no_second_round() -> None:
    seen = tell(HOME, whole(0, A, B, C), change(600, gone=(B,)))
    assert mismatches(seen) == [("begin", "P2", "missing")]


def test_shortly_after_an_opening_it_is_worse() -> None:
    shut, cut = seal(1, locked=True, rope_in=True), seal(5, rope_cut=True)
    records: list[At | Event] = [
        HOME,
        shut,
        cut,
        whole(10, A, B, C),
        *(whole(t_s, A) for t_s in (60, 90, 120)),
    ]
    assert mismatches(tell(*records)) == [("begin", "P1", "missing")]


def test_case_36_all_tags_gone_because_the_reader_died_is_a_fault_of_the_reader() -> None:
    dead = [whole(t_s, ok=False) for t_s in (60, 90, 120, 150)]
    seen = tell(HOME, whole(0, A, B, C), *dead, whole(180, A, B, C))
    assert mismatches(seen) == []
    faults = [(f.phase.value, f.value) for f in seen.findings if f.code == "DEVICE_FAULT"]
    assert faults == [("begin", "rfid_reader"), ("end", "rfid_reader")]


def test_a_tag_at_the_roadside_stays_behind_and_one_that_rides_along_does_not() -> None:
    roadside = [
        whole(0, A, B, C),
        whole(10, A, B, C, X),
        whole(40, A, B, C, X),
        whole(70, A, B, C, X),
    ]
    assert mismatches(tell(HOME, *roadside)) == []
    rides: list[At | Event] = [HOME]
    for n in range(5):
        rides += [At(t_s=60 * n + 1, x_m=900 * n, y_m=0), whole(60 * n + 2, A, B, C, X)]
    assert mismatches(tell(*rides)) == [("begin", "P2", "foreign")]


def test_without_a_declared_list_nothing_is_missing() -> None:
    rounds = [whole(t_s, A) for t_s in (0, 60, 120, 180)]
    assert mismatches(tell(HOME, *rounds, book=book_of())) == []


def test_a_list_in_parts_is_one_round() -> None:
    parts = [whole(0, A, more=True), whole(0, B, C)]
    later = [part for t_s in (60, 90, 120) for part in (whole(t_s, A, more=True), whole(t_s, C))]
    assert mismatches(tell(HOME, *parts, *later)) == [("begin", "P2", "missing")]
    all_well = [
        part for t_s in (60, 90, 120) for part in (whole(t_s, A, more=True), whole(t_s, B, C))
    ]
    assert mismatches(tell(HOME, *parts, *all_well)) == []


def test_an_event_that_breaks_the_wire_is_odd_and_nothing_else() -> None:
    seen = tell(HOME, event(1, EventKind.TAGS, "rfid", 1))
    assert [f.code for f in seen.findings] == ["ODD_EVENT"]
