"""What the status server answers, route by route (EDGE section 9).

Law: reads, with one exception: an order that somebody carries in takes the same way as one from the air, and is judged alike.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from agent import Identity, Moment
from agent.app.line import Line
from agent.app.view import View, text
from agent.io import memory
from agent.io.status import HTML, TEXT, Answer, Request, as_json
from agent.outbox import Outbox, OutboxError, Previous
from wire import handover

if TYPE_CHECKING:
    from agent.app.page import Shown

NONCE_HEX_DIGITS = 32
HELLO_EVERY_MS = 1_000  # one new signature a second, else the last
ORDER_EVERY_MS = 1_000
ROWS_MAX = 16  # in one answer: of the longest batches, 0.7 of the MiB that a client reads
U32_S = 1 << 32

Counters = Callable[[], Mapping[str, tuple[str, str, Mapping[str, int]]]]


class Face:
    """Routes, and the few signatures that a reader may ask for."""

    def __init__(
        self,
        *,
        view: View,
        outbox: Outbox,
        line: Line,
        identity: Identity,
        unit_number: int | None,
        centre: str | None,
        counters: Counters,
        carry: Callable[[bytes], str] | None,
    ) -> None:
        """`centre`: the host in the hand-over code; `carry`: takes an order's bytes and says why they are refused; None where none are taken."""
        self._view = view
        self._outbox = outbox
        self._line = line
        self._identity = identity
        self._unit_number = unit_number
        self._centre = centre
        self._counters = counters
        self._carry = carry
        self._hello: tuple[int, str] = (-HELLO_EVERY_MS, "")
        self._statement: tuple[bytes, str] = (b"", "")  # head, and the address that speaks of it
        self._drawn: tuple[str, Sequence[str]] = ("", ())
        self._order_ms = -ORDER_EVERY_MS

    async def answer(self, request: Request) -> Answer | None:
        """What goes back; None: no such page."""
        try:
            return await self._answer(request)
        except OutboxError as error:
            return as_json({"error": f"the store does not answer: {error}; ask again"}, 503)

    async def _answer(self, request: Request) -> Answer | None:
        match request.path:
            case "/":
                return await self._page(request)
            case "/status.json":
                return as_json(await self._numbers(request))
            case "/metrics":
                return await self._metrics()
            case "/order" if request.order is not None:
                return self._take_order(request.order)
            case "/outbox/stats" if request.local:
                return as_json(self._stats())
            case "/outbox/rows" if request.local:
                return await self._rows(request)
        return None

    async def _page(self, request: Request) -> Answer:
        # The page and what it needs are loaded by the first who looks: most units are never looked at.
        from agent.app.page import document  # noqa: PLC0415  # see above
        from agent.app.page_words import language_of  # noqa: PLC0415  # see above

        language = language_of(request.query.get("lang", ""), request.languages)
        made = document(await self._shown(), language)
        return Answer(kind=HTML, body=made.html, style_hash=made.style_hash, language=language)

    async def _shown(self) -> "Shown":
        from agent.app.page import Shown  # noqa: PLC0415  # as above
        from agent.app.page_verdict import verdict  # noqa: PLC0415  # as above

        view, moment = self._view, self._view.moment()
        known = await view.known(moment)
        address = self._handover(moment)
        return Shown(
            unit_id=view.unit_id,
            program=view.program,
            now_ms=moment.utc_ms,
            known=known,
            verdict=verdict(known),
            link=view.link,
            receipt_age_s=view.receipt_age_s(moment),
            place=view.place(),
            alarms=view.alarms(known),
            states=view.dead_links(),
            handover=address,
            qr=self._draw(address),
        )

    async def _numbers(self, request: Request) -> dict[str, object]:
        moment = self._view.moment()
        return {
            **await self._view.numbers(),
            "hello": self._signed_hello(request.query.get("nonce", ""), moment),
            "handover": self._handover(moment) or None,
        }

    async def _metrics(self) -> Answer:
        from agent.app.page_metrics import families, text as metrics_text  # noqa: PLC0415  # as above

        numbers = await self._view.numbers()
        return Answer(kind=TEXT, body=metrics_text(families(numbers, self._counters())))

    # signatures for who stands beside the truck

    def _tip(self, moment: Moment) -> Previous | None:
        """The newest batch of which anybody may hear: what waits for the collector's word has never been."""
        tips = [self._outbox.tip(one.chain_id, moment) for one in self._outbox.chains()]
        shown = [tip for tip in tips if tip is not None]
        return shown[-1] if shown else None

    def _signed_hello(self, nonce_hex: str, moment: Moment) -> str | None:
        if moment.mono_ms - self._hello[0] < HELLO_EVERY_MS:
            return self._hello[1] or None
        try:
            nonce = bytes.fromhex(nonce_hex) if len(nonce_hex) == NONCE_HEX_DIGITS else b""
        except ValueError:
            nonce = b""
        tip = self._tip(moment)
        words = self._line.hello(tip.chain_id, nonce) if tip is not None else None
        self._hello = (moment.mono_ms, text(words) or "")
        return self._hello[1] or None

    def _handover(self, moment: Moment) -> str:
        """The address in the QR, signed anew when the head is another; empty if there is none."""
        tip = self._tip(moment)
        if tip is None or self._unit_number is None or self._centre is None:
            return ""
        if tip.head != self._statement[0]:
            statement = handover.make(
                unit_number=self._unit_number,
                batch_no=tip.batch_no,
                head=tip.head,
                at_s=moment.utc_ms // 1000 % U32_S,
                sign=self._identity.sign,
            )
            self._statement = (tip.head, handover.url(self._centre, statement))
        return self._statement[1]

    def _draw(self, address: str) -> Sequence[str]:
        if not address:
            return ()
        if address != self._drawn[0]:
            with memory.without_proxies():  # its writers of XML would bring them in
                import segno  # noqa: PLC0415  # 0.8 MiB, for those who look at the page

            code = segno.make_qr(address, error="L")
            rows = ["".join("1" if module else "0" for module in row) for row in code.matrix]
            self._drawn = (address, rows)
        return self._drawn[1]

    # the outbox, for the command line

    def _stats(self) -> dict[str, object]:
        stats = self._outbox.stats()
        return {
            "v": 1,
            "running": True,
            "chains": [
                {
                    "chain": chain.chain_id.hex(),
                    "first": chain.oldest,
                    "last": chain.batch_no,
                    "covered": chain.covered,
                    "waiting": chain.waiting,
                    "current": chain.current,
                }
                for chain in stats.chains
            ],
            "rows": stats.rows,
            "waiting": stats.waiting,
            "urgent": stats.urgent,
            "stuck": len(self._line.uplink.stuck),
            "bytes": stats.bytes_used,
            "bytes_max": stats.bytes_max,
            "spare_bytes": stats.spare_bytes,
            "pressure": stats.pressure,
            "evicted_ever": stats.evicted_ever,
            "starts_ever": stats.starts_ever,
            "aside_files": stats.aside_files,
            "ballast": stats.ballast,
            "newest_pos": stats.newest_pos,
            "home_from": self._home_from(),
        }

    def _home_from(self) -> int | None:
        home, mono_ms = self._outbox.at_home, self._view.moment().mono_ms
        over = home is None or (home.spoken and mono_ms >= home.until_mono_ms)
        return None if home is None or over else home.from_pos

    async def _rows(self, request: Request) -> Answer:
        """Rows from a position on as they lie in the store, damaged ones too: who asks looks at each signature himself."""
        said = request.query.get("from", "0")
        if not (said.isascii() and said.isdecimal() and len(said) <= 18):
            return as_json({"error": "from: a position, 0 or more"}, 400)
        rows = await self._outbox.rows(int(said), ROWS_MAX)
        return as_json(
            {
                "rows": [
                    {
                        "pos": row.pos,
                        "chain": chain_id.hex(),
                        "no": row.no,
                        "weight": row.weight,
                        "envelope": b64encode(row.envelope).decode(),
                    }
                    for chain_id, row in rows
                ],
                "next": rows[-1][1].pos + 1 if len(rows) == ROWS_MAX else None,
            }
        )

    # orders that somebody carries in

    def _take_order(self, order: bytes) -> Answer | None:
        if self._carry is None:
            return None
        mono_ms = self._view.moment().mono_ms
        if mono_ms - self._order_ms < ORDER_EVERY_MS:
            return as_json({"error": "one order a second: try again"}, 429)
        self._order_ms = mono_ms
        refused = self._carry(order)
        if refused:
            return as_json({"taken": False, "refused": refused}, 400)
        # Genuinely ours. It is judged in its turn, and what became of it is a record.
        return as_json({"taken": True}, 202)
