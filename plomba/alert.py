"""`plomba alert`: what is wrong, as the collector shows it (DETECTION section 8)."""

from typing import Annotated

import typer

from plomba.centre import (
    DATA,
    ApiOption,
    Centre,
    DataOption,
    JsonOption,
    Row,
    one_of,
    place,
    say_json,
    say_table,
    watch_table,
)
from plomba.language import LangOption, language_of

ID_DIGITS = 8  # that `plomba alert ack` takes; a year of alerts has no two alike
COLUMNS = (
    "",
    "id",
    "code",
    "name",
    "unit",
    "at",
    "state",
    "more",
    "owner",
    "late",
    "where",
    "value",
)

ViewOption = Annotated[
    str,
    typer.Option(
        "--view",
        help="active, mine, shelved, events, or all with the closed ones.",
        autocompletion=one_of("active", "mine", "shelved", "events", "all"),
    ),
]
UnitOption = Annotated[str, typer.Option("--unit", help="Only of this unit.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Rows at most.")]


def list_alerts(
    view: ViewOption = "active",
    unit: UnitOption = "",
    limit: LimitOption = 200,
    lang: LangOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    api: ApiOption = "",
) -> None:
    """List alerts in the order of the control room; with --view all the newest first."""
    rows = _rows(Centre(data_dir, api), view, unit, limit, language_of(lang))
    if as_json:
        say_json(rows)
    else:
        say_table(COLUMNS, map(_cells, rows))


def watch(
    view: ViewOption = "active",
    unit: UnitOption = "",
    limit: LimitOption = 40,
    lang: LangOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    api: ApiOption = "",
) -> None:
    """Show alerts as they come and change, until Ctrl-C. With --json: a line for each that is new or changed."""
    language = language_of(lang)
    centre = Centre(data_dir, api)
    changes = centre.changes("alert")
    if not as_json:
        watch_table(
            COLUMNS, changes, lambda: map(_cells, _rows(centre, view, unit, limit, language))
        )
        return
    seen: dict[object, object] = {}
    for _ in changes:
        rows = _rows(centre, view, unit, limit, language)
        say_json(row for row in reversed(rows) if seen.get(row["id"]) != row["rev"])
        seen = {row["id"]: row["rev"] for row in rows}


def _rows(centre: Centre, view: str, unit: str, limit: int, language: str) -> list[Row]:
    from collector.texts.alerts import name

    rows = centre.pages("/alerts", "rows", rows_max=limit, view=view, unit=unit)
    return [{**row, "name": name(str(row["code"]), language)} for row in rows]


def _cells(row: Row) -> tuple[object, ...]:
    said = row["p"]
    assert isinstance(said, dict)
    subject = said["zone"] or said["route"] or said["seal"]
    at = stamp(row["since"])
    return (
        f"P{row['prio']}" if row["prio"] else "",
        str(row["id"])[:ID_DIGITS],
        row["code"],
        row["name"],
        row["unit"],
        f"{at} restated" if row["said_at"] is not None else at,
        row["stage"],
        f"+{row['more']}" if row["more"] else "",
        row["owner"],
        "unconfirmed" if row["early"] else "late" if row["late"] else "",
        subject if subject is not None else place(row),
        said["value"],
    )


def stamp(at_ms: object) -> str:
    """Milliseconds as RFC 3339."""
    from collector.api.times import rfc3339

    assert isinstance(at_ms, int)
    return rfc3339(at_ms)
