"""Ingest, end to end and in process: verify, judge, detect, store, receipt (ARCHITECTURE's numbers).

The baseline, plain decoding of the same batches, runs in the same process, turn by turn. Where the time goes is measured apart.
"""

import asyncio
import cProfile
import pstats
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.machine import machine
from bench.wire import synthetic_truck
from collector.detect.track import read_body
from collector.store.database import Store
from collector.tick import Message
from collector.tick.answering import Signing
from collector.tick.ticker import Ticker
from wire import Refused
from wire.batch import Linked, h0, head_of, inflate, judge_link, make_payload
from wire.columns import encode_body
from wire.envelope import Aad, Key, kid_of, seal
from wire.records import EventRecord, FixRecord
from wire.topics import Up, up

BATCHES_A_UNIT = {60: 20, 1: 20}  # by positions in a batch: seconds of work on a small machine
TICK_MESSAGES = 512  # SCALE section 2
ROUNDS = 3
BEGIN_MS = 1_795_330_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Signed batches of many units, in the order in which a broker would bring them."""

    keys: dict[str, bytes]  # public key by unit
    messages: Sequence[tuple[str, bytes]]
    positions: int
    first: int  # how many of the messages only found the chains


def make_fleet(units: int, size: int) -> Fleet:
    """A chain of batches of `size` positions for each unit; batch 0 holds the genesis alone."""
    keys: dict[str, bytes] = {}
    chains: list[list[tuple[str, bytes]]] = []
    fixes = synthetic_truck(size * BATCHES_A_UNIT[size]).fixes
    for number in range(units):
        unit_id = f"bench-{number:05d}"
        key = Ed25519PrivateKey.from_private_bytes(sha256(unit_id.encode()).digest())
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        keys[unit_id] = public
        chains.append(_chain(unit_id, key, public, _moved(fixes, number), size))
    messages = [chain[turn] for turn in range(len(chains[0])) for chain in chains]
    return Fleet(
        keys=keys, messages=messages, positions=units * size * BATCHES_A_UNIT[size], first=units
    )


def run(units: int) -> dict[str, object]:
    """All figures as plain values, for batches of 60 and of 1."""
    report: dict[str, object] = {
        "machine": machine(),
        "units": units,
        "targets": {"positions_s_at_60": 100_000, "batches_s_at_1": 5_000},
    }
    for size in BATCHES_A_UNIT:
        report[f"at_{size}"] = _measure(make_fleet(units, size))
    return report


def _measure(fleet: Fleet) -> dict[str, object]:
    ingest, plain = [], []
    for _ in range(ROUNDS):  # A B A B: what else the machine does strikes both
        plain.append(_decode(fleet))
        ingest.append(asyncio.run(_ingest(fleet)))
    seconds, baseline = statistics.median(ingest), statistics.median(plain)
    batches = len(fleet.messages) - fleet.first
    return {
        "batches": batches,
        "positions": fleet.positions,
        "batches_s": round(batches / seconds),
        "positions_s": round(fleet.positions / seconds),
        "spread_s": [round(min(ingest), 3), round(max(ingest), 3)],
        "plain_decode_positions_s": round(fleet.positions / baseline),
        "ratio_to_plain_decode": round(seconds / baseline, 1),
        "where_the_time_goes": _profile(fleet),
    }


def _decode(fleet: Fleet) -> float:
    """Only read the bodies of batches whose signature nobody checks."""
    keys = {
        kid_of(public): Key(unit_id=unit, public_key=public) for unit, public in fleet.keys.items()
    }
    linked = [
        judge_link(message, topic, keys.get) for topic, message in fleet.messages[fleet.first :]
    ]
    begin = time.perf_counter()
    for batch in linked:
        assert isinstance(batch, Linked)
        header = batch.header
        raw = inflate(header)
        assert not isinstance(raw, Refused)
        read_body(raw, first_seq=header.first_seq, count=header.count, batch_no=header.batch_no)
    return time.perf_counter() - begin


async def _ingest(fleet: Fleet, profile: cProfile.Profile | None = None) -> float:
    """Seconds for all batches behind the genesis ones, each tick committed with fsync."""
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(f"sqlite:///{Path(folder) / 'bench.db'}")
        try:
            for unit_id, public in fleet.keys.items():
                await store.add_unit(unit_id, public, now_ms=BEGIN_MS)
            ticker = Ticker(
                store=store, receipt_key=_signing("receipt"), order_key=_signing("order")
            )
            await _feed(ticker, fleet.messages[: fleet.first], BEGIN_MS)
            begin = time.perf_counter()
            if profile is not None:
                profile.enable()
            await _feed(ticker, fleet.messages[fleet.first :], BEGIN_MS + 3_600_000)
            if profile is not None:
                profile.disable()
            return time.perf_counter() - begin
        finally:
            await store.close()


async def _feed(ticker: Ticker, messages: Sequence[tuple[str, bytes]], now_ms: int) -> None:
    for tick, at in enumerate(range(0, len(messages), TICK_MESSAGES)):
        moment = now_ms + tick * 5_000  # so that no bucket of a unit runs dry
        part = [
            Message(topic=topic, payload=payload, received_ms=moment)
            for topic, payload in messages[at : at + TICK_MESSAGES]
        ]
        result = await ticker.run(part, moment)
        assert result.verdicts.get("Accepted") == len(part), result.verdicts


def _profile(fleet: Fleet) -> dict[str, str]:
    """Shares of one profiled run; the profiler slows small functions, so read shares and no seconds."""
    profile = cProfile.Profile()
    total = asyncio.run(_ingest(fleet, profile))
    stats = pstats.Stats(profile)
    shares: dict[str, float] = {}
    for (file, _, name), (_, _, _, cumulative, _) in stats.stats.items():  # type: ignore[attr-defined]  # pstats has it, its stubs do not
        for part, function in (
            ("verify signatures", ("envelope.py", "verify")),
            ("read bodies", ("track.py", "read_body")),
            ("detect", ("detecting.py", "detect")),
            ("write statements", ("commit.py", "write")),
        ):
            if file.endswith(function[0]) and name == function[1]:
                shares[part] = max(shares.get(part, 0.0), cumulative / total)
    return {part: f"{share:.0%}" for part, share in sorted(shares.items())}


def _chain(
    unit_id: str, key: Ed25519PrivateKey, public: bytes, fixes: Sequence[FixRecord], size: int
) -> list[tuple[str, bytes]]:
    chain_id = sha256(b"chain" + unit_id.encode()).digest()[:16]
    prev = h0(unit_id, chain_id, public)
    topic = up(unit_id, Up.BATCH)
    genesis = EventRecord(kind=1, t_ms=BEGIN_MS, mono_ms=1, data=(1, None, None, None, None))
    parts: list[Sequence[EventRecord | FixRecord]] = [[genesis]]
    parts += [fixes[at : at + size] for at in range(0, len(fixes), size)]
    messages = []
    seq = 0
    for number, part in enumerate(parts):
        payload = make_payload(
            unit_id=unit_id,
            chain_id=chain_id,
            boot_no=1,
            batch_no=number,
            prev=prev,
            first_seq=seq,
            count=len(part),
            sealed_ms=BEGIN_MS + seq * 1_000,
            sealed_mono_ms=1 + seq * 1_000,
            time_quality=3,
            seen=None,
            raw_body=encode_body(seq, part),
        )
        messages.append((topic, seal(payload, Aad.BATCH, kid_of(public), key.sign)))
        prev = head_of(payload)
        seq += len(part)
    return messages


def _moved(fixes: Sequence[FixRecord], number: int) -> list[FixRecord]:
    """The same drive somewhere else: no two units share a place."""
    return [replace(fix, lat_e7=fix.lat_e7 + number % 100 * 1_000) for fix in fixes]


def _signing(name: str) -> Signing:
    key = Ed25519PrivateKey.from_private_bytes(sha256(f"plomba bench {name}".encode()).digest())
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return Signing(kid=kid_of(public), sign=key.sign)
