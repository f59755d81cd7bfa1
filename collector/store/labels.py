"""By which name people know a unit: the plate of the truck that carries it now.

Law: reads only. A unit that nothing gives a plate has none; what it is called then is said by who shows it.
"""

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.store import schema
from collector.store.loads import IN_MAX
from collector.store.names import PLATE, current_journeys


async def plates_of(
    connection: AsyncConnection, numbers: Iterable[int], now_ms: int
) -> Mapping[int, str]:
    """Plates by unit: of the journey that it is on, else of the vehicle that it is built into."""
    asked = sorted(set(numbers))
    plates: dict[int, str] = {}
    known = schema.known_as.c
    for begin in range(0, len(asked), IN_MAX):
        some = asked[begin : begin + IN_MAX]
        journeys = await current_journeys(connection, some, now_ms)
        found = await connection.execute(
            select(known.unit_no, known.journey_no, known.shown)
            .where(known.unit_no.in_(some), known.kind == PLATE)
            .order_by(known.unit_no, known.journey_no)
        )
        for row in found:
            journey = journeys.get(row.unit_no)
            if row.journey_no == 0 or (journey is not None and journey.number == row.journey_no):
                plates[row.unit_no] = row.shown
    return plates
