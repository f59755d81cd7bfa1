"""What the demo shows: trucks, alerts and the script, drawn anew twice a second.

Law: an old position is shown as old, an unknown one as unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bench.accounts import Found
from plomba.demo.incidents import SCRIPT, raised

ALERTS_MAX = 8  # newest; a terminal of 24 lines holds them
STALE_S = 10  # a truck that says a fix each second and was not heard for so long is shown as old


@dataclass(frozen=True, slots=True, kw_only=True)
class TruckView:
    """One row of the table; None: not known."""

    unit: str
    link_up: bool
    running: bool
    records: int | None
    waiting: int | None
    covered: int | None  # batches with a receipt
    lat: float | None = None
    lon: float | None = None
    age_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that is on the screen."""

    played_s: float
    trucks: Sequence[TruckView]
    findings: Sequence[Found] = ()
    notes: Sequence[str] = ()
    totals: Mapping[str, int] = field(default_factory=dict)


def draw(view: View) -> RenderableType:
    """The whole screen."""
    return Group(
        _trucks(view),
        _alerts(view),
        _script(view),
        *(Text(note, style="dim") for note in view.notes),
    )


def _trucks(view: View) -> Table:
    table = Table(
        title=f"Plomba demo, {view.played_s:.0f} s (demo rules)", expand=True, title_justify="left"
    )
    for name in (
        "unit",
        "network",
        "records",
        "waiting on the unit",
        "receipts",
        "place at the centre",
        "this place is",
    ):
        table.add_column(name, no_wrap=True)
    for truck in view.trucks:
        place = (
            "unknown"
            if truck.lat is None or truck.lon is None
            else f"{truck.lat:.5f} {truck.lon:.5f}"
        )
        table.add_row(
            truck.unit,
            Text("up", style="green") if truck.link_up else Text("cut", style="bold red"),
            _number(truck.records) if truck.running else "agent is starting",
            _waiting(truck.waiting),
            "none yet" if not truck.covered else f"{truck.covered} batches",
            place,
            _age(truck.age_s),
        )
    return table


def _alerts(view: View) -> Panel:
    lines = [
        Text.assemble(
            (f"{finding.unit:8}", "bold"),
            f" {finding.code}",
            f" {finding.value}" if finding.value is not None else "",
            (" ends" if finding.phase == "end" else ""),
            (
                f"  told {(finding.received_ms - finding.at_ms) / 1000:.1f} s after it happened"
                if finding.received_ms
                else "",
                "dim",
            ),
            (" late" if finding.late else "", "yellow"),
            style="red" if finding.phase in ("begin", "point") else "green",
        )
        for finding in [one for one in view.findings if one.level == "alert"][-ALERTS_MAX:]
    ]
    return Panel(
        Group(*lines) if lines else Text("none yet", style="dim"),
        title="alerts",
        title_align="left",
    )


def _script(view: View) -> Table:
    table = Table.grid(padding=(0, 2))
    times = raised(view.findings)
    for incident in SCRIPT:
        count = times.get((incident.unit, incident.code), 0)
        mark = (
            f"raised {count} time{'s' if count != 1 else ''}"
            if count
            else "to come"
            if view.played_s < incident.at_s
            else "awaited"
        )
        table.add_row(
            f"{incident.at_s:3} s",
            incident.unit,
            incident.words,
            incident.code,
            Text(mark, style="bold" if count else "dim"),
        )
    return table


def _number(value: int | None) -> str:
    return "unknown" if value is None else str(value)


def _waiting(value: int | None) -> Text:
    if value is None:
        return Text("unknown")
    return Text(f"{value} batch{'es' if value != 1 else ''}", style="yellow" if value > 2 else "")


def _age(age_s: float | None) -> Text:
    if age_s is None:
        return Text("unknown")
    return Text(f"{age_s:.0f} s old", style="bold yellow" if age_s > STALE_S else "")
