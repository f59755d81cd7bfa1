"""What time it is, and how well we know it (EDGE section 7).

Law: no sealed byte is ever changed; time is told anew by a `clock` event. The system clock is never set, and no core's deadline
lies on what is reckoned here.
"""

from collections import Counter, deque
from dataclasses import dataclass
from enum import IntEnum

from agent import Kept, Moment, Quality, Weight
from devices import Fix, TimeQuality
from wire import LIM
from wire.records import EventKind, EventRecord

STEP_MS_MAX = 200  # two epochs may differ so much from the monotonic axis: a serial line's jitter
EPOCHS_MIN = 3  # in a row, before a receiver's time is believed
SATELLITES_MIN = 4  # three for the place, one for the time
DISAGREED_MS_MIN = 60_000  # a receiver that contradicts a good clock must insist so long
SLEW_MS_MAX = 2_000  # what lies further off is told as a step
SLEW_MS_PER_S = 0.5
EPOCHS_MAX = 60  # the offset is the greatest of so many: latency only ever makes it smaller
GNSS_HOLD_MS = 86_400_000  # 20 ppm of a day is 1.7 s: less than a step
TRUSTED = Quality.NTP


class ClockWhat(IntEnum):
    """First element of a `clock` event (WIRE section 6, kind 4)."""

    QUALITY = 1
    STEPPED = 2
    ROLLED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TimekeeperSettings:
    """`built_ms`: when this program was built; no time before it is believed."""

    built_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NtpTime:
    """What the kernel said when it was asked (adjtimex), every 60 s."""

    synchronised: bool
    utc_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RtcTime:
    """What the clock on the board said at the start; given only if an RTC device exists."""

    utc_ms: int


TimeFact = Fix | NtpTime | RtcTime


class Timekeeper:
    """Turns the monotonic axis into UTC. One boot, one timekeeper."""

    def __init__(
        self, settings: TimekeeperSettings, *, mono_ms: int, newest_sealed_ms: int
    ) -> None:
        """`newest_sealed_ms`: of the outbox; boards without RTC wake in the past, and it cannot be earlier than that."""
        self.counters: Counter[str] = Counter()
        # What is sealed may be false, from a future that a receiver told: it holds while nobody knows better, and locks nobody out.
        floor_ms = max(settings.built_ms, newest_sealed_ms)
        self._built_ms = settings.built_ms
        self._base_ms = float(floor_ms - mono_ms)  # offset at _base_mono_ms ...
        self._base_mono_ms = mono_ms
        self._target_ms = floor_ms - mono_ms  # ... on its way to this one
        self._quality = Quality.NONE
        self._run = _Run()
        self._gnss: _Believed | None = None
        self._was_trusted = False
        self._told_rolled = False

    @property
    def receiver_offset_ms(self) -> int | None:
        """UTC minus mono_ms as the receiver last told it, while it is believed: for who disciplines another clock."""
        return None if self._gnss is None else self._gnss.offset_ms

    @property
    def receiver_mono_ms(self) -> int | None:
        """When it last told it."""
        return None if self._gnss is None else self._gnss.mono_ms

    @property
    def quality(self) -> Quality:
        """How well the time is known now."""
        return self._quality

    def utc(self, mono_ms: int) -> tuple[int, Quality]:
        """The best UTC at `mono_ms`, and how well it is known."""
        return min(max(mono_ms + self._offset(mono_ms), 0), LIM - 1), self._quality

    def moment(self, *, mono_ms: int, now_ms: int) -> Moment:
        """One reading of the clock for all cores."""
        utc_ms, quality = self.utc(mono_ms)
        return Moment(mono_ms=mono_ms, now_ms=now_ms, utc_ms=utc_ms, quality=quality)

    def take(self, fact: TimeFact, *, mono_ms: int, heard_mono_ms: int | None = None) -> list[Kept]:
        """`clock` events at `mono_ms` that follow from `fact`. `heard_mono_ms`: of a Fix, its `at_ms` on that axis.

        A Fix is whole only when its epoch has ended; what it says of the time was true when its first sentence came.
        """
        match fact:
            case Fix():
                return self._take_fix(
                    fact, mono_ms if heard_mono_ms is None else heard_mono_ms, mono_ms
                )
            case NtpTime():
                return self._take_ntp(fact, mono_ms)
            case RtcTime():
                return self._take_rtc(fact, mono_ms)

    def wake(self, mono_ms: int) -> list[Kept]:
        """Time has passed: the receiver was heard too long ago."""
        deadline = self.next_deadline()
        if deadline is None or mono_ms < deadline:
            return []
        self._gnss = None
        return self._set(self._offset(mono_ms), Quality.RTC, mono_ms)

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called, in mono_ms."""
        return None if self._gnss is None else self._gnss.mono_ms + GNSS_HOLD_MS

    def _take_fix(self, fix: Fix, heard_mono_ms: int, mono_ms: int) -> list[Kept]:
        if fix.time_ms is None or not _tells_time(fix):
            self.counters["gnss_time_weak"] += 1
            return []
        if not self._run.add(fix.time_ms, heard_mono_ms):
            self.counters["gnss_time_odd"] += 1
        offset_ms = self._run.offset_ms
        if len(self._run.offsets_ms) < EPOCHS_MIN:
            return []
        contradicts = abs(offset_ms - self._offset(mono_ms)) > SLEW_MS_MAX
        if contradicts and self._quality >= TRUSTED and self._run.lasts_ms < DISAGREED_MS_MIN:
            self.counters["gnss_time_contradicts"] += 1
            return []
        self._gnss = _Believed(mono_ms=mono_ms, offset_ms=offset_ms)
        before_ms = mono_ms + self._offset(mono_ms)
        kept = self._set(offset_ms, Quality.GNSS, mono_ms)
        if fix.time_quality is TimeQuality.ROLLED and not self._told_rolled:
            self._told_rolled = True
            kept.append(self._clock(ClockWhat.ROLLED, before_ms, mono_ms))
        return kept

    def _take_ntp(self, fact: NtpTime, mono_ms: int) -> list[Kept]:
        if self._gnss is not None:
            return []
        if fact.synchronised and fact.utc_ms >= self._built_ms:
            return self._set(fact.utc_ms - mono_ms, Quality.NTP, mono_ms)
        if (
            self._quality is Quality.NTP
        ):  # it was good a minute ago: now no better than a clock on the board
            return self._set(self._offset(mono_ms), Quality.RTC, mono_ms)
        return []

    def _take_rtc(self, fact: RtcTime, mono_ms: int) -> list[Kept]:
        if self._quality > Quality.RTC or fact.utc_ms < self._built_ms:
            return []
        return self._set(fact.utc_ms - mono_ms, Quality.RTC, mono_ms)

    def _set(self, target_ms: int, quality: Quality, mono_ms: int) -> list[Kept]:
        """Go to `target_ms` by slewing or by one step, and say what must be said."""
        now = self._exact(mono_ms)
        now_ms = round(now)
        steps = abs(target_ms - now) > SLEW_MS_MAX
        changed = quality is not self._quality
        self._base_ms = float(target_ms) if steps else now
        self._base_mono_ms = mono_ms
        self._target_ms = target_ms
        self._quality = quality
        if not steps and not changed:
            return []
        what = ClockWhat.STEPPED if steps and self._was_trusted else ClockWhat.QUALITY
        self._was_trusted = self._was_trusted or quality >= TRUSTED
        return [self._clock(what, mono_ms + now_ms, mono_ms)]

    def _clock(self, what: ClockWhat, before_ms: int, mono_ms: int) -> Kept:
        after_ms, quality = self.utc(mono_ms)
        record = EventRecord(
            kind=EventKind.CLOCK,
            t_ms=after_ms,
            mono_ms=mono_ms,
            data=(int(what), min(max(before_ms, 0), LIM - 1), after_ms, int(quality)),
        )
        return Kept(record=record, weight=Weight.EVENT)

    def _offset(self, mono_ms: int) -> int:
        """UTC minus mono_ms."""
        return round(self._exact(mono_ms))

    def _exact(self, mono_ms: int) -> float:
        """The same with its fractions: an epoch a second slews half a millisecond.

        Slewing is slower than time, so UTC never runs backwards between steps.
        """
        way_ms = max(mono_ms - self._base_mono_ms, 0) * SLEW_MS_PER_S / 1_000
        left_ms = self._target_ms - self._base_ms
        return self._base_ms + min(max(left_ms, -way_ms), way_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Believed:
    """The newest epoch that was believed."""

    mono_ms: int
    offset_ms: int


class _Run:
    """Epochs of one receiver whose steps fit the monotonic axis."""

    def __init__(self) -> None:
        self.offsets_ms: deque[int] = deque(maxlen=EPOCHS_MAX)
        self.lasts_ms = 0
        self._since_ms = 0
        self._last: tuple[int, int] | None = None

    @property
    def offset_ms(self) -> int:
        return max(self.offsets_ms)

    def add(self, time_ms: int, mono_ms: int) -> bool:
        """Whether the epoch goes on with the run; else it begins another."""
        fits = self._last is not None and self._fits(
            time_ms - self._last[0], mono_ms - self._last[1]
        )
        if not fits:
            self.offsets_ms.clear()
            self._since_ms = mono_ms
        first = self._last is None
        self._last = (time_ms, mono_ms)
        self.lasts_ms = mono_ms - self._since_ms
        self.offsets_ms.append(time_ms - mono_ms)
        return fits or first

    @staticmethod
    def _fits(time_step_ms: int, mono_step_ms: int) -> bool:
        return time_step_ms > 0 and abs(time_step_ms - mono_step_ms) <= STEP_MS_MAX


def _tells_time(fix: Fix) -> bool:
    known = fix.time_quality in (TimeQuality.GNSS, TimeQuality.ROLLED)
    return known and fix.mode == 3 and fix.sats is not None and fix.sats >= SATELLITES_MIN
