"""Moves a stage through real time: bytes out to the ptys, the reader's bytes in, the control channel, the answer sheet.

Law: at rate 0 the world stands still until every pty has a listener, and whenever one of them has not read; at a higher rate it
goes on whoever listens. The stage decides what is said; here is decided only when the next piece of it may happen.
"""

import json
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from firmware_sim.keys import Fault
from firmware_sim.ptys import Ports, monotonic_s, unix_ms
from firmware_sim.scenario import Scenario
from firmware_sim.scenario_events import read_event
from firmware_sim.stage import Bytes, Happened, Out, Plug, Stage, Truth

__all__ = ["Options", "play"]

AHEAD_BYTES_MAX = 2_000  # at rate 0: the world stops while so much waits before a pty
STEP_MS = 1_000  # at rate 0: so far the world moves between two looks at the ptys
ANSWER_WAIT_S = 0.5  # at rate 0: a unit commits before it acknowledges
DEAF_WAITS_MAX = 3  # so often the world waits in vain; then this reader answers nobody
LOOK_AGAIN_S = 0.001  # at rate 0: nothing tells us that a reader has read
DRAIN_S_MAX = 5.0  # at the end: for a reader that stands still
CONTROL_BYTES_MAX = 65_536
STDIN, STDOUT = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    folder: Path  # of the links
    files: Path  # beside which a control line's files lie
    rate: float = 1.0
    hold: bool = False  # the world begins with {"do": "go"} on standard input
    truth: IO[str] | None = None


def play(scenario: Scenario, options: Options) -> None:
    """Play to the end, or until SIGTERM or SIGINT; the links are gone afterwards."""
    seal = scenario.seal
    dials = {"seal": seal.dial} if seal is not None and seal.dial is not None else {}
    ports = Ports(options.folder, paced=options.rate > 0, dials=dials)
    woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    player = _Player(scenario, options, ports)
    signal.set_wakeup_fd(waker)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, player.stop)
    try:
        ports.wait_for(woken, "signal")
        player.run()
    finally:
        signal.set_wakeup_fd(-1)
        ports.close()


class _Player:
    def __init__(self, scenario: Scenario, options: Options, ports: Ports) -> None:
        self._scenario = scenario
        self._options = options
        self._ports = ports
        self._stage = self._new_stage()
        self._begun_s: float | None = None  # None: held
        self._stopped = False
        self._control = b""
        self._patience: dict[
            str, float | None
        ] = {}  # at rate 0: until when the world waits for an answer
        self._deaf: dict[str, int] = {}

    def stop(self, *_signal: object) -> None:
        self._stopped = True

    def run(self) -> None:
        for name in self._stage.devices:
            port = self._ports.plug(name, self._stage.baud(name))
            tell({"device": name, **port.told()})
        self._listen()
        tell({"ready": True})
        if not self._options.hold:
            self._begin()
        while not (self._stopped or self._stage.done):
            self._carry(self._move())
            self._ports.push()
            for name in self._ports.wait(self._pause_s()):
                self._hear(name)
        if not (self._stopped or self._options.rate):
            for name in list(self._ports.ports):
                self._drain(name)
        lost = self._ports.lost_bytes + sum(p.lost_bytes for p in self._ports.ports.values())
        ended = "stopped" if self._stopped else "end"
        tell({"ended": ended, "t_s": self._stage.now_ms / 1000, "unheard_bytes": lost})

    # -- time

    def _begin(self) -> None:
        self._stage = self._new_stage()  # a start of "now" is the moment of beginning
        self._begun_s = monotonic_s()

    def _new_stage(self) -> Stage:
        start_ms = self._scenario.starts_ms(unix_ms())
        return Stage(self._scenario, start_ms=start_ms, tell_truth=self._options.truth is not None)

    def _world_ms(self) -> float:
        assert self._begun_s is not None
        return (monotonic_s() - self._begun_s) * 1000 * self._options.rate

    def _move(self) -> list[Out]:
        """Let the world go on as far as it may by now."""
        if self._begun_s is None:
            return []
        if self._options.rate:
            return self._stage.advance(int(self._world_ms()))
        if not self._may_run():
            return []
        # Where somebody waits for an answer, time goes in single steps, so that none is missed.
        waits = any(self._is_awaited(name) for name in self._ports.ports)
        return self._stage.advance(
            self._stage.next_due_ms() if waits else self._stage.now_ms + STEP_MS
        )

    def _pause_s(self) -> float | None:
        """How long nothing has to be done."""
        if self._begun_s is None:
            return None
        if self._stage.done:
            return 0.0  # nothing more is ever due
        if self._options.rate:
            if any(port.pending_bytes() for port in self._ports.ports.values()):
                return LOOK_AGAIN_S * 5
            ahead_ms = self._stage.next_due_ms() - self._world_ms()
            return max(ahead_ms / 1000 / self._options.rate, 0.0)
        if self._may_run():
            return 0.0
        waits = [port.ready_in_s() for port in self._ports.ports.values()]
        return None if None in waits else max(LOOK_AGAIN_S, *(wait or 0.0 for wait in waits))

    def _may_run(self) -> bool:
        """At rate 0: everybody listens, has read, and has answered if he is one who answers."""
        for name, port in self._ports.ports.items():
            if port.ready_in_s() != 0.0 or port.pending_bytes() > AHEAD_BYTES_MAX:
                return False
            if not self._stage.devices[name].waits():
                self._patience.pop(name, None)
            elif not (self._stage.on_cable(name) or self._waited(name)):
                return False
        return True

    def _is_awaited(self, name: str) -> bool:
        """Whether `name` waits for its reader, and the reader is one who answers."""
        given_up = (
            self._patience.get(name, 0.0) is None or self._deaf.get(name, 0) >= DEAF_WAITS_MAX
        )
        return self._stage.devices[name].waits() and not given_up

    def _waited(self, name: str) -> bool:
        """Whether the world has waited long enough for an answer to `name`."""
        if not self._is_awaited(name):
            return True
        port = self._ports.ports[name]
        if name not in self._patience:
            if not (port.pending_bytes() or port.unread_bytes()):
                self._patience[name] = monotonic_s() + ANSWER_WAIT_S
            return False
        until_s = self._patience[name]
        if until_s is not None and monotonic_s() >= until_s:
            self._patience[name] = None  # once for all that it waits for now
            self._deaf[name] = self._deaf.get(name, 0) + 1
        return self._patience[name] is None

    # -- what came of it

    def _carry(self, outs: Iterable[Out], **more: object) -> None:
        for out in outs:
            match out:
                case Bytes(device=name, data=data, baud=baud):
                    self._ports.ports[name].send(data, baud)
                case Plug(device=name, there=True):
                    self._ports.plug(name, self._stage.baud(name))
                case Plug(device=name):
                    if not self._options.rate:
                        self._drain(name)
                    self._ports.unplug(name)
                case Truth(line=line):
                    self._write_truth(line | more)
                case Happened() as happened:
                    self._happened(happened, by="control" if more else "scenario")

    def _happened(self, happened: Happened, *, by: str) -> None:
        event = happened.event
        if event.device in self._ports.ports:
            self._ports.ports[event.device].baud = self._stage.baud(event.device)
        tell(
            {
                "done": event.do,
                "by": by,
                "applied": happened.applied,
                "t_s": happened.at_ms / 1000,
                "epoch_ms": unix_ms(),
                "monotonic_ms": round(monotonic_s() * 1000, 3),
            }
        )

    def _write_truth(self, line: dict[str, object]) -> None:
        if self._options.truth is not None:
            self._options.truth.write(json.dumps(line) + "\n")

    def _drain(self, name: str) -> None:
        """Wait until the reader has everything; closing a pty takes the unread bytes away."""
        port = self._ports.ports[name]
        left, until_s = -1, monotonic_s() + DRAIN_S_MAX
        while monotonic_s() < until_s and port.openers:
            port.push()
            now_left = port.pending_bytes() + port.unread_bytes()
            if now_left == 0 == left:
                return  # twice nothing: what the kernel was moving has arrived, too
            if now_left != left:
                left, until_s = now_left, monotonic_s() + DRAIN_S_MAX
            self._ports.wait(LOOK_AGAIN_S * 5)

    # -- what is heard

    def _listen(self) -> None:
        try:
            os.set_blocking(STDIN, False)
            self._ports.wait_for(STDIN, "control")
        except (OSError, ValueError):
            pass  # no standard input, or a plain file: a scenario needs no control channel

    def _hear(self, name: str) -> None:
        if name == "control":
            self._hear_control()
        elif name in self._ports.ports and (data := self._ports.ports[name].read()):
            self._deaf[name] = 0
            self._patience.pop(name, None)
            if self._options.rate and self._begun_s is not None:
                self._carry(self._stage.advance(int(self._world_ms())))
            self._carry(self._stage.feed(name, data))

    def _hear_control(self) -> None:
        try:
            data = os.read(STDIN, 4096)
        except BlockingIOError:
            return
        if not data:
            self._ports.forget(STDIN)
            return
        self._control = (self._control + data)[-CONTROL_BYTES_MAX:]
        *lines, self._control = self._control.split(b"\n")
        for line in lines:
            if line.strip():
                self._obey(line)

    def _obey(self, line: bytes) -> None:
        try:
            wish = json.loads(line)
        except ValueError as error:
            wish = {}
            tell({"error": f"no JSON: {error}"})
            return
        if not isinstance(wish, dict):
            tell({"error": 'an object is wanted, {"do": "cut"}'})
        elif wish.get("do") == "go":
            if self._begun_s is None:
                self._begin()
            tell({"done": "go", "epoch_ms": unix_ms()})
        else:
            self._obey_event(wish)

    def _obey_event(self, wish: dict[str, object]) -> None:
        if self._begun_s is not None and self._options.rate:
            self._carry(self._stage.advance(int(self._world_ms())))
        event = read_event(wish, self._options.files, self._stage.now_ms)
        if isinstance(event, list):
            tell({"error": "; ".join(map(str, event))})
        elif event.device not in self._stage.devices:
            tell(
                {"error": f"control.do: {event.do} happens to a {event.device}, and there is none"}
            )
        else:
            self._carry(self._stage.play(event), epoch_ms=unix_ms())
            self._ports.push()


def tell(line: dict[str, object]) -> None:
    """One JSON line on standard output, at once."""
    with suppress(BrokenPipeError):  # whoever started us has gone; SIGTERM ends us, not his silence
        os.write(STDOUT, json.dumps(line).encode() + b"\n")


def complain(faults: Iterable[Fault]) -> None:
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
