"""A desk is handed over, over HTTP (CONSOLE section 3).

Law: refused while a critical alert is un-acknowledged; two persons, both at the desk, and never the same one twice.
"""

from typing import Annotated

from fastapi import FastAPI, Path
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.api.alert_models import AlertRow
from collector.api.alert_rows import rows_of
from collector.api.alerts import Room
from collector.api.auth import Who
from collector.api.models import Answer
from collector.api.problems import ProblemError, not_found
from collector.people import Actor
from collector.persons import same_person
from collector.store import alert_reads, shifts
from collector.store.shifts import NOTE_CHARS_MAX, Handover


class Signed(Answer):
    note: str = Field(default="", max_length=NOTE_CHARS_MAX)


class Page(Answer):
    """What the next person finds: the page fills itself."""

    desk: str
    open: list[AlertRow] = Field(description="in the order of the queue")
    shelved: list[AlertRow] = Field(description="each with its end")
    out: list[AlertRow] = Field(description="out of service")
    critical: int = Field(description="un-acknowledged: with one of these nobody hands over")
    newest: "HandoverRow | None" = Field(description="the last hand-over of the desk")


class HandoverRow(Answer):
    number: int
    desk: str
    at: int = Field(description="when it was signed, milliseconds")
    outgoing: str
    note: str
    incoming: str | None = Field(description="null: it waits to be confirmed")
    confirmed: int | None
    open: list[str] = Field(description="ids of alerts that stood open then")
    shelved: list[str]
    out: list[str]


def add_handover(api: FastAPI, room: Room) -> None:
    """The three routes of a hand-over."""

    @api.get("/api/v1/handover", tags=["alerts"], summary="What a desk hands over now")
    async def look(who: Who) -> Page:
        async with room.store.read() as connection:
            desk, scope = await _desk(connection, who)
            kinds = await shifts.page_of(connection, scope)
            newest = await shifts.newest(connection, desk)
            rows = {
                name: [
                    AlertRow.model_validate(row)
                    for row in await rows_of(connection, found, room.places, room.now_ms())
                ]
                for name, found in kinds.items()
            }
            return Page(
                desk=desk,
                critical=await shifts.critical_calls(connection, scope),
                newest=None if newest is None else _row(newest),
                **rows,
            )

    @api.post("/api/v1/handover", tags=["alerts"], summary="Sign: the outgoing person")
    async def sign(who: Who, signed: Signed) -> HandoverRow:
        async with room.store.write() as connection:
            desk, scope = await _desk(connection, who)
            calls = await shifts.critical_calls(connection, scope)
            if calls:
                raise _conflict(
                    "critical_open", f"{calls} critical alerts are not acknowledged: see to them"
                )
            kinds = await shifts.page_of(connection, scope)
            page = {name: [row.id.hex() for row in found] for name, found in kinds.items()}
            made = await shifts.sign(
                connection,
                desk,
                scope,
                by=who.user_id,
                note=signed.note,
                page=page,
                now_ms=room.now_ms(),
            )
        return _row(made)

    @api.post(
        "/api/v1/handover/{number}/confirm", tags=["alerts"], summary="Confirm: the incoming person"
    )
    async def confirm(who: Who, number: Annotated[int, Path(ge=1, lt=2**53)]) -> HandoverRow:
        async with room.store.write() as connection:
            desk, _ = await _desk(connection, who)
            newest = await shifts.newest(connection, desk)
            if newest is None or newest.number != number:
                raise not_found("handover", "it is not the newest hand-over of your desk")
            if newest.confirmed_ms is not None:
                raise _conflict("confirmed", f"{newest.incoming} has confirmed it already")
            if same_person(newest.outgoing, who.user_id):
                raise _conflict("same_person", "another person takes over what you have signed")
            await shifts.confirm(connection, number, who.user_id, room.now_ms())
            after = await shifts.newest(connection, desk)
        assert after is not None, "nothing ever deletes a hand-over"
        return _row(after)


async def _desk(connection: AsyncConnection, who: Actor) -> tuple[str, str]:
    """The desk at which somebody sits, and its scope."""
    scope = await alert_reads.scope_of_desk(connection, who.desk, who.scope) if who.desk else None
    if scope is None:
        raise _conflict("no_desk", "you sit at no desk: log in at one")
    return who.desk, scope


def _conflict(code: str, detail: str) -> ProblemError:
    return ProblemError(
        status=409, code=code, title=code.replace("_", " ").capitalize(), detail=detail
    )


def _row(handover: Handover) -> HandoverRow:
    return HandoverRow(
        number=handover.number,
        desk=handover.desk,
        at=handover.at_ms,
        outgoing=handover.outgoing,
        note=handover.note,
        incoming=handover.incoming,
        confirmed=handover.confirmed_ms,
        open=handover.page["open"],
        shelved=handover.page["shelved"],
        out=handover.page["out"],
    )
