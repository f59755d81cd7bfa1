"""The tick itself: from messages to a commit, and to what may be said after it.

Law: after any failure all that is held in memory is forgotten; the messages come again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from collector.detect.cross.known import NOTHING, Known, changed, read as read_known
from collector.detect.engine import FRESH, UnitState
from collector.detect.engine.run import run as run_engine
from collector.detect.rules import Rulebook, Rules, situated
from collector.ingest.hello import places_of
from collector.ingest.pace import (
    RECEIPT_AGAIN_MS,
    RESEND_AGAIN_MS,
    Bucket,
    draw,
    resend_due_ms,
)
from collector.notify import Target
from collector.store import CrossWrite, QuarantineRow, StoreError, TickWrite, UnitWrite
from collector.store.commit import Committed
from collector.store.database import Store
from collector.tick import Message, Outgoing, TickResult, listening, oddities
from collector.tick.answering import Signing, receipt_for, resend_from
from collector.tick.detecting import FAILURES, Detected, Engine, detect
from collector.tick.held import Held
from collector.tick.judging import (
    apply,
    close_gaps,
    finish,
    take_batch,
    take_hello,
    wanted,
    watch_gaps,
)
from collector.tick.listening import AWAY_MS_MAX, DRAIN_MS, TICK_MS, Listened
from collector.tick.ordering import Desk
from collector.tick.reading import Sheet, confessions_of, read_sheet
from collector.tick.work import Body, Work
from wire import Reason, Refused
from wire.batch import Linked, judge_link
from wire.envelope import Key
from wire.hello import SoundHello, judge as judge_hello
from wire.topics import Up, parse_up

DUE_MS_MAX = 1_000  # new orders are looked for so often
KEYS_AGAIN_MS = 1_000  # a unit that was enrolled just now is known, and a key that was revoked refused, a second later
KEYS_OLD_MS = 10_000
FLOOD_OVER_MS = 60_000  # a flood has ended when nothing was throttled for so long
SET_BACK_MS = 1_000  # what is dated later than that is of a clock that was wrong
ONLINE_MS = 600_000  # who was silent for so long is not asked to send again: its hello will come
UNITS_HELD_MAX = 20_000  # ~10 KiB each with their states: 200 MiB
BUCKETS_MAX = 100_000  # 120 bytes each; a bucket that is forgotten is full again
MESSAGE_KEPT_BYTES_MAX = 33_000  # of a refused one: longer than that none is ours

_SPOILED = "{} parked batches are not what they were: taken out, their units are asked again"

Keys = Mapping[bytes, Key]  # by kid
Read = Linked | SoundHello | Refused


@dataclass(slots=True, kw_only=True)
class _Said:
    """A message, its speaker by the topic, and what its bytes are worth so far."""

    message: Message
    what: Up
    read: Read
    sheet: Sheet | None = None  # read already, because its genesis names a place


class Ticker:
    """One worker's ticks. `run` is called by one loop; calls wait for each other."""

    def __init__(
        self,
        *,
        store: Store,
        receipt_key: Signing,
        order_key: Signing,
        rulebook: Rulebook | None = None,
        engine: Engine = run_engine,
        targets: tuple[Target, ...] = (),
    ) -> None:
        self._store = store
        self._receipt_key, self._order_key = receipt_key, order_key
        self._desk = Desk(store, order_key)
        self.rulebook = rulebook or Rulebook(versions=(Rules(version=0),))  # swapped as a whole
        self._engine = engine
        self._targets = targets  # who is told of alerts
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._unfinished: set[str] = set()  # whose parked batches go on settling
        self._gapped: set[str] = set()
        self._keys: Keys = {}
        self._keys_ms: int | None = None
        self._revoked: tuple[int, int] = (0, 0)  # when it was asked, how many there were
        self._owed: dict[tuple[str, bytes], int] = {}  # receipts to say again, and when
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._floods: dict[str, tuple[int, int]] = {}  # when last throttled, n of the begin
        self._newest_ms = 0  # the latest time that a tick was given
        self._ticked_ms: int | None = None
        self._listening_ms: int | None = None  # since then somebody has listened
        self._before: Listened | None = None  # how far another has told time; None: it goes on
        self._resumed_ms = 0
        self._knows_all = False  # every unit with a history is in memory: its silence is watched
        self._engine_due_ms: int | None = None
        self._known: Known | None = None  # what several units have told together; None: not read
        self._known_revs: dict[str, int] = {}  # of its rows
        self._lock = asyncio.Lock()

    def forget(self) -> None:
        """Hold nothing of any unit: the next tick reads all from the store."""
        self._held.clear()
        self._unfinished.clear()
        self._gapped.clear()
        self._owed.clear()
        self._keys_ms = None
        self._desk = Desk(self._store, self._order_key)
        self._knows_all = False
        self._known = None

    async def run(self, messages: Sequence[Message], now_ms: int) -> TickResult:
        """Judge, detect and commit these messages, and whatever else is due at `now_ms`.

        Raises what the store raises; then nothing is committed, and the messages are to be given again.
        """
        async with self._lock:
            try:
                return await self._run(messages, now_ms)
            except BaseException:
                self.forget()
                raise

    async def _run(self, messages: Sequence[Message], now_ms: int) -> TickResult:
        work = Work(now_ms=now_ms)
        if now_ms < self._newest_ms - SET_BACK_MS:
            self._begin_anew()
            work.counted["clock.set_back"] += 1
        self._newest_ms = now_ms
        await self._desk.look(now_ms)
        since_ms = await self._listen(now_ms)
        said = await self._read(work, messages)
        time_passed = self._is_time(now_ms)
        await self._hold(work, said, time_passed=time_passed)
        known = await self._bring_known(work)
        await self._bring_chains(work, said)
        await self._bring_heads(work, said)
        self._judge(work, said)
        spoiled = finish(work, await self._store.parked(wanted(work)))
        if spoiled:
            await self._store.unpark(spoiled)
            raise StoreError(_SPOILED.format(len(spoiled)))
        watch_gaps(work)
        await self._watch_floods(work)
        detected = detect(
            work,
            rulebook=self._desk.rulebook(self.rulebook),
            engine=self._engine,
            states=self._states(work),
            known=known,
            times=self._times(now_ms) if time_passed else (),
            since_ms=since_ms,
            orders=self._desk.unlogged(),
        )
        committed = await self._commit(work, detected, time_passed=time_passed)
        if committed is not None:
            self._desk.logged_no = self._desk.act_no
            self._desk.closes = ()
        if time_passed:
            self._ticked_ms, self._engine_due_ms = now_ms, detected.next_due_ms
            self._before = None
        return await self._answer(work, messages, committed)

    def _begin_anew(self) -> None:
        """Our own clock was set back: what was to be done again at some time would wait until that time comes once more.

        Keys that are out of force, ticks of time, what is asked for or said again: all of it as behind a start.
        """
        self.forget()
        self._buckets.clear()
        self._ticked_ms = self._engine_due_ms = self._listening_ms = self._before = None
        self._floods = {unit_id: (0, n) for unit_id, (_, n) in self._floods.items()}

    async def _listen(self, now_ms: int) -> int:
        """Since when this centre has listened. Behind a start, and a long time without a tick, the log knows."""
        told_ms = self._ticked_ms
        is_away = told_ms is not None and now_ms - told_ms > AWAY_MS_MAX
        if self._listening_ms is None or is_away:
            self._before = await listening.read(self._store, now_ms)
            self._listening_ms = now_ms if self._before is None else self._before.since_ms
            self._resumed_ms, self._engine_due_ms = now_ms, None
            for unit_id, n in (await listening.floods(self._store)).items():
                self._floods.setdefault(unit_id, (now_ms, n))
        return self._listening_ms

    # reading

    async def _read(self, work: Work, messages: Sequence[Message]) -> list[_Said]:
        is_old = self._keys_ms is None or work.now_ms - self._keys_ms >= KEYS_OLD_MS
        if is_old or (messages and await self._is_revoked(work.now_ms)):
            await self._load_keys(work.now_ms)
        said = [
            entry for message in messages if (entry := self._read_one(work, message)) is not None
        ]
        unknown = [entry for entry in said if _is_unknown(entry.read)]
        assert self._keys_ms is not None
        if unknown and work.now_ms - self._keys_ms >= KEYS_AGAIN_MS:
            await self._load_keys(work.now_ms)
            for entry in unknown:
                entry.read = self._judge_bytes(entry.message, entry.what)
        for entry in said:
            if isinstance(entry.read, Refused):
                _refuse(work, entry.message, entry.read)
        return [entry for entry in said if not isinstance(entry.read, Refused)]

    async def _is_revoked(self, now_ms: int) -> bool:
        """Whether a key has gone out of force since the keys were read; asked once a second."""
        asked_ms, before = self._revoked
        if now_ms - asked_ms < KEYS_AGAIN_MS:
            return False
        found = await self._store.revoked_keys()
        self._revoked = (now_ms, found)
        return found != before

    async def _load_keys(self, now_ms: int) -> None:
        self._keys = await self._store.keys()
        self._keys_ms = now_ms
        self._revoked = (now_ms, sum(key.revoked for key in self._keys.values()))

    def _read_one(self, work: Work, message: Message) -> _Said | None:
        """None: not judged, not kept, only counted."""
        spoken = parse_up(message.topic)
        if isinstance(spoken, Refused) or spoken[1] is Up.STATE:
            work.verdicts[Reason.BAD_TOPIC.value] += 1
            return None
        unit_id, what = spoken
        bucket = draw(self._buckets.get(unit_id, Bucket()), message.received_ms)
        if bucket is None:
            work.verdicts[Reason.THROTTLED.value] += 1
            _, n = self._floods.get(unit_id, (0, -1))
            self._floods[unit_id] = (message.received_ms, n)
            return None
        self._buckets[unit_id] = bucket
        self._buckets.move_to_end(unit_id)
        if len(self._buckets) > BUCKETS_MAX:
            self._buckets.popitem(last=False)
        return _Said(message=message, what=what, read=self._judge_bytes(message, what))

    def _judge_bytes(self, message: Message, what: Up) -> Read:
        if what is Up.HELLO:
            return judge_hello(message.payload, message.topic, self._keys.get)
        return judge_link(message.payload, message.topic, self._keys.get)

    # units

    async def _hold(self, work: Work, said: Sequence[_Said], *, time_passed: bool) -> None:
        """Bring the units of this tick into memory, and let go of those that were quiet for longest."""
        spoke = dict.fromkeys(_unit_of(entry.read) for entry in said)
        asked = [
            unit_id
            for unit_id in self._gapped
            if (held := self._held.get(unit_id)) is not None and _asks(held, work.now_ms)
        ]
        closing = [act.unit_id for act in self._desk.closes]
        owed = [unit_id for (unit_id, _), due_ms in self._owed.items() if due_ms <= work.now_ms]
        unit_ids = [*spoke, *self._unfinished, *asked, *closing, *owed]
        watched = await self._watched() if time_passed else []
        missing = [name for name in dict.fromkeys([*unit_ids, *watched]) if name not in self._held]
        for unit_id, load in (await self._store.load_units(missing)).items() if missing else ():
            held = self._held[unit_id] = Held(load)
            if (
                held.chains.waiting or held.chains.confessions
            ):  # it was settling when its worker died: repeats alone would never move it
                self._unfinished.add(unit_id)
            if held.is_state_lost:
                work.findings.append(oddities.of_lost_state(unit_id, work.now_ms))
        for unit_id in dict.fromkeys([*unit_ids, *self._unfinished]):
            held = self._held[unit_id]
            self._held.move_to_end(unit_id)
            work.units[unit_id] = held
        for unit_id in watched:
            if unit_id in self._held:
                work.units[unit_id] = self._held[unit_id]
        for held in work.units.values():
            held.begin_tick()
        while len(self._held) > max(UNITS_HELD_MAX, len(work.units)):
            unit_id, _ = self._held.popitem(last=False)
            self._gapped.discard(unit_id)
            self._unfinished.discard(unit_id)

    async def _watched(self) -> list[str]:
        """Units that a passing of time concerns: all that were ever heard, also before this process began."""
        if self._knows_all:
            return list(self._held)
        self._knows_all = True
        return list(dict.fromkeys([*self._held, *await self._store.heard_units(UNITS_HELD_MAX)]))

    async def _bring_chains(self, work: Work, said: Sequence[_Said]) -> None:
        """Of a unit with many chains only the newest are held: bring the older ones that are spoken of."""
        wanted: dict[int, set[bytes]] = {}
        units = {held.unit_no: held for held in work.units.values() if not held.chains.is_whole}
        for entry in said:
            held = work.units[_unit_of(entry.read)]
            if held.unit_no in units:
                wanted.setdefault(held.unit_no, set()).update(_chains_named(entry, held))
        for act in self._desk.closes:
            held = work.units[act.unit_id]
            if held.unit_no in units:
                wanted.setdefault(held.unit_no, set()).add(act.chain_id)
        places = [
            (unit_no, chain_id)
            for unit_no, names in wanted.items()
            for chain_id in names - units[unit_no].chains.chains.keys()
        ]
        if places:
            for unit_no, chains in (await self._store.chains(places)).items():
                units[unit_no].chains.bring(chains)

    async def _bring_heads(self, work: Work, said: Sequence[_Said]) -> None:
        """One query for all stored heads that the tick's verdicts will look at."""
        places: set[tuple[int, int, int]] = set()
        chain_of: dict[tuple[int, int], bytes] = {}
        for entry in said:
            held = work.units[_unit_of(entry.read)]
            for chain_id, batch_no in _places(entry, held):
                chain = held.chains.chains.get(chain_id)
                if chain is not None and batch_no <= chain.through:
                    places.add((held.unit_no, chain.ordinal, batch_no))
                    chain_of[(held.unit_no, chain.ordinal)] = chain_id
        heads: dict[int, dict[tuple[bytes, int], bytes]] = {}
        for (unit_no, ordinal, batch_no), head in (await self._store.heads(sorted(places))).items():
            place = (chain_of[(unit_no, ordinal)], batch_no)
            heads.setdefault(unit_no, {})[place] = head
        for held in work.units.values():
            held.chains.begin_tick(heads.get(held.unit_no, {}))

    async def _bring_known(self, work: Work) -> Known:
        """What several units have told together; anew where its rows cannot be read."""
        if self._known is not None:
            return self._known
        rows = await self._store.cross_rows()
        self._known_revs = {key: rev for key, (rev, _) in rows.items()}
        try:
            self._known = read_known({key: blob for key, (_, blob) in rows.items()})
        except FAILURES:
            work.counted["cross.unreadable"] += 1
            self._known = NOTHING
        return self._known

    # judging

    def _judge(self, work: Work, said: Sequence[_Said]) -> None:
        for unit_id in sorted(self._unfinished):
            held = work.units[unit_id]
            apply(work, held, held.chains.go_on())
        close_gaps(work, self._desk.closes)
        for entry in said:
            held, message = work.units[_unit_of(entry.read)], entry.message
            if isinstance(entry.read, SoundHello):
                take_hello(work, held, entry.read, message.received_ms)
                continue
            assert isinstance(entry.read, Linked)
            body = Body(
                linked=entry.read,
                rx_ms=message.received_ms,
                is_early=entry.what is Up.EARLY,
                sheet=entry.sheet,
            )
            refused = take_batch(work, held, body)
            if refused is not None:
                _refuse(work, message, refused)

    async def _watch_floods(self, work: Work) -> None:
        """A flood begins with the first message that is throttled, and ends a minute after the last."""
        for unit_id, (last_ms, n) in list(self._floods.items()):
            if n < 0:
                fresh = 1 + await self._store.newest_n(oddities.flood_id(unit_id))
                self._floods[unit_id] = (last_ms, fresh)
                work.findings.append(oddities.of_flood(unit_id, fresh, last_ms, is_over=False))
            elif work.now_ms - last_ms >= FLOOD_OVER_MS:
                del self._floods[unit_id]
                work.findings.append(oddities.of_flood(unit_id, n + 1, work.now_ms, is_over=True))

    # the engine and the commit

    def _is_time(self, now_ms: int) -> bool:
        if self._before is not None:
            return now_ms - self._resumed_ms >= DRAIN_MS
        if self._engine_due_ms is not None and now_ms >= self._engine_due_ms:
            return True
        return self._ticked_ms is None or now_ms - self._ticked_ms >= TICK_MS

    def _times(self, now_ms: int) -> tuple[int, ...]:
        """That are told now: behind a start also those that the worker before has not told, as a smooth run would have."""
        return (now_ms,) if self._before is None else self._before.missed(now_ms)

    def _states(self, work: Work) -> dict[str, UnitState]:
        return {
            unit_id: held.state
            for unit_id, held in work.units.items()
            if held.state is not FRESH  # the engine's word for a unit never heard of
        }

    async def _commit(
        self, work: Work, detected: Detected, *, time_passed: bool
    ) -> Committed | None:
        for unit_id, state in detected.states.items():
            work.units[unit_id].keep_state(state, detected.blobs.get(unit_id))
        writes: list[UnitWrite] = []
        for held in work.units.values():
            write = held.written()
            if write is not None:
                writes.append(write)
        if detected.is_known_lost:
            work.counted["cross.undecidable"] += 1
        crossed = self._cross_writes(detected.known)
        own = [situated(self.rulebook, finding) for finding in work.findings]
        findings = [*own, *detected.findings]
        tick = TickWrite(
            now_ms=work.now_ms,
            time_passed=time_passed,
            rules_version=self.rulebook.versions[-1].version,
            intake=tuple(detected.intake),
            units=tuple(writes),
            findings=tuple(findings),
            settled=tuple(
                (word.finding.unit, word.id, word.outcome.value) for word in detected.words
            ),
            quarantine=tuple(work.quarantine),
            counters=_counters(work),
            targets=self._targets,
            crossed=crossed,
            cross_revs=dict(self._known_revs),
        )
        is_empty = not (writes or findings or tick.settled or tick.quarantine or tick.counters)
        if is_empty and not time_passed and not crossed:
            return None
        committed = await self._store.commit(tick)
        self._known = detected.known
        for row in crossed:
            if row.blob is None:
                del self._known_revs[row.key]
            else:
                self._known_revs[row.key] = (row.rev or 0) + 1
        return committed

    def _cross_writes(self, after: Known) -> tuple[CrossWrite, ...]:
        assert self._known is not None
        rows = changed(self._known, after)
        gone = self._known_revs.keys() if self._known is NOTHING else ()  # could not be read
        rows.update({key: None for key in gone if key not in rows})
        return tuple(
            CrossWrite(key=key, rev=self._known_revs.get(key), blob=blob)
            for key, blob in sorted(rows.items())
        )

    # after the commit

    async def _answer(
        self, work: Work, messages: Sequence[Message], committed: Committed | None
    ) -> TickResult:
        lost = frozenset[str]() if committed is None else committed.lost
        for unit_id in lost:
            self._held.pop(unit_id, None)
        self._unfinished = {
            unit_id
            for unit_id, held in work.units.items()
            if held.chains.has_more and unit_id not in lost
        }
        for unit_id, held in work.units.items():
            if held.gap is not None and unit_id not in lost:
                self._gapped.add(unit_id)
            else:
                self._gapped.discard(unit_id)
        self._owe(work)
        outgoing = [*self._receipts(work, lost), *self._resends(work, lost)]
        orders = await self._desk.send(
            work.greeted, lambda unit_id: self._is_online(unit_id, work.now_ms), work.now_ms
        )
        return TickResult(
            tick_no=None if committed is None else committed.tick_no,
            outgoing=(*outgoing, *orders),
            findings=() if committed is None else committed.findings,
            alerts=() if committed is None else committed.feed,
            acks=tuple(
                message.token for message in messages if _speaker(message.topic) not in lost
            ),
            lost=lost,
            verdicts=dict(work.verdicts),
            next_due_ms=self._next_due_ms(work.now_ms),
        )

    def _is_online(self, unit_id: str, now_ms: int) -> bool:
        """True if the unit was heard of late; one that this worker does not hold will say hello."""
        held = self._held.get(unit_id)
        return held is not None and held.now is not None and now_ms - held.now.heard_ms < ONLINE_MS

    def _owe(self, work: Work) -> None:
        """What was said too soon to be receipted again is receipted when its second has passed."""
        for key in work.receipts_later:
            self._owed.setdefault(key, work.units[key[0]].receipted_ms + RECEIPT_AGAIN_MS)
        due = [key for key, due_ms in self._owed.items() if due_ms <= work.now_ms]
        work.receipts.update(due)
        for key in work.receipts:
            self._owed.pop(key, None)

    def _receipts(self, work: Work, lost: frozenset[str]) -> Iterable[Outgoing]:
        for unit_id, chain_id in sorted(work.receipts):
            if unit_id in lost:
                continue
            held = work.units[unit_id]
            receipt = receipt_for(held, chain_id, self._receipt_key, work.now_ms)
            if receipt is not None:
                held.receipted_ms = work.now_ms
                yield receipt

    def _resends(self, work: Work, lost: frozenset[str]) -> Iterable[Outgoing]:
        wanted_from = dict(work.resends)
        for unit_id, held in work.units.items():
            if held.gap is not None and _asks(held, work.now_ms):
                held.gap = replace(held.gap, asked_ms=work.now_ms)
                wanted_from.setdefault((unit_id, held.gap.chain_id), held.gap.first_no)
        for (unit_id, chain_id), batch_no in sorted(wanted_from.items()):
            if unit_id not in lost:
                yield resend_from(unit_id, chain_id, batch_no, self._order_key, work.now_ms)

    def _next_due_ms(self, now_ms: int) -> int:
        if self._unfinished:
            return now_ms
        dues = [now_ms + DUE_MS_MAX]
        if self._engine_due_ms is not None:
            dues.append(self._engine_due_ms)
        dues += self._owed.values()
        for unit_id in self._gapped:
            gap = self._held[unit_id].gap if unit_id in self._held else None
            due_ms = None if gap is None else resend_due_ms(gap)
            if due_ms is not None:
                dues.append(due_ms)
        return max(now_ms, min(dues))


def _unit_of(read: Read) -> str:
    """The unit of a message whose signature holds."""
    match read:
        case Linked():
            return read.header.unit_id
        case SoundHello():
            return read.hello.unit_id
        case Refused():
            raise AssertionError("a refused message speaks for nobody")


def _places(entry: _Said, held: Held) -> list[tuple[bytes, int]]:
    """The numbers whose stored heads the verdict on a message may look at."""
    if isinstance(entry.read, SoundHello):
        return places_of(entry.read.hello)
    assert isinstance(entry.read, Linked)
    header = entry.read.header
    places = [(header.chain_id, header.batch_no)]
    chain = held.chains.chains.get(header.chain_id)
    if chain is not None and header.batch_no <= chain.through:
        places.append((header.chain_id, header.batch_no - 1))
    if header.batch_no == 0 and header.chain_id not in held.chains.chains:
        sheet = entry.sheet or read_sheet(header)
        if not isinstance(sheet, Refused):
            entry.sheet = sheet
            genesis = sheet.genesis
            if genesis is not None and genesis.prev_chain is not None:
                assert genesis.prev_batch_no is not None
                places.append((genesis.prev_chain, genesis.prev_batch_no))
    return places


def _chains_named(entry: _Said, held: Held) -> set[bytes]:
    """The chains that a message stands in, follows or speaks of."""
    if isinstance(entry.read, SoundHello):
        return {entry.read.hello.chain_id}
    assert isinstance(entry.read, Linked)
    header = entry.read.header
    chain = held.chains.chains.get(header.chain_id)
    named = {header.chain_id}
    if chain is not None and header.batch_no <= chain.through:
        return named  # a repeat, most likely: its body need not be read
    sheet = read_sheet(header)
    if isinstance(sheet, Refused):
        return named
    entry.sheet = sheet
    named.update(one.chain_id for one in confessions_of(header.chain_id, sheet.events))
    if sheet.genesis is not None and sheet.genesis.prev_chain is not None:
        named.add(sheet.genesis.prev_chain)
    return named


def _is_unknown(read: Read) -> bool:
    return isinstance(read, Refused) and read.reason is Reason.UNKNOWN_KEY


def _asks(held: Held, now_ms: int) -> bool:
    """True if the unit is there and it is time to ask it for what is missing."""
    due_ms = None if held.gap is None else resend_due_ms(held.gap)
    if due_ms is None or held.now is None:
        return False
    if now_ms < due_ms <= now_ms + RESEND_AGAIN_MS:  # later: seen by a clock that was wrong
        return False
    return now_ms - held.now.heard_ms < ONLINE_MS


def _refuse(work: Work, message: Message, refused: Refused) -> None:
    work.verdicts[refused.reason.value] += 1
    work.quarantine.append(
        QuarantineRow(
            rx_ms=message.received_ms,
            topic=message.topic,
            reason=refused.reason.value,
            detail=refused.detail,
            size_bytes=len(message.payload),
            message=message.payload[:MESSAGE_KEPT_BYTES_MAX],
        )
    )


def _counters(work: Work) -> dict[str, int]:
    counters = {f"verdict.{name}": count for name, count in work.verdicts.items()}
    counters.update(work.counted)
    if work.positions:
        counters["positions"] = work.positions
    return counters


def _speaker(topic: str) -> str:
    spoken = parse_up(topic)
    return "" if isinstance(spoken, Refused) else spoken[0]
