"""All that the centre knows of one truck now, for the officer beside it: facts for the verdict, names for the page.

Law: one read transaction. A time is never later than the batch that brought it was received: no clock of a unit makes data young.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
from sqlalchemy import Row, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.alerts import State
from collector.customs.verdict import AlertSeen, Claim, Facts, SealLife, SealSeen
from collector.detect.engine.blob import unpack
from collector.detect.seals import Life, Seal
from collector.store import names, schema
from collector.store.heard import Heard, lately_of
from wire import MisuseError

ALERTS_MAX = 50
AHEAD_MS_MAX = 60_000  # what is dated later is of a clock of ours that was set back since: nobody knows how old it is
STRANGE_MIN = (
    2  # reports after which a seal that is not declared is another one (DETECTION section 7.4)
)

_LIVES = {
    Life.UNKNOWN: SealLife.UNKNOWN,
    Life.SEALED: SealLife.SEALED,
    Life.OPEN_BY_ORDER: SealLife.OPEN_BY_ORDER,
    Life.OPEN_BAD: SealLife.OPEN_BAD,
    Life.RECLOSED: SealLife.RECLOSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The truck as the page names it."""

    unit_no: int
    unit_id: str
    plate: str = ""
    trailer: str = ""
    containers: tuple[str, ...] = ()
    journey: str = ""
    route: str = ""
    lat_e7: int | None = None
    lon_e7: int | None = None
    heard_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One truck, as it stands."""

    subject: Subject
    facts: Facts


async def standing(connection: AsyncConnection, unit_no: int, now_ms: int) -> Standing | None:
    """How the unit of that number and what it guards stand now; None if there is no such unit."""
    row = await _unit(connection, unit_no)
    if row is None:
        return None
    journey = (await names.current_journeys(connection, [unit_no], now_ms)).get(unit_no)
    declared = () if journey is None else tuple(msgpack.unpackb(journey.seals))
    judged = await _judged(connection, unit_no)
    lately = await lately_of(connection, unit_no, declared, now_ms)
    seals = _seals(declared, judged, lately.seals, now_ms)
    subject = Subject(
        unit_no=unit_no,
        unit_id=row.unit_id,
        lat_e7=row.lat_e7,
        lon_e7=row.lon_e7,
        heard_ms=row.heard_ms,
        **await _named(connection, unit_no, journey),
    )
    numbers = [subject.plate, subject.trailer, *subject.containers]
    numbers += sorted({*declared, *(seal.seal_id for seal in seals)})
    lacks, lacks_ms = await _gap(connection, unit_no)
    facts = Facts(
        journey=subject.journey,
        needs_seal=journey is None or journey.sealed,
        seals=seals,
        alerts=await _alerts(connection, row.unit_id),
        stopped_ms=await _stopped(connection, unit_no),
        forked_ms=await _forked(connection, unit_no),
        broken_ms=lately.broken_ms,
        key_revoked=await _revoked(connection, unit_no),
        differs_ms=await _differs(connection, unit_no, subject.journey),
        claims=[
            Claim(number=number, journey=other)
            for number, other in await names.claimed(
                connection, unit_no, subject.journey, [one for one in numbers if one], now_ms
            )
        ],
        overdue_ms=None if journey is None else journey.limit_ms,
        lacks=lacks,
        lacks_ms=lacks_ms,
        fix_ms=None if row.t_ms is None else _believed(min(row.t_ms, row.heard_ms), now_ms),
        ingest_ms=await _ingest(connection, now_ms),
    )
    return Standing(subject=subject, facts=facts)


def _believed(at_ms: int, now_ms: int) -> int | None:
    """A time that is not to come yet; None for one that is: it makes nothing young."""
    return at_ms if at_ms <= now_ms + AHEAD_MS_MAX else None


async def _ingest(connection: AsyncConnection, now_ms: int) -> int | None:
    """When any unit was heard last."""
    heard_ms = schema.unit_now.c.heard_ms
    newest = select(func.max(heard_ms)).where(heard_ms <= now_ms + AHEAD_MS_MAX)
    found: int | None = (await connection.execute(newest)).scalar()
    return found


async def _unit(connection: AsyncConnection, unit_no: int) -> Row[Any] | None:
    unit, now = schema.unit.c, schema.unit_now.c
    found = await connection.execute(
        select(unit.unit_id, now.heard_ms, now.t_ms, now.lat_e7, now.lon_e7)
        .outerjoin(schema.unit_now, now.unit_no == unit.number)
        .where(unit.number == unit_no)
    )
    return found.one_or_none()


async def _named(
    connection: AsyncConnection, unit_no: int, journey: Row[Any] | None
) -> dict[str, Any]:
    known = schema.known_as.c
    own = await connection.execute(
        select(known.shown).where(
            known.unit_no == unit_no, known.kind == names.PLATE, known.journey_no == 0
        )
    )
    plate = own.scalar() or ""
    if journey is None:
        return {"plate": plate}
    return {
        "plate": journey.tractor or plate,
        "trailer": journey.trailer,
        "containers": ()
        if journey.containers is None
        else tuple(msgpack.unpackb(journey.containers)),
        "journey": journey.id,
        "route": journey.route or "",
    }


async def _judged(connection: AsyncConnection, unit_no: int) -> dict[str, Seal]:
    """Seals as the detectors have judged them; none where the state is of another program and cannot be read."""
    state = schema.detector_state.c
    blob = (await connection.execute(select(state.blob).where(state.unit_no == unit_no))).scalar()
    if blob is None:
        return {}
    try:
        return {seal.seal: seal for seal in unpack(blob).seals.seals}
    except (MisuseError, AssertionError, LookupError, TypeError, ValueError):
        return {}


def _seals(
    declared: Sequence[str], judged: dict[str, Seal], heard: Mapping[str, Heard], now_ms: int
) -> list[SealSeen]:
    """Those that the journey declares, and others that speak: a stranger after two reports, as the detectors hold it."""
    strangers = {
        seal_id
        for seal_id in heard
        if seal_id not in declared and seal_id in judged and judged[seal_id].strange >= STRANGE_MIN
    }
    kept = {seal_id for seal_id, seal in judged.items() if seal.life in _ATTACHED}
    wanted = {*declared, *strangers} if declared else {*heard, *kept}
    found = []
    for seal_id in sorted(wanted):
        one, seal = heard.get(seal_id), judged.get(seal_id)
        is_open = seal is not None and seal.life in (Life.OPEN_BAD, Life.OPEN_BY_ORDER)
        found.append(
            SealSeen(
                seal_id=seal_id,
                declared=not declared or seal_id in declared,
                reported_ms=None if one is None else _believed(one.at_ms, now_ms),
                known=0 if one is None else one.known,
                true=0 if one is None else one.true,
                battery_percent=None if one is None else one.battery_percent,
                life=SealLife.UNKNOWN if seal is None else _LIVES[seal.life],
                opened_ms=seal.opened_ms if seal is not None and is_open else None,
            )
        )
    return found


_ATTACHED = (Life.SEALED, Life.OPEN_BAD, Life.RECLOSED)


async def _alerts(connection: AsyncConnection, unit_id: str) -> list[AlertSeen]:
    alert, finding = schema.alert.c, schema.finding.c
    rows = await connection.execute(
        select(alert.code, alert.priority, alert.at_ms, finding.seal)
        .outerjoin(schema.finding, and_(finding.id == alert.id, finding.n == alert.last_n))
        .where(alert.unit == unit_id, alert.state != State.CLOSED.value)
        .order_by(alert.priority, alert.at_ms.desc())
        .limit(ALERTS_MAX)
    )
    return [
        AlertSeen(code=row.code, priority=row.priority, at_ms=row.at_ms, seal=row.seal or "")
        for row in rows
    ]


async def _gap(connection: AsyncConnection, unit_no: int) -> tuple[int, int]:
    gap = schema.gap.c
    rows = await connection.execute(
        select(gap.first_no, gap.last_no, gap.since_ms).where(gap.unit_no == unit_no)
    )
    row = rows.one_or_none()
    return (0, 0) if row is None else (row.last_no - row.first_no + 1, row.since_ms)


async def _forked(connection: AsyncConnection, unit_no: int) -> int | None:
    """The newest proof of two histories under a key that is in force: with a new key begins a new trust (WIRE section 9)."""
    fork, key = schema.fork.c, schema.unit_key.c
    since = select(func.max(key.added_ms)).where(key.unit_no == unit_no, key.revoked_ms.is_(None))
    found = await connection.execute(
        select(func.max(fork.rx_ms)).where(
            fork.unit_no == unit_no, fork.rx_ms >= func.coalesce(since.scalar_subquery(), 0)
        )
    )
    newest: int | None = found.scalar()
    return newest


async def _revoked(connection: AsyncConnection, unit_no: int) -> bool:
    """Whether no key of the unit is in force: what it said before is no longer believed."""
    key = schema.unit_key.c
    keys = list(await connection.execute(select(key.revoked_ms).where(key.unit_no == unit_no)))
    return bool(keys) and all(row.revoked_ms is not None for row in keys)


async def _stopped(connection: AsyncConnection, unit_no: int) -> int | None:
    stop = schema.stop_order.c
    found = await connection.execute(
        select(func.max(stop.at_ms)).where(stop.unit_no == unit_no, stop.lifted_ms.is_(None))
    )
    newest: int | None = found.scalar()
    return newest


async def _differs(connection: AsyncConnection, unit_no: int, journey: str) -> int | None:
    """When an officer has seen on this journey that the seal differs, if none has seen since that it matches.

    A report may have waited on a phone: only one that was made and has come later takes it back.
    """
    differs, matches = schema.officer_report.alias(), schema.officer_report.alias()
    taken_back = (
        select(matches.c.number)
        .where(
            matches.c.unit_no == differs.c.unit_no,
            matches.c.journey == differs.c.journey,
            matches.c.matches.is_(True),
            matches.c.number > differs.c.number,
            matches.c.made_ms >= differs.c.made_ms,
        )
        .exists()
    )
    found = await connection.execute(
        select(func.max(differs.c.at_ms)).where(
            differs.c.unit_no == unit_no,
            differs.c.journey == journey,
            differs.c.matches.is_(False),
            ~taken_back,
        )
    )
    newest: int | None = found.scalar()
    return newest
