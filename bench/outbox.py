"""Bytes written to the card and commits a second of the outbox (EDGE section 4), against one row a position.

Both run in one process on one disk, in turn, with fsync. Bytes are the kernel's own count of what this process sent to the disk.
"""

import asyncio
import sqlite3
import statistics
import tempfile
import time
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent import Boot, Identity, Kept, Moment, Quality
from agent.outbox import Outbox, OutboxSettings
from agent.sealer import Closing, OpenBatch
from bench.machine import machine
from bench.wire import synthetic_truck
from wire.envelope import kid_of

RECORDS_A_BATCH = 15  # EDGE section 3: what a live unit seals at once
ROUNDS = 3  # A B A B A B


def run(directory: Path | None, batches: int) -> dict[str, object]:
    """All figures as plain values. `directory` lies on the disk to be measured; None: a temporary one."""
    ours: list[dict[str, float]] = []
    plain: list[dict[str, float]] = []
    for round_no in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=directory) as folder:
            ours.append(asyncio.run(_outbox(Path(folder), batches, round_no)))
        with tempfile.TemporaryDirectory(dir=directory) as folder:
            plain.append(_rows(Path(folder), batches))
    medians = {name: statistics.median(one[name] for one in ours) for name in ours[0]}
    baseline = {name: statistics.median(one[name] for one in plain) for name in plain[0]}
    return {
        "machine": machine(),
        "batches": batches,
        "records_a_batch": RECORDS_A_BATCH,
        "outbox": medians,
        "row_a_position": baseline,
        "ratio_bytes_a_record": round(medians["bytes_a_record"] / baseline["bytes_a_record"], 3)
        if baseline["bytes_a_record"]
        else None,
        "target_bytes_a_record": 600,
    }


async def _outbox(folder: Path, batches: int, round_no: int) -> dict[str, float]:
    key = Ed25519PrivateKey.from_private_bytes(sha256(b"plomba bench outbox").digest())
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    identity = Identity(unit_id="bench-unit", public_key=public, kid=kid_of(public), sign=key.sign)
    boot = Boot(boot_id=f"bench-{round_no}".encode(), program="bench")
    fixes = synthetic_truck(batches * RECORDS_A_BATCH).fixes
    settings = OutboxSettings(headroom_bytes=0)
    outbox = await Outbox.open(folder, settings, identity, boot, _moment(0))
    took: list[float] = []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(outbox.run(), name="outbox")
        before = _written()
        await outbox.lay_in()  # as the unit does behind its start, and it counts
        for index in range(batches):
            part = fixes[index * RECORDS_A_BATCH : (index + 1) * RECORDS_A_BATCH]
            moment = _moment(index * 15_000)
            begin = time.perf_counter()
            await outbox.store(_open_batch([Kept(record=fix) for fix in part], moment), moment)
            took.append(time.perf_counter() - begin)
        written = _written() - before
        await outbox.close(_moment(batches * 15_000), clean=False)
    return _figures(took, written, batches)


def _rows(folder: Path, batches: int) -> dict[str, float]:
    """What a position table costs: a row and an index entry each, a commit for each fifteen."""
    base = sqlite3.connect(folder / "rows.db", isolation_level=None)
    base.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "CREATE TABLE position (id INTEGER PRIMARY KEY, t_ms INT, lat REAL, lon REAL, alt REAL, speed REAL, course REAL,"
        " hdop REAL, sats INT, sent INT, body TEXT); CREATE INDEX by_sent ON position (sent, id);"
    )
    fixes = synthetic_truck(batches * RECORDS_A_BATCH).fixes
    took: list[float] = []
    before = _written()
    for index in range(batches):
        begin = time.perf_counter()
        base.execute("BEGIN IMMEDIATE")
        for fix in fixes[index * RECORDS_A_BATCH : (index + 1) * RECORDS_A_BATCH]:
            base.execute(
                "INSERT INTO position (t_ms, lat, lon, alt, speed, course, hdop, sats, sent) VALUES (?,?,?,?,?,?,?,?,0)",
                (
                    fix.t_ms,
                    fix.lat_e7 / 1e7,
                    fix.lon_e7 / 1e7,
                    fix.alt_dm,
                    fix.speed_cm_s,
                    fix.course_cdeg,
                    fix.hdop_centi,
                    fix.sats,
                ),
            )
        base.execute("COMMIT")
        took.append(time.perf_counter() - begin)
    written = _written() - before
    base.close()
    return _figures(took, written, batches)


def _figures(took: list[float], written: int, batches: int) -> dict[str, float]:
    return {
        "commit_ms_p50": round(statistics.median(took) * 1e3, 3),
        "commit_ms_p99": round(sorted(took)[len(took) * 99 // 100] * 1e3, 3),
        "bytes_a_commit": round(written / batches),
        "bytes_a_record": round(written / batches / RECORDS_A_BATCH, 1),
    }


def _open_batch(kept: list[Kept], moment: Moment) -> OpenBatch:
    return OpenBatch(kept=tuple(kept), sealed=moment, closing=Closing.LIVE)


def _moment(mono_ms: int) -> Moment:
    now_ms = 1_795_330_000_000 + mono_ms
    return Moment(mono_ms=1_000 + mono_ms, now_ms=now_ms, utc_ms=now_ms, quality=Quality.GNSS)


def _written() -> int:
    """Bytes that this process has caused to be written to disks (`/proc/self/io`, write_bytes)."""
    for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0
