"""`plomba alert show` and `catalogue`: an alert told whole, and all that an alert can be (DETECTION section 8).

Law: the words are `collector.texts`'; here they are only laid out.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plomba.alert_act import IdArgument, digits_of, history_rows, none_or_many, say_history, stamp
from plomba.centre import (
    DATA,
    DataOption,
    JsonOption,
    Row,
    place,
    read_store,
    say_json,
    say_table,
)
from plomba.language import LangOption, language_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row as SqlRow, Select

    from collector.store.database import Store


def show(
    alert: IdArgument,
    lang: LangOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Show one alert: what happened, why perhaps, what to do and how fast, its findings and its history."""
    language = language_of(lang)

    async def read(store: "Store", now_ms: int) -> "Row | int":
        from collector.store import alert_acts, alert_reads

        del now_ms
        async with store.read() as connection:
            found = await alert_acts.find(connection, digits_of(alert))
            if len(found) != 1:
                return len(found)

            async def ask(statement: "Select[Any]") -> "Sequence[SqlRow[Any]]":
                return (await connection.execute(statement)).all()

            from collector.api.restated import shifts_of
            from collector.store import notifications

            told = await alert_acts.told(connection, found[0])
            waits_ms = await alert_reads.unconfirmed_since(connection, found[0])
            shifts = (await shifts_of(ask, [told.alert.unit])).get(told.alert.unit, [])
            sent = await notifications.letters(connection, alert_id=found[0])
            return _whole(told, shifts, language) | {
                "unconfirmed_since": None if waits_ms is None else stamp(waits_ms),
                "messages": [message_row(one) for one in sent],
            }

    found = read_store(data_dir, read)
    if isinstance(found, int):
        none_or_many(alert, found)
    elif as_json:
        say_json([found])
    else:
        _say(found, language)


def message_row(row: "SqlRow[Any]") -> Row:
    """A message about an alert, as JSON has it."""
    return {
        "alert": row.alert_id.hex(),
        "code": row.code,
        "unit": row.unit,
        "step": row.step,
        "target": row.target,
        "state": row.state,
        "due": stamp(row.due_ms),
        "changed": stamp(row.changed_ms),
        "tries": row.tries,
        "why": row.why,
    }


def say_messages(rows: "Sequence[Row]") -> None:
    names = ("code", "unit", "step", "target", "state", "due", "changed", "tries", "why")
    say_table(names, ([row[name] for name in names] for row in rows))


def catalogue(
    lang: LangOption = "",
    write: Annotated[
        Path | None,
        typer.Option(help="Write the page in all languages there, as docs/ALERTS.md."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List every alert that there can be: priority, name, what to do."""
    from collector.texts.alerts import CODES, MINUTES, entry
    from collector.texts.page import page

    language = language_of(lang)
    if write is not None:
        write.write_text(page(), encoding="utf-8")
        return
    entries = [entry(code, language) for code in CODES]
    if as_json:
        say_json(
            {
                "code": one.code,
                "name": one.name,
                "priorities": [priority.value for priority in one.priorities],
                "minutes": [MINUTES[priority] for priority in one.priorities],
                "latched": one.is_latched,
                "what": one.what,
                "cause": one.cause,
                "do": one.do,
            }
            for one in entries
        )
        return
    say_table(
        ("", "code", "name", "what to do"),
        ((one.priorities[0].value, one.code, one.name, one.do) for one in entries),
    )


def _whole(told: Any, shifts: Any, language: str) -> Row:  # noqa: ANN401  # rows of the store
    from collector.detect import Priority
    from collector.texts.alerts import CODES, MINUTES, entry, name

    row = told.alert
    findings = [_finding(one, shifts, language) for one in told.findings]
    newest = next((one for one in findings if one["n"] == row.last_n), None)
    known = entry(row.code, language) if row.code in CODES else None
    return {
        "id": row.id.hex(),
        "code": row.code,
        "name": name(row.code, language),
        "priority": row.priority,
        "minutes": MINUTES[Priority(row.priority)],
        "state": row.state,
        "unit": row.unit,
        "count": row._mapping["count"],  # noqa: SLF001 - the public name of a row as a mapping; a row has a method `count`
        "owner": row.owner,
        "outcome": row.outcome,
        "sentence": None if newest is None else newest["sentence"],
        "cause": None if known is None else known.cause,
        "do": None if known is None else known.do,
        "findings": findings,
        "history": history_rows(told.acts),
    }


def _finding(row: "SqlRow[Any]", shifts: Any, language: str) -> Row:  # noqa: ANN401  # as above
    from collector.api.restated import finding_ms
    from collector.api.times import rfc3339
    from collector.detect import Phase
    from collector.store import spell
    from collector.texts.alerts import sentence

    value, data = spell.read(row.detail)
    at_ms = finding_ms(shifts, chain=row.chain, seq=row.seq, number=row.number, at_ms=row.at_ms)
    return {
        "n": row.n,
        "at": rfc3339(at_ms),
        "said_at": None if at_ms == row.at_ms else rfc3339(row.at_ms),
        "phase": row.phase,
        "priority": row.priority,
        "late": row.late,
        "lat": None if row.lat_e7 is None else row.lat_e7 / 1e7,
        "lon": None if row.lon_e7 is None else row.lon_e7 / 1e7,
        "value": value,
        "sentence": sentence(
            row.code,
            language,
            value=value,
            data=data,
            unit=row.unit,
            seal=row.seal,
            zone=row.zone,
            route=row.route,
            phase=Phase(row.phase),
        ),
    }


def _say(found: Row, language: str) -> None:
    from collector.detect import Priority
    from collector.texts.alerts import answer
    from collector.texts.catalogue import text

    priority = str(found["priority"])
    typer.echo(f"{priority}  {found['name']}  {found['code']}  {found['id']}")
    lines = (
        ("what", found["sentence"]),
        ("cause", found["cause"]),
        ("do", found["do"]),
        ("answer", answer(Priority(priority), language)),
        ("state", text(f"state.{found['state']}", language)),
        ("times", found["count"]),
        ("owner", found["owner"]),
    )
    for label, said in lines:
        if said is not None:
            typer.echo(f"{text(f'label.{label}', language)}: {said}")
    if found["unconfirmed_since"] is not None:
        early, why = text("room.early", language), text("room.early-told", language)
        typer.echo(f"{early}: {found['unconfirmed_since']} {why}")
    findings, acts = found["findings"], found["history"]
    assert isinstance(findings, list)
    assert isinstance(acts, list)
    typer.echo(f"\n{text('label.findings', language)}")
    say_table(
        ("", "at", "phase", "late", "place", ""),
        (
            (
                one["priority"],
                f"{one['at']} restated" if one["said_at"] else one["at"],
                one["phase"],
                "late" if one["late"] else "",
                place(one),
                one["sentence"],
            )
            for one in findings
        ),
    )
    typer.echo(f"\n{text('label.history', language)}")
    say_history(acts, language)
    messages = found["messages"]
    assert isinstance(messages, list)
    if messages:
        typer.echo(f"\n{text('label.messages', language)}")
        say_messages(messages)
