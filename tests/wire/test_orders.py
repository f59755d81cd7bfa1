"""Orders: each check of section 14 in its turn, and nothing that is not certainly ours."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from tests.wire.keys import UNIT, UNIT_KEY, UNIT_KID, private_key, public_key
from wire import MisuseError, Reason, Refused
from wire.envelope import kid_of
from wire.orders import (
    Order,
    OrderKind,
    PlaceKnown,
    RefusedOrder,
    UnitState,
    inside,
    judge,
    make,
    place_of,
)
from wire.records import FixFlag
from wire.topics import Down

ORDER_KEY = private_key("collector order")
ORDER_PUBLIC = public_key("collector order")
PINNED = {kid_of(ORDER_PUBLIC): ORDER_PUBLIC}
SQUARE = (0, 0, 0, 100, 100, 100, 100, 0)
PLACE = PlaceKnown(lat_e7=50, lon_e7=50, age_ms=1_000, kind=1, hdop_centi=90)
STATE = UnitState(
    unit_id=UNIT,
    now_ms=1_000_000,
    time_quality=3,
    counter=4,
    config_version=7,
    movement="26UZ",
    seals=frozenset({"es-1"}),
    place=PLACE,
)
UNLOCK = Order(
    unit_id=UNIT,
    counter=5,
    kind=OrderKind.UNLOCK,
    issued_ms=900_000,
    not_before_ms=950_000,
    not_after_ms=1_050_000,
    order_id=b"o" * 16,
    data=("es-1", "officer-12", "26UZ", SQUARE),
)
CONFIG = replace(UNLOCK, kind=OrderKind.SET_CONFIG, counter=0, data=(8, b"[unit]"))


def verdict(order: Order, state: UnitState = STATE, what: Down = Down.ORDER) -> Reason | None:
    message = make(order, kid_of(ORDER_PUBLIC), ORDER_KEY.sign)
    judged = judge(message, topic_what=what, order_keys=PINNED, state=state)
    assert isinstance(judged, Order | RefusedOrder)
    return judged.reason if isinstance(judged, RefusedOrder) else None


def test_an_order_that_holds_here_and_now_is_obeyed() -> None:
    assert verdict(UNLOCK) is None
    assert (
        verdict(
            replace(UNLOCK, kind=OrderKind.ARM, data=UNLOCK.data[:3]), replace(STATE, place=None)
        )
        is None
    )
    assert verdict(CONFIG, what=Down.CONFIG) is None
    assert verdict(replace(UNLOCK, kind=OrderKind.REPORT_NOW, data=(1, b"n" * 16))) is None
    assert verdict(replace(UNLOCK, kind=OrderKind.RESEND_FROM, data=(b"c" * 16, 3))) is None


@pytest.mark.parametrize(
    ("order", "state", "what", "reason"),
    [
        (CONFIG, STATE, Down.ORDER, Reason.UNKNOWN_ORDER),
        (UNLOCK, STATE, Down.CONFIG, Reason.UNKNOWN_ORDER),
        (replace(UNLOCK, counter=4), STATE, Down.ORDER, Reason.REPLAYED),
        (replace(CONFIG, data=(7, b"x")), STATE, Down.CONFIG, Reason.REPLAYED),
        (UNLOCK, replace(STATE, time_quality=1), Down.ORDER, Reason.NO_TIME),
        (UNLOCK, replace(STATE, now_ms=949_999), Down.ORDER, Reason.TOO_EARLY),
        (UNLOCK, replace(STATE, now_ms=1_050_001), Down.ORDER, Reason.EXPIRED),
        (UNLOCK, replace(STATE, seals=frozenset()), Down.ORDER, Reason.UNKNOWN_SEAL),
        (UNLOCK, replace(STATE, movement="other"), Down.ORDER, Reason.WRONG_MOVEMENT),
        (UNLOCK, replace(STATE, place=None), Down.ORDER, Reason.NO_FIX),
        (UNLOCK, replace(STATE, place=replace(PLACE, age_ms=60_001)), Down.ORDER, Reason.NO_FIX),
        (UNLOCK, replace(STATE, place=replace(PLACE, kind=6)), Down.ORDER, Reason.NO_FIX),
        (UNLOCK, replace(STATE, place=replace(PLACE, hdop_centi=501)), Down.ORDER, Reason.NO_FIX),
        (UNLOCK, replace(STATE, place=replace(PLACE, hdop_centi=None)), Down.ORDER, Reason.NO_FIX),
        (UNLOCK, replace(STATE, place=replace(PLACE, doubted=True)), Down.ORDER, Reason.NO_FIX),
        (UNLOCK, replace(STATE, place=replace(PLACE, lat_e7=101)), Down.ORDER, Reason.OUTSIDE_AREA),
    ],
)
def test_a_refusal_has_its_name(order: Order, state: UnitState, what: Down, reason: Reason) -> None:
    assert verdict(order, state, what) is reason


def test_the_first_check_that_fails_gives_the_name() -> None:
    hopeless = replace(STATE, counter=9, time_quality=0, seals=frozenset(), place=None)
    assert verdict(UNLOCK, hopeless) is Reason.REPLAYED
    assert verdict(UNLOCK, replace(hopeless, counter=0)) is Reason.NO_TIME


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (OrderKind.UNLOCK, ("es-1", "o", "m")),
        (OrderKind.UNLOCK, ("es-1", "o", "m", (0, 0, 0, 1))),
        (OrderKind.UNLOCK, ("es-1", "o", "m", (0, 0, 0, 1, 900_000_001, 0))),
        (OrderKind.UNLOCK, ("es-1", "o", "m", (0, -1_700_000_000, 0, 1_700_000_000, 9, 0))),
        (OrderKind.ARM, ("", "o", "m")),
        (OrderKind.ARM, ("я" * 33, "o", "m")),
        (OrderKind.SET_CONFIG, (0, b"x")),
        (OrderKind.SET_CONFIG, (1, b"")),
        (OrderKind.REPORT_NOW, (2, b"")),
        (OrderKind.REPORT_NOW, (0, b"short")),
        (OrderKind.RESEND_FROM, (b"short", 0)),
        (99, ()),
    ],
)
def test_we_give_no_order_that_a_unit_would_refuse_as_bad(
    kind: int, data: tuple[object, ...]
) -> None:
    with pytest.raises(MisuseError):
        make(replace(UNLOCK, kind=kind, data=data), kid_of(ORDER_PUBLIC), ORDER_KEY.sign)  # type: ignore[arg-type]  # wrong on purpose


def test_an_order_under_another_key_is_not_ours() -> None:
    message = make(UNLOCK, UNIT_KID, UNIT_KEY.sign)
    judged = judge(message, topic_what=Down.ORDER, order_keys=PINNED, state=STATE)
    assert isinstance(judged, Refused)
    assert not isinstance(judged, RefusedOrder)
    assert judged.reason is Reason.UNKNOWN_KEY


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    assert isinstance(judge(data, topic_what=Down.ORDER, order_keys=PINNED, state=STATE), Refused)


@given(st.integers(-20, 120), st.integers(-20, 120))
def test_a_square_holds_its_edge_and_its_inside(lat: int, lon: int) -> None:
    assert inside(lat, lon, SQUARE) == (0 <= lat <= 100 and 0 <= lon <= 100)


def test_a_notch_is_outside_though_the_hull_holds_it() -> None:
    notched = (0, 0, 0, 100, 100, 100, 100, 60, 40, 50, 100, 40, 100, 0)
    assert not inside(80, 50, notched)
    assert inside(30, 50, notched)
    assert inside(40, 50, notched)


def test_a_doubted_or_jammed_fix_opens_nothing() -> None:
    assert not place_of(1, 1, 0, 1, 90).doubted
    for flag in (FixFlag.DOUBTED, FixFlag.JAMMING, FixFlag.SPOOFING):
        assert place_of(1, 1, 0, 1 | flag, 90).doubted
