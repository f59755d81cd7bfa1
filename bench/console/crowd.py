"""Many moving units on the map, and many alarms in the queue.

Law: what the page's main thread does is the browser's own count; a frame is one upload of the units' dots, which the map does only for news.
"""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from bench.console.centre import Centre, Seat, wait_for
from bench.console.figure import Figure, growth_percent, inp_p75, shares
from bench.console.fleet import FIX_EVERY_S, Fleet, Truck

SNAPSHOT_MS, INSERT_MS, INP_MS, HEAP_PERCENT = 50, 10, 200, 10
FEW_UNITS = 10_000
FRAME_MS_FEW, FRAME_MS_MANY = 4, 6
WINDOW_S = 10
ROUNDS = 10
FEW, MANY = 200, 5_000
FILL_S_MAX = 240.0
KEYS = "jjjjjkkkkk"
HEAP_FROM_MINUTE = 5
_FRAMES = "bench.frames"
_RESET = "bench.source.dispatchEvent(new MessageEvent('reset', {data: '{\"why\": \"old\"}'}))"
_SNAPSHOTS = "performance.getEntriesByType('resource').filter((one) => one.name.includes('/live/snapshot')).map((one) => one.responseEnd)"
_DRAWN = "bench.marks.points"
_LISTED = "Number(document.querySelector('#queue-list [aria-setsize]')?.getAttribute('aria-setsize') ?? 0)"
_TO_THE_END = "document.querySelector('#queue-list').scrollTop = 1e9"
_INSERTS = (
    "[...bench.rows.values()].filter((row) => row.insertMs !== null).map((row) => row.insertMs)"
)
_FRAME_HOW = (
    f"A simulated fleet sends signed batches of one fix over MQTT; {WINDOW_S} s in which the browser counts the page's work. A frame: one upload of "
    "the dots that changed; the work between frames (news decoded, queue, ages, sound) is counted to it. Pictures a second say nothing without a graphics card. "
    f"Snapshot to pixels: from the last byte of the snapshot to the upload in the frame that shows it, median of {ROUNDS}."
)
_ALARM_HOW = (
    "Alarms are units whose signed history begins twice (LOG_INTEGRITY, critical, so each stands alone). An insert: from the event of the stream to "
    f"the row in the document with styles and layout done, all of it on the main thread, at the end of the list, where it comes in; median of {ROUNDS}. "
    "Keys: `j` and `k` through the list."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a page did in a window."""

    task_s: float
    frames: int
    seconds: float

    @property
    def frame_ms(self) -> float | None:
        return round(self.task_s * 1_000 / self.frames, 1) if self.frames else None


def fill(centre: Centre, fleet: Fleet) -> None:
    """Every unit has begun and is stored."""
    fleet.connect(centre.site.mqtt_port)
    fleet.begin(fleet.trucks)
    _stored(centre, "unit_now", len(fleet.trucks))


def units(centre: Centre, fleet: Fleet) -> Sequence[Figure]:
    """Main thread a frame while they move, and from the snapshot to pixels."""
    many = len(fleet.trucks)
    seat = centre.seat(own_stream=True)
    seat.log_in(centre.url, "op-07")
    seat.until(f"{_FRAMES} > 0", "the units are drawn")  # what stands still is drawn once
    before = fleet.sent
    begin = time.monotonic()
    with fleet.driving(min(many, FEW_UNITS) / FIX_EVERY_S):
        time.sleep(2)
        work = _worked(seat, WINDOW_S)
        pixels = [_to_pixels(seat) for _ in range(ROUNDS)]
        fixes_s = (fleet.sent - before) / (time.monotonic() - begin)
    seat.close()
    found = [one for one in pixels if one is not None]
    name = f"{many:,} units"
    return [
        Figure(
            what=f"{name}: main thread a frame",
            found=work.frame_ms,
            unit="ms",
            most=FRAME_MS_FEW if many <= FEW_UNITS else FRAME_MS_MANY,
            how=_FRAME_HOW,
            beside=f"{work.frames / work.seconds:.1f} frames a second, {work.task_s / work.seconds * 100:.0f} % of the thread, "
            f"{fixes_s:.0f} fixes a second",
        ),
        Figure(
            what=f"{name}: snapshot to pixels",
            found=shares(found, 0.5)[0],
            unit="ms",
            most=SNAPSHOT_MS if many <= FEW_UNITS else None,
            how=_FRAME_HOW,
            beside=f"{len(found)} of {ROUNDS}",
        ),
    ]


def alarms(centre: Centre, fleet: Fleet) -> Sequence[Figure]:
    """What one more alarm costs beside 200 and beside 5,000, and keys in the long list."""
    left = iter(fleet.trucks)
    figures: list[Figure] = []
    raised = 0
    for many, most in ((FEW, INSERT_MS), (min(MANY, len(fleet.trucks) - 4 * ROUNDS), None)):
        fleet.begin(next(left) for _ in range(many - raised))
        _stored(centre, "alert", many)
        seat = centre.seat(own_stream=True)
        seat.log_in(centre.url, "op-03")
        seat.until(f"{_LISTED} >= {many}", f"{many} rows are listed")
        seat.ask(_TO_THE_END)  # where the newest critical comes in: the oldest stands first
        time.sleep(1)
        for number in range(1, ROUNDS + 1):
            _raise_one(seat, fleet, next(left), many + number)
        raised = many + ROUNDS
        figures.append(
            Figure(
                what=f"one more row beside {many:,}",
                found=shares([float(one) for one in seat.ask(_INSERTS)], 0.5)[0],
                unit="ms",
                most=most,
                how=_ALARM_HOW,
            )
        )
        if many > FEW:
            figures.append(
                Figure(
                    what=f"INP p75 in a list of {raised:,}",
                    found=inp_p75(_pressed(seat), len(KEYS)),
                    unit="ms",
                    most=INP_MS,
                    how=_ALARM_HOW,
                )
            )
        seat.close()
    return figures


def soak(centre: Centre, fleet: Fleet, minutes: int) -> Sequence[Figure]:
    """The heap after a collection, at minute 5 (or half-way, if it is over sooner) and at the end."""
    first = min(HEAP_FROM_MINUTE, minutes / 2)
    seat = centre.seat()
    seat.log_in(centre.url, "op-07")
    with fleet.driving(len(fleet.trucks) / FIX_EVERY_S):
        time.sleep(first * 60)
        before = _heap(seat)
        time.sleep((minutes - first) * 60)
        after = _heap(seat)
    seat.close()
    return [
        Figure(
            what=f"heap, minute {first:g} to {minutes}",
            found=growth_percent(before, after),
            unit="%",
            most=HEAP_PERCENT,
            how=f"{len(fleet.trucks):,} units, a fix in {FIX_EVERY_S} s each; JSHeapUsedSize after a forced collection.",
            beside=f"{before / 1e6:.1f} MB, then {after / 1e6:.1f} MB",
        )
    ]


def _worked(seat: Seat, seconds: float) -> Work:
    frames, before, begin = int(seat.ask(_FRAMES)), seat.metrics(), time.monotonic()
    time.sleep(seconds)
    after = seat.metrics()
    return Work(
        task_s=after["TaskDuration"] - before["TaskDuration"],
        frames=int(seat.ask(_FRAMES)) - frames,
        seconds=time.monotonic() - begin,
    )


def _to_pixels(seat: Seat) -> float | None:
    """The server says `reset`, as it does to who is far behind: the snapshot is loaded anew and drawn."""
    had = len(seat.ask(_SNAPSHOTS))
    seat.ask(_RESET)
    seat.until(f"{_SNAPSHOTS}.length > {had}", "the snapshot came")
    came = float(seat.ask(_SNAPSHOTS)[-1])
    time.sleep(0.5)
    drawn = [float(at) for at in seat.ask(_DRAWN) if at >= came]
    return drawn[0] - came if drawn else None


def _raise_one(seat: Seat, fleet: Fleet, truck: Truck, rows: int) -> None:
    seat.ask(_TO_THE_END)  # of a long list only what is near the eye stands in the document
    stood = int(seat.ask("bench.rows.size"))
    fleet.begin([truck])
    seat.until(f"{_LISTED} >= {rows} && bench.rows.size > {stood}", "the alarm stands in the list")


def _pressed(seat: Seat) -> list[float]:
    seat.page.locator("#queue-list").focus()
    before = len(seat.ask("[...bench.took.values()]"))
    for key in KEYS:
        seat.page.keyboard.press(key)
        seat.page.wait_for_timeout(150)
    seat.page.wait_for_timeout(1_000)
    return [float(one) for one in seat.ask("[...bench.took.values()]")][before:]


def _heap(seat: Seat) -> float:
    seat.tools.send("HeapProfiler.collectGarbage")
    return seat.metrics()["JSHeapUsedSize"]


def _stored(centre: Centre, table: str, rows: int) -> None:
    """Until the store has so many."""
    with closing(sqlite3.connect(f"file:{centre.site.store}?mode=ro", uri=True)) as store:
        wait_for(
            lambda: store.execute(f"SELECT count(*) FROM {table}").fetchone()[0] >= rows,  # noqa: S608  # our own words
            f"{rows} rows of {table}",
            FILL_S_MAX,
        )
