"""Which desks are attended: a desk at which nobody has listened for a minute hands its alerts to another (CONSOLE section 3).

Law: attended is who has a live stream, and nothing else; from its start a collector gives each desk a minute.
"""

from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.people import sees
from collector.store import schema

UNATTENDED_MS = 60_000
DESKS_MAX = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A desk as it was set up."""

    name: str
    scope: str
    fallback: str  # "": none


@dataclass(slots=True, kw_only=True)
class Attendance:
    """Who sits where, as far as streams tell."""

    desks: tuple[Desk, ...] = ()
    _sat_ms: dict[str, int] = field(default_factory=dict)
    _empty: frozenset[str] = frozenset()

    def sit(self, desk: str, mono_ms: int) -> None:
        """Somebody listens at this desk now."""
        if desk:
            self._sat_ms[desk] = mono_ms

    async def look(self, connection: AsyncConnection, mono_ms: int) -> None:
        """Which desks there are, and which of them nobody attends."""
        desk = schema.desk
        found = await connection.execute(select(desk).order_by(desk.c.desk_id).limit(DESKS_MAX))
        self.desks = tuple(
            Desk(name=row.desk_id, scope=row.scope, fallback=row.fallback) for row in found
        )
        for one in self.desks:
            self._sat_ms.setdefault(one.name, mono_ms)
        self._sat_ms = {one.name: self._sat_ms[one.name] for one in self.desks}
        self._empty = frozenset(
            name for name, at_ms in self._sat_ms.items() if mono_ms - at_ms >= UNATTENDED_MS
        )

    def unattended(self, scope: str) -> list[str]:
        """Desks without anybody, of those that who has `scope` may know."""
        return [
            one.name for one in self.desks if one.name in self._empty and sees(scope, one.scope)
        ]

    def stands_in(self, desk: str) -> tuple[Desk, ...]:
        """The unattended desks whose alerts go also to this one."""
        return tuple(
            one for one in self.desks if one.name in self._empty and one.fallback == desk != ""
        )
