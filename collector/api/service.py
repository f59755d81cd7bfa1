"""The routes. Each asks `Reads` and says what it says; errors are problem+json (RFC 9457).

Law: read only, and no route knows a table.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Literal, Protocol

from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from collector.api.models import (
    Alerts,
    Configs,
    Health,
    Orders,
    Problem,
    Refusals,
    Track,
    UnitDetail,
    Units,
)
from wire import LIM
from wire.topics import UNIT_ID

PAGE_MAX = 200  # rows of one answer (CONSOLE section 7)
POINTS_MAX = 5_000  # of a track in one answer
HOSTS = ("127.0.0.1", "::1", "localhost")


class Reads(Protocol):
    """What the API asks. `now` is the collector's clock, read by whoever implements this."""

    async def health(self) -> Health: ...

    async def units(self, *, q: str, after: str, limit: int) -> Units: ...

    async def unit(self, unit_id: str) -> UnitDetail | None: ...

    async def track(
        self, unit_id: str, *, begin_ms: int | None, end_ms: int | None, points_max: int
    ) -> Track | None:
        """None: no such unit."""
        ...

    async def alerts(self, *, view: str, unit: str, after: str, limit: int) -> Alerts: ...

    async def orders(self, unit_id: str, *, after: str, limit: int) -> Orders | None:
        """None: no such unit."""
        ...

    async def configs(self, unit_id: str) -> Configs | None:
        """None: no such unit."""
        ...

    async def refusals(self, *, limit: int) -> Refusals: ...


class ProblemError(Exception):
    """An answer that is no answer, with its code."""

    def __init__(self, *, status: int, code: str, title: str, detail: str) -> None:
        super().__init__(detail)
        self.problem = Problem(status=status, code=code, title=title, detail=detail)


def build_api(reads: Reads, *, build: str) -> FastAPI:
    """The API over `reads`. `build` is the program's version, for the page of routes."""
    api = FastAPI(
        title="Plomba collector",
        version=build,
        summary="Units, tracks and alerts, read only.",
        description="Open on loopback only: it has no accounts yet. Unknown is null, old is marked old.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # a page with scripts from elsewhere; the console will bring its own
        redoc_url=None,
        responses={"default": {"model": Problem, "description": "what went wrong, and its code"}},
    )
    api.add_exception_handler(ProblemError, _on_problem)
    api.add_exception_handler(HTTPException, _on_http)
    api.add_exception_handler(RequestValidationError, _on_invalid)
    api.middleware("http")(_guard)
    _add_routes(api, reads)
    return api


def _add_routes(api: FastAPI, reads: Reads) -> None:
    limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="rows at most")]
    after = Annotated[str, Query(max_length=80, description="`more` of the page before")]
    unit_id = Annotated[str, Path(pattern=f"^{UNIT_ID.pattern}$", description="WIRE section 1")]

    @api.get("/healthz", tags=["health"], summary="Is it alive, in a word")
    @api.get("/api/v1/health", tags=["health"], summary="Way in, store, counts")
    async def health() -> Health:
        return await reads.health()

    @api.get("/api/v1/units", tags=["units"], summary="Units by name")
    async def units(
        q: Annotated[str, Query(max_length=32, description="part of a unit_id")] = "",
        after: after = "",
        limit: limit = PAGE_MAX,
    ) -> Units:
        return await reads.units(q=q, after=after, limit=limit)

    @api.get("/api/v1/units/{unit_id}", tags=["units"], summary="One unit")
    async def unit(unit_id: unit_id) -> UnitDetail:
        found = await reads.unit(unit_id)
        if found is None:
            raise _no_unit(unit_id)
        return found

    @api.get("/api/v1/units/{unit_id}/track", tags=["units"], summary="Where one unit was")
    async def track(
        unit_id: unit_id,
        begin: Annotated[
            str, Query(alias="from", max_length=40, description="RFC 3339, or milliseconds")
        ] = "",
        end: Annotated[
            str, Query(alias="to", max_length=40, description="RFC 3339, or milliseconds")
        ] = "",
        points_max: Annotated[int, Query(ge=2, le=POINTS_MAX)] = POINTS_MAX,
    ) -> Track:
        found = await reads.track(
            unit_id,
            begin_ms=_time("from", begin),
            end_ms=_time("to", end),
            points_max=points_max,
        )
        if found is None:
            raise _no_unit(unit_id)
        return found

    @api.get("/api/v1/units/{unit_id}/orders", tags=["orders"], summary="Orders, the newest first")
    async def orders(unit_id: unit_id, after: after = "", limit: limit = PAGE_MAX) -> Orders:
        found = await reads.orders(unit_id, after=after, limit=limit)
        if found is None:
            raise _no_unit(unit_id)
        return found

    @api.get("/api/v1/units/{unit_id}/configs", tags=["orders"], summary="Settings given by air")
    async def configs(unit_id: unit_id) -> Configs:
        found = await reads.configs(unit_id)
        if found is None:
            raise _no_unit(unit_id)
        return found

    @api.get("/api/v1/alerts", tags=["alerts"], summary="Alerts, the newest first")
    async def alerts(
        view: Annotated[
            Literal["active", "all"], Query(description="active: not closed")
        ] = "active",
        unit: Annotated[str, Query(max_length=32, description="only of this unit")] = "",
        after: after = "",
        limit: limit = PAGE_MAX,
    ) -> Alerts:
        return await reads.alerts(view=view, unit=unit, after=after, limit=limit)

    @api.get("/api/v1/refusals", tags=["health"], summary="What lies in quarantine, and why")
    async def refusals(limit: limit = PAGE_MAX) -> Refusals:
        return await reads.refusals(limit=limit)


def _time(name: str, text: str) -> int | None:
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


def _no_unit(unit_id: str) -> ProblemError:
    return ProblemError(
        status=404,
        code="no_such_unit",
        title="No such unit",
        detail=f"{unit_id} is not enrolled: plomba unit add {unit_id} --public-key HEX",
    )


async def _guard(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    # A page in the operator's browser may be made to ask 127.0.0.1 under a name of its own: only our names are answered.
    if request.url.hostname not in HOSTS:
        problem = Problem(
            status=421,
            code="wrong_host",
            title="Wrong host",
            detail="this API answers as 127.0.0.1, [::1] or localhost only",
        )
        return _answer(problem)
    response = await go_on(request)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return _answer(error.problem)


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "no_such_route", 405: "read_only"}
    return _answer(
        Problem(
            status=error.status_code,
            code=words.get(error.status_code, "refused"),
            title=str(error.detail),
            detail="GET only; routes are listed at /api/v1/openapi.json",
        )
    )


async def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return _answer(
        Problem(
            status=422,
            code="bad_parameter",
            title="Bad parameter",
            detail=f"{where}: {first['msg']}",
        )
    )


def _answer(problem: Problem) -> Response:
    return JSONResponse(
        problem.model_dump(), status_code=problem.status, media_type="application/problem+json"
    )
