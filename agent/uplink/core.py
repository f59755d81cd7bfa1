"""The life of the line to the collector: events in, wishes out, one deadline (EDGE section 5).

Every event bears the number of its connection; one of an older connection is ignored. All times are mono_ms.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from agent import StoredBatch
from agent.uplink.early import EARLY_FLIGHT_MAX, EarlyLane
from agent.uplink.pace import BACKLOG_AGE_MS, Pace
from agent.uplink.poison import Poison, Verdict
from agent.uplink.queue import Line, Queue
from agent.uplink.rungs import Rungs
from agent.uplink.words import (
    LIFE,
    ChainLine,
    Close,
    Covered,
    Dial,
    Greet,
    Hello,
    Home,
    Lane,
    Send,
    Shrink,
    State,
    Turn,
    UplinkSettings,
    Wish,
)

DIAL_MS_MAX = 30_000  # name, TCP, TLS and CONNACK together
SUBACK_MS_MAX = 30_000
PUBACK_MS_MAX = 30_000  # a broker on the worst mobile line answers in ten
ANSWER_MS_MAX = 30_000  # the collector answers within a second of its commit
STALL_WAIT_MS_FIRST = 30_000
STALL_WAIT_MS_MAX = 600_000
STALL_WAIT_MS_MIN = (
    1_000  # full jitter may say nought; a silent collector is not asked twice a second
)
WINDOW_FIRST = 2
FLIGHT_BYTES_MAX = 262_144  # what a slow mobile line carries in a minute
MAP_EVERY_MS = 60_000
RESEND_EVERY_MS = 2_000
CREDENTIALS_CODES = frozenset(
    {4, 5}
)  # MQTT 3.1.1, 3.2.2.3: bad user name or password, not authorised


@dataclass(slots=True, kw_only=True)
class Sent:
    """A message without PUBACK."""

    batch: StoredBatch | None  # None: state or hello
    lane: Lane
    at_ms: int


class Uplink:
    """One unit's line. Each event answers with what to do now; `next_deadline` says when to `wake` it."""

    def __init__(
        self,
        *,
        settings: UplinkSettings,
        rng: Random,
        mono_ms: int,
        lines: Iterable[ChainLine] = (),
        urgent: Iterable[StoredBatch] = (),
        newest: StoredBatch | None = None,
        home: Home | None = None,
        behind_pos: int | None = None,
    ) -> None:
        """`lines` and `urgent` oldest first; `home`: what must not leave yet; `behind_pos`: rows from there on wait, copies do not."""
        assert 1 <= settings.window_batches_max <= 64
        self.counters: Counter[str] = Counter()
        self.state = State.DOWN
        self.connection = 0
        self.home = home
        self.behind_pos = behind_pos
        self._settings = settings
        self._rng = rng
        self._rungs = Rungs(rng)
        self._queue = Queue(lines)
        self._poison = Poison()
        self._early = EarlyLane()
        for batch in urgent:
            self._early.add(batch, mono_ms)
        self._newest = newest
        self._pace = Pace(settings, mono_ms)
        self._wishes: list[Wish] = []
        self._server = 0
        self._ticket = 0
        self._turn_ms = mono_ms + self._rungs.wait_ms(
            urgent=bool(self._early)
        )  # next dial, or end of this one
        self._subscribed = False
        self._unacked: dict[int, Sent] = {}  # by ticket, in order of sending
        self._flights: dict[int, StoredBatch] = {}  # the window: by pos, in order of sending
        self._window = WINDOW_FIRST
        self._awaited_ms: int | None = None  # since when something is out that nobody has answered
        self._hello_out = False
        self._stalls = 0
        self._hello_ms = 0
        self._map_ms = mono_ms
        self._map_pos: int | None = None  # the copy that this connection carried last
        self._resend_ms = mono_ms
        self._blocked_ms: int | None = None  # when a bucket has enough again, or a copy is due

    # what the world says

    def wake(self, mono_ms: int) -> list[Wish]:
        """Time has passed: dials, hellos, stalls, silent brokers, copies that are due."""
        if self.state is State.DOWN:
            if mono_ms >= self._turn_ms:
                self._dial(mono_ms)
        elif self.state is State.DIALLING:
            if mono_ms >= self._turn_ms:
                self._wishes.append(Close(connection=self.connection, why="no CONNACK in 30 s"))
                self._dial_failed(mono_ms)
        else:
            self._wake_connected(mono_ms)
        return self._answer(mono_ms)

    def up(self, connection: int, mono_ms: int) -> list[Wish]:
        """CONNACK 0."""
        if connection == self.connection and self.state is State.DIALLING:
            self._move(Turn.UP)
            self._turn_ms = mono_ms + SUBACK_MS_MAX
            self._window, self._map_pos = WINDOW_FIRST, None
            self._early.connected(mono_ms)
            ticket = self._out(None, Lane.BATCH, mono_ms)
            self._wishes.append(Greet(connection=connection, ticket=ticket))
        return self._answer(mono_ms)

    def refused(self, connection: int, code: int, mono_ms: int) -> list[Wish]:
        """Any other CONNACK."""
        if connection == self.connection and self.state is State.DIALLING:
            self.counters["refusals"] += 1
            if code in CREDENTIALS_CODES:
                self._rungs.refusal()
            self._wishes.append(Close(connection=connection, why=f"CONNACK {code}"))
            self._dial_failed(mono_ms)
        return self._answer(mono_ms)

    def subscribed(self, connection: int, mono_ms: int) -> list[Wish]:
        """SUBACK: from here on an answer can reach us."""
        if self._is_connected(connection) and not self._subscribed:
            self._subscribed = True
            self._say_hellos(mono_ms)
        return self._answer(mono_ms)

    def puback(self, connection: int, ticket: int, mono_ms: int) -> list[Wish]:
        """The broker has it. That proves nothing; it only keeps the connection."""
        if not self._is_connected(connection):
            return self._answer(mono_ms)
        sent = self._unacked.pop(ticket, None)
        if sent is not None and sent.batch is not None:
            self._poison.acked(sent.batch.pos, mono_ms)
            self._pass_the_stuck(sent.batch)
        return self._answer(mono_ms)

    def closed(self, connection: int, mono_ms: int) -> list[Wish]:
        """The connection ended, or never came to be, for any reason."""
        if connection == self.connection:
            if self.state is State.DIALLING:
                self._dial_failed(mono_ms)
            elif self.state is not State.DOWN:
                self._fell(mono_ms)
        return self._answer(mono_ms)

    def receipt(
        self, connection: int, chain_id: bytes, through_no: int, mono_ms: int
    ) -> list[Wish]:
        """A receipt that is genuinely the collector's; one that covers nothing new is an answer all the same."""
        line = self._queue.lines.get(chain_id)
        if not self._is_connected(connection) or line is None:
            return self._answer(mono_ms)
        self.counters["receipts"] += 1
        if self._queue.receipt(line, through_no):
            self._wishes.append(Covered(chain_id=chain_id, through_no=through_no))
        settled = [pos for pos, batch in self._flights.items() if self._queue.is_settled(batch)]
        for pos in settled:
            del self._flights[pos]
        for pos in [
            p for p, stuck in self._poison.stuck.items() if self._queue.is_covered(stuck.batch)
        ]:
            self._poison.forget(pos)
        if self._poison.alone is not None and self._queue.is_covered(self._poison.alone):
            self._poison.forget(self._poison.alone.pos)
        self._early.forget(self._queue.is_covered)
        self._window = min(self._window + len(settled), self._settings.window_batches_max)
        self._rungs.receipt()
        self._answered(mono_ms)
        return self._answer(mono_ms)

    def resend(self, connection: int, chain_id: bytes, batch_no: int, mono_ms: int) -> list[Wish]:
        """`resend_from`: the cursor goes there, once in 2 s; what is not held is told by a hello."""
        line = self._queue.lines.get(chain_id)
        if not self._is_connected(connection) or line is None:
            return self._answer(mono_ms)
        self.counters["resends"] += 1
        self._answered(mono_ms)
        if mono_ms < self._resend_ms:
            return self._answer(mono_ms)
        self._resend_ms = mono_ms + RESEND_EVERY_MS
        stuck = any(
            (stuck.batch.chain_id, stuck.batch.batch_no) == (chain_id, batch_no)
            for stuck in self._poison.stuck.values()
        )
        # Asked for what was dropped while the rest is on its way: from the start again it would never reach the confession.
        gone = self._queue.is_in_hole(line, batch_no) and self._queue.front() is not None
        if batch_no > line.newest_no or stuck or gone or self._stays(chain_id):
            self._say_hello(line, mono_ms)
        else:
            self._flights.clear()
            self._queue.seek(line, batch_no)
        return self._answer(mono_ms)

    def stored(self, batch: StoredBatch, mono_ms: int) -> list[Wish]:
        """A batch was committed; batch 0 of a new chain begins its line here."""
        fresh = self._queue.stored(batch)
        self._newest = batch
        if batch.urgent:
            self._early.add(batch, mono_ms)
            self._dial_for_urgent(mono_ms)
        if batch.size_bytes > self._settings.message_bytes_max:
            self._wishes.append(Shrink())
        if fresh and self._subscribed:
            self._say_hellos(mono_ms)
        return self._answer(mono_ms)

    def fetched(self, fetch: int, rows: Sequence[StoredBatch], mono_ms: int) -> list[Wish]:
        """The answer to `Fetch` or `Seek`; fewer rows than asked for: there are no more."""
        missing = self._queue.fetched(fetch, rows)
        if missing is not None and self._subscribed:
            self._say_hello(missing, mono_ms)  # its `oldest` tells what is gone
        return self._answer(mono_ms)

    def gone(self, pos: int, mono_ms: int) -> list[Wish]:
        """The row could not be read, or was dropped for space: the outbox confesses it."""
        self._flights.pop(pos, None)
        for ticket in [
            t for t, s in self._unacked.items() if s.batch is not None and s.batch.pos == pos
        ]:
            del self._unacked[ticket]
        self._early.forget(lambda batch: batch.pos == pos)
        self._poison.forget(pos)
        if self._newest is not None and self._newest.pos == pos:
            self._newest = None
        return self._answer(mono_ms)

    def reload(
        self,
        *,
        lines: Iterable[ChainLine],
        urgent: Iterable[StoredBatch],
        newest: StoredBatch | None,
        home: Home | None,
        mono_ms: int,
        behind_pos: int | None = None,
    ) -> list[Wish]:
        """The outbox is another than we knew: the word has come, a chain was founded again, rows came back."""
        self.home, self._newest, self.behind_pos = home, newest, behind_pos
        self._queue, self._early, self._poison = Queue(lines), EarlyLane(), Poison()
        for batch in urgent:
            self._early.add(batch, mono_ms)
        self._flights.clear()
        if self._subscribed:
            self._say_hellos(mono_ms)
        return self._answer(mono_ms)

    def report(self, connection: int, nonce: bytes, mono_ms: int) -> list[Wish]:
        """`report_now`: a hello with this nonce."""
        line = self._hello_lines()[-1:]
        if self._is_connected(connection) and line and self._pace.may_say(mono_ms):
            self._say_hello(line[0], mono_ms, nonce)
        return self._answer(mono_ms)

    def stop(self) -> list[Wish]:
        """The unit stops: the line goes down and stays there."""
        if self.state is not State.DOWN:
            self._wishes.append(Close(connection=self.connection, why="stop"))
        self.connection += 1
        self.state = State.DOWN
        self._clear_connection()
        wishes, self._wishes = self._wishes, []
        return wishes

    # what others may know

    @property
    def rung(self) -> int | None:
        return self._rungs.rung

    @property
    def refused_lamp(self) -> bool:
        """The last word of a broker was that it does not know us."""
        return self._rungs.refused

    @property
    def in_flight(self) -> int:
        return len(self._flights)

    @property
    def stuck(self) -> tuple[StoredBatch, ...]:
        return tuple(stuck.batch for stuck in self._poison.stuck.values())

    @property
    def waiting_batches(self) -> int:
        """Batches that no receipt covers; dropped ones inside a chain are counted too."""
        return sum(line.newest_no - line.covered_no for line in self._queue.waiting_lines())

    def covered_no(self, chain_id: bytes) -> int:
        line = self._queue.lines.get(chain_id)
        return -1 if line is None else line.covered_no

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called."""
        if self.state in {State.DOWN, State.DIALLING}:
            return self._turn_ms
        return min(self._deadlines(), default=None)

    # the line goes up and down

    def _move(self, turn: Turn) -> None:
        self.state = LIFE[self.state][turn]

    def _is_connected(self, connection: int) -> bool:
        return connection == self.connection and self.state not in {State.DOWN, State.DIALLING}

    def _dial(self, mono_ms: int) -> None:
        self._move(Turn.DIAL)
        self.connection += 1
        self.counters["dials"] += 1
        self._turn_ms = mono_ms + DIAL_MS_MAX
        self._queue.rewind()
        self._wishes.append(Dial(connection=self.connection, server=self._server))

    def _dial_failed(self, mono_ms: int) -> None:
        self._move(Turn.FAILED)
        self._server = (self._server + 1) % self._settings.servers
        self._wait_for_dial(mono_ms)

    def _fell(self, mono_ms: int) -> None:
        self.counters["falls"] += 1
        oldest = next((sent for sent in self._unacked.values() if sent.batch is not None), None)
        verdict = (
            self._poison.fell(None, mono_ms, mono_ms)
            if oldest is None
            else self._poison.fell(oldest.batch, oldest.at_ms, mono_ms)
        )
        if verdict is Verdict.STUCK:
            self.counters["stuck"] += 1
            self._wishes.append(Shrink())
        if self.state is not State.FLOWING:  # it took us in and nobody behind it spoke
            self._server = (self._server + 1) % self._settings.servers
        self._move(Turn.FELL)
        self._wait_for_dial(mono_ms)

    def _wait_for_dial(self, mono_ms: int) -> None:
        self._clear_connection()
        self._turn_ms = mono_ms + self._rungs.wait_ms(urgent=bool(self._early))

    def _clear_connection(self) -> None:
        self._subscribed = False
        self._unacked.clear()
        self._flights.clear()
        self._awaited_ms, self._hello_out, self._blocked_ms, self._stalls = None, False, None, 0

    def _dial_for_urgent(self, mono_ms: int) -> None:
        if self.state is State.DOWN and self._rungs.short_cut(
            dial_ms=self._turn_ms, mono_ms=mono_ms
        ):
            self._turn_ms = mono_ms
            self._dial(mono_ms)

    def _wake_connected(self, mono_ms: int) -> None:
        oldest = next(iter(self._unacked.values()), None)
        if oldest is not None and mono_ms >= oldest.at_ms + PUBACK_MS_MAX:
            self._hang_up("no PUBACK in 30 s", mono_ms)
            return
        self._poison.wake(mono_ms)
        if not self._subscribed:
            if mono_ms >= self._turn_ms:
                self._hang_up("no SUBACK in 30 s", mono_ms)
            return
        if self.state is State.STALLED:
            if mono_ms >= self._turn_ms:
                self._stall(mono_ms)
        elif self._awaited_ms is not None and mono_ms >= self._awaited_ms + ANSWER_MS_MAX:
            self.counters["stalls"] += 1
            self._stall(mono_ms)
        if mono_ms >= self._hello_ms:
            self._say_hellos(mono_ms)

    def _hang_up(self, why: str, mono_ms: int) -> None:
        self.counters["deaf_brokers"] += 1
        self._wishes.append(Close(connection=self.connection, why=why))
        self._fell(mono_ms)

    def _stall(self, mono_ms: int) -> None:
        """Nobody answers: back to the oldest, two batches and a hello, and a longer wait each time."""
        self._move(Turn.SILENT)
        bound_ms = min(STALL_WAIT_MS_MAX, STALL_WAIT_MS_FIRST << min(self._stalls, 8))
        self._turn_ms = mono_ms + max(STALL_WAIT_MS_MIN, self._rng.randint(0, bound_ms))
        self._stalls += 1
        self._awaited_ms, self._window = None, WINDOW_FIRST
        self._flights.clear()
        self._queue.rewind()
        self._say_hellos(mono_ms)

    def _answered(self, mono_ms: int) -> None:
        self._move(Turn.ANSWERED)
        self._stalls, self._hello_out = 0, False
        owed = any(not self._queue.is_behind_hole(batch) for batch in self._flights.values())
        self._awaited_ms = mono_ms if owed else None

    # what goes out

    def _answer(self, mono_ms: int) -> list[Wish]:
        self._blocked_ms = None
        if self._subscribed:
            self._fill_queue()
            if self.home is not None and not self.home.spoken:
                pass  # what a card has forgotten may be what we would send: first the word
            elif self._poison.alone is not None:
                self._send_alone(self._poison.alone, mono_ms)
            elif self._queue.loaded:
                self._send_early(mono_ms)
                self._send_map(mono_ms)
                self._retry_stuck(mono_ms)
                self._send_batches(mono_ms)
                self._fill_queue()
        wishes, self._wishes = self._wishes, []
        return wishes

    def _fill_queue(self) -> None:
        wish = self._queue.wish()
        if wish is not None:
            self._wishes.append(wish)

    def _send_batches(self, mono_ms: int) -> None:
        while (batch := self._queue.front()) is not None:
            if self._is_home(batch) or self._is_behind(batch):
                return  # and so is whatever lies behind it
            if batch.size_bytes > self._settings.message_bytes_max:
                self._pass_too_long(batch)
            if batch.pos in self._poison.stuck or batch.pos in self._flights:
                self._queue.pop()
                continue
            if not self._window_has_room(batch):
                return
            if not self._may_go(batch, Lane.BATCH, mono_ms):
                return
            self._queue.pop()
            self._send(batch, Lane.BATCH, mono_ms)

    def _window_has_room(self, batch: StoredBatch) -> bool:
        if not self._flights:
            return True
        flight_bytes = sum(flight.size_bytes for flight in self._flights.values())
        return (
            len(self._flights) < self._window
            and flight_bytes + batch.size_bytes <= FLIGHT_BYTES_MAX
        )

    def _send_early(self, mono_ms: int) -> None:
        if not self._early:
            return
        in_turn = self._queue.next_in_line(self._window - len(self._flights))
        for row in self._early.newest_first():
            batch = row.batch
            if batch.pos in in_turn or not self._may_leave_early(batch):
                continue
            if row.due_ms > mono_ms:
                self._wait_until(row.due_ms)
                continue
            if self._early_in_flight() >= EARLY_FLIGHT_MAX:
                return  # a PUBACK wakes us
            if not self._may_go(batch, Lane.EARLY, mono_ms):
                return
            self._early.sent(batch.pos, mono_ms)
            self._send(batch, Lane.EARLY, mono_ms)

    def _send_map(self, mono_ms: int) -> None:
        """While the backlog is old, the newest batch goes ahead once a minute: where the truck is, not where it was."""
        oldest, newest = self._oldest_waiting(), self._newest
        if oldest is None or newest is None or newest.pos == self._map_pos:
            return
        old_ms = oldest.sealed_mono_ms + BACKLOG_AGE_MS
        if mono_ms <= old_ms or mono_ms < self._map_ms:
            self._wait_until(max(old_ms + 1, self._map_ms))
            return
        in_turn = self._queue.next_in_line(self._window - len(self._flights))
        if newest.pos in in_turn or not self._may_leave_early(newest):
            return  # it goes in its turn
        if self._early_in_flight() >= EARLY_FLIGHT_MAX or not self._may_go(
            newest, Lane.EARLY, mono_ms
        ):
            return
        self._map_ms = mono_ms + MAP_EVERY_MS
        self._early.sent(newest.pos, mono_ms)
        self._send(newest, Lane.EARLY, mono_ms)

    def _retry_stuck(self, mono_ms: int) -> None:
        for pos, stuck in list(self._poison.stuck.items()):
            if stuck.retry_ms is None or self._is_out(pos):
                continue
            if stuck.retry_ms > mono_ms:
                self._wait_until(stuck.retry_ms)
            elif self._may_go(stuck.batch, Lane.BATCH, mono_ms):
                self._send(stuck.batch, Lane.BATCH, mono_ms)

    def _send_alone(self, batch: StoredBatch, mono_ms: int) -> None:
        if batch.pos not in self._flights and self._may_go(batch, Lane.BATCH, mono_ms):
            self._send(batch, Lane.BATCH, mono_ms)

    def _send(self, batch: StoredBatch, lane: Lane, mono_ms: int) -> None:
        self._pace.sent(batch, lane, mono_ms)
        if lane is Lane.EARLY:
            self._map_pos = max(batch.pos, self._map_pos or 0)
        else:
            self._flights[batch.pos] = batch
            if not self._queue.is_behind_hole(batch):
                self._await(mono_ms)
        self.counters[f"sent_{lane.value}"] += 1
        ticket = self._out(batch, lane, mono_ms)
        self._wishes.append(
            Send(connection=self.connection, ticket=ticket, pos=batch.pos, lane=lane)
        )

    def _say_hellos(self, mono_ms: int) -> None:
        for line in self._hello_lines():
            self._say_hello(line, mono_ms)
        self._hello_ms = mono_ms + self._settings.hello_ms

    def _say_hello(self, line: Line, mono_ms: int, nonce: bytes = b"") -> None:
        self._pace.said(mono_ms)
        self.counters["hellos"] += 1
        self._hello_out = True
        self._await(mono_ms)
        ticket = self._out(None, Lane.BATCH, mono_ms)
        self._wishes.append(
            Hello(connection=self.connection, ticket=ticket, chain_id=line.chain_id, nonce=nonce)
        )

    def _hello_lines(self) -> list[Line]:
        """Chains that owe something, oldest first, the current one last; for chains at home the one that they name."""
        lines = [line for chain, line in self._queue.lines.items() if not self._stays(chain)]
        if self.home is not None:
            ask_chain = self.home.ask_chain
            lines.sort(key=lambda line: line.chain_id == ask_chain)  # stable: it goes last
        return [line for line in lines[:-1] if line.covered_no < line.newest_no] + lines[-1:]

    def _out(self, batch: StoredBatch | None, lane: Lane, mono_ms: int) -> int:
        self._ticket += 1
        self._unacked[self._ticket] = Sent(batch=batch, lane=lane, at_ms=mono_ms)
        return self._ticket

    def _await(self, mono_ms: int) -> None:
        if self.state is not State.STALLED and self._awaited_ms is None:
            self._awaited_ms = mono_ms

    # what may go

    def _may_go(self, batch: StoredBatch, lane: Lane, mono_ms: int) -> bool:
        """Whether all buckets have enough; else remember when they will."""
        ready_ms = self._pace.ready_ms(batch, lane, mono_ms)
        if ready_ms > mono_ms:
            self._wait_until(ready_ms)
            return False
        return True

    def _may_leave_early(self, batch: StoredBatch) -> bool:
        return not (
            self._is_home(batch)
            or (self._is_behind(batch) and batch.batch_no == 0)  # it would close the chain before
            or batch.size_bytes > self._settings.message_bytes_max
            or batch.pos in self._poison.stuck
            or self._is_out(batch.pos)
            or self._queue.is_covered(batch)
        )

    def _is_home(self, batch: StoredBatch) -> bool:
        return self.home is not None and batch.pos >= self.home.from_pos

    def _is_behind(self, batch: StoredBatch) -> bool:
        return self.behind_pos is not None and batch.pos >= self.behind_pos

    def _stays(self, chain_id: bytes) -> bool:
        return self.home is not None and chain_id in self.home.chains

    def _is_out(self, pos: int) -> bool:
        return pos in self._flights or any(
            sent.batch is not None and sent.batch.pos == pos for sent in self._unacked.values()
        )

    def _early_in_flight(self) -> int:
        return sum(sent.lane is Lane.EARLY for sent in self._unacked.values())

    def _oldest_waiting(self) -> StoredBatch | None:
        return next(iter(self._flights.values()), None) or self._queue.front()

    def _pass_too_long(self, batch: StoredBatch) -> None:
        if self._poison.too_long(batch) is Verdict.STUCK:
            self.counters["too_long"] += 1

    def _pass_the_stuck(self, batch: StoredBatch) -> None:
        """Behind a stuck batch, or one that was dropped, no receipt can come: the collector parks until it hears why.

        There alone a PUBACK moves the window: else it would never reach the confession.
        """
        if self._queue.is_behind_hole(batch) or any(
            stuck.batch.chain_id == batch.chain_id and stuck.batch.pos < batch.pos
            for stuck in self._poison.stuck.values()
        ):
            self._flights.pop(batch.pos, None)
        if not self._flights and not self._hello_out:
            self._awaited_ms = None

    # when to wake

    def _wait_until(self, mono_ms: int) -> None:
        self._blocked_ms = mono_ms if self._blocked_ms is None else min(self._blocked_ms, mono_ms)

    def _deadlines(self) -> Iterator[int]:
        oldest = next(iter(self._unacked.values()), None)
        if oldest is not None:
            yield oldest.at_ms + PUBACK_MS_MAX
        if not self._subscribed:
            yield self._turn_ms
            return
        if self.state is State.STALLED:
            yield self._turn_ms
        elif self._awaited_ms is not None:
            yield self._awaited_ms + ANSWER_MS_MAX
        yield self._hello_ms
        for deadline_ms in (self._poison.next_deadline(), self._blocked_ms):
            if deadline_ms is not None:
                yield deadline_ms
