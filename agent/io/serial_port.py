"""One serial port, in a thread of its own: bytes in, facts to the inbox, acknowledgements and orders out (DEVICES section 7).

Law: the thread alone touches the port and its reader. It is never the end of the agent: a port that fails is opened again.
"""

import errno
import fcntl
import os
import select
import termios
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import serial

from agent.io.clock import Clock
from agent.io.inbox import HeardFact, Inbox
from agent.io.link_watch import LinkWatch
from agent.io.tag_sieve import TagSieve
from agent.io.words import PortSettings, PortView
from agent.recorder.facts import LinkState, PortState, SealSilence
from agent.recorder.settings import Role
from devices import Counters, Fact, MisuseError, SealEvent, SealReport, TagRead
from devices.nmea import BaudHunt, Rate

READ_BYTES_MAX = 4_096
READ_BYTES_S_MAX = 65_536  # a port that floods is read so far; the rest is dropped and counted
WRITE_BYTES_MAX = 1_024  # what may wait for a port; a seal repeats what was not acknowledged
ORDER_MS_MAX = 10_000  # an order that no open port has taken by then is withdrawn: a late unlock opens a door unwatched
ORDERS_MAX = 16  # as a reader's conversation holds
WRITE_S_MAX = 2.0  # 1,024 bytes at 9600 baud take 1.1 s
LOOK_S = 1.0  # how often a missing node is looked for, and a silent link is judged
MUTE_REOPEN_MS = 60_000
GATHER_S = 0.1  # of a tag reader nothing is urgent: read ten times a second, not at each byte (decision 0046)
VALID = {"nmea": "sentences", "m100": "frames"}  # "no tag" is a sign of life, and no fact
_FALLEN = (
    serial.SerialException,
    OSError,
    TypeError,
    termios.error,
)  # the faces of an unplugged port


class LineReader(Protocol):
    """What a port wants of a reader (DEVICES section 1)."""

    counters: Counters

    def feed(self, data: bytes, now_ms: int) -> list[Fact]: ...

    def wake(self, now_ms: int) -> list[Fact]: ...

    def next_deadline(self) -> int | None: ...

    def take_bytes(self) -> bytes: ...


Job = Callable[[], None]  # something that must be done in the port's thread


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingOrder:
    """An order for the device, not said yet."""

    order: object  # of the reader's own protocol; may hold a password, which its repr hides
    asked_mono_ms: int
    said: Job


class SerialPort:
    """A port and its reader. `start` once, `stop` once; both return at once."""

    def __init__(
        self,
        settings: PortSettings,
        *,
        reader: LineReader,
        clock: Clock,
        inbox: Inbox,
        saved_baud: int | None = None,
        after_feed: Callable[[LineReader, int], None] | None = None,
    ) -> None:
        """`after_feed`, in the port's thread: what a shell says by itself, a lock's clock for one."""
        self.settings = settings
        self.counters: Counter[str] = Counter()
        self.found_baud: int | None = None  # worth remembering
        self.detail = ""
        self.turned_mono_ms: int | None = None  # when the thread moved last; None: it need not
        self._reader = reader
        self._clock = clock
        self._inbox = inbox
        self._saved_baud = saved_baud
        self._after_feed = after_feed
        self._watch = LinkWatch(
            name=settings.name,
            role=settings.role,
            protocol=settings.protocol,
            hunts=settings.baud is None,
        )
        self._sieve = TagSieve()
        self._hunt: BaudHunt | None = None
        self._stop = threading.Event()
        self._jobs: deque[Job] = deque()
        self._writes: deque[bytes] = deque()
        self._orders: deque[WaitingOrder] = deque()
        self._second = (0, 0)  # which second, and bytes read in it
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._thread = threading.Thread(
            target=self._run, name=f"serial[{settings.name}]", daemon=True
        )

    # from the loop's thread

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop reading; the thread flushes and closes in its own time."""
        self._stop.set()
        self._inbox.release()
        self._wake()

    def join(self, timeout_s: float) -> bool:
        """Whether the thread has ended in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def is_open(self) -> bool:
        """Whether what is said now would be on the line at once."""
        return self._watch.state not in {LinkState.ABSENT, LinkState.BUSY}

    def write(self, data: bytes) -> bool:
        """Queue `data` for the port; False, and counted, if too much waits already or nothing is open."""
        waiting = sum(len(one) for one in self._writes)
        if waiting + len(data) > WRITE_BYTES_MAX:
            self.counters["writes_dropped"] += 1
            return False
        self._writes.append(data)
        self._wake()
        return True

    def do(self, job: Job) -> None:
        """Have `job` done in the port's thread, where the reader may be touched."""
        self._jobs.append(job)
        self._wake()

    def acknowledge(self, fact: Fact, ack: bytes) -> None:
        """The transaction that holds `fact` is committed: tell its device, and the reader."""
        self.write(ack)
        acknowledged = getattr(self._reader, "acknowledged", None)
        if acknowledged is not None:
            self.do(lambda: acknowledged(fact))

    def order(self, order: object, said: Job = lambda: None) -> bool:
        """Have `order` said to the device, once, as soon as the port is open, within ten seconds or never; then `said`.

        False, and counted, if too many wait already.
        """
        if len(self._orders) >= ORDERS_MAX:
            self.counters["orders_dropped"] += 1
            return False
        asked = WaitingOrder(order=order, asked_mono_ms=self._clock.mono_ms(), said=said)
        self._orders.append(asked)
        self._wake()
        return True

    def remember(self, frames: Iterable[bytes]) -> None:
        """An earlier run has committed these frames. Before `start`: the reader is still ours."""
        stored = getattr(self._reader, "stored", None)
        if stored is not None:
            for frame in frames:
                stored(frame)

    def forget(self, fact: Fact) -> None:
        """`fact` will never be stored: when it comes again it is new."""
        forget = getattr(self._reader, "forget", None)
        if forget is not None:
            self.do(lambda: forget(fact))

    def view(self) -> PortView:
        return PortView(
            name=self.settings.name,
            device=self.settings.device,
            role=self.settings.role.value,
            state=self._watch.state.value,
            detail=self.detail,
            baud=self.settings.baud if self._hunt is None else self._hunt.rate.baud,
            counters=dict(self._reader.counters) | dict(self.counters),
        )

    # in the port's thread

    def _run(self) -> None:
        while not self._stop.is_set():
            self.turned_mono_ms = self._clock.mono_ms()
            port = self._open()
            if port is None:
                self._rest()
                continue
            try:
                self._talk(port)
            except _FALLEN as error:
                self.counters["falls"] += 1
                self.detail = f"lost: {error}"
                self._hunt = None  # what comes back may be another device
                self._tell_closed(LinkState.ABSENT)
                self._rest()
            finally:
                _close(port)

    def _open(self) -> serial.Serial | None:
        rate = self._rate()
        try:
            port = serial.Serial(
                self.settings.device,
                baudrate=rate.baud,
                bytesize=rate.bits,
                stopbits=rate.stop_bits,
                timeout=0,
                write_timeout=WRITE_S_MAX,
                exclusive=True,
            )
        except (serial.SerialException, OSError, ValueError, termios.error) as error:
            self._tell_unopened(error)
            return None
        try:
            fcntl.ioctl(port.fileno(), termios.TIOCEXCL)  # keeps out those who ask for no lock
        except OSError as error:
            self._tell_unopened(error)
            _close(port)
            return None
        self.detail = ""
        self._writes.clear()
        self._hand_over(self._watch.opened(self._clock.mono_ms()))
        return port

    def _rate(self) -> Rate:
        """The fixed one, or where the hunt stands: a port that was mute goes on with it."""
        if self.settings.baud is not None:
            return Rate(baud=self.settings.baud)
        if self._hunt is None:
            self._hunt = BaudHunt(self._saved_baud)
        return self._hunt.rate

    def _talk(self, port: serial.Serial) -> None:
        """Until the port falls, stays mute too long, or the unit stops."""
        opened_ms = heard_ms = self._clock.mono_ms()
        if self._hunt is not None:
            self._hunt.note(0, 0, opened_ms)
        while not self._stop.is_set():
            self.turned_mono_ms = self._clock.mono_ms()
            self._do_jobs()
            self._say_orders(port)
            self._write_waiting(port)
            ready, _, _ = select.select([port.fileno(), self._wake_read], [], [], self._pause_s())
            if self._wake_read in ready:
                _drain(self._wake_read)
            data = self._read(port) if port.fileno() in ready else b""
            mono_ms = self._clock.mono_ms()
            if data:
                heard_ms = mono_ms
            self._digest(port, data, mono_ms)
            if data and self.settings.role is Role.RFID:
                select.select([self._wake_read], [], [], GATHER_S)
            if mono_ms - heard_ms >= MUTE_REOPEN_MS:
                self.counters["mute_reopened"] += 1
                return

    def _read(self, port: serial.Serial) -> bytes:
        data = bytes(port.read(max(1, min(port.in_waiting, READ_BYTES_MAX))))
        second = self._clock.mono_ms() // 1000
        seen = self._second[1] if self._second[0] == second else 0
        self._second = (second, seen + len(data))
        if seen + len(data) > READ_BYTES_S_MAX:
            self.counters["flood_bytes_dropped"] += len(data)
            return b""
        return data

    def _digest(self, port: serial.Serial, data: bytes, mono_ms: int) -> None:
        now_ms = self._clock.now_of(mono_ms)
        before = self._valid_frames()
        facts = self._reader.feed(data, now_ms) if data else []
        due_ms = self._reader.next_deadline()
        if due_ms is not None and now_ms >= due_ms:
            facts = facts + self._reader.wake(now_ms)
        valid = self._valid_frames() - before
        for at, fact in enumerate(facts, 1):
            if not isinstance(fact, TagRead) or self._sieve.passes(fact, mono_ms):
                self._put(fact, mono_ms, is_followed=are_of_one_frame(fact, facts[at:]))
        self._hand_over(
            self._watch.heard(bytes_seen=len(data), valid=valid, facts=facts, mono_ms=mono_ms)
        )
        if self._after_feed is not None:
            self._after_feed(self._reader, mono_ms)
        if out := self._reader.take_bytes():
            self.write(out)
        self._hunt_on(port, valid, len(data), mono_ms)

    def _hunt_on(self, port: serial.Serial, valid: int, bytes_seen: int, mono_ms: int) -> None:
        if self._hunt is None:
            return
        rate = self._hunt.note(valid, bytes_seen, mono_ms)
        if self._hunt.found:
            self.found_baud = self._saved_baud = self._hunt.rate.baud
        if rate is not None:
            self.counters["rates_tried"] += 1
            self._change(port, rate)

    def _change(self, port: serial.Serial, rate: Rate) -> None:
        try:
            port.bytesize = rate.bits
            port.stopbits = rate.stop_bits
            port.baudrate = rate.baud
            port.reset_input_buffer()
        except (termios.error, ValueError) as error:
            if error.args[:1] != (errno.EINVAL,) and not isinstance(error, ValueError):
                raise
            self.counters["rates_refused"] += 1  # a driver without 7N2: the hunt goes on

    def _valid_frames(self) -> int:
        """Sentences or frames with a right checksum; for seals the facts themselves speak."""
        word = VALID.get(self.settings.protocol)
        return 0 if word is None else self._reader.counters[word]

    def _pause_s(self) -> float:
        """Until the reader's next deadline, at most a second."""
        due_ms = self._reader.next_deadline()
        if due_ms is None:
            return LOOK_S
        return min(LOOK_S, max(0.0, (due_ms - self._clock.now_ms()) / 1000))

    def _write_waiting(self, port: serial.Serial) -> None:
        while self._writes:
            data = self._writes.popleft()
            try:
                port.write(data)
            except serial.SerialTimeoutException:
                self.counters["writes_stuck"] += 1
                return
            self.counters["bytes_written"] += len(data)

    def _say_orders(self, port: serial.Serial) -> None:
        """Only here, where the port is open: what nobody hears must not be said later."""
        while self._orders:
            asked = self._orders.popleft()
            order = getattr(self._reader, "order", None)
            if order is None or self._clock.mono_ms() - asked.asked_mono_ms > ORDER_MS_MAX:
                self.counters["orders_withdrawn"] += 1
                continue
            try:
                order(asked.order, self._clock.now_ms())
            except MisuseError:  # sixteen wait in the reader already, or it was never sayable
                self.counters["orders_unsayable"] += 1
                continue
            if (out := self._reader.take_bytes()) and not self.write(out):
                continue
            self._write_waiting(port)
            self.counters["orders_said"] += 1
            asked.said()

    def _do_jobs(self) -> None:
        while self._jobs:
            self._jobs.popleft()()

    def _rest(self) -> None:
        """Wait a second for the node to come (back)."""
        self._do_jobs()
        select.select([self._wake_read], [], [], LOOK_S)
        _drain(self._wake_read)

    def _tell_unopened(self, error: Exception) -> None:
        number = getattr(error, "errno", None)
        if number in {errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK}:
            if self._watch.state is not LinkState.BUSY:
                holder = holder_of(self.settings.device)
                self.detail = f"held by {holder}" if holder else "held by another program"
            self._tell_closed(LinkState.BUSY)
            return
        if number in {errno.EACCES, errno.EPERM}:
            self.detail = "no right to open it: add the agent's user to the group dialout"
        else:
            self.detail = os.strerror(number) if isinstance(number, int) else str(error)
        self._tell_closed(LinkState.ABSENT)

    def _tell_closed(self, state: LinkState) -> None:
        self._hand_over(self._watch.closed(state, self._clock.mono_ms()))

    def _hand_over(self, words: list[PortState | SealSilence]) -> None:
        mono_ms = self._clock.mono_ms()
        for word in words:
            self._put(word, mono_ms)

    def _put(
        self, fact: Fact | PortState | SealSilence, mono_ms: int, *, is_followed: bool = False
    ) -> None:
        self.turned_mono_ms = None  # if there is no room, the one who takes the facts is late
        heard = HeardFact(
            source=self.settings.name, mono_ms=mono_ms, fact=fact, is_followed=is_followed
        )
        self._inbox.put(heard, self._stop)
        self.turned_mono_ms = self._clock.mono_ms()

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"w")
        except BlockingIOError:
            return  # it is awake


def are_of_one_frame(fact: Fact, following: Sequence[Fact]) -> bool:
    """Whether a seal has said `fact` and the first of those behind it at once."""
    seals = (SealReport, SealEvent)
    if not following or not isinstance(fact, seals) or not isinstance(following[0], seals):
        return False
    return fact.frame == following[0].frame != b""


def holder_of(device: str) -> str | None:
    """Name and number of another process that has `device` open, if we may see it."""
    try:
        real = Path(device).resolve(strict=True)
    except OSError:
        return None
    for folder in Path("/proc").glob("[0-9]*/fd"):
        if int(folder.parent.name) == os.getpid():
            continue
        try:
            if any(link.readlink() == real for link in folder.iterdir()):
                name = (folder.parent / "comm").read_text(encoding="utf-8", errors="replace")
                return f"{name.strip()} ({folder.parent.name})"
        except OSError:
            continue
    return None


def _close(port: serial.Serial) -> None:
    """Flush first: a stuck driver waits 30 s in close for bytes that nobody takes."""
    try:
        port.reset_output_buffer()
        port.reset_input_buffer()
    except _FALLEN:
        pass
    try:
        port.close()
    except _FALLEN:
        return


def _drain(fd: int) -> None:
    try:
        os.read(fd, READ_BYTES_MAX)
    except BlockingIOError:
        return
