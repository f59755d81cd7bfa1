"""How heavy the alarms lie on a desk, beside the limits of ISA-18.2 (CONSOLE section 2, KPI; DETECTION section 9, Metrics).

Law: figures are reckoned by `collector.alarm_load` from the history of alerts; here they meet their limits and nothing is added.
"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query
from fastapi.responses import Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.alarm_load import Bar, Load, bars_of, load_of
from collector.api.auth import Who
from collector.api.desks import DESKS_MAX
from collector.api.models import Answer
from collector.api.problems import ProblemError, not_found
from collector.api.times import rfc3339
from collector.people import Actor, Role
from collector.store import alert_acts, alert_reads, fences, incidents
from collector.store.database import Store

DAYS_MAX = 92
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
BARS = ((7, HOUR_MS), (31, 4 * HOUR_MS))  # days at most: how much a bar holds; 190 at most are seen
BUDGET_PER_HOUR = 6  # DETECTION section 8
WORST = 10
RULE_PERCENT_MAX = 5.0  # the ten worst rules bear 1 to 5 % of the load each
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would carry out

UNAUTHORISED = "unauthorised_changes"  # ISA-18.2: unauthorised changes of the alarm system
# name: limit, and whether it is a greatest; the split is held by its own three
LIMITS: dict[str, float] = {
    "per_window_mean": 2.0,
    "windows_over_10_percent": 1.0,
    "in_flood_percent": 1.0,
    "chattering": 0.0,
    "stale": 5.0,
    UNAUTHORISED: 0.0,
}
SPLIT = {"P3": 80.0, "P2": 15.0, "P1": 5.0}  # low to high


class Figure(Answer):
    """One figure and its line."""

    name: str
    value: float
    limit: float = Field(description="the most that is well; of `stale` less than it")
    ok: bool


class Rule(Answer):
    """How much of the load a rule makes."""

    code: str
    times: int = Field(description="annunciated")
    percent: float = Field(description="of all that was annunciated")
    budget_percent: float = Field(description="of what a desk may hear in this time")
    precision_percent: float | None = Field(description="of those with an outcome; null: none has")
    ok: bool = Field(description="5 % of the load at most")


class Worst(Answer):
    code: str
    unit: str
    times: int


class Split(Answer):
    prio: int
    percent: float
    target: float


class Took(Answer):
    prio: int
    p50_s: float
    p95_s: float


class Stretch(Answer):
    """How much came in a part of the time."""

    begin: str
    annunciated: int
    per_window_mean: float = Field(description="in ten minutes")
    per_window_max: int


class AlarmKpi(Answer):
    """The alarm system of a desk over a span of time."""

    desk: str = Field(description="empty: all that you see")
    desks: list[str] = Field(description="of which you may ask")
    begin: str
    end: str
    annunciated: int
    per_window_max: int
    floods: int
    figures: list[Figure] = Field(
        description="`unauthorised_changes`: versions of the rules without another person's word, whatever the desk"
    )
    bars: list[Stretch] = Field(description="an hour each; over 7 days 4 hours, over 31 a day")
    split: list[Split]
    rules: list[Rule] = Field(description="the heaviest first, ten at most")
    worst: list[Worst] = Field(description="by rule and unit, ten at most")
    worst_percent: float = Field(description="of the load that those make")
    budget: int = Field(description="how many a desk may hear in this time: 6 an hour")
    budget_percent: float = Field(description="how much of it was heard")
    to_ack: list[Took]
    to_dispatch: list[Took]
    vehicle_hours: int = Field(description="in which a unit sealed something")
    per_1000_vehicle_hours: float | None
    outcomes: dict[str, int]


Desk = Annotated[str, Query(max_length=16, description="only of its scope; an operator: his own")]
Days = Annotated[int, Query(ge=1, le=DAYS_MAX, description="how far back from `end`")]
End = Annotated[int | None, Query(ge=0, le=1 << 53, description="ms; else now")]


def add_kpi(api: FastAPI, store: Store, now_ms: Callable[[], int]) -> None:
    """The routes."""

    async def reckon(who: Actor, desk: str, days: int, end: int | None) -> AlarmKpi:
        end_ms = now_ms() if end is None else min(end, now_ms())
        begin_ms = max(0, end_ms - days * DAY_MS)
        async with store.read() as connection:
            name, scope = await _desk(connection, who, desk)
            moves = await alert_acts.moves_since(connection, begin_ms, scope)
            hours = await incidents.vehicle_hours(connection, begin_ms, end_ms, scope)
            by_one = await fences.made_by_one(connection, begin_ms, end_ms)
            desks = await _desks(connection, who)
        known = [one for one in moves if one.at_ms < end_ms]
        load = load_of(known, begin_ms=begin_ms, end_ms=end_ms, vehicle_hours=hours)
        bar_ms = next((size_ms for most, size_ms in BARS if days <= most), DAY_MS)
        bars = bars_of(known, begin_ms=begin_ms, end_ms=end_ms, bar_ms=bar_ms)
        found = kpi_of(load, name, begin_ms, end_ms, unauthorised=by_one, bars=bars)
        return found.model_copy(update={"desks": desks})

    @api.get("/api/v1/kpi/alarms", tags=["kpi"], summary="The load of alarms beside its limits")
    async def alarms(who: Who, desk: Desk = "", days: Days = 7, end: End = None) -> AlarmKpi:
        return await reckon(who, desk, days, end)

    @api.get(
        "/api/v1/kpi/alarms.csv",
        tags=["kpi"],
        summary="The same as a table",
        response_class=Response,
        responses={200: {"content": {"text/csv": {}}}},
    )
    async def table(
        who: Who,
        desk: Desk = "",
        days: Days = 7,
        end: End = None,
        part: Annotated[
            Literal["figures", "bars", "split", "rules", "worst", "to_ack", "to_dispatch"], Query()
        ] = "figures",
    ) -> Response:
        found = await reckon(who, desk, days, end)
        return Response(
            csv_of([one.model_dump() for one in getattr(found, part)]),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="alarms-{part}.csv"'},
        )


def kpi_of(
    load: Load,
    desk: str,
    begin_ms: int,
    end_ms: int,
    *,
    unauthorised: int = 0,
    bars: Sequence[Bar] = (),
) -> AlarmKpi:
    """The figures beside their lines."""
    hours = max(1, end_ms - begin_ms) / 3_600_000
    budget = max(1, round(BUDGET_PER_HOUR * hours))
    heaviest = sorted(load.by_code.items(), key=lambda one: (-one[1], one[0]))[:WORST]
    return AlarmKpi(
        desk=desk,
        desks=[],
        begin=rfc3339(begin_ms),
        end=rfc3339(end_ms),
        annunciated=load.annunciated,
        per_window_max=load.per_window_max,
        floods=load.floods,
        figures=[
            _figure(name, unauthorised if name == UNAUTHORISED else getattr(load, name), limit)
            for name, limit in LIMITS.items()
        ],
        bars=[
            Stretch(
                begin=rfc3339(one.begin_ms),
                annunciated=one.annunciated,
                per_window_mean=one.per_window_mean,
                per_window_max=one.per_window_max,
            )
            for one in bars
        ],
        split=[
            Split(prio=int(name[1]), percent=load.by_priority_percent[name], target=target)
            for name, target in SPLIT.items()
        ],
        rules=[_rule(load, code, times, budget) for code, times in heaviest],
        worst=[Worst(code=code, unit=unit, times=times) for code, unit, times in load.top],
        worst_percent=load.top_percent,
        budget=budget,
        budget_percent=_percent(load.annunciated, budget),
        to_ack=_took(load.to_ack_s.items()),
        to_dispatch=_took(load.to_dispatch_s.items()),
        vehicle_hours=load.vehicle_hours,
        per_1000_vehicle_hours=load.per_1000_vehicle_hours,
        outcomes=dict(load.outcomes),
    )


def csv_of(rows: list[dict[str, Any]]) -> str:
    """RFC 4180; what a spreadsheet would take for a formula bears an apostrophe. Numbers are numbers."""
    if not rows:
        return ""
    out = io.StringIO(newline="")
    table = csv.writer(out)
    table.writerow(rows[0])
    for row in rows:
        table.writerow(_cell(value) for value in row.values())
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return "" if value is None else value


def _figure(name: str, value: float, limit: float) -> Figure:
    return Figure(
        name=name, value=value, limit=limit, ok=value < limit if name == "stale" else value <= limit
    )


def _rule(load: Load, code: str, times: int, budget: int) -> Rule:
    share = _percent(times, load.annunciated)
    return Rule(
        code=code,
        times=times,
        percent=share,
        budget_percent=_percent(times, budget),
        precision_percent=load.precision_percent.get(code),
        ok=share <= RULE_PERCENT_MAX,
    )


def _took(by_priority: Iterable[tuple[str, tuple[float, float]]]) -> list[Took]:
    return [Took(prio=int(name[1]), p50_s=p50, p95_s=p95) for name, (p50, p95) in by_priority]


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


async def _desks(connection: AsyncConnection, who: Actor) -> list[str]:
    if who.role is Role.OPERATOR:
        return [who.desk] if who.desk else []
    return await alert_reads.desks_within(connection, who.scope, DESKS_MAX)


async def _desk(connection: AsyncConnection, who: Actor, desk: str) -> tuple[str, str]:
    """The desk that is asked for, and its scope within the actor's own. An operator is told of his own desk and of no other."""
    if who.role is Role.OPERATOR:
        if desk and desk != who.desk:
            raise ProblemError(
                status=403, code="not_your_desk", title="Not your desk", detail="your own only"
            )
        desk = who.desk
    if not desk:
        return "", who.scope
    scope = await alert_reads.scope_of_desk(connection, desk, who.scope)
    if scope is None:
        raise not_found("desk", f"{desk}: no such desk")
    return desk, scope
