"""Every reader against hostile bytes: what is raised, how much memory it takes, whether the cutting matters, how fast it is.

The same seed and number of lumps is the same run. Bytes a second are of runs without tracing; memory is what the reader holds and what
it takes for one read, the facts that it hands over not counted.
"""

import gc
import time
import traceback
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from bench.hostile import Target, cuts, lump, targets
from bench.machine import machine
from devices import READER_MEMORY_BYTES_MAX, Fact, Odd, Reader

READ_BYTES_MAX = 4_096  # as the ports hand them over
START_MS = 1_800_000_000_000
SESSION_LUMPS = 50  # heard by one reader
TRACED_EVERY, COMPARED_EVERY = 4, 8  # of the sessions, of the lumps
STEPS_MS = (0, 0, 0, 1, 40, 300, 1_000, 11_000, 600_000, -5_000)  # clocks are set, too
ODD_EVERY_MS = 10_000
FAILURES_SHOWN_MAX = 5

Tell = Callable[[str], None]


@dataclass(slots=True)
class Account:
    """What befell one reader."""

    lumps: int = 0
    bytes: int = 0
    timed_bytes: int = 0
    timed_s: float = 0.0
    facts: Counter[str] = field(default_factory=Counter)
    exceptions: int = 0
    differences: int = 0  # the cutting changed a fact or a counter
    remarks_too_often: int = 0
    memory_bytes_max: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        faults = self.exceptions + self.differences + self.remarks_too_often
        return not faults and self.memory_bytes_max < READER_MEMORY_BYTES_MAX

    def fail(self, name: str, seed: int, lump_no: int) -> None:
        self.exceptions += 1
        if len(self.failures) < FAILURES_SHOWN_MAX:
            where = f"{name}, seed {seed}, lump {lump_no}"
            self.failures.append(f"{where}:\n{traceback.format_exc(limit=-4)}")


def run(seconds: float, names: list[str], seed: int, tell: Tell) -> dict[str, object]:
    """Each reader for so many seconds, one after the other."""
    found = targets()
    accounts = {}
    for name in names:
        tell(f"{name}: {seconds:.0f} s of hostile bytes, seed {seed}")
        accounts[name] = fuzz(name, found[name], seconds, seed)
    return {
        "bench": "readers against hostile bytes",
        "seed": seed,
        "seconds_each": seconds,
        "sound": all(account.is_sound for account in accounts.values()),
        "memory_bytes_allowed": READER_MEMORY_BYTES_MAX,
        "readers": {name: _report(account) for name, account in accounts.items()},
        "machine": machine(),
    }


def fuzz(
    name: str, target: Target, seconds: float, seed: int, lumps_max: int | None = None
) -> Account:
    """Until the time is over, or `lumps_max` lumps are heard."""
    account, rng = Account(), Random(f"{name}/{seed}")  # noqa: S311  # it spreads damage, it guards nothing
    end_s = time.perf_counter() + seconds
    session = 0
    while time.perf_counter() < end_s and (lumps_max is None or account.lumps < lumps_max):
        lumps = [lump(target, rng) for _ in range(SESSION_LUMPS)]
        reads = [cuts(data, rng, READ_BYTES_MAX) for data in lumps]
        steps = Random(rng.random())  # noqa: S311  # as above
        play = _traced if session % TRACED_EVERY == TRACED_EVERY - 1 else _timed
        try:
            play(target, reads, steps, account)
        except Exception:  # noqa: BLE001  # what it is, is what we want to know
            account.fail(name, seed, account.lumps)
        for data in lumps[::COMPARED_EVERY]:
            try:
                account.differences += cutting_matters(target, data, rng)
            except Exception:  # noqa: BLE001  # as above
                account.fail(name, seed, account.lumps)
        session += 1
    return account


def _timed(target: Target, reads: list[list[bytes]], steps: Random, account: Account) -> None:
    reader = target.make()
    remarked: dict[str, int] = {}
    for read, now_ms in _moments(reads, steps):
        size = sum(map(len, read))
        account.bytes += size
        account.lumps += 1
        began_s = time.perf_counter()
        facts = _hear(reader, read, now_ms, steps)
        account.timed_s += time.perf_counter() - began_s
        account.timed_bytes += size
        for fact in facts:
            account.facts[type(fact).__name__] += 1
            if isinstance(fact, Odd):
                said_ms = remarked.get(fact.reason, -ODD_EVERY_MS)
                account.remarks_too_often += 0 <= fact.at_ms - said_ms < ODD_EVERY_MS
                remarked[fact.reason] = fact.at_ms


def _traced(target: Target, reads: list[list[bytes]], steps: Random, account: Account) -> None:
    """Each read by itself: the most that it takes beyond what was there before the reader was made."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        reader = target.make()
        for read, now_ms in _moments(reads, steps):
            account.bytes += sum(map(len, read))
            account.lumps += 1
            for piece in read:
                tracemalloc.reset_peak()
                facts = reader.feed(piece, now_ms)
                held, peak = tracemalloc.get_traced_memory()
                handed_over = held
                del facts
                handed_over -= tracemalloc.get_traced_memory()[0]
                own = peak - handed_over - before
                account.memory_bytes_max = max(account.memory_bytes_max, own)
            reader.take_bytes()
    finally:
        tracemalloc.stop()


def _moments(reads: list[list[bytes]], steps: Random) -> Iterator[tuple[list[bytes], int]]:
    now_ms = START_MS
    for read in reads:
        now_ms += steps.choice(STEPS_MS)
        yield read, now_ms


def _hear(reader: Reader, read: list[bytes], now_ms: int, steps: Random) -> list[Fact]:
    """As a port's thread does: feed, wake, take, acknowledge."""
    facts: list[Fact] = []
    for piece in read:
        facts += reader.feed(piece, now_ms)
    due_ms = reader.next_deadline()
    if due_ms is not None and now_ms >= due_ms:
        facts += reader.wake(now_ms)
    reader.take_bytes()
    follow = getattr(reader, steps.choice(("acknowledged", "forget")), None)
    if follow is not None and facts:
        follow(steps.choice(facts))
    return facts


def cutting_matters(target: Target, data: bytes, rng: Random) -> bool:
    """Whether the cutting of `data` changes a fact or a counter."""
    outcomes = []
    for pieces in ([data], cuts(data, rng, READ_BYTES_MAX)):
        reader = target.make()
        facts = reader.wake(START_MS)  # a lump of no bytes has no piece that would tell the time
        facts += [fact for piece in pieces for fact in reader.feed(piece, START_MS)]
        facts += reader.wake(START_MS + 60_000)
        outcomes.append((facts, Counter(reader.counters)))  # none of a kind is as good as zero
    return outcomes[0] != outcomes[1]


def _report(account: Account) -> dict[str, object]:
    return {
        "sound": account.is_sound,
        "bytes": account.bytes,
        "lumps": account.lumps,
        "bytes_per_s": round(account.timed_bytes / account.timed_s) if account.timed_s else None,
        "exceptions": account.exceptions,
        "cutting_mattered": account.differences,
        "remarks_too_often": account.remarks_too_often,
        "memory_bytes_max": account.memory_bytes_max,
        "facts": dict(sorted(account.facts.items())),
        "failures": account.failures,
    }
