"""How heavy the alarms lie on a desk: rates, floods, chatter, stale ones, time to answer, precision (DETECTION section 9, Metrics).

Law: reckons from the history of alerts alone; the same rows give the same figures, whenever it is asked.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from collector.alerts import Event, State

WINDOW_MS = 600_000  # ISA-18.2: ten minutes
FLOOD_BEGINS, FLOOD_ENDS = 10, 5  # more than, fewer than, annunciated in a window
CHATTER_CHANGES, CHATTER_MS = 3, 60_000
STALE_MS = 86_400_000
TOP = 10
SOUNDS = frozenset({"raise", Event.AGAIN.value, Event.WORSE.value})
HOLDS = frozenset({State.UNACKED.value, State.ACKED.value, State.RESET_PROPOSED.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One row of an alert's history."""

    alert: bytes
    code: str
    unit: str
    priority: str
    at_ms: int
    act: str
    state: str
    outcome: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The figures, each as DETECTION names it; shares are per cent, times seconds."""

    annunciated: int
    per_window_mean: float
    per_window_max: int
    windows_over_10_percent: float
    in_flood_percent: float
    floods: int
    top: tuple[tuple[str, str, int], ...]  # code, unit, times
    by_code: Mapping[str, int]  # annunciated by rule
    top_percent: float
    chattering: int
    stale: int
    by_priority_percent: Mapping[str, float]
    to_ack_s: Mapping[str, tuple[float, float]]  # p50, p95 by priority
    to_dispatch_s: Mapping[str, tuple[float, float]]  # from the first sound to the first crew sent
    vehicle_hours: int  # in which units sealed something
    per_1000_vehicle_hours: float | None  # annunciated; None: no vehicle has said anything
    precision_percent: Mapping[str, float]  # by code, of those with an outcome
    outcomes: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A stretch of the time that is looked at."""

    begin_ms: int
    annunciated: int
    per_window_mean: float
    per_window_max: int


def bars_of(moves: Sequence[Moved], *, begin_ms: int, end_ms: int, bar_ms: int) -> tuple[Bar, ...]:
    """What was annunciated as it came, stretch by stretch; the last one may be shorter. `bar_ms`: whole windows."""
    assert bar_ms % WINDOW_MS == 0, "a window lies in one stretch"
    windows = Counter(
        (one.at_ms - begin_ms) // WINDOW_MS for one in _sounded(moves, begin_ms, end_ms)
    )
    bars = []
    for at_ms in range(begin_ms, end_ms, bar_ms):
        first = (at_ms - begin_ms) // WINDOW_MS
        last = -(-(min(at_ms + bar_ms, end_ms) - begin_ms) // WINDOW_MS)
        heard = [windows[number] for number in range(first, last)]
        bars.append(
            Bar(
                begin_ms=at_ms,
                annunciated=sum(heard),
                per_window_mean=round(sum(heard) / len(heard), 2),
                per_window_max=max(heard),
            )
        )
    return tuple(bars)


def load_of(moves: Sequence[Moved], *, begin_ms: int, end_ms: int, vehicle_hours: int = 0) -> Load:
    """The load between two times. `moves` in order of time, from before `begin_ms` too where alerts are older."""
    within = [one for one in moves if begin_ms <= one.at_ms < end_ms]
    sounded = _sounded(within, begin_ms, end_ms)
    windows = max(1, -(-(end_ms - begin_ms) // WINDOW_MS))
    counts = Counter((one.at_ms - begin_ms) // WINDOW_MS for one in sounded)
    keys = Counter((one.code, one.unit) for one in sounded)
    top = keys.most_common(TOP)
    flood_ms, floods = _flood([one.at_ms for one in sounded], end_ms)
    priorities = Counter(one.priority for one in sounded)
    outcomes = {one.alert: (one.code, one.outcome) for one in within if one.outcome is not None}
    return Load(
        annunciated=len(sounded),
        per_window_mean=round(len(sounded) / windows, 2),
        per_window_max=max(counts.values(), default=0),
        windows_over_10_percent=_percent(sum(n > FLOOD_BEGINS for n in counts.values()), windows),
        in_flood_percent=_percent(flood_ms, max(1, end_ms - begin_ms)),
        floods=floods,
        top=tuple((code, unit, times) for (code, unit), times in top),
        by_code=dict(sorted(Counter(one.code for one in sounded).items())),
        top_percent=_percent(sum(times for _, times in top), len(sounded)),
        chattering=_chattering(within),
        stale=_stale(moves, end_ms),
        by_priority_percent={
            name: _percent(priorities[name], len(sounded)) for name in ("P1", "P2", "P3")
        },
        to_ack_s=_to_ack(within),
        to_dispatch_s=_to_dispatch(moves, begin_ms),
        vehicle_hours=vehicle_hours,
        per_1000_vehicle_hours=(
            round(1_000 * len(sounded) / vehicle_hours, 2) if vehicle_hours else None
        ),
        precision_percent=_precision(outcomes.values()),
        outcomes=dict(sorted(Counter(word for _, word in outcomes.values() if word).items())),
    )


def _sounded(moves: Iterable[Moved], begin_ms: int, end_ms: int) -> list[Moved]:
    return [
        one
        for one in moves
        if begin_ms <= one.at_ms < end_ms and one.act in SOUNDS and one.state == State.UNACKED.value
    ]


def _flood(times: Iterable[int], end_ms: int) -> tuple[int, int]:
    """How long it was flooded, and how often: begins over 10 in ten minutes, ends under 5."""
    recent: deque[int] = deque()
    flooded_ms, floods = 0, 0
    begun: int | None = None
    for at_ms in times:
        if begun is not None:
            ended = _ends(recent, at_ms)
            if ended is not None:
                flooded_ms += ended - begun
                begun = None
        recent.append(at_ms)
        while recent[0] <= at_ms - WINDOW_MS:
            recent.popleft()
        if begun is None and len(recent) > FLOOD_BEGINS:
            begun, floods = at_ms, floods + 1
    if begun is not None:
        ended = _ends(recent, end_ms)
        flooded_ms += (end_ms if ended is None else ended) - begun
    return flooded_ms, floods


def is_flooded(times: Iterable[int], now_ms: int) -> bool:
    """Whether a desk is flooded now: `times` of annunciations, in order, from well before."""
    recent: deque[int] = deque()
    flooded = False
    for at_ms in times:
        flooded = flooded and _ends(recent, at_ms) is None
        recent.append(at_ms)
        while recent[0] <= at_ms - WINDOW_MS:
            recent.popleft()
        flooded = flooded or len(recent) > FLOOD_BEGINS
    return flooded and _ends(recent, now_ms) is None


def _ends(recent: Sequence[int], now_ms: int) -> int | None:
    """When fewer than five were left in the window, if that was before `now_ms`."""
    if len(recent) < FLOOD_ENDS:
        return recent[-1] if recent else now_ms
    over_ms = recent[len(recent) - FLOOD_ENDS] + WINDOW_MS
    return over_ms if over_ms <= now_ms else None


def _chattering(moves: Iterable[Moved]) -> int:
    """Keys that changed between active and clear three times within a minute."""
    changes: dict[tuple[str, str], deque[int]] = defaultdict(deque)
    found: set[tuple[str, str]] = set()
    for one in moves:
        if one.act not in {"raise", Event.AGAIN.value, Event.CLEAR.value}:
            continue
        times = changes[one.code, one.unit]
        times.append(one.at_ms)
        while times[0] < one.at_ms - CHATTER_MS:
            times.popleft()
        if len(times) > CHATTER_CHANGES:
            found.add((one.code, one.unit))
    return len(found)


def _stale(moves: Iterable[Moved], end_ms: int) -> int:
    """Alerts that have been active for over a day without a break."""
    since: dict[bytes, int] = {}
    for one in moves:
        if one.state in HOLDS:
            since.setdefault(one.alert, one.at_ms)
        else:
            since.pop(one.alert, None)
    return sum(end_ms - at_ms > STALE_MS for at_ms in since.values())


def _to_ack(moves: Iterable[Moved]) -> dict[str, tuple[float, float]]:
    waiting: dict[bytes, int] = {}
    took: dict[str, list[int]] = defaultdict(list)
    for one in moves:
        if one.act in SOUNDS and one.state == State.UNACKED.value:
            waiting.setdefault(one.alert, one.at_ms)
        elif one.act == Event.ACK.value and one.alert in waiting:
            took[one.priority].append(one.at_ms - waiting.pop(one.alert))
    return {
        priority: (_quantile(times, 0.5), _quantile(times, 0.95))
        for priority, times in sorted(took.items())
    }


def _to_dispatch(moves: Iterable[Moved], begin_ms: int) -> dict[str, tuple[float, float]]:
    """From the first sound of an alert to the first crew that was sent for it, of those sent since `begin_ms`."""
    raised: dict[bytes, int] = {}
    took: dict[str, list[int]] = defaultdict(list)
    sent: set[bytes] = set()
    for one in moves:
        if one.act in SOUNDS and one.state == State.UNACKED.value:
            raised.setdefault(one.alert, one.at_ms)
        elif one.act == "dispatch" and one.alert in raised and one.alert not in sent:
            sent.add(one.alert)
            if one.at_ms >= begin_ms:
                took[one.priority].append(one.at_ms - raised[one.alert])
    return {
        priority: (_quantile(times, 0.5), _quantile(times, 0.95))
        for priority, times in sorted(took.items())
    }


def _precision(outcomes: Iterable[tuple[str, str | None]]) -> dict[str, float]:
    """Share of what was no false alarm, by code; tests are left out."""
    counts: dict[str, list[bool]] = defaultdict(list)
    for code, word in outcomes:
        if word not in (None, "TEST"):
            counts[code].append(word not in {"FALSE", "TECHNICAL"})
    return {code: _percent(sum(true), len(true)) for code, true in sorted(counts.items())}


def _quantile(times: Sequence[int], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1_000


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 1) if whole else 0.0
