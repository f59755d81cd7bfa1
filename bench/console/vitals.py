"""How the console feels: largest paint, shifts of the layout, answers to keys and clicks (LCP, CLS, INP of web.dev).

Law: the line and the processor are slowed by the browser itself; the baseline is an empty page in the same browser.
"""

import statistics
from typing import TYPE_CHECKING

from bench.console.centre import Centre, Seat
from bench.console.figure import Figure, inp_p75, times_of

if TYPE_CHECKING:
    from collections.abc import Sequence

LCP_MS, INP_MS, CLS = 2_500, 200, 0.1
ROUNDS = 3
KEYS = (
    "j",
    "k",
    "?",
    "Escape",
    "/",
    "a",
    "b",
    "Escape",
    "b",
    "b",
)  # rows, help, search, the dim map
LINES = {  # bytes a second each way, a round trip, and how much slower the processor
    "LAN": None,
    "1.6 Mb/s, 150 ms, CPU / 4": (200_000, 150, 4),
}
_HOW = (
    f"The room opened {ROUNDS} times by somebody who is logged in, cache off; median of the largest paint, the worst sum of layout shifts. "
    "Then keys as in section 3, p75 of what the browser tells of them; one that it does not tell took under 16 ms and counts as 16."
)


def run(centre: Centre) -> "Sequence[Figure]":
    """LCP, CLS and INP on each line."""
    seat = centre.seat()
    seat.log_in(centre.url, "op-07")
    empty_ms = _empty_ms(seat, centre.url)
    figures: list[Figure] = []
    for name, line in LINES.items():
        _slow(seat, line)
        lcp: list[float] = []
        cls: list[float] = []
        for _ in range(ROUNDS):
            seat.open(centre.url)
            seat.page.wait_for_timeout(1_000)  # the map shifts nothing once it is there
            lcp.append(float(seat.ask("bench.lcp")))
            cls.append(float(seat.ask("bench.cls")))
        told = _pressed(seat)
        found = round(statistics.median(lcp))
        aim = 1 if line is None else None  # the goals are those of the LAN
        beside = times_of(found, empty_ms, "an empty page")
        figures += [
            _figure(f"LCP, {name}", found, "ms", aim and LCP_MS, beside),
            _figure(f"CLS, {name}", round(max(cls), 3), "", aim and CLS),
            _figure(f"INP p75, {name}", inp_p75(told, len(KEYS)), "ms", aim and INP_MS),
        ]
    seat.close()
    return figures


def _figure(
    what: str, found: float | None, unit: str, most: float | None, beside: str = ""
) -> Figure:
    return Figure(what=what, found=found, unit=unit, most=most, how=_HOW, beside=beside)


def _empty_ms(seat: Seat, url: str) -> float:
    """LCP of a page with one word in it, which no network brings."""
    page = seat.page
    empty = f"{url}/empty"
    page.route(
        empty, lambda route: route.fulfill(body="<!doctype html><p>word", content_type="text/html")
    )
    found = []
    for _ in range(ROUNDS):
        page.goto(empty)
        page.wait_for_timeout(300)
        found.append(float(seat.ask("bench.lcp")))
    page.unroute(empty)
    return round(statistics.median(found), 1)


def _slow(seat: Seat, line: tuple[int, int, int] | None) -> None:
    bytes_s, latency_ms, slower = line or (-1, 0, 1)
    seat.tools.send("Network.enable")
    seat.tools.send("Network.setCacheDisabled", {"cacheDisabled": True})
    seat.tools.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": latency_ms,
            "downloadThroughput": bytes_s,
            "uploadThroughput": bytes_s,
        },
    )
    seat.tools.send("Emulation.setCPUThrottlingRate", {"rate": slower})


def _pressed(seat: Seat) -> list[float]:
    """What the browser tells of the keys."""
    seat.page.click("#queue-list")
    before = len(seat.ask("[...bench.took.values()]"))
    for key in KEYS:
        seat.page.keyboard.press(key)
        seat.page.wait_for_timeout(150)
    seat.page.wait_for_timeout(500)
    return [float(one) for one in seat.ask("[...bench.took.values()]")][before:]
