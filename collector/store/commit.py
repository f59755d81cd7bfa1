"""One tick, one transaction: fence, batches, heads, states, findings, alerts, counters.

Law: all of it or nothing. A unit whose head has moved meanwhile is taken out, and the tick is committed without it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.detect import Finding
from collector.ingest import Arrival
from collector.notify import Target
from collector.store import StoreError, TickWrite, UnitWrite, names, notifications, schema
from collector.store.alert_acts import run_out_all
from collector.store.alert_moves import move_alerts
from collector.store.dialect import insert, upsert
from collector.store.feed import next_feed
from collector.store.loads import IN_MAX, Place, parts
from collector.store.order_words import settle
from collector.store.spell import write as spell
from wire.canon import Encodable, encode

QUARANTINE_ROWS_MAX = 2_000  # of 33 KiB at most: 66 MiB; what is older is counted only
FORKS_MAX = 64  # proofs a unit: one convicts, the rest show for how long

At = Callable[[str], None]
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What the transaction holds."""

    tick_no: int
    lost: frozenset[str]  # units that another worker has moved: nothing of theirs was written
    findings: tuple[Finding, ...]  # those that were not there before
    feed: tuple[bytes, ...]  # ids of alerts that changed


_OTHER = "another collector writes to this store: let only one run"


async def write_tick(connection: AsyncConnection, tick: TickWrite, at: At) -> Committed:
    """Write `tick` on a connection that has begun a transaction of the writer. Calls `at` between statements."""
    lost = await _lost(connection, tick.units)
    if tick.time_passed:
        await _fence_time(connection, tick, lost)
    units = [unit for unit in tick.units if unit.unit_id not in lost]
    await _write_crossed(connection, tick, lost)
    at("fenced")
    tick_no = await _write_log(connection, tick, lost)
    feed_no = await next_feed(connection)
    at("logged")
    await _write_units(connection, units, tick_no, feed_no, at)
    counted = await _write_orders(connection, units, tick.now_ms, tick_no)
    at("orders")
    known = [finding for finding in tick.findings if finding.unit not in lost]
    fresh = await _write_findings(connection, known, tick_no)
    await names.put_heard(connection, {unit.unit_id: unit.unit_no for unit in units}, fresh)
    at("findings")
    settled = [(id_, word) for unit_id, id_, word in tick.settled if unit_id not in lost]
    changed, changes = await move_alerts(connection, fresh, settled, tick.now_ms, feed_no)
    if tick.time_passed:
        changed |= set(await run_out_all(connection, tick.now_ms, feed_no))
    at("alerts")
    await notifications.write(connection, changes, tick.targets, tick.now_ms)
    at("notified")
    await _write_quarantine(connection, tick)
    await _count(connection, {**tick.counters, **counted})
    at("counted")
    return Committed(tick_no=tick_no, lost=lost, findings=tuple(fresh), feed=tuple(sorted(changed)))


async def write_said(
    connection: AsyncConnection, finding: Finding, targets: tuple[Target, ...], now_ms: int
) -> None:
    """A finding that no batch has told but a person: raised, shown and told as any other, under the newest tick."""
    feed_no = await next_feed(connection)
    newest = await connection.execute(select(func.max(schema.tick.c.number)))
    fresh = await _write_findings(connection, [finding], newest.scalar_one() or 0)
    _, changes = await move_alerts(connection, fresh, (), now_ms, feed_no)
    await notifications.write(connection, changes, targets, now_ms)


def pack_intake(entries: Iterable[Encodable]) -> bytes:
    """The log of a tick: each entry behind its length of two bytes."""
    spelt = [encode(entry) for entry in entries]
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in spelt)


async def _lost(connection: AsyncConnection, units: Sequence[UnitWrite]) -> frozenset[str]:
    """The fence: units whose head is no longer what the tick was judged against."""
    head = schema.unit_head.c
    found: dict[int, tuple[int, bytes, int, bytes]] = {}
    for some in parts([unit.unit_no for unit in units]):
        rows = await connection.execute(
            select(schema.unit_head).where(head.unit_no.in_(some)).with_for_update()
        )
        found.update({row.unit_no: (row.rev, row.chain_id, row.batch_no, row.head) for row in rows})
    lost = {
        unit.unit_id
        for unit in units
        if found.get(unit.unit_no)
        != (unit.fence.rev, unit.fence.chain_id, unit.fence.batch_no, unit.fence.head)
    }
    moves = [
        {
            "key": unit.unit_no,
            "expected": unit.fence.rev,
            "rev": unit.fence_after.rev,
            "chain_id": unit.fence_after.chain_id,
            "batch_no": unit.fence_after.batch_no,
            "head": unit.fence_after.head,
        }
        for unit in units
        if unit.unit_id not in lost
    ]
    if moves:
        fence = update(schema.unit_head).where(
            head.unit_no == bindparam("key"), head.rev == bindparam("expected")
        )
        # The rows are locked since the select: on no engine can one of them be missed here.
        await connection.execute(fence, moves)
    return frozenset(lost)


async def _fence_time(connection: AsyncConnection, tick: TickWrite, lost: frozenset[str]) -> None:
    """The log says of time that it passed for all: so it passes for all, by what all have told, or for nobody."""
    cross = schema.cross_state.c
    rows = await connection.execute(select(cross.key, cross.rev))
    if lost or {row.key: row.rev for row in rows} != tick.cross_revs:
        raise StoreError(_OTHER)


async def _write_crossed(
    connection: AsyncConnection, tick: TickWrite, lost: frozenset[str]
) -> None:
    """The fence of what several units told together. It cannot be written without one of them: then nothing is."""
    if not tick.crossed:
        return
    cross = schema.cross_state
    keys = [write.key for write in tick.crossed]
    found: dict[str, int] = {}
    for some in parts(keys):
        rows = await connection.execute(
            select(cross.c.key, cross.c.rev).where(cross.c.key.in_(some)).with_for_update()
        )
        found.update({row.key: row.rev for row in rows})
    if lost or any(found.get(write.key) != write.rev for write in tick.crossed):
        raise StoreError(_OTHER)
    kept: Rows = [
        {"key": write.key, "rev": (write.rev or 0) + 1, "blob": write.blob}
        for write in tick.crossed
        if write.blob is not None
    ]
    if kept:
        await connection.execute(upsert(connection.dialect.name, cross), kept)
    gone = [write.key for write in tick.crossed if write.blob is None]
    for some in parts(gone):
        await connection.execute(delete(cross).where(cross.c.key.in_(some)))


async def _write_log(connection: AsyncConnection, tick: TickWrite, lost: frozenset[str]) -> int:
    intake: list[Encodable] = [
        _spellable(entry) for unit_id, entry in tick.intake if unit_id not in lost
    ]
    result = await connection.execute(
        insert(connection.dialect.name, schema.tick)
        .values(
            now_ms=tick.now_ms,
            rules_version=tick.rules_version,
            intake=pack_intake(intake),
        )
        .returning(schema.tick.c.number)
    )
    return int(result.scalar_one())


async def _write_units(
    connection: AsyncConnection, units: Sequence[UnitWrite], tick_no: int, feed: int, at: At
) -> None:
    dialect = connection.dialect.name
    chains = [
        {"unit_no": unit.unit_no, **_fields(chain)} for unit in units for chain in unit.chains
    ]
    if chains:
        await connection.execute(upsert(dialect, schema.chain), chains)
    batches: Rows = [
        {**{name: getattr(row, name) for name in _BATCH}, "tick_no": tick_no}
        for unit in units
        for row in unit.batches
    ]
    if batches:
        await connection.execute(insert(dialect, schema.batch), batches)
    at("batches")
    await _write_parked(connection, units)
    at("parked")
    await _write_closed(connection, units)
    forks: Rows = [
        {"unit_no": unit.unit_no, **_fields(fork)} for unit in units for fork in unit.forks
    ]
    if forks:
        await _write_forks(connection, units, forks)
    gaps = [unit.unit_no for unit in units if unit.gap_changed]
    if gaps:
        await connection.execute(
            update(schema.unit).where(schema.unit.c.number.in_(gaps)).values(feed=feed)
        )
    states: Rows = [
        {"unit_no": unit.unit_no, "blob": unit.state} for unit in units if unit.state is not None
    ]
    if states:
        await connection.execute(upsert(dialect, schema.detector_state), states)
    at("states")
    nows: Rows = [
        {"unit_no": unit.unit_no, "feed": feed, **_fields(unit.now)}
        for unit in units
        if unit.now is not None
    ]
    if nows:
        await connection.execute(upsert(dialect, schema.unit_now), nows)


async def _write_orders(
    connection: AsyncConnection, units: Sequence[UnitWrite], now_ms: int, tick_no: int
) -> Counter[str]:
    """Orders that units spoke of, and gaps that supervisors gave up."""
    counted: Counter[str] = Counter()
    for unit in units:
        if unit.words:
            counted.update(await settle(connection, unit.unit_no, unit.words, now_ms))
        for number, outcome in unit.gaps_closed:
            gap_close = schema.gap_close
            await connection.execute(
                update(gap_close)
                .where(gap_close.c.number == number)
                .values(outcome=outcome, tick_no=tick_no)
            )
    return counted


async def _write_parked(connection: AsyncConnection, units: Sequence[UnitWrite]) -> None:
    parked: Rows = [_parked_row(unit.unit_no, *entry) for unit in units for entry in unit.parked]
    if parked:
        await connection.execute(insert(connection.dialect.name, schema.parked), parked)
    await delete_parked(
        connection, [(unit.unit_no, *place) for unit in units for place in unit.unparked]
    )


async def delete_parked(connection: AsyncConnection, places: Sequence[Place]) -> None:
    """These batches wait no more."""
    columns = schema.parked.c
    for some in parts(places, IN_MAX // 3):
        await connection.execute(
            delete(schema.parked).where(
                tuple_(columns.unit_no, columns.chain_id, columns.batch_no).in_(some)
            )
        )


async def _write_closed(connection: AsyncConnection, units: Sequence[UnitWrite]) -> None:
    """Confessions, holes and gaps: few and short, so that those of a unit are written anew as a whole."""
    for unit in units:
        for table, entries in (
            (schema.confession, unit.confessions),
            (schema.hole, unit.holes),
        ):
            if entries is None:
                continue
            await connection.execute(delete(table).where(table.c.unit_no == unit.unit_no))
            rows: Rows = [
                {"unit_no": unit.unit_no, **_fields(entry), "why": entry.why.value}
                for entry in entries
            ]
            if rows:
                await connection.execute(table.insert(), rows)
        if unit.gap_changed:
            gap = schema.gap
            await connection.execute(delete(gap).where(gap.c.unit_no == unit.unit_no))
            if unit.gap is not None:
                row = _fields(unit.gap)
                for name in ("asked_ms", "is_promised"):  # a restart asks again: harmless
                    del row[name]
                await connection.execute(gap.insert(), [{"unit_no": unit.unit_no, **row}])


async def _write_forks(
    connection: AsyncConnection, units: Sequence[UnitWrite], forks: Rows
) -> None:
    fork = schema.fork
    counts = await connection.execute(
        select(fork.c.unit_no, func.count().label("proofs"))
        .where(fork.c.unit_no.in_([unit.unit_no for unit in units if unit.forks]))
        .group_by(fork.c.unit_no)
    )
    held = {row.unit_no: row.proofs for row in counts}
    kept = []
    for row in forks:
        held[row["unit_no"]] = held.get(row["unit_no"], 0) + 1
        if held[row["unit_no"]] <= FORKS_MAX:
            kept.append(row)
    if kept:
        statement = insert(connection.dialect.name, fork).on_conflict_do_nothing()
        await connection.execute(statement, kept)


async def _write_findings(
    connection: AsyncConnection, findings: Sequence[Finding], tick_no: int
) -> list[Finding]:
    """Write those that are not there yet: (id, n) is unique, nothing is raised twice."""
    if not findings:
        return []
    columns = schema.finding.c
    there: set[tuple[bytes, int]] = set()
    for some in parts([(finding.id, finding.n) for finding in findings], IN_MAX // 2):
        rows = await connection.execute(
            select(columns.id, columns.n).where(tuple_(columns.id, columns.n).in_(some))
        )
        there.update((row.id, row.n) for row in rows)
    fresh = []
    for finding in findings:
        if (finding.id, finding.n) not in there:
            there.add((finding.id, finding.n))
            fresh.append(finding)
    if fresh:
        await connection.execute(
            schema.finding.insert(), [_finding_row(finding, tick_no) for finding in fresh]
        )
    return fresh


async def _write_quarantine(connection: AsyncConnection, tick: TickWrite) -> None:
    if not tick.quarantine:
        return
    quarantine = schema.quarantine
    await connection.execute(quarantine.insert(), [_fields(row) for row in tick.quarantine])
    newest = (await connection.execute(select(func.max(quarantine.c.number)))).scalar_one()
    await connection.execute(
        delete(quarantine).where(quarantine.c.number <= newest - QUARANTINE_ROWS_MAX)
    )


async def _count(connection: AsyncConnection, counters: dict[str, int]) -> None:
    if not counters:
        return
    statement = insert(connection.dialect.name, schema.counter)
    added = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={"value": schema.counter.c.value + statement.excluded.value},
    )
    await connection.execute(
        added, [{"name": name, "value": value} for name, value in sorted(counters.items())]
    )


_BATCH = tuple(column.name for column in schema.batch.columns if column.name != "tick_no")


def _parked_row(
    unit_no: int, arrival: Arrival, envelope: bytes, rx_ms: int, early_ms: int | None
) -> dict[str, Any]:
    genesis = arrival.genesis
    return {
        "unit_no": unit_no,
        "chain_id": arrival.chain_id,
        "batch_no": arrival.batch_no,
        "head": arrival.head,
        "prev": arrival.prev,
        "first_seq": arrival.first_seq,
        "count": arrival.count,
        "sealed_ms": arrival.sealed_ms,
        "time_quality": arrival.time_quality,
        "boot_no": arrival.boot_no,
        "sealed_mono_ms": arrival.sealed_mono_ms,
        "is_early": arrival.is_early,
        "rx_ms": rx_ms,
        "early_ms": early_ms,
        "reason": None if arrival.reason is None else arrival.reason.value,
        "genesis_reason": None if genesis is None else genesis.reason,
        "prev_chain": None if genesis is None else genesis.prev_chain,
        "prev_batch_no": None if genesis is None else genesis.prev_batch_no,
        "prev_head": None if genesis is None else genesis.prev_head,
        "prev_seq": None if genesis is None else genesis.prev_seq,
        "size_bytes": arrival.size_bytes,
        "envelope": envelope,
    }


def _finding_row(finding: Finding, tick_no: int) -> dict[str, Any]:
    return {
        "id": finding.id,
        "n": finding.n,
        "code": finding.code,
        "level": finding.level.value,
        "priority": None if finding.priority is None else finding.priority.value,
        "phase": finding.phase.value,
        "unit": finding.unit,
        "chain": finding.chain,
        "seq": finding.seq,
        "at_ms": finding.at_ms,
        "confirmed_ms": finding.confirmed_ms,
        "received_ms": finding.received_ms,
        "late": finding.late,
        "lat_e7": finding.lat_e7,
        "lon_e7": finding.lon_e7,
        "zone": finding.zone,
        "route": finding.route,
        "seal": finding.seal,
        "detail": spell(finding.value, finding.data),
        "tick_no": tick_no,
    }


def _fields(row: object) -> dict[str, Any]:
    """The fields of a flat frozen row."""
    return {name: getattr(row, name) for name in row.__slots__}  # type: ignore[attr-defined]  # every row of ours has slots


def _spellable(entry: Sequence[object]) -> Encodable:
    spelt: list[Encodable] = []
    for part in entry:
        assert part is None or isinstance(part, int | str | bytes)
        spelt.append(part)
    return spelt
