"""What the routes ask, read from the store: one short read transaction an answer.

Law: never writes, and what it says of time it says by the clock that it was given.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncEngine

from collector.alerts import State
from collector.api import order_reads, tracks
from collector.api.models import (
    Alive,
    Broker,
    Chain,
    Configs,
    Health,
    Kept,
    Orders,
    Refusal,
    Refusals,
    Track,
    TrackPoint,
    Unit,
    UnitDetail,
    UnitKey,
    Units,
)
from collector.api.restated import (
    Shift,
    batches_at,
    fix_ms,
    shifts_of,
)
from collector.api.times import maybe, rfc3339
from collector.customs.ids import key_of
from collector.store import names, schema
from collector.store.labels import plates_of
from collector.store.live import in_scope
from collector.store.people import unit_ids
from wire import Refused
from wire.batch import read_body, read_payload
from wire.columns import Columns
from wire.envelope import Aad, open_envelope
from wire.hello import State as Hint

OLD_S = 900  # CONSOLE section 6: a position of 15 minutes ago is no answer to "where is it"
TRACK_MS = 86_400_000  # without a beginning
TRACK_BATCHES_MAX = 10_000  # a week at one a minute; decoded in 0.3 s

_LATE_MS = (
    86_400_000  # a batch spans less than this, so what overlaps a time is found by its t0 and t1
)


@dataclass(slots=True, kw_only=True)
class Live:
    """What the loops know and no table holds. Written by `app`, read here."""

    build: str
    broker_kind: str
    started_ms: int
    connected: bool = False
    since_ms: int | None = None
    refused_ms: int | None = None  # since when the store takes nothing; None: it does
    refused_why: str = ""
    hints: dict[str, Hint] = field(default_factory=dict)
    gateway: Callable[[], dict[str, int]] | None = None  # what the seals' gateway counts; None: off

    @property
    def is_well(self) -> bool:
        """What units say gets in, and is kept."""
        return self.connected and self.refused_ms is None

    def refuses(self, why: str, now_ms: int) -> None:
        """The store took nothing."""
        self.refused_why = why
        if self.refused_ms is None:
            self.refused_ms = now_ms

    def keeps(self) -> None:
        """The store took something."""
        self.refused_ms, self.refused_why = None, ""

    def hear(self, unit_id: str, hint: Hint) -> None:
        """Take a hint, unless it is the stale will of an earlier connection (WIRE section 11)."""
        known = self.hints.get(unit_id)
        if not hint.up and known is not None and known.up and known.connection != hint.connection:
            return
        self.hints[unit_id] = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """Of which unit, from when until when."""

    unit_no: int
    begin_ms: int
    end_ms: int


class StoreReads:
    """`service.Reads` over the store's tables."""

    def __init__(self, engine: AsyncEngine, live: Live, now_ms: Callable[[], int]) -> None:
        self._engine = engine
        self._live = live
        self._now_ms = now_ms

    async def alive(self) -> Alive:
        await self._one(select(func.count()).select_from(schema.counter))
        return Alive(ok=self._live.is_well, build=self._live.build)

    async def health(self, *, scope: str) -> Health:
        now_ms, live = self._now_ms(), self._live
        unit, now = schema.unit.c, schema.unit_now.c
        heard = (
            select(func.max(now.heard_ms))
            .join(schema.unit, unit.number == now.unit_no)
            .where(in_scope(unit.scope, scope))
        )
        heard_ms = (await self._one(heard))[0]
        units = select(func.count()).select_from(schema.unit).where(in_scope(unit.scope, scope))
        alerts = select(func.count()).where(_is_open(), _seen(scope))
        refused = select(schema.quarantine.c.reason, func.count()).group_by(
            schema.quarantine.c.reason
        )
        counts = select(schema.counter.c.name, schema.counter.c.value)
        return Health(
            ok=live.is_well,
            build=live.build,
            now=rfc3339(now_ms),
            started=rfc3339(live.started_ms),
            broker=Broker(
                kind=live.broker_kind, connected=live.connected, since=maybe(live.since_ms)
            ),
            store=Kept(
                keeps=live.refused_ms is None,
                since=maybe(live.refused_ms),
                why=live.refused_why,
            ),
            ingest_age_s=None if heard_ms is None else _age_s(now_ms, heard_ms),
            units=(await self._one(units))[0],
            alerts_open=(await self._one(alerts))[0],
            refused={row[0]: row[1] for row in await self._all(refused)},
            counts={row[0]: row[1] for row in await self._all(counts)},
            gateway=None if live.gateway is None else live.gateway(),
        )

    async def units(self, *, q: str, after: str, limit: int, scope: str) -> Units:
        unit, now_ms = schema.unit.c, self._now_ms()
        statement = _units(scope).where(unit.unit_id > after)
        async with self._engine.connect() as connection:
            if q:
                hits = await names.search(connection, key_of(q), now_ms=now_ms)
                by_name = unit.unit_id.contains(q, autoescape=True)
                by_number = unit.number.in_([hit.unit_no for hit in hits])
                statement = statement.where(or_(by_name, by_number))
            asked = statement.order_by(unit.unit_id).limit(limit + 1)
            rows = (await connection.execute(asked)).all()
            plates = await plates_of(connection, [row.number for row in rows[:limit]], now_ms)
        return Units(
            units=[
                Unit(**{**self._unit(row, now_ms), "plate": plates.get(row.number)})
                for row in rows[:limit]
            ],
            more=rows[limit - 1].unit_id if len(rows) > limit else None,
        )

    async def unit(self, unit_id: str, *, scope: str) -> UnitDetail | None:
        rows = await self._all(_units(scope).where(schema.unit.c.unit_id == unit_id))
        if not rows:
            return None
        row = rows[0]
        of_unit = schema.chain.c.unit_no == row.number
        chains = await self._all(
            select(schema.chain.c.chain_id, schema.chain.c.through)
            .where(of_unit)
            .order_by(schema.chain.c.ordinal.desc())
            .limit(1)
        )
        parked = select(func.count()).where(schema.parked.c.unit_no == row.number)
        keys = select(schema.unit_key).where(schema.unit_key.c.unit_no == row.number)
        async with self._engine.connect() as connection:
            plates = await plates_of(connection, [row.number], self._now_ms())
        return UnitDetail(
            **{**self._unit(row, self._now_ms()), "plate": plates.get(row.number)},
            chain=Chain(id=chains[0].chain_id.hex(), through=chains[0].through) if chains else None,
            batches_parked=(await self._one(parked))[0],
            batches_owed=row.owes or 0,
            keys=[_key(key) for key in await self._all(keys.order_by(schema.unit_key.c.added_ms))],
        )

    async def track(
        self, unit_id: str, *, begin_ms: int | None, end_ms: int | None, points_max: int, scope: str
    ) -> Track | None:
        span = await self._span(unit_id, begin_ms, end_ms, scope)
        if span is None:
            return None
        points = [
            (at_ms, _point(fixes, row, chain, at_ms))
            async for at_ms, fixes, row, chain in self._fixes(unit_id, span)
        ]
        shown = _thinned(points, points_max)
        return Track(
            unit=unit_id,
            begin=rfc3339(span.begin_ms),
            end=rfc3339(span.end_ms),
            points=[point for _, point in shown],
            left_out=len(points) - len(shown),
        )

    async def packed_track(
        self, unit_id: str, *, begin_ms: int | None, end_ms: int | None, points_max: int, scope: str
    ) -> bytes | None:
        """The same as columns, thinned so that turns, stops and gaps stay."""
        span = await self._span(unit_id, begin_ms, end_ms, scope)
        if span is None:
            return None
        way = tracks.way_of(
            [
                (
                    at_ms,
                    fixes.lat_e7[row],
                    fixes.lon_e7[row],
                    fixes.speed_cm_s[row],
                    fixes.course_cdeg[row],
                    fixes.flags[row],
                    at_ms != fixes.t_ms[row],
                )
                async for at_ms, fixes, row, _ in self._fixes(unit_id, span)
            ]
        )
        return tracks.pack(way, tracks.thinned(way, points_max), unit_no=span.unit_no)

    async def _span(
        self, unit_id: str, begin_ms: int | None, end_ms: int | None, scope: str
    ) -> "_Span | None":
        """None: no such unit in this scope."""
        unit = schema.unit.c
        found = await self._all(
            select(unit.number).where(unit.unit_id == unit_id, in_scope(unit.scope, scope))
        )
        if not found:
            return None
        end_ms = self._now_ms() if end_ms is None else end_ms
        begin_ms = end_ms - TRACK_MS if begin_ms is None else begin_ms
        return _Span(unit_no=found[0].number, begin_ms=begin_ms, end_ms=end_ms)

    async def _fixes(
        self, unit_id: str, span: "_Span"
    ) -> AsyncIterator[tuple[int, Columns, int, str]]:
        """Each fix of a span: when it was there, and where it stands in its batch of such a chain."""
        shifts = (await shifts_of(self._all, [unit_id])).get(unit_id, [])
        for batch in await self._all(_batches(span.unit_no, span.begin_ms, span.end_ms, shifts)):
            fixes, chain = _columns(batch.envelope), batch.chain_id.hex()
            for row in range(len(fixes)):
                at_ms = fix_ms(shifts, chain, fixes.seq[row], fixes.t_ms[row], fixes.flags[row])
                if span.begin_ms <= at_ms <= span.end_ms:
                    yield at_ms, fixes, row, chain

    async def orders(self, unit_id: str, *, after: str, limit: int, scope: str) -> Orders | None:
        async with self._engine.connect() as connection:
            number = await order_reads.unit_no(connection, unit_id, scope)
            if number is None:
                return None
            found, more = await order_reads.orders_of(connection, number, after=after, limit=limit)
            strays = await order_reads.strays_of(connection, number)
        return Orders(orders=found, strays=strays, more=more)

    async def configs(self, unit_id: str, *, scope: str) -> Configs | None:
        async with self._engine.connect() as connection:
            number = await order_reads.unit_no(connection, unit_id, scope)
            if number is None:
                return None
            found = await order_reads.configs_of(connection, number)
        return Configs(unit=unit_id, configs=found)

    async def refusals(self, *, limit: int) -> Refusals:
        rows = await self._all(
            select(schema.quarantine).order_by(schema.quarantine.c.number.desc()).limit(limit)
        )
        return Refusals(
            refusals=[
                Refusal(
                    number=row.number,
                    at=rfc3339(row.rx_ms),
                    topic=row.topic,
                    reason=row.reason,
                    detail=row.detail,
                    size_bytes=row.size_bytes,
                )
                for row in rows
            ]
        )

    def _unit(self, row: Row[Any], now_ms: int) -> dict[str, Any]:
        age_s = None if row.t_ms is None else _age_s(now_ms, row.t_ms)
        hint = self._live.hints.get(row.unit_id)
        return {
            "unit": row.unit_id,
            "no": row.number,
            "plate": None,
            "at": maybe(row.t_ms),
            "age_s": age_s,
            "old": None if age_s is None else age_s > OLD_S,
            "lat": _degrees(row.lat_e7),
            "lon": _degrees(row.lon_e7),
            "speed_m_s": _scaled(row.speed_cm_s, 100),
            "course_deg": _scaled(row.course_cdeg, 100),
            "heard_at": maybe(row.heard_ms),
            "heard_age_s": None if row.heard_ms is None else _age_s(now_ms, row.heard_ms),
            "link": None if hint is None else ("up" if hint.up else "down"),
            "alerts_open": row.alerts_open,
        }

    async def _all(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        async with self._engine.connect() as connection:
            return (await connection.execute(statement)).all()

    async def _one(self, statement: Select[Any]) -> Row[Any]:
        return (await self._all(statement))[0]


def _is_open() -> ColumnElement[bool]:
    return schema.alert.c.state != State.CLOSED.value


def _seen(scope: str) -> ColumnElement[bool]:
    """Alerts of units in this scope; those of no unit are for who sees all."""
    return schema.alert.c.unit.in_(unit_ids(scope)) if scope else true()


def _units(scope: str) -> Select[Any]:
    now = schema.unit_now
    is_open = (
        select(func.count())
        .where(schema.alert.c.unit == schema.unit.c.unit_id, _is_open())
        .scalar_subquery()
    )
    return (
        select(schema.unit.c.number, schema.unit.c.unit_id, now, is_open.label("alerts_open"))
        .outerjoin(now, now.c.unit_no == schema.unit.c.number)
        .where(in_scope(schema.unit.c.scope, scope))
    )


def _batches(unit_no: int, begin_ms: int, end_ms: int, shifts: Sequence[Shift]) -> Select[Any]:
    batch, chain = schema.batch, schema.chain
    return (
        select(batch.c.envelope, chain.c.chain_id)
        .join(chain, and_(chain.c.unit_no == batch.c.unit_no, chain.c.ordinal == batch.c.chain))
        .where(
            batch.c.unit_no == unit_no,
            batch.c.reason.is_(None),  # refused with its link kept: its records are not used
            or_(
                and_(batch.c.t0_ms <= end_ms, batch.c.t1_ms >= begin_ms),
                batches_at(shifts, begin_ms, end_ms),
            ),
        )
        .order_by(batch.c.chain, batch.c.batch_no)
        .limit(TRACK_BATCHES_MAX)
    )


def _columns(envelope: bytes) -> Columns:
    """The fixes of a stored batch; the store holds the evidence, so it is read as it came."""
    opened = open_envelope(envelope, Aad.BATCH)
    assert not isinstance(opened, Refused), "the store holds what ingest accepted"
    header = read_payload(opened.payload)
    assert not isinstance(header, Refused), "the store holds what ingest accepted"
    body = read_body(header)
    assert not isinstance(body, Refused), "the store holds what ingest accepted"
    return body.fixes


def _point(fixes: Columns, row: int, chain: str, at_ms: int) -> TrackPoint:
    said_ms = fixes.t_ms[row]
    return TrackPoint(
        at=rfc3339(at_ms),
        said_at=None if at_ms == said_ms else rfc3339(said_ms),
        chain=chain,
        seq=fixes.seq[row],
        lat=fixes.lat_e7[row] / 1e7,
        lon=fixes.lon_e7[row] / 1e7,
        speed_m_s=_scaled(fixes.speed_cm_s[row], 100),
        course_deg=_scaled(fixes.course_cdeg[row], 100),
        hdop=_scaled(fixes.hdop_centi[row], 100),
        alt_m=_scaled(fixes.alt_dm[row], 10),
        sats=fixes.sats[row],
    )


def _thinned(
    points: Sequence[tuple[int, TrackPoint]], points_max: int
) -> Sequence[tuple[int, TrackPoint]]:
    """At most `points_max` of them, evenly, the first and the last always."""
    if len(points) <= points_max:
        return points
    last = len(points) - 1
    return [points[step * last // (points_max - 1)] for step in range(points_max)]


def _key(row: Row[Any]) -> UnitKey:
    digits = sha256(row.public_key).hexdigest()[:16]
    return UnitKey(
        kid=row.kid.hex(),
        fingerprint=" ".join(digits[at : at + 4] for at in range(0, 16, 4)),
        revoked=row.revoked_ms is not None,
    )


def _age_s(now_ms: int, at_ms: int) -> int:
    """Never below 0: a unit's clock may run ahead of ours."""
    return max(0, (now_ms - at_ms) // 1_000)


def _degrees(value_e7: int | None) -> float | None:
    return None if value_e7 is None else value_e7 / 1e7


def _scaled(value: int | None, parts: int) -> float | None:
    return None if value is None else value / parts
