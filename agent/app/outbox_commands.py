"""`plomba-agent outbox stats` and `outbox export` (EDGE section 13).

Law: a running agent is asked through its socket, a file that no agent holds is read as it lies; both are checked alike.
"""

import fcntl
import json
import sys
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agent import Identity
from agent.app.commands import BAD, FAILED, OK, USAGE
from agent.app.identity import IdentityError, load
from agent.app.outbox_export import Export, ExportError, counts
from agent.app.outbox_rows import (
    URGENT,
    ChainLine,
    Lying,
    StoreFileError,
    Tally,
    home_from,
    read_file,
    running_rows,
)
from agent.app.versions_disk import first_life
from agent.config import BadConfigError, Config, read_text
from agent.io.clock import Clock, system_ms
from agent.io.status import StatusError, ask
from wire.canon import decode
from wire.hello import Hello, make as make_hello

NOT_FOUND = 3
BADS_SHOWN_MAX = 20
STORE = "outbox.db"
PROGRAM = "plomba-agent export"


@dataclass(slots=True)
class Source:
    """A store, wherever it is read."""

    chains: Sequence[ChainLine]
    rows: Iterator[Lying]
    numbers: Mapping[str, object]
    r1: bytes | None
    r2: bytes | None
    hello: bytes | None = None  # the running agent's
    boot_no: int = 0
    home_from: int | None = None
    left_at_home: int = 0
    faults: list[str] = field(default_factory=list)

    def covered(self, chain_id: bytes) -> int:
        return next((one.covered for one in self.chains if one.chain_id == chain_id), -1)

    def is_at_home(self, pos: int) -> bool:
        """Whether that row waits for the collector's word: it must not leave."""
        return self.home_from is not None and pos >= self.home_from


def stats(config_file: str, *, as_json: bool, fast: bool) -> int:
    """The store in numbers; 6 if a signature or a link fails."""
    try:
        config, identity = _unit(config_file)
        with _source(config, None, 0, newest_only=fast) as source:
            tally = Tally(identity)
            oldest = _count(source, tally)
            said = {**source.numbers, **counts(tally), "faults": [*source.faults, *tally.bad]}
            said["oldest_waiting_ms"] = oldest
    except _Ended as ended:
        return ended.code
    if as_json:
        sys.stdout.write(f"{json.dumps(said)}\n")
    else:
        _print_stats(said)
    return BAD if source.faults or tally.bad else OK


def export(config_file: str, folder: str, *, from_pos: int, unsent: bool, store: str | None) -> int:
    """Batches as files; 1 if numbers are missing, 6 if a row is bad."""
    try:
        config, identity = _unit(config_file)
        with _source(config, store, from_pos, newest_only=False) as source:
            tally = Tally(identity)
            made = Export(Path(folder), config.unit_id)
            made.begin()
            kept = _export_rows(source, tally, made, unsent=unsent)
            _export_words(source, tally, made, identity, is_current=store is None)
            made.end(tally, system_ms())
    except ExportError as error:
        _talk(str(error))
        return FAILED
    except _Ended as ended:
        return ended.code
    for fault in [*source.faults, *tally.bad][:BADS_SHOWN_MAX]:
        _talk(fault)
    if source.left_at_home:
        _talk(f"left out: {source.left_at_home} batches that wait for the collector's word")
    _talk(f"{kept} batches in {folder}, {tally.missing} numbers missing, {len(tally.bad)} bad")
    if source.faults or tally.bad:
        return BAD
    return FAILED if tally.missing else OK


class _Ended(Exception):  # noqa: N818  # it carries an exit, and what there was to say was said
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _unit(config_file: str) -> tuple[Config, Identity]:
    try:
        config = first_life(read_text(Path(config_file))).config
        return config, load(config.identity_dir, config.unit_id).identity
    except BadConfigError as error:
        _talk(*(str(one) for one in error.errors))
        raise _Ended(USAGE) from error
    except IdentityError as error:
        _talk(str(error))
        raise _Ended(FAILED) from error


@contextmanager
def _source(
    config: Config, store: str | None, from_pos: int, *, newest_only: bool
) -> Iterator[Source]:
    """The running agent, or the file behind its lock; an aside file needs neither."""
    try:
        if store is not None:
            yield _of_file(config, Path(store), from_pos, newest_only=newest_only)
            return
        running = _running(config)
        if running is not None:
            yield _of_agent(config, running, from_pos, newest_only=newest_only)
            return
        path = config.outbox_dir / STORE
        with _locked(config.outbox_dir):
            yield _of_file(config, path, from_pos, newest_only=newest_only)
    except StoreFileError as error:
        _talk(str(error))
        raise _Ended(NOT_FOUND) from error
    except StatusError as error:
        _talk(str(error))
        raise _Ended(FAILED) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """No agent starts meanwhile. StoreFileError if one holds the store and does not answer."""
    try:
        lock = (folder / "agent.lock").open("rb")
    except OSError as error:
        raise StoreFileError(f"{folder}: there is no store: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreFileError(
                f"{folder} is held by an agent that does not answer: is unit.run_dir right?"
            ) from error
        yield


def _running(config: Config) -> dict[str, object] | None:
    try:
        return ask(config.socket_path, "/outbox/stats")
    except StatusError:
        return None


def _of_agent(
    config: Config, numbers: dict[str, object], from_pos: int, *, newest_only: bool
) -> Source:
    said = ask(config.socket_path, "/status.json")
    lines = numbers["chains"]
    newest = numbers["newest_pos"]
    assert isinstance(lines, list)
    assert isinstance(newest, int)
    chains = [
        ChainLine(
            chain_id=bytes.fromhex(one["chain"]),
            covered=one["covered"],
            last_no=one["last"],
        )
        for one in lines
    ]
    return Source(
        chains=chains,
        rows=running_rows(config.socket_path, newest if newest_only else from_pos),
        numbers=numbers,
        r1=_bytes(said["r1"]),
        r2=_bytes(said["r2"]),
        hello=_bytes(said["hello"]),
        home_from=home if isinstance(home := numbers["home_from"], int) else None,
    )


def _of_file(config: Config, path: Path, from_pos: int, *, newest_only: bool) -> Source:
    contents = read_file(path)
    rows = [one for one in contents.rows if one.row.pos >= from_pos]
    covered = {one.chain_id: one.covered for one in contents.chains}
    waiting = [one for one in rows if one.row.no > covered.get(one.chain_id, -1)]
    numbers_of = {
        one.chain_id: [row.row.no for row in rows if row.chain_id == one.chain_id]
        for one in contents.chains
    }
    numbers: dict[str, object] = {
        "v": 1,
        "running": False,
        "chains": [
            {
                "chain": one.chain_id.hex(),
                "first": min(numbers_of[one.chain_id], default=None),
                "last": max((*numbers_of[one.chain_id], one.last_no)),  # the row is written late
                "covered": one.covered,
                "waiting": sum(r.chain_id == one.chain_id for r in waiting),
                "current": one is contents.chains[-1],
            }
            for one in contents.chains
        ],
        "waiting": len(waiting),
        "urgent": sum(bool(one.row.weight & URGENT) for one in waiting),
        "stuck": None,  # the running agent's affair
        "bytes": path.stat().st_size,
        "bytes_max": config.outbox.bytes_max,
        "evicted_ever": _number(contents.memory.get("evicted")),
        "starts_ever": _number(contents.memory.get("starts")),
        "aside_files": len([*path.parent.glob("outbox.bad-*[0-9]")]),
        "ballast": (path.parent / "ballast").exists(),
        "newest_pos": rows[-1].row.pos if rows else 0,
        "home_from": home_from(contents.memory, Clock()),
    }
    return Source(
        chains=contents.chains,
        rows=iter(rows[-1:] if newest_only else rows),
        numbers=numbers,
        r1=contents.memory.get("r1"),
        r2=contents.memory.get("r2"),
        boot_no=_number(contents.memory.get("boot_no")),
        home_from=home_from(contents.memory, Clock()),
        faults=[contents.fault] if contents.fault else [],
    )


def _count(source: Source, tally: Tally) -> int | None:
    """Check all rows; the time of the oldest one without receipt."""
    oldest: int | None = None
    for lying in source.rows:
        sealed = tally.take(lying)
        if oldest is None and sealed is not None:
            waits = lying.row.no > source.covered(lying.chain_id)
            oldest = sealed.header.sealed_ms if waits else None
    return oldest


def _export_rows(source: Source, tally: Tally, made: Export, *, unsent: bool) -> int:
    kept = 0
    for lying in source.rows:
        if source.is_at_home(lying.row.pos):
            source.left_at_home += 1
            continue
        if unsent and lying.row.no <= source.covered(lying.chain_id):
            continue
        if tally.take(lying) is not None:
            made.batch(lying)
            kept += 1
    return kept


def _export_words(
    source: Source, tally: Tally, made: Export, identity: Identity, *, is_current: bool
) -> None:
    """The newest words of both sides. An aside file gets no hello: what it holds is not what the unit holds now."""
    if source.r1 is not None:
        made.receipt(source.r1)
    if source.r2 is not None:
        made.proof(source.r2)
    hello = source.hello
    if hello is None and is_current:
        hello = _hello(source, tally, identity)
    if hello is not None:
        made.hello(hello, system_ms())


def _hello(source: Source, tally: Tally, identity: Identity) -> bytes | None:
    """What an agent that is stopped would admit: the newest batch that may leave."""
    shown = [one for one in source.chains if one.chain_id in tally.chains]
    found = tally.chains[shown[-1].chain_id] if shown else None
    if found is None or found.first is None:
        return None
    words = Hello(
        unit_id=identity.unit_id,
        chain_id=shown[-1].chain_id,
        batch_no=found.last,
        seq=found.seq,
        head=found.head,
        at_ms=system_ms(),
        seen=None,
        oldest=found.first,
        boot_no=max(source.boot_no, found.boot_no),
        time_quality=0,  # nobody has asked how good this machine's clock is
        mono_ms=0,
        nonce=b"",
        program=PROGRAM,
    )
    return make_hello(words, identity.kid, identity.sign)


def _print_stats(said: Mapping[str, object]) -> None:
    for name, value in said.items():
        if name == "chains" and isinstance(value, list):
            for one in value:
                words = f"{one['first']} to {one['last']}, covered {one['covered']}"
                more = ", current" if one["current"] else ""
                print_line = f"{one['chain']}  {words}, waiting {one['waiting']}{more}"
                sys.stdout.write(f"chain              {print_line}\n")
        elif name == "faults" and isinstance(value, list):
            for one in value[:BADS_SHOWN_MAX]:
                sys.stdout.write(f"bad                {one}\n")
        elif name != "v" and value is not None:
            sys.stdout.write(f"{name:18} {value}\n")


def _number(cell: bytes | None) -> int:
    value = None if cell is None else decode(cell)
    return value if isinstance(value, int) else 0


def _bytes(text: object) -> bytes | None:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4)) if isinstance(text, str) else None


def _talk(*lines: str) -> None:
    for line in lines:
        sys.stderr.write(f"{line}\n")
