"""An early copy is judged alone, with the batch's own fixes, and says what the chain will say (DETECTION section 2, Early)."""

from collector.detect import Finding, Phase
from collector.detect.engine import EarlyCopy, Tick
from collector.detect.engine.early import judge
from collector.detect.engine.run import run
from collector.detect.rules import Journey, Rulebook, Rules
from collector.detect.track import Batch, block_of
from wire.columns import Columns, Event
from wire.records import SealBit

T_MS = 1_795_330_000_000
KNOWN = SealBit.LOCKED | SealBit.ROPE_IN | SealBit.COVER_CLOSED | SealBit.ROPE_CUT
BOOK = Rulebook(
    versions=(Rules(version=1),), journeys={"uz-1": (Journey(id="J", unit="uz-1", since_ms=0),)}
)


def batch(first_seq: int = 40) -> Batch:
    fixes = Columns(
        seq=(first_seq, first_seq + 1),
        t_ms=(T_MS, T_MS + 1_000),
        lat_e7=(412_000_000, 412_001_000),
        lon_e7=(692_000_000, 692_001_000),
        alt_dm=(None, None),
        speed_cm_s=(1_000, 1_000),
        course_cdeg=(None, None),
        hdop_centi=(90, 90),
        err_cm=(None, None),
        sats=(9, 9),
        flags=(1, 1),
    )
    cut = Event(
        seq=first_seq + 2,
        kind=5,
        t_ms=T_MS + 1_400,
        mono_ms=9,
        data=("8000620011", "jt701", int(KNOWN), int(SealBit.ROPE_CUT), 1, None, 90, 3, 1, b"$"),
    )
    return Batch(
        unit="uz-1",
        chain=b"c" * 16,
        batch_no=7,
        first_seq=first_seq,
        count=3,
        fixes=block_of(fixes),
        events=(cut,),
        received_ms=T_MS + 1_500,
        sealed_ms=T_MS + 1_450,
        sealed_mono_ms=60,
        time_quality=3,
    )


def openings(findings: tuple[Finding, ...]) -> list[Finding]:
    return [one for one in findings if one.code == "SEAL_OPEN_UNAUTHORISED"]


def test_a_cut_in_an_early_copy_is_raised_at_once_with_its_own_place() -> None:
    (found,) = openings(judge(BOOK, batch()))
    assert (found.value, found.at_ms) == ("rope_cut", T_MS + 1_400)
    assert found.phase is not Phase.END
    assert (found.lat_e7, found.lon_e7) == (412_001_000, 692_001_000)


def test_the_copy_in_order_has_the_same_id() -> None:
    early = run(BOOK, {}, Tick(items=(EarlyCopy(batch=batch()),)))
    in_order = run(BOOK, {}, Tick(items=(batch(),)))
    assert [one.id for one in openings(early.findings)] == [
        one.id for one in openings(in_order.findings)
    ]
