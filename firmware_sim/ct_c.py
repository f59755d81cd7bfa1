"""An eSeal CT-C (DEVICES 4.3): the same life as the rope seal, told in ASCII lines. Truth, events and orders in, lines out.

Law: written from captured lines, not from their reader. It tells an opening by a door contact: cut, torn or opened, the contact
is Open; who was allowed to, only Event-RC-Unlock says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from firmware_sim import Event, Said
from firmware_sim.eseal import ASLEEP_BELOW_PERCENT
from firmware_sim.seal_life import LIFE, Happening, State
from firmware_sim.seal_link import Link
from firmware_sim.seal_settings import SealSpec
from firmware_sim.world import World

__all__ = ["CtC"]

CUSTOMER, FIRMWARE = "256", "3.0.8"
FIRST_REPORT_MS = 2_000
RELOCK_MS = 60_000
LINE_BYTES_MAX = 512
VOLT_EMPTY, VOLT_SPAN = 3.3, 0.9  # of a lithium cell, 0 to 100 %
SIGNAL_DBM = -73
HARD_G, QUIET_G = "3.20", "0.98"
OPEN_STATES = frozenset({State.UNARMED, State.CUT, State.FORCED, State.OPENED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report, but for its number."""

    message: str
    head: str
    body: str


class CtC:
    def __init__(self, spec: SealSpec, world: World, *, start_ms: int, seed: int) -> None:  # noqa: ARG002 - the shape of a seal; this one draws nothing
        self.baud = spec.baud
        self._spec = spec
        self._world = world
        self._start_ms = start_ms
        self._state = State.SEALED if spec.armed else State.UNARMED
        self._door_open: bool | None = None  # as an event set it, else as the state says
        self._battery_percent = spec.battery_percent
        self._charging = False
        self._off = False
        self._blind_until_ms = 0
        self._silent_until_ms: int | None = None
        self._link: Link[Report] = Link(_write)
        self._report_ms = FIRST_REPORT_MS
        self._relock_ms: int | None = None
        self._first = True
        self._held = b""
        self._out: list[Said] = []

    # -- the shape of a device

    def next_due_ms(self) -> int | None:
        dues = [self._report_ms, self._relock_ms, self._link.next_due_ms()]
        return min(due for due in dues if due is not None)

    def wake(self, now_ms: int) -> None:
        mute = self._mute(now_ms)
        self._out += self._link.wake(now_ms, mute=mute)
        if self._relock_ms is not None and self._relock_ms <= now_ms:
            self._relock_ms = None
            self._happens(Happening.RELOCK, now_ms)
        if self._report_ms <= now_ms:
            self._report_ms = now_ms + round(self._spec.interval_s * 1000)
            self._report("Startup" if self._first else "Normal", now_ms)
            self._first = False

    def feed(self, data: bytes, now_ms: int) -> None:
        self._held += data
        while (end := self._held.find(b"E##")) >= 0:
            line, self._held = self._held[:end], self._held[end + 3 :]
            begin = line.rfind(b"##S,")
            if begin >= 0 and not self._mute(now_ms):
                self._hear(line[begin:].decode("latin-1"), now_ms)
        self._held = self._held[-LINE_BYTES_MAX:]

    def play(self, event: Event, now_ms: int) -> bool:
        happen = self._EVENTS.get(event.do)
        return happen is not None and happen(self, event, now_ms)

    def take(self) -> list[Said]:
        out, self._out = self._out, []
        return out

    def waits(self) -> bool:
        return self._link.waits()

    def truth(self, now_ms: int) -> dict[str, object]:  # noqa: ARG002 - the shape of a device
        return {"seal": self._state.value, "kept": self._link.kept()}

    # -- the life

    def _happens(self, happening: Happening, now_ms: int) -> bool:
        row = LIFE[self._state].get(happening)
        if row is None:
            return False
        before, self._state = self._state, row.to
        if before is row.to:
            return True
        self._door_open = None
        note = {"seal_from": before.value, "seal_to": row.to.value}
        self._out.append(Said(at_ms=now_ms, data=b"", note=note))
        if row.to is State.ARMED:
            self._state = State.SEALED  # there is no password to be confirmed
        self._relock_ms = now_ms + RELOCK_MS if self._state is State.OPENED else None
        self._report(_MESSAGES[self._state, happening], now_ms)
        return True

    def _hear(self, line: str, now_ms: int) -> None:
        words = line.split(",")
        if len(words) < 6 or words[2] != self._spec.id:
            return
        message = words[5]
        if message.endswith(" ACK") and len(words) > 6 and words[6].isdecimal():
            mute = self._mute(now_ms)
            self._out += self._link.acknowledged(int(words[6]), now_ms, mute=mute)
        elif message == "RC-Unlock":
            self._answer("RC-Unlock ACK", now_ms)
            self._happens(Happening.STATIC_RIGHT, now_ms)
        elif message == "RC-Power Control" and words[6:7] == ["Power OFF"]:
            self._report("Termination", now_ms)
            self._off = True

    # -- speaking

    def _report(self, message: str, now_ms: int, force: str = QUIET_G) -> None:
        if self._off or self._empty():
            return
        here = self._world.at(now_ms)
        moment = datetime(1970, 1, 1, tzinfo=UTC)
        moment += timedelta(milliseconds=self._start_ms + now_ms)
        fixed = "A" if now_ms >= self._blind_until_ms else "V"
        north, east = "NS"[here.lat < 0], "EW"[here.lon < 0]
        volt = VOLT_EMPTY + VOLT_SPAN * self._battery_percent / 100
        body = (
            f"{moment:%Y-%m-%d,%H:%M:%S},{round(self._spec.interval_s)},{fixed},"
            f"{abs(here.lat):.6f}{north} {abs(here.lon):.6f}{east},{round(here.course_deg) % 360},"
            f"{round(here.speed_m_s * 3.6)},{self._door()},{force},0:0:3:0,{volt:.1f},{SIGNAL_DBM},E##\r\n"
        )
        record = Report(message=message, head=self._head(), body=body)
        self._out += self._link.say(record, now_ms, mute=self._mute(now_ms))

    def _answer(self, words: str, now_ms: int) -> None:
        data = f"{self._head()},{words},,E##\r\n".encode("ascii")
        self._out.append(Said(at_ms=now_ms, data=data, note={"say": words}))

    def _head(self) -> str:
        return f"##S,eSeal,{self._spec.id},{CUSTOMER},{FIRMWARE}"

    def _door(self) -> str:
        opened = self._state in OPEN_STATES if self._door_open is None else self._door_open
        return "Open" if opened else "Close"

    def _mute(self, now_ms: int) -> bool:
        silent = self._silent_until_ms
        return (
            (silent is not None and (silent < 0 or now_ms < silent)) or self._off or self._empty()
        )

    def _empty(self) -> bool:
        return self._battery_percent < ASLEEP_BELOW_PERCENT and not self._charging

    # -- events of the scenario

    def _event_rope_in(self, _event: Event, now_ms: int) -> bool:
        return self._happens(Happening.ROPE_IN, now_ms)

    def _event_rope_out(self, _event: Event, now_ms: int) -> bool:
        return self._happens(Happening.ROPE_OUT, now_ms)

    def _event_cut(self, _event: Event, now_ms: int) -> bool:
        return self._happens(Happening.CUT, now_ms)

    def _event_force(self, _event: Event, now_ms: int) -> bool:
        return self._happens(Happening.FORCE, now_ms)

    def _event_door(self, event: Event, now_ms: int) -> bool:
        self._door_open = event.text("state", "open") == "open"
        self._report("Event-Door", now_ms)
        return True

    def _event_shock(self, _event: Event, now_ms: int) -> bool:
        self._report("Event-Shock", now_ms, HARD_G)
        return True

    def _event_drop(self, _event: Event, now_ms: int) -> bool:
        self._report("Event-Drop", now_ms, HARD_G)
        return True

    def _event_button(self, _event: Event, now_ms: int) -> bool:
        self._report("Button-Normal", now_ms)
        return True

    def _event_battery(self, event: Event, _now_ms: int) -> bool:
        self._battery_percent = round(event.number("percent", self._battery_percent))
        self._charging = event.flag("charging", default=self._charging)
        return True

    def _event_restart(self, _event: Event, now_ms: int) -> bool:
        self._link.restart()
        self._first, self._off = True, False
        self._report_ms = now_ms + FIRST_REPORT_MS
        return True

    def _event_silent(self, event: Event, _now_ms: int) -> bool:
        ends_ms = event.ends_ms()
        self._silent_until_ms = -1 if ends_ms is None else ends_ms
        return True

    def _event_blind(self, event: Event, now_ms: int) -> bool:
        ends_ms = event.ends_ms()
        self._blind_until_ms = 2**62 if ends_ms is None else max(ends_ms, now_ms)
        return True

    _EVENTS: ClassVar[dict[str, Callable[["CtC", Event, int], bool]]] = {
        "rope_in": _event_rope_in,
        "rope_out": _event_rope_out,
        "cut": _event_cut,
        "force": _event_force,
        "door": _event_door,
        "shock": _event_shock,
        "drop": _event_drop,
        "button": _event_button,
        "battery": _event_battery,
        "restart": _event_restart,
        "silent": _event_silent,
        "jam": _event_blind,
        "tunnel": _event_blind,
    }


# Which message tells a step of the life; every step that `CtC` can take has its row.
_MESSAGES: dict[tuple[State, Happening], str] = {
    (State.SEALED, Happening.ROPE_IN): "Event-Lock",
    (State.SEALED, Happening.RELOCK): "Event-Lock",
    (State.OPENED, Happening.STATIC_RIGHT): "Event-RC-Unlock",
    (State.UNARMED, Happening.ROPE_OUT): "Event-Door",
    (State.CUT, Happening.CUT): "Event-Door",
    (State.FORCED, Happening.FORCE): "Event-Shock",
}


def _write(
    report: Report,
    serial: int,
    backlog: bool,  # noqa: FBT001 - the link gives it by place
) -> tuple[bytes, dict[str, object]]:
    note: dict[str, object] = {"say": report.message, "serial": serial}
    if backlog:
        note["backlog"] = True
    return f"{report.head},{report.message},{serial},{report.body}".encode("ascii"), note
