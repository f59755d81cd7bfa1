"""What the uplink must know of the outbox: its chains, what stays at home, and rows that a receipt covers already.

Law: reads only.
"""

from collections.abc import Callable

from agent import Moment, StoredBatch, Weight
from agent.outbox import Outbox
from agent.uplink.words import ChainLine, Home
from wire import Refused
from wire.batch import Header, head_of, read_payload
from wire.envelope import Aad, open_envelope


class Shelf:
    """The outbox as the line sees it."""

    def __init__(self, outbox: Outbox, moment: Callable[[], Moment]) -> None:
        self._outbox = outbox
        self._moment = moment

    def lines(self) -> list[ChainLine]:
        """Our chains, oldest first."""
        return [
            ChainLine(chain_id=one.chain_id, newest_no=one.batch_no, covered_no=one.covered)
            for one in self._outbox.chains()
        ]

    def home(self) -> Home | None:
        """What must not leave yet (EDGE section 4, the word)."""
        home = self._outbox.at_home
        moment = self._moment()
        if home is None or home.is_over(moment.mono_ms):
            return None
        tips = {
            one.chain_id: self._outbox.tip(one.chain_id, moment) for one in self._outbox.chains()
        }
        # A chain that only the collector remembers is no chain to speak of: any other brings the same answer.
        known = [chain for chain, tip in tips.items() if tip is not None and tip.seq is not None]
        asked = home.ask_chain if home.ask_chain in known or not known else known[-1]
        return Home(
            from_pos=home.from_pos,
            chains=frozenset(tips) - frozenset(known),
            ask_chain=asked,
            spoken=home.spoken,
            lets_older=self._outbox.word_was_none,
        )

    async def spare_from(self, chain_id: bytes, batch_no: int, rows_max: int) -> list[StoredBatch]:
        """Rows from that batch on, receipted or not, in its own chain; then those that wait behind it."""
        rows: list[StoredBatch] = []
        newest = next(
            (one.batch_no for one in self._outbox.chains() if one.chain_id == chain_id), -1
        )
        number = batch_no
        while number <= newest and len(rows) < rows_max:
            pos = await self._outbox.find(chain_id, number)
            row = None if pos is None else await self._row(pos)
            if row is None:
                break
            rows.append(row)
            number = row.batch_no + 1
        if len(rows) < rows_max:
            rows += await self._outbox.waiting(rows[-1].pos if rows else -1, rows_max - len(rows))
        return rows

    async def spare_behind(self, after_pos: int, rows_max: int) -> list[StoredBatch]:
        """The rows behind that one, likewise."""
        row = await self._row(after_pos)
        if row is None:
            return await self._outbox.waiting(after_pos, rows_max)
        return await self.spare_from(row.chain_id, row.batch_no + 1, rows_max)

    async def _row(self, pos: int) -> StoredBatch | None:
        """What the envelope at `pos` says of itself; it passed our own signature a moment ago."""
        envelope = await self._outbox.read(pos, self._moment())
        opened = None if envelope is None else open_envelope(envelope, Aad.BATCH)
        if envelope is None or opened is None or isinstance(opened, Refused):
            return None
        header = read_payload(opened.payload)
        if isinstance(header, Refused):
            return None
        return _backlog_row(pos, header, opened.payload, len(envelope))


def _backlog_row(pos: int, header: Header, payload: bytes, size_bytes: int) -> StoredBatch:
    """A receipted row that the collector wants again: news to nobody."""
    return StoredBatch(
        pos=pos,
        chain_id=header.chain_id,
        batch_no=header.batch_no,
        first_seq=header.first_seq,
        count=header.count,
        size_bytes=size_bytes,
        urgent=False,
        weight=Weight.EVIDENCE,
        sealed_mono_ms=0,
        head=head_of(payload),
    )
