"""What the uplink hears, knows and wishes: words only."""

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Where the line stands."""

    DOWN = "down"  # waiting for the next dial
    DIALLING = "dialling"
    GREETING = "greeting"  # connected; the collector has not spoken yet
    FLOWING = "flowing"
    STALLED = "stalled"  # connected, and the collector is silent


class Turn(Enum):
    """What moves the line from one state to the next."""

    DIAL = "dial"
    UP = "up"
    FAILED = "failed"
    ANSWERED = "answered"  # a receipt or resend_from that passed WIRE's checks
    SILENT = "silent"  # something is out and nobody answers
    FELL = "fell"


LIFE: dict[State, dict[Turn, State]] = {  # no key, no move
    State.DOWN: {Turn.DIAL: State.DIALLING},
    State.DIALLING: {Turn.UP: State.GREETING, Turn.FAILED: State.DOWN},
    State.GREETING: {
        Turn.ANSWERED: State.FLOWING,
        Turn.SILENT: State.STALLED,
        Turn.FELL: State.DOWN,
    },
    State.FLOWING: {
        Turn.ANSWERED: State.FLOWING,
        Turn.SILENT: State.STALLED,
        Turn.FELL: State.DOWN,
    },
    State.STALLED: {
        Turn.ANSWERED: State.FLOWING,
        Turn.SILENT: State.STALLED,
        Turn.FELL: State.DOWN,
    },
}


class Lane(Enum):
    """On which topic a batch goes (WIRE section 11)."""

    BATCH = "batch"
    EARLY = "early"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainLine:
    """A chain as the outbox knows it at the start; -1: no batch, no receipt."""

    chain_id: bytes
    newest_no: int
    covered_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """What waits for the collector's word and must not leave (EDGE section 4)."""

    from_pos: int  # this row and all behind it
    chains: frozenset[bytes]  # no hello speaks of them
    ask_chain: bytes  # but of this one, which their genesis names
    spoken: bool = (
        True  # the word has come, only the time is missing; until then nothing leaves but hellos
    )
    # The word was none yet: what lies before may go, for the collector to hear of it
    lets_older: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """Open a connection to the n-th server; whatever comes of it bears this number."""

    connection: int
    server: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Greet:
    """Subscribe to everything down, then say `state` up."""

    connection: int
    ticket: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Throw the client object away; nothing that it held counts as sent."""

    connection: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Say what is held of this chain (WIRE section 12)."""

    connection: int
    ticket: int
    chain_id: bytes
    nonce: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Publish the row at `pos`, with QoS 1; its PUBACK bears the ticket."""

    connection: int
    ticket: int
    pos: int
    lane: Lane


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Answer with `fetched`: the next rows behind `after_pos`, in order of sending."""

    fetch: int
    after_pos: int
    rows_max: int
    spare: bool = False  # also those that a receipt covers: the collector wants them again


@dataclass(frozen=True, slots=True, kw_only=True)
class Seek:
    """Answer with `fetched`: rows from this batch on, or from the next one kept of its chain, receipted or not."""

    fetch: int
    chain_id: bytes
    batch_no: int
    rows_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """The collector has committed this chain up to here: the outbox may forget."""

    chain_id: bytes
    through_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrink:
    """A batch was too long for somebody on the way: halve `batch_bytes_max` for batches to come."""


Wish = Dial | Greet | Close | Hello | Send | Fetch | Seek | Covered | Shrink
