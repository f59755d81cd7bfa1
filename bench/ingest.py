"""Ingest in process: verify, judge, detect with 1,000 zones and a route per unit, commit with fsync, sign receipts (ARCHITECTURE's numbers).

The baseline, plain decoding of the same batches, takes turns with it in the same process. The same fleet without any rules shows what
detection costs. CPU beside wall time: on a machine that is busy with other work only the first can be compared.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.detect import BEGIN_MS, BORDER_FILE, BORDERS, Sealed, World, make_world, sealed_ticks
from bench.machine import machine
from collector.detect.engine import Result, Tick, UnitState
from collector.detect.engine.run import run as run_engine
from collector.detect.rules import Rulebook, Rules
from collector.detect.track import read_body
from collector.store import TickWrite
from collector.store.commit import Committed
from collector.store.database import Store
from collector.tick import Message
from collector.tick.answering import Signing
from collector.tick.ticker import Ticker
from wire import Refused
from wire.batch import Linked, h0, head_of, inflate, judge_link, make_payload
from wire.columns import encode_body
from wire.envelope import Aad, Key, kid_of, seal
from wire.records import EventRecord
from wire.topics import Up, up

UNITS = 256
TICK_MESSAGES = 512  # SCALE section 2
ROUNDS = 3
LOADS = {
    60: (12, 1_000),
    1: (12, 10_000),
}  # positions a batch: batches a unit, ms between positions
NO_RULES = Rulebook(versions=(Rules(version=0),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Signed batches of many units, in the order in which a broker would bring them."""

    keys: Mapping[str, bytes]  # public key by unit
    begin: Sequence[tuple[str, bytes]]  # batch 0 of each, the genesis alone: not measured
    messages: Sequence[tuple[str, bytes]]
    positions: int

    @property
    def bytes_a_position(self) -> float:
        return sum(len(envelope) for _, envelope in self.messages) / self.positions


@dataclass(slots=True, kw_only=True)
class Spent:
    """Seconds of one run."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)
    stored_bytes: int = 0


class TimedStore(Store):
    """A store that knows how long its commits took."""

    commit_s = 0.0

    async def commit(self, tick: TickWrite) -> Committed:
        before = time.perf_counter()
        try:
            return await super().commit(tick)
        finally:
            self.commit_s += time.perf_counter() - before


def run(units: int = UNITS) -> dict[str, object]:
    """All figures as plain values, for batches of 60 and of 1."""
    world = make_world(BORDERS / BORDER_FILE, units)
    report: dict[str, object] = {
        "machine": machine(),
        "units": units,
        "zones": len(world.book.versions[0].zones),
        "targets": {"positions_s_at_60": 100_000, "batches_s_at_1": 5_000},
    }
    for size in LOADS:
        report[f"at_{size}"] = _measured(world, make_fleet(world, size))
    return report


def make_fleet(world: World, size: int) -> Fleet:
    """Chains of `bench.detect`'s drives, sealed and signed."""
    batches, step_ms = LOADS[size]
    private = {
        name: Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())
        for name in world.names
    }
    public = {
        name: key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        for name, key in private.items()
    }
    genesis = EventRecord(kind=1, t_ms=BEGIN_MS, mono_ms=1, data=(1, None, None, None, None))
    first = [
        Sealed(unit=name, number=0, first_seq=0, count=1, raw=encode_body(0, [genesis]))
        for name in world.names
    ]
    heads = {name: h0(name, _chain_id(name), public[name]) for name in world.names}
    ticks = [first, *sealed_ticks(world, size, step_ms, batches)]
    messages = []
    for tick in ticks:
        for sealed in tick:
            payload = _payload(sealed, heads[sealed.unit], step_ms)
            heads[sealed.unit] = head_of(payload)
            envelope = seal(
                payload, Aad.BATCH, kid_of(public[sealed.unit]), private[sealed.unit].sign
            )
            messages.append((up(sealed.unit, Up.BATCH), envelope))
    return Fleet(
        keys=public,
        begin=messages[: len(first)],
        messages=messages[len(first) :],
        positions=len(world.names) * size * batches,
    )


def _payload(sealed: Sealed, prev: bytes, step_ms: int) -> bytes:
    age_ms = (sealed.first_seq + sealed.count) * step_ms
    return make_payload(
        unit_id=sealed.unit,
        chain_id=_chain_id(sealed.unit),
        boot_no=1,
        batch_no=sealed.number,
        prev=prev,
        first_seq=sealed.first_seq,
        count=sealed.count,
        sealed_ms=BEGIN_MS + age_ms,
        sealed_mono_ms=1 + age_ms,
        time_quality=3,
        seen=None,
        raw_body=sealed.raw,
    )


def _measured(world: World, fleet: Fleet) -> dict[str, object]:
    with_rules: list[Spent] = []
    without: list[Spent] = []
    plain: list[Spent] = []
    for _ in range(ROUNDS):  # A B C A B C: what else the machine does strikes all of them
        plain.append(_decode(fleet))
        with_rules.append(asyncio.run(_ingest(fleet, world.book)))
        without.append(asyncio.run(_ingest(fleet, NO_RULES)))
    batches = len(fleet.messages)
    wall, cpu = _median(with_rules)
    plain_wall, plain_cpu = _median(plain)
    bare_wall, bare_cpu = _median(without)
    shares = with_rules[-1].parts | _verified(fleet)
    return {
        "batches": batches,
        "positions": fleet.positions,
        "batches_s": round(batches / wall),
        "positions_s": round(fleet.positions / wall),
        "spread_s": [round(spent.wall_s, 3) for spent in sorted(with_rules, key=_wall)],
        "cpu_us_a_batch": round(cpu / batches * 1e6),
        "batches_s_without_rules": round(batches / bare_wall),
        "cpu_us_a_batch_without_rules": round(bare_cpu / batches * 1e6),
        "plain_decode_positions_s": round(fleet.positions / plain_wall),
        "cpu_ratio_to_plain_decode": round(cpu / plain_cpu, 1),
        "us_a_batch": {name: round(spent / batches * 1e6) for name, spent in shares.items()},
        "bytes_a_position_on_the_air": round(fleet.bytes_a_position, 2),
        "bytes_a_position_stored": round(with_rules[-1].stored_bytes / fleet.positions, 2),
    }


def _decode(fleet: Fleet) -> Spent:
    """Only read the bodies of batches whose signature nobody checks."""
    keys = _keys(fleet)
    linked = [judge_link(message, topic, keys.get) for topic, message in fleet.messages]
    spent = Spent()
    wall, cpu = time.perf_counter(), time.process_time()
    for batch in linked:
        assert isinstance(batch, Linked)
        header = batch.header
        raw = inflate(header)
        assert not isinstance(raw, Refused)
        read_body(raw, first_seq=header.first_seq, count=header.count, batch_no=header.batch_no)
    spent.wall_s, spent.cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    return spent


def _verified(fleet: Fleet) -> dict[str, float]:
    """Seconds for signature and header of all batches, by themselves."""
    keys = _keys(fleet)
    before = time.perf_counter()
    for topic, message in fleet.messages:
        judge_link(message, topic, keys.get)
    return {"verify and read headers, alone": time.perf_counter() - before}


async def _ingest(fleet: Fleet, book: Rulebook) -> Spent:
    """All batches behind the first ones, each tick committed with fsync."""
    spent = Spent()
    engine_s = 0.0

    def engine(rules: Rulebook, states: Mapping[str, UnitState], tick: Tick) -> Result:
        nonlocal engine_s
        before = time.perf_counter()
        result = run_engine(rules, states, tick)
        engine_s += time.perf_counter() - before
        return result

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.db"
        async with await TimedStore.open(f"sqlite:///{file}") as store:
            for unit_id, public in fleet.keys.items():
                await store.add_unit(unit_id, public, now_ms=BEGIN_MS)
            ticker = Ticker(
                store=store,
                receipt_key=_signing("receipt"),
                order_key=_signing("order"),
                rulebook=book,
                engine=engine,
            )
            await _feed(ticker, fleet.begin, BEGIN_MS)
            before, engine_s, store.commit_s = file.stat().st_size, 0.0, 0.0
            wall, cpu = time.perf_counter(), time.process_time()
            await _feed(ticker, fleet.messages, BEGIN_MS + 3_600_000)
            spent.wall_s, spent.cpu_s = time.perf_counter() - wall, time.process_time() - cpu
            spent.parts = {"detect": engine_s, "commit": store.commit_s, "all": spent.wall_s}
        spent.stored_bytes = (
            file.stat().st_size - before
        )  # closed: the log of writes is in the file
    return spent


async def _feed(ticker: Ticker, messages: Sequence[tuple[str, bytes]], now_ms: int) -> None:
    for tick, at in enumerate(range(0, len(messages), TICK_MESSAGES)):
        moment = now_ms + tick * 5_000  # so that no unit's bucket runs dry
        part = [
            Message(topic=topic, payload=payload, received_ms=moment)
            for topic, payload in messages[at : at + TICK_MESSAGES]
        ]
        result = await ticker.run(part, moment)
        assert result.verdicts == {"Accepted": len(part)}, result.verdicts
        assert result.outgoing, "no receipts"


def _median(runs: Sequence[Spent]) -> tuple[float, float]:
    return (
        statistics.median(spent.wall_s for spent in runs),
        statistics.median(spent.cpu_s for spent in runs),
    )


def _wall(spent: Spent) -> float:
    return spent.wall_s


def _keys(fleet: Fleet) -> dict[bytes, Key]:
    return {
        kid_of(public): Key(unit_id=unit, public_key=public) for unit, public in fleet.keys.items()
    }


def _chain_id(unit_id: str) -> bytes:
    return sha256(b"chain" + unit_id.encode()).digest()[:16]


def _signing(name: str) -> Signing:
    key = Ed25519PrivateKey.from_private_bytes(sha256(f"plomba bench {name}".encode()).digest())
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return Signing(kid=kid_of(public), sign=key.sign)


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]) if len(sys.argv) > 1 else UNITS), indent=2))
