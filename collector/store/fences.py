"""Versions of zones, routes and thresholds, and proposals of new ones (DETECTION section 3, CONSOLE section 2).

Law: a version and a proposal are only ever added; a proposal is decided once. What a version changed is kept by name and hash.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.store import RulesRow, people_audit, schema

ZONE, ROUTE, RULE = "zone", "route", "rule"  # kinds, as the leaves are named
THRESHOLDS = "thresholds"  # the id of the one `rule`
WAITING, APPROVED, REFUSED = "waiting", "approved", "refused"
WAITING_MAX = 100  # of 1 MiB each; more than people look through
NAMES_MAX = 500  # in one statement: older SQLite takes 999 parameters
MACHINE = "machine"  # the role of who has the machine itself
DETAIL_IDS_MAX = 20

Shape = tuple[str, str]  # kind, id


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One thing that is another from a version on."""

    kind: str
    id: str
    sha256: bytes | None  # None: withdrawn


async def newest_version(connection: AsyncConnection) -> int:
    """0 before the first."""
    found = await connection.execute(select(func.max(schema.rules_version.c.version)))
    return found.scalar_one() or 0


async def version_row(connection: AsyncConnection, version: int | None = None) -> RulesRow | None:
    """A version, or the newest."""
    table = schema.rules_version
    statement = select(table).order_by(table.c.version.desc()).limit(1)
    if version is not None:
        statement = statement.where(table.c.version == version)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else RulesRow(**row._mapping)  # noqa: SLF001 - its public name


async def versions(
    connection: AsyncConnection, *, before: int | None, limit: int
) -> list[Row[Any]]:
    """Versions without their shapes, the newest first."""
    table = schema.rules_version.c
    statement = select(
        table.version, table.valid_from_ms, table.thresholds, table.made_by, table.approved_by
    )
    if before is not None:
        statement = statement.where(table.version < before)
    return list(await connection.execute(statement.order_by(table.version.desc()).limit(limit)))


async def changes(
    connection: AsyncConnection, versions: Sequence[int], most: int
) -> dict[int, list[Row[Any]]]:
    """What each of `versions` changed, `most` at most, and whether the thing `was` there in the version before."""
    if not versions:
        return {}
    table = schema.shape_change.c
    story = (
        select(
            schema.shape_change,
            func.lag(table.sha256)
            .over(partition_by=(table.kind, table.id), order_by=table.version)
            .is_not(None)
            .label("was"),
        )
        .where(table.version <= max(versions))
        .subquery()
    )
    found = await connection.execute(
        select(story)
        .where(story.c.version.in_(versions))
        .order_by(story.c.version, story.c.kind, story.c.id)
    )
    changed: dict[int, list[Row[Any]]] = {version: [] for version in versions}
    for row in found:
        if len(changed[row.version]) < most:
            changed[row.version].append(row)
    return changed


async def obeyed(connection: AsyncConnection) -> Row[Any] | None:
    """The version by which the newest tick was judged, and when; None before the first tick."""
    tick = schema.tick.c
    found = await connection.execute(
        select(tick.rules_version, tick.now_ms).order_by(tick.number.desc()).limit(1)
    )
    return found.one_or_none()


async def add_version(
    connection: AsyncConnection, row: RulesRow, changed: Iterable[Changed]
) -> int:
    """Put a version in force; its number."""
    await connection.execute(
        schema.rules_version.insert().values(
            version=row.version,
            valid_from_ms=row.valid_from_ms,
            zones=row.zones,
            routes=row.routes,
            thresholds=row.thresholds,
            made_by=row.made_by,
            approved_by=row.approved_by,
        )
    )
    rows = [
        {"version": row.version, "kind": one.kind, "id": one.id, "sha256": one.sha256}
        for one in changed
    ]
    if rows:
        await connection.execute(schema.shape_change.insert(), rows)
    return row.version


async def made_by_one(connection: AsyncConnection, begin_ms: int, end_ms: int) -> int:
    """How many versions came into force in a time without another person's word."""
    table = schema.rules_version.c
    found = await connection.execute(
        select(func.count()).where(
            table.valid_from_ms >= begin_ms, table.valid_from_ms < end_ms, table.approved_by == ""
        )
    )
    return found.scalar_one()


async def note_import(
    connection: AsyncConnection, version: int, by: str, now_ms: int, changed: Sequence[Changed]
) -> None:
    """Say in the audit that a version came by the machine's own way, past the two persons."""
    await people_audit.note_act(
        connection,
        people_audit.Act(
            at_ms=now_ms,
            who=by,
            role=MACHINE,
            act="rules-import",
            obj=f"rules/{version}",
            detail=named(changed),
        ),
    )


def named(changed: Sequence[Changed]) -> str:
    """What was changed, as a line of the audit."""
    words = [
        f"{'-' if one.sha256 is None else ''}{one.kind}/{one.id}"
        for one in changed[:DETAIL_IDS_MAX]
    ]
    more = len(changed) - DETAIL_IDS_MAX
    return " ".join([*words, f"and {more} more"] if more > 0 else words)


async def changed_since(
    connection: AsyncConnection, base: int, shapes: Sequence[Shape]
) -> list[Row[Any]]:
    """Which of `shapes` are others since the version `base`."""
    table = schema.shape_change.c
    found: list[Row[Any]] = []
    for begin in range(0, len(shapes), NAMES_MAX // 2):
        some = shapes[begin : begin + NAMES_MAX // 2]
        by_kind = [
            and_(table.kind == kind, table.id.in_([id_ for of, id_ in some if of == kind]))
            for kind in {kind for kind, _ in some}
        ]
        found += await connection.execute(
            select(table.version, table.kind, table.id)
            .where(table.version > base, or_(*by_kind))
            .order_by(table.version)
        )
    return found


async def propose(
    connection: AsyncConnection, *, by: str, why: str, base: int, body: str, now_ms: int
) -> int | None:
    """Keep a proposal; its number. None: too many wait already."""
    table = schema.shape_draft
    waiting = await connection.execute(
        select(func.count()).select_from(table).where(table.c.state == WAITING)
    )
    if int(waiting.scalar_one()) >= WAITING_MAX:
        return None
    made = await connection.execute(
        table.insert()
        .values(made_ms=now_ms, made_by=by, why=why, base=base, body=body, state=WAITING)
        .returning(table.c.number)
    )
    return int(made.scalar_one())


async def draft(connection: AsyncConnection, number: int) -> Row[Any] | None:
    """One proposal."""
    table = schema.shape_draft
    return (await connection.execute(select(table).where(table.c.number == number))).one_or_none()


async def drafts(
    connection: AsyncConnection, *, state: str, before: int | None, limit: int
) -> list[Row[Any]]:
    """Proposals, the newest first; `state` empty: all."""
    table = schema.shape_draft
    statement = select(table).order_by(table.c.number.desc()).limit(limit)
    if state:
        statement = statement.where(table.c.state == state)
    if before is not None:
        statement = statement.where(table.c.number < before)
    return list(await connection.execute(statement))


async def decide(
    connection: AsyncConnection,
    number: int,
    *,
    state: str,
    by: str,
    why: str,
    now_ms: int,
    version: int | None = None,
) -> bool:
    """Write the decision; False if there is one already."""
    table = schema.shape_draft
    done = await connection.execute(
        update(table)
        .where(table.c.number == number, table.c.state == WAITING)
        .values(state=state, decided_ms=now_ms, decided_by=by, decided_why=why, version=version)
        .returning(table.c.number)
    )
    return done.scalar_one_or_none() is not None
