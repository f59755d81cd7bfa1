"""What a unit owes: batches that what waits, or a hello, proves to exist (WIRE sections 9 and 12).

Law: reads what is settled and what waits, and changes neither.
"""

from collections.abc import Mapping

from collector.ingest import Arrival, Chain, Missing

OWED_MAX = 16  # chains that hellos speak of: a unit remembers so many (EDGE section 4)

Chains = Mapping[bytes, Chain]  # by chain_id
Waiting = Mapping[tuple[bytes, int], Arrival]  # by chain_id and batch_no


class Owed:
    """What hellos have promised of one unit, and what is missing by that and by what waits."""

    def __init__(self) -> None:
        self.newest: dict[bytes, int] = {}  # number that a hello has named, by chain

    def say(self, chain_id: bytes, newest_no: int) -> None:
        """A hello says that the unit holds so much of a chain. Of too many chains the one that was named first gives way."""
        self.newest[chain_id] = max(newest_no, self.newest.pop(chain_id, -1))
        while len(self.newest) > OWED_MAX:
            del self.newest[next(iter(self.newest))]

    def missing(self, chains: Chains, waiting: Waiting, current: Chain | None) -> Missing | None:
        """What is owed first: of the current chain, then of a chain that should have come before a parked one."""
        if self.newest:
            self.newest = {
                chain_id: number
                for chain_id, number in self.newest.items()
                if chain_id not in chains or number > chains[chain_id].through
            }
        if not waiting and not self.newest:
            return None
        chain = current
        if chain is not None:
            owed = self._of(chain, waiting)
            if owed is not None:
                return owed
        unknown = self._of_unknown(chains, waiting)
        if unknown is not None:
            return unknown
        for closed in chains.values():
            owed = self._of(closed, waiting)
            if owed is not None:
                return owed
        return None

    def _of(self, chain: Chain, waiting: Waiting) -> Missing | None:
        ahead = [
            (number, entry)
            for (chain_id, number), entry in waiting.items()
            if chain_id == chain.chain_id and number > chain.through
        ]
        named = [
            (entry.genesis.prev_batch_no, entry)
            for entry in waiting.values()
            if entry.genesis is not None
            and entry.genesis.prev_chain == chain.chain_id
            and entry.genesis.prev_batch_no is not None
        ]
        promised = self.newest.get(chain.chain_id, -1)
        last = max(
            [
                *(min(number for number, _ in ahead) - 1 for _ in ahead[:1]),
                *(number for number, _ in named),
                promised,
            ],
            default=-1,
        )
        if last <= chain.through:
            return None
        is_shown = any(not entry.is_early for _, entry in [*ahead, *named])
        is_promised = promised > chain.through
        return Missing(
            chain_id=chain.chain_id,
            first_no=chain.through + 1,
            last_no=last,
            first_seq=chain.next_seq,
            is_urged=is_shown or is_promised,
            is_promised=is_promised and not is_shown,
        )

    def _of_unknown(self, chains: Chains, waiting: Waiting) -> Missing | None:
        """Of a chain of which nothing is settled: what a parked genesis names, or the beginning of what is parked."""
        lasts: dict[bytes, int] = {}
        shown: set[bytes] = set()
        for (chain_id, number), entry in waiting.items():
            before = entry.genesis.prev_chain if entry.genesis is not None else None
            wanted, last = (
                (chain_id, number - 1)
                if before is None or entry.genesis is None
                else (before, entry.genesis.prev_batch_no or 0)
            )
            if wanted not in chains and (wanted, 0) not in waiting:
                lasts[wanted] = max(last, lasts.get(wanted, 0))
                if not entry.is_early:
                    shown.add(wanted)
        for chain_id, newest in self.newest.items():
            if chain_id not in chains and (chain_id, 0) not in waiting:
                lasts[chain_id] = max(newest, lasts.get(chain_id, 0))
        if not lasts:
            return None
        chain_id = min(lasts)
        return Missing(
            chain_id=chain_id,
            first_no=0,
            last_no=lasts[chain_id],
            first_seq=0,
            is_urged=chain_id in shown or chain_id in self.newest,
            is_promised=chain_id not in shown,
        )
