"""The live line: the picture of the fleet, and the stream of what changes (CONSOLE section 7).

Law: GET only; who may not see a unit gets no byte of it. A client that takes nothing for half a minute is let go.
"""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from functools import partial
from random import Random
from typing import Annotated

from fastapi import FastAPI, Header, Query
from fastapi.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from collector.api import frames
from collector.api.auth import Who
from collector.api.hub import Hub, Watch
from collector.api.problems import ProblemError
from collector.api.streams import SCOPES_MAX, Full, Stream
from collector.store import live
from collector.store.feed import newest_feed

SEND_S_MAX = 30  # a socket that takes nothing for so long
RETRY_MS = (1_000, 5_000)  # browsers of a control room do not come back at one moment
KEEP_MS = 1_000  # a snapshot serves all who ask within this
GZIP_LEVEL = 1  # 10,000 units in 4 ms; more saves nothing on a LAN
FEED_DIGITS_MAX = 18
ABORT = "abort"  # in the state of a connection: cuts it off with what nobody has taken
NO_BUFFER = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class LiveResponse(StreamingResponse):
    """A stream that lets go of who does not listen, and says when it is over."""

    def __init__(self, hub: Hub, stream: Stream, retry_ms: int) -> None:
        super().__init__(
            _said(hub, stream, retry_ms), media_type="text/event-stream", headers=NO_BUFFER
        )
        self._leave = partial(hub.leave, stream)
        self._abort: Callable[[], None] = _nothing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        self._abort = scope["state"].get(ABORT, _nothing)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()

    async def stream_response(self, send: Send) -> None:
        """As the framework's, but every part has to be taken in time."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(SEND_S_MAX):
                await send(message)

        try:
            await super().stream_response(send_in_time)
        except TimeoutError:
            self._abort()


class Pictures:
    """Snapshots by scope, each kept for a second: who opens the room with many windows asks once."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._kept: dict[str, tuple[int, bytes]] = {}
        self._lock = asyncio.Lock()

    async def of(self, scope: str) -> bytes:
        """The zipped snapshot of a scope."""
        async with self._lock:  # ten who come at once wait for one
            mono_ms = self._watch.mono_ms()
            self._kept = {
                name: kept for name, kept in self._kept.items() if mono_ms - kept[0] < KEEP_MS
            }
            if scope not in self._kept:
                while len(self._kept) >= SCOPES_MAX:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[scope] = (mono_ms, await self._made(scope))
            return self._kept[scope][1]

    async def _made(self, scope: str) -> bytes:
        now_ms = self._watch.now_ms()
        async with self._watch.store.read() as connection:
            feed = await newest_feed(connection)
            units = await live.units_now(connection, now_ms, scope)

        def packed() -> bytes:
            columns = frames.columns_of(units)
            data = frames.snapshot(columns, t_s=now_ms // 1_000, feed=feed, scope=scope)
            return gzip.compress(data, GZIP_LEVEL, mtime=0)

        return await asyncio.to_thread(packed)  # 100,000 units: half a second for nobody else


def add_live(api: FastAPI, hub: Hub, rng: Random) -> None:
    """The two routes of the live line."""
    pictures = Pictures(hub.watch)

    @api.get(
        "/api/v1/live/snapshot",
        tags=["live"],
        summary="All units as columns",
        response_class=Response,
        responses={200: {"content": {frames.MEDIA_TYPE: {}}, "description": "CONSOLE section 7"}},
    )
    async def snapshot(who: Who) -> Response:
        return Response(
            await pictures.of(who.scope),
            media_type=frames.MEDIA_TYPE,
            headers={"Content-Encoding": "gzip", "Cache-Control": "no-store"},
        )

    @api.get(
        "/api/v1/live/stream",
        tags=["live"],
        summary="What changes, as it changes",
        response_class=Response,
        responses={200: {"content": {"text/event-stream": {}}, "description": "CONSOLE section 7"}},
    )
    async def stream(
        who: Who,
        since: Annotated[str, Query(max_length=20, description="feed number; absent: now")] = "",
        last_event_id: Annotated[str, Header(max_length=20, description="wins over `since`")] = "",
    ) -> Response:
        joined = await hub.join(who, _feed(last_event_id or since))
        if isinstance(joined, Full):
            raise ProblemError(
                status=503,
                code=joined.code,
                title="Too many listen",
                detail=joined.hint,
                headers={"Retry-After": "5"},
            )
        return LiveResponse(hub, joined, rng.randrange(*RETRY_MS))


async def _said(hub: Hub, stream: Stream, retry_ms: int) -> AsyncIterator[bytes]:
    yield frames.retry(retry_ms)
    while not stream.is_done:
        yield await hub.take(stream)


def _nothing() -> None:
    """Without a server of ours an answer that does not come to its end is cut off by whoever serves it."""


def _feed(text: str) -> int | None:
    """A feed number; None without one. What is no number leads to `reset`."""
    if not text:
        return None
    return int(text) if text.isdecimal() and len(text) <= FEED_DIGITS_MAX else -1
