"""`plomba unit order`, `orders`, `order-withdraw`: what the centre wants a unit to do, and what became of it (WIRE section 14).

Law: a command writes a wish; the collector's desk counts, signs and sends. It needs no key.
"""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from plomba import exits
from plomba.centre import (
    DATA,
    ApiOption,
    Centre,
    DataOption,
    JsonOption,
    Row,
    actor,
    change_store,
    fail,
    is_running,
    say_json,
    say_table,
)

if TYPE_CHECKING:
    from collector.desk import Given, NotGiven
    from collector.store.database import Store
    from wire.records import Datum

COLUMNS = ("id", "kind", "state", "seal", "where", "from", "until", "sent", "by", "detail")
ID_DIGITS_MIN = 6  # of an order, to name it by: what a person reads off a table

USAGE_CODES = frozenset({
    "bad_order", "begins_before_now", "long_window", "no_window", "too_far_ahead", "long_reason",
})  # fmt: skip
NOT_FOUND_CODES = frozenset({"no_such_unit", "no_such_order", "no_such_zone", "no_gap"})


class What(StrEnum):
    """The orders that a person gives."""

    ARM = "arm"
    DISARM = "disarm"
    UNLOCK = "unlock"
    REPORT = "report"
    RESEND = "resend"


UnitArgument = Annotated[str, typer.Argument(help="Its unit_id.", show_default=False)]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the order.")]


def order(
    unit_id: UnitArgument,
    what: Annotated[
        What,
        typer.Argument(
            help="arm, disarm: watch a seal or stop watching it. unlock: open it, once, at a place. "
            "report: say hello, newest fix and seals. resend: send batches again.",
            show_default=False,
        ),
    ],
    seal: Annotated[str, typer.Option(help="arm, disarm, unlock: the seal's id.")] = "",
    officer: Annotated[str, typer.Option(help="... the officer who stands at it.")] = "",
    movement: Annotated[
        str, typer.Option(help="... the movement (MRN); without it the unit's journey.")
    ] = "",
    zone: Annotated[
        str, typer.Option(help="unlock: the zone in which it holds, cut inward to 32 corners.")
    ] = "",
    area: Annotated[
        Path | None, typer.Option(help="unlock: or a GeoJSON file with one polygon.")
    ] = None,
    begin: Annotated[
        str, typer.Option("--from", help="RFC 3339, e.g. 2026-01-31T08:00:00Z; now without it.")
    ] = "",
    until: Annotated[
        str, typer.Option(help="RFC 3339, 4 hours after --from at most; 1 hour without it.")
    ] = "",
    supersede: Annotated[
        bool, typer.Option("--supersede", help="Withdraw the order that waits, for this one.")
    ] = False,
    chain: Annotated[
        str, typer.Option(help="resend: the chain, 32 hex digits; its current one without it.")
    ] = "",
    batch: Annotated[int, typer.Option(min=0, help="resend: from this number on.")] = 0,
    hello_only: Annotated[
        bool, typer.Option("--hello-only", help="report: no fix and no seals.")
    ] = False,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Order something of a unit. A running collector sends it within three seconds, then every 30 s until the unit's word.

    A unit has one waiting arm, disarm or unlock. Exit 1 if another waits (see --supersede), 2 for a wish that no unit would
    take, 3 for a unit or zone that is not there. The result: plomba unit orders UNIT.
    """
    from dataclasses import replace

    from collector.desk import NotGiven, Wish
    from wire.orders import OrderKind

    kinds = {
        What.ARM: OrderKind.ARM,
        What.DISARM: OrderKind.DISARM,
        What.UNLOCK: OrderKind.UNLOCK,
        What.REPORT: OrderKind.REPORT_NOW,
        What.RESEND: OrderKind.RESEND_FROM,
    }
    is_act = what in (What.ARM, What.DISARM, What.UNLOCK)
    _check_options(
        what,
        {
            "--seal": (seal, is_act, is_act),
            "--officer": (officer, is_act, is_act),
            "--movement": (movement, is_act, False),
            "--zone": (zone, what is What.UNLOCK, False),
            "--area": (area, what is What.UNLOCK, False),
            "--from": (begin, is_act, False),
            "--until": (until, is_act, False),
            "--supersede": (supersede, is_act, False),
            "--chain": (chain, what is What.RESEND, False),
            "--batch": (batch, what is What.RESEND, False),
            "--hello-only": (hello_only, what is What.REPORT, False),
        },
    )
    if what is What.UNLOCK and bool(zone) is (area is not None):
        fail(exits.USAGE, "unlock: name the place with --zone ID or with --area FILE, one of them")
    plain = Wish(
        unit_id=unit_id,
        kind=kinds[what],
        data=(),
        by=actor(),
        why=reason,
        not_before_ms=_time("--from", begin),
        not_after_ms=_time("--until", until),
        zone=zone or None,
        supersedes=supersede,
    )
    drawn = None if area is None else _corners_of_file(area)

    async def write(store: "Store", now_ms: int) -> "Given | NotGiven":
        from collector.store import orders as desk

        data: tuple[Datum, ...]
        if what is What.REPORT:
            data = _report(whole=not hello_only)
        elif what is What.RESEND:
            data = await _resend(store, unit_id, chain, batch)
        else:
            named = await _movement(store, unit_id, movement, now_ms)
            data = (seal, officer, named)
        if what is What.UNLOCK:
            corners = drawn or await _corners_of_zone(store, zone)
            if isinstance(corners, NotGiven):
                return corners
            data = (*data, corners)
        async with store.write() as connection:
            given = await desk.give(connection, replace(plain, data=data), now_ms)
        assert not isinstance(given, desk.Unchanged), "only a config can be unchanged"
        return given

    given = change_store(data_dir, write)
    if isinstance(given, NotGiven):
        refuse(given, "nothing is ordered")
    _say_given(given, as_json=as_json, data_dir=data_dir)


def orders(
    unit_id: UnitArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Rows at most.")] = 20,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    api: ApiOption = "",
) -> None:
    """Show the orders of a unit, the newest first. With --json each with all its changes: who, when, why."""
    centre = Centre(data_dir, api)
    rows = centre.pages(f"/units/{unit_id}/orders", "orders", rows_max=limit)
    if as_json:
        say_json(rows)
        return
    say_table(COLUMNS, map(_cells, rows))
    strays = centre.get(f"/units/{unit_id}/orders", limit=1)["strays"]
    if strays:
        typer.echo(
            f"{strays} results of orders that were never given, or that say otherwise than before: kept, not believed",
            err=True,
        )


def withdraw(
    order_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The order's id, or its first 6 digits or more.", show_default=False
        ),
    ],
    reason: ReasonOption = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Withdraw an order. One that was sent may be carried out all the same; its result is then noted beside it."""
    digits = order_id.lower()
    if not ID_DIGITS_MIN <= len(digits) <= 32 or not set(digits) <= set("0123456789abcdef"):
        fail(exits.USAGE, f"{order_id!r} is no id of an order: 6 to 32 hex digits")

    from collector.desk import NotGiven

    async def write(store: "Store", now_ms: int) -> "tuple[Given, ...] | NotGiven":
        from collector.store import orders as desk

        async with store.write() as connection:
            found = await desk.find(connection, digits)
            if len(found) != 1:
                return found
            done = await desk.withdraw(
                connection, found[0].order_id, by=actor(), why=reason, now_ms=now_ms
            )
        return done if isinstance(done, NotGiven) else (done,)

    done = change_store(data_dir, write)
    if isinstance(done, NotGiven):
        refuse(done, "nothing is withdrawn")
    if not done:
        fail(exits.NOT_FOUND, f"no order begins with {digits}: plomba unit orders UNIT lists them")
    if len(done) > 1:
        fail(exits.USAGE, f"several orders begin with {digits}: give more digits")
    (order_,) = done
    if as_json:
        say_json([row_of(order_)])
        return
    was_sent = ", it was sent: the unit may have it" if order_.sent_ms is not None else ""
    typer.echo(f"{order_.order_id.hex()} of {order_.unit_id} is withdrawn{was_sent}")


def refuse(not_given: "NotGiven", otherwise: str) -> NoReturn:
    """Say why nothing was written, and what would be right."""
    if not_given.code in USAGE_CODES:
        code = exits.USAGE
    elif not_given.code in NOT_FOUND_CODES:
        code = exits.NOT_FOUND
    else:
        code = exits.FAILED
    fail(code, f"{otherwise}, {not_given.code}: {not_given.hint}")


def row_of(order: "Given") -> Row:
    """An order as a command that changed it says it."""
    from collector.desk import NEVER_MS
    from wire.orders import OrderKind

    return {
        "id": order.order_id.hex(),
        "unit": order.unit_id,
        "kind": OrderKind(order.kind).name.lower(),
        "state": order.state.value,
        "counter": order.counter,
        "version": order.version,
        "seal": order.seal,
        "officer": order.officer,
        "movement": order.movement,
        "zone": order.zone,
        "by": order.by,
        "begins_at": _rfc3339(max(order.not_before_ms, order.issued_ms)),
        "until": None if order.not_after_ms == NEVER_MS else _rfc3339(order.not_after_ms),
    }


def warn_if_nobody_sends(data_dir: Path) -> None:
    """Say that it waits for a collector."""
    if not is_running(data_dir):
        typer.echo(
            f"no collector runs on {data_dir}: it goes out when one does (plomba collector run --data {data_dir})",
            err=True,
        )


def _say_given(given: "Given", *, as_json: bool, data_dir: Path) -> None:
    row = row_of(given)
    if as_json:
        say_json([row])
    else:
        typer.echo(
            f"{row['kind']} {row['id']} for {given.unit_id} is given, from {row['begins_at']} until {row['until']}; "
            f"what becomes of it: plomba unit orders {given.unit_id}"
        )
    warn_if_nobody_sends(data_dir)


# what the options say


def _check_options(what: What, said: "dict[str, tuple[object, bool, bool]]") -> None:
    """`said`: each option's value, whether it belongs to this order, whether it must be said."""
    for name, (value, belongs, is_needed) in said.items():
        if value and not belongs:
            fail(exits.USAGE, f"{name} says nothing of {what.value}: leave it out")
        if is_needed and not value:
            fail(exits.USAGE, f"{what.value} needs {name}")


def _time(name: str, text: str) -> int | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min  # noqa: DTZ901 - has no offset, as any other text that says no moment
    if moment.tzinfo is None:
        fail(
            exits.USAGE, f"{name}: {text!r} is no RFC 3339 with an offset, as 2026-01-31T08:00:00Z"
        )
    return int(moment.timestamp() * 1_000)


def _report(*, whole: bool) -> "tuple[Datum, ...]":
    from secrets import token_bytes

    return int(whole), token_bytes(16)  # a hello that was made before cannot bear it


async def _resend(store: "Store", unit_id: str, chain: str, batch: int) -> "tuple[Datum, ...]":
    if chain:
        try:
            chain_id = bytes.fromhex(chain)
        except ValueError:
            chain_id = b""
        if len(chain_id) != 16:
            fail(exits.USAGE, f"--chain: {chain!r} is no chain: 32 hex digits")
        return chain_id, batch
    load = (await store.load_units([unit_id])).get(unit_id)
    if load is not None and not load.fence.chain_id:
        fail(exits.NOT_FOUND, f"{unit_id} has no chain yet: name one with --chain")
    return (bytes(16) if load is None else load.fence.chain_id), batch


async def _movement(store: "Store", unit_id: str, said: str, now_ms: int) -> str:
    """The movement that an order names: what was said, else the unit's journey. Told if the two differ."""
    journeys = [
        journey
        for journey in await store.journeys()
        if journey.unit_id == unit_id and journey.since_ms <= now_ms
    ]
    own = journeys[-1].id if journeys else ""
    if not said and not own:
        fail(exits.USAGE, f"{unit_id} is on no journey that the centre knows: say --movement")
    if said and own and said != own:
        typer.echo(
            f"warning: {unit_id} is on {own}, not on {said}: an opening under this order is an alert",
            err=True,
        )
    return said or own


def _corners_of_file(file: Path) -> "tuple[int, ...]":
    """The outline that a file draws; ends the command with 3 or 6 if it draws none."""
    from plomba.zone import read_geojson

    source = read_geojson(file)
    features = source.get("features") if isinstance(source, dict) else None
    one = features[0] if isinstance(features, list) and len(features) == 1 else source
    geometry = one.get("geometry") if isinstance(one, dict) and "geometry" in one else one
    if not isinstance(geometry, dict) or geometry.get("type") != "Polygon":
        fail(exits.BAD, f"{file}: draw one Polygon, and nothing else in the file")
    corners = _corners({"type": "Feature", "properties": {"id": "area"}, "geometry": geometry})
    if isinstance(corners, str):
        fail(exits.BAD, f"{file}: {corners}")
    return corners


async def _corners_of_zone(store: "Store", zone: str) -> "tuple[int, ...] | NotGiven":
    import json

    from collector.desk import NotGiven

    versions = await store.rules()
    found = [
        feature
        for feature in (json.loads(versions[-1].zones)["features"] if versions else [])
        if zone in (feature.get("id"), (feature.get("properties") or {}).get("id"))
    ]
    if not found:
        return NotGiven(
            code="no_such_zone", hint=f"there is no zone {zone} in force: plomba zone import FILE"
        )
    corners = _corners(found[0])
    if isinstance(corners, str):
        return NotGiven(code="no_outline", hint=f"zone {zone}: {corners}")
    return corners


def _corners(feature: "dict[str, object]") -> "tuple[int, ...] | str":
    """The corners of a drawn area, or what is wrong with it."""
    from collector.desk import NotGiven
    from collector.desk.area import corners_of
    from collector.detect.geo.geojson import read_zones

    shapes = read_zones({"type": "FeatureCollection", "features": [feature]})
    if isinstance(shapes, tuple):
        return f"{shapes[0].code}: {shapes[0].message}"
    if len(shapes.zones) != 1:
        return "draws no area"
    corners = corners_of(shapes.zones[0].shape)
    return corners.hint if isinstance(corners, NotGiven) else corners


# how it is shown


def _cells(row: Row) -> tuple[object, ...]:
    result, state = row["result"], row["state"]
    said = f"{state}({result})" if result and state not in ("DONE", "EXPIRED") else state
    where = row["zone"] or (f"{row['corners']} corners" if row["corners"] else None)
    name = f"{row['kind']} {row['version']}" if row["version"] else row["kind"]
    return (
        str(row["id"])[:12],
        name,
        said,
        row["seal"],
        where,
        _short(row["begins_at"]),
        _short(row["until"]),
        row["sent"],
        row["by"],
        row["detail"],
    )


def _short(moment: object) -> str | None:
    """A time without its milliseconds, which tell nothing in a table."""
    return f"{str(moment)[:19]}Z" if moment else None


def _rfc3339(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms // 1_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1_000:03}Z"
