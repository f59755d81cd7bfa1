"""All parts of the console's numbers in their order, each with the load of the machine at its time.

Law: a part that could not be carried out is a figure that was not taken, with its reason; the others go on.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from bench.console import crowd, cuts, stream, vitals, weights
from bench.console.centre import Centre, chromium, collector, failures
from bench.console.figure import Figure, missed
from bench.console.fleet import enroller, made
from bench.machine import machine
from bench.officer import LCP_MS_MAX, STORED_MS_MAX, run as ask_officer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TITLES = {
    "weight": "First load",
    "vitals": "How it feels",
    "cuts": "A seal is cut",
    "units": "Moving units",
    "stream": "The stream",
    "soak": "A long watch",
    "alarms": "Many alarms",
    "crowd": "A crowd of units",
    "officer": "The officer on a slow line",
}
ANSWER_GZ_BYTES = 14_000  # CONSOLE section 11: the first response
OFFICER_ROUNDS = 3
FLEET, CROWD = 10_000, 50_000
ASKED_FOR = "soak"  # only when minutes for it are named


Take = Callable[[str, Callable[[], Sequence[Figure]]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of the numbers is wanted."""

    names: Sequence[str]
    cuts: int = 50
    soak_minutes: int = 0
    units: int = FLEET
    crowd: int = CROWD


@dataclass(slots=True, kw_only=True)
class Report:
    """What was found."""

    machine: dict[str, object]
    parts: dict[str, Sequence[Figure]]

    def plain(self) -> dict[str, object]:
        """As nested plain values."""
        figures = [figure for part in self.parts.values() for figure in part]
        return {
            "machine": self.machine,
            "parts": {
                name: [asdict(figure) | {"is_met": figure.is_met} for figure in part]
                for name, part in self.parts.items()
            },
            "missed": missed(figures),
        }


def run(asked: Asked, say: Callable[[str], object]) -> Report:
    """Every part that is wanted. BenchError if there is no browser at all."""
    parts: dict[str, Sequence[Figure]] = {}

    def take(name: str, measure: Callable[[], Sequence[Figure]]) -> None:
        if name not in asked.names:
            return
        say(f"{TITLES[name]} ...")
        try:
            found = measure()
        except failures() as error:
            found = [not_taken(TITLES[name], str(error))]
        load = os.getloadavg()[0]
        parts[TITLES[name]] = [replace(figure, load=load) for figure in found]

    take("weight", lambda: weights.run(os.getloadavg()[0]))
    with chromium() as browser:
        about = machine() | {"browser": f"Chromium {browser.version}"}
        _on_trucks(browser, asked, take)
        _on_a_fleet(browser, asked, take)
        _on_a_crowd(browser, asked, take)
    take("officer", lambda: officer_figures(ask_officer(OFFICER_ROUNDS)))
    return Report(machine=about, parts=parts)


def not_taken(title: str, why: str) -> Figure:
    """The line of a part that failed."""
    how = f"Not taken: {' '.join(why.split())}"
    return Figure(what=title, found=None, unit="", most=0, how=how)


def officer_figures(report: Mapping[str, object]) -> list[Figure]:
    """The officer's numbers as `plomba bench officer` found them."""
    on, off = report["scripts_on"], report["scripts_off"]
    assert isinstance(on, dict)
    assert isinstance(off, dict)
    how = (
        "`plomba bench officer`: 50 kb/s, 2 s a round trip, a sixth of the processor, a warm connection; medians. Two seconds of the paint are the "
        "round trip itself."
    )
    rows: list[tuple[str, float | None, str, float | None]] = [
        ("LCP, scripts on", on["lcp_ms"], "ms", LCP_MS_MAX),
        ("first paint, scripts off", off["paint_ms"], "ms", LCP_MS_MAX),
        ("stored answer, offline", on["stored_ms"], "ms", STORED_MS_MAX),
        ("the answer, whole", on["page_gz_bytes"], "bytes gz", ANSWER_GZ_BYTES),
    ]
    return [
        Figure(what=what, found=found, unit=unit, most=most, how=how)
        for what, found, unit, most in rows
    ]


def _on_trucks(browser: "Browser", asked: Asked, take: Take) -> None:
    """A site with two real trucks: how the room feels, and how soon an alarm is seen."""

    def measure(stack: ExitStack) -> None:
        site = stack.enter_context(collector())
        hardware = stack.enter_context(cuts.trucks(site))
        centre = Centre(site=site, browser=browser)
        take("vitals", lambda: vitals.run(centre))
        take("cuts", lambda: cuts.run(centre, hardware, asked.cuts))

    _with_site(("vitals", "cuts"), asked, take, measure)


def _on_a_fleet(browser: "Browser", asked: Asked, take: Take) -> None:
    """A site with a simulated fleet. The alarms come last: they stay."""

    def measure(stack: ExitStack) -> None:
        fleet = made(asked.units, "fleet")
        site = stack.enter_context(collector(enroller(fleet)))
        centre = Centre(site=site, browser=browser)
        stack.callback(fleet.close)
        crowd.fill(centre, fleet)
        take("units", lambda: crowd.units(centre, fleet))
        take("stream", lambda: stream.run(site, fleet))
        take("soak", lambda: crowd.soak(centre, fleet, asked.soak_minutes))
        take("alarms", lambda: crowd.alarms(centre, fleet))

    _with_site(("units", "stream", "soak", "alarms"), asked, take, measure)


def _on_a_crowd(browser: "Browser", asked: Asked, take: Take) -> None:
    """A site with more units than one country has."""

    def measure(stack: ExitStack) -> None:
        fleet = made(asked.crowd, "crowd")
        centre = Centre(site=stack.enter_context(collector(enroller(fleet))), browser=browser)
        stack.callback(fleet.close)
        crowd.fill(centre, fleet)
        take("crowd", lambda: crowd.units(centre, fleet))

    _with_site(("crowd",), asked, take, measure)


def _with_site(
    names: Sequence[str], asked: Asked, take: Take, measure: Callable[[ExitStack], None]
) -> None:
    """Measure on a site of its own; if it does not come up, none of these parts was taken."""
    wanted = [name for name in names if name in asked.names]
    if not wanted:
        return
    with ExitStack() as stack:
        try:
            measure(stack)
        except failures() as error:
            for name in wanted:
                take(name, partial(_raise, error))


def _raise(error: Exception) -> Sequence[Figure]:
    raise error
