"""What the orders' room is told and what it wishes, and the life of an order as a table (EDGE section 6).

Law: vocabulary only. A password is in no `repr`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from agent import Moment
from agent.orders.book import Book
from agent.orders.means import SealOrder


class State(Enum):
    """Of the one order that may be under way."""

    IDLE = "idle"
    ACTING = "acting"  # committed; its bytes go to the seal once
    ASKING = "asking"  # the process has started again: only the seal knows what became of it


class Event(Enum):
    """What may happen to it."""

    REFUSED = "refused"
    SETTLED = "settled"  # good, and it needs no act of the seal
    GOOD = "good"
    DONE = "done"
    FAILED = "failed"
    SILENT = "silent"
    STARTED = "started"
    BUSY = "busy"  # another order meanwhile


LIFE: dict[State, dict[Event, State]] = {
    State.IDLE: {
        Event.REFUSED: State.IDLE,
        Event.SETTLED: State.IDLE,
        Event.GOOD: State.ACTING,
        Event.STARTED: State.IDLE,
    },
    State.ACTING: {
        Event.DONE: State.IDLE,
        Event.FAILED: State.IDLE,
        Event.SILENT: State.IDLE,
        Event.STARTED: State.ASKING,
        Event.REFUSED: State.ACTING,
        Event.BUSY: State.ACTING,
    },
    State.ASKING: {
        Event.DONE: State.IDLE,
        Event.FAILED: State.IDLE,
        Event.SILENT: State.IDLE,
        Event.STARTED: State.ASKING,
        Event.REFUSED: State.ASKING,
        Event.BUSY: State.ASKING,
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Here and now, as an order meets it; the checks of WIRE section 14 are made already."""

    moment: Moment
    moving: bool = False
    protocol: str | None = None  # of the line on which the seal is; None: there is none
    line_down: bool = False  # nobody would hear it now
    password: str | None = field(default=None, repr=False)  # the static one
    no_password: str = ""  # why there is none, for people
    busy: str = ""  # what else keeps the seal busy


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Bytes for a seal, said once."""

    seal_id: str
    order: SealOrder
    acts: bool  # False: it changes nothing, it only wakes the seal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What became of an order: one `order_result` (WIRE section 14)."""

    order_id: bytes
    kind: int
    counter: int
    result: int
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is to be committed in one transaction, and what may be said to the seal once it is."""

    after: Book
    memory: Mapping[str, bytes | None] = field(default_factory=lambda: MappingProxyType({}))
    ended: Ended | None = None  # stored with `memory`
    say: Say | None = None  # only after the commit
