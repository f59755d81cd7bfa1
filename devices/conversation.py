"""What readers do around their frames: remark on bad ones, remember good ones, hold one order at a time.

Law: knows no protocol and no frame. The bytes of an order that nobody has taken die with its deadline: a late unlock opens a door
that nobody watches any more.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b

from devices import ODD_EVERY_MS, SAMPLE_BYTES_MAX, Counters, MisuseError, Odd

REMEMBERED_FRAMES_MAX = 64  # a seal repeats its latest frames; DEVICES section 1
ANSWER_MS_MAX = 10_000  # a seal behind a slow modem answers within seconds; DEVICES section 4.2
ORDERS_WAITING_MAX = 16  # first contact with a seal takes about eight
ACKS_BYTES_MAX = 1_024  # what a port lets wait; a seal that missed its ack repeats the frame


class Remarks:
    """Counts every refusal and gives `Odd` at most once in ten seconds for each reason."""

    def __init__(self, *, protocol: str, counters: Counters) -> None:
        self._protocol = protocol
        self._counters = counters
        self._said_ms: dict[str, int] = {}  # as many keys as the room has reasons

    def refuse(self, reason: str, sample: bytes, now_ms: int) -> list[Odd]:
        """The remark that is due, if one is; `sample` must hold no secret."""
        self._counters[reason] += 1
        said_ms = self._said_ms.get(reason)
        if said_ms is not None and 0 <= now_ms - said_ms < ODD_EVERY_MS:
            return []
        self._said_ms[reason] = now_ms
        sample = sample[:SAMPLE_BYTES_MAX]
        return [Odd(at_ms=now_ms, protocol=self._protocol, reason=reason, sample=sample)]


class Sight(Enum):
    """How a frame stands to those that were heard before."""

    NEW = "new"
    WAITING = "waiting"  # heard before; its first hearing is not acknowledged yet
    ACKNOWLEDGED = "acknowledged"


class Remembered:
    """The last 64 frames by the hash of their bytes."""

    def __init__(self) -> None:
        self._sights: dict[bytes, Sight] = {}  # in the order of hearing

    def see(self, frame: bytes) -> Sight:
        """What `frame` was until now; from now on it is at least WAITING."""
        name = _name(frame)
        sight = self._sights.get(name)
        if sight is not None:
            return sight
        if len(self._sights) == REMEMBERED_FRAMES_MAX:
            del self._sights[next(iter(self._sights))]
        self._sights[name] = Sight.WAITING
        return Sight.NEW

    def acknowledged(self, frame: bytes) -> None:
        name = _name(frame)
        if name in self._sights:
            self._sights[name] = Sight.ACKNOWLEDGED

    def stored(self, frame: bytes) -> None:
        """`frame` was committed by an earlier run: when it comes again, it is only acknowledged again."""
        self.see(frame)
        self.acknowledged(frame)

    def forget(self, frame: bytes) -> None:
        self._sights.pop(_name(frame), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One order as bytes, and how its answer begins."""

    command: str
    values: tuple[str, ...] = ()  # the answer's first values, where the command alone is not enough
    data: bytes = field(repr=False)  # may hold a password

    def is_answered_by(self, command: str, values: Sequence[str]) -> bool:
        return command == self.command and tuple(values[: len(self.values)]) == self.values


class Conversation:
    """What we want to say: acknowledgements at once, orders one after the other, each with its deadline."""

    def __init__(self, *, answer_ms_max: int = ANSWER_MS_MAX) -> None:
        self._answer_ms_max = answer_ms_max
        self._acks = bytearray()
        self._waiting: deque[Ask] = deque()
        self._asked: Ask | None = None
        self._deadline_ms: int | None = None
        self._is_taken = False

    @property
    def asked(self) -> Ask | None:
        """The order that is out: its bytes were taken, its answer is awaited."""
        return self._asked if self._is_taken else None

    @property
    def deadline_ms(self) -> int | None:
        """When the order that is out ends without an answer."""
        return self._deadline_ms

    def acknowledge(self, ack: bytes) -> bool:
        """Queue `ack`; False if too much is waiting already: the seal will repeat its frame."""
        if len(self._acks) + len(ack) > ACKS_BYTES_MAX:
            return False
        self._acks += ack
        return True

    def ask(self, ask: Ask, now_ms: int) -> None:
        """Queue an order; MisuseError when sixteen wait already."""
        if len(self._waiting) == ORDERS_WAITING_MAX:
            raise MisuseError(f"{ORDERS_WAITING_MAX} orders wait for this device already")
        self._waiting.append(ask)
        if self._asked is None:
            self._next(now_ms)

    def hear(self, command: str, values: Sequence[str], now_ms: int) -> bool:
        """True if this answers the order that is out; the next order is then due."""
        asked = self._asked
        if asked is None or not self._is_taken or not asked.is_answered_by(command, values):
            return False
        self._next(now_ms)
        return True

    def expire(self, now_ms: int) -> Ask | None:
        """The order whose time is over, if one is; its bytes are withdrawn if nobody took them."""
        asked = self._asked
        if asked is None or self._deadline_ms is None or now_ms < self._deadline_ms:
            return None
        self._next(now_ms)
        return asked

    def take_acks(self) -> bytes:
        acks = bytes(self._acks)
        self._acks.clear()
        return acks

    def take_order(self) -> bytes:
        """The bytes of the order that is due, once."""
        if self._asked is None or self._is_taken:
            return b""
        self._is_taken = True
        return self._asked.data

    def _next(self, now_ms: int) -> None:
        self._asked = self._waiting.popleft() if self._waiting else None
        self._deadline_ms = None if self._asked is None else now_ms + self._answer_ms_max
        self._is_taken = False


def _name(frame: bytes) -> bytes:
    return blake2b(frame, digest_size=16).digest()
