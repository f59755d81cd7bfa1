"""What several units tell together: areas that are jammed or spoofed, holes of the network, a journey whose units part (DETECTION sections 2, 7.5 to 7.7)."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from collector.detect import Finding, Gap, Signal
from collector.detect.cross import Clocks, convoy, coverage, fleet, neighbours
from collector.detect.cross.known import NOTHING, Known, changed, read
from collector.detect.engine import ChainHole, Heard, Item, TimePassed, every_row, marked_rows
from collector.detect.rules import Journey, Rulebook, Thresholds
from collector.detect.track import Batch
from tests.collector.detect.worlds import (
    BEGIN_MS,
    At,
    Run,
    Unit,
    blobs,
    book_of,
    event,
    line,
    play,
    sky,
    together,
    told,
)
from wire import MisuseError
from wire.columns import Event
from wire.records import EventKind

NAMES = ("a", "b", "c", "d", "e")
ALONE = {name: (Journey(id=name, unit=name, since_ms=0),) for name in NAMES}
BOOK = replace(book_of(), journeys=ALONE)
TRAIN = replace(
    BOOK, journeys={name: (Journey(id="j", unit=name, since_ms=0),) for name in ("a", "b")}
)


TICK_S = 60  # ten seconds would only be slower


def _ms(t_s: float) -> int:
    return BEGIN_MS + round(t_s * 1_000)


def drive(
    from_s: float,
    to_s: float,
    *,
    x_m: float = 0,
    y_m: float = 0,
    m_s: float = 15,
    each_s: float = 10,
) -> list[At | Event]:
    """Eastward from a place."""
    steps = int((to_s - from_s) / each_s)
    return [
        At(
            t_s=from_s + each_s * n,
            x_m=x_m + m_s * each_s * n,
            y_m=y_m,
            speed_m_s=m_s,
        )
        for n in range(steps)
    ]


class World:
    """Units that seal every minute, and a centre that hears them and looks at its clock each minute."""

    def __init__(self, records: Mapping[str, Sequence[At | Event]], delay_s: float = 2) -> None:
        self.batches: list[tuple[float, Batch]] = []
        self.delay_s = delay_s
        for number, (name, some) in enumerate(sorted(records.items())):
            unit = Unit(name=name, chain=bytes([number + 1]) * 16)
            by_minute: dict[int, list[At | Event]] = {}
            for record in sorted(some, key=_second):
                by_minute.setdefault(int(_second(record) // 60), []).append(record)
            for minute, sealed in sorted(by_minute.items()):
                came_s = 60 * (minute + 1) + delay_s
                self.batches.append((came_s, unit.batch(*sealed, received_s=came_s)))

    def late(self, name: str, by_s: float, *, from_s: float = 0, to_s: float = 1e9) -> "World":
        """All batches of a unit that would come in that time come so much later, in their order."""
        moved = []
        for came_s, batch in self.batches:
            later_s = by_s if batch.unit == name and from_s <= came_s < to_s else 0.0
            received_ms = _ms(came_s + later_s)
            moved.append((came_s + later_s, replace(batch, received_ms=received_ms)))
        self.batches = moved
        return self

    def items(
        self, to_s: float, *, since_s: float = -1_000_000, seed: int | None = None
    ) -> list[Item]:
        """As they come: batches, who was heard, and that time passed. `seed`: units shuffled within each minute."""
        waiting = sorted(self.batches, key=lambda one: (one[0], one[1].unit))
        found: list[Item] = []
        for tick_s in range(TICK_S, int(to_s) + 1, TICK_S):
            here = [batch for came_s, batch in waiting if came_s <= tick_s]
            waiting = [one for one in waiting if one[0] > tick_s]
            if seed is not None:
                units = sorted({batch.unit for batch in here})
                random.Random(seed + tick_s).shuffle(units)
                here = [batch for unit in units for batch in here if batch.unit == unit]
            for batch in here:
                assert batch.received_ms is not None
                found += [Heard(unit=batch.unit, received_ms=batch.received_ms), batch]
            found.append(TimePassed(now_ms=_ms(tick_s), since_ms=_ms(since_s)))
        return found


def _second(record: At | Event) -> float:
    return record.t_s if isinstance(record, At) else (record.t_ms - BEGIN_MS) / 1_000


def hear(book: Rulebook, items: Sequence[Item]) -> Run:
    """The same with every row stepped, with every item a tick of its own, and over a restart at each tick of the watch."""
    seen, other = ticked(book, items), ticked(book, items, torn=True)
    assert told(seen) == told(other)
    assert blobs(seen) == blobs(other)
    assert together(seen) == together(other)
    return seen


def ticked(book: Rulebook, items: Iterable[Item], *, torn: bool = False) -> Run:
    out = Run()
    part: list[Item] = []
    for item in items:
        part.append(item)
        if torn or isinstance(item, TimePassed):
            known, screen = out.known, every_row if torn else marked_rows
            if torn and isinstance(item, TimePassed):
                known = read({key: row for key, row in changed(NOTHING, known).items() if row})
            out.add(play(book, part, states=out.states, known=known, screen=screen))
            part = []
    return out


def shared(run_: Run, code: str | None = None) -> list[Finding]:
    """What stands on several units."""
    return [
        finding
        for finding in run_.findings
        if finding.chain is None and (code is None or finding.code == code)
    ]


def said(run_: Run) -> list[tuple[str, str, object, float]]:
    return [
        (f.code, f.phase.value, f.value, round((f.at_ms - BEGIN_MS) / 1_000, 3))
        for f in shared(run_)
    ]


def keys(run_: Run) -> list[tuple[object, ...]]:
    """All of what several units told, but for when it was received."""
    return [
        (f.id, f.n, f.code, f.at_ms, f.confirmed_ms, f.lat_e7, f.lon_e7, str(f.value), str(f.data))
        for f in shared(run_)
    ]


# areas


def spoofed(
    names: Sequence[str],
    *,
    apart_s: float = 60,
    cell: tuple[float, float] = (50_000, 9_000),
    to_s: float = 2_900,
) -> dict[str, list[At | Event]]:
    """Units that drive side by side and, one behind the other, find themselves in one cell."""
    tracks: dict[str, list[At | Event]] = {}
    for number, name in enumerate(names):
        at_s = 300 + apart_s * number
        x_m, y_m = cell[0] + 90 * number, cell[1]
        tracks[name] = [
            *drive(0, at_s, y_m=3_000 * number, each_s=20),
            *drive(at_s, to_s, x_m=x_m, y_m=y_m, m_s=0.5, each_s=20),
        ]
    return tracks


def test_case_21_five_units_jump_into_one_cell() -> None:
    seen = hear(BOOK, World(spoofed(NAMES)).items(3_000))
    assert said(seen) == [
        ("GNSS_INTERFERENCE", "begin", "fleet", 300),
        ("GNSS_INTERFERENCE", "end", "fleet", 540 + 1_800),
    ]
    begin, end = shared(seen)
    assert (begin.unit, begin.seq, begin.id) == ("", None, end.id)
    assert begin.data["by"] == "jumped"
    assert begin.data["units"] == list(NAMES[:3])
    assert end.data["units"] == list(NAMES)
    assert begin.confirmed_ms == _ms(420)  # the third
    assert begin.priority is not None
    assert begin.priority.value == "P2"
    alone = [f for f in seen.findings if f.value == "teleport"]
    assert [f.unit for f in alone] == list(NAMES)  # and each of them is told for itself


def test_two_units_or_two_cells_or_a_long_time_between_are_no_fleet() -> None:
    assert said(ticked(BOOK, World(spoofed(NAMES[:2])).items(3_000))) == []
    assert said(ticked(BOOK, World(spoofed(NAMES[:3], apart_s=1_000)).items(3_000))) == []
    far = spoofed(NAMES[:2]) | {"c": spoofed(["c"], cell=(90_000, 0))["c"]}
    assert said(ticked(BOOK, World(far).items(3_000))) == []


def test_one_unit_that_jumps_three_times_is_one_unit() -> None:
    back = [
        record
        for n in range(3)
        for record in (
            *drive(600 * n, 600 * n + 300),
            *drive(600 * n + 300, 600 * n + 600, x_m=50_000, m_s=0.5),
        )
    ]
    seen = ticked(BOOK, World({"a": back}).items(3_000))
    assert [f.value for f in seen.findings if f.code == "GNSS_INTERFERENCE"].count("teleport") > 3
    assert said(seen) == []


def test_no_edge_of_a_grid_parts_what_lies_side_by_side() -> None:
    for x_m in range(50_000, 50_500, 100):
        world = World(spoofed(NAMES[:3], cell=(x_m, 9_000), to_s=900))
        assert [row[1:3] for row in said(ticked(BOOK, world.items(1_200)))] == [("begin", "fleet")]


def jammed(t_s: float) -> list[Event]:
    return [sky(t_s, jam=3), sky(t_s + 20, jam=3), sky(t_s + 300, jam=1)]


def test_three_that_are_jammed_near_one_another_within_ten_minutes_are_an_area() -> None:
    def area(y_m: float, t_s: float) -> dict[str, Sequence[At | Event]]:
        return {
            name: [*drive(0, 3_600, y_m=y * y_m), *jammed(900 + t_s * y)]
            for y, name in enumerate(NAMES[:3])
        }

    seen = hear(BOOK, World(area(1_500, 120)).items(4_200))
    assert said(seen)[0] == ("GNSS_INTERFERENCE", "begin", "fleet", 900)
    assert shared(seen)[0].data["by"] == "jammed"
    assert [row[1] for row in said(seen)] == ["begin", "end"]
    assert said(ticked(BOOK, World(area(4_000, 120)).items(4_200))) == []  # 8 km
    assert said(ticked(BOOK, World(area(1_500, 400)).items(4_200))) == []  # 13 min


@pytest.mark.parametrize("seed", range(4))
def test_whoever_comes_first_the_same_is_found(seed: int) -> None:
    """Each unit is up to nine minutes behind the others, and all of them are heard in any order."""
    straight = ticked(BOOK, World(spoofed(NAMES)).items(3_600))
    late = World(spoofed(NAMES))
    chance = random.Random(seed)
    for name in NAMES:
        late.late(name, chance.choice((0, 100, 300, 540)))
    seen = ticked(BOOK, late.items(3_600, seed=seed))
    assert keys(seen) == keys(straight)
    assert keys(straight)


def test_who_was_silent_for_ten_minutes_is_not_waited_for_and_is_told_late() -> None:
    """Three are cut off by the jammer itself and tell of it an hour later, one by one: it is found when the third has."""
    tracks: dict[str, Sequence[At | Event]] = {
        name: [*drive(0, 3_000, y_m=1_000 * y), *jammed(905 + 30 * y)]
        for y, name in enumerate(NAMES[:3])
    }
    tracks["d"] = drive(0, 9_000, y_m=40_000)
    world = World(tracks)
    for number, name in enumerate(NAMES[:3]):
        world.late(name, 3_600 + 700 * number, from_s=900)
    seen = ticked(BOOK, world.items(9_000))
    begin = shared(seen)[0]
    assert said(seen)[0] == ("GNSS_INTERFERENCE", "begin", "fleet", 905)
    assert begin.late is True
    assert begin.received_ms is not None
    assert begin.received_ms > _ms(5_000)
    assert [row[1] for row in said(seen)] == ["begin", "end"]


def test_a_unit_that_lags_behind_holds_nobody_up_for_longer_than_ten_minutes() -> None:
    tracks = spoofed(NAMES[:3], to_s=1_500) | {"d": [*drive(0, 1_500, y_m=40_000)]}
    world = World(tracks)
    world.batches = [
        (came_s + came_s, replace(batch, received_ms=_ms(2 * came_s)))
        if batch.unit == "d"
        else (came_s, batch)
        for came_s, batch in world.batches
    ]  # it is heard each two minutes, and falls behind by as much as it tells
    seen = ticked(BOOK, world.items(1_500))
    assert [row[1] for row in said(seen)] == ["begin"]
    third = next(b for _, b in world.batches if b.unit == "c" and b.fixes[1, -1] >= _ms(460))
    assert third.received_ms is not None
    assert shared(seen)[0].received_ms == third.received_ms


def test_a_unit_without_a_clock_holds_nobody_up() -> None:
    tracks = spoofed(NAMES[:3], to_s=900)
    world = World({**tracks, "e": drive(0, 900, y_m=40_000)})
    for number, (came_s, batch) in enumerate(world.batches):
        if batch.unit == "e":
            fixes = batch.fixes.copy()
            fixes[1] -= BEGIN_MS - 1_000_000  # as if it were 1970
            world.batches[number] = (came_s, replace(batch, fixes=fixes))
    (begin,) = shared(ticked(BOOK, world.items(600)))
    assert begin.value == "fleet"


# units of one journey


def train(
    parts_s: float | None, *, to_s: float = 3_600, m_s: float = 15, seal_s: float = 10
) -> dict[str, Sequence[At | Event]]:
    """A lorry with its unit, and the seal of its trailer that dials in by itself; at some time the trailer stays behind."""
    stop_s = to_s if parts_s is None else parts_s
    seal = drive(0, stop_s, m_s=m_s, each_s=seal_s, y_m=20)
    stays = drive(stop_s, to_s, x_m=m_s * stop_s, m_s=0, each_s=300, y_m=20)
    return {"a": drive(0, to_s, m_s=m_s), "b": [*seal, *stays]}


def test_a_trailer_that_stays_behind_is_separated() -> None:
    seen = hear(TRAIN, World(train(1_200)).items(3_600))
    (begin,) = shared(seen)
    assert (begin.code, begin.phase.value, begin.unit) == ("UNIT_SEPARATED", "begin", "a")
    assert begin.data == {"journey": "j", "units": ["a", "b"]}
    # 300 m and twice the uncertainty of 10 m are passed 22 s behind the trailer; the first moment that shows it is the next one
    assert _ms(1_220) <= begin.at_ms <= _ms(1_260)
    assert isinstance(begin.value, float)
    assert begin.value > 320
    assert begin.confirmed_ms - begin.at_ms >= 60_000  # three moments of half a minute
    assert begin.received_ms is not None


def test_units_that_stay_together_are_never_separated() -> None:
    for seal_s in (10, 30, 60, 120):
        together_s = World(train(None, seal_s=seal_s, to_s=1_800))
        assert said(ticked(TRAIN, together_s.items(1_800))) == []


def test_what_is_together_again_has_ended() -> None:
    back = train(1_200, to_s=2_000)
    lorry = [
        *back["a"],
        *drive(2_000, 2_800, x_m=15 * 2_000, m_s=-15),
        *drive(2_800, 4_500, x_m=15 * 1_200, m_s=0, each_s=60),
    ]
    stays = drive(2_100, 4_500, x_m=15 * 1_200, m_s=0, each_s=300, y_m=20)
    seen = hear(TRAIN, World({"a": lorry, "b": [*back["b"], *stays]}).items(4_500))
    begin, end = shared(seen)
    assert [f.phase.value for f in (begin, end)] == ["begin", "end"]
    assert begin.id == end.id
    assert _ms(2_780) <= end.at_ms <= _ms(2_900)
    assert isinstance(end.value, float)
    assert end.value < 150


def test_a_journey_that_is_over_ends_what_ran_on_it() -> None:
    over = {
        name: (*some, Journey(id="j", unit=name, since_ms=_ms(2_400), state="arrived"))
        for name, some in TRAIN.journeys.items()
    }
    seen = ticked(replace(TRAIN, journeys=over), World(train(1_200)).items(3_600))
    begin, end = shared(seen)
    assert (begin.id, end.phase.value) == (end.id, "end")
    assert end.at_ms >= _ms(2_400)
    assert seen.known.convoys == {}


def test_units_of_two_journeys_are_nobodys_convoy() -> None:
    seen = ticked(BOOK, World(train(1_200)).items(3_600))
    assert said(seen) == []
    assert seen.known == NOTHING


@pytest.mark.parametrize("seed", range(4))
def test_whichever_unit_is_heard_first_the_same_separation_is_found(seed: int) -> None:
    straight = ticked(TRAIN, World(train(1_200)).items(4_800))
    chance = random.Random(seed)
    late = World(train(1_200)).late("a", chance.choice((0, 300, 540)))
    late = late.late("b", chance.choice((0, 300, 540)))
    assert keys(ticked(TRAIN, late.items(4_800, seed=seed))) == keys(straight)
    assert keys(straight)


def test_a_silent_unit_is_not_waited_for_and_is_compared_when_it_is_back() -> None:
    world = World(train(1_200, to_s=9_000)).late("b", 3_600, from_s=1_100, to_s=4_800)
    seen = ticked(TRAIN, world.items(9_000))
    (begin,) = shared(seen)
    assert begin.at_ms >= _ms(4_000)  # what lay behind it was given up
    assert max(len(track) for _, track in seen.known.convoys["j"].tracks) <= convoy.SAMPLES_MAX


def test_a_blurred_place_separates_nobody() -> None:
    tracks = train(1_200)
    tracks["b"] = [replace(row, hdop=30.0) for row in tracks["b"] if isinstance(row, At)]
    assert said(ticked(TRAIN, World(tracks).items(3_600))) == []


def test_a_lorry_that_turns_between_two_places_is_not_elsewhere() -> None:
    """Half a minute of a bend, told by its ends only: nothing is called apart for what lies between."""
    bend = [At(t_s=30 * n, x_m=200 * n, y_m=200 * (n % 2), speed_m_s=9) for n in range(60)]
    other = [replace(row, t_s=row.t_s + 15, x_m=row.x_m + 100, y_m=100) for row in bend]
    assert said(ticked(TRAIN, World({"a": bend, "b": other}).items(2_400))) == []


# why a unit is silent


def lost(run_: Run, unit: str) -> list[tuple[str, str | None, object]]:
    return [
        (f.phase.value, None if f.priority is None else f.priority.value, f.value)
        for f in run_.findings
        if f.code == "CONTACT_LOST" and f.unit == unit
    ]


def test_three_that_fall_silent_side_by_side_are_jammed() -> None:
    tracks = {name: drive(0, 900, y_m=1_500 * y) for y, name in enumerate(NAMES[:3])}
    seen = hear(BOOK, World(tracks).items(2_400))
    for name in NAMES[:3]:
        assert lost(seen, name)[:2] == [("begin", "P3", "unknown"), ("change", "P3", "jamming")]
    apart = {name: drive(0, 900, y_m=9_000 * y) for y, name in enumerate(NAMES[:3])}
    seen = hear(BOOK, World(apart).items(1_800))
    assert [lost(seen, name) for name in NAMES[:3]] == [[("begin", "P3", "unknown")]] * 3


def test_whoever_falls_silent_where_two_were_jammed_is_jammed_at_once() -> None:
    tracks: dict[str, Sequence[At | Event]] = {
        name: [*drive(0, 3_000, y_m=1_500 * y), *jammed(905)] for y, name in enumerate(("a", "b"))
    }
    tracks["c"] = drive(0, 960, y_m=3_000)
    seen = ticked(BOOK, World(tracks).items(2_400))
    assert lost(seen, "c")[0] == ("begin", "P3", "jamming")


def test_its_own_jamming_shortly_before_explains_a_silence() -> None:
    tracks = {"a": [*drive(0, 960), *jammed(600)]}  # told good again at 900, and over at 960
    over = [*drive(0, 1_000), sky(600, jam=3), sky(620, jam=3), sky(870, jam=1), sky(940, jam=1)]
    for some in (tracks, {"a": over}):
        seen = ticked(BOOK, World(some).items(2_400))
        assert lost(seen, "a")[0] == ("begin", "P3", "jamming")
    long_ago = [
        *drive(0, 1_400),
        sky(600, jam=3),
        sky(620, jam=3),
        sky(870, jam=1),
        sky(940, jam=1),
    ]
    assert lost(ticked(BOOK, World({"a": long_ago}).items(2_400)), "a")[0] == (
        "begin",
        "P3",
        "unknown",
    )


ROAD = line("road", [(0, 0), (150_000, 0)], plan_kmh=60)
ROADBOOK = replace(
    book_of(ROAD),
    journeys={name: (Journey(id=name, unit=name, since_ms=0, route="road"),) for name in NAMES},
)
SHUT_S = (1_000, 2_500)  # no network between these seconds: it begins at 15 km


def through_the_hole(name: str, begin_s: float, *, to_s: float = 4_000) -> World:
    """A lorry at 15 m/s along the road; what it seals in the hole comes behind it."""
    world = World({name: drive(begin_s, begin_s + to_s, each_s=30)})
    world.batches = [
        (max(came_s, begin_s + SHUT_S[1]), batch)
        if begin_s + SHUT_S[0] <= came_s < begin_s + SHUT_S[1]
        else (came_s, batch)
        for came_s, batch in world.batches
    ]
    world.batches = [
        (came_s, replace(batch, received_ms=_ms(came_s))) for came_s, batch in world.batches
    ]
    return world


def test_a_hole_that_three_passages_knew_is_no_alarm_until_it_lasts_too_long() -> None:
    world = World({})
    for number, name in enumerate(NAMES[:3]):
        world.batches += through_the_hole(name, 5_000 * number).batches
    world.batches += through_the_hole("d", 15_000).batches  # this one passes as they did
    stays = through_the_hole("e", 20_000, to_s=960)  # this one never comes out
    world.batches += stays.batches
    seen = hear(ROADBOOK, world.items(25_000))
    assert [lost(seen, name)[0][2] for name in NAMES] == [
        *["unknown"] * 3,
        "coverage",
        "coverage",
    ]
    assert [row[0] for row in lost(seen, "d")[:2]] == ["begin", "end"]  # nobody was alarmed
    restored = [f.data["class"] for f in seen.findings if f.code == "CONTACT_RESTORED"]
    assert restored == ["unknown"] * 3 + ["coverage"]
    (gone,) = [f for f in seen.findings if f.unit == "e" and f.phase.value == "change"]
    assert (gone.value, gone.priority and gone.priority.value) == ("unknown", "P2")
    silent_s = gone.data["silent_s"]
    assert isinstance(silent_s, float)
    assert 1.5 * 1_400 < silent_s < 1.5 * 1_700


def test_a_hole_is_one_of_its_own_stretch_and_of_its_own_line() -> None:
    here = Gap(route="road", mark=7, number=12, lasted_s=1_000)
    state = None
    for lasted_s in (700, 900, 1_000):
        state = coverage.hear(state, replace(here, lasted_s=lasted_s))
    assert [coverage.hole_s(state, 7, number) for number in (10, 11, 12, 13, 14)] == [
        None,
        1_500,
        1_500,
        1_500,
        None,
    ]
    assert coverage.hole_s(state, 8, 12) is None
    assert coverage.hole_s(coverage.hear(state, replace(here, mark=8)), 8, 12) is None
    for lasted_s in (5_000, *range(1, 19)):
        state = coverage.hear(state, replace(here, lasted_s=lasted_s))
    assert coverage.hole_s(state, 7, 12) == 1.5 * 1_000  # one that stayed for lunch does not count


def test_a_centre_that_was_away_learns_no_hole_from_it() -> None:
    world = World({})
    for number, name in enumerate(NAMES[:3]):
        world.batches += through_the_hole(name, 5_000 * number).batches
    away = ticked(ROADBOOK, world.items(20_000, since_s=1_900))
    learnt = {key: state.lasted for key, state in away.known.holes.items()}
    assert sum(len(some) for _, some in learnt["road"]) == 2


def test_a_dead_battery_teaches_no_hole() -> None:
    world = World({})
    for number, name in enumerate(NAMES[:3]):
        begin_s = 5_000 * number
        first, *rest = [
            (came_s, batch)
            for came_s, batch in through_the_hole(name, begin_s).batches
            if came_s >= begin_s + SHUT_S[1]
        ]
        before = [one for one in through_the_hole(name, begin_s).batches if one[0] < first[0]]
        boot = event(begin_s + 1_000, EventKind.BOOT, 2, 1, "", 0, None)
        dead = replace(
            first[1],
            fixes=first[1].fixes[:, 1:],
            events=(replace(boot, seq=first[1].first_seq),),
        )
        world.batches += [*before, (first[0], dead), *rest]
    seen = ticked(ROADBOOK, world.items(20_000))
    classes = [f.data["class"] for f in seen.findings if f.code == "CONTACT_RESTORED"]
    assert classes == ["power"] * 3
    assert seen.known.holes == {}


# rows and bounds


def test_a_row_of_somebody_else_is_refused() -> None:
    for row in (b"", b"\x91\x02", b"\xc1", b"\x92\x02\x90"):
        with pytest.raises((MisuseError, ValueError, LookupError)):
            read({"near": row})
    with pytest.raises(MisuseError):
        read({"far": changed(NOTHING, _crowd())["near"] or b""})


def _crowd() -> Known:
    """More of everything than is kept."""
    units = {f"{'u' * 28}{n:04}": n for n in range(400)}
    tracks: dict[str, Sequence[At | Event]] = {
        name: [*drive(0, 120, y_m=20 * n), *jammed(20)] for name, n in list(units.items())[:1]
    }
    (name, *_) = tracks
    seen = ticked(BOOK, World(tracks).items(400))
    (signal,) = seen.known.near
    assert signal.unit == name
    many = [
        replace(signal, unit=unit, t_ms=signal.t_ms + n, received_ms=signal.t_ms)
        for unit, n in units.items()
    ]
    far = [replace(one, lat_e7=one.lat_e7 + 1_000_000 * n) for n, one in enumerate(many)]
    return replace(
        NOTHING,
        fleets=fleet.hear(fleet.State(judged=tuple(far[: fleet.SIGNALS_MAX])), many),
        near=neighbours.hear((), many),
    )


def test_every_row_has_an_end() -> None:
    known = _crowd()
    assert len(known.fleets.waiting) == fleet.SIGNALS_MAX
    assert len(known.near) == neighbours.SIGNALS_MAX
    holes = None
    for number in range(300):
        for lasted_s in range(22):
            gap = Gap(route="road", mark=-(1 << 60), number=number, lasted_s=1 << 31 | lasted_s)
            holes = coverage.hear(holes, gap)
    assert holes is not None
    full = replace(known, holes={"road": holes})
    rows = changed(NOTHING, full)
    assert max(len(row or b"") for row in rows.values()) < 48 << 10
    assert read({key: row for key, row in rows.items() if row}) == full
    assert changed(full, NOTHING) == dict.fromkeys(rows)
    assert changed(full, replace(full, near=())) == {"near": None}


def test_a_hole_in_a_chain_lies_between_two_places_as_any_other_time() -> None:
    world = World(train(1_200)).items(3_600)
    at = next(n for n, item in enumerate(world) if isinstance(item, Batch) and item.unit == "b")
    hole = ChainHole(unit="b", chain=bytes([2]) * 16, first=1, last=2, why="dropped")
    assert len(shared(hear(TRAIN, [*world[: at + 1], hole, *world[at + 1 :]]))) == 1


def test_more_areas_at_once_than_are_kept_end_the_oldest() -> None:
    signal = Signal(
        unit="a", kind=fleet.JUMPED, t_ms=_ms(0), lat_e7=0, lon_e7=0, received_ms=_ms(1)
    )
    many = [
        replace(signal, unit=unit, t_ms=_ms(60 * n + at), lat_e7=410_000_000 + 1_000_000 * n)
        for n in range(fleet.FLEETS_MAX + 2)
        for at, unit in enumerate(("a", "b", "c"))
    ]
    clocks = Clocks(now_ms=_ms(1_200), of=lambda _: _ms(1_200), slowest_ms=lambda: _ms(1_200))
    state, heard = fleet.judge(Thresholds(), fleet.hear(fleet.State(), many), clocks)
    phases = [one.hit.phase.value for one in heard]
    assert (phases.count("begin"), phases.count("end")) == (fleet.FLEETS_MAX + 2, 2)
    assert len(state.fleets) == fleet.FLEETS_MAX
    assert state.fleets[0].start_ms == _ms(120)


def test_a_separation_under_interference_says_so() -> None:
    tracks = train(1_200)
    tracks["a"] = [*tracks["a"], sky(1_100, jam=3), sky(1_120, jam=3), sky(3_000, jam=3)]
    (begin,) = shared(ticked(TRAIN, World(tracks).items(3_600)), "UNIT_SEPARATED")
    assert begin.data["gnss"] == ["jamming"]


@pytest.mark.parametrize("seed", range(4))
def test_law_whatever_happens_and_in_whatever_order_it_comes_the_same_is_found(seed: int) -> None:
    """Units that drive, stand, jump, are jammed and part; each batch up to nine minutes late, in the order of its chain."""
    chance = random.Random(seed)
    tracks: dict[str, Sequence[At | Event]] = {}
    for name in NAMES:
        x_m, rows = 0.0, list[At | Event]()
        where = (0.0, chance.choice((0.0, 20.0, 2_000.0)))
        for t_s in range(0, 3_600, 15):
            if chance.random() < 0.01:
                where = chance.choice(
                    ((0.0, 0.0), (0.0, 1_500.0), (60_000.0, 0.0), (60_000.0, 100.0))
                )
            x_m += chance.choice((15.0, 15.0, 0.0)) * 15 if chance.random() < 0.9 else 0.0
            rows.append(At(t_s=t_s, x_m=where[0] or x_m, y_m=where[1], speed_m_s=10))
            if chance.random() < 0.03:
                rows += jammed(t_s + 1)
        tracks[name] = rows
    journeys = {**ALONE, **TRAIN.journeys, "c": (Journey(id="j", unit="c", since_ms=0),)}
    book = replace(BOOK, journeys=journeys)
    straight = ticked(book, World(tracks).items(6_000))
    assert keys(straight)
    late = World(tracks)
    came = dict.fromkeys(NAMES, 0.0)
    moved = []
    for came_s, batch in late.batches:
        late_s = chance.choice((0, 0, 60, 300, 540)) if batch.first_seq else 0  # each is heard once
        came[batch.unit] = max(came[batch.unit], came_s + late_s)
        moved.append((came[batch.unit], replace(batch, received_ms=_ms(came[batch.unit]))))
    late.batches = moved
    seen = (
        hear(book, late.items(6_000, seed=seed))
        if seed < 1
        else ticked(book, late.items(6_000, seed=seed))
    )
    assert sorted(keys(seen), key=str) == sorted(keys(straight), key=str)
