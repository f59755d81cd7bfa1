"""The sheet of one unit: what it guards, how that stands, custody; and its track to take away (CONSOLE section 2, Unit).

Law: what is unknown is null, and beside every value stands when it was so. A track that leaves the house is whole or not given.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Path, Query
from fastapi.responses import Response
from pydantic import Field
from sqlalchemy import Row, select

from collector.api.alert_rows import asker
from collector.api.auth import Who
from collector.api.models import Answer
from collector.api.problems import ProblemError, not_found
from collector.api.restated import Shift, finding_ms, shifts_of
from collector.api.service import Reads, no_unit, time_ms
from collector.api.tables import csv_of, gpx_of
from collector.api.times import maybe, rfc3339
from collector.customs.verdict import SealSeen
from collector.store import schema
from collector.store.custody import Held, custody, tags_of
from collector.store.database import Store
from collector.store.live import in_scope
from collector.store.standing import standing
from wire.records import SealBit
from wire.topics import UNIT_ID

NUMBER_MAX = 4_294_967_295  # u32, as in the snapshot
EXPORT_POINTS_MAX = 100_000  # a day at one a second: 10 MB as GPX
MEDIA = {"csv": "text/csv; charset=utf-8", "gpx": "application/gpx+xml"}


class SheetSeal(Answer):
    seal: str
    declared: bool = Field(description="by the journey; true where it names no seals")
    life: str = Field(description="sealed, open_bad, open_by_order, reclosed, unknown")
    locked: bool | None
    rope_cut: bool | None
    battery_percent: int | None
    reported_at: str | None = Field(description="when it said so; null: never heard")
    opened_at: str | None


class SheetTags(Answer):
    expected: int
    aboard: int | None = Field(description="null: no whole round was heard on this journey")


class CustodyRow(Answer):
    at: str
    code: str
    seal: str | None
    by: str
    proof: str | None = Field(description="PENDING, UNLOGGED, BROKEN; null: no record of the unit")
    chain: str | None
    batch: int | None


class Sheet(Answer):
    number: int
    unit: str
    now: str
    plate: str
    trailer: str
    containers: list[str]
    journey: str
    route: str
    limit_at: str | None
    heard_at: str | None
    fix_at: str | None
    lacks: int = Field(description="batches that the unit holds and the centre lacks")
    lacks_at: str | None
    stopped_at: str | None
    forked_at: str | None
    needs_seal: bool
    seals: list[SheetSeal]
    tags: SheetTags | None = Field(description="null: none declared, or nothing known")
    custody: list[CustodyRow]


def add_sheets(api: FastAPI, store: Store, reads: Reads, now_ms: Callable[[], int]) -> None:
    """The routes of the unit's screen."""
    unit_id = Annotated[str, Path(pattern=f"^{UNIT_ID.pattern}$", description="WIRE section 1")]

    @api.get("/api/v1/sheets/{number}", tags=["units"], summary="One unit by its number, whole")
    async def sheet(who: Who, number: Annotated[int, Path(ge=1, le=NUMBER_MAX)]) -> Sheet:
        unit, at_ms = schema.unit.c, now_ms()
        async with store.read() as connection:
            seen = await connection.execute(
                select(unit.unit_id).where(unit.number == number, in_scope(unit.scope, who.scope))
            )
            found = await standing(connection, number, at_ms) if seen.first() else None
            if found is None:
                raise not_found("unit", f"no unit has the number {number}")
            subject, facts = found.subject, found.facts
            tags = await tags_of(connection, number)
            shifts = await shifts_of(asker(connection), [subject.unit_id])
            dated = partial(_dated, shifts.get(subject.unit_id, ()))
            rows = await custody(connection, number, subject.unit_id, at_ms, dated)
        return Sheet(
            number=number,
            unit=subject.unit_id,
            now=rfc3339(at_ms),
            plate=subject.plate,
            trailer=subject.trailer,
            containers=list(subject.containers),
            journey=subject.journey,
            route=subject.route,
            limit_at=maybe(facts.overdue_ms),
            heard_at=maybe(subject.heard_ms),
            fix_at=maybe(facts.fix_ms),
            lacks=facts.lacks,
            lacks_at=maybe(facts.lacks_ms) if facts.lacks else None,
            stopped_at=maybe(facts.stopped_ms),
            forked_at=maybe(facts.forked_ms),
            needs_seal=facts.needs_seal,
            seals=[_seal(one) for one in facts.seals],
            tags=None if tags is None else SheetTags(expected=tags.expected, aboard=tags.aboard),
            custody=[_row(one) for one in rows],
        )

    @api.get(
        "/api/v1/units/{unit_id}/track/{name}",
        tags=["units"],
        summary="A track as a file: csv or gpx",
        response_class=Response,
        responses={200: {"content": {kind: {} for kind in MEDIA.values()}}},
    )
    async def export(
        who: Who,
        unit_id: unit_id,
        name: Literal["csv", "gpx"],
        begin: Annotated[str, Query(alias="from", max_length=40)] = "",
        end: Annotated[str, Query(alias="to", max_length=40)] = "",
    ) -> Response:
        track = await reads.track(
            unit_id,
            begin_ms=time_ms("from", begin),
            end_ms=time_ms("to", end),
            points_max=EXPORT_POINTS_MAX,
            scope=who.scope,
        )
        if track is None:
            raise no_unit(unit_id)
        if track.left_out:
            raise ProblemError(
                status=422,
                code="too_long",
                title="Too long",
                detail=f"more than {EXPORT_POINTS_MAX} points: ask for a shorter time",
            )
        text = csv_of(track.points) if name == "csv" else gpx_of(unit_id, track.points)
        headers = {"Content-Disposition": f'attachment; filename="{unit_id}.{name}"'}
        return Response(text, media_type=MEDIA[name], headers=headers)


def _seal(one: SealSeen) -> SheetSeal:
    return SheetSeal(
        seal=one.seal_id,
        declared=one.declared,
        life=one.life.value,
        locked=one.says(SealBit.LOCKED),
        rope_cut=one.says(SealBit.ROPE_CUT),
        battery_percent=one.battery_percent,
        reported_at=maybe(one.reported_ms),
        opened_at=maybe(one.opened_ms),
    )


def _dated(shifts: Sequence[Shift], row: Row[Any]) -> int:
    return finding_ms(shifts, chain=row.chain, seq=row.seq, number=row.number, at_ms=row.at_ms)


def _row(one: Held) -> CustodyRow:
    return CustodyRow(
        at=rfc3339(one.at_ms),
        code=one.code,
        seal=one.seal,
        by=one.by,
        proof=None if one.proof is None else one.proof.value,
        chain=one.chain,
        batch=one.batch_no,
    )
