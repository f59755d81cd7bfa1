"""Who did what and looked at what: written down by the guard, read by who may (EVIDENCE section 11, Audit).

Law: what is looked at is written down before it is shown. A route keeps its own act in its own transaction with `keep`; what it
forgets the guard keeps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from pydantic import Field
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.api.auth import Who, actor_of
from collector.api.models import Answer
from collector.api.times import rfc3339
from collector.people import Actor
from collector.people.authorize import READS, Kept, Right
from collector.store import people, people_audit
from collector.store.database import Store
from collector.store.people_audit import HOUR_MS, Act, Read, Rolled

FLUSH_MS = 10_000  # so long counts of dull reads may stand in memory
ROLLED_MAX = 1_000  # or so many
DETAIL_CHARS_MAX = 500
PAGE_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request, as far as it is written down."""

    method: str
    path: str  # the template
    obj: str  # what is meant
    unit_id: str  # whose scope it has; "": the actor's own
    query: str


class Auditor:
    """Writes down what people do. One of each API."""

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms
        self._rolled: dict[tuple[int, str, str], int] = {}
        self._flushed_ms = now_ms()

    async def answered(self, actor: Actor, right: Right, call: Call, *, is_kept: bool) -> None:
        """Write down a call that is about to be answered well."""
        if right.kept is Kept.ROLL:
            await self._roll(actor, f"{call.method} {call.path}")
        elif right.kept in READS:
            await self._read(actor, right.kept, call)
        elif right.kept is Kept.ACT and not is_kept:
            await self._act(actor, f"{call.method} {call.path}", call, "")

    async def refused(self, actor: Actor, call: Call, code: str) -> None:
        """Write down what somebody may not do, or what does not exist for him."""
        await self._act(actor, "refused", call, f"{call.method} {call.path}: {code}")

    async def flush(self) -> None:
        """Write the counts down."""
        rolled, self._rolled = self._rolled, {}
        self._flushed_ms = self._now_ms()
        if not rolled:
            return
        rows = [
            Rolled(hour_ms=hour_ms, who=who, obj=obj, times=times)
            for (hour_ms, who, obj), times in rolled.items()
        ]
        async with self._store.write() as connection:
            await people_audit.roll(connection, rows)

    async def _act(self, actor: Actor, act: str, call: Call, detail: str) -> None:
        async with self._store.write() as connection:
            await note(
                connection,
                actor,
                act,
                call.obj,
                self._now_ms(),
                scope=await self._scope(connection, call.unit_id),
                detail=detail,
            )

    async def _read(self, actor: Actor, kept: Kept, call: Call) -> None:
        async with self._store.write() as connection:
            scope = await self._scope(connection, call.unit_id)
            await people_audit.note_read(
                connection,
                Read(
                    at_ms=self._now_ms(),
                    who=actor.user_id,
                    role=actor.role.value,
                    obj=call.obj,
                    purpose=kept.value,
                    scope=actor.scope if scope is None else scope,
                    detail=call.query[:DETAIL_CHARS_MAX],
                ),
            )

    async def _roll(self, actor: Actor, obj: str) -> None:
        now_ms = self._now_ms()
        key = (now_ms - now_ms % HOUR_MS, actor.user_id, obj)
        self._rolled[key] = self._rolled.get(key, 0) + 1
        if now_ms - self._flushed_ms >= FLUSH_MS or len(self._rolled) >= ROLLED_MAX:
            await self.flush()

    async def _scope(self, connection: AsyncConnection, unit_id: str) -> str | None:
        return await people.scope_of_unit(connection, unit_id) if unit_id else None


async def note(
    connection: AsyncConnection,
    actor: Actor,
    act: str,
    obj: str,
    now_ms: int,
    *,
    scope: str | None = None,
    detail: str = "",
) -> None:
    """An act in the transaction of what it speaks of."""
    await people_audit.note_act(
        connection,
        Act(
            at_ms=now_ms,
            who=actor.user_id,
            role=actor.role.value,
            act=act,
            obj=obj[:DETAIL_CHARS_MAX],
            scope=actor.scope if scope is None else scope,
            detail=detail[:DETAIL_CHARS_MAX],
        ),
    )


async def keep(
    request: Request,
    connection: AsyncConnection,
    act: str,
    obj: str,
    now_ms: int,
    *,
    scope: str | None = None,
    detail: str = "",
) -> None:
    """`note` of a route: the guard writes no second row."""
    await note(connection, actor_of(request), act, obj, now_ms, scope=scope, detail=detail)
    request.state.is_kept = True


class AuditRow(Answer):
    number: int
    at: str
    by: str
    role: str
    act: str = Field(description="of a read: export, evidence or track")
    obj: str
    scope: str
    detail: str


class Audit(Answer):
    rows: list[AuditRow] = Field(description="the newest first")
    more: str | None = Field(description="`after` of the next page; null: that was all")


def add_audit(api: FastAPI, store: Store) -> None:
    """The routes by which people see what people did."""

    @api.get("/api/v1/audit", tags=["audit"], summary="Who did what; who looked at what")
    async def audit(
        who: Who,
        what: Annotated[Literal["acts", "reads"], Query(description="changes, or looks")] = "acts",
        by: Annotated[str, Query(max_length=64, description="only of this user")] = "",
        after: Annotated[str, Query(pattern=r"^\d{0,18}$", description="`more` of before")] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
    ) -> Audit:
        table = people_audit.acts if what == "acts" else people_audit.reads
        statement = table(
            who.role, who.scope, who.user_id, by=by, before=int(after) if after else None
        )
        async with store.read() as connection:
            rows = (await connection.execute(statement.limit(limit + 1))).all()
        return Audit(
            rows=[_row(row) for row in rows[:limit]],
            more=str(rows[limit - 1].number) if len(rows) > limit else None,
        )


def _row(row: Row[Any]) -> AuditRow:
    what = row._mapping  # noqa: SLF001 - the public name of a row as a mapping
    return AuditRow(
        number=row.number,
        at=rfc3339(row.at_ms),
        by=row.who,
        role=row.role,
        act=what["act"] if "act" in what else what["purpose"],
        obj=row.obj,
        scope=row.scope,
        detail=row.detail,
    )
