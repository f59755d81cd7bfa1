"""What a unit admits to hold, against what is settled (WIRE section 12).

Law: a hello older than the newest batch proves nothing: brokers repeat and reorder.
"""

from dataclasses import dataclass

from collector.ingest import Confession, Oddity, Step, Why
from collector.ingest.chains import GOOD_QUALITIES, UnitChains
from wire.hello import Hello


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What follows from a hello. `resend` is asked where nothing is settled that a receipt could name."""

    oddity: Oddity | None
    steps: tuple[Step, ...]
    receipt_for: bytes | None  # chain_id of the unit's current chain
    resend: tuple[bytes, int] | None  # chain_id, batch_no
    owes: int  # batches that the unit holds and that are not settled


def places_of(hello: Hello) -> list[tuple[bytes, int]]:
    """Numbers whose stored heads `admit` will look at."""
    return [(hello.chain_id, hello.batch_no)]


def admit(chains: UnitChains, hello: Hello) -> Admitted:
    """Compare `hello` with what is settled; closes the hole that its `oldest` confesses."""
    chain = chains.chains.get(hello.chain_id)
    through = -1 if chain is None else chain.through
    oddity: Oddity | None = None
    steps: tuple[Step, ...] = ()
    known = chains.heads.get((hello.chain_id, hello.batch_no))
    parked = chains.waiting.get((hello.chain_id, hello.batch_no))
    if parked is not None:
        known = parked.head
    if known is not None and known != hello.head:
        oddity = Oddity.FORK
    elif hello.batch_no > through:
        chains.owed.say(hello.chain_id, hello.batch_no)
        if hello.oldest > through + 1:
            steps = chains.confess(
                Confession(
                    chain_id=hello.chain_id,
                    first_no=0 if chain is None else through + 1,
                    last_no=hello.oldest - 1,
                    last_head=None,
                    why=Why.OLDEST,
                )
            )
    elif hello.batch_no < through and _is_after_the_newest(chains, hello):
        oddity = Oddity.ROLLED_BACK
    current = chains.current
    if current is None or current.stored_no < 0:
        return Admitted(
            oddity=oddity,
            steps=steps,
            receipt_for=None,
            resend=(hello.chain_id, through + 1),
            owes=hello.batch_no + 1,
        )
    return Admitted(
        oddity=oddity,
        steps=steps,
        receipt_for=current.chain_id,
        resend=None,
        owes=max(0, hello.batch_no - through),
    )


def _is_after_the_newest(chains: UnitChains, hello: Hello) -> bool:
    """True if the unit said this after it had sealed the newest batch that is here: then it has forgotten that batch."""
    chain = chains.chains[hello.chain_id]
    if chain.successor is not None or chain.stored_no <= hello.batch_no:
        return False
    if hello.time_quality in GOOD_QUALITIES and chain.last_quality in GOOD_QUALITIES:
        return hello.at_ms > chain.last_sealed_ms
    return (hello.boot_no, hello.mono_ms) > (chain.last_boot_no, chain.last_mono_ms)
