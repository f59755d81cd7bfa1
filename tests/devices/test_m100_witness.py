"""The module that the simulator plays and our reader, written apart from the same manuals, understand each other."""

from hypothesis import given, settings, strategies as st

from devices import Fact, ReaderAnswer, TagRead
from devices.m100 import M100Reader
from firmware_sim.rfid_frames import answer, notice, refusal, told_of
from tests.firmware_sim.acting import START_MS, Act, scenario

EPC = "3034257BF7194E4000001A85"
GATE = "E20010710000529B0940B402"
TAGS = (
    f'{{ epc = "{EPC}", rssi_dbm = -52, read_rate = 0.9 }}',
    f'{{ epc = "{GATE}", from_s = 20, to_s = 30, rssi_dbm = -70, read_rate = 0.5 }}',
)


class Line:
    """The unit at the module's line: bytes to facts, orders to bytes, every 50 ms."""

    def __init__(self, region: str | None, more: str = "") -> None:
        self.play = Act(scenario(f"reader = {{ tags = [{', '.join(TAGS)}]{more} }}", end_s=600))
        self.reader = M100Reader(name="gate", region=region, power_cdbm=2_000)
        self.facts: list[Fact] = []
        self._heard = 0

    def to(self, at_s: float) -> None:
        while self.play.stage.now_ms < at_s * 1_000:
            self.play.to(self.play.stage.now_ms / 1_000 + 0.05, step_ms=50)
            now_ms = START_MS + self.play.stage.now_ms
            for said in self.play.said[self._heard :]:
                self.facts += self.reader.feed(said.data, now_ms)
            self._heard = len(self.play.said)
            self.facts += self.reader.wake(now_ms)
            if data := self.reader.take_bytes():
                self.play.write("rfid", data)

    def epcs(self, from_s: float) -> set[str]:
        from_ms = START_MS + from_s * 1_000
        return {
            fact.epc.hex().upper()
            for fact in self.facts
            if isinstance(fact, TagRead) and fact.at_ms >= from_ms
        }


@settings(max_examples=100)
@given(st.binary(max_size=31).map(lambda half: half + half), st.integers(-128, 127))
def test_what_the_witness_says_of_a_tag_is_what_we_hear(epc: bytes, rssi_dbm: int) -> None:
    [tag] = M100Reader(name="gate").feed(notice(told_of(epc), rssi_dbm), START_MS)
    assert isinstance(tag, TagRead)
    assert (tag.epc, tag.rssi_cdbm) == (epc, rssi_dbm * 100)
    assert tag.pc == len(epc) // 2 << 11


@given(st.integers(0, 255), st.binary(min_size=1, max_size=60))
def test_what_the_witness_answers_is_a_frame_to_us(command: int, parameters: bytes) -> None:
    reader = M100Reader(name="gate")
    reader.feed(answer(command, parameters) + refusal(parameters[0]), START_MS)
    assert reader.counters["frames"] == 2


def test_a_module_is_started_and_its_tags_come_and_go() -> None:
    line = Line("europe")
    line.to(10)
    confirmed = {fact.command: fact.ok for fact in line.facts if isinstance(fact, ReaderAnswer)}
    assert {"03", "07", "B6"} <= set(confirmed)
    assert all(confirmed.values())
    assert line.epcs(0) == {EPC}
    line.to(40)
    assert line.epcs(0) == {EPC, GATE}
    assert line.epcs(31) == {EPC}
    assert line.reader.counters["starts"] == 1


def test_without_a_region_the_module_is_never_made_to_transmit() -> None:
    line = Line(None)
    line.to(60)
    assert line.epcs(0) == set()
    assert line.play.stage.now_ms >= 60_000
    assert line.reader.counters["frames"] > 3  # it is asked who it is


def test_a_module_that_lost_its_power_is_started_again() -> None:
    line = Line("europe")
    line.to(10)
    assert line.play.do("reader_dead", for_s=5)
    line.to(30)
    assert line.epcs(20) >= {EPC}
    assert line.reader.counters["starts"] >= 2


def test_a_module_that_sleeps_is_woken() -> None:
    line = Line(None, more=", sleep_min = 1")
    line.to(200)
    answers = [fact for fact in line.facts if isinstance(fact, ReaderAnswer)]
    assert [fact for fact in answers if fact.at_ms > START_MS + 150_000]
    assert line.reader.counters["unanswered"] == 0
