"""A UHF RFID module of the M100 family (DEVICES 8.3): truth, events and commands in, frames out. The bytes are `rfid_frames`.

Law: it transmits nothing before it knows its region; a tag is read only where the antenna reaches it. It writes no tag: such
commands get error 17, as unknown ones do.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from math import cos, hypot, radians
from random import Random
from typing import ClassVar

from firmware_sim import Event, Said, rng_of
from firmware_sim.rfid_frames import Command, CommandEar, answer, notice, refusal, told_of
from firmware_sim.rfid_settings import COMMAND_ERROR, DONE, ORDERS, Module, ReaderSpec, Tag
from firmware_sim.world import EARTH_RADIUS_M, World

__all__ = ["ROUND_MS", "RfidReader"]

ROUND_MS = 50
NO_TAG, CHANNELS_BUSY = 0x15, 0x20
SLEEP, POLL_ONCE, POLL_MANY, STOP = 0x17, 0x22, 0x27, 0x28
POLL_MANY_MARK = 0x22  # the manual: reserved, always this
RSSI_SPREAD_DB = 2.0  # of a tag that hangs still in a moving truck
LINE_BITS = 10  # 8N1
NEVER_MS = 2**62


class _State(Enum):
    IDLE = "idle"
    POLLING = "polling"
    ASLEEP = "asleep"
    DEAD = "dead"  # no power, or hung: hears and says nothing


class _Tagged:
    """A tag and its own chance: that one tag is read more often changes nothing for another."""

    def __init__(self, tag: Tag, rng: Random) -> None:
        self.tag = tag
        self.told = told_of(tag.epc)  # once a tag, not once a round: its CRC took a tenth of a play
        self.rng = rng

    def is_there(self, now_ms: int) -> bool:
        tag = self.tag
        return tag.from_ms <= now_ms and (tag.to_ms is None or now_ms < tag.to_ms)


class RfidReader:
    def __init__(self, spec: ReaderSpec, world: World, *, start_ms: int, seed: int) -> None:  # noqa: ARG002 - the shape of a device; a module without a clock
        self.baud = spec.baud
        self._spec = spec
        self._world = world
        self._seed = seed
        self._rng = rng_of(seed, "rfid/round")
        self._tags: dict[bytes, _Tagged] = {}
        for tag in spec.tags:
            self._put(tag)
        self._away: dict[bytes, int] = {}  # taken off, until when
        self._ear = CommandEar()
        self._module = Module(sleep_min=spec.sleep_min)
        self._state = _State.IDLE
        self._rounds_left = 0
        self._round_ms = 0  # when the next round ends; polling only
        self._used_ms = 0  # when it was last of use: sleep counts from here
        self._back_ms: int | None = None  # when a dead one is powered again
        self._busy_until_ms = 0
        self._reads = 0
        self._out: list[Said] = []

    # -- the shape of a device

    def next_due_ms(self) -> int | None:
        if self._state is _State.POLLING:
            return self._round_ms
        if self._state is _State.DEAD:
            return self._back_ms
        if self._state is _State.IDLE and self._module.sleep_min:
            return self._used_ms + self._module.sleep_min * 60_000
        return None

    def wake(self, now_ms: int) -> None:
        if self._state is _State.POLLING:
            self._round(now_ms)
        elif self._state is _State.DEAD:
            self._power_on(now_ms)
        elif self._state is _State.IDLE:
            self._become(_State.ASLEEP, now_ms)

    def feed(self, data: bytes, now_ms: int) -> None:
        if self._state is _State.DEAD:
            return
        self._ear.hear(data)
        while self._hears(now_ms) and (command := self._ear.next()) is not None:
            self._used_ms = now_ms
            self._obey(command, now_ms)

    def play(self, event: Event, now_ms: int) -> bool:
        happen = self._EVENTS.get(event.do)
        return happen is not None and happen(self, event, now_ms)

    def take(self) -> list[Said]:
        out, self._out = self._out, []
        return out

    def waits(self) -> bool:
        """Idle, it has nothing to do but wait for the next command."""
        return self._state is _State.IDLE

    def truth(self, now_ms: int) -> dict[str, object]:
        return {
            "reader": self._state.value,
            "tags": [each.tag.epc.hex().upper() for each in self._in_reach(now_ms)],
            "reads": self._reads,
        }

    # -- hearing

    def _hears(self, now_ms: int) -> bool:
        """A sleeping module loses the byte that wakes it."""
        if self._state is _State.ASLEEP:
            if not self._ear.swallow():
                return False
            self._used_ms = now_ms
            self._become(_State.IDLE, now_ms)
        return True

    def _obey(self, command: Command, now_ms: int) -> None:
        code, parameters = command.code, command.parameters
        if code == POLL_ONCE and not parameters:
            self._poll(1, now_ms)
        elif code == POLL_MANY and len(parameters) == 3 and parameters[0] == POLL_MANY_MARK:
            self._poll(int.from_bytes(parameters[1:], "big"), now_ms)
        elif code == STOP and not parameters:
            self._say(answer(STOP, DONE), now_ms)
            self._stop(now_ms)
        elif code == SLEEP and not parameters:
            self._say(answer(SLEEP, DONE), now_ms)
            self._become(_State.ASLEEP, now_ms)
        elif code in ORDERS:
            self._say(ORDERS[code](self._module, parameters), now_ms)
        else:
            self._say(refusal(COMMAND_ERROR), now_ms)

    # -- rounds

    def _poll(self, rounds: int, now_ms: int) -> None:
        if self._module.region is None:
            self._say(refusal(COMMAND_ERROR), now_ms)
            return
        if not rounds:
            self._stop(now_ms)
            return
        self._rounds_left = rounds
        self._round_ms = now_ms + ROUND_MS
        self._become(_State.POLLING, now_ms)

    def _round(self, now_ms: int) -> None:
        for frame in self._heard_on_air(now_ms):
            self._say(frame, now_ms)
        self._rounds_left -= 1
        self._round_ms = now_ms + ROUND_MS
        self._used_ms = now_ms
        if not self._rounds_left:
            self._stop(now_ms)

    def _heard_on_air(self, now_ms: int) -> list[bytes]:
        if now_ms < self._busy_until_ms:
            return [refusal(CHANNELS_BUSY)]
        frames = [
            notice(each.told, round(each.rng.gauss(each.tag.rssi_dbm, RSSI_SPREAD_DB)))
            for each in self._in_reach(now_ms)
            if each.rng.random() < each.tag.read_rate
        ]
        if not frames:
            return [refusal(NO_TAG)]
        if len(frames) > 1:
            self._rng.shuffle(frames)  # tags answer in slots that they draw
        # What finds no slot, or no room on the line before the next round ends, is not told.
        frames = frames[: self._module.slots]
        room = self.baud * ROUND_MS // (LINE_BITS * 1000)
        while len(frames) > 1 and sum(map(len, frames)) > room:
            frames.pop()
        self._reads += len(frames)
        return frames

    def _in_reach(self, now_ms: int) -> list[_Tagged]:
        return [
            each
            for each in self._tags.values()
            if each.is_there(now_ms)
            and self._away.get(each.tag.epc, 0) <= now_ms
            and (each.tag.gate is None or self._reaches(each.tag, now_ms))
        ]

    def _reaches(self, tag: Tag, now_ms: int) -> bool:
        assert tag.gate is not None
        here, (lat, lon) = self._world.at(now_ms), tag.gate
        north_m = radians(here.lat - lat) * EARTH_RADIUS_M
        east_m = radians(here.lon - lon) * EARTH_RADIUS_M * cos(radians(lat))
        return hypot(north_m, east_m) <= tag.reach_m

    # -- states

    def _stop(self, now_ms: int) -> None:
        self._rounds_left = 0
        self._become(_State.IDLE, now_ms)

    def _become(self, state: _State, now_ms: int) -> None:
        if state is not self._state:
            note = {"reader_from": self._state.value, "reader_to": state.value}
            self._out.append(Said(at_ms=now_ms, data=b"", note=note))
            self._state = state

    def _power_on(self, now_ms: int) -> None:
        """Everything set is forgotten, and so is what was half heard."""
        self._module = Module(sleep_min=self._spec.sleep_min)
        self._ear.forget()
        self._rounds_left = 0
        self._used_ms = now_ms
        self._back_ms = None
        self._become(_State.IDLE, now_ms)

    def _say(self, frame: bytes, now_ms: int) -> None:
        self._out.append(Said(at_ms=now_ms, data=frame))

    def _put(self, tag: Tag) -> None:
        """A tag that comes again goes on with its own chance."""
        known = self._tags.get(tag.epc)
        rng = rng_of(self._seed, f"rfid/{tag.epc.hex()}") if known is None else known.rng
        self._tags[tag.epc] = _Tagged(tag, rng)

    # -- events of the scenario

    def _event_tag_on(self, event: Event, now_ms: int) -> bool:
        tag = event.args["tag"]
        assert isinstance(tag, Tag)
        self._put(replace(tag, from_ms=now_ms, to_ms=event.ends_ms()))
        self._away.pop(tag.epc, None)
        return True

    def _event_tag_off(self, event: Event, now_ms: int) -> bool:
        """One tag, or all of them; False if none of these was there."""
        word, ends_ms = event.text("epc"), event.ends_ms()
        there = [
            epc
            for epc, each in self._tags.items()
            if word in {"", epc.hex()}
            and each.is_there(now_ms)
            and self._away.get(epc, 0) <= now_ms
        ]
        self._away |= dict.fromkeys(there, NEVER_MS if ends_ms is None else ends_ms)
        return bool(there)

    def _event_reader_dead(self, event: Event, now_ms: int) -> bool:
        if self._state is _State.DEAD:
            return False
        self._become(_State.DEAD, now_ms)
        self._back_ms = event.ends_ms()
        return True

    def _event_reader_busy(self, event: Event, _now_ms: int) -> bool:
        ends_ms = event.ends_ms()
        self._busy_until_ms = NEVER_MS if ends_ms is None else ends_ms
        return True

    def _event_restart(self, _event: Event, now_ms: int) -> bool:
        self._power_on(now_ms)
        return True

    def _event_unplug(self, _event: Event, now_ms: int) -> bool:
        self._become(_State.DEAD, now_ms)
        self._back_ms = None
        return True

    _EVENTS: ClassVar[dict[str, Callable[["RfidReader", Event, int], bool]]] = {
        "tag_on": _event_tag_on,
        "tag_off": _event_tag_off,
        "reader_dead": _event_reader_dead,
        "reader_busy": _event_reader_busy,
        "reader_restart": _event_restart,
        "unplug": _event_unplug,  # it lives on the port's power
        "replug": _event_restart,
    }
