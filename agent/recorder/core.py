"""The recorder itself: one door for all facts, one for time."""

from collections import Counter
from collections.abc import Collection

from agent import Kept, Moment, Weight
from agent.recorder.facts import (
    AnyFact,
    ConfigDone,
    Health,
    InputLevel,
    LinkState,
    MotionSource,
    MotionState,
    NetworkState,
    Odometer,
    OrderDone,
    Panic,
    PortState,
    PowerSource,
    PowerState,
    ReportNow,
    SealSilence,
    Stop,
)
from agent.recorder.fixes import Fixes, State
from agent.recorder.limits import EVENTS_PER_S, Limits
from agent.recorder.plane import Point
from agent.recorder.seals import Seals, SealState
from agent.recorder.settings import RecorderSettings, Role
from agent.recorder.sky import Sky
from agent.recorder.states import Held
from agent.recorder.tags import Tags
from agent.recorder.words import event, number, text
from devices import (
    Fix,
    GnssStatus,
    NoFix,
    Odd,
    ReaderAnswer,
    SealAlive,
    SealAnswer,
    SealEvent,
    SealReport,
    SealSecret,
    TagRead,
)
from wire.records import Datum, EventKind, FixFlag, FixRecord

KEEP_ALL_MS = 60_000  # every fix after an urgent event
ALIVE_MS = 60_000  # without any record
HEALTH_MS = 300_000
ONLY_EVIDENCE = 4  # pressure: nothing that may be dropped is recorded any more
URGENT_INPUTS = frozenset(("door", "light"))
SEAL_READER = 1  # `link`, what (WIRE section 6, kind 16)
RFID_READER = 2
NETWORK = 3

_WHAT = {Role.SEAL: SEAL_READER, Role.RFID: RFID_READER}
_Key = tuple[str, str]  # kind of state, name


class Recorder:
    """Facts in, records out. `take` is total: whatever comes is kept, thinned or counted."""

    def __init__(self, settings: RecorderSettings) -> None:
        self.counters: Counter[str] = Counter()
        self._fixes = Fixes(settings, self.counters)
        self._seals = Seals()
        self._sky = Sky()
        self._tags = Tags(self.counters)
        self._states: Held[_Key, int] = Held()
        self._numbers: dict[_Key, int | None] = {}
        self._limits = Limits(EVENTS_PER_S)
        self._armed: frozenset[str] = frozenset()
        self._pressure = 0
        self._external_power = False
        self._urgent_ms: int | None = None
        self._told_ms: int | None = None  # when anything was recorded
        self._health: Health | None = None
        self._health_ms: int | None = None
        self._health_due = False
        self._refused = False
        self._jammed_ms: int | None = None  # when jamming or spoofing was reported last
        self._doubted_utc_ms: int | None = None  # in an earlier start

    @property
    def may_acknowledge(self) -> bool:
        """False if the last fact taken was refused by a limit: its device shall keep it and say it again."""
        return not self._refused

    @property
    def moving(self) -> bool | None:
        """Whether the positions say that the unit moves; None: it does not know yet."""
        return self._fixes.moving

    @property
    def newest_fix(self) -> tuple[FixRecord, int] | None:
        """The newest fix, recorded or not, and when it was heard, in mono_ms."""
        return self._fixes.newest

    def recall(
        self, place: tuple[int, int, int] | None, doubted_utc_ms: int | None, moment: Moment
    ) -> None:
        """What an earlier start has recorded: t_ms, lat_e7, lon_e7 of its newest fix, and when it doubted one last."""
        self._doubted_utc_ms = doubted_utc_ms
        if place is not None:
            t_ms, lat_e7, lon_e7 = place
            self._fixes.recall(Point(t_ms=t_ms, lat_e7=lat_e7, lon_e7=lon_e7), moment.mono_ms)

    def doubts_place(self, moment: Moment, within_ms: int) -> bool:
        """Whether a fix was doubted, or the receiver reported jamming or spoofing, so lately; by an earlier start too."""
        if self._sky.jammed or self._sky.spoofed:
            return True
        recalled = self._doubted_utc_ms
        if recalled is not None and abs(moment.utc_ms - recalled) <= within_ms:
            return True
        times = (self._fixes.doubted_ms, self._jammed_ms)
        return any(time is not None and moment.mono_ms - time <= within_ms for time in times)

    @property
    def sealed(self) -> bool:
        """Whether the sealed profiles are in force: a seal is armed, or says that it is locked."""
        return bool(self._armed) or self._seals.locked

    @property
    def seals(self) -> tuple[SealState, ...]:
        """Each seal as it stands now."""
        return self._seals.now()

    def armed(self, seal_ids: Collection[str]) -> None:
        """These seals are armed by order, and no others."""
        self._armed = frozenset(seal_ids)

    def pressure(self, level: int) -> None:
        """How short of space the outbox is: 0 to 3; 4: nothing but evidence is recorded."""
        self._health_due = self._health_due or level != self._pressure
        self._pressure = level

    def take(self, fact: AnyFact, moment: Moment, source: str) -> list[Kept]:
        """The records that follow from `fact`, heard at `moment` on the link `source`, in chain order."""
        self._refused = False
        if isinstance(fact, Fix):
            return self._done(self._take_fix(fact, moment, source), moment)
        if _is_limited(fact) and not self._limits.allows(source, moment.mono_ms):
            self._refused = True
            self.counters["limited"] += 1
            return []
        kept = self._take(fact, moment, source)
        if _is_limited(fact) and kept:
            self._limits.spend(source, moment.mono_ms, len(kept))
        return self._done(kept, moment)

    def wake(self, moment: Moment) -> list[Kept]:
        """Time has passed: what was held back, heartbeats."""
        kept = self._fixes.wake(moment.mono_ms)
        kept += self._ripe(moment)
        kept += self._sky.wake(moment, sealed=self.sealed)
        kept += self._tags.wake(moment)
        kept += self._health_now(moment)
        return self._done(kept, moment) or self._alive(moment)

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called, in mono_ms."""
        dues = [
            self._fixes.next_deadline(),
            self._states.next_deadline(),
            self._sky.next_deadline(sealed=self.sealed),
            self._tags.next_deadline(),
            None if self._told_ms is None else self._told_ms + ALIVE_MS,
            self._health_deadline(),
        ]
        return min((due for due in dues if due is not None), default=None)

    # One fact

    def _take(self, fact: AnyFact, moment: Moment, source: str) -> list[Kept]:
        match fact:
            case SealReport():
                return self._seals.report(fact, moment, self._armed)
            case SealEvent():
                return self._seals.happened(fact, moment)
            case SealSilence():
                return self._seals.silence(fact, moment)
            case NoFix():
                return self._sky.no_fix(fact, moment)
            case GnssStatus():
                return self._sky.status(fact, moment, sealed=self.sealed)
            case TagRead():
                return self._tags.read(fact, moment)
            case ReaderAnswer():
                return self._tags.answer(fact, moment, source)
            case PortState() | NetworkState() | InputLevel() | PowerState() | MotionState():
                self._note_state(fact, moment)
                return []
            case Health():
                return self._take_health(fact, moment)
            case Odd():
                self.counters["odd"] += 1
                return []
            case SealAnswer() | SealSecret() | SealAlive() | Fix():
                return []  # the orders' affair, or a sign of life only
            case ReportNow():
                return [*self._fixes.twin(moment), *self._seals.states(moment)]
            case Stop():
                return [
                    *self._fixes.keep_newest(moment.mono_ms),
                    event(EventKind.STOP, moment, (fact.cause,)),
                ]
            case Panic() | OrderDone() | ConfigDone() | Odometer():
                return [_plain(fact, moment)]

    def _take_fix(self, fix: Fix, moment: Moment, source: str) -> list[Kept]:
        flags = FixFlag(0)
        flags |= FixFlag.JAMMING if self._sky.jammed else FixFlag(0)
        flags |= FixFlag.SPOOFING if self._sky.spoofed else FixFlag(0)
        flags |= FixFlag.EXTERNAL_POWER if self._external_power else FixFlag(0)
        keep_all = self._urgent_ms is not None and moment.mono_ms - self._urgent_ms <= KEEP_ALL_MS
        state = State(sealed=self.sealed, pressure=self._pressure, keep_all=keep_all, flags=flags)
        kept, moving = self._fixes.take(fix, moment, source, state)
        if self._limits.allows(source, moment.mono_ms):
            sky = self._sky.fix(moment)
            self._limits.spend(source, moment.mono_ms, len(sky))
            kept = [*sky, *kept]
        if moving is not None:
            motion = (int(moving), MotionSource.POSITIONS.value)
            kept.append(event(EventKind.MOTION, moment, motion))
        return kept

    # States that must hold

    def _note_state(
        self,
        fact: PortState | NetworkState | InputLevel | PowerState | MotionState,
        moment: Moment,
    ) -> None:
        key, value, told = _state_of(fact)
        if isinstance(fact, PortState) and fact.role is Role.RFID:
            self._tags.talks(moment.mono_ms, talking=bool(value))
        if self._states.put(key, value, moment):
            self._numbers[key] = told
        else:
            self.counters["states_full"] += 1

    def _ripe(self, moment: Moment) -> list[Kept]:
        kept: list[Kept] = []
        for key, value, since in self._states.wake(moment.mono_ms):
            kept += self._changed(key, value, since)
        return kept

    def _changed(self, key: _Key, value: int, since: Moment) -> list[Kept]:
        kind, name = key
        told = self._numbers.get(key)
        match kind:
            case "gps":
                return self._sky.link(_LINK_STATES[value], since)
            case "input":
                urgent = name in URGENT_INPUTS
                return [event(EventKind.INPUT, since, (text(name), value), urgent=urgent)]
            case "power":
                self._external_power = value == PowerSource.EXTERNAL.value
                low = value == PowerSource.BATTERY_LOW.value
                return [event(EventKind.POWER, since, (value, number(told)), urgent=low)]
            case "motion":
                return [event(EventKind.MOTION, since, (value, told))]
            case _:
                what = int(kind)
                lost = what == SEAL_READER and not value
                data = (what, value, None if value else number(told))
                return [event(EventKind.LINK, since, data, urgent=lost)]

    # Heartbeats

    def _take_health(self, fact: Health, moment: Moment) -> list[Kept]:
        before = self._health
        self._health = fact
        if before is not None and (before.store, before.uplink) != (fact.store, fact.uplink):
            self._health_due = True
        return self._health_now(moment)

    def _health_now(self, moment: Moment) -> list[Kept]:
        due = self._health_deadline()
        if self._health is None or due is None or moment.mono_ms < due:
            return []
        self._health_ms = moment.mono_ms
        self._health_due = False
        now = self._health
        data = (
            number(now.free_kib),
            number(now.backlog_batches),
            number(now.rss_kib),
            number(now.cpu_permille),
            number(now.temperature_dc),
            number(now.restarts),
        )
        return [event(EventKind.HEALTH, moment, data)]

    def _health_deadline(self) -> int | None:
        if self._health is None:
            return None
        if self._health_ms is None or self._health_due:
            return 0
        return self._health_ms + HEALTH_MS

    def _alive(self, moment: Moment) -> list[Kept]:
        if self._told_ms is None:
            self._told_ms = moment.mono_ms
        if moment.mono_ms - self._told_ms < ALIVE_MS:
            return []
        self._told_ms = moment.mono_ms
        return self._done([event(EventKind.ALIVE, moment, (1,))], moment)

    def _done(self, kept: list[Kept], moment: Moment) -> list[Kept]:
        """What every record has in common: pressure, urgency, and that the unit has spoken."""
        if self._pressure >= ONLY_EVIDENCE:
            few = [one for one in kept if one.weight == Weight.EVIDENCE]
            self.counters["pressed_out"] += len(kept) - len(few)
            kept = few
        if self._sky.jammed or self._sky.spoofed:
            self._jammed_ms = moment.mono_ms
        if any(one.urgent for one in kept):
            self._urgent_ms = moment.mono_ms
            kept = [*self._fixes.twin(moment), *kept]
        if kept:
            self._told_ms = moment.mono_ms
            self.counters["records"] += len(kept)
        return kept


_LINK_STATES = tuple(LinkState)
_UNLIMITED = (Panic, OrderDone, ConfigDone, Stop, ReportNow, Health)


def _is_limited(fact: AnyFact) -> bool:
    return not isinstance(fact, _UNLIMITED)


def _state_of(
    fact: PortState | NetworkState | InputLevel | PowerState | MotionState,
) -> tuple[_Key, int, int | None]:
    """Under which key a state is held, its value, and a number that is told with it."""
    match fact:
        case PortState(role=Role.GPS):
            return ("gps", fact.name), _LINK_STATES.index(fact.state), None
        case PortState():
            talks = int(fact.state is LinkState.TALKING)
            return (str(_WHAT[fact.role]), fact.name), talks, fact.silent_ms
        case NetworkState():
            return (str(NETWORK), ""), int(fact.up), fact.silent_ms
        case InputLevel():
            return ("input", fact.name), int(fact.level), None
        case PowerState():
            return ("power", ""), fact.source.value, fact.millivolt
        case MotionState():
            return ("motion", fact.source.name), int(fact.moving), fact.source.value


def _plain(fact: Panic | OrderDone | ConfigDone | Odometer, moment: Moment) -> Kept:
    """What is told as it comes."""
    data: tuple[Datum, ...]
    match fact:
        case Panic():
            return event(EventKind.PANIC, moment, (text(fact.source),), urgent=True)
        case OrderDone():
            data = (
                fact.order_id,
                fact.kind,
                fact.counter,
                fact.result,
                text(fact.detail),
            )
            return event(EventKind.ORDER_RESULT, moment, data, urgent=True)
        case ConfigDone():
            return event(EventKind.CONFIG, moment, (fact.version, fact.result))
        case Odometer():
            return event(EventKind.ODOMETER, moment, (number(fact.metres), text(fact.source)))
