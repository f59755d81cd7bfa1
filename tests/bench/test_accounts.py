"""The accounts and the oracle: they find what is lost, doubled, invented or moved, and nothing where nothing is wrong."""

from dataclasses import replace

from bench.accounts import Found, Held, UnitFile, held_of, settle
from bench.drill.issuer import Ledger, epoch, place_at
from bench.drill.oracle import Truth, judge
from tests.wire.keys import UNIT, UNIT_KEY, UNIT_KID
from wire.batch import make_payload
from wire.columns import encode_body, round_fix
from wire.envelope import Aad, seal
from wire.records import Datum, EventRecord, FixRecord, Record

CHAIN = b"c" * 16
SECOND = 1_795_330_000


def batch(number: int, records: list[Record], first_seq: int) -> Held:
    payload = make_payload(
        unit_id=UNIT,
        chain_id=CHAIN,
        boot_no=1,
        batch_no=number,
        prev=bytes([number]) * 32,
        first_seq=first_seq,
        count=len(records),
        sealed_ms=0,
        sealed_mono_ms=0,
        time_quality=0,
        seen=None,
        raw_body=encode_body(first_seq, records),
    )
    return held_of(UNIT, seal(payload, Aad.BATCH, UNIT_KID, UNIT_KEY.sign))


def fix(unix_s: int, moved_e7: int = 0) -> FixRecord:
    lat, lon = place_at(unix_s, 0)
    return round_fix(
        FixRecord(
            t_ms=unix_s * 1_000,
            lat_e7=round(lat * 1e7) + moved_e7,
            lon_e7=round(lon * 1e7),
            alt_dm=None,
            speed_cm_s=None,
            course_cdeg=None,
            hdop_centi=None,
            err_cm=None,
            sats=None,
            flags=1,
        )
    )


def refusal(frame: bytes) -> EventRecord:
    data = ("8000630000", "jt701", "card", 0, 0, "0000000001", None, 1, 0, frame)
    return EventRecord(kind=6, t_ms=1, mono_ms=1, data=data)


def cut(frame: bytes) -> EventRecord:
    return EventRecord(
        kind=5,
        t_ms=1,
        mono_ms=1,
        data=("8000630000", "jt701", 0xFFFF, 1 << 4, 1, 1, 90, 0, 1, frame),
    )


GENESIS = EventRecord(kind=1, t_ms=0, mono_ms=0, data=(1, None, None, None, None))
B0 = batch(0, [GENESIS], 0)
B1 = batch(1, [fix(SECOND), refusal(b"one")], 1)
B2 = batch(2, [cut(b"two"), fix(SECOND + 1)], 3)
ALL = [B0, B1, B2]
FILE = UnitFile(unit=UNIT, rows=tuple(ALL), covered={CHAIN: 2})
LEDGER = Ledger(issued={b"one": 0, b"two": 1, b"three": 2}, owed=[b"one", b"two"], cuts_owed=1)
TRUTH = Truth(unit=UNIT, unit_no=0, ledger=LEDGER)
ALERT = Found(
    id=b"i" * 16,
    n=0,
    code="SEAL_OPEN_UNAUTHORISED",
    level="alert",
    phase="begin",
    unit=UNIT,
    at_ms=1,
    received_ms=2,
    late=False,
    value="rope_cut",
)


def test_a_sound_run_is_found_sound() -> None:
    accounts = settle([FILE], ALL)
    judgement = judge([TRUTH], ALL, [ALERT])
    assert (accounts.sealed, accounts.recorded, accounts.stored, accounts.receipted) == (3, 5, 3, 3)
    assert judgement.is_sound(accounts)
    assert (judgement.owed, judgement.fixes, judgement.alerts_expected) == (2, 2, 1)
    assert not accounts.faults + judgement.faults


def test_a_batch_with_a_receipt_that_is_not_stored_is_lost_and_one_without_is_kept() -> None:
    assert settle([FILE], [B0, B1]).lost == 1
    uncovered = replace(FILE, covered={CHAIN: 1})
    accounts = settle([uncovered], [B0, B1])
    assert (accounts.lost, accounts.kept) == (0, 1)


def test_holes_doubles_and_other_bytes_are_seen() -> None:
    assert settle([], [B0, B2]).holes == 1
    assert settle([], [*ALL, B1]).twice > 0
    other = batch(2, [cut(b"two"), fix(SECOND + 2)], 3)
    assert settle([FILE], [B0, B1, other]).differing == 1


def test_a_hole_is_none_if_the_unit_says_that_a_full_disk_had_no_room_for_it() -> None:
    def dropped(reason: int, *chain: bytes) -> EventRecord:
        data: tuple[Datum, ...] = (1, 1, 1, 2, bytes(32), 1, 1, reason, *chain)
        return EventRecord(kind=13, t_ms=1, mono_ms=1, data=data)

    for said in (dropped(1), dropped(1, CHAIN)):
        accounts = settle([], [B0, B2, batch(3, [said], 5)])
        assert (accounts.holes, accounts.evicted) == (0, 1)
    for said in (
        dropped(2),
        dropped(1, b"d" * 16),
    ):  # damage, which a drill makes good; another chain
        accounts = settle([], [B0, B2, batch(3, [said], 5)])
        assert (accounts.holes, accounts.evicted) == (1, 0)


def test_an_owed_record_that_is_missing_or_there_twice_is_seen() -> None:
    assert judge([TRUTH], [B0, B1], []).lost == 1
    again = batch(3, [refusal(b"one")], 5)
    assert judge([TRUTH], [*ALL, again], [ALERT]).twice == 1


def test_what_the_hardware_never_said_is_invented() -> None:
    foreign = batch(3, [refusal(b"never said")], 5)
    assert judge([TRUTH], [*ALL, foreign], [ALERT]).invented == 1
    moved = batch(3, [fix(SECOND + 5, moved_e7=1_000)], 5)
    assert judge([TRUTH], [*ALL, moved], [ALERT]).wrong_places == 1


def test_alerts_are_counted_once_an_incident_and_integrity_has_its_kinds() -> None:
    sound = settle([FILE], ALL)
    assert not judge([TRUTH], ALL, []).is_sound(sound)
    assert judge([TRUTH], ALL, [ALERT, ALERT]).alerts_doubled == 1
    for value, name in (
        ("gap", "false_gaps"),
        ("Fork", "forks"),
        ("ChainBreak", "chain_breaks"),
        ("SeqJump", "other_integrity"),
    ):
        odd = replace(ALERT, code="LOG_INTEGRITY", value=value, id=value.encode())
        judgement = judge([TRUTH], ALL, [ALERT, odd])
        assert getattr(judgement, name) == 1
        assert not judgement.is_sound(sound)


def test_a_chain_that_names_none_before_it_is_allowed_behind_a_store_that_was_lost_and_no_oftener() -> (
    None
):
    sound = settle([FILE], ALL)
    breaks = [
        replace(ALERT, code="LOG_INTEGRITY", value="ChainBreak", id=name) for name in (b"a", b"b")
    ]
    assert judge([TRUTH], ALL, [ALERT, breaks[0]], lost_heads=1).is_sound(sound)
    assert not judge([TRUTH], ALL, [ALERT, *breaks], lost_heads=1).is_sound(sound)


def test_the_receiver_says_where_the_truck_is() -> None:
    text = epoch(SECOND, 0).decode()
    assert text.startswith("$GNRMC,")
    assert text.count("\r\n") == 2
    assert ",4112.00000,N," in text
