"""The outbox under damage: files cut short and sectors spoilt, the real store opened each time (EDGE section 11, rows 1, 4, 22).

A unit has stored its batches; then something happens to its files while it is off. For each case: how long until it collects again, which
batches cannot be read any more, and whether the unit itself says so. What it does not say is silent, and must not happen.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent import Boot, Identity, Kept, Moment, Quality, Weight
from agent.outbox import ChainReason, Outbox, OutboxSettings
from agent.sealer import Closing, OpenBatch
from bench.machine import machine
from wire import Refused
from wire.batch import Header, read_body, read_genesis, read_payload
from wire.envelope import Aad, kid_of, open_envelope, verify
from wire.records import EventKind, EventRecord

BATCHES = 200
SECTOR_BYTES = 512
COLLECTING_S_MAX = 5.0  # from the start to a batch that is stored
_SETTINGS = OutboxSettings(headroom_bytes=0, ballast_bytes=0)
_STARTS = ("same kernel", "new kernel")  # a process that was killed; a power cut


@dataclass(slots=True)
class Tally:
    """What all cases came to."""

    cases: int = 0
    lost: int = 0  # batches that cannot be read any more
    told: int = 0  # of them: by `dropped`, or by a chain that begins with a lost store or in doubt
    silent: int = 0
    wrong: int = 0  # read, and other bytes than were stored
    back: int = 0  # of files that were set aside
    asides: int = 0
    cut_short: int = 0  # the second damage came while the first file was being read
    slowest_start_s: float = 0.0
    failed: list[str] = field(default_factory=list)  # cases that did not collect again


def run(
    truncations: int, sectors: int, twice: int = 0, *, seed: int = 1, batches: int = BATCHES
) -> dict[str, object]:
    """All figures as plain values. `twice`: the new store is spoilt too, while the first file is being read back."""
    counts = {"truncations": truncations, "sectors": sectors, "twice": twice}
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_run(Path(folder), counts, seed, batches))


async def _run(root: Path, counts: Mapping[str, int], seed: int, batches: int) -> dict[str, object]:
    rng = Random(seed)  # noqa: S311  # the same damage in each run
    truth = await _fill(root / "whole", root / "run", batches)
    tallies = {}
    for what, count in counts.items():
        tallies[what] = Tally()
        for number in range(count):
            start = _STARTS[number % 2]
            disk, run = root / "disk", root / "tmpfs"
            for path in (disk, run):
                shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(root / "whole", disk)
            if start == "same kernel":
                shutil.copytree(root / "run", run)
            name = _cut(disk, rng) if what == "truncations" else _spoil(disk, rng)
            if what == "twice":
                name = await _spoil_again(tallies[what], disk, run, start, name, rng)
            await _case(tallies[what], truth, disk, run, start, f"{name}, {start}")
    return {
        "machine": machine(),
        "batches": batches,
        "seed": seed,
        **{what: _figures(tally) for what, tally in tallies.items()},
        "silent": sum(tally.silent for tally in tallies.values()),
        "wrong": sum(tally.wrong for tally in tallies.values()),
        "slowest_start_s": max((tally.slowest_start_s for tally in tallies.values()), default=0.0),
        "holds": all(_holds(tally) for tally in tallies.values()),
    }


def _holds(tally: Tally) -> bool:
    quick = tally.slowest_start_s < COLLECTING_S_MAX
    return quick and not (tally.silent or tally.wrong or tally.failed)


def _figures(tally: Tally) -> dict[str, object]:
    return {
        "cases": tally.cases,
        "lost": tally.lost,
        "told": tally.told,
        "silent": tally.silent,
        "wrong": tally.wrong,
        "set_aside": tally.asides,
        "came_back": tally.back,
        "cut_short": tally.cut_short,
        "slowest_start_s": tally.slowest_start_s,
        "failed": tally.failed[:10],
    }


# One unit, and what happens to it


async def _fill(disk: Path, run: Path, batches: int) -> dict[tuple[bytes, int], bytes]:
    """A store as a killed process leaves it: a part of it in the WAL."""
    live = disk.with_name("live")
    rng = Random(0)  # noqa: S311  # contents that are the same in each run
    truth = {}
    async with _opened(live, run, boot_no=1, mono_ms=1_000) as outbox:
        for number in range(batches):
            moment = _moment(2_000 + number * 1_000)
            await outbox.store(_batch(rng, number, moment), moment)
        for one in await outbox.waiting(count_max=batches + 8):
            envelope = await outbox.read(one.pos, _moment(9_000_000))
            assert envelope is not None
            truth[one.chain_id, one.batch_no] = envelope
        shutil.copytree(live, disk)
    return truth


def _batch(rng: Random, number: int, moment: Moment) -> OpenBatch:
    weight = Weight(number % 3)
    record = EventRecord(
        kind=EventKind.INPUT,
        t_ms=moment.utc_ms,
        mono_ms=moment.mono_ms,
        data=(rng.randbytes(rng.randrange(20, 500)).hex(), 1),
    )
    kept = Kept(record=record, urgent=number % 9 == 5, weight=weight)
    return OpenBatch(kept=(kept,), sealed=moment, closing=Closing.AGE)


def _cut(disk: Path, rng: Random) -> str:
    path = rng.choice(_files(disk))
    length = rng.randrange(path.stat().st_size)
    with path.open("r+b") as file:
        file.truncate(length)
    return f"{path.name} cut to {length}"


def _spoil(disk: Path, rng: Random) -> str:
    path = rng.choice(_files(disk))
    data = bytearray(path.read_bytes())
    begin = rng.randrange(len(data) // SECTOR_BYTES) * SECTOR_BYTES
    how = rng.choice(("zeros", "noise", "one bit"))
    if how == "one bit":
        at = rng.randrange(begin, min(begin + SECTOR_BYTES, len(data)))
        data[at] ^= 1 << rng.randrange(8)
    else:
        size = min(SECTOR_BYTES, len(data) - begin)
        data[begin : begin + size] = bytes(size) if how == "zeros" else rng.randbytes(size)
    path.write_bytes(bytes(data))
    return f"{how} at {begin} of {path.name}"


def _files(disk: Path) -> list[Path]:
    files = (disk / "outbox.db", disk / "outbox.db-wal")
    return [file for file in files if file.exists() and file.stat().st_size]


async def _spoil_again(
    tally: Tally, disk: Path, run: Path, start: str, name: str, rng: Random
) -> str:
    """The unit has begun to read its file back, and ends; then the new store is spoilt too."""
    moment = _moment(1_500)
    async with _opened(disk, run, boot_no=1 + _STARTS.index(start), mono_ms=1_000) as outbox:
        await outbox.store(_batch(Random(2), 2, moment), moment)  # noqa: S311  # as above
        await outbox.salvage(moment)
        tally.cut_short += outbox.stats().salvaging
    return f"{name}, then {_spoil(disk, rng)}"


async def _case(
    tally: Tally,
    truth: dict[tuple[bytes, int], bytes],
    disk: Path,
    run: Path,
    start: str,
    name: str,
) -> None:
    tally.cases += 1
    rng = Random(1)  # noqa: S311  # as above
    began = time.perf_counter()
    boot_no = 1 + _STARTS.index(start)
    try:
        async with _opened(disk, run, boot_no=boot_no, mono_ms=1_000) as outbox:
            moment = _moment(2_000)
            await outbox.store(_batch(rng, 1, moment), moment)
            took = round(time.perf_counter() - began, 3)
            tally.slowest_start_s = max(tally.slowest_start_s, took)
            while await outbox.salvage(moment):
                pass
            tally.asides += outbox.stats().aside_files
            rows = await _readable(outbox)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what this looks for
        tally.failed.append(f"{name}: {error!r}")
        return
    _count(tally, truth, rows, name)


async def _readable(outbox: Outbox) -> dict[tuple[bytes, int], bytes]:
    """Every batch as it would be read before it is sent; reading confesses what is bad, so it is done until nothing is."""
    while True:
        rows, newest_pos = {}, outbox.stats().newest_pos
        for one in await outbox.waiting(count_max=1 << 20):
            envelope = await outbox.read(one.pos, _moment(3_000))
            if envelope is not None:
                rows[one.chain_id, one.batch_no] = envelope
        again = (
            outbox.stats().salvaging or outbox.stats().newest_pos > newest_pos
        )  # a confession is a batch
        while await outbox.salvage(_moment(3_000)):
            pass
        if not again:
            return rows


def _count(
    tally: Tally,
    truth: dict[tuple[bytes, int], bytes],
    rows: dict[tuple[bytes, int], bytes],
    name: str,
) -> None:
    tally.wrong += sum(truth.get(place, envelope) != envelope for place, envelope in rows.items())
    told, doubted = _said(rows)
    chain_id = next(iter(truth))[0]
    held = [number for chain, number in rows if chain == chain_id]
    for place in truth.keys() - rows.keys():
        tally.lost += 1
        # A hello's `oldest` speaks for what lies below, a chain that was begun in doubt for what lies above.
        below = bool(held) and place[1] < min(held) and doubted
        above = doubted and (not held or place[1] > max(held))
        if place in told or below or above:
            tally.told += 1
        else:
            tally.silent += 1
            tally.failed.append(f"{name}: {place[1]} is silent")
    tally.back += sum(place in truth for place in rows) if doubted else 0


def _said(rows: dict[tuple[bytes, int], bytes]) -> tuple[set[tuple[bytes, int]], bool]:
    """What `dropped` events confess; and whether a chain says that a store was lost, or that its start is in doubt."""
    told: set[tuple[bytes, int]] = set()
    doubted = False
    for (chain_id, number), envelope in rows.items():
        body = read_body(_header(envelope))
        assert not isinstance(body, Refused)
        for event in body.events:
            if event.kind == EventKind.DROPPED:
                first, last, *_, named = event.data
                assert isinstance(first, int)
                assert isinstance(last, int)
                chain = named if isinstance(named, bytes) else chain_id
                told |= {(chain, one) for one in range(first, last + 1)}
        if number == 0:
            genesis = read_genesis(body.events)
            assert not isinstance(genesis, Refused)
            doubted = doubted or genesis.reason in {
                ChainReason.STORE_LOST.value,
                ChainReason.UNCLEAN_START.value,
            }
    return told, doubted


def _header(envelope: bytes) -> Header:
    opened = open_envelope(envelope, Aad.BATCH)
    assert not isinstance(opened, Refused)
    assert verify(opened, Aad.BATCH, _IDENTITY.public_key), "what is read bears our signature"
    header = read_payload(opened.payload)
    assert not isinstance(header, Refused)
    return header


def _identity() -> Identity:
    key = Ed25519PrivateKey.from_private_bytes(sha256(b"plomba bench damage").digest())
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return Identity(unit_id="bench-unit", public_key=public, kid=kid_of(public), sign=key.sign)


_IDENTITY = _identity()


@asynccontextmanager
async def _opened(disk: Path, run: Path, *, boot_no: int, mono_ms: int) -> AsyncIterator[Outbox]:
    boot = Boot(boot_id=boot_no.to_bytes(16, "big"), program="bench")
    outbox = await Outbox.open(disk, _SETTINGS, _IDENTITY, boot, _moment(mono_ms), run=run)
    async with asyncio.TaskGroup() as tasks:
        writer = tasks.create_task(outbox.run(), name="outbox")
        try:
            yield outbox
        finally:
            await outbox.abandon()
            writer.cancel()


def _moment(mono_ms: int) -> Moment:
    now_ms = 1_795_330_000_000 + mono_ms
    return Moment(mono_ms=mono_ms, now_ms=now_ms, utc_ms=now_ms, quality=Quality.GNSS)
