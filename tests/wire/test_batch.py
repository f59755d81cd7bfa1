"""Batches: what is made is read again, what is flipped is refused, and bombs stay small."""

import tracemalloc

import pytest
from hypothesis import given, settings, strategies as st

from tests.wire.keys import KEYS, UNIT, UNIT_KEY, UNIT_KID, UNIT_PUBLIC
from wire import LIM, MisuseError, Reason, Refused
from wire.batch import (
    Header,
    LinkKept,
    Sound,
    h0,
    head_of,
    judge,
    make_payload,
    read_payload,
)
from wire.canon import encode
from wire.columns import encode_body
from wire.envelope import Aad, Opened, open_envelope, seal
from wire.records import EventRecord, FixRecord
from wire.topics import Up, up

TOPIC = up(UNIT, Up.BATCH)
CHAIN = bytes(range(16))


def fix(second: int = 0) -> FixRecord:
    return FixRecord(
        t_ms=1_795_330_000_000 + 1_000 * second,
        lat_e7=413_111_000 + 240 * second,
        lon_e7=692_797_000 + 1_310 * second,
        alt_dm=4_550,
        speed_cm_s=1_390,
        course_cdeg=8_700,
        hdop_centi=80,
        err_cm=None,
        sats=12,
        flags=641,
    )


def genesis() -> EventRecord:
    return EventRecord(kind=1, t_ms=1_795_330_000_000, mono_ms=5, data=(1, None, None, None, None))


def payload(*, raw_body: bytes | None = None, count: int = 3, batch_no: int = 7) -> bytes:
    if raw_body is None:
        raw_body = encode_body(100, [fix(second) for second in range(count)])
    return make_payload(
        unit_id=UNIT,
        chain_id=CHAIN,
        boot_no=3,
        batch_no=batch_no,
        prev=b"p" * 32,
        first_seq=100,
        count=count,
        sealed_ms=1_795_330_001_000,
        sealed_mono_ms=60_000,
        time_quality=3,
        seen=None,
        raw_body=raw_body,
    )


def signed(inner: bytes) -> bytes:
    return seal(inner, Aad.BATCH, UNIT_KID, UNIT_KEY.sign)


def test_the_worked_example_comes_out_byte_for_byte() -> None:
    chain = bytes.fromhex("47e2c110fa1b5d265c747f2e42f5b66a")
    assert (
        h0(UNIT, chain, UNIT_PUBLIC).hex()
        == "09909a485da26c470d85ff89f745d8f3da0c84514b6e572289637a0bc9d2c17b"
    )
    records = [
        FixRecord(
            **base, t_ms=t_ms, lat_e7=lat_e7, lon_e7=lon_e7, alt_dm=alt, speed_cm_s=speed, flags=641
        )
        for t_ms, lat_e7, lon_e7, alt, speed, base in (
            (
                1795330001000,
                413111000,
                692797000,
                4550,
                1390,
                {"course_cdeg": 8700, "hdop_centi": 80, "err_cm": None, "sats": 12},
            ),
            (
                1795330002000,
                413111240,
                692798310,
                4550,
                1400,
                {"course_cdeg": 8700, "hdop_centi": 80, "err_cm": None, "sats": 12},
            ),
            (
                1795330003000,
                413111490,
                692799600,
                4560,
                1410,
                {"course_cdeg": 8800, "hdop_centi": 80, "err_cm": None, "sats": 11},
            ),
        )
    ]
    event = EventRecord(
        kind=5,
        t_ms=1795330002400,
        mono_ms=3600,
        data=("0074019031", "jt701", 8223, 16, 1, None, 78, 41, 1, bytes.fromhex("240074019031")),
    )
    body = encode_body(2, [*records[:2], event, records[2]])
    made = make_payload(
        unit_id=UNIT,
        chain_id=chain,
        boot_no=1,
        batch_no=1,
        prev=bytes.fromhex("78ef5040d859ccc96ab73b8e52d4522a66e23ef39fd19d1d89d4a8ef61d7687b"),
        first_seq=2,
        count=4,
        sealed_ms=1795330002449,
        sealed_mono_ms=3649,
        time_quality=3,
        seen=None,
        raw_body=body,
    )
    header = read_payload(made)
    assert isinstance(header, Header)
    assert (header.raw_len, header.last_seq) == (113, 5)
    message = signed(made)
    assert isinstance(judge(message, TOPIC, KEYS.get), Sound)


def test_every_flipped_bit_of_an_envelope_is_refused() -> None:
    message = signed(payload())
    assert isinstance(judge(message, TOPIC, KEYS.get), Sound)
    for bit in range(len(message) * 8):
        flipped = bytearray(message)
        flipped[bit // 8] ^= 1 << bit % 8
        assert isinstance(judge(bytes(flipped), TOPIC, KEYS.get), Refused), f"bit {bit}"


@given(st.binary(max_size=400))
def test_any_bytes_get_a_verdict(data: bytes) -> None:
    assert isinstance(judge(data, TOPIC, KEYS.get), Refused)


@given(st.binary(min_size=24, max_size=400))
def test_any_signed_bytes_get_a_verdict(data: bytes) -> None:
    assert isinstance(judge(signed(data), TOPIC, KEYS.get), Refused)


@given(st.binary(min_size=1, max_size=400))
def test_any_body_gets_a_verdict_and_keeps_its_link(raw: bytes) -> None:
    verdict = judge(signed(payload(raw_body=raw)), TOPIC, KEYS.get)
    assert isinstance(verdict, LinkKept)
    assert verdict.reason in {Reason.BAD_BODY, Reason.BAD_COLUMNS, Reason.BAD_EVENT, Reason.BAD_SEQ}


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x92\x90" + b"\xdd\x00\x00\x27\x10" * 6_000,
        b"\x92\x90" + b"\xdc\xff\xff" * 20_000,
        b"\x92\x90" + b"\xdc\x01\xff" * 20_000,
        b"\x92" + b"\xdd\x00\x00\xff\xff" * 13_000,
        b"\x92\xdd\x00\x00\xff\xff" + b"\x00" * 60_000,
        b"\x91" * 60_000,
    ],
    ids=[
        "deep-long",
        "deep-longest",
        "deep-just-allowed",
        "in-place-of-fixes",
        "many-fixes",
        "deepest",
    ],
)
def test_bombs_of_nested_arrays_stay_within_eight_mebibytes(bomb: bytes) -> None:
    message = signed(payload(raw_body=bomb))
    tracemalloc.start()
    verdict = judge(message, TOPIC, KEYS.get)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(verdict, LinkKept)
    assert peak < 8 << 20


def test_a_bomb_of_zeros_is_not_inflated_beyond_its_length() -> None:
    inner = encode_body(100, [fix(second) for second in range(3)])
    header = read_payload(payload(raw_body=inner + b"\x00" * 60_000))
    assert isinstance(header, Header)
    lying = encode((1, UNIT, CHAIN, 3, 7, b"p" * 32, 100, 3, 0, 0, 0, None, 1, 100, header.body))
    verdict = judge(signed(lying), TOPIC, KEYS.get)
    assert isinstance(verdict, LinkKept)
    assert verdict.reason is Reason.BAD_INFLATE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"first_seq": LIM - 3, "count": 3}, r"first_seq \+ count"),
        ({"count": 1_025}, "count"),
        ({"unit_id": "ab"}, "unit_id"),
        ({"time_quality": 4}, "time_quality"),
        ({"prev": b"short"}, "prev"),
        ({"seen": (0, b"r" * 32)}, "seen"),
    ],
)
def test_we_sign_nothing_that_a_collector_would_refuse(
    change: dict[str, object], reason: str
) -> None:
    fields: dict[str, object] = {
        "unit_id": UNIT,
        "chain_id": CHAIN,
        "boot_no": 3,
        "batch_no": 7,
        "prev": b"p" * 32,
        "first_seq": 100,
        "count": 3,
        "sealed_ms": 0,
        "sealed_mono_ms": 0,
        "time_quality": 0,
        "seen": None,
        "raw_body": b"\x92\x90\x90",
    }
    with pytest.raises(MisuseError, match=reason):
        make_payload(**(fields | change))  # type: ignore[arg-type]  # a table of wrong values


def test_a_message_for_another_lane_is_a_bad_topic() -> None:
    message = signed(payload())
    for topic in (
        "plomba/1/up/uz-01a234bc/hello",
        "plomba/2/up/uz-01a234bc/batch",
        "plomba/1/up//batch",
        "x",
    ):
        verdict = judge(message, topic, KEYS.get)
        assert isinstance(verdict, Refused)
        assert verdict.reason is Reason.BAD_TOPIC


def test_the_first_record_of_a_chain_is_its_genesis() -> None:
    chain_h0 = h0(UNIT, CHAIN, UNIT_PUBLIC)
    halves: list[tuple[object, ...]] = [
        (1, CHAIN, None, None, None),
        (1, CHAIN, 4, b"h" * 31, None),
        (7, None, None, None, None),
        (1, None, None, None, 9),
        (1, None, None, None),
        (1, CHAIN, 4, b"h" * 32, "9"),
    ]
    for data, good in [
        ((2, CHAIN, 4, b"h" * 32, None), True),
        ((1, None, None, None, None), True),
    ] + [(half, False) for half in halves]:
        raw = encode_body(0, [EventRecord(kind=1, t_ms=0, mono_ms=0, data=data)])  # type: ignore[arg-type]  # wrong on purpose
        message = signed(
            make_payload(
                unit_id=UNIT,
                chain_id=CHAIN,
                boot_no=0,
                batch_no=0,
                prev=chain_h0,
                first_seq=0,
                count=1,
                sealed_ms=0,
                sealed_mono_ms=0,
                time_quality=0,
                seen=None,
                raw_body=raw,
            )
        )
        verdict = judge(message, TOPIC, KEYS.get)
        assert isinstance(verdict, Sound) == good
        if not good:
            assert isinstance(verdict, Refused)
            assert verdict.reason is Reason.BAD_GENESIS


@settings(max_examples=50)
@given(st.integers(24, 600))
def test_an_envelope_of_any_length_opens_to_what_was_sealed(size: int) -> None:
    inner = bytes(size)
    opened = open_envelope(seal(inner, Aad.BATCH, UNIT_KID, UNIT_KEY.sign), Aad.BATCH)
    assert isinstance(opened, Opened)
    assert (opened.payload, opened.kid) == (inner, UNIT_KID)
    assert len(head_of(inner)) == 32
