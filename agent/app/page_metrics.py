"""The unit's counters as Prometheus reads them (EDGE section 9).

Law: pure: numbers in, text out. A number that is not known is left out, never 0.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

PREFIX = "plomba_agent"

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Samples of one name."""

    name: str
    kind: str  # counter or gauge
    says: str
    samples: Sequence[tuple[Labels, float | None]]


def one(name: str, kind: str, says: str, value: float | None) -> Family:
    """A family of one sample without labels."""
    return Family(name=name, kind=kind, says=says, samples=(({}, value),))


def by(name: str, kind: str, says: str, label: str, values: Mapping[str, float]) -> Family:
    """A family with one label."""
    samples = [({label: word}, value) for word, value in sorted(values.items())]
    return Family(name=name, kind=kind, says=says, samples=samples)


def states(
    name: str, says: str, labels: Labels, label: str, states: Iterable[str], now: str
) -> Family:
    """1 for the state that is, 0 for the others."""
    samples = [({**labels, label: state}, float(state == now)) for state in states]
    return Family(name=name, kind="gauge", says=says, samples=samples)


def text(families: Iterable[Family]) -> bytes:
    """Prometheus' text format, 0.0.4."""
    return "".join(line for family in families for line in _lines(family)).encode()


def _lines(family: Family) -> Iterator[str]:
    samples = [(labels, value) for labels, value in family.samples if value is not None]
    if not samples:
        return
    name = f"{PREFIX}_{family.name}"
    yield f"# HELP {name} {family.says}\n# TYPE {name} {family.kind}\n"
    for labels, value in samples:
        said = ",".join(f'{label}="{_escaped(word)}"' for label, word in labels.items())
        yield f"{name}{{{said}}} {value:.15g}\n" if said else f"{name} {value:.15g}\n"


def _escaped(word: str) -> str:
    return word.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


_NUMBERS = (  # name, key of the status numbers, kind, what it is
    ("up_seconds", "up_s", "gauge", "Since this start"),
    ("rss_kib", "rss_kib", "gauge", "Memory that the process holds"),
    ("cpu_milliseconds_total", "cpu_ms", "counter", "Processor time of this process"),
    ("card_written_bytes_total", "written_bytes", "counter", "Sent towards disks by this process"),
    ("loop_lag_milliseconds_max", "lag_ms_max", "gauge", "Longest lag of the loop in this start"),
    ("free_bytes", "free_bytes", "gauge", "Free on the disk of the store"),
    ("free_inodes", "free_inodes", "gauge", "Inodes free there"),
    ("store_bytes", "store_bytes", "gauge", "Used by the store"),
    ("store_bytes_max", "store_bytes_max", "gauge", "What it may use"),
    ("store_spare_bytes", "spare_bytes", "gauge", "Receipted rows that stay while there is room"),
    ("store_pressure", "pressure", "gauge", "0 to 3; 4: only evidence is recorded"),
    ("store_aside_files", "aside_files", "gauge", "Damaged stores set aside"),
    ("batches_waiting", "batches_waiting", "gauge", "Batches without receipt"),
    ("urgent_waiting", "urgent_waiting", "gauge", "Urgent ones of them"),
    (
        "oldest_waiting_seconds",
        "oldest_waiting_s",
        "gauge",
        "Age of the oldest batch without receipt",
    ),
    ("batches_sealed_total", "sealed", "counter", "Batches committed in this start"),
    ("batches_sent_total", "sent", "counter", "Batches published in chain order"),
    ("batches_sent_early_total", "sent_early", "counter", "Early copies published"),
    ("batches_covered_total", "covered", "counter", "Batches that a receipt covers"),
    ("batches_stuck", "stuck", "gauge", "Batches that break the connection when sent"),
    (
        "evictions_ever_total",
        "evicted_ever",
        "counter",
        "Runs of batches dropped for space, for ever",
    ),
    ("starts_ever_total", "starts_ever", "counter", "Starts of the agent, for ever"),
    ("commits_total", "commits", "counter", "Transactions of this start"),
    (
        "commit_milliseconds_max",
        "commit_ms_max",
        "gauge",
        "Longest time from a full batch to its commit",
    ),
    ("commit_errors_ever_total", "commit_errors_ever", "counter", "Commits that failed, for ever"),
    ("commit_errors_total", "commit_errors", "counter", "Commits that failed in this start"),
    ("facts_waiting", "facts_waiting", "gauge", "Facts heard and not yet taken"),
    (
        "port_waits_total",
        "port_waits",
        "counter",
        "How often a port was not read because facts waited",
    ),
    ("records_waiting", "records_waiting", "gauge", "Records that wait for their commit"),
    (
        "records_dropped_total",
        "records_dropped",
        "counter",
        "Records dropped from memory because the store did not answer",
    ),
    ("records_without_room_total", "records_without_room", "counter", "Records given up for space"),
    ("acks_total", "acks", "counter", "Acknowledgements given to devices"),
    ("bytes_up_total", "bytes_up", "counter", "Envelopes published"),
    ("bytes_down_total", "bytes_down", "counter", "Messages received"),
    ("dials_total", "dials", "counter", "Connections tried"),
    ("refusals_total", "refusals", "counter", "CONNACKs other than 0"),
    ("receipts_total", "receipts", "counter", "Genuine receipts"),
    ("receipt_age_seconds", "receipt_age_s", "gauge", "Since the last receipt"),
    ("stalls_total", "stalls", "counter", "Times without an answer for 30 s"),
    ("rung", "rung", "gauge", "Step of the back-off between dials"),
    ("fix_age_seconds", "fix_age_s", "gauge", "Since the newest fix that was kept"),
    ("clock_offset_milliseconds", "clock_offset_ms", "gauge", "Our UTC less the system's clock"),
)
_LINK_STATES = (
    *(
        "absent",
        "busy",
        "opening",
        "hunting",
        "noise",
        "mute",
        "no_fix",
        "fix",
        "silent",
        "talking",
    ),
)
_UPLINK_STATES = ("down", "dialling", "greeting", "flowing", "stalled")
_CLOCKS = ("none", "rtc", "ntp", "gnss")
_STORES = ("ok", "full", "spill", "silent")


def families(
    numbers: Mapping[str, object], counters: Mapping[str, tuple[str, str, Mapping[str, int]]]
) -> Iterator[Family]:
    """All families: of the status numbers, and counters by name: (label, what it is, values)."""
    for name, key, kind, says in _NUMBERS:
        value = numbers.get(key)
        known = isinstance(value, int | float)
        yield one(name, kind, says, float(value) if known else None)  # type: ignore[arg-type]  # looked at a line above
    for name, (label, says, values) in counters.items():
        yield by(name, "counter", says, label, values)
    yield states(
        "uplink", "State of the line", {}, "state", _UPLINK_STATES, _word(numbers, "uplink")
    )
    yield states(
        "clock", "Source of the time", {}, "source", _CLOCKS, _word(numbers, "time_quality")
    )
    yield states("store", "State of the store", {}, "state", _STORES, _word(numbers, "store"))
    links = numbers.get("links")
    samples = [
        ({"link": str(link["name"]), "state": state}, float(link["state"] == state))
        for link in (links if isinstance(links, list) else [])
        for state in _LINK_STATES
    ]
    yield Family(name="link", kind="gauge", says="State of each link", samples=samples)


def _word(numbers: Mapping[str, object], key: str) -> str:
    return str(numbers.get(key))
