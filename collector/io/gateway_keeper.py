"""The gateway's shelf with a thread of its own, the end of its chain, and what it remembers of seals and frames.

Law: what is held in memory is what is committed; after a refused commit nothing of it has changed.
"""

import asyncio
import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from collector.gateway import Identity, Moment, SealState, Tip, chain
from collector.gateway.records import Told
from collector.io import clock
from collector.io.backoff import Trouble
from collector.io.gateway_store import FRAMES_MAX, FRAMES_MS, Book, GatewayStore

__all__ = ["Keeper", "moment"]

EARLY_MAX = 8  # urgent batches that go ahead of a backlog, as on a unit
T = TypeVar("T")

log = logging.getLogger(__name__)


def moment() -> Moment:
    """Now, on the axes of a batch."""
    return Moment(utc_ms=clock.now_ms(), boot_ms=clock.boot_ms(), quality=clock.time_quality())


class Keeper:
    """Call `open`, then `begin`; after that `commit` as often as there is something."""

    def __init__(
        self, identity: Identity, store: Callable[[], GatewayStore], counters: Counter[str]
    ) -> None:
        self.identity = identity
        self.counters = counters
        self.boot_no = 0
        self.states: dict[str, SealState] = {}
        self.frames: dict[bytes, int] = {}  # hash of a committed frame: when it was heard
        self.urgent: deque[bytes] = deque(maxlen=EARLY_MAX)  # envelopes that may have to go ahead
        self.sealed = asyncio.Event()  # there is something to deliver
        self._open_store = store
        self._store: GatewayStore | None = None
        self._tip: Tip | None = None
        self._trouble = Trouble(what="gateway's shelf")
        # SQLite's connection is used by one thread at a time, and a commit must not hold up the loop.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gateway-store")

    @property
    def store(self) -> GatewayStore:
        """To be used through `ask` alone."""
        assert self._store is not None
        return self._store

    async def ask(self, call: Callable[..., T], *arguments: object) -> T:
        """Something of the shelf, in its thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(call, *arguments))

    async def open(self) -> Book:
        """What is known from before. Raises GatewayStoreError."""
        self._store = await self.ask(self._open_store)
        book = await self.ask(self._store.read)
        self.states, self.frames = book.states, book.frames
        same_boot = bool(clock.boot_id()) and book.boot_id == clock.boot_id()
        self.boot_no = max(book.boot_no, 0) if same_boot else book.boot_no + 1
        return book

    async def begin(self, book: Book, ahead: Tip | None) -> None:
        """Go on with the chain or begin another, and seal the first batch. `ahead`: what the collector holds beyond ours."""
        lost = book.set_aside is not None
        if lost:
            log.error("the gateway's shelf was damaged and lies at %s now", book.set_aside)
        boot_id = clock.boot_id()
        same_boot = bool(boot_id) and book.boot_id == boot_id
        begin = chain.begin_of(book.tip, same_boot=same_boot, clean=book.clean, store_lost=lost)
        if ahead is not None:
            begin = chain.Begin(reason=chain.REASON_ROLLED_BACK, before=ahead)
        await self.ask(self.store.begin, boot_id, self.boot_no)
        at = moment()
        records = [chain.boot_record(self.boot_no, at, clean=book.clean)]
        if begin.reason is None:
            self._tip = begin.before
        else:
            self._tip = chain.new_tip(self.identity, os.urandom(16))
            records.insert(0, chain.genesis(begin, at))
        await self._commit(Told(records=tuple(records), states={}, urgent=False), (), at)

    async def commit(
        self, told: Told, names: Sequence[bytes], at: Moment, *, clean: bool = False
    ) -> bool:
        """False if the shelf refused: nothing may be acknowledged then, and the seals keep what they have."""
        now_ms = clock.mono_ms()
        try:
            await self._commit(told, names, at, clean=clean)
        except Exception as error:  # noqa: BLE001 - whatever a disk says, no seal may be told that its frame is stored
            self._trouble.failed(str(error), now_ms)
            self.counters["commit_errors"] += 1
            return False
        self._trouble.works(now_ms)
        return True

    def forget_old_frames(self, now_ms: int) -> None:
        """Those that no seal repeats any more; of too many the oldest."""
        young = {name: at_ms for name, at_ms in self.frames.items() if now_ms - at_ms < FRAMES_MS}
        extra = max(len(young) - FRAMES_MAX, 0)
        self.frames = dict(list(young.items())[extra:])

    async def look_again(self) -> None:
        """A commit may have been under way when its task was ended: the shelf knows where the chain is."""
        self._tip = (await self.ask(self.store.read)).tip

    async def close(self) -> None:
        if self._store is not None:
            await self.ask(self._store.close)
        self._thread.shutdown(wait=False)

    async def _commit(
        self, told: Told, names: Sequence[bytes], at: Moment, *, clean: bool = False
    ) -> None:
        assert self._tip is not None
        if not told.records:
            self.states.update(told.states)  # heartbeats: who was heard, and no more
            return
        batches, tip = chain.make_batches(
            told.records, self._tip, self.identity, boot_no=self.boot_no, at=at
        )
        states: Mapping[str, SealState] = told.states
        await self.ask(
            partial(
                self.store.commit,
                batches,
                tip,
                urgent=told.urgent,
                states=states,
                frames=names,
                now_ms=at.utc_ms,
                clean=clean,
            )
        )
        self._tip = tip
        self.states.update(states)
        self.frames.update(dict.fromkeys(names, at.utc_ms))
        self.counters["batches"] += len(batches)
        self.counters["records"] += len(told.records)
        if told.urgent:
            self.urgent.extend(one.envelope for one in batches)
        self.sealed.set()
