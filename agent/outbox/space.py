"""Room for the next batch: what is due is carried out, what is cheap is evicted, and a full disk is given way to (EDGE section 4).

Law: evidence never makes room for anything; if only evidence is left, the caller is told.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from agent import Kept, Moment, Weight
from agent.outbox.book import count_of
from agent.outbox.forget import EVICT_RUNS_MAX, carry_out, evict, trim_spare
from agent.outbox.room import ONLY_EVIDENCE, Room, limit_pages
from agent.outbox.spill import SPILL_HEADROOM_BYTES
from agent.outbox.store import PAGE_BYTES
from agent.outbox.transaction import Transaction
from agent.outbox.words import DeleteAfter, OutboxError, OutboxFullError, Trouble
from agent.sealer import FIX_BYTES_FIRST, OVERHEAD_BYTES, Closing, OpenBatch, event_bytes
from wire.canon import encode
from wire.records import EventRecord

if TYPE_CHECKING:
    from agent.outbox.writer import Writer

COVERED_BATCHES_MAX = 64  # receipts carried out in groups: 7,000 bytes a commit instead of 10,900
COVERED_MS_MAX = 600_000
START_BYTES = 1_024  # boot, genesis, and what they say of missing batches
LAST_BYTES = 65_536  # less than a WAL needs to begin


async def make_room(
    writer: "Writer", tx: Transaction, moment: Moment, *, need_bytes: int, weight: Weight
) -> None:
    """Carry out receipts that are due; evict until `need_bytes` have room. OutboxFullError if only evidence is left."""
    room = await _room(writer)
    short = room.lacks(need_bytes)
    if short or _receipts_are_due(writer, moment):
        await carry_out(tx, writer.held)
        await trim_spare(
            tx, 0 if short else writer.settings.spare_bytes, _proven(writer, short=short)
        )
    if not short:
        return
    confessions = await give_up(writer, tx, moment, need_bytes=need_bytes)
    if confessions:
        await tx.append(OpenBatch(kept=tuple(confessions), sealed=moment, closing=Closing.SIZE))
    elif (await _room(writer)).lacks(need_bytes) and weight < Weight.EVIDENCE:
        raise full(writer, weight)


async def make_room_to_start(writer: "Writer", tx: Transaction, moment: Moment) -> list[Kept]:
    """For the first batch of a start: what went for it, in words that belong into that batch, since its chain may be a new one."""
    if not (await _room(writer)).lacks(START_BYTES):
        return []
    await trim_spare(tx, 0, None)
    return await give_up(writer, tx, moment, need_bytes=START_BYTES)


async def give_up(
    writer: "Writer", tx: Transaction, moment: Moment, *, need_bytes: int
) -> list[Kept]:
    """Evict until `need_bytes` have room, or only evidence is left; what says so."""
    confessions: list[Kept] = []
    for _ in range(EVICT_RUNS_MAX):
        room = await _room(writer)
        if not room.lacks(need_bytes):
            break
        said = await evict(tx, moment)
        if said is None:
            break
        confessions.append(said)
    if confessions:
        await tx.put("evicted", encode(count_of(tx.book, "evicted") + len(confessions)))
    return confessions


async def has_room(writer: "Writer", *, need_bytes: int) -> bool:
    """Whether so many bytes fit without anything else going."""
    return not (await _room(writer)).lacks(need_bytes)


async def give_way(writer: "Writer", attempt: int, why: str) -> None:
    """SQLite said full: ballast, aside files and WAL make room for the eviction that follows."""
    writer.tell(Trouble.DISK_FULL, why)
    if writer.spill is not None:
        return  # the run directory has no ballast; what is cheap is evicted
    with suppress(OutboxError, OSError):  # each of them writes too: what refuses here is gone round
        if not writer.disk.drop_ballast() and attempt:
            writer.disk.drop_oldest_aside()
        await writer.store.checkpoint()


def is_at_the_end(writer: "Writer") -> bool:
    """The disk, not the settings, has no byte more, and nothing is left to be given up: then not even DELETE works."""
    can_go_round = writer.spill is None and writer.disk.run is not None
    return can_go_round and writer.disk.free_bytes() < LAST_BYTES


def full(writer: "Writer", weight: Weight) -> OutboxFullError:
    if weight < Weight.EVIDENCE:
        writer.pressure = ONLY_EVIDENCE
    return OutboxFullError(
        bytes_used=writer.used_bytes,
        hint="raise outbox.bytes_max, free the card, or bring the unit to a network",
    )


def size_of(batch: OpenBatch) -> int:
    """What a batch adds to the file, at most; what deflate saves is a gift."""
    fixes = sum(not isinstance(kept.record, EventRecord) for kept in batch.kept)
    events = (kept.record for kept in batch.kept if isinstance(kept.record, EventRecord))
    return OVERHEAD_BYTES + FIX_BYTES_FIRST * min(fixes, 64) + sum(map(event_bytes, events))


def _proven(writer: "Writer", *, short: bool) -> Mapping[bytes, int] | None:
    if short or writer.settings.delete_after is DeleteAfter.RECEIPT:
        return None
    return writer.proven


def _receipts_are_due(writer: "Writer", moment: Moment) -> bool:
    if not writer.held:
        return writer.book.spare_bytes > writer.settings.spare_bytes
    waiting = sum(writer.through(chain) - chain.through for chain in writer.book.chains.values())
    since = moment.mono_ms if writer.covered_since_ms is None else writer.covered_since_ms
    writer.covered_since_ms = since
    return waiting >= COVERED_BATCHES_MAX or moment.mono_ms - since >= COVERED_MS_MAX


async def _room(writer: "Writer") -> Room:
    pages, free_pages = await writer.store.pages()
    limit = limit_pages(
        bytes_max=writer.bytes_max,
        file_bytes=pages * PAGE_BYTES,
        free_bytes=writer.disk.free_bytes()
        if writer.spill is None
        else writer.disk.spill_free_bytes(),
        headroom_bytes=writer.settings.headroom_bytes
        if writer.spill is None
        else SPILL_HEADROOM_BYTES,
    )
    return Room(pages=pages, free_pages=free_pages, limit_pages=limit)
