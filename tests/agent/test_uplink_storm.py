"""A fleet of uplinks on simulated time against one broker (EDGE section 5, rungs; section 12, fleet).

The broker completes so many handshakes a second and turns the others away; the collector answers each hello a second later.
"""

import heapq
from collections import Counter, deque
from dataclasses import dataclass, field
from random import Random

import pytest

from agent.uplink import (
    ChainLine,
    Close,
    Dial,
    Fetch,
    Greet,
    Hello,
    State,
    Uplink,
    UplinkSettings,
    Wish,
)
from tests.agent.test_uplink import OLD_MS, A, row

ANSWER_MS = 300
TURNED_AWAY_MS = (
    10_000  # the one left in the queue gives up: with it the figures of EDGE section 5 come out
)


@dataclass(slots=True)
class Storm:
    """Time in ms from the moment at which all units are thrown out."""

    units: int
    handshakes_s: int
    answers: bool = True
    seed: int = 1
    back_at: dict[int, int] = field(default_factory=dict)
    dials: Counter[int] = field(default_factory=Counter)  # by second
    dials_of: Counter[int] = field(default_factory=Counter)  # by unit
    dial_times: dict[int, list[int]] = field(default_factory=dict)

    def sail(self, seconds: int, *, away_s: int = 0) -> None:
        fleet = [self._settled(n) for n in range(self.units)]
        heap: list[tuple[int, int, int, str]] = []
        taken: deque[int] = deque()
        order = 0

        def later(at_ms: int, unit: int, what: str) -> None:
            nonlocal order
            order += 1
            heapq.heappush(heap, (at_ms, order, unit, what))

        def carry_out(unit: int, wishes: list[Wish], now: int) -> None:
            uplink = fleet[unit]
            while wishes:
                match wishes.pop(0):
                    case Dial():
                        self.dials[now // 1000] += 1
                        self.dials_of[unit] += 1
                        self.dial_times.setdefault(unit, []).append(now)
                        while taken and taken[0] <= now - 1000:
                            taken.popleft()
                        if now < away_s * 1000 or len(taken) >= self.handshakes_s:
                            later(now + TURNED_AWAY_MS, unit, "closed")
                        else:
                            taken.append(now)
                            later(now + ANSWER_MS, unit, "up")
                    case Greet(connection=link, ticket=ticket):
                        wishes += uplink.puback(link, ticket, now)
                        if self.answers:
                            wishes += uplink.subscribed(link, now)
                        else:
                            later(now + ANSWER_MS, unit, "closed")
                    case Hello(connection=link, ticket=ticket):
                        wishes += uplink.puback(link, ticket, now)
                        later(now + ANSWER_MS, unit, "receipt")
                    case Fetch(fetch=fetch):
                        wishes += uplink.fetched(fetch, [], now)
                    case Close():
                        pytest.fail("nobody hangs up in this storm")
                    case _:
                        pass
            due = uplink.next_deadline()
            if due is not None and uplink.state is State.DOWN:
                later(due, unit, "wake")

        for unit, uplink in enumerate(fleet):
            carry_out(unit, uplink.closed(uplink.connection, 0), 0)
        while heap and heap[0][0] <= seconds * 1000:
            now, _, unit, what = heapq.heappop(heap)
            uplink = fleet[unit]
            match what:
                case "wake" if uplink.state is State.DOWN:
                    carry_out(unit, uplink.wake(now), now)
                case "up":
                    carry_out(unit, uplink.up(uplink.connection, now), now)
                case "closed":
                    carry_out(unit, uplink.closed(uplink.connection, now), now)
                case "receipt":
                    self.back_at.setdefault(unit, now)
                    carry_out(unit, uplink.receipt(uplink.connection, A, 0, now), now)
                case _:
                    pass

    def _settled(self, unit: int) -> Uplink:
        """A unit in quiet flow, a moment before the storm."""
        uplink = Uplink(
            settings=UplinkSettings(),
            rng=Random(self.seed * 1_000_003 + unit),
            mono_ms=-100_000,
            lines=[ChainLine(chain_id=A, newest_no=0, covered_no=0)],
            newest=row(0, at=OLD_MS),
        )
        due = uplink.next_deadline()
        assert due is not None
        uplink.wake(due)
        uplink.up(1, due)
        uplink.subscribed(1, due)
        uplink.receipt(1, A, 0, due)
        assert uplink.state is State.FLOWING
        return uplink

    def back_s(self, share: float) -> float:
        """When this share of the fleet had heard the collector again."""
        times = sorted(self.back_at.values())
        return times[int(self.units * share) - 1] / 1000


def test_a_small_fleet_comes_back_without_a_storm() -> None:
    storm = Storm(units=100, handshakes_s=4)
    storm.sail(300)
    assert len(storm.back_at) == 100
    assert max(storm.dials.values()) <= 30  # 12.5 on average in the first 8 s; a crowd would be 100
    assert storm.back_s(0.99) < 120


def test_a_broker_that_accepts_and_drops_is_dialled_ever_more_seldom() -> None:
    storm = Storm(units=60, handshakes_s=1000, answers=False)
    storm.sail(3600)
    first_ten_minutes = sum(t <= 600_000 for times in storm.dial_times.values() for t in times)
    last_half_hour = sum(t > 1_800_000 for times in storm.dial_times.values() for t in times)
    assert first_ten_minutes / 60 == pytest.approx(8, rel=0.2)
    assert 60 * 1800 / last_half_hour == pytest.approx(150, rel=0.2)  # s between two dials


@pytest.mark.slow
def test_five_thousand_units_thrown_out_at_once_are_back_in_a_minute() -> None:
    storm = Storm(units=5000, handshakes_s=200)
    storm.sail(600)
    assert max(storm.dials.values()) == pytest.approx(644, rel=0.2)
    assert storm.back_s(0.99) == pytest.approx(53, rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize(("away_s", "back_s_max"), [(60, 210), (600, 960)])
def test_five_thousand_units_come_back_after_the_broker_was_away(
    away_s: int, back_s_max: int
) -> None:
    storm = Storm(units=5000, handshakes_s=200)
    storm.sail(away_s + 900, away_s=away_s)
    assert len(storm.back_at) == 5000
    after = [count for second, count in storm.dials.items() if second >= away_s]
    assert max(after) < 400
    assert storm.back_s(0.99) < back_s_max
