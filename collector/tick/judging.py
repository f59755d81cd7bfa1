"""Verdicts of a tick: each message against its unit's chains, and what that changes (WIRE sections 9 and 12).

Law: changes only what the tick gathers; the store is not touched here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from collector.desk import NonceWord
from collector.ingest import (
    Closed,
    Confession,
    Forked,
    Oddity,
    Parked,
    Settled,
    Slot,
    Step,
    Verdict,
    Why,
)
from collector.ingest.hello import admit
from collector.ingest.pace import RECEIPT_AGAIN_MS, alert_is_due, watch_gap
from collector.store import BatchRow, ForkRow, GapCloseRow
from collector.tick import oddities
from collector.tick.held import Held
from collector.tick.reading import arrival_of, bounds_of, parked_sheet, read_sheet, words_of
from collector.tick.work import Body, Piece, Work
from wire import Refused
from wire.hello import SoundHello


def take_batch(work: Work, held: Held, body: Body) -> Refused | None:
    """Judge a batch whose link is sound. Refused: it takes no place at all and goes to quarantine."""
    header, head = body.linked.header, body.linked.head
    chains = held.chains
    if chains.is_known(header.chain_id, header.batch_no, head) and body.sheet is None:
        _again(work, held, body)
        return None
    sheet = body.sheet or read_sheet(header)
    if isinstance(sheet, Refused):
        return sheet
    body.sheet = sheet
    work.bodies.setdefault((held.unit_no, header.chain_id, header.batch_no, head), body)
    judged = chains.take(arrival_of(body.linked, sheet, is_early=body.is_early))
    if judged.verdict is Verdict.DUPLICATE:
        _again(work, held, body)
        return None
    name = judged.verdict.value if judged.reason is None else judged.reason.value
    work.verdicts[name] += 1
    work.hear(held, body.rx_ms)
    apply(work, held, judged.steps)
    return None


def take_hello(work: Work, held: Held, sound: SoundHello, rx_ms: int) -> None:
    """Compare what a unit admits to hold with what is settled."""
    hello = sound.hello
    work.verdicts["Hello"] += 1
    work.greeted[held.unit_id] = (hello.chain_id, hello.boot_no)
    if hello.nonce:
        held.draft.words.append(NonceWord(nonce=hello.nonce, said_ms=hello.at_ms))
        held.touch()
    admitted = admit(held.chains, hello)
    work.hear(held, rx_ms, admitted.owes)
    if admitted.oddity is not None:
        work.findings.append(
            oddities.of_hello(
                held.unit_id, hello.chain_id, hello.seq, admitted.oddity, hello.at_ms, rx_ms
            )
        )
        held.draft.forks.append(
            ForkRow(
                chain_id=hello.chain_id,
                batch_no=hello.batch_no,
                head=hello.head,
                against_no=hello.batch_no,
                rx_ms=rx_ms,
                envelope=sound.envelope,
            )
        )
        held.touch()
    if admitted.receipt_for is not None:
        work.receipts.add((held.unit_id, admitted.receipt_for))
    if admitted.resend is not None:
        chain_id, batch_no = admitted.resend
        work.resends[(held.unit_id, chain_id)] = batch_no
    apply(work, held, admitted.steps)


def apply(work: Work, held: Held, steps: Iterable[Step]) -> None:
    """Turn steps into pieces for the engine, rows for the store and findings."""
    for step in steps:
        held.touch()
        match step:
            case Settled():
                _settled(work, held, step)
            case Parked():
                _parked(work, held, step)
            case Forked():
                _forked(work, held, step)
            case Closed():
                work.pieces.append(Piece(held=held, step=step))


def wanted(work: Work) -> list[tuple[int, bytes, int]]:
    """Parked batches that settled and whose envelopes lie in the store."""
    return [
        (piece.held.unit_no, piece.step.arrival.chain_id, piece.step.arrival.batch_no)
        for piece in work.pieces
        if isinstance(piece.step, Settled | Forked) and not piece.envelope
    ]


def finish(
    work: Work, envelopes: Mapping[tuple[int, bytes, int], bytes]
) -> list[tuple[int, bytes, int]]:
    """Give every piece its sheet, and write the rows of batches and proofs.

    The places of parked batches that the store does not give back as they were judged: with any, the tick is no tick.
    """
    spoiled: list[tuple[int, bytes, int]] = []
    for piece in work.pieces:
        step, held = piece.step, piece.held
        if isinstance(step, Closed):
            continue
        arrival = step.arrival
        if not piece.envelope:
            place = (held.unit_no, arrival.chain_id, arrival.batch_no)
            piece.sheet = parked_sheet(envelopes.get(place), arrival.head)
            if piece.sheet is None:
                spoiled.append(place)
                continue
            piece.envelope = envelopes[place]
        assert piece.sheet is not None
        match step:
            case Settled():
                held.draft.batches.append(_row(piece, step))
                held.draft.words += words_of(piece.sheet)
                if step.reason is None:
                    work.positions += piece.sheet.fixes.shape[1]
                    held.see(piece.sheet)
            case Forked():
                held.draft.forks.append(
                    ForkRow(
                        chain_id=arrival.chain_id,
                        batch_no=arrival.batch_no,
                        head=arrival.head,
                        against_no=step.against,
                        rx_ms=piece.rx_ms,
                        envelope=piece.envelope,
                    )
                )
            case Parked():
                if arrival.reason is None:
                    held.draft.words += words_of(piece.sheet, is_early=True)
                    held.see(piece.sheet)
    return spoiled


def close_gaps(work: Work, closes: Iterable[GapCloseRow]) -> None:
    """Supervisors' acts: what is missing will not come (WIRE section 9). Where it came meanwhile, nothing is closed."""
    for act in closes:
        held = work.units[act.unit_id]
        confession = Confession(
            chain_id=act.chain_id,
            first_no=act.first_no,
            last_no=act.last_no,
            last_head=None,
            why=Why.SUPERVISOR,
        )
        steps = held.chains.confess(confession)
        is_closed = any(isinstance(step, Closed) and step.hole is not None for step in steps)
        waits = confession in held.chains.confessions
        outcome = "closed" if is_closed else "noted" if waits else "not_missing"
        held.draft.gaps_closed.append((act.number, outcome))
        held.touch()
        work.closed[act.unit_id] = work.now_ms
        apply(work, held, steps)


def watch_gaps(work: Work) -> None:
    """What each unit that was heard owes now; the alert after 15 minutes of online time, its end when the gap closes."""
    for unit_id, heard_ms in {**work.closed, **work.heard}.items():
        held = work.units[unit_id]
        before = held.gap
        gap = watch_gap(before, held.chains.missing(), heard_ms)
        is_other = gap is None or (
            before is not None
            and (gap.chain_id, gap.first_no) != (before.chain_id, before.first_no)
        )
        if before is not None and before.is_alerted and is_other:
            work.findings.append(oddities.of_gap(unit_id, before, heard_ms, is_over=True))
        if gap is not None and alert_is_due(gap):
            gap = replace(gap, is_alerted=True)
            work.findings.append(oddities.of_gap(unit_id, gap, heard_ms, is_over=False))
        held.gap = gap


def _again(work: Work, held: Held, body: Body) -> None:
    """A duplicate of what is settled is receipted again, at most once a second and then later; of what is parked, not yet."""
    header = body.linked.header
    work.verdicts[Verdict.DUPLICATE.value] += 1
    work.hear(held, body.rx_ms)
    held.chains.saw_again(header.chain_id, header.batch_no, is_early=body.is_early)
    chain = held.chains.chains.get(header.chain_id)
    is_settled = chain is not None and header.batch_no <= chain.through
    if is_settled and work.now_ms - held.receipted_ms >= RECEIPT_AGAIN_MS:
        work.receipts.add((held.unit_id, header.chain_id))
    elif is_settled:  # the one before may have been said when nobody could hear it
        work.receipts_later.add((held.unit_id, header.chain_id))


def _settled(work: Work, held: Held, step: Settled) -> None:
    arrival = step.arrival
    place = (arrival.chain_id, arrival.batch_no)
    piece = _piece(work, held, step)
    if step.was_parked:
        piece.rx_ms, piece.early_ms = held.came.pop(place)
        _unpark(held, place)
    work.pieces.append(piece)
    work.receipts.add((held.unit_id, arrival.chain_id))
    if step.oddity is not None:
        work.findings.append(oddities.of_batch(held.unit_id, arrival, step.oddity, piece.rx_ms))
    if step.reason is not None:
        work.findings.append(oddities.of_reject(held.unit_id, arrival, step.reason, piece.rx_ms))


def _parked(work: Work, held: Held, step: Parked) -> None:
    arrival = step.arrival
    piece = _piece(work, held, step)
    assert piece.sheet is not None
    # Whatever waits is judged alone at once, early copy or not: an alarm that came out of order must not wait for a hole
    piece.early_ms = piece.rx_ms if piece.sheet.events and arrival.reason is None else None
    held.came[(arrival.chain_id, arrival.batch_no)] = (piece.rx_ms, piece.early_ms)
    held.draft.parked.append((arrival, piece.envelope, piece.rx_ms, piece.early_ms))
    work.pieces.append(piece)


def _forked(work: Work, held: Held, step: Forked) -> None:
    arrival = step.arrival
    place = (arrival.chain_id, arrival.batch_no)
    piece = _piece(work, held, step)
    if step.was_parked:
        piece.rx_ms, piece.early_ms = held.came.pop(place)
        _unpark(held, place)
    work.pieces.append(piece)
    work.findings.append(oddities.of_batch(held.unit_id, arrival, Oddity.FORK, piece.rx_ms))


def _piece(work: Work, held: Held, step: Settled | Parked | Forked) -> Piece:
    arrival = step.arrival
    body = work.bodies.get((held.unit_no, arrival.chain_id, arrival.batch_no, arrival.head))
    if body is None:
        return Piece(held=held, step=step)
    return Piece(
        held=held,
        step=step,
        sheet=body.sheet,
        envelope=body.linked.envelope,
        rx_ms=body.rx_ms,
    )


def _unpark(held: Held, place: tuple[bytes, int]) -> None:
    for index, (arrival, *_) in enumerate(held.draft.parked):
        if (arrival.chain_id, arrival.batch_no) == place:  # came in this very tick
            del held.draft.parked[index]
            return
    held.draft.unparked.append(place)


def _row(piece: Piece, step: Settled) -> BatchRow:
    arrival, held, sheet = step.arrival, piece.held, piece.sheet
    assert sheet is not None
    t0, t1, least_lat, most_lat, least_lon, most_lon = bounds_of(sheet.fixes)
    return BatchRow(
        unit_no=held.unit_no,
        chain=held.chains.chains[arrival.chain_id].ordinal,
        batch_no=arrival.batch_no,
        head=arrival.head,
        first_seq=arrival.first_seq,
        count=arrival.count,
        sealed_ms=arrival.sealed_ms,
        rx_ms=piece.rx_ms,
        early_ms=piece.early_ms,
        slot=None if step.slot is Slot.IN_ORDER else step.slot.value,
        reason=None if step.reason is None else step.reason.value,
        t0_ms=t0,
        t1_ms=t1,
        min_lat_e7=least_lat,
        max_lat_e7=most_lat,
        min_lon_e7=least_lon,
        max_lon_e7=most_lon,
        envelope=piece.envelope,
    )
