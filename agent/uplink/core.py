"""The life of the line to the collector: events in, wishes out, one deadline (EDGE section 5).

Every event bears the number of its connection; one of an older connection is ignored. All times are mono_ms.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from random import Random

from agent import StoredBatch
from agent.uplink.poison import Verdict
from agent.uplink.queue import Line
from agent.uplink.rungs import Rungs
from agent.uplink.sending import Sending
from agent.uplink.settings import UplinkSettings
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
    Shrink,
    State,
    Turn,
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
RESEND_EVERY_MS = 2_000
CREDENTIALS_CODES = frozenset(
    {4, 5}
)  # MQTT 3.1.1, 3.2.2.3: bad user name or password, not authorised


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
        self._settings = settings
        self._rng = rng
        self._rungs = Rungs(rng)
        self._sending = Sending(
            settings=settings,
            mono_ms=mono_ms,
            lines=lines,
            urgent=urgent,
            newest=newest,
            home=home,
            behind_pos=behind_pos,
            counters=self.counters,
            awaits=self._await,
        )
        self._flights = self._sending.flights
        self._wishes: list[Wish] = []
        self._server = 0
        self._turn_ms = mono_ms + self._rungs.wait_ms(
            urgent=bool(self._sending.early)
        )  # next dial, or end of this one
        self._subscribed = False
        self._awaited_ms: int | None = None  # since when something is out that nobody has answered
        self._hello_out = False
        self._stalls = 0
        self._hello_ms = 0
        self._resend_ms = mono_ms

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
            self._sending.connected(mono_ms)
            ticket = self._flights.out(None, Lane.BATCH, mono_ms)
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
        sent = self._flights.acked(ticket)
        if sent is not None and sent.batch is not None:
            self._sending.acked(sent.batch, mono_ms)
            if not len(self._flights) and not self._hello_out:
                self._awaited_ms = None
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
        line = self._sending.queue.lines.get(chain_id)
        if not self._is_connected(connection) or line is None:
            return self._answer(mono_ms)
        self.counters["receipts"] += 1
        if self._sending.queue.receipt(line, through_no):
            self._wishes.append(Covered(chain_id=chain_id, through_no=through_no))
        self._sending.covered()
        self._rungs.receipt()
        self._answered(mono_ms)
        return self._answer(mono_ms)

    def resend(self, connection: int, chain_id: bytes, batch_no: int, mono_ms: int) -> list[Wish]:
        """`resend_from`: the cursor goes there, once in 2 s; what is not held is told by a hello."""
        line = self._sending.queue.lines.get(chain_id)
        if not self._is_connected(connection) or line is None:
            return self._answer(mono_ms)
        self.counters["resends"] += 1
        self._answered(mono_ms)
        if mono_ms < self._resend_ms:
            return self._answer(mono_ms)
        self._resend_ms = mono_ms + RESEND_EVERY_MS
        stuck = self._sending.is_stuck(chain_id, batch_no)
        # Asked for what was dropped while the rest is on its way: from the start again it would never reach the confession.
        gone = (
            self._sending.queue.is_in_hole(line, batch_no)
            and self._sending.queue.front() is not None
        )
        if batch_no > line.newest_no or stuck or gone or self._sending.stays(chain_id):
            self._say_hello(line, mono_ms)
        else:
            self._flights.again()
            self._sending.queue.seek(line, batch_no)
        return self._answer(mono_ms)

    def stored(self, batch: StoredBatch, mono_ms: int) -> list[Wish]:
        """A batch was committed; batch 0 of a new chain begins its line here."""
        fresh = self._sending.queue.stored(batch)
        self._sending.newest = batch
        if batch.urgent:
            self._sending.early.add(batch, mono_ms)
            self._dial_for_urgent(mono_ms)
        if batch.size_bytes > self._settings.message_bytes_max:
            self._wishes.append(Shrink())
        if fresh and self._subscribed:
            self._say_hellos(mono_ms)
        return self._answer(mono_ms)

    def fetched(self, fetch: int, rows: Sequence[StoredBatch], mono_ms: int) -> list[Wish]:
        """The answer to `Fetch` or `Seek`; fewer rows than asked for: there are no more."""
        missing = self._sending.queue.fetched(fetch, rows)
        if missing is not None and self._subscribed:
            self._say_hello(missing, mono_ms)  # its `oldest` tells what is gone
        return self._answer(mono_ms)

    def gone(self, pos: int, mono_ms: int) -> list[Wish]:
        """The row could not be read, or was dropped for space: the outbox confesses it."""
        self._sending.gone(pos)
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
        self._sending.reload(
            lines=lines,
            urgent=urgent,
            newest=newest,
            home=home,
            behind_pos=behind_pos,
            mono_ms=mono_ms,
        )
        if self._subscribed:
            self._say_hellos(mono_ms)
        return self._answer(mono_ms)

    def report(self, connection: int, nonce: bytes, mono_ms: int) -> list[Wish]:
        """`report_now`: a hello with this nonce."""
        line = self._hello_lines()[-1:]
        if self._is_connected(connection) and line and self._sending.pace.may_say(mono_ms):
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
    def home(self) -> Home | None:
        """What must not leave yet."""
        return self._sending.home

    @property
    def behind_pos(self) -> int | None:
        """Rows from there on wait for what is being salvaged; copies do not."""
        return self._sending.behind_pos

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
        return tuple(stuck.batch for stuck in self._sending.poison.stuck.values())

    @property
    def waiting_batches(self) -> int:
        """Batches that no receipt covers; dropped ones inside a chain are counted too."""
        return sum(line.newest_no - line.covered_no for line in self._sending.queue.waiting_lines())

    def covered_no(self, chain_id: bytes) -> int:
        line = self._sending.queue.lines.get(chain_id)
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
        self._sending.queue.rewind()
        self._wishes.append(Dial(connection=self.connection, server=self._server))

    def _dial_failed(self, mono_ms: int) -> None:
        self._move(Turn.FAILED)
        self._server = (self._server + 1) % self._settings.servers
        self._wait_for_dial(mono_ms)

    def _fell(self, mono_ms: int) -> None:
        self.counters["falls"] += 1
        oldest = next((sent for sent in self._flights.unacked if sent.batch is not None), None)
        poison = self._sending.poison
        verdict = (
            poison.fell(None, mono_ms, mono_ms)
            if oldest is None
            else poison.fell(oldest.batch, oldest.at_ms, mono_ms)
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
        self._turn_ms = mono_ms + self._rungs.wait_ms(urgent=bool(self._sending.early))

    def _clear_connection(self) -> None:
        self._subscribed = False
        self._flights.clear()
        self._sending.blocked_ms = None
        self._awaited_ms, self._hello_out, self._stalls = None, False, 0

    def _dial_for_urgent(self, mono_ms: int) -> None:
        if self.state is State.DOWN and self._rungs.short_cut(
            dial_ms=self._turn_ms, mono_ms=mono_ms
        ):
            self._turn_ms = mono_ms
            self._dial(mono_ms)

    def _wake_connected(self, mono_ms: int) -> None:
        oldest = self._flights.oldest_unacked
        if oldest is not None and mono_ms >= oldest.at_ms + PUBACK_MS_MAX:
            self._hang_up("no PUBACK in 30 s", mono_ms)
            return
        self._sending.poison.wake(mono_ms)
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
        self._awaited_ms = None
        self._flights.narrow()
        self._flights.again()
        self._sending.queue.rewind()
        self._say_hellos(mono_ms)

    def _answered(self, mono_ms: int) -> None:
        self._move(Turn.ANSWERED)
        self._stalls, self._hello_out = 0, False
        owed = self._flights.any(lambda batch: not self._sending.queue.is_behind_hole(batch))
        self._awaited_ms = mono_ms if owed else None

    # what goes out

    def _answer(self, mono_ms: int) -> list[Wish]:
        self._sending.blocked_ms = None
        if self._subscribed:
            self._wishes += self._sending.turn(self.connection, mono_ms)
        wishes, self._wishes = self._wishes, []
        return wishes

    def _say_hellos(self, mono_ms: int) -> None:
        for line in self._hello_lines():
            self._say_hello(line, mono_ms)
        self._hello_ms = mono_ms + self._settings.hello_ms

    def _say_hello(self, line: Line, mono_ms: int, nonce: bytes = b"") -> None:
        self._sending.pace.said(mono_ms)
        self.counters["hellos"] += 1
        self._hello_out = True
        self._await(mono_ms)
        ticket = self._flights.out(None, Lane.BATCH, mono_ms)
        self._wishes.append(
            Hello(connection=self.connection, ticket=ticket, chain_id=line.chain_id, nonce=nonce)
        )

    def _hello_lines(self) -> list[Line]:
        """Chains that owe something, oldest first, the current one last; for chains at home the one that they name."""
        lines = [
            line
            for chain, line in self._sending.queue.lines.items()
            if not self._sending.stays(chain)
        ]
        if self.home is not None:
            ask_chain = self.home.ask_chain
            lines.sort(key=lambda line: line.chain_id == ask_chain)  # stable: it goes last
        return [line for line in lines[:-1] if line.covered_no < line.newest_no] + lines[-1:]

    def _await(self, mono_ms: int) -> None:
        if self.state is not State.STALLED and self._awaited_ms is None:
            self._awaited_ms = mono_ms

    # when to wake

    def _deadlines(self) -> Iterator[int]:
        oldest = self._flights.oldest_unacked
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
        for deadline_ms in (self._sending.poison.next_deadline(), self._sending.blocked_ms):
            if deadline_ms is not None:
                yield deadline_ms
