"""The order desk: what the centre orders of a unit, and how each order stands (WIRE section 14, EVIDENCE section 2).

Law: an order's counter is committed before it is sent, every change of it is a row with who, when and why, and what a unit says of
an order that we never gave is kept and counted, never believed. Signs nothing: the key is the tick's.
"""

from dataclasses import dataclass
from enum import Enum

from wire.orders import OrderKind
from wire.records import Datum

__all__ = [
    "ACTS",
    "NEVER_MS",
    "ConfigResult",
    "ConfigWord",
    "Given",
    "NonceWord",
    "NotGiven",
    "OrderState",
    "OrderWord",
    "Wish",
    "Word",
    "result_name",
]

ACTS = frozenset({OrderKind.ARM, OrderKind.DISARM, OrderKind.UNLOCK})  # those with a rising counter
NEVER_MS = (1 << 42) - 1  # the last time that WIRE can say: a config does not expire

_RESULTS = (
    "Done",
    "Failed",
    "SealSilent",
    "Replayed",
    "UnknownOrder",
    "BadOrder",
    "NoTime",
    "TooEarly",
    "Expired",
    "UnknownSeal",
    "WrongMovement",
    "NoFix",
    "OutsideArea",
    "Busy",
)


class OrderState(Enum):
    """How an order stands. The first two are open: the centre still waits for the unit."""

    PENDING = "PENDING"  # given, not sent yet
    SENT = "SENT"
    DONE = "DONE"
    REFUSED = "REFUSED"  # by the unit, with the name of its result
    SILENT = "SILENT"  # the seal did not answer: nobody knows what it did
    EXPIRED = "EXPIRED"
    WITHDRAWN = "WITHDRAWN"


class ConfigResult(Enum):
    """What a `config` event says of a version (WIRE section 6, kind 18)."""

    TAKEN = 0
    REFUSED = 1
    ROLLED_BACK = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants ordered. `by` is who; the desk adds counter, id and time."""

    unit_id: str
    kind: OrderKind
    data: tuple[Datum, ...]  # WIRE section 14; of a set_config without its version: (TOML,)
    by: str
    why: str = ""
    not_before_ms: int | None = None  # None: now
    not_after_ms: int | None = None  # None: what is usual for the kind
    zone: str | None = None  # whose outline the corners are; None: they were drawn for this order
    supersedes: bool = False  # the waiting order of kinds 1 to 3 is withdrawn for this one


@dataclass(frozen=True, slots=True, kw_only=True)
class NotGiven:
    """Why nothing was ordered or withdrawn, and what would be right."""

    code: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An order as it stands in the store."""

    order_id: bytes
    unit_no: int
    unit_id: str
    kind: int
    counter: int
    issued_ms: int
    not_before_ms: int
    not_after_ms: int
    state: OrderState
    payload: bytes  # WIRE section 14, what is signed when it is sent
    by: str
    zone: str | None = None
    seal: str | None = None
    officer: str | None = None
    movement: str | None = None
    version: int | None = None  # of a set_config
    envelope: bytes | None = None  # None: not signed yet
    sent_ms: int | None = None  # the last time
    sent_n: int = 0
    settled_ms: int | None = None
    result: int | None = None
    detail: str | None = None
    said_ms: int | None = None  # the unit's time of its word

    @property
    def is_open(self) -> bool:
        return self.state in (OrderState.PENDING, OrderState.SENT)


# what a unit says of orders


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderWord:
    """An `order_result` (WIRE section 6, kind 9) and the record that holds it."""

    order_id: bytes
    kind: int
    counter: int
    result: int
    detail: str
    said_ms: int
    chain_id: bytes
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigWord:
    """A `config` event (WIRE section 6, kind 18) and the record that holds it."""

    version: int
    result: int
    said_ms: int
    chain_id: bytes
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceWord:
    """A hello that bears the nonce of a `report_now`."""

    nonce: bytes
    said_ms: int


Word = OrderWord | ConfigWord | NonceWord


def result_name(kind: int, result: int) -> str:
    """The name of a unit's result, or `result N` for one of a newer format."""
    if kind == OrderKind.SET_CONFIG:
        names = {0: "Taken", 1: "Refused", 2: "RolledBack"}
        return names.get(result, f"result {result}")
    return _RESULTS[result] if 0 <= result < len(_RESULTS) else f"result {result}"
