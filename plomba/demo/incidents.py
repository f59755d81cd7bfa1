"""What the demo's scenarios do, and whether the collector raised each of it exactly once.

Law: pure; the script stands here, in `configs/demo` stands how it is played.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.accounts import Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Something that one of the trucks does, `at_s` seconds after it starts."""

    at_s: int
    unit: str
    code: str
    words: str


SCRIPT = (
    Incident(at_s=30, unit="demo-1", code="SEAL_OPEN_UNAUTHORISED", words="the seal's rope is cut"),
    Incident(at_s=10, unit="demo-2", code="ROUTE_DEVIATION", words="leaves the prescribed road"),
    Incident(
        at_s=28,
        unit="demo-3",
        code="FORBIDDEN_ZONE",
        words="drives through a forbidden depot, without network",
    ),
)
OUTAGE_UNIT = "demo-3"
OUTAGE_S = (15, 36)  # the link of that truck is cut between these seconds
SCRIPT_S = 55  # after this long everything has happened and has been confirmed


def raised(findings: Sequence[Found]) -> dict[tuple[str, str], int]:
    """How often each alert began, by unit and code."""
    times: dict[tuple[str, str], int] = {}
    for finding in findings:
        if finding.level == "alert" and finding.phase in ("begin", "point"):
            key = (finding.unit, finding.code)
            times[key] = times.get(key, 0) + 1
    return times


def faults_of(findings: Sequence[Found], played_s: float) -> list[str]:
    """What is wrong with the alerts of a run that was played for so long; empty if nothing is."""
    times = raised(findings)
    faults = []
    for incident in SCRIPT:
        count = times.pop((incident.unit, incident.code), 0)
        if count != 1 and (count > 1 or played_s >= SCRIPT_S):
            faults.append(f"{incident.unit}: {incident.code} was raised {count} times, is 1")
    faults += [
        f"{unit}: {code} was raised {count} times, nothing of it was scripted"
        for (unit, code), count in times.items()
    ]
    return faults
