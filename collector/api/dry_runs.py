"""A draft tried before it is proposed: progress and what it comes to, line by line (CONSOLE section 2, Dry run).

Law: one at a time, beside the intake and never in its way; ends when it is done, when its time is over, or when nobody listens any more.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import Field

from collector.api.auth import Who
from collector.api.fences import Board, Drawn, read_draft
from collector.api.problems import ProblemError
from collector.api.shapes import Draft, Laid, id_of, is_line, shapes_of, unit_of
from collector.detect.geo.geojson import read_zones
from collector.store import RulesRow, fences
from collector.store.fences import RULE

DAYS_MAX = 31
DEADLINE_MS = 120_000
BUDGET_PER_HOUR = 6  # DETECTION section 8: a desk hears so many at most
MARGIN_E7 = 100_000  # a kilometre: leaving is confirmed outside
ROWS_MAX = 500  # of the list and the points on the map

Box = tuple[int, int, int, int]


class DryRun(Drawn):
    days: Annotated[int, Field(ge=1, le=DAYS_MAX, description="how far back")] = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is tried, on what, and for whom."""

    row: RulesRow  # the draft as a version
    base: RulesRow | None  # today's
    since_ms: int
    now_ms: int
    deadline_ms: int = DEADLINE_MS
    scope: str = ""
    names: tuple[str, ...] = ()  # shapes that the draft speaks of
    boxes: tuple[Box, ...] = ()
    routes: tuple[str, ...] = ()
    units: tuple[str, ...] = ()  # named by routes
    all_units: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alert that would begin, or would no more."""

    code: str
    priority: str
    unit: str
    at_ms: int
    lat_e7: int | None
    lon_e7: int | None
    zone: str | None
    route: str | None
    by_draft: bool
    today: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far it came; `alarms` at the end only."""

    percent: int
    units: int
    of_units: int
    batches: int
    positions: int
    is_partial: bool = False
    alarms: tuple[Alarm, ...] | None = None
    fault: str = ""  # it could not be tried


Rehearse = Callable[[Job], AsyncGenerator[Step]]


@dataclass(slots=True)
class Stage:
    """Where drafts are tried: one at a time."""

    rehearse: Rehearse
    is_taken: bool = field(default=False)


def add_dry_runs(api: FastAPI, board: Board, rehearse: Rehearse | None) -> None:
    """The route. Without `rehearse` it says that nothing can be tried here."""
    stage = None if rehearse is None else Stage(rehearse)

    @api.post(
        "/api/v1/fences/dry-run",
        tags=["fences"],
        summary="Try a draft on what is stored: progress, then the result, one JSON object a line",
        response_class=StreamingResponse,
        responses={200: {"content": {"application/x-ndjson": {}}}},
    )
    async def dry_run(who: Who, asked: DryRun) -> StreamingResponse:
        if stage is None:
            raise ProblemError(
                status=404, code="no_stage", title="No stage", detail="nothing can be tried here"
            )
        draft, laid, version = await read_draft(board, who, asked)
        async with board.store.read() as connection:
            base = await fences.version_row(connection, version) if version else None
        job = job_of(draft, laid, base, days=asked.days, now_ms=board.now_ms(), scope=who.scope)
        if stage.is_taken:
            raise ProblemError(
                status=409,
                code="running",
                title="Running",
                detail=_TAKEN,
                headers={"Retry-After": "10"},
            )
        return StreamingResponse(
            _lines(stage, job, asked.days),
            media_type="application/x-ndjson",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )


def job_of(
    draft: Draft, laid: Laid, base: RulesRow | None, *, days: int, now_ms: int, scope: str
) -> Job:
    """What of the store a draft may concern: its shapes as they are drawn, and as they were."""
    names = {*draft.withdraw, *(id_of(one) for one in draft.features)}
    before = [one for one in shapes_of(base) if id_of(one) in names]
    shapes = [*draft.features, *before]
    lines = [one for one in shapes if is_line(one)]
    return Job(
        row=laid.row(1 << 31, 0),
        base=base,
        since_ms=now_ms - days * 86_400_000,
        now_ms=now_ms,
        scope=scope,
        names=tuple(sorted(names)),
        boxes=tuple(_boxes(one for one in shapes if not is_line(one))),
        routes=tuple(sorted({id_of(one) for one in lines})),
        units=tuple(sorted({unit for one in lines if (unit := unit_of(one))})),
        all_units=any(one.kind == RULE for one in laid.changed),
    )


def _boxes(zones: Iterable[dict[str, Any]]) -> Iterable[Box]:
    for one in zones:
        read = read_zones(one)
        assert not isinstance(read, tuple), "what is drawn and what is in force was read"
        for zone in read.zones:
            west, south, east, north = zone.bounds
            yield (west - MARGIN_E7, south - MARGIN_E7, east + MARGIN_E7, north + MARGIN_E7)


async def _lines(stage: Stage, job: Job, days: int) -> AsyncIterator[bytes]:
    """Takes the stage when it is listened to, and gives it back however that ends."""
    if stage.is_taken:
        taken = Step(percent=0, units=0, of_units=0, batches=0, positions=0, fault=_TAKEN)
        yield json.dumps(said(taken, days)).encode() + b"\n"
        return
    stage.is_taken = True
    try:
        async with aclosing(stage.rehearse(job)) as steps:
            async for step in steps:
                yield json.dumps(said(step, days), ensure_ascii=False).encode() + b"\n"
    finally:
        stage.is_taken = False


_TAKEN = "another draft is being tried: two minutes at most"


def said(step: Step, days: int) -> dict[str, Any]:
    """A line of the stream."""
    progress = {
        "percent": step.percent,
        "units": step.units,
        "of_units": step.of_units,
        "batches": step.batches,
        "positions": step.positions,
    }
    if step.fault:
        return {"fault": step.fault, **progress}
    if step.alarms is None:
        return {"progress": progress}
    mine = [one for one in step.alarms if one.by_draft]
    codes = sorted({one.code for one in step.alarms})
    return {
        "result": {
            **progress,
            "partial": step.is_partial,
            "days": days,
            "alarms": len(mine),
            "on_units": len({one.unit for one in mine}),
            "also_today": sum(one.today for one in mine),
            "gone": sum(not one.by_draft for one in step.alarms),
            "budget_percent": round(100 * len(mine) / (BUDGET_PER_HOUR * 24 * days), 1),
            "by_code": [
                {
                    "code": code,
                    "alarms": sum(one.code == code for one in mine),
                    "also_today": sum(one.code == code and one.today for one in mine),
                    "gone": sum(one.code == code and not one.by_draft for one in step.alarms),
                }
                for code in codes
            ],
            "rows": [_row(one) for one in step.alarms[:ROWS_MAX]],
            "more": max(0, len(step.alarms) - ROWS_MAX),
        }
    }


def _row(alarm: Alarm) -> dict[str, Any]:
    return {
        "code": alarm.code,
        "prio": int(alarm.priority[1:]),
        "unit": alarm.unit,
        "at": alarm.at_ms,
        "lat": None if alarm.lat_e7 is None else alarm.lat_e7 / 1e7,
        "lon": None if alarm.lon_e7 is None else alarm.lon_e7 / 1e7,
        "zone": alarm.zone,
        "route": alarm.route,
        "by_draft": alarm.by_draft,
        "today": alarm.today,
    }
