"""The one task behind all live streams: it reads what changed once, encodes it once a scope, and keeps the bytes of sixty ticks.

Law: to the hub a client is two numbers, how far it has positions and how far alerts. There is no queue a client: who is behind
gets one answer to one question, and who is too far behind begins anew.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.api import frames
from collector.api.alert_rows import rows_of
from collector.api.desks import Attendance
from collector.api.figures import stat_of
from collector.api.places import Places
from collector.api.streams import SCOPES_MAX, Frame, Full, Line, Stream, Streams
from collector.people import Actor, sees
from collector.store import alert_reads, live
from collector.store.database import Store
from collector.store.feed import newest_feed
from collector.store.live import Shown, UnitNow

LOOK_S = 0.05  # a change by another process is seen within this
UNITS_MS = 1_000  # positions are told once a second
STAT_MS = 5_000
STAT_AGAIN_MS = (
    1_000  # who joins hears them at the next look, and two hundred who join hear them together
)
CHECK_MS = 60_000  # a session is looked at again
ENDED_MS = 2_000  # all of them, for what another process has ended: one question
TROUBLE_S = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What the hub asks of others."""

    store: Store
    now_ms: Callable[[], int]
    mono_ms: Callable[[], int]
    stands: Callable[[Actor], Awaitable[bool]]  # whether a session still holds
    ended: Callable[[Actor], asyncio.Event]  # set at once when it ends here
    tell_ended: Callable[[], Awaitable[None]]  # sets those that have ended elsewhere
    places: Places
    build: str
    keeps: Callable[[], bool] = lambda: True  # whether the store takes what comes in


class Hub:
    """`run` is its task; `join`, `take` and `leave` are for the route."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._store = watch.store
        self._hint = asyncio.Event()
        self._wake = asyncio.Event()
        self._streams = Streams()
        self._attendance = Attendance()
        self._alert_feed = self._unit_feed = -1  # nothing was read yet
        self._units_ms = self._stat_ms = watch.mono_ms() - STAT_MS
        self._stat_due_ms = watch.mono_ms()
        self._ended_ms = watch.mono_ms()
        self._stat_no = 0
        self._store.on_commit(self._hint.set)

    # the task

    async def run(self) -> None:
        """Look, read, encode, wake; for ever."""
        while True:
            try:
                await self._run()
            except SQLAlchemyError as error:
                log.warning("live: store: %s", type(error).__name__)
            await asyncio.sleep(TROUBLE_S)

    async def _run(self) -> None:
        async with self._store.watch() as version:
            known: int | None = None
            while True:
                self._hint.clear()
                before, known = known, await version()
                await self.step(changed=known != before)
                await self._pause()

    async def _pause(self) -> None:
        """A look long, or until this process commits."""
        try:
            async with asyncio.timeout(LOOK_S):
                await self._hint.wait()
        except TimeoutError:
            pass

    async def step(self, *, changed: bool) -> None:
        """One look: alerts at once, positions once a second, figures every five and when somebody has joined."""
        mono_ms = self.watch.mono_ms()
        units_due = mono_ms - self._units_ms >= UNITS_MS
        stat_due = mono_ms >= self._stat_due_ms
        if self._streams and mono_ms - self._ended_ms >= ENDED_MS:
            self._ended_ms = mono_ms
            await self.watch.tell_ended()
        ended = [one for one in self._streams if one.is_over()]
        for stream in ended:
            stream.bye = stream.bye or "logout"
        if changed or units_due or stat_due:
            async with self._store.read() as connection:
                newest = await newest_feed(connection)
                self._begin(newest)
                await self._tell_alerts(connection, newest)
                if units_due:
                    self._units_ms = mono_ms
                    await self._tell_units(connection, newest)
                if stat_due:
                    self._stat_ms, self._stat_due_ms = mono_ms, mono_ms + STAT_MS
                    await self._tell_figures(connection, mono_ms)
            self._wake_all()
        elif ended:
            self._wake_all()

    def close(self) -> None:
        """Say good-bye to everybody: the program ends."""
        self._streams.is_closed = True
        for stream in self._streams:
            stream.bye = stream.bye or "shutdown"
        self._wake_all()

    # for the route

    async def join(self, actor: Actor, since: int | None) -> Stream | Full:
        """A new stream, from `since` on, else from now; the oldest of its session ends if there are too many."""
        async with self._store.read() as connection:
            newest = await newest_feed(connection)
        self._begin(newest)
        mono_ms = self.watch.mono_ms()
        stream = Stream(
            actor=actor,
            sent=self._unit_feed if since is None else since,
            told=self._unit_feed if since is None else since,
            check_ms=mono_ms + CHECK_MS,
            ended=self.watch.ended(actor),
            stat_no=self._stat_no,  # figures of before bear a time of before: a clock set by them is slow
        )
        full = self._streams.add(stream, alerts=self._alert_feed, units=self._unit_feed)
        if full is not None:
            return full
        if since is not None and not 0 <= since <= newest:  # another store, or one put back
            stream.sent, stream.told = self._unit_feed, self._alert_feed
            stream.first.append(frames.reset_event("old"))
        stream.first.append(frames.deploy_event(self.watch.build))
        self._attendance.sit(actor.desk, mono_ms)
        self._stat_due_ms = min(self._stat_due_ms, max(mono_ms, self._stat_ms + STAT_AGAIN_MS))
        self._hint.set()
        self._wake_all()  # who was ended by this one hears it now
        return stream

    async def take(self, stream: Stream) -> bytes:
        """What this client is to be sent next; waits until there is something. Its `bye` is the last."""
        while True:
            wake = self._wake
            said = await self.ready(stream)
            if said:
                return said
            if wake is self._wake and not stream.bye:
                await wake.wait()

    async def ready(self, stream: Stream) -> bytes:
        """What this client is to be sent now; b"" if it has all."""
        await self._check(stream)
        if stream.bye:
            stream.is_done = True
            return frames.bye_event(stream.bye)
        if stream.first:
            said, stream.first = b"".join(stream.first), []
            return said
        return await self._due(stream)

    def leave(self, stream: Stream) -> None:
        self._streams.remove(stream)
        self._attendance.sit(stream.actor.desk, self.watch.mono_ms())  # until now

    def __len__(self) -> int:
        return len(self._streams)

    # what is told

    def _begin(self, newest: int) -> None:
        """What was there before the first look is in every snapshot: it is no news."""
        if self._unit_feed < 0:
            self._alert_feed = self._unit_feed = newest

    async def _tell_alerts(self, connection: AsyncConnection, newest: int) -> None:
        begin, self._alert_feed = self._alert_feed, newest
        if newest <= begin or not self._streams:
            return
        most = frames.ALERTS_MAX * SCOPES_MAX
        rows = await alert_reads.since(connection, begin, newest, most=most)
        if not rows:
            return
        said = await rows_of(connection, rows[:most], self.watch.places, self.watch.now_ms())
        for scope, shared in self._streams.scopes.items():
            seen = [
                row
                for row, of in zip(said, rows, strict=False)
                if sees(scope, of.scope or "") and (of.scope is not None or not scope)
            ]
            if len(rows) > most:
                shared.alerts.add(Frame(begin=begin, end=newest, data=frames.reload_event(newest)))
            elif seen:
                data = frames.alert_event(seen, feed=newest)
                shared.alerts.add(Frame(begin=begin, end=newest, data=data))

    async def _tell_units(self, connection: AsyncConnection, newest: int) -> None:
        begin, self._unit_feed = self._unit_feed, newest
        if newest <= begin or not self._streams:
            return
        numbers = await live.changed_since(connection, begin, newest)
        if len(numbers) > live.ROWS_MAX:  # nobody is led on from before this
            for shared in self._streams.scopes.values():
                shared.units = Line(begin=newest)
            return
        now_ms = self.watch.now_ms()
        units = await live.units_named(connection, numbers, now_ms)
        gone = await live.gone_since(connection, begin, newest)
        for scope, shared in self._streams.scopes.items():
            data = units_data(units, gone, scope, t_s=now_ms // 1_000, feed=newest)
            if data:
                shared.units.add(Frame(begin=begin, end=newest, data=data))

    async def _tell_figures(self, connection: AsyncConnection, mono_ms: int) -> None:
        for stream in self._streams:
            self._attendance.sit(stream.actor.desk, mono_ms)
        await self._attendance.look(connection, mono_ms)
        self._stat_no += 1
        now_ms = self.watch.now_ms()
        for scope, shared in list(self._streams.scopes.items()):
            figures = await stat_of(connection, scope, now_ms)
            shared.stats = {
                desk: frames.stat_event(
                    {
                        **figures,
                        "kept": self.watch.keeps(),
                        "desk": desk,
                        "unattended": self._attendance.unattended(scope),
                        "stands_in": [one.name for one in self._attendance.stands_in(desk)],
                    },
                    feed=self._unit_feed,
                )
                for desk in self._streams.desks_of(scope)
            }

    async def _due(self, stream: Stream) -> bytes:
        """Alerts before positions, positions before figures; b"" if the client has all."""
        scope = stream.actor.scope
        shared = self._streams.scopes[scope]
        if stream.told < self._alert_feed:
            begin, stream.told = stream.told, self._alert_feed
            said = shared.alerts.after(begin)
            if said is None:
                said = await self._alerts_behind(scope, begin, stream.told)
            if said:
                return said
        if stream.sent < self._unit_feed:
            begin, stream.sent = stream.sent, self._unit_feed
            said = shared.units.after(begin)
            if said is None:
                said = await self._units_behind(scope, begin, stream.sent)
            if said:
                return said
        if stream.stat_no < self._stat_no:
            stream.stat_no = self._stat_no
            return shared.stats.get(stream.actor.desk, b"")
        return b""

    async def _alerts_behind(self, scope: str, begin: int, until: int) -> bytes:
        """All alerts that a client has missed, in one event."""
        async with self._store.read() as connection:
            rows = await alert_reads.since(
                connection, begin, until, scope=scope, most=frames.ALERTS_MAX
            )
            said = await rows_of(connection, rows, self.watch.places, self.watch.now_ms())
        return frames.alert_event(said, feed=until) if said else b""

    async def _units_behind(self, scope: str, begin: int, until: int) -> bytes:
        """All units that changed meanwhile, each once; or that it is better to begin anew."""
        now_ms = self.watch.now_ms()
        async with self._store.read() as connection:
            numbers = await live.changed_since(connection, begin, until)
            if len(numbers) > live.ROWS_MAX:
                return frames.reset_event("slow")
            units = await live.units_named(connection, numbers, now_ms, scope)
            gone = await live.gone_since(connection, begin, until)
        data = units_data(units, gone, scope, t_s=now_ms // 1_000, feed=until)
        return data if len(data) <= frames.BYTES_MAX else frames.reset_event("slow")

    async def _check(self, stream: Stream) -> None:
        """Whether the session still holds."""
        mono_ms = self.watch.mono_ms()
        if mono_ms >= stream.check_ms:
            stream.check_ms = mono_ms + CHECK_MS
            if not await self.watch.stands(stream.actor):
                stream.bye = stream.bye or "expired"

    def _wake_all(self) -> None:
        wake, self._wake = self._wake, asyncio.Event()
        wake.set()


def units_data(
    units: list[UnitNow],
    gone: list[tuple[int, str, str]],
    scope: str,
    *,
    t_s: int,
    feed: int,
) -> bytes:
    """The event of what a scope sees of these units, and of those that left it; b"" for nothing."""
    seen = [unit for unit in units if sees(scope, unit.scope)]
    seen += [
        UnitNow(no=no, scope=was, shown=int(Shown.GONE))
        for no, was, is_in in gone
        if sees(scope, was) and not sees(scope, is_in)
    ]
    if not seen:
        return b""
    return frames.units_event(frames.columns_of(seen), t_s=t_s, feed=feed)
