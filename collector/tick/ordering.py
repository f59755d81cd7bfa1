"""The desk at work: which orders go out after a tick, and which the detectors know in it (WIRE section 14, DETECTION section 7.4).

Law: an order is signed and committed as sent before it goes out, and no unlock goes out that the detectors do not know yet.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from collector.desk import Given, OrderState, making
from collector.detect.rules import Order, Rulebook
from collector.store import GapCloseRow, orders
from collector.store.database import Store
from collector.store.order_rows import expire_open
from collector.store.orders import Unlock
from collector.tick import Outgoing
from collector.tick.answering import Signing, order_out, sealed
from wire.orders import OrderKind

SENDS_MAX = 32  # of one turn: each costs some 2 ms of an alert's second; acts go before configs
LOOK_MS = 1_000  # so often the desk looks for what people have given
KNOWN_MS = (
    70 * 86_400_000
)  # so long a unit can hold an opening back (EDGE section 4): older orders judge nothing any more
BOOTS_MAX = 100_000  # units whose newest start is remembered; 200 bytes each

Greeted = Mapping[str, tuple[bytes, int]]  # unit_id: chain_id, boot_no


class Desk:
    """One worker's side of the desk. Held by the ticker, between whose ticks it changes."""

    def __init__(self, store: Store, key: Signing) -> None:
        self._store = store
        self._key = key
        self._looked_ms: int | None = None
        self._unlocks: dict[bytes, Unlock] = {}
        self._since_ms: int | None = None  # orders that were over by then are not known
        self._boots: dict[str, tuple[bytes, int]] = {}
        self._book: tuple[Rulebook, Rulebook] | None = None  # without the orders, with them
        self.act_no = 0  # the newest change that the detectors know
        self.logged_no: int | None = None  # what the log of ticks says of that
        self.closes: tuple[GapCloseRow, ...] = ()  # supervisors' acts for the next tick

    @property
    def since_ms(self) -> int:
        return self._since_ms or 0

    def unlogged(self) -> tuple[int, int] | None:
        """What the log of ticks must say of the orders before this tick's facts; None: it has said it."""
        if self.act_no == (self.logged_no or 0):
            return None
        return self.act_no, self.since_ms

    async def look(self, now_ms: int, *, at_once: bool = False) -> None:
        """Read what people have given and taken back since the last look; at most once a second."""
        looked_ms = self._looked_ms
        is_early = looked_ms is not None and 0 <= now_ms - looked_ms < LOOK_MS
        if is_early and not at_once:  # a clock that was set back is no reason to wait
            return
        if self._since_ms is None:
            self._since_ms = max(0, now_ms - KNOWN_MS)
        async with self._store.read() as connection:
            newest = await orders.newest_act(connection)
            if newest != self.act_no:
                given, withdrawn = await orders.unlocks(
                    connection, above=self.act_no, upto=newest, since_ms=self._since_ms
                )
                if given or withdrawn:
                    learn(self._unlocks, given, withdrawn)
                    self._book = None
                self.act_no = newest
            self.closes = await orders.gaps_to_close(connection)
        self._looked_ms = now_ms

    def rulebook(self, rulebook: Rulebook) -> Rulebook:
        """`rulebook` with the unlock orders that are known now."""
        if not self._unlocks:
            return rulebook
        if self._book is None or self._book[0] is not rulebook:
            self._book = (rulebook, with_orders(rulebook, self._unlocks.values()))
        return self._book[1]

    async def send(
        self, greeted: Greeted, is_online: Callable[[str], bool], now_ms: int
    ) -> list[Outgoing]:
        """What goes out now: after a look, and to units that said hello. `is_online`: whether a unit was heard of late."""
        if not greeted and self._looked_ms != now_ms:
            return []
        async with self._store.read() as connection:
            waiting = await orders.open_orders(connection)
            configs = await orders.newest_configs(connection, greeted) if greeted else {}
        due = [
            order
            for order in waiting
            if making.is_due(
                order, now_ms, greeted=order.unit_id in greeted, is_online=is_online(order.unit_id)
            )
        ]
        due += self._configs_due(configs, greeted, now_ms)
        due = sorted(due, key=lambda order: order.kind == OrderKind.SET_CONFIG)[:SENDS_MAX]
        self._remember(greeted, configs, due)
        if not due and all(now_ms <= order.not_after_ms for order in waiting):
            return []
        if any(order.kind == OrderKind.UNLOCK and order.sent_ms is None for order in due):
            await self.look(now_ms, at_once=True)
        async with self._store.write() as connection:
            await expire_open(connection, now_ms)
            sent = await orders.send(
                connection,
                [order.order_id for order in due],
                lambda payload: sealed(payload, self._key),
                now_ms,
            )
        return [order_out(order) for order in sent]

    def _configs_due(
        self, configs: Mapping[str, Given], greeted: Greeted, now_ms: int
    ) -> Iterable[Given]:
        """Configs that are said again to units that greet: an open one that was sent, or one that the unit has answered."""
        for unit, order in configs.items():
            if order.state is OrderState.SENT:
                if making.is_due(order, now_ms, greeted=True, is_online=True):
                    yield order
            elif making.config_is_due(order, now_ms, is_new_boot=self._is_new(unit, greeted)):
                yield order

    def _is_new(self, unit: str, greeted: Greeted) -> bool:
        return self._boots.get(unit) != greeted[unit]

    def _remember(
        self, greeted: Greeted, configs: Mapping[str, Given], due: Iterable[Given]
    ) -> None:
        """Who has greeted since its start and lacks nothing. Whose config found no room in this turn greets again."""
        ids = {order.order_id for order in due}
        if len(self._boots) + len(greeted) > BOOTS_MAX:
            self._boots.clear()  # then their configs are said once more
        for unit, boot in greeted.items():
            config = configs.get(unit)
            if config is None or config.is_open or config.order_id in ids:
                self._boots[unit] = boot


def learn(
    known: dict[bytes, Unlock], given: Iterable[Unlock], withdrawn: Mapping[bytes, int]
) -> None:
    """Add orders, and note which were withdrawn."""
    known.update({unlock.order_id: unlock for unlock in given})
    for order_id, at_ms in withdrawn.items():
        if order_id in known:
            known[order_id] = replace(known[order_id], withdrawn_ms=at_ms)


def with_orders(rulebook: Rulebook, unlocks: Iterable[Unlock]) -> Rulebook:
    """The rulebook in which these unlock orders hold."""
    by_seal: dict[str, list[Order]] = {}
    for unlock in unlocks:
        by_seal.setdefault(unlock.seal, []).append(_order(rulebook, unlock))
    return replace(rulebook, orders={seal: tuple(some) for seal, some in by_seal.items()})


def _order(rulebook: Rulebook, unlock: Unlock) -> Order:
    journey = rulebook.journey(unlock.unit_id, unlock.issued_ms)
    # A unit of which no journey is said is on one that bears its name (decision 0011): no movement can be that one
    is_assumed = journey is not None and journey.id == unlock.unit_id
    name = unlock.order_id.hex()
    return Order(
        id=name,
        seal=unlock.seal,
        journey=unlock.unit_id if is_assumed else unlock.movement,
        zone=unlock.zone or name,
        area=() if unlock.zone else unlock.area,
        not_before_ms=unlock.not_before_ms,
        not_after_ms=unlock.not_after_ms,
        known_ms=unlock.issued_ms,
        withdrawn_ms=unlock.withdrawn_ms,
    )
