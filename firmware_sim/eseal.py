"""A JT701D rope seal (DEVICES 8.2): truth, events and orders in, frames out. The life is `seal_life`, the bytes are `seal_jt701d`.

Law: it does what the table says and nothing else; unknown words get no answer, and no order is obeyed that it does not know.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum, auto
from math import cos, hypot, radians
from typing import ClassVar

from firmware_sim import Event, Said, rng_of, seal_jt701d as bytes_of
from firmware_sim.seal_jt701d import Access, OrderReader, Snapshot, Status, Wake
from firmware_sim.seal_life import LEVELS, LIFE, Happening, Say, State, moves_motor
from firmware_sim.seal_link import Link
from firmware_sim.seal_settings import ORDERS, SealSpec, Settings
from firmware_sim.seal_words import (
    ACCESS,
    ALARMS,
    NO_FENCE,
    OUTSIDE_FENCE,
    WAKES,
    WORDS,
    plain,
    write_record,
)
from firmware_sim.world import EARTH_RADIUS_M, World

__all__ = ["Jt701d"]

FIRST_REPORT_MS = 2_000
PASSWORD_EVERY_MS = 60_000
RELOCK_MS = 60_000
LOW_BATTERY_MS = 600_000  # ten minutes under the threshold
ASLEEP_BELOW_PERCENT = 5
ALIVE_AFTER_MS = 80_000
CLOCK_EVERY_MS = 20_000  # (id,P22,2), three times
CLOCK_ASKS_MAX = 3
WRONG_ALARM_AT = 5


class _Timer(Enum):
    REPORT = auto()
    PASSWORD = auto()
    RELOCK = auto()
    LONG = auto()
    LOW_BATTERY = auto()
    CLOCK = auto()
    ALIVE = auto()


class Jt701d:
    def __init__(self, spec: SealSpec, world: World, *, start_ms: int, seed: int) -> None:
        self.baud = spec.baud
        self._spec = spec
        self._world = world
        self._start_ms = start_ms
        self._rng = rng_of(seed, "seal/password")
        self._state = State.SEALED if spec.armed else State.UNARMED
        self._cover_closed = True
        self._battery_percent = spec.battery_percent
        self._charging = False
        self._motor_stuck = False
        self._awake_though_empty = False
        self._silent_until_ms: int | None = None  # None: speaks
        self._blind: tuple[int, int | None] | None = None  # its own receiver, jammed from, to
        self._settings = Settings(
            password=spec.password,
            dynamic_on=spec.dynamic,
            cards=list(spec.cards),
            interval_s=spec.interval_s,
            low_battery_percent=spec.low_battery_percent,
            long_unlocked_min=spec.long_unlocked_min,
        )
        self._dynamic: str | None = self._new_password() if spec.armed and spec.dynamic else None
        self._wrong_count = 0
        self._clock_asks = 0
        self._orders = OrderReader()
        self._link: Link[Snapshot | Access] = Link(write_record)
        self._due: dict[_Timer, int] = {
            _Timer.REPORT: FIRST_REPORT_MS,
            _Timer.ALIVE: ALIVE_AFTER_MS,
        }
        self._next_wake = Wake.RTC
        self._out: list[Said] = []
        self._watch_battery(0)
        self._watch_lock(0)

    # -- the shape of a device

    def next_due_ms(self) -> int | None:
        dues = [*self._due.values()]
        if (link_ms := self._link.next_due_ms()) is not None:
            dues.append(link_ms)
        return min(dues)

    def wake(self, now_ms: int) -> None:
        self._hear_again(now_ms)
        self._emit(self._link.wake(now_ms, mute=self._mute()), now_ms)
        for timer in [timer for timer, due_ms in self._due.items() if due_ms <= now_ms]:
            del self._due[timer]
            self._TIMERS[timer](self, now_ms)

    def feed(self, data: bytes, now_ms: int) -> None:
        self._hear_again(now_ms)
        orders = self._orders.feed(data)
        if self._mute():
            return  # unanswered, and not obeyed later either
        for words in orders:
            self._obey(words[0], [plain(word) for word in words[1:]], now_ms)

    def play(self, event: Event, now_ms: int) -> bool:
        self._hear_again(now_ms)
        happen = self._EVENTS.get(event.do)
        return happen is not None and happen(self, event, now_ms)

    def take(self) -> list[Said]:
        out, self._out = self._out, []
        return out

    def waits(self) -> bool:
        return self._link.waits() or _Timer.PASSWORD in self._due

    def truth(self, now_ms: int) -> dict[str, object]:  # noqa: ARG002 - the shape of a device
        return {"seal": self._state.value, "kept": self._link.kept()}

    # -- the life

    def _happens(self, happening: Happening, now_ms: int, *, card: str = "0000000000") -> bool:
        """One step in the table; False if it knows none."""
        row = LIFE[self._state].get(happening)
        if row is None:
            return False
        if self._motor_stuck and moves_motor(self._state, row):
            self._motor_stuck = False  # the next lock or unlock fails, this one
            if Say.ANSWER_YES in row.says:
                self._answer_no(happening, now_ms)
            self._alarm(Status.MOTOR_STUCK, now_ms)
            return True
        before, self._state = self._state, row.to
        if before is not row.to:
            self._note(now_ms, {"seal_from": before.value, "seal_to": row.to.value})
            self._watch_lock(now_ms)
        if happening in {Happening.STATIC_RIGHT, Happening.DYNAMIC_RIGHT}:
            self._wrong_count = 0
        if row.to is State.OPENED:
            self._awake_though_empty = True
        for say in row.says:
            self._say(say, happening, now_ms, card)
        return True

    def _say(self, say: Say, happening: Happening, now_ms: int, card: str) -> None:
        access = ACCESS.get(say)
        if access is not None:
            source, verified, right = access
            self._record(
                Access(
                    at=self._snapshot(now_ms),
                    source=source,
                    verification=self._verification(now_ms) if verified is None else verified,
                    card=card,
                    password_ok=right,
                    wrong_count=self._wrong_count,
                ),
                now_ms,
            )
        elif say in ALARMS:
            self._alarm(ALARMS[say], now_ms)
        elif say is Say.REPORT:
            self._report(now_ms, Wake.RTC)
        elif say is Say.REPORT_ROPE:
            self._report(now_ms, Wake.ROPE)
        elif say is Say.NEW_PASSWORD:
            self._tell_new_password(now_ms)
        elif say is Say.ANSWER_YES:
            self._answer(now_ms, *WORDS[happening], 1, 0)
        elif say is Say.ANSWER_NO:
            self._answer_no(happening, now_ms)

    def _answer_no(self, happening: Happening, now_ms: int) -> None:
        self._answer(now_ms, *WORDS[happening], 0, self._wrong_count)

    def _watch_lock(self, now_ms: int) -> None:
        """What begins to run with a new state."""
        self._due.pop(_Timer.RELOCK, None)
        if self._state is not State.ARMED:
            self._due.pop(_Timer.PASSWORD, None)
        if self._state is State.OPENED:
            self._due[_Timer.RELOCK] = now_ms + RELOCK_MS
        self._watch_long(now_ms)

    def _watch_long(self, now_ms: int) -> None:
        self._due.pop(_Timer.LONG, None)
        if not LEVELS[self._state].locked and self._settings.long_unlocked_min:
            self._due[_Timer.LONG] = now_ms + round(self._settings.long_unlocked_min * 60_000)

    def _tell_new_password(self, now_ms: int) -> None:
        if not self._settings.dynamic_on:
            self._happens(Happening.PASSWORD_TOLD, now_ms)
            return
        self._dynamic = self._new_password()
        self._tell_password(now_ms)

    def _tell_password(self, now_ms: int) -> None:
        self._answer(now_ms, "P52", 2, self._dynamic)
        self._due[_Timer.PASSWORD] = now_ms + PASSWORD_EVERY_MS

    def _new_password(self) -> str:
        return f"{self._rng.randrange(10**6):06d}"

    def _verification(self, now_ms: int) -> int:
        """Which fence allows it: its number, 98 if none is tied, 99 outside."""
        if not self._spec.fences:
            return NO_FENCE
        here = self._world.at(now_ms)
        for fence in self._spec.fences:
            north = radians(here.lat - fence.lat) * EARTH_RADIUS_M
            east = radians(here.lon - fence.lon) * EARTH_RADIUS_M * cos(radians(fence.lat))
            if hypot(north, east) <= fence.radius_m:
                return fence.id
        return OUTSIDE_FENCE

    # -- speaking

    def _record(self, record: Snapshot | Access, now_ms: int) -> None:
        if self._asleep():
            return  # an empty seal makes no records
        self._emit(self._link.say(record, now_ms, mute=self._mute()), now_ms)

    def _report(self, now_ms: int, wake: Wake) -> None:
        self._record(self._snapshot(now_ms, wake=wake), now_ms)

    def _alarm(self, bit: Status, now_ms: int) -> None:
        self._record(self._snapshot(now_ms, alarm=bit, wake=WAKES.get(bit, Wake.RTC)), now_ms)

    def _answer(self, now_ms: int, *words: object) -> None:
        """Text that nobody acknowledges by number; lost while the seal may not speak."""
        if self._mute():
            return
        data = bytes_of.text(self._spec.id, *words)
        self._emit([Said(at_ms=now_ms, data=data, note={"say": str(words[0])})], now_ms)

    def _emit(self, said: list[Said], now_ms: int) -> None:
        self._out += said
        if said:
            self._due[_Timer.ALIVE] = now_ms + ALIVE_AFTER_MS

    def _note(self, now_ms: int, note: dict[str, object]) -> None:
        self._out.append(Said(at_ms=now_ms, data=b"", note=note))

    def _snapshot(self, now_ms: int, *, alarm: int = 0, wake: Wake = Wake.RTC) -> Snapshot:
        here = self._world.at(now_ms)
        levels = LEVELS[self._state]
        blind = self._blind is not None and (self._blind[1] is None or now_ms < self._blind[1])
        return Snapshot(
            seal_id=self._spec.id,
            unix_ms=self._start_ms + now_ms,
            lat=here.lat,
            lon=here.lon,
            fixed=not blind,
            speed_km_h=here.speed_m_s * 3.6,
            course_deg=here.course_deg,
            mileage_km=int(here.odometer_m / 1000),
            sats=0 if blind else 9,
            status=bytes_of.status_word(
                rope_in=levels.rope_in,
                locked=levels.locked,
                cover_closed=self._cover_closed,
                alarm=alarm,
            ),
            battery_percent=self._battery_percent,
            charging=self._charging,
            wake=wake,
        )

    def _mute(self) -> bool:
        return self._silent_until_ms is not None or self._asleep()

    def _asleep(self) -> bool:
        empty = self._battery_percent < ASLEEP_BELOW_PERCENT
        return empty and not self._charging and not self._awake_though_empty

    def _hear_again(self, now_ms: int) -> None:
        if self._silent_until_ms is not None and 0 <= self._silent_until_ms <= now_ms:
            self._silent_until_ms = None

    # -- what time brings

    def _report_due(self, now_ms: int) -> None:
        self._due[_Timer.REPORT] = now_ms + round(self._settings.interval_s * 1000)
        self._report(now_ms, self._next_wake)
        self._next_wake = Wake.RTC

    def _password_due(self, now_ms: int) -> None:
        self._tell_password(now_ms)

    def _relock_due(self, now_ms: int) -> None:
        if self._happens(Happening.RELOCK, now_ms) and self._state is State.OPENED:
            self._due[_Timer.RELOCK] = now_ms + RELOCK_MS  # the motor was stuck: it tries again

    def _long_due(self, now_ms: int) -> None:
        self._happens(Happening.LONG_UNLOCKED, now_ms)

    def _low_battery_due(self, now_ms: int) -> None:
        self._alarm(Status.LOW_BATTERY, now_ms)

    def _clock_due(self, now_ms: int) -> None:
        self._clock_asks += 1
        self._answer(now_ms, "P22", 2)
        if self._clock_asks < CLOCK_ASKS_MAX:
            self._due[_Timer.CLOCK] = now_ms + CLOCK_EVERY_MS

    def _alive_due(self, now_ms: int) -> None:
        self._due[_Timer.ALIVE] = now_ms + ALIVE_AFTER_MS
        self._answer(now_ms, "@JT")

    def _watch_battery(self, now_ms: int) -> None:
        low = self._battery_percent <= self._settings.low_battery_percent and not self._charging
        if not low:
            self._due.pop(_Timer.LOW_BATTERY, None)
        elif _Timer.LOW_BATTERY not in self._due:
            self._due[_Timer.LOW_BATTERY] = now_ms + LOW_BATTERY_MS

    # -- events of the scenario

    def _event_rope_in(self, _event: Event, now_ms: int) -> bool:
        return self._happens(Happening.ROPE_IN, now_ms)

    def _event_rope_out(self, _event: Event, now_ms: int) -> bool:
        return self._happens(Happening.ROPE_OUT, now_ms)

    def _event_cut(self, _event: Event, now_ms: int) -> bool:
        return self._happens(Happening.CUT, now_ms)

    def _event_force(self, _event: Event, now_ms: int) -> bool:
        return self._happens(Happening.FORCE, now_ms)

    def _event_card(self, event: Event, now_ms: int) -> bool:
        card = event.text("card").zfill(10)
        if card not in self._settings.cards or "card" not in self._settings.open_channels:
            return self._happens(Happening.CARD_UNKNOWN, now_ms, card=card)
        outside = self._verification(now_ms) == OUTSIDE_FENCE
        happening = Happening.CARD_OUTSIDE if outside else Happening.CARD_OPENS
        return self._happens(happening, now_ms, card=card)

    def _event_p43(self, event: Event, now_ms: int) -> bool:
        given = event.text("password", self._settings.password)
        return self._try_static(given, event.text("channel", "sms"), now_ms)

    def _event_p52(self, event: Event, now_ms: int) -> bool:
        given = event.text("password", self._dynamic or "")
        return self._try_dynamic(given, event.text("channel", "sms"), now_ms)

    def _event_cover(self, event: Event, now_ms: int) -> bool:
        closed = event.text("state", "open") == "closed"
        if closed is self._cover_closed:
            return False
        self._cover_closed = closed
        if closed:
            self._report(now_ms, Wake.COVER)
        else:
            self._alarm(Status.COVER_OPENED, now_ms)
        return True

    def _event_battery(self, event: Event, now_ms: int) -> bool:
        was_charging = self._charging
        self._battery_percent = round(event.number("percent", self._battery_percent))
        self._charging = event.flag("charging", default=self._charging)
        self._awake_though_empty = False
        self._watch_battery(now_ms)
        if self._charging and not was_charging:
            self._report(now_ms, Wake.CHARGING)
        return True

    def _event_motor(self, event: Event, _now_ms: int) -> bool:
        self._motor_stuck = event.flag("stuck", default=True)
        return True

    def _event_restart(self, _event: Event, now_ms: int) -> bool:
        self._link.restart()
        self._next_wake = Wake.RESTART
        self._clock_asks = 0
        self._due[_Timer.CLOCK] = now_ms
        self._due[_Timer.REPORT] = now_ms + FIRST_REPORT_MS
        return True

    def _event_silent(self, event: Event, _now_ms: int) -> bool:
        ends_ms = event.ends_ms()
        self._silent_until_ms = -1 if ends_ms is None else ends_ms
        return True

    def _event_blind(self, event: Event, _now_ms: int) -> bool:
        self._blind = (event.at_ms, event.ends_ms())
        return True

    # -- orders of the reader

    def _obey(self, word: str, words: Sequence[str], now_ms: int) -> None:
        if (obey := self._ORDERS.get(word)) is not None:
            obey(self, words, now_ms)
        elif (settle := ORDERS.get(word)) is not None:
            before = replace(self._settings)
            answer = settle(self._settings, words)
            if answer is not None:
                self._answer(now_ms, *answer)
            self._watch_settings(before, now_ms)

    def _watch_settings(self, before: Settings, now_ms: int) -> None:
        """What begins to run with a new setting."""
        if self._settings.interval_s != before.interval_s:
            self._due[_Timer.REPORT] = now_ms + round(self._settings.interval_s * 1000)
        if self._settings.long_unlocked_min != before.long_unlocked_min:
            self._watch_long(now_ms)
        self._watch_battery(now_ms)

    def _try_static(self, given: str, channel: str, now_ms: int) -> bool:
        right = given == self._settings.password and channel in self._settings.open_channels
        return self._tried(right, Happening.STATIC_RIGHT, Happening.STATIC_WRONG, now_ms)

    def _try_dynamic(self, given: str, channel: str, now_ms: int) -> bool:
        right = (
            bool(self._dynamic)
            and given == self._dynamic
            and channel in self._settings.open_channels
        )
        right = right and self._verification(now_ms) != OUTSIDE_FENCE
        return self._tried(right, Happening.DYNAMIC_RIGHT, Happening.DYNAMIC_WRONG, now_ms)

    def _tried(self, right: bool, yes: Happening, no: Happening, now_ms: int) -> bool:  # noqa: FBT001 - a private step; both callers name it
        if right:
            if not (happened := self._happens(yes, now_ms)):
                self._answer_no(yes, now_ms)
            return happened
        self._wrong_count += 1
        if not (happened := self._happens(no, now_ms)):
            self._answer_no(no, now_ms)
        if self._wrong_count == WRONG_ALARM_AT:
            self._happens(Happening.FIFTH_WRONG, now_ms)
        return happened

    def _order_p22(self, words: Sequence[str], now_ms: int) -> None:
        # The seal's own receiver keeps its clock; the order only ends the asking.
        if words and len(words[0]) == 12 and words[0].isdecimal():
            self._due.pop(_Timer.CLOCK, None)
            self._clock_asks = CLOCK_ASKS_MAX
            self._answer(now_ms, "P22", 1)

    def _order_p35(self, _words: Sequence[str], now_ms: int) -> None:
        self._emit(self._link.acknowledged(None, now_ms, mute=self._mute()), now_ms)

    def _order_p43(self, words: Sequence[str], now_ms: int) -> None:
        if len(words) == 1:
            self._try_static(words[0], "serial", now_ms)

    def _order_p52(self, words: Sequence[str], now_ms: int) -> None:
        match [*words]:
            case ["0"]:
                self._answer(now_ms, "P52", 0, self._dynamic or "")
            case ["1", on, *_]:
                self._settings.dynamic_on = on == "1"
                self._answer(now_ms, "P52", *words)
                if not self._settings.dynamic_on:
                    self._happens(Happening.PASSWORD_TOLD, now_ms)
            case ["2", told] if told == self._dynamic:
                self._happens(Happening.PASSWORD_TOLD, now_ms)
            case ["3", given]:
                self._try_dynamic(given, "serial", now_ms)
            case _:
                pass

    def _order_p69(self, words: Sequence[str], now_ms: int) -> None:
        if len(words) == 2 and words[0] == "0" and words[1].isdecimal():
            said = self._link.acknowledged(int(words[1]), now_ms, mute=self._mute())
            self._emit(said, now_ms)

    def _order_p98(self, words: Sequence[str], now_ms: int) -> None:
        if [*words] == ["10", "0"]:
            self._answer(now_ms, "P98", 10, 0, self._link.kept())

    # -- the tables behind the doors

    _TIMERS: ClassVar[dict[_Timer, Callable[["Jt701d", int], None]]] = {
        _Timer.REPORT: _report_due,
        _Timer.PASSWORD: _password_due,
        _Timer.RELOCK: _relock_due,
        _Timer.LONG: _long_due,
        _Timer.LOW_BATTERY: _low_battery_due,
        _Timer.CLOCK: _clock_due,
        _Timer.ALIVE: _alive_due,
    }
    _EVENTS: ClassVar[dict[str, Callable[["Jt701d", Event, int], bool]]] = {
        "rope_in": _event_rope_in,
        "rope_out": _event_rope_out,
        "cut": _event_cut,
        "force": _event_force,
        "card": _event_card,
        "p43": _event_p43,
        "p52": _event_p52,
        "cover": _event_cover,
        "battery": _event_battery,
        "motor": _event_motor,
        "restart": _event_restart,
        "silent": _event_silent,
        "jam": _event_blind,
        "tunnel": _event_blind,
    }
    _ORDERS: ClassVar[dict[str, Callable[["Jt701d", Sequence[str], int], None]]] = {
        "P22": _order_p22,
        "P35": _order_p35,
        "P43": _order_p43,
        "P52": _order_p52,
        "P69": _order_p69,
        "P98": _order_p98,
    }
