"""Who listens, and the bytes that all who see the same share (CONSOLE section 7).

Law: no stream holds bytes of its own but its first words. Every number of streams, scopes and kept ticks has an end.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from collector.api.frames import BYTES_MAX
from collector.people import Actor

TICKS_MAX = 60  # a minute of positions: who was away for longer asks the store
STREAMS_MAX = 200
OF_SESSION_MAX = 4  # a browser needs one; the oldest goes
SCOPES_MAX = 16
DESKS_MAX = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Bytes that bring a client from `begin` to `end`."""

    begin: int
    end: int
    data: bytes


@dataclass(slots=True, kw_only=True)
class Line:
    """The newest frames of one kind; all that came after `begin` is in them."""

    begin: int
    frames: deque[Frame] = field(default_factory=deque)

    def add(self, frame: Frame) -> None:
        self.frames.append(frame)
        if len(self.frames) > TICKS_MAX:
            self.begin = self.frames.popleft().end

    def after(self, at: int) -> bytes | None:
        """All that came after `at`; None if some of it is forgotten, or it is more than one answer may hold."""
        if at < self.begin:
            return None
        due = [frame.data for frame in self.frames if frame.end > at]
        if len(due) == 1:
            return due[0]  # as for nearly all: the same bytes, not a copy
        return b"".join(due) if sum(map(len, due)) <= BYTES_MAX else None


@dataclass(slots=True, kw_only=True)
class Shared:
    """What all streams of one scope share."""

    alerts: Line
    units: Line
    stats: dict[str, bytes] = field(default_factory=dict)  # by desk


@dataclass(slots=True, kw_only=True, eq=False)
class Stream:
    """One client."""

    actor: Actor
    sent: int  # positions up to this feed number
    told: int  # alerts up to this
    check_ms: int  # when its session is looked at again
    ended: asyncio.Event
    stat_no: int = 0
    bye: str = ""  # why it is to end
    is_done: bool = False  # and it was said
    first: list[bytes] = field(default_factory=list)

    def is_over(self) -> bool:
        """Its session has ended, and nobody has told it yet."""
        return self.ended.is_set() and not self.bye


@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """Why nobody more can listen now."""

    code: str
    hint: str


class Streams:
    """All streams of this process."""

    def __init__(self) -> None:
        self.scopes: dict[str, Shared] = {}
        self.is_closed = False
        self._all: list[Stream] = []

    def add(self, stream: Stream, *, alerts: int, units: int) -> Full | None:
        """Take it in; `alerts`, `units`: where a scope begins that nobody has watched until now."""
        scope = stream.actor.scope
        if self.is_closed or len(self._all) >= STREAMS_MAX:
            return Full(code="too_many_streams", hint=f"{STREAMS_MAX} listen already: try again")
        if scope not in self.scopes:
            if len(self.scopes) >= SCOPES_MAX:
                return Full(code="too_many_scopes", hint=f"{SCOPES_MAX} are watched: try again")
            self.scopes[scope] = Shared(alerts=Line(begin=alerts), units=Line(begin=units))
        self._all.append(stream)
        of_session = [
            one for one in self._all if one.actor.session == stream.actor.session and not one.bye
        ]
        for oldest in of_session[:-OF_SESSION_MAX]:
            oldest.bye = "too_many"
        return None

    def remove(self, stream: Stream) -> None:
        if stream in self._all:
            self._all.remove(stream)
        scope = stream.actor.scope
        if all(one.actor.scope != scope for one in self._all):
            self.scopes.pop(scope, None)

    def desks_of(self, scope: str) -> list[str]:
        """The desks from which a scope is watched; "" for who sits at none."""
        return sorted({one.actor.desk for one in self._all if one.actor.scope == scope})[:DESKS_MAX]

    def __iter__(self) -> Iterator[Stream]:
        return iter(list(self._all))

    def __len__(self) -> int:
        return len(self._all)
