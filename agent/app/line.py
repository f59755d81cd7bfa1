"""The way to the collector: carries out what the uplink wishes, and tells it what came of it (EDGE sections 5 and 8).

Law: one task owns uplink and connection. What a broker says proves nothing; what a receipt says is judged by the outbox.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from random import Random

from agent import Identity, Moment, StoredBatch
from agent.app.dialler import Dialler
from agent.app.log import Troubles, say
from agent.app.orders import Act, NewConfig, Orders, Report, Resend
from agent.app.shelf import Shelf
from agent.config import Config
from agent.io.mqtt import Heard, LineEvent
from agent.io.words import Tls
from agent.outbox import Outbox, OutboxError, Word
from agent.recorder.facts import ConfigDone, ReportNow
from agent.uplink.core import Uplink
from agent.uplink.words import (
    Close,
    Covered,
    Dial,
    Fetch,
    Greet,
    Hello,
    Lane,
    Seek,
    Send,
    Shrink,
    State,
    Wish,
)
from wire import Reason, Refused
from wire.hello import Hello as HelloWords, make
from wire.receipts import Receipt, RefusedReceipt
from wire.topics import Down, Up, down

EVENTS_MAX = 2_048  # a broker that floods us is not listened to beyond this
TURNS_MAX = 64  # then the deadlines are looked at: who floods us does not stop the clock
PAUSE_MS_MAX = 60_000
REFUSED_MS = 60_000  # so long nothing was refused: then that trouble is over
URGENT_MAX = 64  # as the early lane holds
BATCH_BYTES_MIN = 1_024  # EDGE section 5, Shrink
SHRUNK = "batch_bytes_max"  # its name in the outbox's memory
_CONNACK_HINTS = {
    1: "the broker speaks no MQTT 3.1.1",
    2: "the broker refuses the client id",
    3: "the broker is not available",
    4: "bad user name or password",
    5: "not authorised: does the broker know this unit's certificate?",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A batch was committed, in this generation of the outbox."""

    batch: StoredBatch
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudge:
    """Look at the deadlines; the unit stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What follows from an order that did not come from the broker."""

    act: Act


Input = LineEvent | Stored | Nudge | Carried


class Line:
    """The one task between the outbox and the broker."""

    def __init__(
        self,
        *,
        config: Config,
        identity: Identity,
        receipt_keys: Mapping[bytes, bytes],
        orders: Orders,
        tls: Tls,
        outbox: Outbox,
        rng: Random,
        moment: Callable[[], Moment],
        new_config: Callable[[int, bytes], None],
        post: Callable[[ConfigDone | ReportNow], None],
        changed: Callable[[State], None],
        shrink: Callable[[int], None],
        troubles: Troubles,
        program: str,
        at: Callable[[str], None],
    ) -> None:
        """`new_config`: version and text; `post`: a fact for the recorder; `changed`: the state of the line is another; `shrink`: batches to come are shorter."""
        self.counters: Counter[str] = Counter()
        self.distrusted = ""  # why no receipt is believed any more
        self.last_close = ""
        self.turned_mono_ms = moment().mono_ms  # when this task moved last
        self.receipt_mono_ms: int | None = None  # newest genuine receipt
        self.covered_mono_ms: int | None = None  # newest that covered what was not covered before
        self._config = config
        self._identity = identity
        self._receipt_keys = receipt_keys
        self._orders = orders
        self._outbox = outbox
        self._moment = moment
        self._new_config = new_config
        self._post = post
        self._changed = changed
        self._shrink = shrink
        self._troubles = troubles
        self._program = program
        self._at = at
        self._loop = asyncio.get_running_loop()
        self._inputs: deque[Input] = deque()
        self._arrived = asyncio.Event()
        self._believed: tuple[Receipt, bytes] | None = None
        self._batch_bytes_max = config.sealer.batch_bytes_max
        self._refused_ms = moment().mono_ms - REFUSED_MS  # when the store refused last
        self._shown = State.DOWN
        self._shelf = Shelf(outbox, moment)
        self._dialler = Dialler(
            config=config, tls=tls, boot_no=outbox.boot_no, moment=moment, deliver=self.deliver
        )
        self._known = (outbox.generation, self._shelf.home(), outbox.waits_behind)
        self.uplink = Uplink(
            settings=config.uplink,
            rng=rng,
            mono_ms=moment().mono_ms,
            lines=self._shelf.lines(),
            urgent=outbox.urgent()[-URGENT_MAX:],
            home=self._known[1],
            behind_pos=self._known[2],
        )

    # inputs, from the loop's thread and from others

    def stored(self, batch: StoredBatch) -> None:
        """A batch was committed."""
        self._take_in(Stored(batch=batch, generation=self._outbox.generation))

    def deliver(self, event: LineEvent) -> None:
        """From any thread."""
        try:
            self._loop.call_soon_threadsafe(self._take_in, event)
        except RuntimeError:  # the loop is closed: the unit has stopped
            return

    def carried(self, act: Act) -> None:
        """Somebody has carried an order to the unit's page, and this follows: as if it had come down this line."""
        self._take_in(Carried(act=act))

    def _take_in(self, one: Input) -> None:
        flood = isinstance(one, LineEvent) and one.heard is Heard.MESSAGE
        if flood and len(self._inputs) >= EVENTS_MAX:
            self.counters["events_dropped"] += 1
            return
        self._inputs.append(one)
        self._arrived.set()

    # the loop

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        self._remember_shrunk()
        while not stop.is_set():
            self.turned_mono_ms = self._moment().mono_ms
            if not self._inputs:
                await self._pause()
            self._arrived.clear()
            for _ in range(min(len(self._inputs), TURNS_MAX)):
                if not stop.is_set():
                    await self._guarded(self._turn(self._inputs.popleft()))
            await self._guarded(self._wake())
            self._show()

    async def _turn(self, one: Input) -> None:
        await self._carry_out(await self._hear(one))

    async def _wake(self) -> None:
        await self._synchronise()
        mono_ms = self._moment().mono_ms
        due_ms = self.uplink.next_deadline()
        if due_ms is not None and mono_ms >= due_ms:
            await self._carry_out(self.uplink.wake(mono_ms))

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        """A store that refuses is no end of the line: what it cost is sent, asked or said again by the timers of the uplink."""
        mono_ms = self._moment().mono_ms
        try:
            await work
        except OutboxError as error:
            self.counters["store_refused"] += 1
            self._refused_ms = mono_ms
            self._troubles.begin("line_without_store", error=str(error))
        else:
            if mono_ms - self._refused_ms >= REFUSED_MS:
                self._troubles.end("line_without_store")

    def nudge(self) -> None:
        self._take_in(Nudge())

    async def stop(self) -> None:
        """`state` down and DISCONNECT, a second at most."""
        if self.uplink.state not in {State.DOWN, State.DIALLING}:
            self._dialler.say_goodbye()
            for _ in range(5):
                await asyncio.sleep(0.02)  # paho's thread writes; a goodbye is worth no more
        self.uplink.stop()
        self._dialler.hang_up()

    @property
    def state(self) -> State:
        return self.uplink.state

    @property
    def newest_receipt(self) -> bytes | None:
        """The collector's newest R1: the outbox carries it out later, in a transaction that is written anyway."""
        return self._believed[1] if self._believed is not None else self._outbox.memory("r1")

    async def _pause(self) -> None:
        mono_ms = self._moment().mono_ms
        due = [mono_ms + PAUSE_MS_MAX]
        if (due_ms := self.uplink.next_deadline()) is not None:
            due.append(due_ms)
        home = self._outbox.at_home
        if home is not None and home.spoken and not home.is_over(mono_ms):
            due.append(home.until_mono_ms)
        try:
            async with asyncio.timeout(max(0, min(due) - mono_ms) / 1000):
                await self._arrived.wait()
        except TimeoutError:
            return

    async def _hear(self, one: Input) -> list[Wish]:
        mono_ms = self._moment().mono_ms
        match one:
            case Stored(batch=batch, generation=generation):
                await self._synchronise(below_pos=batch.pos)
                if generation != self._outbox.generation:
                    return []  # void: `_synchronise` has told the uplink of its successor
                return self.uplink.stored(batch, mono_ms)
            case LineEvent():
                return await self._hear_line(one, mono_ms)
            case Carried(act=act):
                return await self._act(act, self.uplink.connection, mono_ms)
            case Nudge():
                return []

    async def _hear_line(self, event: LineEvent, mono_ms: int) -> list[Wish]:
        link = event.connection
        if link != self.uplink.connection:
            return []
        match event.heard:
            case Heard.UP:
                return self.uplink.up(link, mono_ms)
            case Heard.REFUSED:
                self._lost(f"CONNACK {event.code}: {_CONNACK_HINTS.get(event.code, 'refused')}")
                return self.uplink.refused(link, event.code, mono_ms)
            case Heard.SUBSCRIBED:
                return self.uplink.subscribed(link, mono_ms)
            case Heard.ACKED:
                ticket = self._dialler.ticket_of(event.message_id)
                self._at("puback")
                return [] if ticket is None else self.uplink.puback(link, ticket, mono_ms)
            case Heard.CLOSED:
                self._lost(event.why)
                self._dialler.hang_up()
                return self.uplink.closed(link, mono_ms)
            case Heard.MESSAGE:
                return await self._hear_message(event, mono_ms)

    # what the uplink wishes

    async def _carry_out(self, wishes: list[Wish]) -> None:
        todo = deque(wishes)
        while todo:
            todo.extend(await self._do(todo.popleft()))

    async def _do(self, wish: Wish) -> list[Wish]:
        mono_ms = self._moment().mono_ms
        match wish:
            case Dial(connection=number, server=server_no):
                self.counters["dials"] += 1
                self._dialler.dial(number, server_no)
            case Greet(ticket=ticket):
                self._dialler.greet(ticket)
            case Close(why=why):
                self._lost(why)
                self._dialler.hang_up()
            case Hello(chain_id=chain_id, ticket=ticket, nonce=nonce):
                words = self.hello(chain_id, nonce)
                if (
                    words is None
                ):  # nothing of that chain was ever sealed: there is nothing to admit
                    return self.uplink.puback(wish.connection, ticket, mono_ms)
                self._dialler.say(Up.HELLO, words, ticket)
            case Send(pos=pos, lane=lane, ticket=ticket):
                envelope = await self._outbox.read(pos, self._moment())
                if envelope is None:
                    return self.uplink.gone(pos, mono_ms)
                self._at("publish")
                self.counters["bytes_up"] += len(envelope)
                self._dialler.say(Up.EARLY if lane is Lane.EARLY else Up.BATCH, envelope, ticket)
            case Fetch(fetch=fetch, after_pos=after_pos, rows_max=rows_max, spare=False):
                rows = await self._outbox.waiting(after_pos, rows_max)
                return self.uplink.fetched(fetch, rows, self._moment().mono_ms)
            case Fetch(fetch=fetch, after_pos=after_pos, rows_max=rows_max):
                rows = await self._shelf.spare_behind(after_pos, rows_max)
                return self.uplink.fetched(fetch, rows, self._moment().mono_ms)
            case Seek(fetch=fetch, chain_id=chain_id, batch_no=batch_no, rows_max=rows_max):
                rows = await self._shelf.spare_from(chain_id, batch_no, rows_max)
                return self.uplink.fetched(fetch, rows, self._moment().mono_ms)
            case Covered(chain_id=chain_id):
                self._cover(chain_id)
            case Shrink():
                await self._shrink_batches()
        return []

    def _cover(self, chain_id: bytes) -> None:
        assert self._believed is not None
        receipt, envelope = self._believed
        assert receipt.chain_id == chain_id
        if not self.distrusted:
            self._at("receipt")
            self.counters["covered"] += self._outbox.cover(receipt, envelope)

    async def _shrink_batches(self) -> None:
        self._batch_bytes_max = max(self._batch_bytes_max // 2, BATCH_BYTES_MIN)
        say("batches_shrink", batch_bytes_max=self._batch_bytes_max)
        self._shrink(self._batch_bytes_max)
        value = self._batch_bytes_max.to_bytes(4, "big")
        await self._outbox.remember({SHRUNK: value}, self._moment())

    def _remember_shrunk(self) -> None:
        cell = self._outbox.memory(SHRUNK)
        if cell is not None and len(cell) == 4:
            learnt = max(int.from_bytes(cell, "big"), BATCH_BYTES_MIN)
            self._batch_bytes_max = min(self._batch_bytes_max, learnt)
            self._shrink(self._batch_bytes_max)

    # what the collector says

    async def _hear_message(self, event: LineEvent, mono_ms: int) -> list[Wish]:
        unit_id, topic = self._config.unit_id, event.topic
        self.counters["bytes_down"] += len(event.payload)
        if topic == down(unit_id, Down.RECEIPT):
            return await self._hear_receipt(event)
        for what in (Down.ORDER, Down.CONFIG):
            if topic == down(unit_id, what):
                taken = self._orders.take(event.payload, what)
                return await self._act(taken.act, event.connection, mono_ms)
        self.counters["down_other"] += 1  # proofs: this version keeps none
        return []

    async def _hear_receipt(self, event: LineEvent) -> list[Wish]:
        verdict = await self._outbox.judge_receipt(event.payload, self._receipt_keys)
        if isinstance(verdict, Refused):
            self.counters[f"receipt_{verdict.reason.value}"] += 1
        if isinstance(verdict, RefusedReceipt):
            receipt, reason = verdict.receipt, verdict.reason
        elif isinstance(verdict, Receipt):
            receipt, reason = verdict, None
        else:
            return []
        self.receipt_mono_ms = self._moment().mono_ms
        waited = await self._hear_word(receipt)
        if reason is Reason.AHEAD and not waited and self._is_in_force(receipt.chain_id):
            say("collector_is_ahead", through=receipt.through_batch_no)
            await self._outbox.found_again(receipt, self._moment())
            await self._synchronise()
            return []
        if (
            reason is Reason.HEAD_MISMATCH and not waited
        ):  # else those numbers are not ours any more
            self.distrusted = verdict.detail if isinstance(verdict, Refused) else ""
            self._troubles.begin("head_mismatch", detail=self.distrusted)
            return []
        if reason is None:
            self._believed = (receipt, event.payload)
            self.covered_mono_ms = self.receipt_mono_ms
        wishes = self.uplink.receipt(
            event.connection, receipt.chain_id, receipt.through_batch_no, self._moment().mono_ms
        )
        if (
            reason is not None
        ):  # genuine, so it is an answer; but it covers nothing that we may forget
            wishes = [wish for wish in wishes if not isinstance(wish, Covered)]
        return wishes

    def _is_in_force(self, chain_id: bytes) -> bool:
        """The chain that grows. Of a closed one the collector may know more for ever: we have lost its end."""
        return self._outbox.chains()[-1].chain_id == chain_id

    async def _hear_word(self, receipt: Receipt | None) -> bool:
        """Whether a chain waited for the collector's word; it has come now."""
        home = self._outbox.at_home
        if home is None or home.spoken:
            return False
        word = await self._outbox.word(receipt, self._moment())
        if word is Word.NOT_YET:  # with each receipt, until another word comes
            self.counters["word_not_yet"] += 1
        else:
            say("word", word=word.value)
        await self._synchronise()
        return word is not Word.NOT_ASKED

    async def _act(self, act: Act | None, link: int, mono_ms: int) -> list[Wish]:
        match act:
            case Resend(chain_id=chain_id, batch_no=batch_no):
                home = self._shelf.home()
                if home is not None and batch_no == 0 and chain_id == home.ask_chain:
                    await self._hear_word(None)
                return self.uplink.resend(link, chain_id, batch_no, mono_ms)
            case Report(nonce=nonce, whole=whole):
                if whole:
                    self._post(ReportNow())
                return self.uplink.report(link, nonce, mono_ms)
            case NewConfig(version=version, text=text):
                self._new_config(version, text)
            case ConfigDone():
                self._post(act)
            case None:
                pass
        return []

    # what the uplink must know of the outbox

    async def _synchronise(self, *, below_pos: int | None = None) -> None:
        """Tell the uplink if the outbox is another than it knows, and of what the outbox has stored of itself."""
        known = (self._outbox.generation, self._shelf.home(), self._outbox.waits_behind)
        if known == self._known:
            for batch in self._outbox.take_beside(below_pos):
                await self._carry_out(self.uplink.stored(batch, self._moment().mono_ms))
            return
        self._outbox.take_beside(below_pos)  # among the urgent ones that it is told of now
        self._known = known
        wishes = self.uplink.reload(
            lines=self._shelf.lines(),
            urgent=self._outbox.urgent()[-URGENT_MAX:],
            newest=None,
            home=known[1],
            behind_pos=known[2],
            mono_ms=self._moment().mono_ms,
        )
        await self._carry_out(wishes)

    # words of our own

    def hello(self, chain_id: bytes, nonce: bytes) -> bytes | None:
        """A fresh signed hello of that chain; None if nothing of it was ever sealed."""
        moment = self._moment()
        chain = next((one for one in self._outbox.chains() if one.chain_id == chain_id), None)
        tip = self._outbox.tip(chain_id, moment)
        if chain is None or tip is None or tip.seq is None:
            return None
        words = HelloWords(
            unit_id=self._config.unit_id,
            chain_id=chain_id,
            batch_no=tip.batch_no,
            seq=tip.seq,
            head=tip.head,
            at_ms=moment.utc_ms,
            seen=self._outbox.seen,
            oldest=min(chain.oldest, tip.batch_no + 1),
            boot_no=self._outbox.boot_no,
            time_quality=int(moment.quality),
            mono_ms=moment.mono_ms,
            nonce=nonce,
            program=self._program,
        )
        return make(words, self._identity.kid, self._identity.sign)

    def _lost(self, why: str) -> None:
        if why and why != "stop":
            self.last_close = why
            self._troubles.begin("broker_lost", why=why)

    def _show(self) -> None:
        if self.uplink.state is self._shown:
            return
        self._shown = self.uplink.state
        self._changed(self._shown)
        if self._shown is State.FLOWING:
            waiting = self.uplink.waiting_batches
            self._troubles.end("broker_lost", waiting=waiting)
            self._troubles.end("collector_silent", waiting=waiting)
            self.last_close = ""
        if self._shown is State.STALLED:
            self._troubles.begin("collector_silent", waiting=self.uplink.waiting_batches)
