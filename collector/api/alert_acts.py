"""What a person does about an alert, over HTTP (CONSOLE sections 3 and 7, DETECTION section 9).

Law: what may be done is decided in `collector.alerts`. Nobody acts on a revision that he has not seen; the guard sees to it
that no request is carried out twice.
"""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.alerts import MARKS, Act, Event, Mark, NotMoved, State
from collector.api.alert_models import AlertRow, Group, GroupDone, Said
from collector.api.alert_rows import rows_of
from collector.api.alerts import AlertId, Room, no_alert
from collector.api.auth import Who
from collector.api.problems import ProblemError, problem_of
from collector.api.revisions import IfMatch, revision_of, tag_of
from collector.people import Actor, Role
from collector.store import alert_acts, alert_reads, incidents
from collector.store.alert_acts import Acted

EVENTS = {
    "ack": Event.ACK,
    "shelve": Event.SHELVE,
    "unshelve": Event.END,
    "reset": Event.RESET,
    "second": Event.SECOND,
    "take-out": Event.TAKE_OUT,
}
ACTS = (*EVENTS, *MARKS)
STATUS = {  # of what `collector.alerts` refuses; any other is 422
    "stale": 412,
    "not_seen": 412,
    "no_move": 409,
    "same_person": 409,
    "never_shelved": 409,
    "not_allowed": 403,
}


class StaleError(Exception):
    """The row changed under who acts; it comes with the answer."""

    def __init__(self, row: dict[str, Any], hint: str) -> None:
        super().__init__(hint)
        self.row = row
        self.hint = hint


def add_alert_acts(api: FastAPI, room: Room) -> None:
    """The routes that change."""
    api.add_exception_handler(StaleError, _on_stale)
    for name in ACTS:
        _add_act(api, room, name)

    @api.post(
        "/api/v1/alerts/ack",
        tags=["alerts"],
        summary="Acknowledge alerts of one cause, never critical ones",
    )
    async def ack_group(who: Who, group: Group) -> GroupDone:
        async with room.store.write() as connection:
            return await _ack_group(connection, room, who, group)


def _add_act(api: FastAPI, room: Room, name: str) -> None:
    @api.post(
        f"/api/v1/alerts/{{alert_id}}/{name}",
        tags=["alerts"],
        summary=f"{name.replace('-', ' ').capitalize()} an alert",
        name=f"alert_{name.replace('-', '_')}",
    )
    async def act(
        response: Response, who: Who, alert_id: AlertId, said: Said, if_match: IfMatch = None
    ) -> AlertRow:
        rev = revision_of(if_match)
        id_ = bytes.fromhex(alert_id)
        async with room.store.write() as connection:
            row = await _row(connection, room, id_, who.scope)
            if row is None:
                raise no_alert(alert_id)
            done = await _do(connection, room, who, id_, name, said, rev=rev, state=row["stage"])
            if isinstance(done, NotMoved):
                raise _refusal(done, row)
            after = await _row(connection, room, id_, who.scope)
        assert after is not None, "nothing ever deletes an alert"
        response.headers["ETag"] = tag_of(after["rev"])
        return AlertRow.model_validate(after)


async def _do(
    connection: AsyncConnection,
    room: Room,
    who: Actor,
    id_: bytes,
    name: str,
    said: Said,
    *,
    rev: int,
    state: str,
) -> Acted | NotMoved | None:
    now_ms = room.now_ms()
    event = EVENTS.get(name)
    if name == "resolve" and state == State.CLEARED_UNACKED.value and said.outcome:
        event = Event.ACK  # it is over, and now it is known what it was: that closes it
    if event is None:
        owner = {"take": who.user_id, "assign": said.to or None}.get(name)
        mark = Mark(
            what=name,
            by=who.user_id,
            reason=said.reason or (said.to if name == "dispatch" else ""),
            owner=owner,
            outcome=said.outcome or None,
        )
        case = await incidents.by_alert(
            connection, id_, mark, now_ms, rev=rev, is_supervisor=who.role is Role.SUPERVISOR
        )
        if isinstance(case, NotMoved):
            return case
        if case is not None:
            return await alert_acts.acted(connection, id_)
        return await alert_acts.mark(connection, id_, mark, now_ms, rev=rev)
    act = Act(
        event=event,
        by=who.user_id,
        is_supervisor=who.role is Role.SUPERVISOR,
        reason=said.reason,
        outcome=said.outcome,
        until_ms=_until(said, now_ms),
    )
    return await alert_acts.act(connection, id_, act, now_ms, rev=rev)


def _until(said: Said, now_ms: int) -> int | None:
    return said.until if said.for_s is None else now_ms + said.for_s * 1_000


async def _ack_group(
    connection: AsyncConnection, room: Room, who: Actor, group: Group
) -> GroupDone:
    """Each on its own; of those that cannot be acknowledged the reasons are said beside the rows."""
    refused: list[dict[str, str]] = []
    before = [
        await _row(connection, room, bytes.fromhex(one.id), who.scope) for one in group.alerts
    ]
    known = [row for row in before if row is not None]
    if len({row["code"] for row in known}) > 1:
        raise ProblemError(
            status=422, code="many_causes", title="Many causes", detail="alerts of one code only"
        )
    if any(row["prio"] == 1 for row in known):
        raise ProblemError(
            status=409,
            code="critical_alone",
            title="Critical alone",
            detail="a critical alert is acknowledged by itself",
        )
    rows = []
    for one, row in zip(group.alerts, before, strict=True):
        done: NotMoved | Acted | None = None
        if row is not None:
            act = Act(event=Event.ACK, by=who.user_id)
            id_ = bytes.fromhex(one.id)
            done = await alert_acts.act(connection, id_, act, room.now_ms(), rev=one.rev)
        if done is None:
            refused.append({"id": one.id, "code": "no_such_alert", "detail": "no such alert"})
            continue
        if isinstance(done, NotMoved):
            refused.append({"id": one.id, "code": done.code, "detail": done.hint})
        after = await _row(connection, room, bytes.fromhex(one.id), who.scope)
        rows.append(after)
    return GroupDone.model_validate({"rows": rows, "refused": refused})


async def _row(
    connection: AsyncConnection, room: Room, id_: bytes, scope: str
) -> dict[str, Any] | None:
    found = await alert_reads.one(connection, id_, scope)
    if found is None:
        return None
    (row,) = await rows_of(connection, [found], room.places, room.now_ms())
    return row


def _refusal(refused: NotMoved, row: dict[str, Any]) -> Exception:
    status = STATUS.get(refused.code, 422)
    if status == 412:
        return StaleError(row, refused.hint)
    return ProblemError(
        status=status,
        code=refused.code,
        title=refused.code.replace("_", " ").capitalize(),
        detail=refused.hint,
    )


async def _on_stale(_request: Request, error: Exception) -> Response:
    """412 with the row as it is, so that the screen need not ask."""
    assert isinstance(error, StaleError)
    problem = problem_of(412, "stale", "Changed meanwhile", error.hint)
    return JSONResponse(
        {**problem.model_dump(), "alert": error.row},
        status_code=412,
        media_type="application/problem+json",
        headers={"ETag": tag_of(error.row["rev"])},
    )
