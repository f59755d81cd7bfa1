"""A lock that repeats what an earlier run has committed gets its acknowledgement and no second record."""

from agent.app.heard import frames_of
from devices.jt701 import Jt701Reader
from tests.wire.keys import UNIT, UNIT_KEY, UNIT_KID
from wire.batch import make_payload
from wire.columns import encode_body
from wire.envelope import Aad, seal
from wire.records import EventRecord

P45 = b"(8000620011,P45,170720,020614,22.56035,N,114.01640,E,A,36,270,1,1,0008627839,0,0,24,5)"


def envelope(*events: EventRecord) -> bytes:
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
