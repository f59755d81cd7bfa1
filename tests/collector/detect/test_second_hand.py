"""A second hand wrote zones and the corridor from the papers alone: on seeded tracks both say the same (DETECTION section 13)."""

import math
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest

from collector.detect import Finding
from tests.collector.detect.second_hand import (
    CloseCallError,
    Fix,
    Said,
    Xy,
    corridor_hand,
    zone_hand,
)
from tests.collector.detect.worlds import BEGIN_MS, At, Unit, book_of, line, place, play, polygon

ORDINARY, NIGHTLY = 40, 1_000
Check = Callable[[int], list[Said]]
ZONE_CODES = ("ZONE_CROSSED", "ZONE_ENTERED", "ZONE_EXITED", "ZONE_FOUND_INSIDE", "ZONE_POSSIBLE_VISIT", "ZONE_DWELL")  # fmt: skip
U_SHAPE = [(0, 0), (600, 0), (600, 600), (400, 600), (400, 200), (200, 200), (200, 600), (0, 600)]
BOX = [(-300, -300), (300, -300), (300, 300), (-300, 300)]
HOLE = [(-100, -100), (-100, 120), (110, 120), (110, -100)]
ROAD = [(-12_000.0, 0.0), (-6_000.0, 900.0), (-3_000.0, 400.0), (0.0, 600.0), (2_500.0, 2_600.0), (6_000.0, 2_900.0), (12_000.0, 400.0)]  # fmt: skip


def star(random: Random) -> list[tuple[float, float]]:
    corners = random.randint(3, 12)
    radius = math.exp(random.uniform(math.log(60), math.log(900)))
    reach = [radius * random.uniform(0.4, 1) for _ in range(corners)]
    turn = 2 * math.pi / corners
    return [(far * math.cos(turn * n), far * math.sin(turn * n)) for n, far in enumerate(reach)]


def e7(points: list[tuple[float, float]]) -> list[Xy]:
    """As the import reads them: longitude first."""
    return [(lon, lat) for lat, lon in (place(x, y) for x, y in points)]


def drive_at_a_zone(random: Random) -> list[At]:
    """To and fro over the middle, with rests, gaps and blurred fixes; the interval changes now and then."""
    t, x, y = 0.0, random.uniform(-900, 900), random.uniform(-900, 900)
    rows: list[At] = []
    for _ in range(random.randint(3, 9)):
        every = random.choice((1, 1, 5, 10, 30, 60, 120))
        speed = random.choice((0.0, 4.0, 12.0, 20.0, 24.0))
        heading = math.atan2(-y, -x) + random.uniform(-0.7, 0.7)
        for _ in range(random.randint(2, 40)):
            t += random.choice((200, 700)) if random.random() < 0.01 else every
            x += speed * every * math.cos(heading)
            y += speed * every * math.sin(heading)
            if math.hypot(x, y) > 2_500:
                heading = math.atan2(-y, -x)
            hdop = random.choice((None, None, None, 0.8, 2.5, 12.0))
            noise = random.choice((1.0, 4.0))
            rows.append(
                At(t_s=t, x_m=x + random.gauss(0, noise), y_m=y + random.gauss(0, noise), hdop=hdop)
            )
    return rows


def along(s_m: float) -> tuple[float, float]:
    for a, b in pairwise(ROAD):
        length = math.dist(a, b)
        if s_m <= length or b == ROAD[-1]:
            share = s_m / length
            return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])
        s_m -= length
    raise AssertionError("the road has an end")


def drive_on_the_road(random: Random) -> list[At]:
    """Along it, back, aside, standing, far away and home again."""
    t, s, aside = (
        0.0,
        random.choice((0.0, 50.0, 4_000.0, 16_000.0)),
        random.choice((0.0, 0.0, 900.0)),
    )
    rows: list[At] = []
    every = random.choice((1, 5, 10, 30, 60))
    for _ in range(random.randint(3, 10)):
        leg = random.choice(("on", "on", "on", "back", "out", "home", "home", "stand", "beside"))
        speed = {"back": -14.0, "stand": 0.0}.get(leg, random.choice((9.0, 16.0, 23.0)))
        away = {
            "out": random.choice((6.0, 12.0)),
            "home": max(-40.0, -12.0 - aside / (12 * every)),
        }.get(leg, 0.0)
        for _ in range(random.randint(5, 80)):
            t += random.choice((200, 1_500)) if random.random() < 0.004 else every
            s = min(max(0.0, s + speed * every), 26_000.0)
            if leg == "beside":  # 140 m, as fast as nothing is a jump
                away = max(-40.0, min(40.0, (140.0 - aside) / every))
            aside = max(0.0, aside + away * every)
            x, y = along(s)
            hdop = random.choice((None, None, None, 0.8, 12.0))
            rows.append(
                At(t_s=t, x_m=x + random.gauss(0, 3), y_m=y + aside + random.gauss(0, 3), hdop=hdop)
            )
    return rows


def fixes_of(rows: list[At]) -> list[Fix]:
    """Uncertainty: max(3 m, 2 sigma); sigma 4.5 m x HDOP, else 5 m (DETECTION section 1)."""
    out: list[Fix] = []
    for row in rows:
        lat, lon = place(row.x_m, row.y_m)
        u_m = 10.0 if row.hdop is None else max(3.0, 9 * row.hdop)
        out.append(Fix(BEGIN_MS + round(row.t_s * 1_000), lon, lat, u_m))
    return out


def said(finding: Finding) -> Said:
    """A finding in the second hand's words."""
    code, value = finding.code, finding.value
    if code == "ZONE_CROSSED":
        return f"{code} {value}", finding.at_ms, 0
    if code == "ZONE_EXITED":
        value = int(str(finding.data.get("unseen_s", 0)))
    if finding.phase.value != "point":
        code = f"{code} {finding.phase.value}"
    return code, finding.at_ms, float(value or 0)


def agree(ours: list[Said], theirs: list[Said]) -> None:
    ours, theirs = (sorted(some, key=lambda one: (one[1], one[0])) for some in (ours, theirs))
    assert [code for code, _, _ in ours] == [code for code, _, _ in theirs]
    for (code, at_ms, value), (_, their_ms, their_value) in zip(ours, theirs, strict=True):
        assert abs(at_ms - their_ms) <= 1, code
        assert value == pytest.approx(their_value, abs=1.5), code


def check_zone(seed: int) -> list[Said]:
    random = Random(seed)
    rings = random.choice(([U_SHAPE], [BOX, HOLE], [star(random)], [star(random)]))
    dwell_s = random.choice((None, 90))
    rows = drive_at_a_zone(random)
    book = book_of(polygon("z", *rings, **({} if dwell_s is None else {"dwell_s": dwell_s})))
    ours = [
        said(one) for one in play(book, [Unit().batch(*rows)]).findings if one.code in ZONE_CODES
    ]
    agree(ours, zone_hand([e7(list(ring)) for ring in rings], fixes_of(rows), dwell_s))
    return ours


def check_corridor(seed: int) -> list[Said]:
    random = Random(seed)
    rows = drive_on_the_road(random)
    book = book_of(line("r", ROAD, legal_m=2_000), route="r")
    points = [(int(x), int(y)) for x, y in book.versions[0].routes["r"].points.tolist()]
    found = play(book, [Unit().batch(*rows)]).findings
    ours = [said(one) for one in found if "ROUTE" in one.code]
    agree(ours, corridor_hand(points, fixes_of(rows), legal=2_000))
    return ours


def agreed(check: Check, seeds: range) -> set[str]:
    """The codes that were compared; one track in twenty may be left out because a chord is too close to call."""
    codes: set[str] = set()
    close = 0
    for seed in seeds:
        try:
            codes |= {code for code, _, _ in check(seed)}
        except CloseCallError:
            close += 1
    assert close <= len(seeds) / 20
    return codes


@pytest.mark.long
def test_both_hands_say_the_same_of_a_zone_on_seeded_tracks() -> None:
    seen = agreed(check_zone, range(ORDINARY))
    assert seen == {*ZONE_CODES[1:], "ZONE_CROSSED in", "ZONE_CROSSED out"}


@pytest.mark.long
def test_both_hands_say_the_same_of_a_corridor_on_seeded_tracks() -> None:
    assert len(agreed(check_corridor, range(ORDINARY))) >= 12  # of the fifteen codes and phases


@pytest.mark.slow
@pytest.mark.parametrize("check", [check_zone, check_corridor])
def test_both_hands_say_the_same_on_a_thousand_tracks(check: Check) -> None:
    agreed(check, range(ORDINARY, NIGHTLY))
