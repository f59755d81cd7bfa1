"""The order desk's rooms: an order's life, what may be wished, outlines, what may be set by air."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import cos, pi, sin

import pytest
from hypothesis import given, strategies as st
from msgspec.inspect import (
    BoolType,
    IntType,
    Metadata,
    StrType,
    StructType,
    UnionType,
    VarTupleType,
    type_info,
)
from msgspec.structs import fields
from shapely.geometry import MultiPolygon, Point, Polygon
from shapely.geometry.base import BaseGeometry

from agent.config import tables
from agent.config.remote import ALLOWED, NEVER
from collector.desk import (
    ACTS,
    NEVER_MS,
    Given,
    NotGiven,
    OrderState,
    Wish,
    area,
    making,
    remote,
    result_name,
)
from collector.desk.life import LIFE, LIFE_OF_CONFIG, OrderEvent, event_of, move
from tests.wire.keys import private_key, public_key
from wire.envelope import kid_of
from wire.orders import (
    CORNERS,
    Order,
    OrderKind,
    OrderResult,
    PlaceKnown,
    UnitState,
    inside,
    judge,
    make,
)
from wire.topics import Down

NOW_MS = 1_795_330_000_000
SQUARE = (0, 0, 0, 1_000, 1_000, 1_000, 1_000, 0)
ORDER_PUBLIC = public_key("collector order")
WORDS = {OrderEvent.DONE, OrderEvent.REFUSE, OrderEvent.SILENCE, OrderEvent.LATE}


def wish(kind: OrderKind = OrderKind.UNLOCK, **changes: object) -> Wish:
    plain = Wish(unit_id="uz-01", kind=kind, data=("s1", "officer-12", "26UZ1"), by="os:ali")
    if kind is OrderKind.UNLOCK:
        plain = replace(plain, data=(*plain.data, SQUARE))
    return replace(plain, **changes)  # type: ignore[arg-type]  # tests name fields of Wish


# an order's life


def test_every_state_has_its_row_and_the_unit_is_heard_where_its_word_can_still_come() -> None:
    assert set(LIFE) == set(OrderState)
    hears = {state for state, row in LIFE.items() if row.keys() >= WORDS}
    assert hears == {
        OrderState.PENDING,
        OrderState.SENT,
        OrderState.EXPIRED,
        OrderState.WITHDRAWN,
    }
    assert set(LIFE_OF_CONFIG) == {OrderState.DONE, OrderState.REFUSED}


@pytest.mark.parametrize(
    ("state", "event", "after"),
    [
        (OrderState.PENDING, OrderEvent.SEND, OrderState.SENT),
        (OrderState.SENT, OrderEvent.DONE, OrderState.DONE),
        (OrderState.SENT, OrderEvent.EXPIRE, OrderState.EXPIRED),
        (OrderState.EXPIRED, OrderEvent.DONE, OrderState.DONE),  # it was carried out, we hear late
        (OrderState.WITHDRAWN, OrderEvent.DONE, OrderState.WITHDRAWN),  # too late to withdraw
        (OrderState.WITHDRAWN, OrderEvent.SEND, None),
        (OrderState.EXPIRED, OrderEvent.SEND, None),
        (OrderState.DONE, OrderEvent.WITHDRAW, None),
        (OrderState.REFUSED, OrderEvent.DONE, None),
        (OrderState.SILENT, OrderEvent.DONE, None),
    ],
)
def test_an_order_moves_by_its_table(
    state: OrderState, event: OrderEvent, after: OrderState | None
) -> None:
    assert move(OrderKind.UNLOCK, state, event) is after


def test_the_newest_word_on_a_config_counts() -> None:
    kind = OrderKind.SET_CONFIG
    assert event_of(kind, 2) is OrderEvent.REFUSE
    assert move(kind, OrderState.REFUSED, OrderEvent.DONE) is OrderState.DONE
    assert move(kind, OrderState.DONE, OrderEvent.REFUSE) is OrderState.REFUSED


@pytest.mark.parametrize("result", OrderResult)
def test_every_result_has_the_name_of_the_wire_and_closes_its_order(result: OrderResult) -> None:
    assert result_name(OrderKind.UNLOCK, result).upper() == result.name.replace("_", "")
    after = move(OrderKind.UNLOCK, OrderState.SENT, event_of(OrderKind.UNLOCK, result))
    closes = {0: OrderState.DONE, 2: OrderState.SILENT, 8: OrderState.EXPIRED}
    assert after is closes.get(int(result), OrderState.REFUSED)


def test_a_result_of_a_newer_format_is_a_refusal() -> None:
    assert event_of(OrderKind.UNLOCK, 99) is OrderEvent.REFUSE
    assert result_name(OrderKind.UNLOCK, 99) == "result 99"


# wishes


@pytest.mark.parametrize(
    ("wished", "code"),
    [
        (wish(), None),
        (wish(by=""), "nobody"),
        (wish(why="x" * 501), "long_reason"),
        (wish(data=("s1", "", "26UZ1", SQUARE)), "bad_order"),
        (wish(data=("s1", "o" * 65, "26UZ1", SQUARE)), "bad_order"),
        (wish(data=("s1", "o", "26UZ1", SQUARE[:4])), "bad_order"),
        (wish(data=("s1", "o", "26UZ1", SQUARE * 9)), "bad_order"),
        (wish(not_before_ms=NOW_MS - 60_000), None),  # typed a moment ago: now
        (wish(not_before_ms=NOW_MS - 60_001), "begins_before_now"),
        (wish(not_after_ms=NOW_MS), "no_window"),
        (wish(not_after_ms=NOW_MS + 4 * 3_600_000), None),
        (wish(not_after_ms=NOW_MS + 4 * 3_600_000 + 1), "long_window"),
        (wish(not_before_ms=NOW_MS + 8 * 86_400_000), "too_far_ahead"),
        (wish(OrderKind.ARM), None),
        (wish(OrderKind.ARM, data=("s1", "o")), "bad_order"),
        (wish(OrderKind.REPORT_NOW, data=(1, b"n" * 16)), None),
        (wish(OrderKind.REPORT_NOW, data=(1, b""), not_after_ms=NOW_MS), "no_window"),
        (wish(OrderKind.REPORT_NOW, data=(2, b"n" * 16)), "bad_order"),
        (wish(OrderKind.RESEND_FROM, data=(b"c" * 15, 0)), "bad_order"),
    ],
)
def test_what_a_unit_would_refuse_by_its_form_is_not_given(wished: Wish, code: str | None) -> None:
    fault = making.fault_of(wished, NOW_MS)
    assert (None if fault is None else fault.code) == code


@pytest.mark.parametrize(
    ("kind", "data"),
    [(OrderKind.REPORT_NOW, (0, b"")), (OrderKind.RESEND_FROM, (b"c" * 16, 0))],
)
def test_what_a_unit_answers_without_a_result_is_never_too_early(
    kind: OrderKind, data: tuple[int | bytes, ...]
) -> None:
    order = making.order_of(wish(kind, data=data), counter=0, now_ms=NOW_MS)
    assert order.not_before_ms == 0  # a unit whose clock is behind would refuse it in silence
    assert order.not_after_ms > NOW_MS


def test_no_order_begins_before_it_was_given() -> None:
    order = making.order_of(wish(not_before_ms=NOW_MS - 900), counter=7, now_ms=NOW_MS)
    assert order.not_before_ms == order.issued_ms == NOW_MS


def test_an_order_is_spelt_as_the_wire_spells_it_and_its_id_follows_from_it() -> None:
    order = making.order_of(wish(), counter=7, now_ms=NOW_MS)
    assert order.not_after_ms == NOW_MS + 3_600_000
    key = private_key("collector order")
    envelope = make(order, kid_of(ORDER_PUBLIC), key.sign)
    assert making.payload_of(order) in envelope
    assert making.order_of(wish(), counter=7, now_ms=NOW_MS).order_id == order.order_id
    assert making.order_of(wish(), counter=8, now_ms=NOW_MS).order_id != order.order_id


@pytest.mark.parametrize("behind_ms", [0, 2_000, -2_000])
def test_an_order_for_now_reaches_a_unit_whose_clock_is_two_seconds_off(behind_ms: int) -> None:
    order = making.order_of(wish(), counter=7, now_ms=NOW_MS)
    waiting = given_order(not_before_ms=order.not_before_ms)
    (sent_ms,) = [
        at_ms
        for at_ms in range(NOW_MS, NOW_MS + 10_000, 500)
        if making.is_due(waiting, at_ms, greeted=True, is_online=True)
    ][:1]
    state = UnitState(
        unit_id="uz-01",
        now_ms=sent_ms - behind_ms,
        time_quality=3,
        counter=6,
        config_version=0,
        movement=None,
        seals=frozenset({"s1"}),
        place=PlaceKnown(lat_e7=500, lon_e7=500, age_ms=0, kind=1, hdop_centi=90),
    )
    message = make(order, kid_of(ORDER_PUBLIC), private_key("collector order").sign)
    pinned = {kid_of(ORDER_PUBLIC): ORDER_PUBLIC}
    verdict = judge(message, topic_what=Down.ORDER, order_keys=pinned, state=state)
    assert isinstance(verdict, Order)


@given(st.lists(st.integers(0, 1 << 41), min_size=2, max_size=9))
def test_a_counter_rises_whatever_the_clock_does(clock: list[int]) -> None:
    last, seen = 0, []
    for now_ms in clock:
        last = making.next_counter(last, now_ms)
        assert last >= now_ms // 1_000
        seen.append(last)
    assert seen == sorted(set(seen))


def given_order(kind: int = OrderKind.UNLOCK, *, sent: bool = False, **changes: object) -> Given:
    plain = Given(
        order_id=bytes(16),
        unit_no=1,
        unit_id="uz-01",
        kind=kind,
        counter=7,
        issued_ms=NOW_MS,
        not_before_ms=NOW_MS,
        not_after_ms=NOW_MS + 3_600_000,
        state=OrderState.SENT if sent else OrderState.PENDING,
        payload=b"",
        by="os:ali",
        sent_ms=NOW_MS if sent else None,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # tests name fields of Given


@pytest.mark.parametrize(
    ("order", "after_s", "greeted", "is_online", "due"),
    [
        (given_order(), 1.999, True, True, False),  # a unit's clock may be two seconds behind
        (given_order(), 2, False, False, True),
        (given_order(sent=True), 29.9, False, True, False),
        (given_order(sent=True), 30, False, False, True),
        (given_order(sent=True), 3, True, True, True),
        (given_order(sent=True), 3_600, False, True, True),
        (given_order(sent=True), 3_600.001, True, True, False),
        (given_order(OrderKind.REPORT_NOW), 0, False, False, True),
        (given_order(OrderKind.RESEND_FROM), 0, False, False, False),
        (given_order(OrderKind.RESEND_FROM), 0, False, True, True),
        (given_order(OrderKind.RESEND_FROM), 0, True, False, True),
        (given_order(OrderKind.RESEND_FROM, sent=True), 60, True, True, False),
        (given_order(OrderKind.SET_CONFIG), 0, False, False, True),
        (given_order(OrderKind.SET_CONFIG, sent=True), 59, True, True, False),
        (given_order(OrderKind.SET_CONFIG, sent=True), 60, True, True, True),
        (given_order(OrderKind.SET_CONFIG, sent=True), 3_000, False, True, False),
    ],
)
def test_when_an_order_is_due(
    order: Given, after_s: float, *, greeted: bool, is_online: bool, due: bool
) -> None:
    now_ms = NOW_MS + round(after_s * 1_000)
    assert making.is_due(order, now_ms, greeted=greeted, is_online=is_online) is due


def test_a_config_that_was_answered_is_said_again_after_a_start_and_after_a_roll_back() -> None:
    kind = OrderKind.SET_CONFIG
    done = given_order(kind, sent_ms=NOW_MS, state=OrderState.DONE, result=0)
    back = given_order(kind, sent_ms=NOW_MS, state=OrderState.REFUSED, result=2)
    refused = given_order(kind, sent_ms=NOW_MS, state=OrderState.REFUSED, result=1)
    hour = NOW_MS + 3_600_000
    for order in (done, back, refused):
        assert making.config_is_due(order, NOW_MS, is_new_boot=True)
        assert making.config_is_due(order, hour, is_new_boot=False) is (order is back)
    assert not making.config_is_due(back, hour - 1, is_new_boot=False)
    assert (
        making.order_of(wish(kind, data=(1, b"x")), counter=0, now_ms=NOW_MS).not_after_ms
        == NEVER_MS
    )
    assert kind not in ACTS


# outlines


def corners_of(shape: BaseGeometry) -> tuple[int, ...]:
    found = area.corners_of(shape)
    assert not isinstance(found, NotGiven)
    return found


def test_few_corners_are_said_as_they_are() -> None:
    assert corners_of(Polygon([(0, 0), (90, 0), (50, 70)])) == (0, 0, 0, 90, 70, 50)


@pytest.mark.parametrize("corners", [33, 128, 2_000])
def test_a_circle_is_cut_inward_and_loses_little(corners: int) -> None:
    circle = Point(692_000_000, 413_000_000).buffer(50_000, quad_segs=corners // 4 + 1)
    ring = corners_of(circle)
    assert len(ring) // 2 in CORNERS
    cut = Polygon(list(zip(ring[1::2], ring[::2], strict=True)))
    assert circle.covers(cut)
    assert cut.area > 0.9 * circle.area


@given(
    st.lists(st.integers(20_000, 100_000), min_size=3, max_size=120),
    st.integers(0, 1_000_000),
    st.integers(0, 1_000_000),
)
def test_an_order_never_holds_where_its_zone_does_not(
    radii: list[int], across: int, up: int
) -> None:
    star = Polygon(
        [
            (round(r * cos(2 * pi * k / len(radii))), round(r * sin(2 * pi * k / len(radii))))
            for k, r in enumerate(radii)
        ]
    )
    if not star.is_valid:
        return
    found = area.corners_of(star)
    if isinstance(found, NotGiven):
        assert found.code == "no_outline"
        return
    lon, lat = across * 200_000 // 1_000_000 - 100_000, up * 200_000 // 1_000_000 - 100_000
    if inside(lat, lon, found):
        assert star.covers(Point(lon, lat))


@pytest.mark.parametrize(
    "shape",
    [
        MultiPolygon([Point(0, 0).buffer(100), Point(900, 0).buffer(100)]),
        Point(0, 0).buffer(1_000).difference(Point(0, 0).buffer(100)),
        Point(0, 0),
    ],
)
def test_what_one_outline_cannot_say_is_refused_with_a_way_out(shape: BaseGeometry) -> None:
    found = area.corners_of(shape)
    assert isinstance(found, NotGiven)
    assert "--area" in found.hint


# what may be set by air


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("[sealer]\nrecords_min = 30", []),
        ("[recorder.sealed_moving]\ntime_s = 2\n[status]\naccept_orders = true", []),
        ('[uplink]\nservers = ["mqtts://broker.example:8883"]\nmetered = true', []),
        ('[clock]\nnot_before = "2026-06-01"', []),
        ("", [""]),
        ("#" * 8_193, [""]),
        ("[sealer", [""]),
        ("[unit]\nid = 'uz-02'", ["unit"]),
        ("[links.gps]\ndevice = '/dev/null'\n[seals.s1]\nsecret_file = '/x'", ["links", "seals"]),
        ("[clock]\nchrony_sock = '/run/x'", ["clock.chrony_sock"]),
        ('[clock]\nnot_before = "2026-02-30"', ["clock.not_before"]),
        ("[sealer]\nrecords_min = 0", ["sealer.records_min"]),
        ("[sealer]\nrecords_min = true", ["sealer.records_min"]),
        ("[sealer]\nrecord_min = 3", ["sealer.record_min"]),
        ("sealer = 3", ["sealer"]),
        ("[uplink]\nservers = []\nmetered = 1", ["uplink.servers", "uplink.metered"]),
        ("[outbox]\ndelete_after = 'never'", ["outbox.delete_after"]),
        ("[recorder.flying]\ntime_s = 1", ["recorder.flying"]),
    ],
)
def test_a_config_is_refused_by_key(text: str, keys: list[str]) -> None:
    assert [fault.key for fault in remote.faults_of(text.encode())] == keys


def test_bytes_that_are_no_text_and_a_file_full_of_faults_are_told_once() -> None:
    assert [fault.key for fault in remote.faults_of(b"\xff")] == [""]
    many = "".join(f"[a{n}]\n" for n in range(100))
    assert len(remote.faults_of(many.encode())) == remote.FAULTS_MAX


def test_the_desk_knows_exactly_what_the_unit_lets_be_set_by_air() -> None:
    """Names and bounds: what the desk lets through, a unit of this version takes by its form, and nothing else."""
    table = {
        field.encode_name: field.type
        for field in fields(tables.ConfigTable)
        if field.encode_name in ALLOWED
    }
    known = {
        f"{name}.{key}": bounds
        for name, kind in table.items()
        for key, bounds in _leaves(kind)
        if (name, key) not in NEVER
    }
    assert dict(_settings(remote.SETTINGS)) == known
    assert len(known) > 70


def _settings(tree: remote.Tree, path: str = "") -> Iterator[tuple[str, object]]:
    for name, setting in tree.items():
        if isinstance(setting, Mapping):
            yield from _settings(setting, f"{path}{name}.")
        else:
            match setting:
                case remote.Number(least=least, most=most):
                    yield path + name, (least, most)
                case remote.Words(pattern=pattern, length_max=length_max):
                    yield path + name, (pattern, length_max)
                case remote.Texts(most=most):
                    yield path + name, ("texts", most)
                case remote.Switch():
                    yield path + name, "switch"


def _leaves(kind: object) -> Iterator[tuple[str, object]]:
    info = type_info(kind)
    assert isinstance(info, StructType)
    for field in fields(info.cls):
        below = type_info(field.type)
        if isinstance(below, StructType):
            for key, bounds in _leaves(field.type):
                yield f"{field.encode_name}.{key}", bounds
            continue
        while isinstance(below, Metadata | UnionType):
            below = below.type if isinstance(below, Metadata) else below.types[0]
        match below:
            case IntType(ge=least, le=most):
                yield field.encode_name, (least, most)
            case StrType(pattern=pattern, max_length=length_max):
                yield field.encode_name, (pattern, length_max)
            case VarTupleType(max_length=most):
                yield field.encode_name, ("texts", most)
            case BoolType():
                yield field.encode_name, "switch"
            case _:
                raise AssertionError(f"{field.encode_name} is a {type(below).__name__}")


def test_two_configs_that_set_the_same_are_the_same() -> None:
    one, other = b"[sealer]\nrecords_min = 30", b"# slower\nsealer.records_min=30\n"
    assert remote.says_the_same(one, other)
    assert not remote.says_the_same(one, b"[sealer]\nrecords_min = 31")
    assert not remote.says_the_same(b"[", b"[")
