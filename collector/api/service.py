"""The routes that only read: each asks `Reads` and says what it says.

Law: no route knows a table, and each hands on who asks: what lies outside his scope is not there.
"""

from datetime import datetime
from typing import Annotated, Protocol

from fastapi import FastAPI, Header, Path, Query, Response

from collector.api import tracks
from collector.api.auth import Who
from collector.api.models import (
    Alive,
    Configs,
    Health,
    Orders,
    Refusals,
    Track,
    UnitDetail,
    Units,
)
from collector.api.problems import ProblemError, not_found
from wire import LIM
from wire.topics import UNIT_ID

PAGE_MAX = 200  # rows of one answer (CONSOLE section 7)
POINTS_MAX = 5_000  # of a track in one answer


class Reads(Protocol):
    """What the API asks. `now` is the collector's clock, read by whoever implements this."""

    async def alive(self) -> Alive: ...

    async def health(self, *, scope: str) -> Health: ...

    async def units(self, *, q: str, after: str, limit: int, scope: str) -> Units: ...

    async def unit(self, unit_id: str, *, scope: str) -> UnitDetail | None:
        """None: no such unit in this scope; so below."""
        ...

    async def track(
        self, unit_id: str, *, begin_ms: int | None, end_ms: int | None, points_max: int, scope: str
    ) -> Track | None: ...

    async def packed_track(
        self, unit_id: str, *, begin_ms: int | None, end_ms: int | None, points_max: int, scope: str
    ) -> bytes | None: ...

    async def orders(
        self, unit_id: str, *, after: str, limit: int, scope: str
    ) -> Orders | None: ...

    async def configs(self, unit_id: str, *, scope: str) -> Configs | None: ...

    async def refusals(self, *, limit: int) -> Refusals: ...


def add_reads(api: FastAPI, reads: Reads) -> None:
    """Add the routes to the application."""
    limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="rows at most")]
    after = Annotated[str, Query(max_length=80, description="`more` of the page before")]
    unit_id = Annotated[str, Path(pattern=f"^{UNIT_ID.pattern}$", description="WIRE section 1")]

    @api.get("/healthz", tags=["health"], summary="Is it alive, in a word")
    async def alive() -> Alive:
        return await reads.alive()

    @api.get("/api/v1/health", tags=["health"], summary="Way in, store, counts")
    async def health(who: Who) -> Health:
        return await reads.health(scope=who.scope)

    @api.get("/api/v1/units", tags=["units"], summary="Units by name")
    async def units(
        who: Who,
        q: Annotated[
            str,
            Query(
                max_length=32, description="part of a unit_id, or a plate, seal, container, journey"
            ),
        ] = "",
        after: after = "",
        limit: limit = PAGE_MAX,
    ) -> Units:
        return await reads.units(q=q, after=after, limit=limit, scope=who.scope)

    @api.get("/api/v1/units/{unit_id}", tags=["units"], summary="One unit")
    async def unit(who: Who, unit_id: unit_id) -> UnitDetail:
        found = await reads.unit(unit_id, scope=who.scope)
        if found is None:
            raise no_unit(unit_id)
        return found

    @api.get(
        "/api/v1/units/{unit_id}/track",
        tags=["units"],
        summary="Where one unit was; as columns to who accepts them",
        response_model=Track,
        responses={200: {"content": {tracks.MEDIA_TYPE: {}}}},
    )
    async def track(
        who: Who,
        unit_id: unit_id,
        begin: Annotated[
            str, Query(alias="from", max_length=40, description="RFC 3339, or milliseconds")
        ] = "",
        end: Annotated[
            str, Query(alias="to", max_length=40, description="RFC 3339, or milliseconds")
        ] = "",
        points_max: Annotated[int, Query(ge=2, le=POINTS_MAX)] = POINTS_MAX,
        accept: Annotated[str, Header(max_length=200)] = "",
    ) -> Track | Response:
        is_packed = tracks.MEDIA_TYPE in accept
        found = await (reads.packed_track if is_packed else reads.track)(
            unit_id,
            begin_ms=time_ms("from", begin),
            end_ms=time_ms("to", end),
            points_max=points_max,
            scope=who.scope,
        )
        if found is None:
            raise no_unit(unit_id)
        return Response(found, media_type=tracks.MEDIA_TYPE) if isinstance(found, bytes) else found

    @api.get("/api/v1/units/{unit_id}/orders", tags=["orders"], summary="Orders, the newest first")
    async def orders(
        who: Who, unit_id: unit_id, after: after = "", limit: limit = PAGE_MAX
    ) -> Orders:
        found = await reads.orders(unit_id, after=after, limit=limit, scope=who.scope)
        if found is None:
            raise no_unit(unit_id)
        return found

    @api.get("/api/v1/units/{unit_id}/configs", tags=["orders"], summary="Settings given by air")
    async def configs(who: Who, unit_id: unit_id) -> Configs:
        found = await reads.configs(unit_id, scope=who.scope)
        if found is None:
            raise no_unit(unit_id)
        return found

    @api.get("/api/v1/refusals", tags=["health"], summary="What lies in quarantine, and why")
    async def refusals(limit: limit = PAGE_MAX) -> Refusals:
        return await reads.refusals(limit=limit)


def time_ms(name: str, text: str) -> int | None:
    """Of a query; None: nothing was said."""
    if not text:
        return None
    try:
        at_ms = int(text) if text.isdecimal() else _rfc3339_ms(text)
    except ValueError as error:
        raise ProblemError(
            status=422,
            code="bad_time",
            title="No time",
            detail=f"{name}: {text!r} is neither RFC 3339 with an offset (2026-01-31T08:00:00Z) nor milliseconds",
        ) from error
    return min(at_ms, LIM)


def _rfc3339_ms(text: str) -> int:
    moment = datetime.fromisoformat(
        text.replace(" ", "+")
    )  # a + in a query is a space unless escaped
    if moment.tzinfo is None:
        raise ValueError("without an offset")
    return int(moment.timestamp() * 1_000)


def no_unit(unit_id: str) -> ProblemError:
    """404, and how to enrol it."""
    return not_found(
        "unit", f"{unit_id} is not enrolled: plomba unit add {unit_id} --public-key HEX"
    )
