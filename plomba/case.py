"""`plomba case`: what people make of one alert or several, from opening to review (DETECTION section 9, Case).

Law: a command asks `collector.cases`; what it refuses is said with what would be possible.
"""

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from plomba import exits
from plomba.alert_act import (
    IdArgument,
    OutcomeOption,
    ReasonOption,
    digits_of,
    is_supervisor,
    none_or_many,
    refuse,
    stamp,
)
from plomba.centre import (
    DATA,
    DataOption,
    JsonOption,
    Row,
    actor,
    change_store,
    fail,
    read_store,
    say_json,
    say_table,
)
from plomba.language import LangOption, language_of

if TYPE_CHECKING:
    from pathlib import Path

    from collector.alerts import NotMoved
    from collector.cases import CaseEvent
    from collector.store.database import Store
    from collector.store.incidents import Case

COLUMNS = ("case", "state", "alerts", "assignee", "crew", "outcome", "opened", "changed")
HISTORY = ("at", "act", "state", "by", "to", "outcome", "why")

NumberArgument = Annotated[
    int, typer.Argument(help="The number of the case.", min=1, show_default=False)
]
SeenOption = Annotated[
    int | None,
    typer.Option("--seen", help="The version that you have seen: refused if it has moved since."),
]


def list_cases(
    everything: Annotated[bool, typer.Option("--all", help="With the resolved ones.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Rows at most.")] = 200,
    lang: LangOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """List cases, those that moved last first."""

    async def read(store: "Store", now_ms: int) -> "list[Case]":
        from collector.store import incidents

        del now_ms
        async with store.read() as connection:
            return await incidents.listed(connection, open_only=not everything, limit=limit)

    found = read_store(data_dir, read)
    if as_json:
        say_json(_row(case) for case in found)
        return
    from collector.texts.catalogue import text

    language = language_of(lang)
    say_table(
        COLUMNS,
        (
            [
                case.number,
                text(f"case.{case.state.value}", language),
                len(case.alerts),
                case.assignee,
                case.crew,
                case.outcome,
                stamp(case.opened_ms),
                stamp(case.changed_ms),
            ]
            for case in found
        ),
    )


def show(
    case: NumberArgument,
    lang: LangOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Show one case with its alerts and all that was done: by whom, when and why."""

    async def read(store: "Store", now_ms: int) -> "tuple[Case | None, list[Row]]":
        from collector.store import incidents

        del now_ms
        async with store.read() as connection:
            found = await incidents.read(connection, case)
            acts = await incidents.acts_of(connection, case)
        return found, [
            {
                "version": row.version,
                "at": stamp(row.at_ms),
                "act": row.act,
                "state": row.state,
                "by": row.who,
                "to": row.whom or (row.alert_id.hex() if row.alert_id else ""),
                "outcome": row.outcome,
                "why": row.why,
            }
            for row in acts
        ]

    found, acts = read_store(data_dir, read)
    if found is None:
        _no_case(case)
    if as_json:
        say_json([_row(found) | {"history": acts}])
        return
    from collector.texts.catalogue import text

    language = language_of(lang)
    typer.echo(_line(found, text(f"case.{found.state.value}", language)))
    for id_ in found.alerts:
        typer.echo(f"  alert {id_.hex()}")
    say_table(HISTORY, ([row[name] for name in HISTORY] for row in acts))


def open_case(alert: IdArgument, as_json: JsonOption = False, data_dir: DataOption = DATA) -> None:
    """Open a case for an alert, or show the one that it has."""
    by = actor()

    async def write(store: "Store", now_ms: int) -> "Case | int":
        from collector.store import alert_acts, incidents

        async with store.write() as connection:
            found = await alert_acts.find(connection, digits_of(alert))
            if len(found) != 1:
                return len(found)
            opened = await incidents.open_case(connection, found[0], by, now_ms)
            return 0 if opened is None else opened

    done = change_store(data_dir, write)
    if isinstance(done, int):
        none_or_many(alert, done)
        return
    _say(done, as_json=as_json)


def join(
    case: NumberArgument,
    alert: IdArgument,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Put another alert into a case: one incident, one case."""
    by = actor()

    async def write(store: "Store", now_ms: int) -> "Case | NotMoved | int | None":
        from collector.store import alert_acts, incidents

        async with store.write() as connection:
            found = await alert_acts.find(connection, digits_of(alert))
            if len(found) != 1:
                return len(found)
            return await incidents.join(connection, case, found[0], by, now_ms)

    done = change_store(data_dir, write)
    if isinstance(done, int):
        none_or_many(alert, done)
        return
    _told(case, done, as_json=as_json)


def assign(
    case: NumberArgument,
    to: Annotated[str, typer.Option("--to", help="The person who has it now.")] = "",
    seen: SeenOption = None,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Give a case to a person."""
    from collector.cases import CaseEvent

    _do(case, CaseEvent.ASSIGN, data_dir, as_json=as_json, whom=to, seen=seen)


def dispatch(
    case: NumberArgument,
    to: Annotated[str, typer.Option("--to", help="The crew or post that is sent.")] = "",
    reason: ReasonOption = "",
    seen: SeenOption = None,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Send a crew or post."""
    from collector.cases import CaseEvent

    _do(case, CaseEvent.DISPATCH, data_dir, as_json=as_json, whom=to, reason=reason, seen=seen)


def recall(
    case: NumberArgument,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Call the crew off."""
    from collector.cases import CaseEvent

    _do(case, CaseEvent.RECALL, data_dir, as_json=as_json, reason=reason)


def arrive(
    case: NumberArgument,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """The crew is on site."""
    from collector.cases import CaseEvent

    _do(case, CaseEvent.ARRIVE, data_dir, as_json=as_json, reason=reason)


def resolve(
    case: NumberArgument,
    outcome: OutcomeOption = "",
    reason: ReasonOption = "",
    seen: SeenOption = None,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Say what it turned out to be; it becomes the label of each alert of the case."""
    from collector.cases import CaseEvent

    _do(
        case,
        CaseEvent.RESOLVE,
        data_dir,
        as_json=as_json,
        outcome=outcome,
        reason=reason,
        seen=seen,
    )


def review(
    case: NumberArgument,
    reason: ReasonOption = "",
    seen: SeenOption = None,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Confirm an outcome. A supervisor, and another person than the one who gave it."""
    from collector.cases import CaseEvent

    _do(case, CaseEvent.REVIEW, data_dir, as_json=as_json, reason=reason, seen=seen)


def reopen(
    case: NumberArgument,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Open a reviewed case again, with a reason. A supervisor."""
    from collector.cases import CaseEvent

    _do(case, CaseEvent.REOPEN, data_dir, as_json=as_json, reason=reason)


def _do(
    number: int,
    event: "CaseEvent",
    data_dir: "Path",
    *,
    as_json: bool,
    whom: str = "",
    reason: str = "",
    outcome: str = "",
    seen: int | None = None,
) -> None:
    from collector.cases import CaseAct

    done = CaseAct(
        event=event,
        by=actor(),
        is_supervisor=is_supervisor(),
        whom=whom,
        reason=reason,
        outcome=outcome,
        seen=seen,
    )

    async def write(store: "Store", now_ms: int) -> "Case | NotMoved | None":
        from collector.store import incidents

        async with store.write() as connection:
            return await incidents.act(connection, number, done, now_ms)

    _told(number, change_store(data_dir, write), as_json=as_json)


def _told(number: int, done: "Case | NotMoved | None", *, as_json: bool) -> None:
    from collector.alerts import NotMoved

    if done is None:
        _no_case(number)
    if isinstance(done, NotMoved):
        refuse(done)
    _say(done, as_json=as_json)


def _say(case: "Case", *, as_json: bool) -> None:
    if as_json:
        say_json([_row(case)])
    else:
        typer.echo(_line(case, case.state.value))


def _line(case: "Case", state: str) -> str:
    words = [f"case {case.number} is {state}, version {case.version}"]
    if case.assignee is not None:
        words.append(f"in hand of {case.assignee}")
    if case.crew is not None:
        words.append(f"sent: {case.crew}")
    if case.outcome is not None:
        words.append(f"{case.outcome} by {case.resolved_by}")
    return ", ".join(words)


def _row(case: "Case") -> Row:
    return {
        "case": case.number,
        "state": case.state.value,
        "version": case.version,
        "opened": stamp(case.opened_ms),
        "opened_by": case.opened_by,
        "changed": stamp(case.changed_ms),
        "assignee": case.assignee,
        "crew": case.crew,
        "outcome": case.outcome,
        "resolved_by": case.resolved_by,
        "alerts": [id_.hex() for id_ in case.alerts],
    }


def _no_case(number: int) -> NoReturn:
    fail(exits.NOT_FOUND, f"there is no case {number}: plomba case list --all shows them")
