"""docs/ACCURACY.md out of a report: figures beside their goals.

Law: writes what was measured; a goal that is missed says so.
"""

from typing import Any

GOALS = {  # DETECTION section 11
    "missed": 1.1,
    "extra": 1.7,
    "p95_s": 2.0,
    "possible": {"1": 99.1, "10": 98.7, "30": 94.8, "60": 88.8, "120": 77.1},
    "deep": {"1": 100.0, "10": 100.0, "30": 98.0, "60": 93.0, "120": 82.0},
    "by_route": 98.0,
    "by_route_extra": 1.0,
    "parked": {"1": 1.0, "10": 0.5, "30": 0.2},
}

# What stands between us and a goal, as looked up visit by visit; the rows above hold the figures.
OBSTACLES = (
    "Of the visits missed at 120 s one in five begins behind the last row of its track, and seven in ten lie beside the chord of their two fixes: "
    "no row is inside, and the straight way between them does not touch the zone. Most of the rest is seen at the right fixes and told at the "
    "wrong instant: the crossing is interpolated, the lorry waited meanwhile, and the match wants 30 s; counted by what such a finding says "
    "itself (somewhere between `t0` and `t1`) it is found. What reaches farther is the route: with it loaded the way along it stands for the chord."
)


def page(report: dict[str, Any]) -> str:
    """The whole page."""
    zones, parked = report["zones"], report["parked"]
    ours, flat = (zones["transitions"][name] for name in ("plomba", "flip_on_membership"))
    lines = [
        "# How accurate the detectors are",
        "",
        "Written by `plomba bench accuracy --write docs/ACCURACY.md` from the traces of DETECTION section 11; do not edit. The peers' rules",
        "(Tile38, Traccar, ThingsBoard) are those that they publish, written anew in `bench/accuracy/peers.py` and run on the same rows.",
        "",
        f"Machine: {report['machine']['cpu']}, Python {report['machine']['python']}, commit {report['machine']['commit']}.",
        "",
        f"## Transitions at 1 Hz: {zones['tracks']} tracks, {zones['hours']} h, 1,018 fences",
        "| rule | true | missed | extra | time error p95 |",
        "|---|---|---|---|---|",
        _transitions("flip on membership (Tile38, Traccar, ThingsBoard)", flat),
        _transitions("**Plomba**", ours),
        f"| goal | | <= {GOALS['missed']} % | <= {GOALS['extra']} % | <= {GOALS['p95_s']} s |",
        "",
        "Each rule is compared with itself on the tracks moved onto their true route.",
        "",
        "## 935 true visits, by the time between two fixes",
        "| | " + " | ".join(f"{name} s" for name in zones["visits"]) + " |",
        "|---|" + "---|" * len(zones["visits"]),
        _row("seen by points alone, %", zones["visits"], "by_points_percent"),
        _row("Plomba, confirmed, %", zones["visits"], "confirmed_percent"),
        _row("of these no visit, %", zones["visits"], "no_visit_percent"),
        _row("**Plomba, confirmed or possible, %**", zones["visits"], "possible_percent"),
        _goal("goal, no less", GOALS["possible"]),
        _row("**same, visits 25 m deep or more, %**", zones["visits"], "deep_percent"),
        _goal("goal, no less", GOALS["deep"]),
        _row("confirmed or possible by its own t0 to t1, %", zones["visits"], "window_percent"),
        _row("begun behind the last row, %", zones["visits"], "behind_last_percent"),
        "",
        OBSTACLES,
        "",
        _routed(report["by_route"]),
        "",
        f"## Parked on a border, {parked['days']} days, transitions a day",
        "| | 1 s | 10 s | 30 s |",
        "|---|---|---|---|",
        _row("flip on membership", _of(parked), "flip_on_membership_a_day"),
        _row("**Plomba**", _of(parked), "plomba_a_day"),
        _goal("goal, no more", GOALS["parked"]),
        "",
        "## Units that followed their route: every departure is false",
        "| tracks | hours | ROUTE_LEFT w 150 (goal 0) | w 100 per 100 h (goal <= 4) | DEVIATION, WRONG_WAY, PART_SKIPPED (goal 0) | 25 m x 1 (Traccar), 50 m x 1, 100 m x 3, per 100 h |",
        "|---|---|---|---|---|---|",
        *(_corridor(name, some) for name, some in report["corridor"].items()),
        _both(report["corridor"]),
        "",
        "## Tracks turned off by 30 degrees at a random point",
        _turned(report["turned"]),
        "",
        "## Jumps",
        _jumps(report["jumps"]),
        "",
    ]
    return "\n".join(lines)


def _transitions(name: str, some: dict[str, Any]) -> str:
    return (
        f"| {name} | {some['truth']:,} | {some['missed_percent']} % | {some['extra_percent']} % "
        f"| {some['time_error_p95_s']} s |"
    )


def _row(name: str, columns: dict[str, Any], key: str) -> str:
    return f"| {name} | " + " | ".join(f"{column[key]:,}" for column in columns.values()) + " |"


def _goal(name: str, goals: Any) -> str:  # noqa: ANN401  # a row of the table above
    return f"| {name} | " + " | ".join(str(goal) for goal in goals.values()) + " |"


def _of(parked: dict[str, Any]) -> dict[str, Any]:
    return {name: parked[name] for name in ("1", "10", "30")}


def _corridor(name: str, some: dict[str, Any]) -> str:
    wide, narrow = (some["plomba_by_half_width_m"][width] for width in ("150", "100"))
    others = [wide[code] for code in ("ROUTE_DEVIATION", "ROUTE_WRONG_WAY", "ROUTE_PART_SKIPPED")]
    peers = ", ".join(str(value) for value in some["peers_per_100_h"].values())
    per_100_h = round(100 * narrow["ROUTE_LEFT"] / some["hours"], 1)
    return (
        f"| {name}: {some['tracks']} | {some['hours']} | {wide['ROUTE_LEFT']} | {per_100_h} "
        f"| {', '.join(map(str, others))} | {peers} |"
    )


def _both(corridors: dict[str, Any]) -> str:
    hours = sum(some["hours"] for some in corridors.values())
    left = {
        width: sum(
            some["plomba_by_half_width_m"][width]["ROUTE_LEFT"] for some in corridors.values()
        )
        for width in ("150", "100")
    }
    tracks = sum(some["tracks"] for some in corridors.values())
    per_100_h = round(100 * left["100"] / hours, 1)
    return f"| both: {tracks} | {round(hours, 1)} | {left['150']} | {per_100_h} | | |"


def _routed(some: dict[str, Any]) -> str:
    return (
        f"With the route loaded, at 60 s: {some['confirmed_percent']} % confirmed (goal {GOALS['by_route']} %), "
        f"{some['no_visit_percent']} % of them no visit (goal <= {GOALS['by_route_extra']} %). "
        f"{some['behind_last_percent']} % begin behind the last row of their track, where nothing can be seen."
    )


def _turned(some: dict[str, Any]) -> str:
    return (
        f"{some['told']} of {some['turned']} told, {some['told_after_s_p50']} s (median) and {some['told_after_s_p95']} s (p95) after the "
        f"half width was passed for good; `at` is off by {some['at_error_s_p95']} s (p95)."
    )


def _jumps(some: dict[str, Any]) -> str:
    return (
        f"{some['positions']:,} positions of all traces: {some['teleports_said']} `teleport` said (goal 0), where a filter by speed alone "
        f"(200 km/h) would drop {some['steps_over_200_km_h']}. Of {some['put_in']} jumps of 3 km put in, {some['put_in_found']} found."
    )
