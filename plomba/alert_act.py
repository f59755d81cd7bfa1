"""`plomba alert ack`, `take`, `shelve` ...: what a person does about an alert, kept with who, when and why (DETECTION section 9).

Law: a command asks `collector.alerts`; what it refuses is said with what would be possible. Who is logged in by an account acts over the
API (`alert_api`); else the user of this machine acts on its store.
"""

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from plomba import exits
from plomba.alert_api import act, desk_of
from plomba.centre import (
    DATA,
    DataOption,
    JsonOption,
    Row,
    actor,
    fail,
    one_of,
    read_store,
    say_json,
    say_table,
    span_ms,
    write_store,
)
from plomba.language import LangOption, language_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Row as SqlRow

    from collector.alerts import Event, NotMoved
    from collector.store.alert_acts import Acted
    from collector.store.database import Store

ID_DIGITS_MIN = 6
API_NAMES = {  # an event of `collector.alerts`, and its route
    "ack": "ack",
    "shelve": "shelve",
    "end": "unshelve",
    "reset": "reset",
    "second": "second",
    "take_out": "take-out",
}
SUPERVISORS = "plomba-supervisor"  # a group of the operating system: no account acts on a store
USAGE_CODES = frozenset({"no_reason", "no_outcome", "no_name", "bad_until", "long_reason"})
DENIED_CODES = frozenset({"not_allowed", "same_person", "never_shelved"})


def _outcomes(incomplete: str) -> list[str]:
    from collector.alerts import OUTCOMES

    return one_of(*OUTCOMES)(incomplete)


IdArgument = Annotated[
    str, typer.Argument(help="Its id, or its first 6 digits or more.", show_default=False)
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the alert.")]
OutcomeOption = Annotated[
    str,
    typer.Option(
        "--outcome",
        help="What it turned out to be, e.g. TRUE_VIOLATION, FALSE.",
        autocompletion=_outcomes,
    ),
]
ForOption = Annotated[str, typer.Option("--for", help="How long: 30min, 4h, 2d.")]
SeenOption = Annotated[
    int | None,
    typer.Option(
        "--seen", help="The number of times that you have seen: refused if it was told again."
    ),
]


def ack(
    alert: IdArgument,
    reason: ReasonOption = "",
    outcome: OutcomeOption = "",
    seen: SeenOption = None,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Acknowledge: I have seen it. One that is over is closed by this."""
    from collector.alerts import Event

    _do(alert, Event.ACK, data_dir, as_json=as_json, reason=reason, outcome=outcome, seen=seen)


def shelve(
    alert: IdArgument,
    reason: ReasonOption = "",
    for_: ForOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Put aside with a reason: a P2 for an hour, a P3 for four at most, a P1 never. It comes back by itself."""
    from collector.alerts import Event

    _do(alert, Event.SHELVE, data_dir, as_json=as_json, reason=reason, for_=for_)


def unshelve(
    alert: IdArgument,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Bring back what is shelved, suppressed or out of service, or refuse a proposal to close."""
    from collector.alerts import Event

    _do(alert, Event.END, data_dir, as_json=as_json, reason=reason)


def reset(
    alert: IdArgument,
    outcome: OutcomeOption = "",
    reason: ReasonOption = "",
    seen: SeenOption = None,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Propose to close a latched alert, with its outcome: another person confirms within half an hour."""
    from collector.alerts import Event

    _do(alert, Event.RESET, data_dir, as_json=as_json, reason=reason, outcome=outcome, seen=seen)


def second(
    alert: IdArgument,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Confirm that a latched alert closes. Another person than the one who proposed it, a supervisor."""
    from collector.alerts import Event

    _do(alert, Event.SECOND, data_dir, as_json=as_json, reason=reason)


def suppress(
    alert: IdArgument,
    reason: ReasonOption = "",
    for_: ForOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Keep it from sounding for a time, e.g. during a test. What happens is recorded all the same."""
    from collector.alerts import Event

    _do(alert, Event.SUPPRESS, data_dir, as_json=as_json, reason=reason, for_=for_)


def take_out(
    alert: IdArgument,
    reason: ReasonOption = "",
    for_: ForOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Take it out of service until a date. For a P1 a supervisor does."""
    from collector.alerts import Event

    _do(alert, Event.TAKE_OUT, data_dir, as_json=as_json, reason=reason, for_=for_)


def take(alert: IdArgument, as_json: JsonOption = False, data_dir: DataOption = DATA) -> None:
    """Take it in hand: everybody sees who has it."""
    centre = desk_of(data_dir)
    if centre is not None:
        _say_row(_row_of(act(centre, digits_of(alert), "take")), as_json=as_json)
        return
    from collector.alerts import NotMoved

    async def write(store: "Store", now_ms: int) -> "Acted | NotMoved | int | None":
        from collector.store import alert_acts

        async with store.write() as connection:
            found = await alert_acts.find(connection, digits_of(alert))
            if len(found) != 1:
                return len(found)
            return await alert_acts.take(connection, found[0], actor(), now_ms)

    done = write_store(data_dir, write)
    if isinstance(done, NotMoved):
        refuse(done)
    _say(alert, done, as_json=as_json)


def resolve(
    alert: IdArgument,
    outcome: OutcomeOption = "",
    reason: ReasonOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Say what it turned out to be, by an account that is logged in: it needs an outcome."""
    centre = desk_of(data_dir)
    if centre is None:
        fail(exits.NOT_ALLOWED, "log in with an account first: plomba login; or use plomba case")
    row = act(centre, digits_of(alert), "resolve", outcome=outcome, reason=reason)
    _say_row(_row_of(row), as_json=as_json)


def history(
    alert: IdArgument,
    lang: LangOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Show all that was done to an alert: by whom, when and why."""
    from collector.texts.alerts import name

    language = language_of(lang)

    async def read(store: "Store", now_ms: int) -> "tuple[str, str, list[Row]] | int":
        from collector.store import alert_acts

        del now_ms
        async with store.read() as connection:
            found = await alert_acts.find(connection, digits_of(alert))
            if len(found) != 1:
                return len(found)
            told = await alert_acts.told(connection, found[0])
            return told.alert.code, told.alert.unit, history_rows(told.acts)

    found = read_store(data_dir, read)
    if isinstance(found, int):
        none_or_many(alert, found)
        return
    code, unit, rows = found
    if as_json:
        say_json({**row, "code": code, "name": name(code, language)} for row in rows)
        return
    typer.echo(f"{name(code, language)} ({code}), {unit or '-'}")
    say_history(rows, language)


def history_rows(acts: "Sequence[SqlRow[Any]]") -> list[Row]:
    """The history of an alert, as JSON has it."""
    return [
        {
            "at": stamp(row.at_ms),
            "act": row.act,
            "state": row.state,
            "by": row.who,
            "why": row.why,
            "outcome": row.outcome,
            "until": None if row.until_ms is None else stamp(row.until_ms),
        }
        for row in acts
    ]


def say_history(rows: "Sequence[Row]", language: str) -> None:
    from collector.texts.catalogue import text

    names = ("at", "act", "state", "by", "why", "outcome", "until")
    say_table(
        names,
        (
            [
                text(f"state.{row[name]}", language) if name == "state" else row[name]
                for name in names
            ]
            for row in rows
        ),
    )


def load(
    since: Annotated[str, typer.Option("--since", help="How far back: 30min, 12h, 7d.")] = "7d",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """How heavy the alarms lie on the desk: rates, floods, chatter, stale ones, time to acknowledge, precision."""
    from dataclasses import asdict

    from collector.alarm_load import Load, load_of

    back_ms = span_ms(since)

    async def read(store: "Store", now_ms: int) -> Load:
        from collector.store import alert_acts, incidents

        async with store.read() as connection:
            moves = await alert_acts.moves_since(connection, now_ms - back_ms)
            hours = await incidents.vehicle_hours(connection, now_ms - back_ms, now_ms)
        return load_of(moves, begin_ms=now_ms - back_ms, end_ms=now_ms, vehicle_hours=hours)

    found = asdict(read_store(data_dir, read))
    if as_json:
        say_json([{"since": since, **found}])
        return
    from plomba.bench import lines_of

    for line in lines_of(found):
        typer.echo(line)


def _do(
    digits: str,
    event: "Event",
    data_dir: "Path",
    *,
    as_json: bool,
    reason: str = "",
    outcome: str = "",
    for_: str = "",
    seen: int | None = None,
) -> None:
    from collector.alerts import Act, NotMoved

    rest_ms = span_ms(for_) if for_ else None
    centre = desk_of(data_dir)
    if centre is not None and event.value in API_NAMES:
        rest_s = None if rest_ms is None else rest_ms // 1_000
        said = {"reason": reason, "outcome": outcome, "for_s": rest_s}
        row = act(centre, digits_of(digits), API_NAMES[event.value], seen=seen, **said)
        _say_row(_row_of(row), as_json=as_json)
        return
    if centre is not None and os.environ.get("PLOMBA_API"):
        fail(
            exits.NOT_ALLOWED,
            f"{event.value}: only on the collector's own machine, without PLOMBA_API",
        )
    by, may_second = actor(), is_supervisor()

    async def write(store: "Store", now_ms: int) -> "Acted | NotMoved | int | None":
        from collector.store import alert_acts

        async with store.write() as connection:
            found = await alert_acts.find(connection, digits_of(digits))
            if len(found) != 1:
                return len(found)
            done = Act(
                event=event,
                by=by,
                is_supervisor=may_second,
                reason=reason,
                outcome=outcome,
                until_ms=None if rest_ms is None else now_ms + rest_ms,
                seen=seen,
            )
            return await alert_acts.act(connection, found[0], done, now_ms)

    done = write_store(data_dir, write)
    if isinstance(done, NotMoved):
        refuse(done)
    _say(digits, done, as_json=as_json)


def refuse(refused: "NotMoved") -> NoReturn:
    """Why nothing was done, with the exit that tells a wrong word from a missing right."""
    code = exits.FAILED
    if refused.code in USAGE_CODES:
        code = exits.USAGE
    elif refused.code in DENIED_CODES:
        code = exits.NOT_ALLOWED
    fail(code, f"nothing is changed, {refused.code}: {refused.hint}")


def _say(digits: str, done: "Acted | int | None", *, as_json: bool) -> None:
    if done is None or isinstance(done, int):
        none_or_many(digits, done or 0)
        return
    row: Row = {
        "id": done.id.hex(),
        "code": done.code,
        "unit": done.unit,
        "state": done.state.value,
        "owner": done.owner,
        "until": None if done.until_ms is None else stamp(done.until_ms),
    }
    _say_row(row, as_json=as_json)


def _say_row(row: Row, *, as_json: bool) -> None:
    if as_json:
        say_json([row])
        return
    until = "" if row["until"] is None else f" until {row['until']}"
    owner = "" if row["owner"] is None else f", in hand of {row['owner']}"
    typer.echo(
        f"{row['code']} of {row['unit'] or 'no single unit'} is {row['state']}{until}{owner}"
    )


def _row_of(row: Row) -> Row:
    """A row of the API, as the commands say it."""
    until = row["until"]
    return {
        **{name: row[name] for name in ("id", "code", "unit")},
        "state": row["stage"],
        "owner": row["owner"],
        "until": stamp(until) if isinstance(until, int) else None,
    }


def none_or_many(digits: str, found: int) -> None:
    if found:
        fail(exits.USAGE, f"several alerts begin with {digits}: give more digits")
    fail(exits.NOT_FOUND, f"no alert begins with {digits}: plomba alert list shows their ids")


def digits_of(text: str) -> str:
    digits = text.lower()
    if not ID_DIGITS_MIN <= len(digits) <= 32 or not set(digits) <= set("0123456789abcdef"):
        fail(exits.USAGE, f"{text!r} is no id of an alert: 6 to 32 hex digits")
    return digits


def stamp(t_ms: int) -> str:
    return f"{datetime.fromtimestamp(t_ms // 1_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def is_supervisor() -> bool:
    """Root, and who is in the group `plomba-supervisor`."""
    import grp

    if os.getuid() == 0:
        return True
    try:
        return grp.getgrnam(SUPERVISORS).gr_gid in os.getgroups()
    except KeyError:
        return False
