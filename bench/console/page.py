"""docs/NUMBERS.md out of a report.

Law: writes what was measured; a goal that is missed says so, and so does a machine that was busy with other work.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.console.figure import QUIET_LOAD_A_CORE, Figure

MET = {True: "yes", False: "**no**", None: ""}
ELSEWHERE = (  # CONSOLE section 11, in its order
    "rows lost or doubled under seeded cuts, a client that does not read, 200 streams, `reset`: `tests/collector/api` and `tests/live`",
    "queue, ack in the other browser, flood, CSP, axe on each screen: `tests/live/test_browser_room.py`, `test_officer_axe.py`",
    "seven windows, one sound, 412, shelve, backlog, gap, amber and veil: `tests/live/test_browser_plays.py`",
    "never green: `tests/collector/customs`, `tests/live/test_officer_page.py`",
    "seal cut to the stored alert, without a browser: `bench/latency.py`; the snapshot packed and zipped: `plomba bench live`",
)


def page(parts: Mapping[str, Sequence[Figure]], machine: Mapping[str, Any]) -> str:
    """The whole page: a table for each part."""
    figures = [figure for part in parts.values() for figure in part]
    aimed = [figure for figure in figures if figure.most is not None]
    lines = [
        "# The console in numbers",
        "",
        "Written by `plomba bench console --write docs/NUMBERS.md`; do not edit. The goals are those of the console's design (section 11). Collector,",
        "broker and browser are real; agents are real where a part says so, else a simulated fleet signs its batches and sends them over MQTT.",
        "",
        _machine(machine),
        f"Goals met: {sum(figure.is_met is True for figure in aimed)} of {len(aimed)}. {_quiet(figures, machine)}",
        "",
    ]
    for name, part in parts.items():
        lines += [
            f"## {name}",
            "| what | found | goal, at most | met | beside | load |",
            "|---|---|---|---|---|---|",
            *(_row(figure) for figure in part),
            "",
            *(f"- {how}" for how in dict.fromkeys(figure.how for figure in part if figure.how)),
            "",
        ]
    lines += ["## Held elsewhere", *(f"- {one}" for one in ELSEWHERE), ""]
    return "\n".join(lines)


def _machine(machine: Mapping[str, Any]) -> str:
    return (
        f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}, "
        f"{machine.get('browser', 'no browser')}, commit {machine['commit']}."
    )


def _row(figure: Figure) -> str:
    found = "not taken" if figure.found is None else f"{figure.found:,g} {figure.unit}"
    most = "" if figure.most is None else f"{figure.most:,g} {figure.unit}"
    return f"| {figure.what} | {found} | {most} | {MET[figure.is_met]} | {figure.beside} | {figure.load:.1f} |"


def _quiet(figures: Sequence[Figure], machine: Mapping[str, Any]) -> str:
    most = max((figure.load for figure in figures), default=0.0)
    if most <= QUIET_LOAD_A_CORE * float(machine["cores"]):
        return f"The load average stayed under {most + 0.05:.1f}."
    return (
        f"The load average reached {most:.1f} on {machine['cores']} cores: with other work beside them the times here are "
        "no better than an upper bound, and a goal that is missed is not proven missed."
    )
