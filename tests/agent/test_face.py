"""The routes of the status server over a real outbox: signatures, rows, orders that somebody carries in (EDGE section 9)."""

import json
from base64 import b64decode, urlsafe_b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from agent import Moment
from agent.app.face import ROWS_MAX, Face
from agent.app.page_verdict import Known
from agent.io.status import Answer, Request
from agent.outbox import Outbox
from tests.agent.facts import at
from tests.agent.outbox_rig import ME, batch, image, opened, sound
from wire.handover import Statement, read, verify

if TYPE_CHECKING:
    from agent.app.line import Line
    from agent.app.view import View

NOBODY = Known(
    seals=(),
    fix_age_s=None,
    time_quality=0,
    waiting=0,
    oldest_waiting_s=None,
    at_home=False,
    store="ok",
    distrusted="",
    interference=False,
)


class Looks:
    """A view whose clock the test moves, and which knows nothing."""

    unit_id, program, link = "uz-01a234bc", "test", "down"

    def __init__(self) -> None:
        self.mono_ms = 100_000

    def moment(self) -> Moment:
        return at(self.mono_ms)

    async def numbers(self) -> dict[str, object]:
        return {"v": 1}

    async def known(self, _moment: Moment) -> Known:
        return NOBODY

    def receipt_age_s(self, _moment: Moment) -> None:
        return None

    def place(self) -> None:
        return None

    def alarms(self, _known: Known) -> list[object]:
        return []

    def dead_links(self) -> dict[str, str]:
        return {}


class Says:
    """A line that would admit what it is asked for, and counts."""

    def __init__(self) -> None:
        self.hellos: list[tuple[bytes, bytes]] = []
        self.uplink = cast("Any", type("Uplink", (), {"stuck": ()}))

    def hello(self, chain_id: bytes, nonce: bytes) -> bytes:
        self.hellos.append((chain_id, nonce))
        return b"hello " + nonce


class Rig:
    """A face, and what stands behind it."""

    def __init__(self, outbox: Outbox, *, number: int | None = 7) -> None:
        self.outbox, self.view, self.line = outbox, Looks(), Says()
        self.carried: list[bytes] = []
        self.face = Face(
            view=cast("View", self.view),
            outbox=outbox,
            line=cast("Line", self.line),
            identity=ME,
            unit_number=number,
            centre="customs.example.uz",
            counters=dict,
            carry=self._carry,
        )

    def _carry(self, order: bytes) -> str:
        self.carried.append(order)
        return "" if order == b"good" else "BadEnvelope"

    async def ask(self, path: str, **query: str) -> dict[str, Any]:
        answer = await self.face.answer(Request(path=path, query=query, local=True))
        assert answer is not None
        found = json.loads(answer.body)
        assert isinstance(found, dict)
        return found

    async def order(self, body: bytes) -> Answer:
        answer = await self.face.answer(Request(path="/order", query={}, order=body))
        assert answer is not None
        return answer

    async def statement(self) -> Statement:
        address = (await self.ask("/status.json"))["handover"]
        statement = read(address.rsplit("/", 1)[1])
        assert isinstance(statement, Statement)
        assert verify(statement, ME.public_key)
        return statement


@asynccontextmanager
async def rig(folder: Path, boot_no: int = 1, **more: Any) -> AsyncIterator[Rig]:  # noqa: ANN401  # for the rig
    async with opened(folder, boot_no=boot_no) as outbox:
        yield Rig(outbox, **more)


async def test_one_new_hello_a_second_with_the_nonce_that_was_asked_for(tmp_path: Path) -> None:
    async with rig(tmp_path) as unit:
        for nonce in ("ab" * 16, "cd" * 16):
            said = (await unit.ask("/status.json", nonce=nonce))["hello"]
            assert urlsafe_b64decode(said + "==")[:22] == b"hello " + b"\xab" * 16
        unit.view.mono_ms += 1_000
        for nonce, bytes_ in (("cd" * 16, b"\xcd" * 16), ("zz" * 16, b""), ("ab", b"")):
            await unit.ask("/status.json", nonce=nonce)
            assert unit.line.hellos[-1][1] == bytes_
            unit.view.mono_ms += 1_000


async def test_a_store_that_refuses_is_told_to_whoever_asks_and_not_by_silence(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as unit:
        await unit.outbox.close(at(100_000), clean=False)
        answer = await unit.face.answer(Request(path="/outbox/rows", query={}, local=True))
        assert answer is not None
        assert answer.status == 503
        assert b"ask again" in answer.body


async def test_the_code_is_signed_anew_when_the_head_is_another(tmp_path: Path) -> None:
    async with rig(tmp_path) as unit:
        first = await unit.statement()
        unit.view.mono_ms += 60_000
        assert await unit.statement() == first
        stored = await unit.outbox.store(batch("x"), at(unit.view.mono_ms))
        second = await unit.statement()
        assert (second.batch_no, second.head) == (stored.batch_no, stored.head[:16])
        assert second.at_s == first.at_s + 60


async def test_what_waits_for_the_word_is_in_no_code(tmp_path: Path) -> None:
    async with rig(tmp_path / "a") as unit:
        told = await unit.outbox.store(batch("x"), at(2_000))
        image(tmp_path / "a", tmp_path / "b")
    async with rig(tmp_path / "b", boot_no=2) as unit:
        await unit.outbox.store(batch("of the new start"), at(3_000))
        assert unit.outbox.at_home is not None
        assert (await unit.statement()).head == told.head[:16]
        stats = await unit.ask("/outbox/stats")
        assert stats["home_from"] == unit.outbox.at_home.from_pos


async def test_a_unit_without_a_number_gives_no_code(tmp_path: Path) -> None:
    async with rig(tmp_path, number=None) as unit:
        assert (await unit.ask("/status.json"))["handover"] is None


async def test_rows_come_page_by_page_as_they_lie_and_through_the_socket_only(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as unit:
        for number in range(2 * ROWS_MAX):
            await unit.outbox.store(batch(f"{number}"), at(2_000))
        numbers, next_pos = [], "0"
        while next_pos != "None":
            page = await unit.ask("/outbox/rows", **{"from": next_pos})
            assert len(page["rows"]) <= ROWS_MAX
            numbers += [sound(b64decode(row["envelope"])).header.batch_no for row in page["rows"]]
            next_pos = str(page["next"])
        assert numbers == list(range(2 * ROWS_MAX + 1))
        for said in ("-1", "x", "9" * 19, "٣"):
            assert "error" in await unit.ask("/outbox/rows", **{"from": said})
        for path in ("/outbox/rows", "/outbox/stats", "/order", "/favicon.ico"):
            assert await unit.face.answer(Request(path=path, query={})) is None


async def test_an_order_a_second_is_taken_and_its_refusal_named(tmp_path: Path) -> None:
    async with rig(tmp_path) as unit:
        assert (await unit.order(b"good")).status == 202
        assert (await unit.order(b"good")).status == 429
        unit.view.mono_ms += 1_000
        refused = await unit.order(b"bad")
        assert (refused.status, json.loads(refused.body)["refused"]) == (400, "BadEnvelope")
        assert unit.carried == [b"good", b"bad"]


@pytest.mark.parametrize(("accept", "language"), [("ru", "ru"), ("de", "uz")])
async def test_the_page_is_made_in_the_readers_language(
    tmp_path: Path, accept: str, language: str
) -> None:
    async with rig(tmp_path) as unit:
        page = await unit.face.answer(Request(path="/", query={}, languages=accept))
        assert page is not None
        assert page.language == language
        assert b"shape-rendering" in page.body  # the code is drawn
        metrics = await unit.face.answer(Request(path="/metrics", query={}))
        assert metrics is not None
        assert metrics.kind.startswith("text/plain")
