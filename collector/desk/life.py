"""An order's life as a table.

Law: no key, no move. What the unit says late is still the unit's word: an order that expired here may have been carried out there.
"""

from enum import Enum

from collector.desk import ConfigResult, OrderState
from wire.orders import OrderKind, OrderResult

__all__ = ["LIFE", "LIFE_OF_CONFIG", "OrderEvent", "event_of", "move"]


class OrderEvent(Enum):
    """What happens to an order: the last four are the unit's word."""

    SEND = "send"
    EXPIRE = "expire"
    WITHDRAW = "withdraw"
    DONE = "done"
    REFUSE = "refuse"
    SILENCE = "silence"
    LATE = "late"  # the unit found it expired


_BY_WORD = {
    OrderEvent.DONE: OrderState.DONE,
    OrderEvent.REFUSE: OrderState.REFUSED,
    OrderEvent.SILENCE: OrderState.SILENT,
    OrderEvent.LATE: OrderState.EXPIRED,
}
_BY_US = {
    OrderEvent.SEND: OrderState.SENT,
    OrderEvent.EXPIRE: OrderState.EXPIRED,
    OrderEvent.WITHDRAW: OrderState.WITHDRAWN,
}

LIFE: dict[OrderState, dict[OrderEvent, OrderState]] = {
    # PENDING hears the unit too: a desk restored from yesterday's copy has forgotten that it sent
    OrderState.PENDING: {**_BY_US, **_BY_WORD},
    OrderState.SENT: {**_BY_US, **_BY_WORD},
    OrderState.EXPIRED: dict(_BY_WORD),
    # The wire knows no recall: what was sent may be done, and its result is noted beside the withdrawal
    OrderState.WITHDRAWN: dict.fromkeys(_BY_WORD, OrderState.WITHDRAWN),
    OrderState.DONE: {},
    OrderState.REFUSED: {},
    OrderState.SILENT: {},
}

# A unit tries a version that it rolled back three times (EDGE section 10): its newest word counts.
LIFE_OF_CONFIG: dict[OrderState, dict[OrderEvent, OrderState]] = {
    OrderState.DONE: dict(_BY_WORD),
    OrderState.REFUSED: dict(_BY_WORD),
}


def move(kind: int, state: OrderState, event: OrderEvent) -> OrderState | None:
    """The state after `event`, or None if the table has no such move."""
    row = LIFE[state]
    if kind == OrderKind.SET_CONFIG:
        row = row | LIFE_OF_CONFIG.get(state, {})
    return row.get(event)


def event_of(kind: int, result: int) -> OrderEvent:
    """What a unit's result is to its order. A result of a newer format is a refusal: in doubt nothing was done."""
    if kind == OrderKind.SET_CONFIG:
        return OrderEvent.DONE if result == ConfigResult.TAKEN.value else OrderEvent.REFUSE
    words = {
        OrderResult.DONE: OrderEvent.DONE,
        OrderResult.SEAL_SILENT: OrderEvent.SILENCE,
        OrderResult.EXPIRED: OrderEvent.LATE,
    }
    return (
        words.get(OrderResult(result), OrderEvent.REFUSE) if _known(result) else OrderEvent.REFUSE
    )


def _known(result: int) -> bool:
    return result in list(OrderResult)
