"""Which batch goes next, and on which lane: early copies, the map's newest, the stuck, and the window in its order (EDGE section 5).

Law: what must stay at home, or waits behind what is being salvaged, does not go in its turn; and no lane waits for the backlog.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from agent import StoredBatch
from agent.uplink.early import EARLY_FLIGHT_MAX, EarlyLane
from agent.uplink.flights import Flights
from agent.uplink.pace import BACKLOG_AGE_MS, Pace
from agent.uplink.poison import Poison, Verdict
from agent.uplink.queue import Queue
from agent.uplink.settings import UplinkSettings
from agent.uplink.words import ChainLine, Home, Lane, Send, Wish

MAP_EVERY_MS = 60_000


class Sending:
    """What waits, what is out, and what may go."""

    def __init__(
        self,
        *,
        settings: UplinkSettings,
        mono_ms: int,
        lines: Iterable[ChainLine],
        urgent: Iterable[StoredBatch],
        newest: StoredBatch | None,
        home: Home | None,
        behind_pos: int | None,
        counters: Counter[str],
        awaits: Callable[[int], None],
    ) -> None:
        """`awaits`: a batch went that a receipt must follow."""
        self.home = home
        self.behind_pos = behind_pos
        self.newest = newest
        self.queue = Queue(lines)
        self.poison = Poison()
        self.early = EarlyLane()
        for batch in urgent:
            self.early.add(batch, mono_ms)
        self.flights = Flights(settings.window_batches_max)
        self.pace = Pace(settings, mono_ms)
        self.blocked_ms: int | None = None  # when a bucket has enough again, or a copy is due
        self._message_bytes_max = settings.message_bytes_max
        self._counters = counters
        self._awaits = awaits
        self._connection = 0
        self._wishes: list[Wish] = []
        self._map_ms = mono_ms
        self._map_pos: int | None = None  # the copy that this connection carried last

    def connected(self, mono_ms: int) -> None:
        """A new connection has carried nothing."""
        self._map_pos = None
        self.flights.narrow()
        self.early.connected(mono_ms)

    def turn(self, connection: int, mono_ms: int) -> list[Wish]:
        """Everything that may go now, and the rows that are wanted next."""
        self._connection = connection
        self._fill_queue()
        if self.home is not None and not (self.home.spoken or self.home.lets_older):
            pass  # what a card has forgotten may be what we would send: first the word
        elif self.poison.alone is not None:
            self._send_alone(self.poison.alone, mono_ms)
        elif self.queue.loaded:
            self._send_early(mono_ms)
            self._send_map(mono_ms)
            self._retry_stuck(mono_ms)
            self._send_batches(mono_ms)
            self._fill_queue()
        wishes, self._wishes = self._wishes, []
        return wishes

    def reload(
        self,
        *,
        lines: Iterable[ChainLine],
        urgent: Iterable[StoredBatch],
        newest: StoredBatch | None,
        home: Home | None,
        behind_pos: int | None,
        mono_ms: int,
    ) -> None:
        """The outbox is another than we knew; the pace is kept."""
        self.home, self.newest, self.behind_pos = home, newest, behind_pos
        self.queue, self.early, self.poison = Queue(lines), EarlyLane(), Poison()
        for batch in urgent:
            self.early.add(batch, mono_ms)
        self.flights.again()

    def covered(self) -> None:
        """A receipt has moved the queue's border: nothing is held against what it covers, nor sent again."""
        self.flights.settle(self.queue.is_settled)
        for pos in [
            p for p, stuck in self.poison.stuck.items() if self.queue.is_covered(stuck.batch)
        ]:
            self.poison.forget(pos)
        if self.poison.alone is not None and self.queue.is_covered(self.poison.alone):
            self.poison.forget(self.poison.alone.pos)
        self.early.forget(self.queue.is_covered)

    def gone(self, pos: int) -> None:
        """The row could not be read, or was dropped for space."""
        self.flights.gone(pos)
        self.early.forget(lambda batch: batch.pos == pos)
        self.poison.forget(pos)
        if self.newest is not None and self.newest.pos == pos:
            self.newest = None

    def acked(self, batch: StoredBatch, mono_ms: int) -> None:
        """A PUBACK. Behind a stuck batch, or one that was dropped, no receipt can come: the collector parks until it hears why.

        There alone a PUBACK moves the window: else it would never reach the confession.
        """
        self.poison.acked(batch.pos, mono_ms)
        if self.queue.is_behind_hole(batch) or any(
            stuck.batch.chain_id == batch.chain_id and stuck.batch.pos < batch.pos
            for stuck in self.poison.stuck.values()
        ):
            self.flights.pass_by(batch.pos)

    def is_stuck(self, chain_id: bytes, batch_no: int) -> bool:
        return any(
            (stuck.batch.chain_id, stuck.batch.batch_no) == (chain_id, batch_no)
            for stuck in self.poison.stuck.values()
        )

    def stays(self, chain_id: bytes) -> bool:
        """Whether nothing of the chain may leave yet."""
        return self.home is not None and chain_id in self.home.chains

    # the lanes

    def _fill_queue(self) -> None:
        wish = self.queue.wish()
        if wish is not None:
            self._wishes.append(wish)

    def _send_batches(self, mono_ms: int) -> None:
        while (batch := self.queue.front()) is not None:
            if self._is_home(batch) or self._is_behind(batch):
                return  # and so is whatever lies behind it
            if batch.size_bytes > self._message_bytes_max:
                self._pass_too_long(batch)
            if batch.pos in self.poison.stuck or batch.pos in self.flights:
                self.queue.pop()
                continue
            if not self.flights.has_room(batch):
                return
            if not self._may_go(batch, Lane.BATCH, mono_ms):
                return
            self.queue.pop()
            self._send(batch, Lane.BATCH, mono_ms)

    def _send_early(self, mono_ms: int) -> None:
        if not self.early:
            return
        in_turn = self.queue.next_in_line(self.flights.room)
        for row in self.early.newest_first():
            batch = row.batch
            if batch.pos in in_turn or not self._may_leave_early(batch):
                continue
            if row.due_ms > mono_ms:
                self._wait_until(row.due_ms)
                continue
            if self.flights.early >= EARLY_FLIGHT_MAX:
                return  # a PUBACK wakes us
            if not self._may_go(batch, Lane.EARLY, mono_ms):
                return
            self.early.sent(batch.pos, mono_ms)
            self._send(batch, Lane.EARLY, mono_ms)

    def _send_map(self, mono_ms: int) -> None:
        """While the backlog is old, the newest batch goes ahead once a minute: where the truck is, not where it was."""
        oldest, newest = self.flights.oldest or self.queue.front(), self.newest
        if oldest is None or newest is None or newest.pos == self._map_pos:
            return
        old_ms = oldest.sealed_mono_ms + BACKLOG_AGE_MS
        if mono_ms <= old_ms or mono_ms < self._map_ms:
            self._wait_until(max(old_ms + 1, self._map_ms))
            return
        in_turn = self.queue.next_in_line(self.flights.room)
        if newest.pos in in_turn or not self._may_leave_early(newest):
            return  # it goes in its turn
        if self.flights.early >= EARLY_FLIGHT_MAX or not self._may_go(newest, Lane.EARLY, mono_ms):
            return
        self._map_ms = mono_ms + MAP_EVERY_MS
        self.early.sent(newest.pos, mono_ms)
        self._send(newest, Lane.EARLY, mono_ms)

    def _retry_stuck(self, mono_ms: int) -> None:
        for pos, stuck in list(self.poison.stuck.items()):
            if stuck.retry_ms is None or self.flights.is_out(pos):
                continue
            if stuck.retry_ms > mono_ms:
                self._wait_until(stuck.retry_ms)
            elif self._may_go(stuck.batch, Lane.BATCH, mono_ms):
                self._send(stuck.batch, Lane.BATCH, mono_ms)

    def _send_alone(self, batch: StoredBatch, mono_ms: int) -> None:
        if batch.pos not in self.flights and self._may_go(batch, Lane.BATCH, mono_ms):
            self._send(batch, Lane.BATCH, mono_ms)

    def _send(self, batch: StoredBatch, lane: Lane, mono_ms: int) -> None:
        self.pace.sent(batch, lane, mono_ms)
        if lane is Lane.EARLY:
            self._map_pos = max(batch.pos, self._map_pos or 0)
        elif not self.queue.is_behind_hole(batch):
            self._awaits(mono_ms)
        self._counters[f"sent_{lane.value}"] += 1
        ticket = self.flights.out(batch, lane, mono_ms)
        self._wishes.append(
            Send(connection=self._connection, ticket=ticket, pos=batch.pos, lane=lane)
        )

    # what may go

    def _may_go(self, batch: StoredBatch, lane: Lane, mono_ms: int) -> bool:
        """Whether all buckets have enough; else remember when they will."""
        ready_ms = self.pace.ready_ms(batch, lane, mono_ms)
        if ready_ms > mono_ms:
            self._wait_until(ready_ms)
            return False
        return True

    def _may_leave_early(self, batch: StoredBatch) -> bool:
        return not (
            self._is_home(batch)
            or (self._is_behind(batch) and batch.batch_no == 0)  # it would close the chain before
            or batch.size_bytes > self._message_bytes_max
            or batch.pos in self.poison.stuck
            or self.flights.is_out(batch.pos)
            or self.queue.is_covered(batch)
        )

    def _is_home(self, batch: StoredBatch) -> bool:
        return self.home is not None and batch.pos >= self.home.from_pos

    def _is_behind(self, batch: StoredBatch) -> bool:
        return self.behind_pos is not None and batch.pos >= self.behind_pos

    def _pass_too_long(self, batch: StoredBatch) -> None:
        if self.poison.too_long(batch) is Verdict.STUCK:
            self._counters["too_long"] += 1

    def _wait_until(self, mono_ms: int) -> None:
        self.blocked_ms = mono_ms if self.blocked_ms is None else min(self.blocked_ms, mono_ms)
