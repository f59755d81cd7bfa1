"""A lock that repeats what an earlier run has committed gets its acknowledgement and no second record."""

from dataclasses import replace

from agent.app.heard import Before, before, frames_of
from devices.jt701 import Jt701Reader
from tests.wire.keys import UNIT, UNIT_KEY, UNIT_KID
from wire.batch import make_payload
from wire.columns import encode_body
from wire.envelope import Aad, seal
from wire.records import EventRecord, FixFlag, FixRecord, Record

P45 = b"(8000620011,P45,170720,020614,22.56035,N,114.01640,E,A,36,270,1,1,0008627839,0,0,24,5)"


def envelope(*events: Record) -> bytes:
    payload = make_payload(
        unit_id=UNIT,
        chain_id=b"c" * 16,
        boot_no=1,
        batch_no=5,
        prev=b"p" * 32,
        first_seq=9,
        count=len(events),
        sealed_ms=0,
        sealed_mono_ms=0,
        time_quality=0,
        seen=None,
        raw_body=encode_body(9, events),
    )
    return seal(payload, Aad.BATCH, UNIT_KID, UNIT_KEY.sign)


ACCESS = EventRecord(
    kind=6,
    t_ms=1,
    mono_ms=1,
    data=("8000620011", "jt701", "card", 1, 1, "0008627839", None, 1, 24, P45),
)
SILENT = EventRecord(
    kind=5, t_ms=1, mono_ms=1, data=("8000620011", "jt701", 0, 0, 0, None, None, None, 3, b"")
)
FOREIGN = EventRecord(kind=900, t_ms=1, mono_ms=1, data=())


def test_the_frames_of_seals_are_read_from_the_evidence_and_nothing_else_is() -> None:
    assert list(frames_of([b"no envelope", envelope(FOREIGN, ACCESS, SILENT)])) == [P45]


def test_a_frame_that_is_in_the_evidence_makes_no_second_record() -> None:
    fresh = Jt701Reader(seal_id="8000620011")
    assert fresh.feed(P45, 0)
    taught = Jt701Reader(seal_id="8000620011")
    for frame in frames_of([envelope(ACCESS)]):
        taught.stored(frame)
    assert not taught.feed(P45, 0)
    assert taught.take_bytes() == b"(P69,0,24)"
    assert taught.feed(P45.replace(b",24,5)", b",25,5)"), 0)


def test_the_newest_place_and_the_newest_doubt_are_read_from_the_evidence() -> None:
    fix = FixRecord(
        t_ms=5_000,
        lat_e7=10,
        lon_e7=20,
        alt_dm=None,
        speed_cm_s=None,
        course_cdeg=None,
        hdop_centi=90,
        err_cm=None,
        sats=9,
        flags=1,
    )
    ours = replace(fix, t_ms=9_000, flags=1 | FixFlag.UNIT_CLOCK)
    sky = EventRecord(kind=11, t_ms=7_000, mono_ms=1, data=(3, *(None,) * 8, 3, None, 1, None))
    calm = EventRecord(kind=11, t_ms=8_000, mono_ms=1, data=(3, *(None,) * 8, 1, None, 1, None))
    assert before([]) == Before()
    assert before([envelope(fix), envelope(ours)]) == Before(place=(5_000, 10, 20))
    doubted = replace(fix, t_ms=6_000, flags=1 | FixFlag.DOUBTED)
    both = before([envelope(fix, doubted, sky, calm), b"no envelope"])
    assert both == Before(place=(6_000, 10, 20), doubted_utc_ms=7_000)
