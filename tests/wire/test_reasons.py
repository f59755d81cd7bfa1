"""No reason without bytes that earn it, and no verdict that only names itself."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from plomba.wire import verdict_of
from tests.wire.keys import UNIT, private_key, public_key
from wire import Reason
from wire.canon import encode
from wire.envelope import Aad, kid_of, seal
from wire.orders import Order, OrderKind, RefusedOrder, UnitState, judge
from wire.topics import Down

TESTS = Path(__file__).resolve().parents[1]
VECTORS = TESTS / "vectors" / "wire"
JUDGED = ("batch", "hello", "receipt")
ORDER_KEY = private_key("collector order")
ORDER_PUBLIC = public_key("collector order")
STATE = UnitState(
    unit_id=UNIT,
    now_ms=1_000,
    time_quality=3,
    counter=0,
    config_version=0,
    movement=None,
    seals=frozenset({"es-1"}),
    place=None,
)
ORDER = Order(
    unit_id=UNIT,
    counter=1,
    kind=OrderKind.ARM,
    issued_ms=900,
    not_before_ms=900,
    not_after_ms=1_100,
    order_id=b"o" * 16,
    data=("es-1", "officer-12", "26UZ"),
)


def expected() -> set[str]:
    """The verdicts that vectors expect, and the reasons that other tests name."""
    vectors = "".join(file.read_text() for file in VECTORS.glob("*.jsonl"))
    tests = "".join(
        file.read_text() for file in TESTS.rglob("test_*.py") if file != Path(__file__).resolve()
    )
    return {
        reason.value
        for reason in Reason
        if f'"{reason.value}"' in vectors
        or f"Reason.{reason.name}" in tests
        or f'"{reason.value}"' in tests
    }


def test_every_reason_is_earned_by_the_bytes_of_some_test() -> None:
    here = {Reason.BAD_ORDER.value}  # below
    assert {reason.value for reason in Reason} - expected() - here == set()


@pytest.mark.parametrize("name", JUDGED)
def test_a_refusal_says_which_field_and_what_was_allowed(name: str) -> None:
    for line in (VECTORS / f"{name}.jsonl").read_text().splitlines():
        verdict = verdict_of(json.loads(line))
        assert verdict["verdict"] == "Accepted" or verdict["detail"], line


def signed(order: Order) -> bytes:
    """An order as a collector with a fault would sign it; ours refuses to."""
    payload = encode(
        (
            *(1, order.unit_id, order.counter, int(order.kind)),
            *(order.issued_ms, order.not_before_ms, order.not_after_ms),
            *(order.order_id, order.data),
        )
    )
    return seal(payload, Aad.ORDER, kid_of(ORDER_PUBLIC), ORDER_KEY.sign)


def test_a_genuine_order_of_good_form_is_taken() -> None:
    assert isinstance(judged(ORDER), Order)


@pytest.mark.parametrize("data", [(), ("es-1", "officer-12"), ("", "officer-12", "26UZ")])
def test_a_genuine_order_whose_data_is_none_is_a_bad_order(data: tuple[str, ...]) -> None:
    verdict = judged(replace(ORDER, data=data))
    assert isinstance(verdict, RefusedOrder)
    assert verdict.reason is Reason.BAD_ORDER
    assert verdict.detail


def judged(order: Order) -> object:
    return judge(
        signed(order),
        topic_what=Down.ORDER,
        order_keys={kid_of(ORDER_PUBLIC): ORDER_PUBLIC},
        state=STATE,
    )
