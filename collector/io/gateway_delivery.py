"""The gateway's way to the intake: batches and hellos out, receipts and orders in (WIRE sections 10 to 14).

Law: a batch counts as delivered by its receipt alone, whatever the intake returned.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from collector.gateway import Tip, chain
from collector.io import clock
from collector.io.backoff import PAUSE_MS_MIN, Trouble
from collector.io.gateway_keeper import Keeper, moment
from collector.io.gateway_store import Book
from wire import Refused
from wire.orders import Order, OrderKind, RefusedOrder
from wire.receipts import Receipt, RefusedReceipt
from wire.records import EventRecord
from wire.topics import Down, Up, down, up

__all__ = ["Delivery", "Hand", "Said"]

WINDOW = 16  # batches in one hand-over, as a unit has in flight
AGAIN_S = 0.4  # between two windows of a backlog: 40 a second, the collector bears 50 of one unit
HELLO_S = 300
SAID_MAX = 256  # words of the collector that wait for us
ORDERS_REMEMBERED = 64

Said = tuple[str, bytes]  # topic and payload
Hand = Callable[[Sequence[Said]], Awaitable[None]]

log = logging.getLogger(__name__)


class Delivery:
    """`run` is a task; `compare` comes before the first batch of a start."""

    def __init__(
        self,
        keeper: Keeper,
        *,
        receipt_keys: Mapping[bytes, bytes],
        order_keys: Mapping[bytes, bytes],
        hand: Hand,
        bytes_max: int,
        answer: Callable[[EventRecord], None],
    ) -> None:
        """`hand` gives messages to the intake and returns when they are committed and answered. `answer` takes records of our own."""
        self.is_full = False  # no room for more: what seals say is not taken
        self._keeper = keeper
        self._receipt_keys, self._order_keys = receipt_keys, order_keys
        self._hand_over = hand
        self._bytes_max = bytes_max
        self._answer = answer
        self._said: deque[Said] = deque(maxlen=SAID_MAX)
        self._orders: deque[bytes] = deque(maxlen=ORDERS_REMEMBERED)
        self._trouble = Trouble(what="gateway's own intake")
        self._ears = {down(keeper.identity.unit_id, what): what for what in Down}

    def hear(self, topic: str, payload: bytes) -> bool:
        """Take a message that is for us; False for one that is not."""
        if topic not in self._ears:
            return False
        self._said.append((topic, payload))
        self._keeper.sealed.set()
        return True

    async def compare(self, book: Book) -> Tip | None:
        """What the collector holds of our chain beyond what we know: then ours was rolled back (WIRE section 7)."""
        if book.tip is None or book.tip.batch_no < 0:
            return None
        await self.greet(obey=False)
        store = self._keeper.store
        known = await self._keeper.ask(store.known)
        ahead: Tip | None = None
        for topic, payload in self._said:
            if self._ears[topic] is not Down.RECEIPT:
                continue
            word = chain.receipt_of(payload, self._keeper.identity, self._receipt_keys, known)
            receipt = word.receipt if isinstance(word, RefusedReceipt) else None
            if receipt is None or receipt.chain_id != book.tip.chain_id:
                continue
            if receipt.through_batch_no > book.tip.batch_no:
                ahead = Tip(
                    chain_id=receipt.chain_id,
                    batch_no=receipt.through_batch_no,
                    head=receipt.head,
                    next_seq=0,
                )
        return ahead

    async def run(self) -> None:
        """Hand batches over until each has its receipt, for ever."""
        hello_due_ms = 0
        while True:
            now_ms = clock.mono_ms()
            if now_ms >= hello_due_ms:
                hello_due_ms = now_ms + HELLO_S * 1000
                await self.attempt(self.greet)
            more = await self.attempt(self.deliver)
            if more is None:
                continue  # it failed and has waited
            if more:
                await asyncio.sleep(AGAIN_S)
                continue
            self._keeper.sealed.clear()
            wait_s = max(hello_due_ms - clock.mono_ms(), 0) / 1000
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._keeper.sealed.wait(), wait_s)

    async def attempt(self, step: Callable[[], Awaitable[bool]]) -> bool | None:
        """One step; None if it failed, after the pause that it deserves."""
        try:
            return await step()
        except Exception as error:  # noqa: BLE001 - the collector's store or ours: both are tried again
            await asyncio.sleep(self._trouble.failed(str(error)[:200], clock.mono_ms()))
            return None

    async def greet(self, *, obey: bool = True) -> bool:
        """A hello for each chain that still waits, the current one last."""
        keeper, at = self._keeper, moment()
        holds = await keeper.ask(keeper.store.holds)
        topic = up(keeper.identity.unit_id, Up.HELLO)
        hellos = [
            chain.greeting(hold, keeper.identity, boot_no=keeper.boot_no, at=at) for hold in holds
        ]
        await self._hand_over([(topic, hello) for hello in hellos])
        if obey:
            await self.obey()
        return True

    async def deliver(self) -> bool:
        """Hand over the oldest batches; whether more wait. Raises if not one of them got its receipt."""
        keeper = self._keeper
        store, name = keeper.store, keeper.identity.unit_id
        await self.obey()
        await self._look_at_room()
        waiting = await keeper.ask(store.waiting_count)
        # An alarm that stands behind a backlog goes ahead of it, the same bytes.
        early = list(keeper.urgent) if waiting > WINDOW else []
        keeper.urgent.clear()
        if not waiting:
            return False
        # Who gets no receipt asks with one batch: sixteen would fill the quarantine and teach nothing more.
        count_max = WINDOW if self._trouble.since_ms is None else 1
        window = await keeper.ask(store.waiting, count_max)
        receipted = keeper.counters["receipted"]
        said = [(up(name, Up.EARLY), envelope) for envelope in early]
        await self._hand_over([*said, *((up(name, Up.BATCH), one.envelope) for one in window)])
        await self.obey()
        if keeper.counters["receipted"] == receipted:
            raise _NoReceiptError("no receipt: is its unit enrolled? plomba collector gateway")
        self._trouble.works(clock.mono_ms())
        self._trouble.pause_ms = PAUSE_MS_MIN
        await self._look_at_room()
        return await keeper.ask(store.waiting_count) > 0

    async def obey(self) -> None:
        """What the collector has said since we looked last."""
        while self._said:
            topic, payload = self._said.popleft()
            match self._ears[topic]:
                case Down.RECEIPT:
                    await self._believe(payload)
                case Down.ORDER | Down.CONFIG as what:
                    await self._judge_order(payload, what)
                case Down.PROOF:
                    pass  # nothing is deleted for a proof, so none is kept

    async def _believe(self, payload: bytes) -> None:
        keeper = self._keeper
        known = await keeper.ask(keeper.store.known)
        word = await keeper.ask(
            partial(chain.receipt_of, payload, keeper.identity, self._receipt_keys, known)
        )
        if isinstance(word, Receipt):
            covered = await keeper.ask(keeper.store.cover, word.chain_id, word.through_batch_no)
            keeper.counters["receipted"] += covered
        else:
            keeper.counters[f"receipt_{word.reason.value}"] += 1

    async def _judge_order(self, payload: bytes, what: Down) -> None:
        keeper, at = self._keeper, moment()
        word = chain.order_of(payload, what, keeper.identity, self._order_keys, at.utc_ms)
        if isinstance(word, Refused) and not isinstance(word, RefusedOrder):
            keeper.counters[f"order_{word.reason.value}"] += 1
            return
        order: Order = word.order if isinstance(word, RefusedOrder) else word
        if isinstance(word, Order) and order.kind == OrderKind.RESEND_FROM:
            chain_id, number = order.data
            assert isinstance(chain_id, bytes)
            assert isinstance(number, int)
            await keeper.ask(keeper.store.uncover, chain_id, number)
        elif isinstance(word, Order) and order.kind == OrderKind.REPORT_NOW:
            await self.greet(obey=False)
        elif order.order_id not in self._orders:
            self._orders.append(order.order_id)
            record = chain.answer_to(word, at)
            if record is not None:
                self._answer(record)

    async def _look_at_room(self) -> None:
        """Whether seals may go on: beyond the bound they keep what they have."""
        is_full = await self._keeper.ask(self._keeper.store.bytes_used) > self._bytes_max
        if is_full is not self.is_full:
            log.warning("the gateway's shelf %s", "is full" if is_full else "has room again")
        self.is_full = is_full


class _NoReceiptError(Exception):
    """The collector has committed nothing of what it was given."""
