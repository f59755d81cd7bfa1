"""Every fault of EDGE section 12 that a drill can make, by name and group.

Law: a table. What cannot be made on this machine is left out by name and reason, never in silence.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.relay import Weather
from bench.relay_mqtt import Kind

GROUPS = {
    "kill": "kill -9 of agents, collector and broker at any moment, and a wiped broker store",
    "points": "kill -9 of an agent at each named point of its rooms, k-th call",
    "stop": "SIGSTOP for 5 s, then SIGCONT",
    "broker": "connections dropped after CONNACK, PUBACK or n bytes; a deaf broker; one that refuses",
    "network": "the line cut, 30 % of the connections lost, 20 kbit/s with 3 s of delay",
    "clock": "the unit's system clock stepped by days and years, while it runs and before it starts",
    "collector": "the collector's store restored from an older backup: units send again from their spare, also one that is just reading back two damaged files",
    "disk": "the unit's disk full, without inodes, full or read-only when it starts",
}
USUAL = ("kill",)
LONG_STOP_S = 300.0
SPOILT_TWICE = "spoilt again while read back, then restored"
ON_A_DISK = ("spill:", "evict:")  # points that a small disk of the unit's own is needed for
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
OFTEN = ("ack", "publish", "puback", "receipt", "start:", "store:")  # reached within seconds
_AT = re.compile(r'(?:\b|_)at\("([a-z_]+(?::[a-z_]+)?)"\)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that can go wrong."""

    name: str
    group: str
    weight: float = 1.0  # how often, among those that were chosen
    seconds: tuple[float, float] = (0.0, 0.0)  # how long it lasts
    weather: Weather | None = None  # on the line of one unit
    clock: str | None = None  # in libfaketime's words
    point: str | None = None  # where the agent dies


def table(*, long_stop: bool = False) -> tuple[Fault, ...]:
    """All of them."""
    stop_s = (5.0, 5.0)
    faults = [
        Fault(name="agent", group="kill", weight=6.0),
        Fault(name="agent at a named point", group="kill"),
        Fault(name="collector", group="kill"),
        Fault(name="broker", group="kill"),
        Fault(name="broker wiped", group="kill", weight=0.3),
        *(Fault(name=f"at {point}", group="points", point=point) for point in points()),
        Fault(name="agent stopped", group="stop", seconds=stop_s),
        Fault(name="collector stopped", group="stop", weight=0.5, seconds=stop_s),
        Fault(name="broker stopped", group="stop", weight=0.5, seconds=stop_s),
        *_weathers(),
        Fault(name="clock 14 days back", group="clock", seconds=(6, 12), clock="-14d"),
        Fault(name="clock 10 years ahead", group="clock", seconds=(6, 12), clock="+3650d"),
        Fault(name="started 1,024 weeks back", group="clock", seconds=(6, 12), clock="-7168d"),
        Fault(name="collector restored", group="collector", weight=0.5),
        Fault(name=SPOILT_TWICE, group="collector", weight=0.2),
        Fault(name="disk full", group="disk", seconds=(6, 10)),
        Fault(name="disk without inodes", group="disk", seconds=(6, 10)),
        Fault(name="disk full at the start", group="disk", seconds=(6, 10)),
        Fault(name="disk read-only at the start", group="disk", seconds=(6, 10)),
    ]
    if long_stop:
        span = (LONG_STOP_S, LONG_STOP_S)
        faults.append(Fault(name="agent stopped long", group="stop", weight=0.1, seconds=span))
    return tuple(faults)


def _weathers() -> Iterable[Fault]:
    """The broker's faults and the network's, as the relay makes them."""
    for name, group, weather in (
        ("drops after CONNACK", "broker", Weather(drop_after=Kind.CONNACK)),
        ("drops after PUBACK", "broker", Weather(drop_after=Kind.PUBACK, drop_after_n=4)),
        ("drops after 3,000 bytes", "broker", Weather(drop_after_bytes=3_000)),
        ("deaf broker", "broker", Weather(deaf=True)),
        ("refusing broker", "broker", Weather(refuses=True)),
        ("line cut", "network", Weather(refuses=True)),
        ("30 % lost", "network", Weather(loss=0.3)),
        ("20 kbit/s, 3 s", "network", Weather(bytes_s=2_500, delay_s=3.0)),
    ):
        yield Fault(name=name, group=group, weather=weather, seconds=(8.0, 16.0))


def chosen(groups: Sequence[str], *, long_stop: bool = False) -> tuple[Fault, ...]:
    """The faults of these groups; ValueError if one is unknown."""
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such faults; there are {', '.join(GROUPS)}")
    return tuple(one for one in table(long_stop=long_stop) if one.group in groups)


def skipped(faults: Iterable[Fault]) -> dict[str, str]:
    """Those that this machine cannot make, each with its reason."""
    found = {}
    for fault in faults:
        if fault.group == "disk" and os.geteuid() != 0:
            found[fault.name] = "needs root: it mounts a small file system"
        if (fault.point or "").startswith(ON_A_DISK) and os.geteuid() != 0:
            found[fault.name] = "needs root: it makes a small file system full or read-only"
        if fault.group == "clock" and not FAKETIME.exists():
            found[fault.name] = "libfaketime is not installed: apt-get install libfaketime"
    return found


def usual_points() -> tuple[str, ...]:
    """Those to which every unit in flow comes again and again; receipts are carried out by 64, so not `covered`."""
    return tuple(one for one in points() if one.startswith(OFTEN) and one != "store:covered")


def points() -> tuple[str, ...]:
    """Every named point of the agent's rooms, read from the rooms themselves."""
    folder = Path(__file__).resolve().parents[2] / "agent"
    found = {
        name
        for file in folder.rglob("*.py")
        for name in _AT.findall(file.read_text(encoding="utf-8"))
    }
    return tuple(sorted(found))
