"""Cases over HTTP: what people make of one alert or several (DETECTION section 9, Case).

Law: what may be done is decided in `collector.cases`. Nobody moves a version that he has not seen, and a case is there only for who
sees one of its alerts.
"""

from typing import Annotated, Literal

from fastapi import FastAPI, Path, Query, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.alerts import OUTCOMES, REASON_CHARS_MAX, NotMoved
from collector.api.alert_acts import STATUS
from collector.api.alert_models import ID
from collector.api.alerts import Room, no_alert
from collector.api.auth import Who
from collector.api.models import Answer
from collector.api.problems import ProblemError, not_found
from collector.api.revisions import IfMatch, revision_of, tag_of
from collector.cases import LIFE, NAME_CHARS_MAX, CaseAct, CaseEvent, CaseState
from collector.people import Actor, Role
from collector.store import alert_reads, incidents
from collector.store.incidents import Case

PAGE_MAX = 200
NUMBER_MAX = 2**53 - 1  # what a browser counts exactly

Number = Annotated[int, Path(ge=1, le=NUMBER_MAX, description="of the case")]


class CaseRow(Answer):
    """A case as it stands."""

    number: int
    version: int = Field(description="one more with every move; the ETag")
    state: CaseState
    opened: int
    opened_by: str
    changed: int
    assignee: str | None
    crew: str | None = Field(description="who was sent")
    outcome: str | None
    resolved_by: str | None
    alerts: list[str] = Field(description="those that you see, in the order in which they came")


class CaseDone(Answer):
    """One move of a case."""

    version: int
    at: int
    act: str
    state: CaseState
    who: str
    why: str
    whom: str
    outcome: str | None
    alert: str | None = Field(description="which came to the case by this")


class CaseDetail(Answer):
    case: CaseRow
    possible: list[CaseEvent] = Field(description="what may be done now, by whoever has the right")
    acts: list[CaseDone] = Field(description="in order")


class CasePage(Answer):
    rows: list[CaseRow] = Field(description="those that moved last first")


class OfAlert(Answer):
    alert: str = Field(pattern=ID)


class CaseSaid(Answer):
    """What a person says with a move. Which of it is needed depends on the move."""

    to: str = Field(default="", max_length=NAME_CHARS_MAX, description="a person, a crew, a post")
    reason: str = Field(default="", max_length=REASON_CHARS_MAX)
    outcome: str = Field(default="", max_length=40, description=", ".join(OUTCOMES))


def add_cases(api: FastAPI, room: Room) -> None:
    """The routes of cases."""

    @api.get("/api/v1/cases", tags=["cases"], summary="Cases, those that moved last first")
    async def cases(
        who: Who,
        view: Annotated[
            Literal["open", "all"], Query(description="all: with the resolved ones")
        ] = "open",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
    ) -> CasePage:
        async with room.store.read() as connection:
            found = await incidents.listed(
                connection, open_only=view == "open", limit=limit, scope=who.scope
            )
            rows = [await _seen(connection, case, who.scope) for case in found]
        return CasePage(rows=[row for row in rows if row is not None])

    @api.get("/api/v1/cases/{number}", tags=["cases"], summary="One case, whole")
    async def case(who: Who, response: Response, number: Number) -> CaseDetail:
        async with room.store.read() as connection:
            row = await _of(connection, number, who.scope)
            acts = await incidents.acts_of(connection, number)
        response.headers["ETag"] = tag_of(row.version)
        return CaseDetail(
            case=row,
            possible=list(LIFE[row.state]),
            acts=[
                CaseDone(
                    version=one.version,
                    at=one.at_ms,
                    act=one.act,
                    state=CaseState(one.state),
                    who=one.who,
                    why=one.why,
                    whom=one.whom,
                    outcome=one.outcome,
                    alert=None if one.alert_id is None else one.alert_id.hex(),
                )
                for one in acts
            ],
        )

    @api.post("/api/v1/cases", tags=["cases"], summary="Open a case for an alert, or give its own")
    async def open_case(who: Who, response: Response, asked: OfAlert) -> CaseRow:
        id_ = bytes.fromhex(asked.alert)
        async with room.store.write() as connection:
            if await alert_reads.one(connection, id_, who.scope) is None:
                raise no_alert(asked.alert)
            made = await incidents.open_case(connection, id_, who.user_id, room.now_ms())
            return await _told(connection, made, who, response)

    @api.post("/api/v1/cases/{number}/join", tags=["cases"], summary="Put an alert into a case")
    async def join(
        who: Who, response: Response, number: Number, asked: OfAlert, if_match: IfMatch = None
    ) -> CaseRow:
        seen, id_ = revision_of(if_match), bytes.fromhex(asked.alert)
        async with room.store.write() as connection:
            row = await _of(connection, number, who.scope)
            if await alert_reads.one(connection, id_, who.scope) is None:
                raise no_alert(asked.alert)
            if row.version != seen:
                raise _refusal(NotMoved(code="not_seen", hint=_look(row.version)))
            done = await incidents.join(connection, number, id_, who.user_id, room.now_ms())
            return await _told(connection, done, who, response)

    for event in CaseEvent:
        _add_move(api, room, event)


def _add_move(api: FastAPI, room: Room, event: CaseEvent) -> None:
    @api.post(
        f"/api/v1/cases/{{number}}/{event.value}",
        tags=["cases"],
        summary=f"{event.value.capitalize()} a case",
        name=f"case_{event.value}",
    )
    async def move(
        who: Who, response: Response, number: Number, said: CaseSaid, if_match: IfMatch = None
    ) -> CaseRow:
        done = CaseAct(
            event=event,
            by=who.user_id,
            is_supervisor=who.role is Role.SUPERVISOR,
            whom=said.to,
            reason=said.reason,
            outcome=said.outcome,
            seen=revision_of(if_match),
        )
        async with room.store.write() as connection:
            await _of(connection, number, who.scope)
            moved = await incidents.act(connection, number, done, room.now_ms())
            return await _told(connection, moved, who, response)


async def _told(
    connection: AsyncConnection, done: Case | NotMoved | None, who: Actor, response: Response
) -> CaseRow:
    if isinstance(done, NotMoved):
        raise _refusal(done)
    assert done is not None, "it was looked up in this transaction"
    row = await _seen(connection, done, who.scope)
    assert row is not None, "it was seen in this transaction"
    response.headers["ETag"] = tag_of(row.version)
    return row


async def _of(connection: AsyncConnection, number: int, scope: str) -> CaseRow:
    found = await incidents.read(connection, number)
    row = None if found is None else await _seen(connection, found, scope)
    if row is None:
        raise not_found("case", f"{number}: no such case")
    return row


async def _seen(connection: AsyncConnection, case: Case, scope: str) -> CaseRow | None:
    alerts = await incidents.alerts_within(connection, case.alerts, scope)
    if not alerts:
        return None
    return CaseRow(
        number=case.number,
        version=case.version,
        state=case.state,
        opened=case.opened_ms,
        opened_by=case.opened_by,
        changed=case.changed_ms,
        assignee=case.assignee,
        crew=case.crew,
        outcome=case.outcome,
        resolved_by=case.resolved_by,
        alerts=[id_.hex() for id_ in alerts],
    )


def _refusal(refused: NotMoved) -> ProblemError:
    return ProblemError(
        status={**STATUS, "other_case": 409, "full_case": 409}.get(refused.code, 422),
        code=refused.code,
        title=refused.code.replace("_", " ").capitalize(),
        detail=refused.hint,
    )


def _look(version: int) -> str:
    return f"it has moved: look at version {version}"
