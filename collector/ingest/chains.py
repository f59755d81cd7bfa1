"""One unit's chains: where a batch stands, what settles with it, what is still owed (WIRE section 9).

Law: when all batches of an honest unit have come, in any order and any number of times, the outcome is the same.
Reads no store: whoever asks brings the stored heads of the numbers in question (`collector.tick.ticker`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from collector.ingest import (
    PARKED_BATCHES_MAX,
    PARKED_BYTES_MAX,
    Arrival,
    Chain,
    Closed,
    Confession,
    Forked,
    Hole,
    Judged,
    Missing,
    Oddity,
    Parked,
    Settled,
    Slot,
    Step,
    Verdict,
)
from collector.ingest.holes import closed, fits, rest
from collector.ingest.owed import Owed
from wire import Reason

Place = tuple[bytes, int]  # chain_id, batch_no

SETTLE_MAX = 64  # of one unit and tick: no backlog delays another unit's alarm (SCALE section 6)
GOOD_QUALITIES = (2, 3)  # NTP, GNSS: a unit's clock that may testify against it
CHAINS_KEPT = 16  # of a unit in memory, as many as it remembers itself (EDGE section 4). Each unclean start begins another one: after a
# year of them 10,000 units took two minutes to be read and 2.7 GB; the older ones are brought when somebody speaks of them
CONFESSIONS_MAX = 4_096  # a parked batch can hold some; more than batches parked is no honest unit


class UnitChains:
    """All that decides about a unit's next batch. Mutable: forget it when its tick is not committed."""

    def __init__(
        self,
        *,
        chains: Iterable[Chain] = (),
        waiting: Iterable[Arrival] = (),
        confessions: Iterable[Confession] = (),
        holes: Iterable[Hole] = (),
    ) -> None:
        self.chains = {chain.chain_id: chain for chain in chains}
        self._next_ordinal = 1 + max((chain.ordinal for chain in self.chains.values()), default=-1)
        self.waiting = {(entry.chain_id, entry.batch_no): entry for entry in waiting}
        self.confessions = list(confessions)
        self.holes = list(holes)
        self.heads: dict[Place, bytes] = {}  # stored ones, as far as this tick needs them
        self.owed = Owed()
        self.current = max(
            (chain for chain in self.chains.values() if chain.successor is None),
            key=lambda chain: chain.ordinal,
            default=None,
        )
        self.changed: set[bytes] = set()  # chains to be written
        self.holes_changed = False
        self.confessions_changed = False
        self._budget = SETTLE_MAX
        self._parked_bytes = sum(entry.size_bytes for entry in self.waiting.values())
        self._beginnings = {place for place in self.waiting if place[1] == 0}
        self._steps: list[Step] = []

    @property
    def is_whole(self) -> bool:
        """True if all chains that the unit ever had are here."""
        return len(self.chains) == self._next_ordinal

    def bring(self, chains: Iterable[Chain]) -> None:
        """Chains of long ago that somebody speaks of."""
        for chain in chains:
            self.chains.setdefault(chain.chain_id, chain)

    def let_go(self) -> None:
        """Hold no more chains than the newest, and those that something waits for."""
        if len(self.chains) <= 2 * CHAINS_KEPT:
            return
        least = self._next_ordinal - CHAINS_KEPT
        spoken_of = self.owed.newest.keys() | chains_named(self.waiting.values(), self.confessions)
        kept = {
            chain_id
            for chain_id, chain in self.chains.items()
            if chain.ordinal >= least or chain_id in spoken_of
        }
        kept |= {self.chains[chain_id].successor or b"" for chain_id in kept}
        self.chains = {name: chain for name, chain in self.chains.items() if name in kept}

    def begin_tick(self, heads: Mapping[Place, bytes]) -> None:
        """`heads`: of the stored batches among those that this tick's verdicts look at."""
        self.heads = dict(heads)
        self.changed.clear()
        self.holes_changed = False
        self.confessions_changed = False
        self._budget = SETTLE_MAX

    def is_known(self, chain_id: bytes, batch_no: int, head: bytes) -> bool:
        """True if this very batch is stored or parked: its body need not be read again."""
        entry = self.waiting.get((chain_id, batch_no))
        known = self.heads.get((chain_id, batch_no)) if entry is None else entry.head
        return known == head

    def saw_again(self, chain_id: bytes, batch_no: int, *, is_early: bool) -> None:
        """A parked batch came once more: if it is in its turn now, what stands before it is overdue."""
        parked = self.waiting.get((chain_id, batch_no))
        if parked is not None and parked.is_early and not is_early:
            self.waiting[(chain_id, batch_no)] = replace(parked, is_early=False)

    def take(self, arrival: Arrival) -> Judged:
        """The verdict on a batch, and what else it lets settle."""
        self._steps = []
        verdict, reason = self._place(arrival)
        if verdict is not Verdict.DUPLICATE and verdict is not Verdict.FORK:
            self._hear(arrival.confessions)
            self._settle()
        return Judged(verdict=verdict, reason=reason, steps=tuple(self._steps))

    def confess(self, confession: Confession) -> tuple[Step, ...]:
        """What settles when these batches will not come: a hello's `oldest`, or a supervisor's act."""
        self._steps = []
        self._hear((confession,))
        self._settle()
        return tuple(self._steps)

    def go_on(self) -> tuple[Step, ...]:
        """What the last tick's bound left to settle."""
        self._steps = []
        self._settle()
        return tuple(self._steps)

    @property
    def has_more(self) -> bool:
        """True if the bound of the tick was met: there may be more to settle at once."""
        return self._budget <= 0

    def missing(self) -> Missing | None:
        """What is owed first."""
        return self.owed.missing(self.chains, self.waiting, self.current)

    # the table of WIRE section 9

    def _place(self, arrival: Arrival) -> tuple[Verdict, Reason | None]:
        place = (arrival.chain_id, arrival.batch_no)
        parked = self.waiting.get(place)
        if parked is not None:
            if parked.head != arrival.head:
                return self._fork(arrival, arrival.batch_no)
            self.saw_again(*place, is_early=arrival.is_early)
            return Verdict.DUPLICATE, None
        chain = self.chains.get(arrival.chain_id)
        if chain is None:
            return self._begin(arrival) if arrival.batch_no == 0 else self._park(arrival)
        if arrival.batch_no <= chain.through:
            return self._below(arrival)
        if chain.successor is not None:
            return self._behind_the_end(arrival, chain)
        if arrival.batch_no == chain.through + 1:
            return self._follow(arrival, chain, Slot.IN_ORDER)
        return self._park(arrival)

    def _below(self, arrival: Arrival) -> tuple[Verdict, Reason | None]:
        stored = self.heads.get((arrival.chain_id, arrival.batch_no))
        if stored is not None:
            if stored == arrival.head:
                return Verdict.DUPLICATE, None
            return self._fork(arrival, arrival.batch_no)
        hole = next(
            (
                hole
                for hole in self.holes
                if hole.chain_id == arrival.chain_id
                and hole.first_no <= arrival.batch_no <= hole.last_no
            ),
            None,
        )
        if hole is None:
            return self._put_back(arrival, self.chains[arrival.chain_id])
        if not fits(arrival, hole):
            return self._fork(arrival, arrival.batch_no)
        self.holes.remove(hole)
        self.holes.extend(rest(hole, arrival))
        self.holes_changed = True
        self._fill(self.chains[arrival.chain_id], arrival)
        self._settled(arrival, Slot.HOLE, arrival.reason, was_parked=False)
        return _accepted(arrival.reason)

    def _put_back(self, arrival: Arrival, chain: Chain) -> tuple[Verdict, Reason | None]:
        """Settled, and neither stored nor in a hole: the centre's own store has lost it. What the unit still has takes its place."""
        before = self.heads.get((arrival.chain_id, arrival.batch_no - 1))
        is_newest = arrival.batch_no == chain.through
        if before not in (None, arrival.prev) or (is_newest and chain.head != arrival.head):
            return self._fork(arrival, arrival.batch_no)
        oddity = Oddity.STORE_LOST
        self._settled(arrival, Slot.HOLE, arrival.reason, was_parked=False, oddity=oddity)
        return _accepted(arrival.reason)

    def _follow(
        self, arrival: Arrival, chain: Chain, slot: Slot, *, was_parked: bool = False
    ) -> tuple[Verdict, Reason | None]:
        if chain.head is not None and arrival.prev != chain.head:
            return self._fork(arrival, chain.through, was_parked=was_parked)
        reason = arrival.reason
        is_behind_hole = chain.through != chain.stored_no
        if is_behind_hole:
            self._know_after(chain, arrival.prev)
        is_jump = (
            arrival.first_seq < chain.next_seq
            if is_behind_hole
            else arrival.first_seq != chain.next_seq
        )
        if is_jump and reason is None:
            reason = Reason.SEQ_JUMP
        self._advance(chain, arrival)
        oddity = Oddity.LATE_TAIL if slot is Slot.LATE_TAIL else None
        self._settled(arrival, slot, reason, was_parked=was_parked, oddity=oddity)
        return _accepted(reason)

    def _behind_the_end(
        self, arrival: Arrival, chain: Chain, *, was_parked: bool = False
    ) -> tuple[Verdict, Reason | None]:
        assert chain.successor is not None
        successor = self.chains[chain.successor]
        is_testified = (
            arrival.time_quality in GOOD_QUALITIES and successor.began_quality in GOOD_QUALITIES
        )
        if is_testified and arrival.sealed_ms > successor.began_ms:
            return self._fork(arrival, chain.through, was_parked=was_parked)
        if arrival.batch_no > chain.through + 1:
            return self._park(arrival)
        return self._follow(arrival, chain, Slot.LATE_TAIL, was_parked=was_parked)

    def _begin(
        self, arrival: Arrival, *, was_parked: bool = False
    ) -> tuple[Verdict, Reason | None]:
        genesis, current = arrival.genesis, self.current
        if genesis is None or genesis.prev_chain is None:
            oddity = None if current is None else Oddity.CHAIN_BREAK
            return self._open(arrival, oddity, was_parked=was_parked)
        # A genesis that names a chain waits for it, also when there is no chain yet: else the order of arrival would tell
        before = self.chains.get(genesis.prev_chain)
        if before is None:
            return self._park(arrival)
        number, head = genesis.prev_batch_no, genesis.prev_head
        assert number is not None
        if before.successor is not None:
            return self._fork(arrival, number, was_parked=was_parked)
        if number > before.through:
            return self._park(arrival)
        if number == before.through:
            stored, oddity = before.head, None
        else:
            stored, oddity = self.heads.get((before.chain_id, number)), Oddity.ROLLED_BACK
        if stored is not None and stored != head:
            return self._fork(arrival, number, was_parked=was_parked)
        return self._open(arrival, oddity, was_parked=was_parked)

    # what a verdict does

    def _open(
        self, arrival: Arrival, oddity: Oddity | None, *, was_parked: bool
    ) -> tuple[Verdict, Reason | None]:
        self._succeed(
            Chain(
                chain_id=arrival.chain_id,
                ordinal=self._next_ordinal,
                through=-1,
                head=None,
                next_seq=0,
                stored_no=-1,
                stored_head=None,
                began_ms=arrival.sealed_ms,
                began_quality=arrival.time_quality,
            )
        )
        if oddity is not None:
            self._steps.append(Closed(chain_id=arrival.chain_id, hole=None, why=oddity.value))
        self._advance(self.chains[arrival.chain_id], arrival)
        self._settled(arrival, Slot.IN_ORDER, arrival.reason, was_parked=was_parked, oddity=oddity)
        return _accepted(arrival.reason)

    def _succeed(self, chain: Chain) -> None:
        if self.current is not None:
            self._write(replace(self.current, successor=chain.chain_id))
        self._write(chain)
        self.current = chain
        self._next_ordinal += 1

    def _advance(self, chain: Chain, arrival: Arrival) -> None:
        self._write(
            replace(
                chain,
                through=arrival.batch_no,
                head=arrival.head,
                next_seq=arrival.first_seq + arrival.count,
                stored_no=arrival.batch_no,
                stored_head=arrival.head,
                last_sealed_ms=arrival.sealed_ms,
                last_quality=arrival.time_quality,
                last_boot_no=arrival.boot_no,
                last_mono_ms=arrival.sealed_mono_ms,
            )
        )

    def _fill(self, chain: Chain, arrival: Arrival) -> None:
        """A batch inside a hole: a receipt must cover it, also when nothing behind the hole has come yet."""
        if arrival.batch_no < chain.stored_no:
            return
        through = chain.through
        self._advance(chain, arrival)
        if arrival.batch_no < through:
            self._write(replace(self.chains[chain.chain_id], through=through, head=chain.head))

    def _write(self, chain: Chain) -> None:
        self.chains[chain.chain_id] = chain
        self.changed.add(chain.chain_id)
        if self.current is not None and self.current.chain_id == chain.chain_id:
            self.current = chain

    def _settled(
        self,
        arrival: Arrival,
        slot: Slot,
        reason: Reason | None,
        *,
        was_parked: bool,
        oddity: Oddity | None = None,
    ) -> None:
        self.heads[(arrival.chain_id, arrival.batch_no)] = arrival.head
        self._budget -= 1
        self._steps.append(
            Settled(arrival=arrival, slot=slot, reason=reason, was_parked=was_parked, oddity=oddity)
        )

    def _park(self, arrival: Arrival) -> tuple[Verdict, Reason | None]:
        place = (arrival.chain_id, arrival.batch_no)
        if place in self.waiting:  # it waits on
            return Verdict.GAP, None
        bytes_after = self._parked_bytes + arrival.size_bytes
        if len(self.waiting) < PARKED_BATCHES_MAX and bytes_after <= PARKED_BYTES_MAX:
            self.waiting[place] = arrival
            self._parked_bytes = bytes_after
            if arrival.batch_no == 0:
                self._beginnings.add(place)
            self._steps.append(Parked(arrival=arrival))
        return Verdict.GAP, None  # over the bound it is not kept: without a receipt it comes again

    def _unpark(self, arrival: Arrival) -> None:
        place = (arrival.chain_id, arrival.batch_no)
        del self.waiting[place]
        self._beginnings.discard(place)
        self._parked_bytes -= arrival.size_bytes

    def _fork(
        self, arrival: Arrival, against: int, *, was_parked: bool = False
    ) -> tuple[Verdict, Reason | None]:
        self._steps.append(Forked(arrival=arrival, against=against, was_parked=was_parked))
        return Verdict.FORK, None

    # settling

    def _hear(self, confessions: Iterable[Confession]) -> None:
        for confession in confessions:
            if confession in self.confessions or len(self.confessions) >= CONFESSIONS_MAX:
                continue
            chain = self.chains.get(confession.chain_id)
            if chain is None or confession.last_no > chain.through:
                self.confessions.append(confession)
                self.confessions_changed = True

    def _settle(self) -> None:
        while (self.waiting or self.confessions) and self._budget > 0:
            if not self._settle_one():
                return

    def _settle_one(self) -> bool:
        """One batch, hole or chain further; False if nothing moves."""
        # A new chain is tried after each single step: else the cutting of ticks would tell what stands before it
        return self._settle_genesis() or self._settle_chains() or self._open_by_hole()

    def _settle_chains(self) -> bool:
        moving = {chain_id for chain_id, _ in self.waiting}
        moving.update(confession.chain_id for confession in self.confessions)
        chains = [self.chains[chain_id] for chain_id in moving if chain_id in self.chains]
        chains.sort(key=lambda chain: chain.ordinal, reverse=True)
        return any(self._settle_next(chain) for chain in chains)

    def _settle_next(self, chain: Chain) -> bool:
        number = chain.through + 1
        arrival = self.waiting.get((chain.chain_id, number))
        if arrival is not None:
            self._unpark(arrival)
            if chain.successor is None:
                self._follow(arrival, chain, Slot.IN_ORDER, was_parked=True)
            else:
                self._behind_the_end(arrival, chain, was_parked=True)
            return True
        return self._close_hole(chain, number)

    def _close_hole(self, chain: Chain, number: int) -> bool:
        ahead = [n for chain_id, n in self.waiting if chain_id == chain.chain_id and n > number]
        hole = closed(chain, number, self.confessions, ahead)
        if hole is None:
            return False
        self.holes.append(hole)
        self.holes_changed = True
        self._write(replace(chain, through=hole.last_no, head=hole.after))
        self.confessions = [
            entry
            for entry in self.confessions
            if entry.chain_id != chain.chain_id or entry.last_no > hole.last_no
        ]
        self.confessions_changed = True
        self._budget -= 1
        self._steps.append(Closed(chain_id=chain.chain_id, hole=hole, why=hole.why.value))
        return True

    def _know_after(self, chain: Chain, prev: bytes) -> None:
        """The hole that ends at `through` learns the head of its last batch."""
        for index, hole in enumerate(self.holes):
            if hole.chain_id == chain.chain_id and hole.last_no == chain.through:
                self.holes[index] = replace(hole, after=prev)
                self.holes_changed = True

    def _settle_genesis(self) -> bool:
        beginnings = sorted(
            (self.waiting[place] for place in self._beginnings),
            key=lambda arrival: (arrival.sealed_ms, arrival.chain_id),
        )
        for arrival in beginnings:
            genesis = arrival.genesis
            assert genesis is not None
            assert genesis.prev_chain is not None
            assert genesis.prev_batch_no is not None
            before = self.chains.get(genesis.prev_chain)
            if before is not None and genesis.prev_batch_no <= before.through:
                self._unpark(arrival)
                self._begin(arrival, was_parked=True)
                return True
        return False

    def _open_by_hole(self) -> bool:
        """A chain whose beginning is confessed as lost begins with a hole, so that what waits behind it is not stuck."""
        wanted = {chain_id for chain_id, _ in self.waiting} | {
            entry.genesis.prev_chain
            for entry in self.waiting.values()
            if entry.genesis is not None and entry.genesis.prev_chain is not None
        }
        for confession in self.confessions:
            chain_id = confession.chain_id
            is_new = chain_id not in self.chains and chain_id in wanted
            if is_new and confession.first_no == 0 and (chain_id, 0) not in self.waiting:
                is_break = self.current is not None
                self._succeed(
                    Chain(
                        chain_id=chain_id,
                        ordinal=self._next_ordinal,
                        through=-1,
                        head=None,
                        next_seq=0,
                        stored_no=-1,
                        stored_head=None,
                        began_ms=0,
                        began_quality=0,
                    )
                )
                if is_break:
                    self._steps.append(
                        Closed(chain_id=chain_id, hole=None, why=Oddity.CHAIN_BREAK.value)
                    )
                return True
        return False


def chains_named(waiting: Iterable[Arrival], confessions: Iterable[Confession]) -> frozenset[bytes]:
    """Ids of the chains that these stand in, follow or speak of."""
    named = {confession.chain_id for confession in confessions}
    for entry in waiting:
        named.add(entry.chain_id)
        named.update(confession.chain_id for confession in entry.confessions)
        if entry.genesis is not None and entry.genesis.prev_chain is not None:
            named.add(entry.genesis.prev_chain)
    return frozenset(named)


def _accepted(reason: Reason | None) -> tuple[Verdict, Reason | None]:
    return (Verdict.ACCEPTED, None) if reason is None else (Verdict.REJECTED, reason)
