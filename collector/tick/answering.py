"""What is said after the commit: receipts, orders to send again, orders that wait (WIRE sections 9, 13 and 14).

Law: called with what is committed and nothing else.
"""

from dataclasses import dataclass
from hashlib import sha256

from collector.desk import Given
from collector.tick import Outgoing
from collector.tick.held import Held
from wire.envelope import Aad, Signer, seal
from wire.orders import Order, OrderKind, make as make_order
from wire.receipts import Receipt, make as make_receipt
from wire.topics import Down, down

RESEND_VALID_MS = 60_000  # until the next `resend_from` would be due


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """A key that the collector signs with; receipt key and order key are two (WIRE section 1)."""

    kid: bytes
    sign: Signer


def receipt_for(held: Held, chain_id: bytes, key: Signing, now_ms: int) -> Outgoing | None:
    """The word that everything of this chain up to its newest stored batch is committed; None if there is none."""
    chain = held.chains.chains.get(chain_id)
    if chain is None or chain.stored_head is None:
        return None
    receipt = Receipt(
        unit_id=held.unit_id,
        chain_id=chain_id,
        through_batch_no=chain.stored_no,
        head=chain.stored_head,
        received_ms=now_ms,
    )
    return Outgoing(
        topic=down(held.unit_id, Down.RECEIPT), payload=make_receipt(receipt, key.kid, key.sign)
    )


def resend_from(
    unit_id: str, chain_id: bytes, batch_no: int, key: Signing, now_ms: int
) -> Outgoing:
    """The order to send a chain again from a number on."""
    # An id of its own for each second: the unit takes the same id twice for a repeat
    name = f"resend {unit_id} {chain_id.hex()} {batch_no} {now_ms}"
    order = Order(
        unit_id=unit_id,
        counter=0,
        kind=OrderKind.RESEND_FROM,
        issued_ms=now_ms,
        not_before_ms=0,
        not_after_ms=now_ms + RESEND_VALID_MS,
        order_id=sha256(name.encode()).digest()[:16],
        data=(chain_id, batch_no),
    )
    return Outgoing(topic=down(unit_id, Down.ORDER), payload=make_order(order, key.kid, key.sign))


def order_out(order: Given) -> Outgoing:
    """An order on its topic; a config is retained, so that a unit that was away finds it (WIRE section 11)."""
    assert order.envelope is not None, "what goes out is signed and committed"
    is_config = order.kind == OrderKind.SET_CONFIG
    what = Down.CONFIG if is_config else Down.ORDER
    return Outgoing(topic=down(order.unit_id, what), payload=order.envelope, retain=is_config)


def sealed(payload: bytes, key: Signing) -> bytes:
    """The envelope of an order's payload."""
    return seal(payload, Aad.ORDER, key.kid, key.sign)
