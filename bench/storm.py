"""A fleet after a broker's restart, on simulated time: no storm of dials, and every batch receipted (EDGE sections 5 and 12).

The units are the real `agent.uplink`; broker and collector are a few lines beside a heap of moments. Law: no clock is read.
"""

import heapq
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from agent import StoredBatch, Weight
from agent.uplink.core import Uplink
from agent.uplink.settings import UplinkSettings
from agent.uplink.words import ChainLine, Close, Dial, Fetch, Greet, Hello, Seek, Send, State, Wish
from bench.machine import machine

CHAIN = b"S" * 16
ANSWER_MS = (
    300  # a mobile line there and back, with the handshake; as long from a batch to its receipt
)
NOBODY_MS = 50  # the port of a dead broker refuses at once
TURNED_AWAY_MS = (
    10_000  # the one left in the queue gives up: with it the figures of EDGE section 5 come out
)
BATCH_EVERY_MS = 60_000  # what a unit without link seals in a minute
BATCH_BYTES = 480
SETTLE_S = 1_200  # after the broker is back: all receipts must have come
PLAIN_S = 600  # of the baseline, after the broker's return
TOLERANCE = 0.2  # EDGE section 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way in which a broker restarts, and what must come of it."""

    name: str
    away_s: int = 0  # nobody listens for so long
    drops: bool = False  # afterwards it accepts, says CONNACK and drops
    peak_max: float  # dials a second at most, from the moment at which the broker listens again
    back_s_max: float = 0.0  # after its return 99 of 100 have heard the collector again


CASES = (  # peaks of EDGE section 5 and what this simulation gave when it was written
    Case(name="kicked at once", peak_max=644, back_s_max=53),
    Case(name="away 60 s", away_s=60, peak_max=116, back_s_max=215),
    Case(name="away 10 min", away_s=600, peak_max=47, back_s_max=273),
    Case(name="accepts, then drops", drops=True, peak_max=644),
)
DROPPED_DIALS = 8.0  # dials of a unit in the first ten minutes, EDGE section 5
DROPPED_EVERY_S = 150.0  # and seconds between two of them later


@dataclass(slots=True)
class Member:
    """One unit: its uplink, its rows, and what the collector has of it."""

    uplink: Uplink
    seals_at_ms: int  # its next batch
    rows: list[StoredBatch]
    settled: int = 0  # at the collector
    receipt_due: bool = False
    wake_ms: int | None = None


Moment = tuple[int, int, int, str, int, int]  # at_ms, order, unit, what, connection, number


@dataclass(slots=True)
class Storm:
    """Time in ms from the moment at which all units are thrown out."""

    units: int
    handshakes_s: int
    away_s: int = 0
    drops: bool = False
    seed: int = 1
    dials: Counter[int] = field(default_factory=Counter)  # by second
    dial_times: dict[int, list[int]] = field(default_factory=dict)
    back_at: dict[int, int] = field(default_factory=dict)  # when a unit heard its first receipt
    fleet: list[Member] = field(default_factory=list)
    _heap: list[Moment] = field(default_factory=list)
    _order: int = 0
    _taken: deque[int] = field(default_factory=deque)  # handshakes of the last second
    _seal_until_ms: int = 0

    def sail(self, seconds: int, *, seal_s: int | None = None) -> "Storm":
        """Until `seconds`; batches are sealed for `seal_s` (all the time)."""
        self._seal_until_ms = (seconds if seal_s is None else seal_s) * 1000
        rng = Random(self.seed)  # noqa: S311  # a storm that can be repeated
        self.fleet = [self._settled(rng, unit) for unit in range(self.units)]
        for unit, member in enumerate(self.fleet):
            self._later(member.seals_at_ms, unit, "seal")
            self._carry_out(unit, member.uplink.closed(member.uplink.connection, 0), 0)
        while self._heap and self._heap[0][0] <= seconds * 1000:
            now, _, unit, what, link, number = heapq.heappop(self._heap)
            self._happen(self.fleet[unit], unit, what, link, number, now)
        return self

    def back_s(self, share: float) -> float | None:
        """Seconds after the broker's return at which this share of the fleet had heard the collector again."""
        times = sorted(self.back_at.values())
        at = round(self.units * share) - 1
        return times[at] / 1000 - self.away_s if at < len(times) else None

    @property
    def peak(self) -> int:
        """Dials in the worst second, from the broker's return on."""
        return max((n for second, n in self.dials.items() if second >= self.away_s), default=0)

    @property
    def unreceipted(self) -> int:
        """Batches that a unit has sealed and the collector has not receipted."""
        return sum(len(one.rows) - 1 - one.uplink.covered_no(CHAIN) for one in self.fleet)

    def dials_between(self, begin_s: int, end_s: int) -> int:
        return sum(n for second, n in self.dials.items() if begin_s <= second < end_s)

    # what happens

    def _happen(
        self, member: Member, unit: int, what: str, link: int, number: int, now: int
    ) -> None:
        uplink = member.uplink
        match what:
            case "wake":
                if member.wake_ms != now:
                    return  # another deadline has taken its place
                member.wake_ms = None
                wishes = uplink.wake(now)
            case "seal":
                wishes = self._seal(member, unit, now)
            case "up":
                wishes = uplink.up(link, now)
            case "closed":
                wishes = uplink.closed(link, now)
            case "batch":
                member.settled += number == member.settled + 1
                wishes = []
                self._owe_receipt(member, unit, link, now)
            case _:
                member.receipt_due = False
                wishes = uplink.receipt(link, CHAIN, member.settled, now)
                self.back_at.setdefault(unit, now)
        self._carry_out(unit, wishes, now)

    def _seal(self, member: Member, unit: int, now: int) -> list[Wish]:
        if now > self._seal_until_ms:
            return []
        self._later(now + BATCH_EVERY_MS, unit, "seal")
        member.rows.append(_row(len(member.rows), now))
        return member.uplink.stored(member.rows[-1], now)

    def _owe_receipt(self, member: Member, unit: int, link: int, now: int) -> None:
        if not member.receipt_due:
            member.receipt_due = True
            self._later(now + ANSWER_MS, unit, "receipt", link)

    # what the units wish

    def _carry_out(self, unit: int, wishes: list[Wish], now: int) -> None:
        member = self.fleet[unit]
        uplink = member.uplink
        todo = deque(wishes)
        while todo:
            match todo.popleft():
                case Dial(connection=link):
                    self._dial(unit, link, now)
                case Greet(connection=link, ticket=ticket):
                    todo += uplink.puback(link, ticket, now)
                    if self.drops:
                        self._later(now + ANSWER_MS, unit, "closed", link)
                    else:
                        todo += uplink.subscribed(link, now)
                case Hello(connection=link, ticket=ticket):
                    todo += uplink.puback(link, ticket, now)
                    self._owe_receipt(member, unit, link, now)
                case Send(connection=link, ticket=ticket, pos=pos):
                    todo += uplink.puback(link, ticket, now)
                    self._later(now + ANSWER_MS, unit, "batch", link, pos)
                case Fetch(fetch=fetch, after_pos=after, rows_max=most):
                    begin = max(after + 1, uplink.covered_no(CHAIN) + 1)
                    todo += uplink.fetched(fetch, member.rows[begin : begin + most], now)
                case Seek(fetch=fetch, batch_no=number, rows_max=most):
                    todo += uplink.fetched(fetch, member.rows[number : number + most], now)
                case Close() | _:
                    pass
        self._wake_later(member, unit)

    def _dial(self, unit: int, link: int, now: int) -> None:
        self.dials[now // 1000] += 1
        self.dial_times.setdefault(unit, []).append(now)
        if now < self.away_s * 1000:
            self._later(now + NOBODY_MS, unit, "closed", link)
            return
        while self._taken and self._taken[0] <= now - 1000:
            self._taken.popleft()
        if len(self._taken) >= self.handshakes_s:
            self._later(now + TURNED_AWAY_MS, unit, "closed", link)
            return
        self._taken.append(now)
        self._later(now + ANSWER_MS, unit, "up", link)

    def _wake_later(self, member: Member, unit: int) -> None:
        due = member.uplink.next_deadline()
        if due is not None and due != member.wake_ms:
            member.wake_ms = due
            self._later(due, unit, "wake")

    def _later(self, at_ms: int, unit: int, what: str, link: int = 0, number: int = 0) -> None:
        self._order += 1
        heapq.heappush(self._heap, (at_ms, self._order, unit, what, link, number))

    def _settled(self, rng: Random, unit: int) -> Member:
        """A unit in quiet flow, a moment before the storm."""
        row = _row(0, -100_000)
        uplink = Uplink(
            settings=UplinkSettings(),
            rng=Random(self.seed * 1_000_003 + unit),  # noqa: S311  # as above
            mono_ms=-100_000,
            lines=[ChainLine(chain_id=CHAIN, newest_no=0, covered_no=0)],
            newest=row,
        )
        due = uplink.next_deadline()
        assert due is not None
        uplink.wake(due)
        uplink.up(1, due)
        uplink.subscribed(1, due)
        uplink.receipt(1, CHAIN, 0, due)
        assert uplink.state is State.FLOWING
        return Member(uplink=uplink, seals_at_ms=rng.randrange(BATCH_EVERY_MS), rows=[row])


def plain_back_off(
    units: int, handshakes_s: int, *, away_s: int, drops: bool, seconds: int
) -> Counter[int]:
    """Dials by second of the usual client, the baseline: 1 s doubling to 120 s, no jitter, from the start after each CONNACK."""
    dials: Counter[int] = Counter()
    taken: Counter[int] = Counter()
    heap = [(0, unit, 0) for unit in range(units)]
    while heap and heap[0][0] <= seconds * 1000:
        now, unit, tries = heapq.heappop(heap)
        dials[now // 1000] += 1
        if now >= away_s * 1000 and taken[now // 1000] < handshakes_s:
            taken[now // 1000] += 1
            if drops:
                heapq.heappush(heap, (now + 2 * ANSWER_MS + 1_000, unit, 1))
            continue
        given_up = NOBODY_MS if now < away_s * 1000 else TURNED_AWAY_MS
        heapq.heappush(heap, (now + given_up + min(120, 1 << tries) * 1000, unit, tries + 1))
    return dials


def _row(number: int, now: int) -> StoredBatch:
    return StoredBatch(
        pos=number,
        chain_id=CHAIN,
        batch_no=number,
        first_seq=number * 60,
        count=60,
        size_bytes=BATCH_BYTES,
        urgent=False,
        weight=Weight.ROUTINE,
        sealed_mono_ms=now,
        head=number.to_bytes(32, "big"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sailed:
    """A case and what came of it."""

    case: Case
    storm: Storm
    plain: Counter[int]
    report: dict[str, object]


def sail_all(units: int, handshakes_s: int, seed: int, say: Callable[[str], None]) -> list[Sailed]:
    """Every case."""
    sailed = []
    for case in CASES:
        say(f"{units} units, {case.name} ...")
        sailed.append(sail(case, units, handshakes_s, seed))
    return sailed


def report_of(sailed: Sequence[Sailed], units: int, handshakes_s: int) -> dict[str, object]:
    """Everything as plain values, with `sound`."""
    return {
        "machine": machine(),
        "units": units,
        "handshakes_s": handshakes_s,
        "sound": all(one.report["sound"] for one in sailed),
        "cases": {one.case.name: one.report for one in sailed},
    }


def sail(case: Case, units: int, handshakes_s: int, seed: int) -> Sailed:
    storm = Storm(
        units=units, handshakes_s=handshakes_s, away_s=case.away_s, drops=case.drops, seed=seed
    )
    seconds = 3_600 if case.drops else case.away_s + SETTLE_S
    storm.sail(seconds, seal_s=0 if case.drops else case.away_s + SETTLE_S // 2)
    plain = plain_back_off(
        units,
        handshakes_s,
        away_s=case.away_s,
        drops=case.drops,
        seconds=case.away_s + PLAIN_S,
    )
    # The figures are for 5,000 units and 200 handshakes a second; any other fleet is held to its share.
    share = units / 5_000
    found: dict[str, object] = {
        "peak_dials_s": storm.peak,
        "peak_dials_s_max": round(case.peak_max * share * (1 + TOLERANCE)),
        "plain_back_off_peak_dials_s": max(
            (n for second, n in plain.items() if second >= case.away_s), default=0
        ),
    }
    sound = storm.peak <= case.peak_max * share * (1 + TOLERANCE)
    if case.drops:
        early = storm.dials_between(0, 600) / units
        every_s = units * 1_800 / max(storm.dials_between(1_800, 3_600), 1)
        found |= {"dials_a_unit_in_10_min": early, "then_one_in_s": round(every_s, 1)}
        sound = sound and _is_near(early, DROPPED_DIALS) and _is_near(every_s, DROPPED_EVERY_S)
    else:
        back_s = storm.back_s(0.99)
        found |= {
            "half_back_s": storm.back_s(0.5),
            "99_of_100_back_s": back_s,
            "99_of_100_back_s_max": round(case.back_s_max * (1 + TOLERANCE), 1),
            "all_back_s": storm.back_s(1.0),
            "dials": sum(storm.dials.values()),
            "batches": sum(len(member.rows) - 1 for member in storm.fleet),
            "unreceipted": storm.unreceipted,
        }
        is_back = back_s is not None and back_s <= case.back_s_max * (1 + TOLERANCE)
        sound = sound and is_back and storm.unreceipted == 0
    return Sailed(case=case, storm=storm, plain=plain, report={"sound": sound} | found)


def _is_near(found: float, told: float) -> bool:
    return abs(found - told) <= told * TOLERANCE
