"""From a wish to an order, and when it is sent (WIRE section 14, CUSTOMS section 5.3).

Law: what a unit would refuse by its form, the desk refuses first, with what would be right.
"""

from hashlib import sha256

from collector.desk import ACTS, NEVER_MS, Given, NotGiven, OrderState, Wish
from wire.canon import encode
from wire.orders import FORMAT, Order, OrderKind, data_fault

MINUTE_MS = 60_000
WINDOW_MS_MAX = 4 * 60 * MINUTE_MS  # CUSTOMS section 5.3: who stands at the lock needs no longer
AHEAD_MS_MAX = 7 * 24 * 60 * MINUTE_MS  # a unit has one waiting order: none for next month
USUAL_MS = {  # how long an order is good for if nobody says it
    OrderKind.ARM: 60 * MINUTE_MS,
    OrderKind.DISARM: 60 * MINUTE_MS,
    OrderKind.UNLOCK: 60 * MINUTE_MS,
    OrderKind.REPORT_NOW: 10 * MINUTE_MS,
    OrderKind.RESEND_FROM: 24 * 60 * MINUTE_MS,  # until the unit is there again
}
SLACK_MS = 2_000  # a unit's trusted clock may be behind by so much (EDGE section 7): sent at once, it would be TooEarly
JUST_NOW_MS = 60_000
AGAIN_MS = 30_000  # WIRE section 14
CONFIG_AGAIN_MS = 60_000  # up to 8 KiB: after a hello only, and not after each of a bad link
ROLLED_BACK_AGAIN_MS = 3_600_000  # the unit's own second try is an hour after its first
OPEN_MAX = 16  # orders of a unit without an end; a person gives one or two
WHY_CHARS_MAX = 500

_U32 = (1 << 32) - 1


def fault_of(wish: Wish, now_ms: int) -> NotGiven | None:
    """What is wrong with a wish by itself, or None."""
    if not wish.by:
        return NotGiven(code="nobody", hint="an order has somebody who gives it")
    if len(wish.why) > WHY_CHARS_MAX:
        return NotGiven(code="long_reason", hint=f"a reason of at most {WHY_CHARS_MAX} characters")
    if wish.kind is OrderKind.SET_CONFIG:
        return None  # `remote` has read it
    fault = data_fault(order_of(wish, counter=0, now_ms=now_ms))
    if fault is not None:
        return NotGiven(code="bad_order", hint=f"no unit would read it: {fault}")
    begin_ms, end_ms = _window(wish, now_ms)
    if begin_ms < now_ms and wish.kind in ACTS:
        return NotGiven(
            code="begins_before_now", hint="leave out --from, or name a time that is still to come"
        )
    if end_ms <= max(begin_ms, now_ms):
        return NotGiven(code="no_window", hint="--until lies after --from, and in the future")
    if begin_ms - now_ms > AHEAD_MS_MAX:
        return NotGiven(code="too_far_ahead", hint="give it nearer to its time: 7 days at most")
    if wish.kind in ACTS and end_ms - begin_ms > WINDOW_MS_MAX:
        return NotGiven(code="long_window", hint="at most 4 hours between --from and --until")
    return None


def order_of(wish: Wish, *, counter: int, now_ms: int) -> Order:
    """The order of a wish, ready to be spelt. Of a set_config `wish.data` has its version by now."""
    begin_ms, end_ms = _window(wish, now_ms)
    name = encode((wish.unit_id, int(wish.kind), counter, now_ms, wish.data))
    return Order(
        unit_id=wish.unit_id,
        counter=counter,
        kind=wish.kind,
        issued_ms=now_ms,
        not_before_ms=begin_ms,
        not_after_ms=end_ms,
        order_id=sha256(b"plomba/order-id/1\x00" + name).digest()[:16],
        data=wish.data,
    )


def payload_of(order: Order) -> bytes:
    """What is signed."""
    return encode(
        (
            FORMAT,
            order.unit_id,
            order.counter,
            int(order.kind),
            order.issued_ms,
            order.not_before_ms,
            order.not_after_ms,
            order.order_id,
            order.data,
        )
    )


def next_counter(last: int, now_ms: int) -> int:
    """The next counter of a unit. Never below the time in seconds: a desk that was restored from an old copy is still heard."""
    return max(last + 1, now_ms // 1_000)


def next_version(last: int) -> int | None:
    """The next version of a unit's config; None when there are no more."""
    return last + 1 if last < _U32 else None


def is_due(order: Given, now_ms: int, *, greeted: bool, is_online: bool) -> bool:
    """True if an open order is to be sent now."""
    if now_ms > order.not_after_ms:
        return False
    never = order.sent_ms is None
    since_ms = _since(order, now_ms)
    match order.kind:
        case OrderKind.RESEND_FROM:
            # Asked once, of a unit that is there: each time it would send everything again
            return never and (greeted or is_online)
        case OrderKind.SET_CONFIG:
            return never or (greeted and since_ms >= CONFIG_AGAIN_MS)
        case OrderKind.REPORT_NOW:
            return never or greeted or since_ms >= AGAIN_MS
        case _:
            assert order.kind in ACTS, "the desk gives no other kinds"
    if now_ms < order.not_before_ms + SLACK_MS:
        return False
    return never or greeted or since_ms >= AGAIN_MS


def config_is_due(order: Given, now_ms: int, *, is_new_boot: bool) -> bool:
    """True if the newest config of a unit that greets is said again although the unit has answered it.

    Stands in for the retained message where the broker keeps none: after a start the unit may have lost its copy.
    """
    if order.state not in (OrderState.DONE, OrderState.REFUSED):
        return False
    since_ms = _since(order, now_ms)
    is_rolled_back = order.state is OrderState.REFUSED and order.result == 2
    return is_new_boot or (is_rolled_back and since_ms >= ROLLED_BACK_AGAIN_MS)


def _since(order: Given, now_ms: int) -> int:
    """How long ago it was sent; long ago if our own clock was set back since."""
    if order.sent_ms is None or order.sent_ms > now_ms:
        return NEVER_MS
    return now_ms - order.sent_ms


def _window(wish: Wish, now_ms: int) -> tuple[int, int]:
    if wish.kind is OrderKind.SET_CONFIG:
        return 0, NEVER_MS
    if wish.kind not in ACTS:  # a unit whose clock is behind would refuse it in silence
        return 0, now_ms + USUAL_MS[wish.kind] if wish.not_after_ms is None else wish.not_after_ms
    begin_ms = now_ms if wish.not_before_ms is None else wish.not_before_ms
    if now_ms - JUST_NOW_MS <= begin_ms < now_ms:
        begin_ms = now_ms  # typed a moment ago, and to the second: it means now
    usual_ms = begin_ms + USUAL_MS[wish.kind]
    return begin_ms, usual_ms if wish.not_after_ms is None else wish.not_after_ms
