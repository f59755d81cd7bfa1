"""One module's line: bytes in, facts out, orders to say; and the polling that is kept up.

Law: without a configured region nothing that transmits is said; without its confirmation neither. An order is said once.
"""

from collections import deque
from collections.abc import Iterable

from devices import Counters, Fact, MisuseError, ReaderAnswer, TagRead
from devices.conversation import Ask, Conversation, Remarks
from devices.m100 import frame
from devices.m100.frame import PROTOCOL, Frame, Kind, Refused
from devices.m100.framing import Framer
from devices.m100.orders import (
    GetInfo,
    NeverSleep,
    Order,
    PollMany,
    SetPower,
    SetRegion,
    ask_of,
)

FRAME_MS_MAX = 2_000  # the longest frame takes 1.1 s at 9600 baud
ANSWER_MS_MAX = 1_000  # a module answers within some 50 ms
SILENT_MS_MAX = 2_000  # a round takes 50 ms, and says something each time; DEVICES section 5
SLEEPING_MS = 1_000  # after such a silence it may sleep, and then swallows the first byte
ALIVE_EVERY_MS = 30_000  # how often a module that may not transmit is asked whether it is there
ROUNDS = 65_535
_MUST_BE_CONFIRMED = frozenset(
    f"{command:02X}" for command in (frame.SET_REGION, frame.SET_POWER, frame.POLL_MANY)
)
_POLLS = (f"{frame.POLL_MANY:02X}", f"{frame.POLL_ONCE:02X}")


class M100Reader:
    """Reads one line of an M100 module (`devices.Reader`) and keeps it polling.

    The start is said by itself: who is there, region, power, never sleep, poll; and again whenever tags and "no tag" have both been
    silent for two seconds, for the count runs out. Notices and "no tag" need no acknowledgement.
    """

    def __init__(
        self, *, name: str, region: str | None = None, power_cdbm: int | None = None
    ) -> None:
        """`name` of the reader in its facts; `region` has no default: without one the module is only asked who it is.

        MisuseError for a region or a power that cannot be said.
        """
        self.counters: Counters = Counters()
        self._name = name
        self._start: tuple[Order, ...] = tuple(GetInfo(info=info) for info in frame.INFOS)
        if region is not None:
            power = () if power_cdbm is None else (SetPower(power_cdbm=power_cdbm),)
            self._start += (SetRegion(region=region), *power, NeverSleep(), PollMany(rounds=ROUNDS))
        for order in self._start:
            ask_of(order)
        self._framer = Framer()
        self._frame_deadline_ms: int | None = None
        self._remarks = Remarks(protocol=PROTOCOL, counters=self.counters)
        self._conversation = Conversation(answer_ms_max=ANSWER_MS_MAX)
        self._steps: deque[Order] = deque()  # of the start, still to be said
        self._step: Ask | None = None  # of the start, said or about to be
        self._start_ms: int | None = 0  # when to start (again); None while it starts or polls
        self._sign_ms: int | None = None  # last notice or "no tag", while it polls
        self._now_ms = 0
        self._line_ms: int | None = None  # when a byte went either way

    def feed(self, data: bytes, now_ms: int) -> list[Fact]:
        """Facts that `data` completes. Never raises; any cutting of the bytes gives the same facts."""
        facts = self.wake(now_ms)
        if not data:
            return facts
        self._line_ms = now_ms
        self.counters["bytes"] += len(data)
        facts += self._take(self._framer.cut(data), now_ms)
        self._frame_deadline_ms = now_ms + FRAME_MS_MAX if self._framer.is_waiting else None
        return facts

    def wake(self, now_ms: int) -> list[Fact]:
        """Ends waiting: for the rest of a frame, for an answer, for a sign of life."""
        facts: list[Fact] = []
        self._now_ms = now_ms
        if self._frame_deadline_ms is not None and now_ms >= self._frame_deadline_ms:
            self._frame_deadline_ms = None
            facts += self._take(self._framer.flush(), now_ms)
        if (asked := self._conversation.expire(now_ms)) is not None:
            self.counters["unanswered"] += 1
            if asked is self._step:  # a module that is not there would say so all day
                self._go_on(asked, ok=None, now_ms=now_ms)
            else:
                facts.append(ReaderAnswer(at_ms=now_ms, command=asked.command, ok=None))
        if self._sign_ms is not None and now_ms - self._sign_ms >= SILENT_MS_MAX:
            self.counters["silent"] += 1
            self._sign_ms, self._start_ms = None, now_ms
        if self._start_ms is not None and now_ms >= self._start_ms:
            self._begin(now_ms)
        return facts

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called, on the axis of `now_ms`; 0 for at once."""
        silent_ms = None if self._sign_ms is None else self._sign_ms + SILENT_MS_MAX
        deadlines = (
            self._frame_deadline_ms,
            self._conversation.deadline_ms,
            silent_ms,
            self._start_ms,
        )
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def order(self, order: Order, now_ms: int) -> None:
        """Queue one order; MisuseError if it cannot be said in this protocol, or sixteen wait."""
        self._now_ms = now_ms
        self._conversation.ask(ask_of(order), now_ms)

    def take_bytes(self) -> bytes:
        """What to write to the module now: the order that is due, behind a byte that may wake it."""
        said = self._conversation.take_order()
        if not said:
            return b""
        sleeps = self._line_ms is None or self._now_ms - self._line_ms >= SLEEPING_MS
        self._line_ms = self._now_ms
        return b"\x00" + said if sleeps else said

    def _take(self, found: Iterable[Frame | Refused], now_ms: int) -> list[Fact]:
        facts: list[Fact] = []
        for one in found:
            if isinstance(one, Refused):
                facts += self._remarks.refuse(one.reason.value, one.sample, now_ms)
            else:
                self.counters["frames"] += 1
                self.counters[one.kind.value] += 1
                facts += self._hear(one, now_ms)
        self.counters["noise"] = self._framer.noise_bytes
        return facts

    def _hear(self, said: Frame, now_ms: int) -> list[Fact]:
        if said.kind in {Kind.TAG, Kind.NO_TAG}:
            self._hear_poll(now_ms)
            return [self._tag(said, now_ms)] if said.kind is Kind.TAG else []
        command, ok, values = f"{said.command:02X}", said.ok is not False, _values(said)
        asked = self._conversation.asked
        if asked is not None and _is_about(said, asked):
            command, values = asked.command, asked.values
        if self._conversation.hear(command, values, now_ms):
            if asked is not None and asked is self._step:
                self._go_on(asked, ok=ok, now_ms=now_ms)
        else:
            self.counters["unasked"] += 1
        answer = ReaderAnswer(
            at_ms=now_ms,
            command=command,
            ok=ok,
            code=said.error_code,
            values=values,
        )
        return [answer]

    def _hear_poll(self, now_ms: int) -> None:
        """A tag, or none: the module polls."""
        if self._sign_ms is not None:
            self._sign_ms = now_ms
        asked = self._conversation.asked
        if asked is None or asked.command not in _POLLS:
            return
        self._conversation.hear(asked.command, (), now_ms)
        if asked is self._step:
            self._go_on(asked, ok=True, now_ms=now_ms)

    def _tag(self, said: Frame, now_ms: int) -> TagRead:
        assert said.epc is not None
        assert said.rssi_dbm is not None
        return TagRead(
            at_ms=now_ms,
            epc=said.epc,
            pc=said.pc,
            rssi_cdbm=said.rssi_dbm * 100,
            antenna=None,
            count=1,
            reader=self._name,
        )

    # the start

    def _begin(self, now_ms: int) -> None:
        self.counters["starts"] += 1
        self._start_ms = None
        self._steps = deque(self._start)
        self._next(now_ms)

    def _next(self, now_ms: int) -> None:
        if not self._steps:
            self._step = None
            if len(self._start) > len(frame.INFOS):
                self._sign_ms = now_ms
            else:
                self._start_ms = now_ms + ALIVE_EVERY_MS
            return
        self._step = ask_of(self._steps.popleft())
        try:
            self._conversation.ask(self._step, now_ms)
        except MisuseError:  # sixteen of somebody else's wait
            self._give_up(now_ms)

    def _go_on(self, step: Ask, *, ok: bool | None, now_ms: int) -> None:
        """What `step` brought: the next one, or another try."""
        if ok is not True and step.command in _MUST_BE_CONFIRMED:
            self._give_up(now_ms)
        else:
            self._next(now_ms)

    def _give_up(self, now_ms: int) -> None:
        self.counters["start_failed"] += 1
        self._step = None
        self._steps.clear()
        self._start_ms = now_ms + SILENT_MS_MAX


def _is_about(said: Frame, asked: Ask) -> bool:
    """An error names no command: 17 means the one that is out, any other what happens in a round."""
    if said.kind is not Kind.ERROR:
        return False
    return said.error_code == frame.COMMAND_ERROR or asked.command in _POLLS


def _values(said: Frame) -> tuple[str, ...]:
    match said.kind:
        case Kind.INFO:
            return str(said.info), str(said.text)
        case Kind.REGION:
            return (str(said.region),)
        case Kind.POWER:
            return (str(said.power_cdbm),)
        case Kind.SCAN:
            assert said.scan is not None
            scan = said.scan
            return scan.name, str(scan.first), str(scan.last), *map(str, scan.dbm)
        case _:
            return () if said.data is None else (said.data.hex().upper(),)
