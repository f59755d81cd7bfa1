"""What seals said lately, read from the evidence itself (CONSOLE section 6).

Law: what the store holds is believed no further than its signature: a row that was changed since is named, and its word counts for nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.detect.seals import Report
from collector.detect.seals.reports import read_report
from collector.ingest.chains import GOOD_QUALITIES
from collector.store import schema
from wire import Refused
from wire.batch import Header, head_of, read_body, read_payload
from wire.envelope import Aad, open_envelope, verify
from wire.records import EventKind

BATCHES_MAX = 256  # looked through for reports of seals: two hours of driving, decoded in 60 ms, verified in 40
RECENT_MS = 900_000  # looked through in any case
SILENT = 3  # cause of a seal's event: nothing was heard
ALL_BITS = (1 << 16) - 1


@dataclass(slots=True, kw_only=True)
class Heard:
    """What a seal said lately: its newest report, and each bit as the newest report that knows it has it."""

    at_ms: int
    known: int = 0
    true: int = 0
    battery_percent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lately:
    """What was read. `broken_ms`: when the newest batch came that does not verify any more; None: all do."""

    seals: Mapping[str, Heard]
    broken_ms: int | None


async def lately_of(
    connection: AsyncConnection, unit_no: int, declared: Sequence[str], now_ms: int
) -> Lately:
    """What each seal said in the newest batches, and whether these are yet what the unit has signed."""
    batch, key = schema.batch.c, schema.unit_key.c
    keys = {
        row.kid: row.public_key
        for row in await connection.execute(
            select(key.kid, key.public_key).where(key.unit_no == unit_no)
        )
    }
    rows = await connection.execute(
        select(batch.envelope, batch.head, batch.rx_ms, batch.sealed_ms)
        .where(batch.unit_no == unit_no, batch.reason.is_(None))
        .order_by(batch.chain.desc(), batch.batch_no.desc())
        .limit(BATCHES_MAX)
    )
    said: dict[str, list[tuple[int, Report]]] = {}
    clocks: dict[
        int, int
    ] = {}  # of each start: its trusted time less its steady one, as it was said last
    broken_ms: int | None = None
    for row in rows:
        header = _read(row, keys)
        if header is None:
            broken_ms = row.rx_ms if broken_ms is None else broken_ms
            continue
        for at_ms, report in reversed(_reports(header, clocks)):
            said.setdefault(report.seal, []).append((min(at_ms, row.rx_ms), report))
        if row.sealed_ms < now_ms - RECENT_MS and said.keys() >= set(declared):
            break
    seals = {seal: _merged(reports) for seal, reports in said.items()}
    return Lately(seals=seals, broken_ms=broken_ms)


def _read(row: Row[Any], keys: Mapping[bytes, bytes]) -> Header | None:
    """A stored batch, if it is what ingest accepted: signed by a key of the unit, with the head that the next one links to."""
    opened = open_envelope(row.envelope, Aad.BATCH)
    if isinstance(opened, Refused) or opened.kid not in keys:
        return None
    if not verify(opened, Aad.BATCH, keys[opened.kid]) or head_of(opened.payload) != row.head:
        return None
    header = read_payload(opened.payload)
    return None if isinstance(header, Refused) else header


def _reports(header: Header, clocks: dict[int, int]) -> list[tuple[int, Report]]:
    """Reports in which a seal said something of itself, in their order, with their times.

    What a unit told before it trusted its clock is timed by what it has said since, within the same start.
    """
    body = read_body(header)
    assert not isinstance(body, Refused), "the store holds what ingest accepted"
    if header.time_quality in GOOD_QUALITIES:
        clocks.setdefault(header.boot_no, header.sealed_ms - header.sealed_mono_ms)
    clock_ms = clocks.get(header.boot_no)
    found = []
    for event in body.events:
        report = read_report(event) if event.kind == EventKind.SEAL else None
        if report is None or not report.known or report.cause == SILENT:
            continue
        is_own = report.at_ms != event.t_ms  # the seal's own time, of its backlog
        at_ms = report.at_ms if is_own or clock_ms is None else clock_ms + event.mono_ms
        found.append((at_ms, report))
    return found


def _merged(said: list[tuple[int, Report]]) -> Heard:
    """Some locks say a level only when it changes: each bit is as it was said last."""
    said.sort(key=lambda one: -one[0])
    heard = Heard(at_ms=said[0][0])
    for _, report in said:
        fresh = report.known & ~heard.known
        heard.true |= report.true & fresh
        heard.known |= fresh
        if heard.battery_percent is None:
            heard.battery_percent = report.battery_percent
        if heard.known & ALL_BITS == ALL_BITS:
            break
    return heard
