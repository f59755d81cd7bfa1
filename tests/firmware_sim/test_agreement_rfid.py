"""The witness's RFID reader against `devices.m100`: written apart from the same manuals, they must mean the same."""

from collections import Counter

from hypothesis import given, settings, strategies as st

from devices import Odd, ReaderAnswer, TagRead
from devices.m100 import GetPower, GetRegion, M100Reader, PollOnce, SetQuery, Stop
from firmware_sim.rfid_frames import notice, told_of
from firmware_sim.rfid_reader import ROUND_MS, RfidReader
from tests.firmware_sim.acting import Act, scenario

ONE, TWO = "3034257BF7194E4000001A85", "E20010710000529B0940B402"
TAGS = f'tags = [{{ epc = "{ONE}", read_rate = 1.0 }}, {{ epc = "{TWO}", read_rate = 0.5, rssi_dbm = -70 }}]'
EPCS = st.binary(min_size=0, max_size=62).filter(lambda epc: len(epc) % 2 == 0)


@settings(max_examples=100)
@given(EPCS, st.integers(-128, 127))
def test_a_tag_is_read_as_it_was_meant(epc: bytes, rssi_dbm: int) -> None:
    [fact] = M100Reader(name="yard").feed(notice(told_of(epc), rssi_dbm), 0)
    assert isinstance(fact, TagRead)
    assert (fact.epc, fact.rssi_cdbm, fact.pc) == (epc, rssi_dbm * 100, len(epc) // 2 << 11)


class Unit:
    """The unit's side: our reader on the world's clock, its bytes on the line a step after it said them."""

    def __init__(self, *tables: str, end_s: float = 3_700, region: str | None = "europe") -> None:
        self.reader = M100Reader(name="yard", region=region, power_cdbm=2_000)
        self.play = Act(scenario(*tables, end_s=end_s))
        self.facts: list[object] = []
        self._heard = 0

    def to(self, at_s: float, step_ms: int = 250) -> "Unit":
        while self.play.stage.now_ms < at_s * 1000:
            self.play.to(self.play.stage.now_ms / 1000 + step_ms / 1000, step_ms=step_ms)
            now_ms = self.play.stage.now_ms
            data = b"".join(said.data for said in self.play.said[self._heard :])
            self._heard = len(self.play.said)
            self.facts += self.reader.feed(data, now_ms) if data else self.reader.wake(now_ms)
            while said := self.reader.take_bytes():
                self.play.write("rfid", said)
        return self

    def tags(self, since: int = 0) -> Counter[str]:
        reads = [fact for fact in self.facts[since:] if isinstance(fact, TagRead)]
        return Counter(fact.epc.hex().upper() for fact in reads)


def test_the_start_leads_to_polling_and_every_read_is_heard_once() -> None:
    unit = Unit(f"reader = {{ {TAGS} }}").to(60)
    assert unit.play.notes("reader_to") == ["polling"]
    unit.reader.order(Stop(), unit.play.stage.now_ms)
    unit.to(61)  # and what was on the cable has arrived
    assert sum(unit.tags().values()) == unit.play.truths[-1]["reads"]
    assert unit.reader.counters["starts"] == 1
    assert unit.reader.counters["unasked"] == unit.reader.counters["unanswered"] == 0


def test_no_tag_is_a_sign_of_life_and_no_fact() -> None:
    unit = Unit("reader = { tags = [] }").to(30)
    assert not unit.tags()
    assert unit.reader.counters["no_tag"] > 20 * 1000 / ROUND_MS
    assert unit.reader.counters["starts"] == 1


def test_when_the_count_has_run_out_the_unit_begins_again() -> None:
    unit = Unit(f"reader = {{ {TAGS} }}").to(10)
    reader = unit.play.stage.devices["rfid"]
    assert isinstance(reader, RfidReader)
    reader._rounds_left = 20  # the last second of the 54 minutes
    unit.to(20)
    assert unit.play.notes("reader_to") == ["polling", "idle", "polling"]
    assert unit.reader.counters["starts"] == 2
    since = len(unit.facts)
    assert unit.to(30).tags(since)[ONE] > 150


def test_a_reader_that_lost_its_power_is_started_again_within_seconds() -> None:
    unit = Unit(f"reader = {{ {TAGS} }}").to(20)
    unit.play.do("reader_dead", for_s=10)
    unit.to(30)
    since = len(unit.facts)
    assert unit.to(36).tags(since)[ONE] > 20
    assert unit.reader.counters["silent"] == 1


def test_a_sleeping_reader_is_woken_by_the_byte_before_the_first_frame() -> None:
    unit = Unit(f"reader = {{ {TAGS}, sleep_min = 1 }}")
    unit.play.to(120)
    assert unit.play.notes("reader_to") == ["asleep"]
    unit._heard = len(unit.play.said)
    assert unit.to(125).tags()[ONE] > 50


def test_without_a_region_the_unit_asks_who_it_is_and_nothing_transmits() -> None:
    unit = Unit(f"reader = {{ {TAGS} }}", region=None).to(60)
    assert not unit.tags()
    answers = [fact for fact in unit.facts if isinstance(fact, ReaderAnswer)]
    assert {answer.command for answer in answers} == {"03"}
    assert unit.play.notes("reader_to") == []


def test_a_busy_air_is_an_error_and_never_a_tag() -> None:
    unit = Unit(f"reader = {{ {TAGS} }}").to(10)
    unit.play.do("reader_busy", for_s=20)
    since = len(unit.facts)
    unit.to(30)
    assert not unit.tags(since + 2)
    assert unit.reader.counters["error"] > 100


def test_orders_are_answered_as_they_were_meant() -> None:
    unit = Unit(f"reader = {{ {TAGS} }}").to(5)
    for order in (Stop(), GetRegion(), GetPower(), SetQuery(q=2, session=1), PollOnce()):
        unit.reader.order(order, unit.play.stage.now_ms)
        unit.play.write("rfid", unit.reader.take_bytes())
        unit.to(unit.play.stage.now_ms / 1000 + 0.5)
    answers = [fact for fact in unit.facts if isinstance(fact, ReaderAnswer)]
    told = {(answer.command, answer.ok, answer.values) for answer in answers}
    assert ("08", True, ("europe",)) in told
    assert ("B7", True, ("2000",)) in told
    assert {command for command, ok, _ in told if ok} >= {"28", "0E"}


def test_no_fault_of_the_cable_makes_a_tag_that_is_not_there() -> None:
    kinds = (
        "bad_checksum",
        "cut_line",
        "merged_lines",
        "noise",
        "lost_bytes",
        "flipped_bits",
        "delay",
    )
    faults = ", ".join(
        f'{{ device = "rfid", kind = "{kind}", per_hour = 3600, from_s = 10 }}' for kind in kinds
    )
    unit = Unit(f"reader = {{ {TAGS} }}", f"fault = [{faults}]").to(300)
    told = Counter(map(str, unit.play.notes("fault")))
    assert set(told) == set(kinds)
    assert set(unit.tags()) == {ONE, TWO}
    assert sum(unit.tags().values()) > 6_000
    assert unit.reader.counters["bad_checksum"] > 100
    assert [fact for fact in unit.facts if isinstance(fact, Odd)]
