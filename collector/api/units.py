"""What people call units: plates by number, for a click on the map that hits many (CONSOLE section 8, "what is here?").

Law: a unit outside the scope of who asks is left out, as one that does not exist.
"""

from fastapi import FastAPI
from pydantic import Field
from sqlalchemy import select

from collector.api.alerts import Room
from collector.api.auth import Who
from collector.api.models import Answer
from collector.store import schema
from collector.store.labels import plates_of
from collector.store.live import in_scope

LABELS_MAX = 200


class Numbers(Answer):
    numbers: list[int] = Field(min_length=1, max_length=LABELS_MAX)


class Label(Answer):
    no: int
    unit: str
    plate: str | None


class Labels(Answer):
    labels: list[Label] = Field(description="by number; numbers that are not there are left out")


def add_units(api: FastAPI, room: Room) -> None:
    """The route of labels. A POST, for two hundred numbers are too long for a query; it changes nothing."""

    @api.post("/api/v1/units/labels", tags=["units"], summary="Plates of units by number")
    async def labels(who: Who, asked: Numbers) -> Labels:
        unit = schema.unit.c
        numbers = [number for number in set(asked.numbers) if 0 <= number < 2**32]
        async with room.store.read() as connection:
            found = await connection.execute(
                select(unit.number, unit.unit_id)
                .where(unit.number.in_(numbers), in_scope(unit.scope, who.scope))
                .order_by(unit.number)
            )
            rows = found.all()
            plates = await plates_of(connection, [row.number for row in rows], room.now_ms())
        return Labels(
            labels=[
                Label(no=row.number, unit=row.unit_id, plate=plates.get(row.number)) for row in rows
            ]
        )
