"""The contract of unit and collector: bytes that are signed once and read for ever.

Law: pure, plain Python. Imports none of ours. Whatever a peer sends becomes a value with a named reason, never an exception.
WIRE.md's sections are named in the docstrings of the rooms.
"""

from dataclasses import dataclass
from enum import Enum

__all__ = ["LIM", "MisuseError", "Reason", "Refused"]

LIM = (
    1 << 42
)  # all times in ms and all counters stay below it (May 2109), so 64 bits never overflow


class MisuseError(Exception):
    """We called a room in a way that its contract forbids: our bug, never the peer's."""


class Reason(Enum):
    """Why bytes are refused: WIRE sections 8 (batch, hello), 13 (receipt, proof) and 14 (order)."""

    THROTTLED = "Throttled"
    BAD_TOPIC = "BadTopic"
    TOO_BIG = "TooBig"
    BAD_ENVELOPE = "BadEnvelope"
    UNKNOWN_KEY = "UnknownKey"
    BAD_SIGNATURE = "BadSignature"
    REVOKED_KEY = "RevokedKey"
    BAD_PAYLOAD = "BadPayload"
    NOT_CANONICAL = "NotCanonical"
    UNKNOWN_FORMAT = "UnknownFormat"
    OUT_OF_RANGE = "OutOfRange"
    WRONG_UNIT = "WrongUnit"
    BAD_GENESIS = "BadGenesis"
    UNKNOWN_CODEC = "UnknownCodec"
    BAD_INFLATE = "BadInflate"
    BAD_BODY = "BadBody"
    BAD_COLUMNS = "BadColumns"
    BAD_EVENT = "BadEvent"
    BAD_SEQ = "BadSeq"
    SEQ_JUMP = "SeqJump"
    # the unit, of a receipt
    UNKNOWN_CHAIN = "UnknownChain"
    STALE = "Stale"
    AHEAD = "Ahead"
    HEAD_MISMATCH = "HeadMismatch"
    # the unit, of an order
    UNKNOWN_ORDER = "UnknownOrder"
    BAD_ORDER = "BadOrder"
    REPLAYED = "Replayed"
    NO_TIME = "NoTime"
    TOO_EARLY = "TooEarly"
    EXPIRED = "Expired"
    UNKNOWN_SEAL = "UnknownSeal"
    WRONG_MOVEMENT = "WrongMovement"
    NO_FIX = "NoFix"
    OUTSIDE_AREA = "OutsideArea"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A verdict against some bytes. `detail` is for people: which field, which value, what was allowed."""

    reason: Reason
    detail: str = ""
