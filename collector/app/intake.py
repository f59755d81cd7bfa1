"""From a way in to the tick and back: fetch, commit, answer, acknowledge.

Law: in this order and no other. Whatever fails in between, the messages come again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError

from collector.api.models import Refusal
from collector.api.reads import Live
from collector.io import Arrived, BrokerLostError, WayIn, clock
from collector.io.backoff import Trouble
from collector.store import StoreError
from collector.tick import Message, TickResult
from collector.tick.ticker import Ticker
from wire import Reason, Refused
from wire.hello import decode_state
from wire.topics import Up, parse_up

TIME_MS = 10_000  # a `Tick` of DETECTION section 2
WAIT_MS_MIN = 50  # a ticker that is always due would leave no time for messages
HINTS_MAX = 100_000  # units that may say `state`; 200 bytes each
TOLD_MAX = 1_000  # speakers of whom the log has heard; then it starts again
TOLD_AGAIN_MS = 600_000
REFUSALS_MAX = 50  # looked at after one tick

WHAT_TO_DO = {  # docs/OPERATING.md has the whole table
    Reason.UNKNOWN_KEY: "is not enrolled here: plomba unit add {unit} --public-key HEX, or its config names the wrong broker",
    Reason.REVOKED_KEY: "is an exchanged unit that still runs: take it out",
    Reason.BAD_SIGNATURE: "or somebody under its name: find out who has that client certificate",
    Reason.WRONG_UNIT: "or somebody under its name: find out who has that client certificate",
    Reason.THROTTLED: "sends over 50 messages a second: a program gone wild, look at it",
}
OTHERWISE = "sends what no unit of ours makes: find out what runs there"

OpenWay = Callable[[], AbstractAsyncContextManager[WayIn]]
ReadRefusals = Callable[[int], Awaitable[Sequence[Refusal]]]
Local = Callable[[str, bytes], bool]  # takes a message (topic, payload) for a unit in this process

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Intake:
    """The only caller of the ticker. `serve` and `keep_time` are two tasks of the one TaskGroup."""

    open_way: OpenWay
    ticker: Ticker
    live: Live
    read_refusals: ReadRefusals
    local: Local | None = None  # the gateway: it is told without a broker
    told: dict[tuple[str, str], int] = field(default_factory=dict)  # (speaker, reason): when
    due_ms: int = 0
    _way: WayIn | None = None
    _way_trouble: Trouble = field(default_factory=lambda: Trouble(what="broker link"))
    _store_trouble: Trouble = field(default_factory=lambda: Trouble(what="store"))

    async def serve(self) -> None:
        """Take messages from one connection after another, for ever."""
        while True:
            began_ms = clock.mono_ms()
            why, trouble = "", self._way_trouble
            try:
                async with self.open_way() as way:
                    self._connected(way)
                    await way.hear_states(self._hear)
                    while True:
                        await self._tick(way, await way.fetch())
            except BrokerLostError as error:
                _end_if_told(error)
                why = str(error)
            except (StoreError, SQLAlchemyError) as error:
                # Nothing was acknowledged; a new connection brings the same messages again.
                _end_if_told(error)
                why, trouble = _first_line(error), self._store_trouble
                self.live.refuses(why, clock.now_ms())
            finally:
                self._disconnected()
            now_ms = clock.mono_ms()
            await asyncio.sleep(trouble.failed(why, now_ms, held_ms=now_ms - began_ms))

    async def keep_time(self) -> None:
        """Ticks without messages, whenever the ticker wants one."""
        while True:
            now_ms = clock.now_ms()
            # A wall clock that was set back must not stop the ticks for hours.
            wait_ms = min(max(self.due_ms - now_ms, WAIT_MS_MIN), TIME_MS)
            await asyncio.sleep(wait_ms / 1_000)
            try:
                await self._after(self._way, await self.ticker.run((), clock.now_ms()))
            except BrokerLostError as error:
                _end_if_told(error)
                continue  # `serve` hears of it on its own
            except (StoreError, SQLAlchemyError) as error:
                _end_if_told(error)
                why, now_ms = _first_line(error), clock.mono_ms()
                self.live.refuses(why, clock.now_ms())
                await asyncio.sleep(self._store_trouble.failed(why, now_ms))

    async def hand_in(self, said: Sequence[tuple[str, bytes]]) -> None:
        """A tick of messages (topic, payload) from this process; returns when they are committed and answered.

        Raises what the store raises; then nothing is committed.
        """
        now_ms = clock.now_ms()
        messages = [Message(topic=topic, payload=data, received_ms=now_ms) for topic, data in said]
        result = await self.ticker.run(messages, now_ms)
        with contextlib.suppress(BrokerLostError):  # `serve` hears of it on its own
            await self._after(self._way, result)

    async def _tick(self, way: WayIn, arrived: Sequence[Arrived]) -> None:
        now_ms = clock.now_ms()
        messages = [
            Message(topic=one.topic, payload=one.payload, received_ms=now_ms, token=one)
            for one in arrived
        ]
        await self._after(way, await self.ticker.run(messages, now_ms))

    async def _after(self, way: WayIn | None, result: TickResult) -> None:
        """What may be said and acknowledged now that it is committed."""
        self.due_ms = result.next_due_ms
        if result.tick_no is not None:  # a full disk takes a tick with nothing to write
            self._store_trouble.works(clock.mono_ms())
            self.live.keeps()
        local = self.local
        outgoing = [
            out
            for out in result.outgoing
            if local is None or not local(out.topic, out.payload)  # ours need no broker
        ]
        if way is not None:
            for out in outgoing:
                await way.send(out.topic, out.payload, retain=out.retain)
            tokens = [token for token in result.acks if isinstance(token, Arrived)]
            await way.ack(tokens)
        if result.lost:
            log.warning("another worker has moved %d units", len(result.lost))
        refused = sum(result.verdicts.get(reason.value, 0) for reason in Reason)
        if refused:
            await self._tell(min(refused, REFUSALS_MAX))

    async def _tell(self, count: int) -> None:
        """Name the newest refusals in the log, each speaker and reason once in ten minutes, with what to do."""
        now_ms = clock.mono_ms()
        for refusal in await self.read_refusals(count):
            speaker = refusal.topic.split("/")[3] if refusal.topic.count("/") >= 3 else "(nobody)"
            key = (speaker, refusal.reason)
            if now_ms - self.told.get(key, -TOLD_AGAIN_MS) < TOLD_AGAIN_MS:
                continue
            if len(self.told) >= TOLD_MAX:
                self.told.clear()
            self.told[key] = now_ms
            what = WHAT_TO_DO.get(Reason(refusal.reason), OTHERWISE).format(unit=speaker)
            log.warning(
                "refused, %s: %.64r %s (%.200s); it lies in quarantine",
                refusal.reason,
                speaker,
                what,
                refusal.detail,
            )

    def _hear(self, topic: str, payload: bytes) -> None:
        told = parse_up(topic)
        hint = decode_state(payload)
        if isinstance(told, Refused) or isinstance(hint, Refused) or told[1] is not Up.STATE:
            return  # unsigned and for the eye only: nothing follows from a bad one
        if len(self.live.hints) < HINTS_MAX or told[0] in self.live.hints:
            self.live.hear(told[0], hint)

    def _connected(self, way: WayIn) -> None:
        self._way = way
        self.live.connected, self.live.since_ms = True, clock.now_ms()
        self._way_trouble.works(clock.mono_ms())

    def _disconnected(self) -> None:
        self._way = None
        if self.live.connected:
            self.live.connected, self.live.since_ms = False, clock.now_ms()


def _end_if_told(error: Exception) -> None:
    """Raises CancelledError if this task was told to end: a way that breaks while it is closed hides that it was."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from error


def _first_line(error: Exception) -> str:
    """SQLAlchemy's messages hold the statement and its parameters: pages of bytes."""
    return str(error).splitlines()[0][:300]
