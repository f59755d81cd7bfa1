"""A foreign program that says lines: gpsd behind a socket, the LLRP child behind a pipe. One thread each, facts to the inbox.

Law: the thread alone touches the program and its reader. It is never the end of the agent: a program that fails, ends or says nothing
is left and looked for again, each time after a longer pause, up to a limit.
"""

import os
import select
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from agent.io.clock import Clock
from agent.io.inbox import HeardFact, Inbox
from agent.io.link_watch import LinkWatch
from agent.io.serial_port import LineReader
from agent.io.words import PortSettings, PortView
from agent.recorder.facts import LinkState, PortState, SealSilence
from devices import Fact, ReaderAnswer

READ_BYTES_MAX = 4_096
READ_BYTES_S_MAX = 262_144  # gpsd with every class and 60 satellites at 10 Hz says a fourth of it
LOOK_S = 1.0  # how often a silent program is judged


class Opened(Protocol):
    """A program that can be heard."""

    def fileno(self) -> int: ...

    def read(self, bytes_max: int) -> bytes:
        """What is there, when `fileno` is ready; empty at its end."""
        ...

    def close(self) -> None:
        """Leave it; a child is ended. Never raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses between tries: doubled each time up to the limit; with `jitter` anything from zero to that."""

    first_s: float
    most_s: float
    jitter: bool

    def pause_s(self, tries: int, rng: Random) -> float:
        """Behind so many failures in a row, one at least."""
        pause_s = float(min(self.most_s, self.first_s * 2 ** min(tries - 1, 16)))
        return max(self.first_s, rng.uniform(0, pause_s)) if self.jitter else pause_s


class ForeignSource:
    """A program and its reader (`agent.io.source.Source`). `start` once, `stop` once; both return at once."""

    def __init__(
        self,
        settings: PortSettings,
        *,
        reader: LineReader,
        opens: Callable[[], Opened],
        backoff: Backoff,
        quiet_ms_max: int,
        is_up_when_open: bool,
        clock: Clock,
        inbox: Inbox,
        rng: Random,
    ) -> None:
        """`opens` may raise OSError with the reason. `is_up_when_open`: else the first word shows that somebody is there."""
        self.settings = settings
        self.counters: Counter[str] = Counter()
        self.found_baud: int | None = None  # no rate here
        self.detail = ""
        self.turned_mono_ms: int | None = None  # when the thread moved last; None: it need not
        self._reader = reader
        self._opens = opens
        self._backoff = backoff
        self._quiet_ms_max = quiet_ms_max
        self._is_up_when_open = is_up_when_open
        self._clock = clock
        self._inbox = inbox
        self._rng = rng
        self._watch = LinkWatch(
            name=settings.name, role=settings.role, protocol=settings.protocol, hunts=False
        )
        self._failures = 0  # in a row
        self._second = (0, 0)  # which second, and bytes read in it
        self._stop = threading.Event()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        # A thread of this name that dies takes the agent with it, as a port's does.
        self._thread = threading.Thread(
            target=self._run, name=f"serial[{settings.name}]", daemon=True
        )

    # from the loop's thread

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; the thread leaves the program in its own time."""
        self._stop.set()
        self._inbox.release()
        try:
            os.write(self._wake_write, b"w")
        except BlockingIOError:
            return  # it is awake

    def join(self, timeout_s: float) -> bool:
        """Whether the thread has ended in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def write(self, data: bytes) -> bool:
        """Nothing is said to what is behind a program."""
        self.counters["writes_dropped"] += bool(data)
        return False

    def acknowledge(self, fact: Fact, ack: bytes) -> None:
        """Nobody here waits for our word."""

    def remember(self, frames: Iterable[bytes]) -> None:
        """Nobody here repeats what was stored."""

    def forget(self, fact: Fact) -> None:
        """As above."""

    def view(self) -> PortView:
        return PortView(
            name=self.settings.name,
            device=self.settings.device,
            role=self.settings.role.value,
            state=self._watch.state.value,
            detail=self.detail,
            baud=None,
            counters=dict(self._reader.counters) | dict(self.counters),
        )

    # in the thread

    def _run(self) -> None:
        while not self._stop.is_set():
            self.turned_mono_ms = self._clock.mono_ms()
            try:
                opened = self._opens()
            except OSError as error:
                self.counters["not_opened"] += 1
                self._fail(error.strerror or str(error))
                continue
            self.counters["opened"] += 1
            quiet = self.counters["quiet"]
            try:
                why = self._listen(opened)
            except OSError as error:
                why = error.strerror or str(error)
            finally:
                opened.close()
            self._end_hearing()
            if not self._stop.is_set():
                self.counters["falls"] += 1
                self._fail(why, is_quiet=self.counters["quiet"] > quiet)

    def _end_hearing(self) -> None:
        """What was told so far stands; half a line is none."""
        close = getattr(self._reader, "close", None)
        if close is not None:
            mono_ms = self._clock.mono_ms()
            for fact in close(self._clock.now_of(mono_ms)):
                self._put(fact, mono_ms)

    def _fail(self, why: str, *, is_quiet: bool = False) -> None:
        """It is not there, or left us. A silent one is MUTE already, and stays so until it speaks or is gone."""
        self.detail = why
        if not (is_quiet and self._watch.state is LinkState.MUTE):
            self._hand_over(self._watch.closed(LinkState.ABSENT, self._clock.mono_ms()))
        self._failures += 1
        self.turned_mono_ms = None  # a pause, longer than any step
        self._stop.wait(self._backoff.pause_s(self._failures, self._rng))

    def _listen(self, opened: Opened) -> str:
        """Until it ends, is silent too long, or the unit stops; the reason."""
        heard_ms = self._clock.mono_ms()
        if self._is_up_when_open:
            self._come_up(heard_ms)
        while not self._stop.is_set():
            self.turned_mono_ms = self._clock.mono_ms()
            fd, data = opened.fileno(), b""
            ready, _, _ = select.select([fd, self._wake_read], [], [], self._pause_s())
            if fd in ready:
                data = opened.read(READ_BYTES_MAX)
                if not data:
                    return "it has ended"
            mono_ms = self._clock.mono_ms()
            if self._digest(self._within_flood(data, mono_ms), mono_ms):
                heard_ms = mono_ms
            if mono_ms - heard_ms >= self._quiet_ms_max:
                self.counters["quiet"] += 1
                return f"nothing heard for {self._quiet_ms_max // 1000} s"
        return "the unit stops"

    def _digest(self, data: bytes, mono_ms: int) -> bool:
        """Whether something sound was said."""
        now_ms = self._clock.now_of(mono_ms)
        counters = self._reader.counters
        sound, said = _sound(counters), counters["malformed"] + counters["too_long"]
        facts = self._reader.feed(data, now_ms) if data else []
        due_ms = self._reader.next_deadline()
        if due_ms is not None and now_ms >= due_ms:
            facts = facts + self._reader.wake(now_ms)
        valid = _sound(counters) - sound
        noise = counters["malformed"] + counters["too_long"] - said
        if valid:
            self._failures = 0
            self.detail = ""
            self._come_up(mono_ms)
        for fact in facts:
            self._put(fact, mono_ms)
        # What a program says of itself is no word of the device behind it.
        told = [fact for fact in facts if not isinstance(fact, ReaderAnswer)]
        bytes_seen = len(data) if valid or noise else 0
        self._hand_over(
            self._watch.heard(bytes_seen=bytes_seen, valid=valid, facts=told, mono_ms=mono_ms)
        )
        return valid > 0

    def _come_up(self, mono_ms: int) -> None:
        if self._watch.state is LinkState.ABSENT:
            self._hand_over(self._watch.opened(mono_ms))

    def _within_flood(self, data: bytes, mono_ms: int) -> bytes:
        second = mono_ms // 1000
        seen = self._second[1] if self._second[0] == second else 0
        self._second = (second, seen + len(data))
        if seen + len(data) > READ_BYTES_S_MAX:
            self.counters["flood_bytes_dropped"] += len(data)
            return b""
        return data

    def _pause_s(self) -> float:
        """Until the reader's next deadline, at most a second."""
        due_ms = self._reader.next_deadline()
        if due_ms is None:
            return LOOK_S
        return min(LOOK_S, max(0.0, (due_ms - self._clock.now_ms()) / 1000))

    def _hand_over(self, words: list[PortState | SealSilence]) -> None:
        mono_ms = self._clock.mono_ms()
        for word in words:
            self._put(word, mono_ms)

    def _put(self, fact: Fact | PortState | SealSilence, mono_ms: int) -> None:
        self.turned_mono_ms = None  # if there is no room, the one who takes the facts is late
        self._inbox.put(
            HeardFact(source=self.settings.name, mono_ms=mono_ms, fact=fact), self._stop
        )
        self.turned_mono_ms = self._clock.mono_ms()


def _sound(counters: Counter[str]) -> int:
    """Words of the device: gpsd's TPV and SKY, a reader's tags and signs of life."""
    sentences = counters["sentences"] - counters["other"]
    return sentences + counters["frames"] - counters["faults"]
