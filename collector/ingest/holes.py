"""Holes of a chain: numbers that are closed without their batches, and what still comes into one (WIRE section 9).

Law: what fills a hole fits on both sides; the order in which things were said tells nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from collector.ingest import Arrival, Chain, Confession, Hole


def closed(
    chain: Chain, number: int, confessions: Iterable[Confession], ahead: Sequence[int]
) -> Hole | None:
    """The hole from `number` on that a unit's words close, up to what waits `ahead`; None if none covers it."""
    covering = [
        entry
        for entry in confessions
        if entry.chain_id == chain.chain_id and entry.first_no <= number <= entry.last_no
    ]
    if not covering:
        return None
    # The word that names the last head is worth more; then the one that reaches furthest: no order of arrival in it
    best = max(covering, key=lambda entry: (entry.last_head is not None, entry.last_no))
    last = min([best.last_no, *(n - 1 for n in ahead)])
    return Hole(
        chain_id=chain.chain_id,
        first_no=number,
        last_no=last,
        first_seq=chain.next_seq,
        before=chain.head,
        after=best.last_head if last == best.last_no else None,
        why=best.why,
    )


def fits(arrival: Arrival, hole: Hole) -> bool:
    """True if a batch may stand in a hole, by the heads beside it."""
    is_first, is_last = arrival.batch_no == hole.first_no, arrival.batch_no == hole.last_no
    fits_before = not is_first or hole.before is None or hole.before == arrival.prev
    fits_after = not is_last or hole.after is None or hole.after == arrival.head
    return fits_before and fits_after


def rest(hole: Hole, arrival: Arrival) -> list[Hole]:
    """What stays open of a hole when a batch inside it has come; its neighbours must fit it now."""
    rest = []
    if arrival.batch_no > hole.first_no:
        rest.append(replace(hole, last_no=arrival.batch_no - 1, after=arrival.prev))
    if arrival.batch_no < hole.last_no:
        rest.append(
            replace(
                hole,
                first_no=arrival.batch_no + 1,
                before=arrival.head,
                first_seq=arrival.first_seq + arrival.count,
            )
        )
    return rest
