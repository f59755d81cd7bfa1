"""One truck's devices on one axis of world time: wakes them, lets events happen, sends what they say through their cables.

Law: pure. Everything due happens in order of world time, events before devices, devices in the order of the scenario. How far
and how fast time moves is the caller's affair, and changes no byte.
"""

from dataclasses import dataclass
from heapq import heappop, heappush

from firmware_sim import Device, Event, rng_of
from firmware_sim.cable import Cable, Struck
from firmware_sim.capture import Capture
from firmware_sim.ct_c import CtC
from firmware_sim.eseal import Jt701d
from firmware_sim.gps_receiver import GpsReceiver
from firmware_sim.rfid_reader import RfidReader
from firmware_sim.scenario import Scenario
from firmware_sim.world import World

__all__ = ["Bytes", "Happened", "Out", "Plug", "Stage", "Truth"]

TRUTH_EVERY_MS = 1000
NEVER_MS = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytes:
    """Bytes reach the pty of `device`, sent at `baud`."""

    at_ms: int
    device: str
    data: bytes
    baud: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plug:
    """The pty of `device` goes away, or a new one comes under the same name."""

    at_ms: int
    device: str
    there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """One line of the answer sheet."""

    at_ms: int
    line: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """An event was played; `applied` False: it changed nothing in the present state."""

    at_ms: int
    event: Event
    applied: bool


Out = Bytes | Plug | Truth | Happened


class Stage:
    def __init__(self, scenario: Scenario, *, start_ms: int, tell_truth: bool = False) -> None:
        """`start_ms`: Unix ms of world time 0, for a scenario that leaves it to the player."""
        self.scenario = scenario
        self.now_ms = 0
        self._start_ms = start_ms
        self._world = World(scenario.track)
        self.devices = _devices(scenario, self._world, start_ms)
        self._cables = {name: _cable(scenario, name) for name in self.devices}
        self._events = sorted(scenario.events, key=lambda event: event.at_ms)
        self._next_event = 0
        self._ended = False
        self._plugged = dict.fromkeys(self.devices, True)
        self._replug_ms: dict[str, int] = {}
        self._under_way: list[tuple[int, int, str, Struck, int]] = []
        self._number = 0
        self._truth_ms: int | None = 0 if tell_truth else None
        self._tell_truth = tell_truth
        self._out: list[Out] = []

    @property
    def done(self) -> bool:
        """Whether the scenario's end has come, and what was on the cables then has arrived."""
        return self._ended and not self._under_way

    def baud(self, device: str) -> int:
        return self.devices[device].baud

    def on_cable(self, device: str) -> bool:
        """Whether something that `device` has said is still on its way."""
        return any(name == device for _, _, name, _, _ in self._under_way)

    def next_due_ms(self) -> int:
        """When something is due next; the end of the scenario is."""
        due_ms = self._due_ms()
        return due_ms if self._ended else min(due_ms, self.scenario.end_ms)

    def advance(self, to_ms: int) -> list[Out]:
        """Let time run to `to_ms`; what came of it, in order. Past the end only the cables run empty."""
        self._run(min(to_ms, self.scenario.end_ms - 1))  # what is due at the end is not played
        if to_ms >= self.scenario.end_ms:
            self._ended = True
            self._run(to_ms)
        return self._taken()

    def feed(self, device: str, data: bytes) -> list[Out]:
        """The reader wrote `data` to `device` now."""
        if self._plugged[device]:
            self.devices[device].feed(data, self.now_ms)
            self._collect(device)
        return self._taken()

    def play(self, event: Event) -> list[Out]:
        """Let an event of the control channel happen now."""
        self._play(event)
        return self._taken()

    def _run(self, to_ms: int) -> None:
        while True:
            due_ms = NEVER_MS if self._ended else self._happens_ms()
            # What only arrives asks no device: most instants of a busy line are of that kind.
            self._arrive(min(due_ms - 1, to_ms))
            if due_ms > to_ms:
                break
            self.now_ms = max(due_ms, self.now_ms)
            self._step()
            self._arrive(self.now_ms)
        self.now_ms = max(to_ms, self.now_ms)

    def _due_ms(self) -> int:
        arrives_ms = self._under_way[0][0] if self._under_way else NEVER_MS
        return arrives_ms if self._ended else min(arrives_ms, self._happens_ms())

    def _happens_ms(self) -> int:
        """When the next event or device is due."""
        due_ms = NEVER_MS
        for device in self.devices.values():
            each_ms = device.next_due_ms()
            if each_ms is not None and each_ms < due_ms:
                due_ms = each_ms
        if self._replug_ms:
            due_ms = min(due_ms, *self._replug_ms.values())
        if self._next_event < len(self._events):
            due_ms = min(due_ms, self._events[self._next_event].at_ms)
        if self._truth_ms is not None:
            due_ms = min(due_ms, self._truth_ms)
        return due_ms

    def _step(self) -> None:
        """All that is due at this one instant."""
        for name in [name for name, at_ms in self._replug_ms.items() if at_ms <= self.now_ms]:
            self._plug(name, there=True)
        while (
            self._next_event < len(self._events)
            and self._events[self._next_event].at_ms <= self.now_ms
        ):
            self._next_event += 1
            self._play(self._events[self._next_event - 1])
        for name, device in self.devices.items():
            due_ms = device.next_due_ms()
            if due_ms is not None and due_ms <= self.now_ms:
                device.wake(self.now_ms)
                self._collect(name)
        if self._truth_ms is not None and self._truth_ms <= self.now_ms:
            self._truth_ms += TRUTH_EVERY_MS
            self._tell(self._truth())

    def _arrive(self, to_ms: int) -> None:
        """What has reached the end of its cable by `to_ms`."""
        while self._under_way and self._under_way[0][0] <= to_ms:
            at_ms, _, name, struck, baud = heappop(self._under_way)
            if self._plugged[name] and struck.data:
                self._out.append(Bytes(at_ms=at_ms, device=name, data=struck.data, baud=baud))

    def _play(self, event: Event) -> None:
        if event.do in {"unplug", "replug"}:
            applied = self._plugged[event.device] is (event.do == "unplug")
            if applied:
                self._plug(event.device, there=event.do == "replug")
            if event.do == "unplug" and (ends_ms := event.ends_ms()) is not None:
                self._replug_ms[event.device] = ends_ms
        else:
            applied = self.devices[event.device].play(event, self.now_ms)
            self._also(event)
        self._out.append(Happened(at_ms=self.now_ms, event=event, applied=applied))
        self._tell({"event": event.do, "device": event.device, "applied": applied})
        self._collect(event.device)

    def _also(self, event: Event) -> None:
        """A jammer or a tunnel takes the sky from the seal's own receiver as well."""
        if event.do in {"jam", "tunnel"} and event.device == "gps" and "seal" in self.devices:
            self.devices["seal"].play(event, self.now_ms)

    def _plug(self, device: str, *, there: bool) -> None:
        self._replug_ms.pop(device, None)
        self._plugged[device] = there
        self._out.append(Plug(at_ms=self.now_ms, device=device, there=there))
        # To a device that lives on the port's power it happens as well.
        word = "replug" if there else "unplug"
        self.devices[device].play(Event(at_ms=self.now_ms, do=word, device=device), self.now_ms)
        self._collect(device)

    def _collect(self, name: str) -> None:
        device = self.devices[name]
        for said in device.take():
            if said.note:
                self._tell({"device": name, **said.note})
            if not said.data:
                continue
            struck = self._cables[name].carry(said.at_ms, said.data, device.baud)
            self._number += 1
            heappush(self._under_way, (struck.at_ms, self._number, name, struck, device.baud))
            for fault in struck.faults:
                line = said.data.decode("latin-1") if said.data.isascii() else said.data.hex()
                self._tell({"fault": fault, "device": name, "line": line})

    def _truth(self) -> dict[str, object]:
        here = self._world.at(self.now_ms)
        line: dict[str, object] = {
            "lat": round(here.lat, 7),
            "lon": round(here.lon, 7),
            "speed_m_s": round(here.speed_m_s, 3),
            "course_deg": round(here.course_deg, 2),
        }
        for device in self.devices.values():
            line |= device.truth(self.now_ms)
        return line

    def _tell(self, line: dict[str, object]) -> None:
        if self._tell_truth:
            head = {"t_s": self.now_ms / 1000, "unix_ms": self._start_ms + self.now_ms}
            self._out.append(Truth(at_ms=self.now_ms, line={**head, **line}))

    def _taken(self) -> list[Out]:
        out, self._out = self._out, []
        return out


def _devices(scenario: Scenario, world: World, start_ms: int) -> dict[str, Device]:
    seed = scenario.seed
    devices: dict[str, Device] = {}
    if scenario.receiver is not None:
        devices["gps"] = GpsReceiver(scenario.receiver, world, start_ms=start_ms, seed=seed)
    if scenario.seal is not None:
        seal = CtC if scenario.seal.protocol == "eseal" else Jt701d
        devices["seal"] = seal(scenario.seal, world, start_ms=start_ms, seed=seed)
    if scenario.reader is not None:
        devices["rfid"] = RfidReader(scenario.reader, world, start_ms=start_ms, seed=seed)
    if scenario.capture is not None:
        devices[scenario.capture.device] = Capture(scenario.capture)
    return devices


def _cable(scenario: Scenario, device: str) -> Cable:
    return Cable(
        [
            (fault, rng_of(scenario.seed, f"fault/{number}"))
            for number, fault in enumerate(scenario.faults)
            if fault.device == device
        ]
    )
