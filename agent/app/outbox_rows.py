"""Rows of an outbox as they lie, from the running agent or from a file, and what is wrong with them (EDGE section 13).

Law: nothing is changed, nothing deleted, and nothing believed without our own signature on it.
"""

import shutil
import sqlite3
import tempfile
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent import Identity
from agent.io.clock import Clock, boot_id
from agent.io.status import ask
from agent.outbox.book import Book
from agent.outbox.rows import Row, Sealed, open_row
from agent.outbox.word import home_of
from wire.batch import h0

URGENT = 4  # EDGE section 4, `weight`
MEMORY_BYTES_MAX = 1_048_576
WAL = "-wal"

Cells = tuple[Any, ...]  # as SQLite gives them; damaged files give wrong types


class StoreFileError(Exception):
    """The file cannot be read as an outbox; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lying:
    """A row where it was found; `chain_id` empty: no chain of that number is known."""

    chain_id: bytes
    row: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainLine:
    """A chain as its store knows it."""

    chain_id: bytes
    covered: int
    last_no: int  # in a file: as of the newest receipt that was carried out


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A store that no agent holds."""

    chains: tuple[ChainLine, ...]
    memory: Mapping[str, bytes]
    rows: tuple[Lying, ...]
    fault: str  # why some rows could not be read; empty: all were


@dataclass(slots=True, kw_only=True)
class ChainTally:
    """What was found of one chain."""

    first: int | None = None
    last: int = -1
    rows: int = 0
    missing: int = 0
    head: bytes = b""
    next_seq: int = 0
    seq: int = 0
    boot_no: int = 0


@dataclass(slots=True)
class Tally:
    """Signatures and links of rows in the order of their positions."""

    identity: Identity
    chains: dict[bytes, ChainTally] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)  # sentences
    first_ms: int | None = None
    last_ms: int | None = None

    @property
    def missing(self) -> int:
        """Numbers that lie in no row, between the first and the last of their chain."""
        return sum(chain.missing for chain in self.chains.values())

    def take(self, lying: Lying) -> Sealed | None:
        """The row's batch if it is sound; else, or if its link does not hold, a sentence in `bad`."""
        row, chain_id = lying.row, lying.chain_id
        sealed = open_row(row, self.identity, chain_id) if len(chain_id) == 16 else None
        if sealed is None:
            self.bad.append(f"row {row.pos}: batch {row.no} does not bear our signature")
            return None
        chain = self.chains.setdefault(chain_id, ChainTally())
        header = sealed.header
        if row.no == 0:
            follows = header.prev == h0(
                self.identity.unit_id, chain_id, self.identity.public_key
            ) or bool(self.identity.former_keys)
        elif chain.rows and row.no == chain.last + 1:
            follows = header.prev == chain.head and header.first_seq == chain.next_seq
        else:
            follows = True  # what was before it is not here
        if not follows:
            self.bad.append(f"row {row.pos}: batch {row.no} is not linked to the one before")
        if chain.rows and row.no > chain.last + 1:
            chain.missing += row.no - chain.last - 1
        chain.first = row.no if chain.first is None else chain.first
        chain.last, chain.head = row.no, sealed.head
        chain.next_seq = header.first_seq + header.count
        chain.seq, chain.boot_no = chain.next_seq - 1, header.boot_no
        chain.rows += 1
        if header.time_quality:
            self.first_ms = header.sealed_ms if self.first_ms is None else self.first_ms
            self.last_ms = header.sealed_ms
        return sealed


def running_rows(socket_path: Path, from_pos: int = 0) -> Iterator[Lying]:
    """Rows of the running agent's store; StatusError if it does not answer."""
    next_pos: object = from_pos
    while isinstance(next_pos, int):
        answer = ask(socket_path, f"/outbox/rows?from={next_pos}")
        rows = answer["rows"]
        assert isinstance(rows, list)
        for one in rows:
            row = Row(
                pos=one["pos"],
                chain=0,
                no=one["no"],
                weight=one["weight"],
                envelope=b64decode(one["envelope"]),
            )
            yield Lying(chain_id=bytes.fromhex(one["chain"]), row=row)
        next_pos = answer["next"]


def read_file(path: Path) -> Contents:
    """What lies in a store's file, readable or not. StoreFileError if nothing of it can be read.

    A file with a WAL is read in a copy: SQLite would bring the WAL home, and the evidence would not be as it lay.
    """
    if not path.is_file():
        raise StoreFileError(f"{path}: there is no such file")
    wal = path.with_name(path.name + WAL)
    if not wal.exists() or wal.stat().st_size == 0:
        return _read(path, "mode=ro&immutable=1")
    with tempfile.TemporaryDirectory(prefix="plomba-outbox-") as folder:
        copy = Path(folder) / "copy.db"
        try:
            shutil.copyfile(path, copy)
            shutil.copyfile(wal, copy.with_name(copy.name + WAL))
        except OSError as error:
            raise StoreFileError(f"{path}: no room for a copy in {folder}: {error}") from error
        return _read(copy, "mode=rw")


def home_from(memory: Mapping[str, bytes], clock: Clock) -> int | None:
    """From which position on batches stay at home until the collector has spoken (EDGE section 4, the word)."""
    home = home_of(Book(memory=memory))
    if home is None:
        return None
    same_boot = memory.get("boot_id") == boot_id()
    waits = not home.spoken or (same_boot and clock.mono_ms() < home.until_mono_ms)
    return home.from_pos if waits else None


def _read(path: Path, how: str) -> Contents:
    quoted = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    try:
        with closing(
            sqlite3.connect(f"file:{quoted}?{how}", uri=True, isolation_level=None)
        ) as connection:
            return _contents(connection)
    except sqlite3.Error as error:
        raise StoreFileError(f"{path}: {error}") from error


def _contents(connection: sqlite3.Connection) -> Contents:
    memory: dict[str, bytes] = {}
    chains: dict[int, tuple[bytes, int, int]] = {}
    fault = ""
    try:
        for name, value in connection.execute("SELECT name, value FROM memory"):
            if isinstance(name, str) and isinstance(value, bytes):
                memory[name] = value[:MEMORY_BYTES_MAX]
        for cells in connection.execute("SELECT id, chain_id, through, last_no FROM chain"):
            match cells:
                case (int(id_), bytes(chain_id), int(through), int(last_no)):
                    chains[id_] = (chain_id, through, last_no)
                case _:
                    fault = "a chain's row is damaged"
    except sqlite3.DatabaseError as error:
        fault = str(error)
    lines = tuple(
        ChainLine(chain_id=chain_id, covered=through, last_no=last_no)
        for _, (chain_id, through, last_no) in sorted(chains.items())
    )
    names = {id_: chain_id for id_, (chain_id, _, _) in chains.items()}
    rows, why = _rows(connection, names)
    return Contents(chains=lines, memory=memory, rows=tuple(rows), fault=why or fault)


def _rows(connection: sqlite3.Connection, names: Mapping[int, bytes]) -> tuple[list[Lying], str]:
    """All rows that can be read: from the front up to a damaged page, then from the back down to one."""
    found: dict[int, Lying] = {}
    fault = ""
    for order, edge in (("ASC", "pos > ?"), ("DESC", "pos < ?")):
        at = 0 if order == "ASC" else 1 << 62
        sql = (
            f"SELECT pos, chain, no, weight, envelope FROM batch WHERE {edge} ORDER BY pos {order}"  # noqa: S608  # two words of ours
        )
        try:
            for cells in connection.execute(sql, (at,)):
                lying = _lying(cells, names)
                if lying is None:
                    fault = "a row's cells are damaged"
                elif lying.row.pos in found:
                    break
                else:
                    found[lying.row.pos] = lying
        except sqlite3.DatabaseError as error:
            fault = str(error)
            continue
        if not fault:
            break
    return [found[pos] for pos in sorted(found)], fault


def _lying(cells: Cells, names: Mapping[int, bytes]) -> Lying | None:
    match cells:
        case (int(pos), int(chain), int(no), int(weight), bytes(envelope)):
            row = Row(pos=pos, chain=chain, no=no, weight=weight, envelope=envelope)
            return Lying(chain_id=names.get(chain, b""), row=row)
        case _:
            return None
