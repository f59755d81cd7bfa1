"""Alerts over HTTP: the list, and one with its meaning and history (CONSOLE sections 2, 3 and 7).

Law: reads only; what people do stands in `alert_acts`. The list is never whole: a page, its counts, and the feed number to go on from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Path, Query, Response
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.alerts import Stand, State, possible
from collector.api.alert_models import ID, AlertDetail, AlertPage, AlertRow, DoneRow, Meaning
from collector.api.alert_rows import event_rows_of, rows_of
from collector.api.auth import Who
from collector.api.figures import counts_of
from collector.api.places import Places
from collector.api.problems import ProblemError, not_found
from collector.api.revisions import tag_of
from collector.detect import Phase, Priority
from collector.store import alert_acts, alert_reads, incidents, spell
from collector.store.alert_reads import Wanted
from collector.store.database import Store
from collector.store.feed import newest_feed
from collector.texts.alerts import CODES, MINUTES, entry, sentence

PAGE_MAX = 200
FOLDED_MAX = 50

AlertId = Annotated[str, Path(pattern=ID, description="32 hex digits")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What the routes of alerts need."""

    store: Store
    now_ms: Callable[[], int]
    places: Places


def add_alert_reads(api: FastAPI, room: Room) -> None:
    """The routes that look."""

    @api.get("/api/v1/alerts", tags=["alerts"], summary="Alerts by view, with counts and feed")
    async def alerts(
        who: Who,
        view: Annotated[
            Literal["active", "mine", "shelved", "events", "all"],
            Query(description="active: as the queue orders them; all: the newest first"),
        ] = "active",
        unit: Annotated[str, Query(max_length=32, description="only of this unit")] = "",
        under: Annotated[
            str, Query(pattern=r"^(?:[0-9a-f]{32})?$", description="folded under it")
        ] = "",
        desk: Annotated[str, Query(max_length=16, description="only of its scope")] = "",
        after: Annotated[str, Query(max_length=80, description="`more` of the page before")] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
    ) -> AlertPage:
        async with room.store.read() as connection:
            wanted = Wanted(
                view=view,
                scope=await _scope(connection, who.scope, desk),
                owner=who.user_id,
                unit=unit,
                under=bytes.fromhex(under) or None,
                after=after,
                limit=limit,
            )
            return AlertPage.model_validate(await _page(connection, room, wanted))

    @api.get("/api/v1/alerts/{alert_id}", tags=["alerts"], summary="One alert, whole")
    async def alert(
        who: Who,
        response: Response,
        alert_id: AlertId,
        lang: Annotated[Literal["en", "ru", "uz"], Query(description="of its words")] = "en",
    ) -> AlertDetail:
        async with room.store.read() as connection:
            row = await alert_reads.one(connection, bytes.fromhex(alert_id), who.scope)
            if row is None:
                raise no_alert(alert_id)
            response.headers["ETag"] = tag_of(row.rev)
            return await _detail(connection, room, row, lang)


def no_alert(alert_id: str) -> ProblemError:
    return not_found("alert", f"{alert_id}: no such alert")


async def _page(connection: AsyncConnection, room: Room, wanted: Wanted) -> dict[str, Any]:
    now_ms = room.now_ms()
    feed = await newest_feed(connection)
    if wanted.view == "events":
        found, more = await alert_reads.events(connection, wanted)
        rows = await event_rows_of(connection, found, room.places, now_ms)
    else:
        found, more = await alert_reads.page(connection, wanted)
        rows = await rows_of(connection, found, room.places, now_ms)
    figures = await alert_reads.figures(connection, wanted.scope, now_ms)
    return {"rows": rows, "counts": counts_of(figures), "feed": feed, "more": more}


async def _scope(connection: AsyncConnection, scope: str, desk: str) -> str:
    """The scope of a desk within the actor's own."""
    if not desk:
        return scope
    found = await alert_reads.scope_of_desk(connection, desk, scope)
    if found is None:
        raise not_found("desk", f"{desk}: no such desk")
    return found


async def _detail(connection: AsyncConnection, room: Room, row: Row[Any], lang: str) -> AlertDetail:
    under, _ = await alert_reads.page(
        connection, Wanted(view="all", under=row.id, limit=FOLDED_MAX)
    )
    said = await rows_of(connection, [row, *under], room.places, room.now_ms())
    value, data = (None, {}) if row.detail is None else spell.read(row.detail)
    return AlertDetail(
        alert=AlertRow.model_validate(said[0]),
        sentence=sentence(
            row.code,
            lang,
            value=value,
            data=data,
            unit=row.unit,
            seal=row.seal,
            zone=row.zone,
            route=row.route,
            phase=Phase.POINT if row.phase is None else Phase(row.phase),
        ),
        meaning=_meaning(row, lang),
        possible=list(possible(stand_of(row), row.outcome)),
        acts=[_done(act) for act in await alert_acts.acts_of(connection, row.id)],
        folded=[AlertRow.model_validate(one) for one in said[1:]],
        case=await incidents.case_of(connection, row.id),
    )


def stand_of(row: Row[Any]) -> Stand:
    """A row of the list, as far as an act must know it."""
    return Stand(
        code=row.code,
        priority=row.priority,
        state=State(row.state),
        cleared=row.cleared,
        withdrawn=row.settled == "withdrawn",
        count=row.times,
        until_ms=row.until_ms,
        proposed_by=row.proposed_by,
    )


def _meaning(row: Row[Any], lang: str) -> Meaning | None:
    if row.code not in CODES:
        return None
    known = entry(row.code, lang)
    return Meaning(
        name=known.name,
        what=known.what,
        cause=known.cause,
        do=known.do,
        minutes=MINUTES[Priority(row.priority)],
        latched=known.is_latched,
    )


def _done(act: Row[Any]) -> DoneRow:
    return DoneRow(
        at=act.at_ms,
        act=act.act,
        state=act.state,
        who=act.who,
        why=act.why,
        outcome=act.outcome,
        until=act.until_ms,
    )
