"""An outbox on a real file, and a small honest collector that judges the chains as WIRE section 9 says."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent import Boot, Identity, Kept, Moment, Weight
from agent.outbox import Outbox, OutboxSettings
from agent.sealer import Closing, OpenBatch
from tests.agent.facts import at
from wire import Refused
from wire.batch import Genesis, Sound, judge, read_genesis
from wire.envelope import Key, kid_of
from wire.receipts import Receipt, make
from wire.records import EventKind, EventRecord
from wire.topics import Up, up

UNIT = "uz-01a234bc"
SMALL = OutboxSettings(ballast_bytes=0, headroom_bytes=0)


def key_pair(name: str) -> tuple[Ed25519PrivateKey, bytes]:
    private = Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())
    return private, private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def identity(name: str = "plomba test key unit uz-01a234bc") -> Identity:
    private, public = key_pair(name)
    return Identity(unit_id=UNIT, public_key=public, kid=kid_of(public), sign=private.sign)


ME = identity()
RECEIPT_KEY, RECEIPT_PUBLIC = key_pair("plomba test key receipt")
RECEIPT_KID = kid_of(RECEIPT_PUBLIC)


def boot(number: int) -> Boot:
    return Boot(boot_id=number.to_bytes(16, "big"), program="test")


def batch(
    *texts: str,
    kind: EventKind = EventKind.INPUT,
    weight: Weight = Weight.EVENT,
    urgent: bool = False,
    mono_ms: int = 0,
) -> OpenBatch:
    kept = tuple(
        Kept(
            record=EventRecord(kind=kind, t_ms=1, mono_ms=mono_ms, data=(text, 1)),
            urgent=urgent,
            weight=weight,
        )
        for text in texts
    )
    return OpenBatch(kept=kept, sealed=at(mono_ms), closing=Closing.AGE)


def stop_batch(mono_ms: int = 0) -> OpenBatch:
    record = EventRecord(kind=EventKind.STOP, t_ms=1, mono_ms=mono_ms, data=(4,))
    return OpenBatch(kept=(Kept(record=record),), sealed=at(mono_ms), closing=Closing.STOP)


def no_op(_name: str) -> None:
    """Nobody looks."""


@asynccontextmanager
async def opened(
    directory: Path,
    *,
    boot_no: int = 1,
    moment: Moment | None = None,
    settings: OutboxSettings = SMALL,
    who: Identity = ME,
    run: Path | None = None,
    at_point: Callable[[str], None] = no_op,
) -> AsyncIterator[Outbox]:
    """An outbox that is left as a power cut would leave it, unless the test closes it."""
    outbox = await Outbox.open(
        directory, settings, who, boot(boot_no), moment or at(1_000), run=run, at=at_point
    )
    writer = asyncio.get_running_loop().create_task(outbox.run())
    try:
        yield outbox
    finally:
        await outbox.abandon()
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)


async def all_rows(outbox: Outbox, mono_ms: int = 2_000) -> dict[int, bytes]:
    """Every waiting envelope by its place, read as it would be before sending."""
    found: dict[int, bytes] = {}
    for one in await outbox.waiting(count_max=100_000):
        envelope = await outbox.read(one.pos, at(mono_ms))
        assert envelope is not None
        found[one.pos] = envelope
    return found


def sound(envelope: bytes, who: Identity = ME) -> Sound:
    key = Key(unit_id=UNIT, public_key=who.public_key)
    verdict = judge(envelope, up(UNIT, Up.BATCH), lambda kid: key if kid == who.kid else None)
    assert isinstance(verdict, Sound), verdict
    return verdict


def receipt_for(envelope: bytes, number: int | None = None) -> tuple[Receipt, bytes]:
    one = sound(envelope)
    return receipt(one.header.chain_id, one.header.batch_no if number is None else number, one.head)


def receipt(chain_id: bytes, number: int, head: bytes) -> tuple[Receipt, bytes]:
    said = Receipt(
        unit_id=UNIT, chain_id=chain_id, through_batch_no=number, head=head, received_ms=1
    )
    return said, make(said, RECEIPT_KID, RECEIPT_KEY.sign)


def told(rows: dict[int, bytes]) -> set[tuple[bytes, int]]:
    """Numbers that a `dropped` event confesses."""
    found = set()
    for envelope in rows.values():
        one = sound(envelope)
        for event in one.body.events:
            if event.kind == EventKind.DROPPED:
                first, last, *_, chain_id = event.data
                assert isinstance(first, int)
                assert isinstance(last, int)
                chain = chain_id if isinstance(chain_id, bytes) else one.header.chain_id
                found |= {(chain, number) for number in range(first, last + 1)}
    return found


def missing(rows: dict[int, bytes]) -> set[tuple[bytes, int]]:
    """Numbers below the newest of each chain that are not here."""
    here = {(one.header.chain_id, one.header.batch_no) for one in map(sound, rows.values())}
    newest = {chain: max(no for other, no in here if other == chain) for chain, _ in here}
    return {(chain, no) for chain, last in newest.items() for no in range(last)} - here


def image(directory: Path, to: Path) -> Path:
    """What a power cut would leave of the directory now."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(directory, to)
    return to


class ForkError(AssertionError):
    """An honest unit looks like a forger."""


@dataclass
class Collector:
    """Stores, parks, settles and receipts; raises ForkError where WIRE section 9 says Fork."""

    stored: dict[tuple[bytes, int], Sound] = field(default_factory=dict)
    parked: dict[tuple[bytes, int], Sound] = field(default_factory=dict)
    successor: dict[bytes, bytes] = field(default_factory=dict)
    current: bytes | None = None
    settled: int = -1
    ended: dict[bytes, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    gone: dict[tuple[bytes, int], tuple[int, bytes | None]] = field(default_factory=dict)

    def take(self, envelope: bytes) -> list[tuple[Receipt, bytes]]:
        """One batch; the receipts that follow."""
        one = sound(envelope)
        place = (one.header.chain_id, one.header.batch_no)
        known = self.stored.get(place) or self.parked.get(place)
        if known is not None:
            if known.head != one.head:
                raise ForkError(f"two contents for {place[0].hex()} {place[1]}")
            return self._receipts(place[0])
        self._hear_confessions(one)
        self.parked[place] = one
        while self._settle_one():
            pass
        return self._receipts(place[0])

    def word(self) -> Receipt | None:
        """The answer to a hello: R1 of the current chain, whatever chain the hello names; None: resend_from 0."""
        if self.current is None:
            return None
        head = self.stored[(self.current, self.settled)].head
        return receipt(self.current, self.settled, head)[0]

    def _receipts(self, chain_id: bytes) -> list[tuple[Receipt, bytes]]:
        through = self.settled if chain_id == self.current else self.ended.get(chain_id, -1)
        while through >= 0 and (chain_id, through) not in self.stored:
            through -= 1
        if through < 0:
            return []
        return [receipt(chain_id, through, self.stored[(chain_id, through)].head)]

    def _hear_confessions(self, one: Sound) -> None:
        for event in one.body.events:
            if event.kind != EventKind.DROPPED:
                continue
            first, last, _, _, head, *_, chain_id = event.data
            assert isinstance(first, int)
            assert isinstance(last, int)
            chain = chain_id if isinstance(chain_id, bytes) else one.header.chain_id
            for number in range(first, last + 1):
                self.gone[(chain, number)] = (last, head if isinstance(head, bytes) else None)

    def _settle_one(self) -> bool:
        return any(self._settle(place, one) for place, one in list(self.parked.items()))

    def _settle(self, place: tuple[bytes, int], one: Sound) -> bool:
        chain_id, number = place
        if chain_id in self.ended:
            return self._late(place, one)
        if chain_id == self.current:
            return self._next(place, one)
        if number > 0:
            return False
        genesis = read_genesis(one.body.events)
        assert not isinstance(genesis, Refused)
        return self._begin(place, one, genesis)

    def _next(self, place: tuple[bytes, int], one: Sound) -> bool:
        wanted, head = self.settled + 1, self.stored[(place[0], self.settled)].head
        while (place[0], wanted) in self.gone and wanted < place[1]:
            last, said = self.gone[(place[0], wanted)]
            wanted, head = last + 1, said or one.header.prev
        if place[1] != wanted:
            return False
        if one.header.prev != head:
            raise ForkError(f"the unit holds another batch {wanted - 1}")
        return self._accept(place, one)

    def _begin(self, place: tuple[bytes, int], one: Sound, genesis: Genesis) -> bool:
        before, number = genesis.prev_chain, genesis.prev_batch_no
        if before is None or number is None:
            if self.current is not None:
                self.findings.append("ChainBreak")
            return self._found(place, one)
        if before not in {self.current, *self.ended}:
            return False  # its chain comes first
        if before in self.successor:
            raise ForkError("a second successor of one chain")
        if before == self.current and number > self.settled and not self._is_gone(before, number):
            return False
        held = self.stored.get((before, number))
        if held is not None and held.head != genesis.prev_head:
            raise ForkError("prev_head differs from the stored head")
        if number < self.settled:
            self.findings.append("RolledBack")
        self.successor[before] = place[0]
        return self._found(place, one)

    def _is_gone(self, chain_id: bytes, number: int) -> bool:
        return all((chain_id, one) in self.gone for one in range(self.settled + 1, number + 1))

    def _found(self, place: tuple[bytes, int], one: Sound) -> bool:
        if self.current is not None:
            self.ended[self.current] = self.settled
        self.current, self.settled = place[0], -1
        return self._accept(place, one)

    def _late(self, place: tuple[bytes, int], one: Sound) -> bool:
        if place[1] > self.ended[place[0]]:
            founded = self.stored[(self.successor[place[0]], 0)].header.sealed_ms
            if one.header.sealed_ms > founded:
                raise ForkError("a closed chain grows")
            self.findings.append("LateTail")
            self.ended[place[0]] = place[1]
        return self._accept(place, one, settles=False)

    def _accept(self, place: tuple[bytes, int], one: Sound, *, settles: bool = True) -> bool:
        del self.parked[place]
        self.stored[place] = one
        if settles:
            self.settled = place[1]
        return True


async def deliver(
    outbox: Outbox,
    collector: Collector,
    moment: Moment,
    count_max: int = 1 << 30,
    loss: Random | None = None,
) -> None:
    """What the uplink does on a connection, in short: the word first, then everything that may leave, in order."""
    home = outbox.at_home
    if home is not None and not home.spoken:
        await outbox.word(collector.word(), moment)
    pos = 0
    for _ in range(count_max):
        home = outbox.at_home
        rows = await outbox.waiting(pos, 1)
        if not rows:
            return
        pos = rows[0].pos
        if home is not None and pos >= home.from_pos and moment.mono_ms < home.until_mono_ms:
            return
        assert home is None or home.spoken or pos < home.from_pos
        envelope = await outbox.read(pos, moment)
        if envelope is None or (loss is not None and loss.random() < 0.3):
            continue
        for said, message in collector.take(envelope):
            judged = await outbox.judge_receipt(message, {RECEIPT_KID: RECEIPT_PUBLIC})
            if not isinstance(judged, Refused):
                outbox.cover(judged, message)
            assert said.unit_id == UNIT
