"""The gateway's shelf: all of a batch or nothing, a receipt is the only reason to leave."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.gateway import SealState, Tip
from collector.gateway.chain import Begin, Sealed, genesis, make_batches, new_tip
from collector.io import gateway_store
from collector.io.gateway_store import GatewayStore, GatewayStoreError
from tests.collector.gateway_rig import AT, IDENTITY, NOW_MS, UNIT
from wire.records import EventKind, EventRecord

CHAIN_ID, OTHER_ID = bytes(16), b"\x01" * 16
STATE = SealState(protocol="jt701", known=7, true=5, battery_percent=80, heard_ms=NOW_MS, reported=True)  # fmt: skip


def opened(folder: Path, at: Callable[[str], None] | None = None) -> GatewayStore:
    return GatewayStore(folder / "gateway.db", UNIT, IDENTITY.kid, at=at)


def sealed(count: int, tip: Tip | None = None) -> tuple[list[Sealed], Tip]:
    """So many batches of one record, from a genesis on."""
    tip = tip or new_tip(IDENTITY, CHAIN_ID)
    batches: list[Sealed] = []
    for _ in range(count):
        record = (
            genesis(Begin(reason=1, before=None), AT)
            if tip.batch_no < 0
            else EventRecord(kind=EventKind.ALIVE, t_ms=NOW_MS, mono_ms=1, data=(1,))
        )
        made, tip = make_batches((record,), tip, IDENTITY, boot_no=0, at=AT)
        batches += made
    return batches, tip


def filled(folder: Path, count: int = 5) -> tuple[GatewayStore, Tip]:
    store = opened(folder)
    batches, tip = sealed(count)
    store.commit(batches, tip, states={"1": STATE}, frames=(b"a" * 16,), now_ms=NOW_MS)
    return store, tip


def test_what_is_committed_is_there_after_a_start(tmp_path: Path) -> None:
    store, tip = filled(tmp_path)
    store.begin(b"boot", 4)
    store.close()
    again = opened(tmp_path)
    book = again.read()
    assert (book.tip, book.boot_id, book.boot_no, book.clean) == (tip, b"boot", 4, False)
    assert book.states == {"1": STATE}
    assert book.frames == {b"a" * 16: NOW_MS}
    assert [one.pos for one in again.waiting(99)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("step", ["batch", "frames"])
def test_a_kill_at_any_statement_leaves_all_or_nothing(tmp_path: Path, step: str) -> None:
    store, tip = filled(tmp_path)
    before = store.read()
    store.close()

    def die(here: str) -> None:
        if here == step:
            raise KeyboardInterrupt

    store = opened(tmp_path, die)
    more, end = sealed(2, tip)
    with pytest.raises(KeyboardInterrupt):
        store.commit(more, end, states={"2": STATE}, frames=(b"b" * 16,), now_ms=NOW_MS)
    store.close()
    again = opened(tmp_path)
    assert again.read() == before
    again.commit(more, end)  # and the same bytes go in afterwards
    assert again.read().tip == end


def test_no_number_is_used_twice(tmp_path: Path) -> None:
    store, tip = filled(tmp_path)
    more, end = sealed(1, tip)
    store.commit(more, end)
    with pytest.raises(AssertionError):
        store.commit(more, end)
    assert store.waiting_count() == 6


def test_a_batch_waits_until_a_receipt_covers_it(tmp_path: Path) -> None:
    store, _ = filled(tmp_path)
    assert store.cover(CHAIN_ID, 2) == 3
    assert store.cover(CHAIN_ID, 2) == 0
    assert [one.pos for one in store.waiting(99)] == [4, 5]
    known = store.known()[CHAIN_ID]
    assert (known.covered, known.newest) == (2, 4)
    assert known.head_at(3) is not None
    assert known.head_at(9) is None
    assert store.cover(OTHER_ID, 9) == 0


def test_what_is_asked_for_again_waits_again(tmp_path: Path) -> None:
    store, _ = filled(tmp_path)
    store.cover(CHAIN_ID, 4)
    assert store.waiting_count() == 0
    assert store.uncover(CHAIN_ID, 3) == 2
    assert [one.pos for one in store.waiting(99)] == [4, 5]
    assert store.known()[CHAIN_ID].covered == 2


def test_only_what_has_its_receipt_gives_way_and_the_oldest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_store, "KEPT_MAX", 2)
    store, _ = filled(tmp_path, 6)
    store.cover(CHAIN_ID, 3)
    [hold] = store.holds()
    assert (hold.newest, hold.oldest, hold.last_seq) == (5, 2, 5)  # 2 and 3 are kept for a while
    assert store.waiting_count() == 2


def test_holds_name_the_old_chain_while_it_waits_and_the_current_one_last(tmp_path: Path) -> None:
    store, _ = filled(tmp_path, 2)
    more, end = sealed(1, new_tip(IDENTITY, OTHER_ID))
    store.commit(more, end)
    assert [hold.chain_id for hold in store.holds()] == [CHAIN_ID, OTHER_ID]
    store.cover(CHAIN_ID, 1)
    assert [hold.chain_id for hold in store.holds()] == [OTHER_ID]


def test_an_empty_shelf_holds_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert (store.holds(), store.read().tip, store.known()) == ([], None, {})


def test_a_clean_stop_is_remembered_until_the_next_start(tmp_path: Path) -> None:
    store, tip = filled(tmp_path)
    more, end = sealed(1, tip)
    store.commit(more, end, clean=True)
    assert store.read().clean
    store.begin(b"boot", 1)
    assert not store.read().clean


def test_frames_are_forgotten_after_an_hour(tmp_path: Path) -> None:
    store, tip = filled(tmp_path)
    more, end = sealed(1, tip)
    store.commit(more, end, frames=(b"c" * 16,), now_ms=NOW_MS + gateway_store.FRAMES_MS + 1)
    assert list(store.read().frames) == [b"c" * 16]


def test_the_oldest_frames_give_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_store, "FRAMES_MAX", 3)
    store, tip = filled(tmp_path)
    for number in range(5):
        more, tip = sealed(1, tip)
        store.commit(more, tip, frames=(bytes([number]) * 16,), now_ms=NOW_MS + number)
    assert [name[0] for name in store.read().frames] == [2, 3, 4]


@pytest.mark.parametrize(("unit", "kid"), [("gateway-2", IDENTITY.kid), (UNIT, b"otherkey")])
def test_a_shelf_of_another_unit_or_key_is_not_used(tmp_path: Path, unit: str, kid: bytes) -> None:
    store, _ = filled(tmp_path)
    store.close()
    with pytest.raises(GatewayStoreError, match="move the file away"):
        GatewayStore(tmp_path / "gateway.db", unit, kid)


def test_a_damaged_shelf_is_set_aside_and_said(tmp_path: Path) -> None:
    store, _ = filled(tmp_path)
    store.close()
    file = tmp_path / "gateway.db"
    file.write_bytes(b"no database at all" * 400)
    again = opened(tmp_path)
    book = again.read()
    assert (book.tip, book.set_aside) == (None, tmp_path / "gateway.db.damaged-1")
    assert (tmp_path / "gateway.db.damaged-1").read_bytes().startswith(b"no database")


def test_a_shelf_that_cannot_be_opened_is_told_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(GatewayStoreError, match="unable to open"):
        opened(tmp_path / "no" / "such" / "folder")


def test_what_is_on_the_shelf_was_written_through(tmp_path: Path) -> None:
    filled(tmp_path)[0].close()
    with sqlite3.connect(tmp_path / "gateway.db") as db:
        assert db.execute("pragma journal_mode").fetchone()[0] == "wal"
    assert opened(tmp_path)._db.execute("pragma synchronous").fetchone()[0] == 2
