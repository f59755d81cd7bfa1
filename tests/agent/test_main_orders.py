"""The door of orders: what is done at once for the line, and what by whoever carries it (EDGE section 6)."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings, strategies as st

from agent import Moment, Quality
from agent.app.contacts import Contacts
from agent.app.orders import NewConfig, Orders, Report, Resend, Surroundings, Taken
from agent.orders.book import Book
from agent.orders.steward import Steward
from agent.recorder.facts import ConfigDone
from tests.agent.orders_rig import KEY, PINNED, SEAL, signed, words
from tests.agent.outbox_rig import UNIT
from wire import Reason
from wire.orders import Order, OrderKind
from wire.records import Datum
from wire.topics import Down

NOW_MS = 1_790_000_000_000


def orders(quality: Quality = Quality.GNSS, config_version: int = 0) -> Orders:
    moment = Moment(mono_ms=1_000, now_ms=NOW_MS, utc_ms=NOW_MS, quality=quality)
    around = Surroundings(
        moment=moment,
        place=None,
        moving=False,
        config_version=config_version,
        door_closed=False,
    )
    return Orders(
        unit_id=UNIT,
        order_keys=PINNED,
        steward=Steward(Book(), mono_ms=1_000),
        lines={},
        contacts=Contacts(
            Path("/nowhere"),
            wanted=frozenset(),
            secret_files={},
            tell=lambda _seal_id, _order: None,
        ),
        seals=frozenset({SEAL}),
        around=lambda: around,
        armed=lambda _seals: None,
        nudge=lambda: None,
        at=lambda _name: None,
    )


def order(
    kind: int,
    data: tuple[Datum, ...],
    *,
    key: Ed25519PrivateKey = KEY,
    not_after_ms: int = NOW_MS + 1000,
) -> bytes:
    said = Order(
        unit_id=UNIT,
        counter=0,
        kind=kind,
        issued_ms=NOW_MS,
        not_before_ms=NOW_MS - 1000,
        not_after_ms=not_after_ms,
        order_id=os.urandom(16),
        data=data,
    )
    return signed(said, key)


def test_reports_and_resends_are_obeyed_at_once() -> None:
    report = orders().take(order(OrderKind.REPORT_NOW, (1, b"n" * 16)))
    assert report == Taken(act=Report(nonce=b"n" * 16, whole=True))
    resend = orders().take(order(OrderKind.RESEND_FROM, (b"c" * 16, 7)), Down.ORDER)
    assert resend == Taken(act=Resend(chain_id=b"c" * 16, batch_no=7))


@pytest.mark.parametrize(
    ("quality", "refused"), [(Quality.GNSS, Reason.EXPIRED), (Quality.RTC, None)]
)
def test_a_report_of_yesterday_is_refused_by_who_knows_the_time(
    quality: Quality, refused: Reason | None
) -> None:
    message = order(OrderKind.REPORT_NOW, (0, b""), not_after_ms=1)
    taken = orders(quality).take(message)
    assert taken.refused is refused
    assert (taken.act is None) is (refused is not None)


def test_settings_are_handed_on_and_on_the_wrong_topic_refused_once() -> None:
    door = orders()
    message = order(OrderKind.SET_CONFIG, (3, b"[unit]"))
    assert door.take(message, Down.CONFIG) == Taken(act=NewConfig(version=3, text=b"[unit]"))
    told = ConfigDone(version=3, result=1)
    assert door.take(message) == Taken(refused=Reason.UNKNOWN_ORDER, act=told)
    assert door.take(message) == Taken(refused=Reason.UNKNOWN_ORDER)
    assert orders(config_version=3).take(message, Down.CONFIG) == Taken(refused=Reason.REPLAYED)


def test_an_order_for_a_seal_is_judged_in_its_turn() -> None:
    door = orders()
    assert door.idle
    assert door.take(signed(words())) == Taken()
    assert not door.idle


def test_an_order_by_another_hand_is_only_counted() -> None:
    door = orders()
    stranger = Ed25519PrivateKey.from_private_bytes(b"S" * 32)
    assert door.take(signed(words(), stranger)) == Taken(refused=Reason.UNKNOWN_KEY)
    assert door.counters == {"UnknownKey": 1}
    assert door.idle


@given(message=st.binary(max_size=300))
@settings(max_examples=100)
def test_e19_foreign_bytes_do_nothing(message: bytes) -> None:
    door = orders()
    assert door.take(message).act is None
    assert door.idle


@given(at=st.integers(0, 400), bit=st.integers(0, 7))
@settings(max_examples=100)
def test_one_flipped_bit_makes_an_order_nobodys(at: int, bit: int) -> None:
    message = bytearray(signed(words()))
    message[at % len(message)] ^= 1 << bit
    door = orders()
    assert door.take(bytes(message)).refused is not None
    assert door.idle
