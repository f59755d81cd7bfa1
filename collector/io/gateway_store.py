"""The gateway's own shelf: batches without a receipt and with one, frames that were heard, what the seals said last. One SQLite file.

Law: number, link, signature and storage of a batch, and the frames in it, are one transaction. A batch leaves for room only, and
only with its receipt.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from collector.gateway import SealState, Tip
from collector.gateway.chain import Hold, Sealed
from wire.receipts import ChainKnown

__all__ = ["Book", "GatewayStore", "GatewayStoreError", "Waiting"]

KEPT_MAX = 9_000  # with their receipt: as many as a unit keeps for a centre that was restored
FRAMES_MAX = 65_536  # hashes; the oldest goes
FRAMES_MS = (
    3_600_000  # a seal repeats within a minute; a serial of 8 bits comes round in four hours
)
LOCK_S_MAX = 5.0  # nobody else writes here but an operator's tool

_SCHEMA = """
create table if not exists memory (name text primary key, value) without rowid;
create table if not exists batches (
    pos integer primary key autoincrement, chain blob not null, batch_no integer not null, first_seq integer not null,
    count integer not null, head blob not null, sealed_ms integer not null, envelope blob not null, urgent integer not null,
    receipted integer not null default 0, unique (chain, batch_no));
create index if not exists waiting on batches (pos) where receipted = 0;
create table if not exists frames (id integer primary key autoincrement, name blob not null unique, heard_ms integer not null);
create table if not exists seals (
    seal_id text primary key, protocol text not null, known integer not null, true integer not null, battery integer,
    heard_ms integer not null, silent integer not null, reported integer not null) without rowid;
"""


class GatewayStoreError(Exception):
    """The shelf cannot be used, and what an operator can do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """What is read at the start."""

    tip: Tip | None
    boot_id: bytes
    boot_no: int
    clean: bool
    set_aside: Path | None  # a damaged file that was moved away just now
    states: dict[str, SealState]
    frames: dict[bytes, int]  # hash of a frame: when it was heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A batch that has no receipt."""

    pos: int
    envelope: bytes
    urgent: bool


class GatewayStore:
    """One connection, used by one thread at a time."""

    def __init__(
        self, path: Path, unit_id: str, kid: bytes, *, at: Callable[[str], None] | None = None
    ) -> None:
        """Open or make the file; GatewayStoreError if it belongs to another unit or key. `at` names each step, for tests."""
        self._path = path
        self._at = at or (lambda _step: None)
        self.set_aside: Path | None = None
        try:
            self._db = self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise GatewayStoreError(f"{path}: {error}") from error
            self.set_aside = _move_away(path)
            self._db = self._open()
        self._claim(unit_id, kid)

    def close(self) -> None:
        self._db.close()

    def read(self) -> Book:
        """What is known from before."""
        boot_no = self._recall("boot_no")
        boot_id = self._recall("boot_id")
        return Book(
            tip=self._tip(),
            boot_id=boot_id if isinstance(boot_id, bytes) else b"",
            boot_no=boot_no if isinstance(boot_no, int) else -1,
            clean=self._recall("clean") == 1,
            set_aside=self.set_aside,
            states=self._states(),
            frames=dict(self._db.execute("select name, heard_ms from frames order by id")),
        )

    def begin(self, boot_id: bytes, boot_no: int) -> None:
        """A start: from now on a stop is unclean until it says otherwise."""
        with self._transaction():
            self._remember({"boot_id": boot_id, "boot_no": boot_no, "clean": 0})

    def commit(
        self,
        batches: Sequence[Sealed],
        tip: Tip,
        *,
        urgent: bool = False,
        states: Mapping[str, SealState] | None = None,
        frames: Iterable[bytes] = (),
        now_ms: int = 0,
        clean: bool = False,
    ) -> None:
        """These batches, the frames in them and what the seals are now; or nothing."""
        with self._transaction():
            self._follows(batches)
            for one in batches:
                self._db.execute(
                    "insert into batches (chain, batch_no, first_seq, count, head, sealed_ms, envelope, urgent)"
                    " values (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(one.chain_id, one.batch_no, one.first_seq, one.count),
                        *(one.head, one.sealed_ms, one.envelope, int(urgent)),
                    ),
                )
                self._at("batch")
            self._remember(
                {
                    "chain": tip.chain_id,
                    "batch_no": tip.batch_no,
                    "head": tip.head,
                    "next_seq": tip.next_seq,
                    "clean": int(clean),
                }
            )
            self._write_states(states or {})
            self._db.executemany(
                "insert or replace into frames (name, heard_ms) values (?, ?)",
                ((name, now_ms) for name in frames),
            )
            self._at("frames")
            self._forget_frames(now_ms)
        self._at("committed")

    def waiting(self, count_max: int) -> list[Waiting]:
        """Batches without a receipt, oldest first."""
        rows = self._db.execute(
            "select pos, envelope, urgent from batches where receipted = 0 order by pos limit ?",
            (count_max,),
        )
        return [Waiting(pos=pos, envelope=data, urgent=bool(urgent)) for pos, data, urgent in rows]

    def waiting_count(self) -> int:
        return int(self._one("select count(*) from batches where receipted = 0"))

    def bytes_used(self) -> int:
        """What the batches without a receipt take."""
        return int(self._one("select sum(length(envelope)) from batches where receipted = 0"))

    def holds(self) -> list[Hold]:
        """Each chain with batches without a receipt, oldest first, and the current one last."""
        tip = self._tip()
        if tip is None:
            return []
        open_chains = [
            chain
            for (chain,) in self._db.execute(
                "select chain from batches where receipted = 0 group by chain order by min(pos)"
            )
            if chain != tip.chain_id
        ]
        found = (self._hold(chain) for chain in (*open_chains, tip.chain_id))
        return [hold for hold in found if hold is not None]

    def known(self) -> dict[bytes, ChainKnown]:
        """What a receipt is judged against."""
        chains: dict[bytes, ChainKnown] = {}
        for chain, newest in self._db.execute(
            "select chain, max(batch_no) from batches group by 1"
        ):
            chains[chain] = ChainKnown(
                covered=self._covered(chain),
                newest=newest,
                head_at=partial(self._head, chain),
            )
        return chains

    def cover(self, chain_id: bytes, through: int) -> int:
        """A receipt: how many batches it covers that none covered before. Old ones with receipts give way."""
        with self._transaction():
            done = self._db.execute(
                "update batches set receipted = 1 where chain = ? and batch_no <= ? and receipted = 0",
                (chain_id, through),
            )
            self._db.execute(
                "delete from batches where receipted = 1 and pos <="
                " (select max(pos) from batches where receipted = 1) - ?",
                (KEPT_MAX,),
            )
        return done.rowcount

    def uncover(self, chain_id: bytes, from_no: int) -> int:
        """The collector asks again from a number on: what is still here counts as not receipted."""
        with self._transaction():
            done = self._db.execute(
                "update batches set receipted = 0 where chain = ? and batch_no >= ? and receipted = 1",
                (chain_id, from_no),
            )
        return done.rowcount

    # below the door

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self._path, timeout=LOCK_S_MAX, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute("pragma journal_mode = wal")
            db.execute("pragma synchronous = full")  # what is acknowledged to a seal is on the disk
            _check(db)
            db.executescript(_SCHEMA)
        except BaseException:
            db.close()
            raise
        return db

    def _claim(self, unit_id: str, kid: bytes) -> None:
        owner, key = self._recall("unit_id"), self._recall("kid")
        if owner not in (None, unit_id) or key not in (None, kid):
            self._db.close()
            raise GatewayStoreError(
                f"{self._path} holds the chain of {owner!r} under another name or key than gateway.unit and"
                " gateway.key_file say; restore them, or move the file away and enrol the new unit"
            )
        with self._transaction():
            self._remember({"unit_id": unit_id, "kid": kid})

    def _tip(self) -> Tip | None:
        chain = self._recall("chain")
        if chain is None:
            return None
        head, number, next_seq = (self._recall(name) for name in ("head", "batch_no", "next_seq"))
        assert isinstance(chain, bytes)
        assert isinstance(head, bytes)
        assert isinstance(number, int)
        assert isinstance(next_seq, int)
        return Tip(chain_id=chain, batch_no=number, head=head, next_seq=next_seq)

    def _follows(self, batches: Sequence[Sealed]) -> None:
        """What is stored follows what was stored: another end than the one we sealed behind is our own fault."""
        tip = self._tip()
        for one in batches:
            if tip is not None and one.chain_id == tip.chain_id:
                assert one.batch_no == tip.batch_no + 1
                assert one.first_seq == tip.next_seq
            else:
                assert (one.batch_no, one.first_seq) == (0, 0)
            tip = Tip(
                chain_id=one.chain_id,
                batch_no=one.batch_no,
                head=one.head,
                next_seq=one.first_seq + one.count,
            )

    def _hold(self, chain: bytes) -> Hold | None:
        row = self._db.execute(
            "select batch_no, first_seq + count - 1, head from batches where chain = ? order by batch_no desc limit 1",
            (chain,),
        ).fetchone()
        if row is None:
            return None
        oldest = self._one("select min(batch_no) from batches where chain = ?", (chain,))
        return Hold(chain_id=chain, newest=row[0], last_seq=row[1], head=row[2], oldest=int(oldest))

    def _covered(self, chain: bytes) -> int:
        """The newest number below which everything has its receipt; -1: none."""
        first = self._db.execute(
            "select min(batch_no) from batches where chain = ? and receipted = 0", (chain,)
        ).fetchone()[0]
        if first is not None:
            return int(first) - 1
        return int(self._one("select max(batch_no) from batches where chain = ?", (chain,)))

    def _head(self, chain: bytes, number: int) -> bytes | None:
        row = self._db.execute(
            "select head from batches where chain = ? and batch_no = ?", (chain, number)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def _states(self) -> dict[str, SealState]:
        rows = self._db.execute(
            "select seal_id, protocol, known, true, battery, heard_ms, silent, reported from seals"
        )
        return {
            row[0]: SealState(
                protocol=row[1],
                known=row[2],
                true=row[3],
                battery_percent=row[4],
                heard_ms=row[5],
                silent=bool(row[6]),
                reported=bool(row[7]),
            )
            for row in rows
        }

    def _write_states(self, states: Mapping[str, SealState]) -> None:
        self._db.executemany(
            "insert or replace into seals values (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    *(seal_id, state.protocol, state.known, state.true, state.battery_percent),
                    *(state.heard_ms, int(state.silent), int(state.reported)),
                )
                for seal_id, state in states.items()
            ),
        )

    def _forget_frames(self, now_ms: int) -> None:
        self._db.execute(
            "delete from frames where id <= (select max(id) from frames) - ? or"
            " (id < (select min(id) from frames) + 1000 and heard_ms < ?)",  # the oldest lie first
            (FRAMES_MAX, now_ms - FRAMES_MS),
        )

    def _remember(self, values: Mapping[str, object]) -> None:
        self._db.executemany("insert or replace into memory values (?, ?)", values.items())

    def _recall(self, name: str) -> object:
        row = self._db.execute("select value from memory where name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def _one(self, question: str, values: tuple[object, ...] = ()) -> int:
        found = self._db.execute(question, values).fetchone()[0]
        return 0 if found is None else int(found)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
            self._db.execute("commit")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise


def _check(db: sqlite3.Connection) -> None:
    fault = db.execute("pragma quick_check(1)").fetchone()[0]
    if fault != "ok":
        raise sqlite3.DatabaseError(fault)


def _move_away(path: Path) -> Path:
    """The damaged file under another name: it may still be read by somebody who knows how."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    path.rename(aside)
    return aside
