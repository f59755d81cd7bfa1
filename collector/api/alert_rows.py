"""An alert as the screens have it: codes and parameters, never sentences (CONSOLE section 7).

Law: the same row in the list, in the answer to an act and on the stream, so that a client puts any of them in the place of an older one.
"""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.alerts import State
from collector.api.places import Places
from collector.api.restated import Shift, finding_ms, is_candidate, shifts_of
from collector.detect import Phase
from collector.store import labels, spell

NAMES_MAX = 20  # of a list in a finding's data: a sentence names five and says how many more
DEPTH_MAX = 4


async def rows_of(
    connection: AsyncConnection, rows: Sequence[Row[Any]], places: Places, now_ms: int
) -> list[dict[str, Any]]:
    """Rows of `alert_reads.alert_rows` as the screens have them. Times are milliseconds of POSIX UTC, as a browser reckons."""
    shifts = await shifts_of(
        asker(connection),
        [row.unit for row in rows if is_candidate(at_ms=row.at_ms, begun_ms=row.begun_ms)],
    )
    numbers = [row.unit_no for row in rows if row.unit_no is not None]
    plates = await labels.plates_of(connection, numbers, now_ms)
    return [_row(row, shifts.get(row.unit, ()), plates.get(row.unit_no), places) for row in rows]


async def event_rows_of(
    connection: AsyncConnection, rows: Sequence[Row[Any]], places: Places, now_ms: int
) -> list[dict[str, Any]]:
    """Findings that are no alerts, in the shape of one that nobody needs to act on."""
    numbers = [row.unit_no for row in rows if row.unit_no is not None]
    plates = await labels.plates_of(connection, numbers, now_ms)
    return [
        {
            "id": row.id.hex(),
            "rev": row.n + 1,
            "no": row.unit_no,
            "unit": row.unit,
            "plate": plates.get(row.unit_no) or row.unit,
            "code": row.code,
            "p": _parameters(row),
            "prio": 0,
            "stage": State.CLOSED.value,
            "since": row.at_ms,
            "said_at": None,
            "heard": row.confirmed_ms if row.received_ms is None else row.received_ms,
            "changed": row.confirmed_ms if row.received_ms is None else row.received_ms,
            "late": row.late,
            "early": False,
            "cleared": row.phase != Phase.BEGIN.value,
            "withdrawn": False,
            "count": 1,
            **dict.fromkeys(_OF_PEOPLE),
            "more": 0,
            "lon": _degrees(row.lon_e7),
            "lat": _degrees(row.lat_e7),
            "place": places.near(row.lat_e7, row.lon_e7),
        }
        for row in rows
    ]


def _row(
    row: Row[Any], shifts: Sequence[Shift], plate: str | None, places: Places
) -> dict[str, Any]:
    at_ms = finding_ms(
        shifts, chain=row.chain, seq=row.seq, number=row.first_number, at_ms=row.at_ms
    )
    return {
        "id": row.id.hex(),
        "rev": row.rev,
        "no": row.unit_no,
        "unit": row.unit,
        "plate": plate or row.unit,  # what people call it
        "code": row.code,
        "p": _parameters(row),
        "prio": int(row.priority[1:]),
        "stage": row.state,
        "since": at_ms,
        "said_at": None if at_ms == row.at_ms else row.at_ms,
        "heard": row.begun_ms,
        "changed": row.changed_ms,
        "late": row.late,
        "early": bool(row.is_early),
        "cleared": row.cleared,
        "withdrawn": row.settled == "withdrawn",
        "count": row.times,
        "seen_by": row.seen_by,
        "owner": row.owner,
        "outcome": row.outcome,
        "until": row.until_ms,
        "proposed_by": row.proposed_by,
        "under": None if row.under is None else row.under.hex(),
        "more": row.folded,
        "chatter": row.chatter_ms,
        "lon": _degrees(row.lon_e7),
        "lat": _degrees(row.lat_e7),
        "place": places.near(row.lat_e7, row.lon_e7),
    }


def _parameters(row: Row[Any]) -> dict[str, Any]:
    value, data = (None, {}) if row.detail is None else spell.read(row.detail)
    return {
        "value": _plain(value),
        "seal": row.seal,
        "zone": row.zone,
        "route": row.route,
        "phase": row.phase,
        "data": _plain(data),
    }


def _plain(value: object, depth: int = 0) -> object:
    """A finding's data as JSON can hold it: bytes as hex, lists and depth bounded."""
    if isinstance(value, bytes):
        return value.hex()
    if depth >= DEPTH_MAX:
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, depth + 1) for part in value[:NAMES_MAX]]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _degrees(value_e7: int | None) -> float | None:
    return None if value_e7 is None else value_e7 / 1e7


def asker(connection: AsyncConnection) -> Callable[[Select[Any]], Awaitable[Sequence[Row[Any]]]]:
    """Asks over this connection, as `shifts_of` wants it."""

    async def ask(statement: Select[Any]) -> Sequence[Row[Any]]:
        return (await connection.execute(statement)).all()

    return ask


_OF_PEOPLE = ("seen_by", "owner", "outcome", "until", "proposed_by", "under", "chatter")
