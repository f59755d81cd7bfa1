"""Fences, routes and thresholds by version: as they are in force, as they were, as they are proposed (CONSOLE sections 2 and 7).

Law: shapes are drawn as they came, never simplified; one of a unit is told to nobody who may not see that unit. A version never
changes in place: a proposal that another person approves becomes the next one, or nothing does.
"""

import asyncio
import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.api.audit import keep
from collector.api.auth import Ask, Who
from collector.api.models import Answer
from collector.api.problems import ProblemError, not_found, problem_of
from collector.api.shapes import (
    FEATURES_MAX,
    Draft,
    Faults,
    Laid,
    draft_of,
    features_in,
    flat,
    id_of,
    lay,
    shapes_of,
    touched,
    unit_of,
)
from collector.api.times import maybe, rfc3339
from collector.detect.geo import ImportFault
from collector.detect.rules import Thresholds, live_thresholds
from collector.people import Actor
from collector.persons import same_person
from collector.store import RulesRow, fences, schema
from collector.store.database import Store
from collector.store.live import in_scope

PAGE_MAX = 100
CHANGED_MAX = 100  # named in a row; more are counted by nobody
FAULTS_MAX = 100  # told in an answer
TRIES_MAX = 3  # somebody else may put a version in force while one is made
UNITS_A_LOOK = 500

Number = Annotated[int, Path(ge=1, le=(1 << 53), description="of the proposal")]


class Drawn(Ask):
    """What is to be another than it is. All of it becomes one version, or none of it."""

    shapes: dict[str, Any] | None = Field(
        default=None,
        description="GeoJSON of DETECTION 5, 1,000 features at most: new, or in place of the shape of that id",
    )
    withdraw: list[Annotated[str, Field(max_length=64)]] = Field(
        default_factory=list, max_length=FEATURES_MAX, description="ids of shapes that go"
    )
    thresholds: dict[str, bool | int | float | list[str] | None] | None = Field(
        default=None,
        max_length=100,
        description="keys of rules.toml, `profile.eaeu` too; null: as it is built in",
    )


class Proposal(Drawn):
    reason: str = Field(min_length=1, max_length=500)
    base: int | None = Field(
        default=None, ge=0, description="the version that was seen; else the newest"
    )


class Decision(Ask):
    reason: str = Field(default="", max_length=500)


class Fault(Answer):
    """A fault or a warning of the reader (DETECTION 5)."""

    feature: int | None
    id: str | None
    code: str
    where: str
    message: str


class Change(Answer):
    kind: str = Field(description="zone, route or rule")
    id: str
    sha256: str | None = Field(description="of it as it is since; null: withdrawn")


class ChangeOf(Change):
    is_new: bool = Field(description="it was not there in the version before")


class Version(Answer):
    """A version, without its shapes: they come with `version` of GET /fences."""

    version: int
    since: str
    by: str | None = Field(description="who proposed or imported it; null: not known")
    approved_by: str | None = Field(description="null: it came by the machine's own way")
    thresholds: dict[str, Any] = Field(description="those that are not as built in")
    changed: list[ChangeOf] = Field(description="100 at most")


class Obeyed(Answer):
    version: int = Field(description="by which the newest tick was judged")
    at: str


class Versions(Answer):
    rows: list[Version] = Field(description="the newest first")
    more: str | None
    obeyed: Obeyed | None = Field(description="null: no tick yet")
    built_in: dict[str, Any] = Field(description="thresholds where nothing else is said")


class Proposed(Answer):
    """A proposal and what became of it."""

    id: int
    state: str = Field(description="waiting, approved or refused")
    by: str
    at: str
    reason: str
    base: int = Field(description="the version on which it was made")
    decided_by: str | None
    decided_at: str | None
    decided_reason: str | None
    version: int | None = Field(description="that it became")
    shapes: dict[str, Any] = Field(description="GeoJSON")
    withdraw: list[str]
    thresholds: dict[str, Any] | None
    warnings: list[Fault] = Field(description="of the reader, when it was proposed now; else none")


class Proposals(Answer):
    rows: list[Proposed] = Field(description="the newest first")
    more: str | None


class FaultyError(Exception):
    """The draft has faults; they come with the answer."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What the routes need. One draft is read at a time."""

    store: Store
    now_ms: Callable[[], int]
    reading: asyncio.Semaphore


def add_fences(api: FastAPI, store: Store, now_ms: Callable[[], int]) -> Board:
    """The routes of the shapes."""
    board = Board(store=store, now_ms=now_ms, reading=asyncio.Semaphore(1))
    api.add_exception_handler(FaultyError, _on_faulty)
    _add_reads(api, board)
    _add_proposals(api, board)
    _add_decisions(api, board)
    return board


class GeoJson(JSONResponse):
    """Shapes, as every map reads them (RFC 7946)."""

    media_type = "application/geo+json"


def _add_reads(api: FastAPI, board: Board) -> None:
    @api.get(
        "/api/v1/fences",
        tags=["fences"],
        summary="Zones and routes in force, as GeoJSON with their version",
        response_class=GeoJson,
    )
    async def shapes(
        who: Who,
        version: Annotated[
            int | None, Query(ge=0, le=1 << 31, description="an older one; else the newest")
        ] = None,
    ) -> Response:
        async with board.store.read() as connection:
            row = await fences.version_row(connection, version)
            if row is None and version:
                raise not_found("version", f"there is no version {version} of the rules")
            judged = await fences.obeyed(connection)
            shown = await _seen(connection, who, shapes_of(row))
        return GeoJson(
            {
                "type": "FeatureCollection",
                "version": 0 if row is None else row.version,
                "since": maybe(None if row is None else row.valid_from_ms),
                "by": (row.made_by or None) if row else None,
                "approved_by": (row.approved_by or None) if row else None,
                "obeyed": None if judged is None else _obeyed(judged).model_dump(),
                "features": shown,
            },
        )

    @api.get(
        "/api/v1/fences/versions",
        tags=["fences"],
        summary="Versions: who proposed, who approved, since when, what is another",
    )
    async def versions(
        after: Annotated[str, Query(pattern=r"^\d{0,9}$", description="`more` of before")] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
    ) -> Versions:
        async with board.store.read() as connection:
            found = await fences.versions(
                connection, before=int(after) if after else None, limit=limit + 1
            )
            changed = await fences.changes(
                connection, [row.version for row in found[:limit]], CHANGED_MAX
            )
            rows = [_version(row, changed[row.version]) for row in found[:limit]]
            judged = await fences.obeyed(connection)
        return Versions(
            rows=rows,
            more=str(found[limit - 1].version) if len(found) > limit else None,
            obeyed=None if judged is None else _obeyed(judged),
            built_in=_built_in(),
        )


def _add_proposals(api: FastAPI, board: Board) -> None:
    @api.get("/api/v1/fences/proposals", tags=["fences"], summary="What was proposed")
    async def proposals(
        who: Who,
        state: Annotated[Literal["", "waiting", "approved", "refused"], Query()] = "",
        after: Annotated[str, Query(pattern=r"^\d{0,15}$", description="`more` of before")] = "",
        limit: Annotated[int, Query(ge=1, le=20)] = 20,
    ) -> Proposals:
        async with board.store.read() as connection:
            found = await fences.drafts(
                connection, state=state, before=int(after) if after else None, limit=limit + 1
            )
            rows = [row for row in found[:limit] if await _may_see(connection, who, row)]
        return Proposals(
            rows=[_proposed(row) for row in rows],
            more=str(found[limit - 1].number) if len(found) > limit else None,
        )

    @api.get("/api/v1/fences/{number}", tags=["fences"], summary="One proposal")
    async def proposal(who: Who, number: Number) -> Proposed:
        async with board.store.read() as connection:
            return _proposed(await _draft_row(connection, who, number))

    @api.post(
        "/api/v1/fences",
        tags=["fences"],
        summary="Propose; another person decides",
        status_code=201,
    )
    async def propose(who: Who, asked: Proposal, request: Request) -> Proposed:
        draft, laid, newest = await read_draft(board, who, asked)
        base = newest if asked.base is None else asked.base
        async with board.store.write() as connection:
            await _check_current(connection, base, newest, draft, laid)
            number = await fences.propose(
                connection,
                by=who.user_id,
                why=asked.reason,
                base=base,
                body=draft.text(),
                now_ms=board.now_ms(),
            )
            if number is None:
                raise ProblemError(
                    status=409,
                    code="too_many_wait",
                    title="Too many wait",
                    detail=f"{fences.WAITING_MAX} proposals wait: decide those first",
                )
            await keep(
                request,
                connection,
                "shapes-propose",
                f"fences/{number}",
                board.now_ms(),
                detail=fences.named(laid.changed),
            )
            row = await fences.draft(connection, number)
        return _proposed(row, laid.warnings)


def _add_decisions(api: FastAPI, board: Board) -> None:
    @api.post(
        "/api/v1/fences/{number}/approve",
        tags=["fences"],
        summary="Put it in force: another person's word",
    )
    async def approve(who: Who, number: Number, asked: Decision, request: Request) -> Proposed:
        for _ in range(TRIES_MAX):
            done = await _approve(board, who, number, asked, request)
            if done is not None:
                return done
        raise ProblemError(
            status=409, code="running", title="Running", detail="others change it too: try again"
        )

    @api.post("/api/v1/fences/{number}/refuse", tags=["fences"], summary="Let it be")
    async def refuse(who: Who, number: Number, asked: Decision, request: Request) -> Proposed:
        async with board.store.write() as connection:
            row = await _draft_row(connection, who, number)
            _check_waits(row)
            now_ms = board.now_ms()
            await fences.decide(
                connection,
                number,
                state=fences.REFUSED,
                by=who.user_id,
                why=asked.reason,
                now_ms=now_ms,
            )
            await keep(
                request,
                connection,
                "shapes-refuse",
                f"fences/{number}",
                now_ms,
                detail=asked.reason,
            )
            return _proposed(await fences.draft(connection, number))


async def _approve(
    board: Board, who: Actor, number: int, asked: Decision, request: Request
) -> Proposed | None:
    """None: a version came between, it is to be tried anew."""
    async with board.store.read() as connection:
        row = await _draft_row(connection, who, number)
        base = await fences.version_row(connection)
    _check_waits(row)
    if same_person(row.made_by, who.user_id):
        raise ProblemError(
            status=409,
            code="same_person",
            title="Same person",
            detail="nobody approves his own proposal",
        )
    draft = draft_of(row.body)
    laid = await _laid(board, base, draft)
    version = 0 if base is None else base.version
    async with board.store.write() as connection:
        if await fences.newest_version(connection) != version:
            return None
        await _check_current(connection, row.base, version, draft, laid)
        now_ms = board.now_ms()
        is_first = await fences.decide(
            connection,
            number,
            state=fences.APPROVED,
            by=who.user_id,
            why=asked.reason,
            now_ms=now_ms,
            version=version + 1,
        )
        if not is_first:
            return None  # decided just now: the next try says so
        made = RulesRow(
            version=version + 1,
            valid_from_ms=now_ms,
            zones=laid.zones,
            routes=laid.routes,
            thresholds=laid.thresholds,
            made_by=row.made_by,
            approved_by=who.user_id,
        )
        await fences.add_version(connection, made, laid.changed)
        await keep(
            request,
            connection,
            "shapes-approve",
            f"fences/{number}",
            now_ms,
            detail=f"rules/{version + 1} by {row.made_by}: {fences.named(laid.changed)}",
        )
        return _proposed(await fences.draft(connection, number))


async def read_draft(board: Board, who: Actor, asked: Drawn) -> tuple[Draft, Laid, int]:
    """What a request draws, laid over the newest version, and the number of that. Its faults leave as an answer."""
    features: Sequence[Any] | None = [] if asked.shapes is None else features_in(asked.shapes)
    if features is None:
        raise _faulty("not_geojson", "shapes", "neither a FeatureCollection nor a Feature")
    draft = Draft(
        features=tuple(features), withdraw=tuple(asked.withdraw), thresholds=asked.thresholds
    )
    try:
        draft.text()
    except ValueError as error:
        raise _faulty("not_finite", "", str(error)) from error
    async with board.store.read() as connection:
        base = await fences.version_row(connection)
    laid = await _laid(board, base, draft)
    names = {*draft.withdraw, *(id_of(one) for one in draft.features)}
    mine = [*draft.features, *(one for one in shapes_of(base) if id_of(one) in names)]
    async with board.store.read() as connection:
        if len(await _seen(connection, who, mine)) != len(mine):
            raise not_found("unit", "a shape names a unit that does not exist")
    return draft, laid, 0 if base is None else base.version


def _faulty(code: str, where: str, why: str) -> FaultyError:
    return FaultyError((ImportFault(feature=None, id=None, code=code, where=where, message=why),))


async def _laid(board: Board, base: RulesRow | None, draft: Draft) -> Laid:
    """In a thread, one at a time: a body of 1 MiB is read within a second or two, and nobody else waits for it."""
    async with board.reading:
        laid = await asyncio.to_thread(lay, base, draft)
    if isinstance(laid, tuple):
        raise FaultyError(laid)
    return laid


async def _check_current(
    connection: AsyncConnection, base: int, newest: int, draft: Draft, laid: Laid
) -> None:
    """409 if somebody has changed the same thing since the version that was seen."""
    if base > newest:
        raise ProblemError(
            status=422, code="bad_base", title="Bad base", detail=f"the newest version is {newest}"
        )
    others = await fences.changed_since(connection, base, touched(draft, laid))
    if others:
        first = others[0]
        raise ProblemError(
            status=409,
            code="changed_since",
            title="Changed since",
            detail=f"{first.kind} {first.id} is another since version {first.version}: look at it and propose anew",
        )


async def _draft_row(connection: AsyncConnection, who: Actor, number: int) -> Row[Any]:
    row = await fences.draft(connection, number)
    if row is None or not await _may_see(connection, who, row):
        raise not_found("proposal", f"there is no proposal {number}")
    return row


def _check_waits(row: Row[Any]) -> None:
    if row.state != fences.WAITING:
        raise ProblemError(
            status=409,
            code="decided",
            title="Decided",
            detail=f"{row.decided_by} has decided: {row.state}",
        )


async def _may_see(connection: AsyncConnection, who: Actor, row: Row[Any]) -> bool:
    features = list(draft_of(row.body).features)
    return len(await _seen(connection, who, features)) == len(features)


async def _seen(
    connection: AsyncConnection, who: Actor, features: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Those that concern nobody in particular, or a unit that this person may see."""
    if not who.scope:
        return list(features)
    units = sorted({unit for one in features if (unit := unit_of(one))})
    table, seen = schema.unit, set[str]()
    for begin in range(0, len(units), UNITS_A_LOOK):
        found = await connection.execute(
            select(table.c.unit_id).where(
                table.c.unit_id.in_(units[begin : begin + UNITS_A_LOOK]),
                in_scope(table.c.scope, who.scope),
            )
        )
        seen |= set(found.scalars())
    return [one for one in features if not (unit := unit_of(one)) or unit in seen]


def _version(row: Row[Any], changed: Sequence[Row[Any]]) -> Version:
    return Version(
        version=row.version,
        since=rfc3339(row.valid_from_ms),
        by=row.made_by or None,
        approved_by=row.approved_by or None,
        thresholds=flat(tomllib.loads(row.thresholds)),
        changed=[
            ChangeOf(
                kind=one.kind,
                id=one.id,
                sha256=None if one.sha256 is None else one.sha256.hex(),
                is_new=one.kind != fences.RULE and one.sha256 is not None and not one.was,
            )
            for one in changed
        ],
    )


def _obeyed(row: Row[Any]) -> Obeyed:
    return Obeyed(version=row.rules_version, at=rfc3339(row.now_ms))


def _built_in() -> dict[str, Any]:
    default = live_thresholds({})
    return {
        "profile.eaeu" if one.name == "eaeu" else one.name: getattr(default, one.name)
        for one in fields(Thresholds)
    }


def _proposed(row: Row[Any] | None, warnings: Faults = ()) -> Proposed:
    assert row is not None, "nothing ever deletes a proposal"
    draft = draft_of(row.body)
    return Proposed(
        id=row.number,
        state=row.state,
        by=row.made_by,
        at=rfc3339(row.made_ms),
        reason=row.why,
        base=row.base,
        decided_by=row.decided_by,
        decided_at=maybe(row.decided_ms),
        decided_reason=row.decided_why,
        version=row.version,
        shapes={"type": "FeatureCollection", "features": list(draft.features)},
        withdraw=list(draft.withdraw),
        thresholds=None if draft.thresholds is None else dict(draft.thresholds),
        warnings=[Fault(**asdict(one)) for one in warnings[:FAULTS_MAX]],
    )


async def _on_faulty(_request: Request, error: Exception) -> Response:
    """422 with every fault, so that the drawing can be put right at once."""
    assert isinstance(error, FaultyError)
    first = error.faults[0]
    problem = problem_of(
        422, first.code, "Faults in the draft", f"{len(error.faults)}: {first.message}"
    )
    told = [asdict(one) for one in error.faults[:FAULTS_MAX]]
    return Response(
        json.dumps({**problem.model_dump(), "faults": told}, ensure_ascii=False),
        status_code=422,
        media_type="application/problem+json",
    )
