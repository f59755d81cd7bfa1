"""Orders in a version that carries none out: reports and resends are obeyed, the rest is told and not done."""

import os
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings, strategies as st

from agent.app.orders import NewConfig, Orders, Report, Resend
from agent.recorder import ConfigDone, OrderDone
from wire.envelope import kid_of
from wire.orders import Order, OrderKind, OrderResult, UnitState, make
from wire.records import Datum
from wire.topics import Down

KEY = Ed25519PrivateKey.from_private_bytes(b"O" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
PINNED = {kid_of(PUBLIC): PUBLIC}
NOW_MS = 1_790_000_000_000
STATE = UnitState(
    unit_id="uz-0042",
    now_ms=NOW_MS,
    time_quality=3,
    counter=0,
    config_version=0,
    movement=None,
    seals=frozenset({"7591225008"}),
    place=None,
)
UNLOCK: tuple[Datum, ...] = ("7591225008", "officer", "movement", (0, 0, 0, 9, 9, 9))
ARM: tuple[Datum, ...] = ("7591225008", "officer", "movement")


def order(
    kind: int,
    data: tuple[Datum, ...],
    *,
    key: Ed25519PrivateKey = KEY,
    order_id: bytes = b"",
    not_after_ms: int = NOW_MS + 1000,
) -> bytes:
    words = Order(
        unit_id="uz-0042",
        counter=1,
        kind=kind,
        issued_ms=NOW_MS,
        not_before_ms=NOW_MS - 1000,
        not_after_ms=not_after_ms,
        order_id=order_id or os.urandom(16),
        data=data,
    )
    return make(words, kid_of(key.public_key().public_bytes_raw()), key.sign)


def test_reports_and_resends_are_obeyed() -> None:
    orders = Orders(PINNED)
    report = order(OrderKind.REPORT_NOW, (1, b"n" * 16))
    assert orders.take(report, Down.ORDER, STATE) == Report(nonce=b"n" * 16, whole=True)
    resend = order(OrderKind.RESEND_FROM, (b"c" * 16, 7))
    assert orders.take(resend, Down.ORDER, STATE) == Resend(chain_id=b"c" * 16, batch_no=7)


@pytest.mark.parametrize(
    ("kind", "data", "result"),
    [
        (OrderKind.ARM, ARM, OrderResult.FAILED),
        (OrderKind.DISARM, ARM, OrderResult.FAILED),
        (OrderKind.UNLOCK, UNLOCK, OrderResult.NO_FIX),
        (OrderKind.ARM, ("other", "officer", "movement"), OrderResult.UNKNOWN_SEAL),
    ],
)
def test_nothing_is_opened_and_that_is_said_once(
    kind: int, data: tuple[Datum, ...], result: OrderResult
) -> None:
    orders = Orders(PINNED)
    message = order(kind, data)
    act = orders.take(message, Down.ORDER, STATE)
    assert isinstance(act, OrderDone)
    assert (act.kind, act.result) == (kind, result)
    assert orders.take(message, Down.ORDER, STATE) is None  # a repeat of the same order


def test_an_order_of_yesterday_is_expired() -> None:
    act = Orders(PINNED).take(order(OrderKind.ARM, ARM, not_after_ms=1), Down.ORDER, STATE)
    assert isinstance(act, OrderDone)
    assert act.result == OrderResult.EXPIRED


def test_settings_are_handed_on_and_on_the_wrong_topic_refused_once() -> None:
    orders = Orders(PINNED)
    message = order(OrderKind.SET_CONFIG, (3, b"[unit]"))
    assert orders.take(message, Down.CONFIG, STATE) == NewConfig(version=3, text=b"[unit]")
    assert orders.take(message, Down.ORDER, STATE) == ConfigDone(version=3, result=1)
    assert orders.take(message, Down.ORDER, STATE) is None
    assert orders.take(message, Down.CONFIG, replace(STATE, config_version=3)) is None


def test_an_order_by_another_hand_is_only_counted() -> None:
    orders = Orders(PINNED)
    stranger = Ed25519PrivateKey.from_private_bytes(b"S" * 32)
    assert orders.take(order(OrderKind.UNLOCK, UNLOCK, key=stranger), Down.ORDER, STATE) is None
    assert orders.counters == {"UnknownKey": 1}


@given(message=st.binary(max_size=300))
@settings(max_examples=100)
def test_foreign_bytes_do_nothing(message: bytes) -> None:
    assert Orders(PINNED).take(message, Down.ORDER, STATE) is None


@given(at=st.integers(0, 250), bit=st.integers(0, 7))
@settings(max_examples=100)
def test_one_flipped_bit_makes_an_order_nobodys(at: int, bit: int) -> None:
    message = bytearray(order(OrderKind.RESEND_FROM, (b"c" * 16, 7), order_id=b"i" * 16))
    message[at % len(message)] ^= 1 << bit
    assert Orders(PINNED).take(bytes(message), Down.ORDER, STATE) is None
