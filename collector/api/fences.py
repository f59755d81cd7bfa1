"""Fences and routes as they are in force, for the map (CONSOLE section 7).

Law: drawn as they were imported, never simplified; a route of a unit is told to nobody who may not see that unit.
"""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.api.auth import Who
from collector.store import schema
from collector.store.database import Store
from collector.store.live import in_scope

Feature = Mapping[str, Any]


def add_fences(api: FastAPI, store: Store) -> None:
    """The route of the shapes."""

    @api.get(
        "/api/v1/fences",
        tags=["fences"],
        summary="Zones and routes in force, as GeoJSON with their version",
        response_class=JSONResponse,
    )
    async def fences(who: Who) -> Response:
        async with store.read() as connection:
            version, features = await _newest(connection)
            named = {str(unit) for one in features if (unit := _unit_of(one))}
            seen = await _seen(connection, named, who.scope) if who.scope else named
        shown = [one for one in features if not (unit := _unit_of(one)) or unit in seen]
        return JSONResponse(
            {"type": "FeatureCollection", "version": version, "features": shown},
            media_type="application/geo+json",
        )


async def _newest(connection: AsyncConnection) -> tuple[int, list[Feature]]:
    """The newest version of the rules and its shapes; 0 and none before the first import."""
    table = schema.rules_version
    found = await connection.execute(
        select(table.c.version, table.c.zones, table.c.routes)
        .order_by(table.c.version.desc())
        .limit(1)
    )
    row = found.one_or_none()
    if row is None:
        return 0, []
    texts = (row.zones, row.routes)
    return row.version, [one for text in texts if text for one in json.loads(text)["features"]]


async def _seen(connection: AsyncConnection, units: set[str], scope: str) -> set[str]:
    unit = schema.unit
    found = await connection.execute(
        select(unit.c.unit_id).where(unit.c.unit_id.in_(units), in_scope(unit.c.scope, scope))
    )
    return set(found.scalars())


def _unit_of(feature: Feature) -> str:
    return str((feature.get("properties") or {}).get("unit") or "")
