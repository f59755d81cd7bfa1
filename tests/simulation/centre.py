"""The collector's own judgement of one unit, without its store: verdicts, receipts, what it asks for again."""

from collections import Counter
from dataclasses import replace

from collector.ingest import Closed, Forked, Parked, Settled, Step, Verdict
from collector.ingest.chains import Place, UnitChains
from collector.ingest.hello import admit
from collector.ingest.pace import Bucket, GapWatch, draw, resend_due_ms, watch_gap
from collector.tick.reading import arrival_of, read_sheet
from tests.agent.outbox_rig import ME, RECEIPT_KEY, RECEIPT_KID, UNIT, key_pair
from wire import Refused
from wire.batch import judge_link
from wire.envelope import Key, kid_of
from wire.hello import judge as judge_hello
from wire.orders import Order, OrderKind, make as make_order
from wire.receipts import Receipt, make as make_receipt
from wire.topics import Down, Up, down, up

ORDER_KEY, ORDER_PUBLIC = key_pair("plomba test key order")
ORDER_KID = kid_of(ORDER_PUBLIC)
DOWN = [(down(UNIT, Down.RECEIPT)), (down(UNIT, Down.ORDER))]


class Centre:
    """What is stored, parked and odd. Every word of it is the collector's own code."""

    def __init__(self) -> None:
        self.chains = UnitChains()
        self.stored: dict[Place, bytes] = {}
        self.heard_ms: dict[Place, int] = {}
        self.verdicts: Counter[str] = Counter()
        self.oddities: list[str] = []
        self.holes: list[Closed] = []
        self.throttled = 0
        self._envelopes: dict[Place, bytes] = {}
        self._heads: dict[Place, bytes] = {}
        self._bucket: Bucket | None = Bucket()
        self._gap: GapWatch | None = None
        self._orders = 0

    def hear(self, what: Up, payload: bytes, now_ms: int) -> list[tuple[str, bytes]]:
        """One message; the answers, topic and payload."""
        bucket = draw(self._bucket or Bucket(tokens=0, at_ms=now_ms), now_ms)
        if bucket is None:
            self.throttled += 1
            return []
        self._bucket = bucket
        self.chains.begin_tick(self._heads)
        answers = (
            self._hello(payload, now_ms) if what is Up.HELLO else self._batch(what, payload, now_ms)
        )
        while self.chains.has_more:
            self.chains.begin_tick(self._heads)
            self._apply(self.chains.go_on())
        self._gap = watch_gap(self._gap, self.chains.missing(), now_ms)
        return answers + self.wake(now_ms)

    def wake(self, now_ms: int) -> list[tuple[str, bytes]]:
        """What is owed for long is asked for again."""
        gap = self._gap
        due_ms = None if gap is None else resend_due_ms(gap)
        if gap is None or due_ms is None or due_ms > now_ms:
            return []
        self._gap = replace(gap, asked_ms=now_ms)
        return [self._resend(gap.chain_id, gap.first_no, now_ms)]

    def _batch(self, what: Up, payload: bytes, now_ms: int) -> list[tuple[str, bytes]]:
        linked = judge_link(payload, up(UNIT, what), _key_of)
        assert not isinstance(linked, Refused), linked
        sheet = read_sheet(linked.header)
        assert not isinstance(sheet, Refused), sheet
        assert sheet.reason is None
        place = (linked.header.chain_id, linked.header.batch_no)
        self.heard_ms.setdefault(place, now_ms)
        self._envelopes.setdefault(place, payload)
        before = {chain_id: chain.stored_no for chain_id, chain in self.chains.chains.items()}
        judged = self.chains.take(arrival_of(linked, sheet, is_early=what is Up.EARLY))
        self.verdicts[judged.verdict.value] += 1
        assert judged.verdict is not Verdict.REJECTED
        self._apply(judged.steps)
        grown = [
            chain_id
            for chain_id, chain in self.chains.chains.items()
            if chain.stored_no != before.get(chain_id, -1)
        ]
        known = self.chains.chains.get(place[0])
        if known is not None and place[1] <= known.through and place[0] not in grown:
            grown.append(place[0])  # a duplicate of what is settled: the unit has missed a receipt
        return [
            said for chain_id in grown for said in self._receipts(chain_id, now_ms)
        ]  # parked: none

    def _hello(self, payload: bytes, now_ms: int) -> list[tuple[str, bytes]]:
        sound = judge_hello(payload, up(UNIT, Up.HELLO), _key_of)
        assert not isinstance(sound, Refused), sound
        admitted = admit(self.chains, sound.hello)
        if admitted.oddity is not None:
            self.oddities.append(f"hello {admitted.oddity.value}")
        self._apply(admitted.steps)
        answers = []
        if admitted.receipt_for is not None:
            answers += self._receipts(admitted.receipt_for, now_ms)
        if admitted.resend is not None:
            answers.append(self._resend(*admitted.resend, now_ms))
        return answers

    def _apply(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            match step:
                case Settled(arrival=arrival, oddity=oddity):
                    place = (arrival.chain_id, arrival.batch_no)
                    assert place not in self.stored, "nothing is stored twice"
                    self.stored[place] = self._envelopes[place]
                    self._heads[place] = arrival.head
                    if oddity is not None:
                        self.oddities.append(oddity.value)
                case Forked(arrival=arrival, against=against):
                    number = arrival.batch_no
                    self.oddities.append(f"Fork {arrival.chain_id.hex()} {number} {against}")
                case Closed():
                    self.holes.append(step)
                case Parked():
                    pass

    def _receipts(self, chain_id: bytes, now_ms: int) -> list[tuple[str, bytes]]:
        chain = self.chains.chains.get(chain_id)
        if chain is None or chain.stored_head is None:
            return []
        said = Receipt(
            unit_id=UNIT,
            chain_id=chain_id,
            through_batch_no=chain.stored_no,
            head=chain.stored_head,
            received_ms=now_ms,
        )
        return [(DOWN[0], make_receipt(said, RECEIPT_KID, RECEIPT_KEY.sign))]

    def _resend(self, chain_id: bytes, batch_no: int, now_ms: int) -> tuple[str, bytes]:
        self._orders += 1
        order = Order(
            unit_id=UNIT,
            counter=0,
            kind=OrderKind.RESEND_FROM,
            issued_ms=now_ms,
            not_before_ms=0,
            not_after_ms=now_ms + 600_000,
            order_id=self._orders.to_bytes(16, "big"),
            data=(chain_id, batch_no),
        )
        return DOWN[1], make_order(order, ORDER_KID, ORDER_KEY.sign)


def _key_of(kid: bytes) -> Key | None:
    return Key(unit_id=UNIT, public_key=ME.public_key) if kid == ME.kid else None
