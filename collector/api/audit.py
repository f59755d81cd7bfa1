"""Who did what and looked at what: written down by the guard, read by who may (EVIDENCE section 11, Audit).

Law: what is looked at is written down before it is shown. A route keeps its own act in its own transaction with `keep`; what it
forgets the guard keeps.
"""

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response
from pydantic import Field
from sqlalchemy import Row
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.api.auth import Who, actor_of
from collector.api.models import Answer
from collector.api.problems import ProblemError
from collector.api.tables import cell
from collector.api.times import rfc3339
from collector.people import Actor
from collector.people.authorize import READS, Kept, Right
from collector.store import people, people_audit
from collector.store.database import Store
from collector.store.people_audit import HOUR_MS, Act, Read, Rolled, Wanted

FLUSH_MS = 10_000  # so long counts of dull reads may stand in memory
ROLLED_MAX = 1_000  # or so many
DETAIL_CHARS_MAX = 500
PAGE_MAX = 200
EXPORT_MAX = 50_000  # rows of a file: 10 MB, a month of a hundred people
COLUMNS = ("number", "at", "by", "role", "act", "obj", "scope", "detail", "times")


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
        try:
            async with self._store.write() as connection:
                await people_audit.roll(connection, rows)
        except BaseException:
            for key, times in rolled.items():
                self._rolled[key] = self._rolled.get(key, 0) + times
            raise

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
        is_full = len(self._rolled) >= ROLLED_MAX
        if now_ms - self._flushed_ms < FLUSH_MS and not is_full:
            return
        try:
            await self.flush()
        except OperationalError:
            if is_full:  # else a screen that only looks goes on, and is counted later
                raise

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
    number: int = Field(description="0: counted, and told by the hour")
    at: str
    by: str
    role: str
    act: str = Field(description="of a read: export, evidence or track; of counts: looked")
    obj: str
    scope: str
    detail: str
    times: int | None = Field(description="how often in the hour; null: told one by one")


class Audit(Answer):
    rows: list[AuditRow] = Field(description="the newest first")
    more: str | None = Field(description="`after` of the next page; null: that was all")


What = Annotated[
    Literal["acts", "reads", "rolls"],
    Query(description="changes; looks at tracks and evidence; other looks, counted by the hour"),
]
By = Annotated[str, Query(max_length=64, description="only of this user")]
ActName = Annotated[str, Query(alias="act", max_length=128, description="only these")]
Obj = Annotated[str, Query(max_length=128, description="how the object begins")]
Begin = Annotated[int | None, Query(ge=0, le=1 << 53, alias="from", description="ms")]
End = Annotated[int | None, Query(ge=0, le=1 << 53, alias="to", description="ms")]


def add_audit(api: FastAPI, store: Store) -> None:
    """The routes by which people see what people did."""

    @api.get("/api/v1/audit", tags=["audit"], summary="Who did what; who looked at what")
    async def audit(
        who: Who,
        what: What = "acts",
        by: By = "",
        act: ActName = "",
        obj: Obj = "",
        begin: Begin = None,
        end: End = None,
        after: Annotated[str, Query(pattern=r"^\d{0,18}$", description="`more` of before")] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
    ) -> Audit:
        wanted = Wanted(by=by, act=act, obj=obj, from_ms=begin, to_ms=end)
        seen = int(after) if after else None
        rows = await _rows(store, who, what, wanted, seen, limit + 1)
        is_more = len(rows) > limit
        last = (seen or 0) + limit if what == "rolls" else rows[limit - 1].number if is_more else 0
        return Audit(rows=rows[:limit], more=str(last) if is_more else None)

    @api.get(
        "/api/v1/audit.csv",
        tags=["audit"],
        summary="The same as a file, whole or not at all",
        response_class=Response,
        responses={200: {"content": {"text/csv": {}}}},
    )
    async def table(
        who: Who,
        what: What = "acts",
        by: By = "",
        act: ActName = "",
        obj: Obj = "",
        begin: Begin = None,
        end: End = None,
    ) -> Response:
        wanted = Wanted(by=by, act=act, obj=obj, from_ms=begin, to_ms=end)
        rows = await _rows(store, who, what, wanted, None, EXPORT_MAX + 1)
        if len(rows) > EXPORT_MAX:
            raise ProblemError(
                status=422,
                code="too_long",
                title="Too long",
                detail=f"more than {EXPORT_MAX} rows: ask for fewer days",
            )
        headers = {"Content-Disposition": f'attachment; filename="audit-{what}.csv"'}
        return Response(_csv(rows), media_type="text/csv; charset=utf-8", headers=headers)


async def _rows(
    store: Store, who: Actor, what: str, wanted: Wanted, seen: int | None, most: int
) -> list[AuditRow]:
    reader = people_audit.Reader(who=who.user_id, role=who.role, scope=who.scope)
    async with store.read() as connection:
        if what == "rolls":
            statement = people_audit.counted(reader, wanted, seen or 0)
            return [_count(row) for row in await connection.execute(statement.limit(most))]
        table = people_audit.acts if what == "acts" else people_audit.reads
        statement = table(reader, replace(wanted, before=seen))
        return [_row(row) for row in await connection.execute(statement.limit(most))]


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
        times=None,
    )


def _count(row: Row[Any]) -> AuditRow:
    return AuditRow(
        number=0,
        at=rfc3339(row.hour_ms),
        by=row.who,
        role="",
        act="looked",
        obj=row.obj,
        scope="",
        detail="",
        times=row.times,
    )


def _csv(rows: Iterable[AuditRow]) -> str:
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(COLUMNS)
    table.writerows([cell(getattr(row, name)) for name in COLUMNS] for row in rows)
    return out.getvalue()
