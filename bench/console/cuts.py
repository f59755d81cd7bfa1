"""Seal cut on the line to row and marker in two browsers; and the same from the commit on.

The clock starts when the simulated lock is cut, before its frame crosses the serial line. Law: agent, collector and browsers are asked for
no time but that of the page's own frames; the commit is what another process reads in the store.
"""

import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from bench.console.centre import Centre, Seat, wait_for
from bench.console.figure import Figure, shares
from bench.officer import BenchError
from bench.simulator import Simulator
from bench.site import Site, Unit

SEEN_MS, PAINT_MS = 1_000, 200
USERS = ("op-03", "op-07")
TRUCKS = {"cut-1": "8000620011", "cut-2": "8000620012"}  # unit and its lock: they are cut in turns
ROPE_AFTER_S = 0.8
PAUSE_S = 1.2  # behind a cut, so 2.4 of one lock: more than 30 urgent records of a seal in a minute would be held back
SETTLE_S = 3.0
SERIAL_MS = 65  # one report of this lock at 9,600 baud
POLL_S = 0.004
WAIT_S = 15.0
_SCENARIO = """
scenario = {{ name = "console", seed = 1, start = "now", end_s = 86400 }}
track = {{ points = [[41.2, 69.2], [41.2, 70.2]], speed_km_h = 60 }}
receiver = {{ fix_after_s = 1, noise_m = 2.0 }}
seal = {{ id = "{seal_id}", armed = true, dynamic = false }}
"""
_NEWEST = "SELECT lower(hex(id)) FROM alert WHERE code = 'SEAL_OPEN_UNAUTHORISED'"
_ROW = "bench.rows.get('{id}')?.paintedMs ?? null"
_MARKER = (
    "bench.marks.marks.find((at) => at >= (bench.rows.get('{id}')?.cameMs ?? Infinity)) ?? null"
)
_CHOOSE = "(document.getElementById('band-{id}') ?? document.getElementById('row-{id}')).click()"
_HOW = (
    "Two real agents on simulated hardware behind ptys, cut in turns; two browsers of two operators. The row: the first task after the frame in which its element "
    "stood in the list. The marker: the frame in which the shapes of units were handed to the graphics for the first time after the row came (the console marks "
    "it). Each cut takes the later of both browsers. The name: from the key `a` in one browser to the first task after the frame in which the "
    "alert's detail in the other says who pressed it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One cut, in milliseconds after it; None: it never came."""

    stored_ms: float
    row_ms: float | None
    marker_ms: float | None
    named_ms: float | None = None  # after the key in one browser, in the other


@contextmanager
def trucks(site: Site) -> Iterator[Sequence[Simulator]]:
    """Trucks with their agents on this site, heard by the collector."""
    with ExitStack() as stack:
        hardware = [_truck(stack, site, *names) for names in TRUCKS.items()]
        for unit in site.units:
            wait_for(partial(_is_ready, site, unit), "the truck is heard")
        time.sleep(SETTLE_S)
        yield hardware


def _truck(stack: ExitStack, site: Site, unit_id: str, seal_id: str) -> Simulator:
    scenario = site.folder / f"{unit_id}.toml"
    scenario.write_text(_SCENARIO.format(seal_id=seal_id), encoding="utf-8")
    hardware = Simulator(scenario, site.folder / f"{unit_id}-hardware")
    stack.callback(hardware.close)
    unit = site.make_unit(unit_id, gps=hardware.gps, seal=hardware.seal, seal_id=seal_id)
    site.start_unit(unit)
    return hardware


def run(centre: Centre, hardware: Sequence[Simulator], cuts: int) -> Sequence[Figure]:
    """Cut so often, one truck after the other; p50 and p95."""
    seats = [centre.seat(), centre.seat()]
    for seat, user in zip(seats, USERS, strict=True):
        seat.log_in(centre.url, user)
    time.sleep(SETTLE_S)  # both have drawn their maps
    rng = random.Random(1)  # noqa: S311  # the phase against the receiver's seconds
    with closing(sqlite3.connect(f"file:{centre.site.store}?mode=ro", uri=True)) as store:
        found = [_cut(hardware[n % len(hardware)], store, seats, rng) for n in range(cuts)]
    for seat in seats:
        seat.close()
    return figures_of(found)


def figures_of(found: Sequence[Shown]) -> list[Figure]:
    """What the cuts say. A cut that was never seen is worse than any goal, so there is no p95 then."""
    rows = [one.row_ms for one in found if one.row_ms is not None]
    markers = [one.marker_ms for one in found if one.marker_ms is not None]
    paints = [one.row_ms - one.stored_ms for one in found if one.row_ms is not None]
    stored = shares([one.stored_ms for one in found], 0.5)[0]
    names = [one.named_ms for one in found if one.named_ms is not None]
    figures: list[Figure] = []
    for name, times, most in (
        ("seal cut to row", rows, SEEN_MS),
        ("seal cut to marker", markers, SEEN_MS),
        ("commit to painted row", paints, PAINT_MS),
        ("acknowledged to the name in the other browser", names, SEEN_MS),
    ):
        half, most_of_all = shares(times, 0.5, 0.95)
        unseen = len(found) - len(times)
        beside = f"{len(found)} cuts, {unseen} unseen" if unseen else f"{len(found)} cuts"
        if times is rows and stored is not None:
            beside += (
                f"; half of them stored after {stored:g} ms, {SERIAL_MS} of it the serial line"
            )
        figures += [
            Figure(what=f"{name}, p50", found=half, unit="ms", most=None, how=_HOW),
            Figure(
                what=f"{name}, p95",
                found=None if unseen else most_of_all,
                unit="ms",
                most=most,
                how=_HOW,
                beside=beside,
            ),
        ]
    return figures


def _cut(
    hardware: Simulator, store: sqlite3.Connection, seats: Sequence[Seat], rng: random.Random
) -> Shown:
    time.sleep(rng.random() / 2)
    before = _ids(store)
    said = hardware.do("cut")["monotonic_ms"]
    assert isinstance(said, int | float)
    cut_ms = float(said)
    new: set[str] = set()
    until = time.monotonic() + WAIT_S
    while not new and time.monotonic() < until:
        time.sleep(POLL_S)
        new = _ids(store) - before
    stored_ms = time.monotonic() * 1_000 - cut_ms
    time.sleep(ROPE_AFTER_S)
    hardware.do("rope_in")
    time.sleep(PAUSE_S - ROPE_AFTER_S)
    if not new:
        return Shown(stored_ms=stored_ms, row_ms=None, marker_ms=None)
    id_ = new.pop()
    seen = f"({_ROW}) !== null && ({_MARKER}) !== null".format(id=id_)
    with suppress(BenchError):  # a page that shows it too late has not shown it
        for seat in seats:
            seat.until(seen, "the alarm is seen", WAIT_S)
    rows = [_at(seat, _ROW.format(id=id_)) for seat in seats]
    markers = [_at(seat, _MARKER.format(id=id_)) for seat in seats]
    return Shown(
        stored_ms=stored_ms,
        row_ms=_later(rows, cut_ms),
        marker_ms=_later(markers, cut_ms),
        named_ms=_named(seats, id_),
    )


def _named(seats: Sequence[Seat], id_: str) -> float | None:
    """Acknowledge it in the first browser; when its name stands in the second. By now the row is old enough for a key."""
    mine, theirs = seats
    for seat in (mine, theirs):
        seat.ask(_CHOOSE.format(id=id_))  # without the mouse: the list stands still under it
    theirs.ask(f"(bench.namedMs = null, bench.awaited = '{USERS[0]}')")
    mine.page.keyboard.press("a")
    try:
        theirs.until("bench.namedMs !== null", "the name is seen", WAIT_S)
    except BenchError:
        return None
    pressed, named = _at(mine, "bench.pressedMs"), _at(theirs, "bench.namedMs")
    return None if pressed is None or named is None else named - pressed


def _ids(store: sqlite3.Connection) -> set[str]:
    return {str(row[0]) for row in store.execute(_NEWEST)}


def _at(seat: Seat, expression: str) -> float | None:
    """A time of the page on the monotonic axis."""
    said = seat.ask(expression)
    return None if said is None else float(said) + seat.ahead_ms


def _later(times: Sequence[float | None], cut_ms: float) -> float | None:
    known = [one for one in times if one is not None]
    return max(known) - cut_ms if len(known) == len(times) else None


def _is_ready(site: Site, unit: Unit) -> bool:
    """The lock is heard, the time is known, and the collector has given receipts."""
    status = site.status_of(unit) or {}
    links = status.get("links")
    talks = isinstance(links, list) and any(link["state"] == "talking" for link in links)
    return bool(talks and status.get("time_quality") == "gnss" and status.get("receipts"))
