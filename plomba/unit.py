"""`plomba unit`: who is known, where they are, and letting a new one in."""

from hashlib import sha256
from typing import Annotated

import typer

from plomba import exits
from plomba.centre import (
    DATA,
    ApiOption,
    Centre,
    DataOption,
    JsonOption,
    Row,
    age,
    fail,
    place,
    say_json,
    say_table,
    watch_table,
    write_store,
)

COLUMNS = ("unit", "link", "heard", "position", "age", "km/h", "alerts")

UnitArgument = Annotated[str, typer.Argument(help="Its unit_id.", show_default=False)]
QueryOption = Annotated[str, typer.Option("--q", help="Only units whose name contains this.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="Rows at most.")]


def add(
    unit_id: UnitArgument,
    public_key: Annotated[
        str,
        typer.Option("--public-key", help="Its evidence key: 64 hex digits.", show_default=False),
    ],
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Let a unit in. A running collector takes its batches within two seconds."""
    from wire.topics import is_unit_id

    if not is_unit_id(unit_id):
        fail(
            exits.USAGE,
            f"{unit_id!r} is no unit_id: 3 to 32 of a-z, 0-9 and hyphen, no hyphen at the ends",
        )
    try:
        key = bytes.fromhex(public_key)
    except ValueError:
        key = b""
    if len(key) != 32:
        fail(exits.USAGE, "--public-key: 64 hex digits, as the unit's own command prints them")
    added = write_store(data_dir, lambda store, now_ms: store.add_unit(unit_id, key, now_ms=now_ms))
    from collector.store.database import NotAdded

    if isinstance(added, NotAdded):
        fail(exits.FAILED, f"{unit_id} is not added, {added.code}: {added.hint}")
    row: Row = {"unit": unit_id, "number": added.number, "kid": added.kid.hex()}
    if as_json:
        say_json([row | {"fingerprint": fingerprint(key)}])
    else:
        typer.echo(f"{unit_id} is number {added.number}, fingerprint {fingerprint(key)}")


def list_units(
    q: QueryOption = "",
    limit: LimitOption = 1_000,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    api: ApiOption = "",
) -> None:
    """List units by name."""
    rows = Centre(data_dir, api).pages("/units", "units", rows_max=limit, q=q)
    if as_json:
        say_json(rows)
    else:
        say_table(COLUMNS, map(_cells, rows))


def show(
    unit_id: UnitArgument,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    api: ApiOption = "",
) -> None:
    """Show what is known of one unit."""
    row = Centre(data_dir, api).get(f"/units/{unit_id}")
    if as_json:
        say_json([row])
    else:
        say_table(("", unit_id), _facts(row))


def track(
    unit_id: UnitArgument,
    begin: Annotated[str, typer.Option("--from", help="RFC 3339, e.g. 2026-01-31T08:00:00Z.")] = "",
    end: Annotated[str, typer.Option("--to", help="RFC 3339.")] = "",
    points_max: Annotated[int, typer.Option(min=2, max=5_000, help="Points at most.")] = 5_000,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    api: ApiOption = "",
) -> None:
    """Show where one unit was; the last 24 hours without --from."""
    found = Centre(data_dir, api).get(
        f"/units/{unit_id}/track", **{"from": begin, "to": end, "points_max": points_max}
    )
    points = found["points"]
    assert isinstance(points, list)
    if as_json:
        say_json(points)
    else:
        columns = ("at", "position", "km/h", "course", "hdop", "sats")
        say_table(columns, (_point(point) for point in points))
    if found["left_out"]:
        typer.echo(
            f"{found['left_out']} points between these are left out: ask for a shorter time",
            err=True,
        )


def watch(
    q: QueryOption = "",
    limit: LimitOption = 40,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    api: ApiOption = "",
) -> None:
    """Show units as they move, until Ctrl-C. With --json: a line for each whose position is new."""
    centre = Centre(data_dir, api)
    changes = centre.changes("units")
    if not as_json:
        watch_table(
            COLUMNS,
            changes,
            lambda: map(_cells, centre.pages("/units", "units", rows_max=limit, q=q)),
        )
        return
    seen: dict[object, object] = {}
    for _ in changes:
        rows = centre.pages("/units", "units", rows_max=limit, q=q)
        say_json(row for row in rows if seen.get(row["unit"], 0) != row["at"])
        seen = {row["unit"]: row["at"] for row in rows}


def _cells(row: Row) -> tuple[object, ...]:
    return (
        row["unit"],
        row["link"],
        age(row["heard_age_s"]),
        place(row),
        _how_old(row),
        _km_h(row["speed_m_s"]),
        row["alerts_open"],
    )


def _facts(row: Row) -> list[tuple[object, object]]:
    chain, keys = row["chain"], row["keys"]
    assert isinstance(keys, list)
    facts: list[tuple[object, object]] = [
        ("position", place(row)),
        ("at", row["at"]),
        ("age", _how_old(row)),
        ("speed, km/h", _km_h(row["speed_m_s"])),
        ("course, degrees", row["course_deg"]),
        ("heard", row["heard_at"]),
        ("link, a hint", row["link"]),
        ("chain", chain["id"] if isinstance(chain, dict) else None),
        ("settled through batch", chain["through"] if isinstance(chain, dict) else None),
        ("batches behind a gap", row["batches_parked"]),
        ("batches it still owes", row["batches_owed"]),
        ("alerts open", row["alerts_open"]),
    ]
    facts += [
        ("key", f"{key['fingerprint']}{', revoked' if key['revoked'] else ''}") for key in keys
    ]
    return facts


def _how_old(row: Row) -> str | None:
    how_old = age(row["age_s"])
    return f"{how_old}, old" if row["old"] else how_old


def fingerprint(public_key: bytes) -> str:
    """The first 16 hex digits of the key's SHA-256 in four groups, to compare by voice (EVIDENCE section 3)."""
    digits = sha256(public_key).hexdigest()
    return " ".join(digits[at : at + 4] for at in range(0, 16, 4))


def _point(point: Row) -> tuple[object, ...]:
    return (
        f"{point['at']} restated" if point["said_at"] else point["at"],
        place(point),
        _km_h(point["speed_m_s"]),
        point["course_deg"],
        point["hdop"],
        point["sats"],
    )


def _km_h(speed_m_s: object) -> str | None:
    return f"{speed_m_s * 3.6:.0f}" if isinstance(speed_m_s, int | float) else None
