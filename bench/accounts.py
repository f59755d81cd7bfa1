"""The accounts of a run: what the units sealed, what the collector stored, and what is missing or there twice.

Law: read from the files that the programs left, by nothing but SQL and the wire; no counter of theirs is believed.
"""

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path

import msgpack

from wire import Refused
from wire.batch import Header, head_of, inflate, make_payload, read_payload
from wire.columns import Body, decode_body, encode_body
from wire.envelope import Aad, open_envelope, seal
from wire.records import EventKind, FixRecord

DISK_FULL = 1  # reason of a `dropped` event (WIRE section 6, kind 13)


class NoBatchError(Exception):
    """A file holds bytes that are no batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One batch as a file holds it."""

    unit: str
    chain_id: bytes
    batch_no: int
    head: bytes
    first_seq: int
    count: int
    sealed_ms: int
    envelope: bytes

    @property
    def key(self) -> tuple[str, bytes, int]:
        return self.unit, self.chain_id, self.batch_no


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFile:
    """What a unit's outbox says: its rows, and how far each chain went and was covered."""

    unit: str
    rows: tuple[Held, ...]
    covered: dict[bytes, int]  # by chain: newest number with a receipt


@dataclass(slots=True, kw_only=True)
class Accounts:
    """What was found. All zero where it says `lost`, `twice`, `differing`, `holes`: a sound run."""

    sealed: int = 0  # batches that the units' files prove
    recorded: int = 0  # records in them
    stored: int = 0  # batches in the collector's store
    stored_records: int = 0
    receipted: int = 0
    kept: int = 0  # sealed, not stored, still on the unit: not lost
    lost: int = 0
    twice: int = 0  # a number or a record stored more than once
    differing: int = 0  # stored with other bytes than sealed
    holes: int = 0  # numbers missing in a stored chain below its newest, and not told as dropped for want of room
    evicted: int = 0  # told so: routine that a full disk had no room for
    faults: list[str] = field(default_factory=list)


def settle(units: Iterable[UnitFile], stored: Iterable[Held]) -> Accounts:
    """Compare what the units sealed with what the collector holds."""
    accounts = Accounts()
    theirs: dict[tuple[str, bytes, int], Held] = {}
    for batch in stored:
        accounts.stored += 1
        accounts.stored_records += batch.count
        if batch.key in theirs:
            accounts.twice += 1
            accounts.faults.append(f"{_name(batch)} is stored twice")
        theirs[batch.key] = batch
    _look_for_holes(theirs.values(), accounts)
    for unit in units:
        for row in unit.rows:
            accounts.sealed += 1
            accounts.recorded += row.count
            is_covered = row.batch_no <= unit.covered.get(row.chain_id, -1)
            accounts.receipted += is_covered
            there = theirs.get(row.key)
            if there is None and is_covered:
                accounts.lost += 1
                accounts.faults.append(f"{_name(row)} has a receipt and is not stored")
            elif there is None:
                accounts.kept += 1
            elif there.envelope != row.envelope:
                accounts.differing += 1
                accounts.faults.append(f"{_name(row)} is stored with other bytes")
    return accounts


def read_unit(outbox: Path, unit: str) -> UnitFile:
    """The outbox of a unit whose agent has ended; its files are copied first, so nothing of it changes."""
    with _copy_of(outbox) as base:
        chains = {
            number: (bytes(chain_id), through)
            for number, chain_id, through in base.execute("SELECT id, chain_id, through FROM chain")
        }
        rows = [
            held_of(unit, bytes(envelope))
            for (envelope,) in base.execute("SELECT envelope FROM batch ORDER BY pos")
        ]
    return UnitFile(unit=unit, rows=tuple(rows), covered=dict(chains.values()))


def read_store(store: Path) -> tuple[Held, ...]:
    """Every batch in the collector's SQLite store, parked ones too, in order of unit, chain and number."""
    with _copy_of(store) as base:
        units = dict(base.execute("SELECT number, unit_id FROM unit"))
        rows = base.execute(
            "SELECT unit_no, envelope FROM batch UNION ALL SELECT unit_no, envelope FROM parked"
        )
        batches = [held_of(units[number], bytes(envelope)) for number, envelope in rows]
    return tuple(sorted(batches, key=lambda batch: batch.key))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A finding as the store holds it."""

    id: bytes
    n: int
    code: str
    level: str
    phase: str
    unit: str
    at_ms: int
    received_ms: int | None
    late: bool | None
    value: object
    settled: str | None = None  # what the chain made of an alert that was raised ahead of it


def read_findings(store: Path) -> tuple[Found, ...]:
    """Every finding in the collector's store, in the order in which they were committed."""
    with _copy_of(store) as base:
        rows = base.execute(
            "SELECT finding.id, n, finding.code, level, phase, finding.unit, finding.at_ms, received_ms, late, detail, settled"
            " FROM finding LEFT JOIN alert ON alert.id = finding.id ORDER BY number"
        )
        return tuple(
            Found(
                id=bytes(row[0]),
                n=row[1],
                code=row[2],
                level=row[3],
                phase=row[4],
                unit=row[5],
                at_ms=row[6],
                received_ms=row[7],
                late=None if row[8] is None else bool(row[8]),
                value=msgpack.unpackb(row[9])[0],
                settled=row[10],
            )
            for row in rows
        )


def held_of(unit: str, envelope: bytes) -> Held:
    """The batch in `envelope`; NoBatchError if it is none."""
    header, payload = _header(envelope)
    return Held(
        unit=unit,
        chain_id=header.chain_id,
        batch_no=header.batch_no,
        head=head_of(payload),
        first_seq=header.first_seq,
        count=header.count,
        sealed_ms=header.sealed_ms,
        envelope=envelope,
    )


def body_of(envelope: bytes) -> Body:
    """The records in `envelope`; NoBatchError if it is no sound batch."""
    header, _ = _header(envelope)
    raw = inflate(header)
    if isinstance(raw, Refused):
        raise NoBatchError(raw.detail)
    body = decode_body(
        raw, first_seq=header.first_seq, count=header.count, batch_no=header.batch_no
    )
    if isinstance(body, Refused):
        raise NoBatchError(body.detail)
    return body


def positions_alone(envelope: bytes) -> int:
    """Bytes that the batch would have if it held its positions and no event; 0 if it holds none."""
    header, _ = _header(envelope)
    columns = body_of(envelope).fixes
    if not len(columns):
        return 0
    names = [one.name for one in fields(FixRecord)]
    rows = zip(*(getattr(columns, name) for name in names), strict=True)
    fixes = [FixRecord(**dict(zip(names, row, strict=True))) for row in rows]
    payload = make_payload(
        unit_id=header.unit_id,
        chain_id=header.chain_id,
        boot_no=header.boot_no,
        batch_no=header.batch_no,
        prev=header.prev,
        first_seq=header.first_seq,
        count=len(columns),
        sealed_ms=header.sealed_ms,
        sealed_mono_ms=header.sealed_mono_ms,
        time_quality=header.time_quality,
        seen=header.seen,
        raw_body=encode_body(header.first_seq, fixes),
    )
    return len(seal(payload, Aad.BATCH, bytes(8), lambda _said: bytes(64)))


@contextmanager
def _copy_of(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a copy of `file` and its log."""
    with tempfile.TemporaryDirectory() as folder:
        for beside in (file, file.with_name(file.name + "-wal")):
            if beside.exists():
                shutil.copy(beside, folder)
        with closing(sqlite3.connect(Path(folder) / file.name)) as base:
            yield base


def _header(envelope: bytes) -> tuple[Header, bytes]:
    opened = open_envelope(envelope, Aad.BATCH)
    if isinstance(opened, Refused):
        raise NoBatchError(opened.detail)
    header = read_payload(opened.payload)
    if isinstance(header, Refused):
        raise NoBatchError(header.detail)
    return header, opened.payload


def _look_for_holes(stored: Iterable[Held], accounts: Accounts) -> None:
    chains: dict[tuple[str, bytes], list[Held]] = {}
    evicted: dict[tuple[str, bytes], set[int]] = {}
    for batch in stored:
        chains.setdefault((batch.unit, batch.chain_id), []).append(batch)
        for chain_id, first, last in _evictions(batch):
            evicted.setdefault((batch.unit, chain_id), set()).update(range(first, last + 1))
    for (unit, chain_id), batches in chains.items():
        batches.sort(key=lambda batch: batch.batch_no)
        missing = set(range(batches[-1].batch_no)) - {batch.batch_no for batch in batches}
        told = missing & evicted.get((unit, chain_id), set())
        accounts.evicted += len(told)
        if missing - told:
            accounts.holes += len(missing - told)
            accounts.faults.append(
                f"{unit} {chain_id.hex()[:8]}: {len(missing - told)} numbers are missing"
            )
        seqs = Counter(
            seq
            for batch in batches
            for seq in range(batch.first_seq, batch.first_seq + batch.count)
        )
        doubled = sum(times - 1 for times in seqs.values())
        if doubled:
            accounts.twice += doubled
            accounts.faults.append(
                f"{unit} {chain_id.hex()[:8]}: {doubled} records are there twice"
            )


def _evictions(batch: Held) -> Iterator[tuple[bytes, int, int]]:
    """What the batch confesses as dropped for want of room: chain, first and last number."""
    for event in body_of(batch.envelope).events:
        match event.data if event.kind == EventKind.DROPPED else ():
            case [int(first), int(last), _, _, _, _, _, reason, *chain] if reason == DISK_FULL:
                named = chain[0] if chain else None
                yield named if isinstance(named, bytes) else batch.chain_id, first, last
            case _:
                pass


def _name(batch: Held) -> str:
    return f"{batch.unit} {batch.chain_id.hex()[:8]} #{batch.batch_no}"
