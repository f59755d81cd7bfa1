"""M100 modules: every frame its fact, both checks, any cutting the same, and the polling that is kept up."""

import json
import tracemalloc
from binascii import crc_hqx
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from devices import READER_MEMORY_BYTES_MAX, Fact, MisuseError, Odd, ReaderAnswer, TagRead
from devices.m100 import (
    Framer,
    GetInfo,
    GetPower,
    GetRegion,
    M100Reader,
    NeverSleep,
    Order,
    PollMany,
    PollOnce,
    ScanChannel,
    ScanJammer,
    SelectOff,
    SetBaud,
    SetHopping,
    SetPower,
    SetQuery,
    SetRegion,
    Sleep,
    Stop,
)
from devices.m100.frame import Frame, error_name
from devices.m100.orders import ask_of
from tests.devices.cutting import (
    LATER_MS,
    NOW_MS,
    check_any_cutting,
    check_each_offset,
    cut_at,
    feed,
)

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "rfid"
CASES = [json.loads(line) for line in (VECTORS / "m100.jsonl").read_text().splitlines()]
COMMANDS = [json.loads(line) for line in (VECTORS / "m100_commands.jsonl").read_text().splitlines()]
DATA = {case["id"]: bytes.fromhex(case["hex"]) for case in CASES}
TAG = DATA["m100-m00"]
NO_TAG = DATA["m100-m01"]
ORDERS: dict[str, Order] = {
    "get_info hardware": GetInfo(info="hardware"),
    "get_info software": GetInfo(info="software"),
    "get_info manufacturer": GetInfo(info="manufacturer"),
    "poll_once": PollOnce(),
    "stop": Stop(),
    "get_region": GetRegion(),
    "get_power": GetPower(),
    "set_hopping on": SetHopping(on=True),
    "set_select_mode off": SelectOff(),
    "set_query 1020": SetQuery(q=4, session=0),
    "scan_jammer": ScanJammer(),
    "scan_channel": ScanChannel(),
    "sleep": Sleep(),
    "set_baud 19200": SetBaud(baud=19_200),
    **{f"poll_many {n}": PollMany(rounds=n) for n in (8, 10_000, 65_535)},
    **{f"set_power_cdbm {n}": SetPower(power_cdbm=n) for n in (1250, 1500, 1850, 2000)},
    **{
        f"set_region {name}": SetRegion(region=name)
        for name in ("china_900", "china_800", "us", "europe", "korea")
    },
}


def make() -> M100Reader:
    return M100Reader(name="gate")


def answers(facts: list[Fact]) -> list[tuple[str, bool | None, int | None]]:
    return [(f.command, f.ok, f.code) for f in facts if isinstance(f, ReaderAnswer)]


def said(command: int, parameters: bytes, kind: int = 1) -> bytes:
    """A frame by the manual, by its own hand."""
    inner = bytes([kind, command]) + len(parameters).to_bytes(2, "big") + parameters
    return b"\xbb" + inner + bytes([sum(inner) % 256, 0x7E])


def notice(epc: bytes, rssi_dbm: int = -52) -> bytes:
    named = (len(epc) // 2 << 11).to_bytes(2, "big") + epc
    crc = (crc_hqx(named, 0xFFFF) ^ 0xFFFF).to_bytes(2, "big")
    return said(0x22, (rssi_dbm % 256).to_bytes(1, "big") + named + crc, 2)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_every_frame_becomes_its_fact_or_its_refusal(case: dict[str, str]) -> None:
    expect: dict[str, object] = case["expect"]  # type: ignore[assignment]  # one shape a line
    reader = make()
    data = DATA[case["id"]]
    facts = reader.feed(data, NOW_MS)
    if expect["error"] is not None:
        facts += reader.wake(LATER_MS)
        assert [(type(fact), getattr(fact, "reason", None)) for fact in facts] == [
            (Odd, expect["error"])
        ]
        assert reader.counters[str(expect["error"])] == 1
        return
    assert reader.counters[str(expect["kind"])] == 1
    match expect["kind"]:
        case "no_tag":
            assert facts == []
        case "tag":
            [tag] = facts
            assert isinstance(tag, TagRead)
            assert tag.epc.hex().upper() == expect["epc"]
            assert f"{tag.pc:04X}" == expect["pc"]
            assert tag.rssi_cdbm == int(str(expect["rssi_dbm"])) * 100
            assert (tag.reader, tag.count, tag.antenna) == ("gate", 1, None)
        case _:
            [answer] = facts
            assert isinstance(answer, ReaderAnswer)
            assert answer.ok is (expect["kind"] != "error")
            code = expect.get("error_code")
            assert answer.code == (None if code is None else int(str(code), 16))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command["command"])
def test_each_order_has_its_bytes(command: dict[str, str]) -> None:
    reader = make()
    reader.feed(NO_TAG, NOW_MS)  # it is awake
    drain(reader)
    reader.order(ORDERS[command["command"]], NOW_MS)
    assert reader.take_bytes() == bytes.fromhex(command["hex"])
    assert reader.take_bytes() == b""


def drain(reader: M100Reader) -> None:
    """The start of a reader without a region: three questions, answered."""
    for kind in range(3):
        assert reader.take_bytes()[-3:] == bytes([kind, 4 + kind, 0x7E])
        reader.feed(said(0x03, bytes([kind]) + b"M100"), NOW_MS)


def test_there_is_an_order_for_each_published_command_and_none_that_touches_a_tag() -> None:
    assert {command["command"] for command in COMMANDS} == set(ORDERS)
    written = {ask_of(order).data[2] for order in [*ORDERS.values(), NeverSleep()]}
    assert not written & {0x49, 0x82, 0x65, 0x39, 0x0C}


def test_never_sleep_and_the_other_orders_of_the_table_have_their_bytes() -> None:
    assert ask_of(NeverSleep()).data.hex().upper() == "BB001D0001001E7E"
    assert ask_of(SetHopping(on=False)).data[5] == 0
    assert ask_of(SetQuery(q=15, session=3)).data.hex().upper() == "BB000E0002137 89B7E".replace(
        " ", ""
    )


@pytest.mark.parametrize("order", [
    PollMany(rounds=0), PollMany(rounds=65_536), GetInfo(info="tags"), SetQuery(q=16, session=0),
    SetQuery(q=0, session=4), SetRegion(region="mars"), SetPower(power_cdbm=-1),
    SetPower(power_cdbm=3_301), SetBaud(baud=9_601), SetBaud(baud=300),
])  # fmt: skip
def test_what_cannot_be_said_is_our_mistake(order: Order) -> None:
    reader = make()
    with pytest.raises(MisuseError):
        reader.order(order, NOW_MS)
    assert reader.take_bytes() == b""


@pytest.mark.parametrize("bad", [{"region": "mars"}, {"region": "us", "power_cdbm": 9_999}])
def test_a_reader_with_a_setting_that_cannot_be_said_is_our_mistake(
    bad: dict[str, str | int],
) -> None:
    with pytest.raises(MisuseError):
        M100Reader(name="gate", **bad)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(("code", "name"), [
    (0x09, "read_failed"), (0x10, "write_failed"), (0x12, "kill_failed"), (0x13, "lock_failed"),
    (0x15, "no_tag"), (0x16, "access_denied"), (0x17, "command_error"), (0x20, "channels_busy"),
    (0xA3, "gen2_memory_overrun"), (0xB4, "gen2_memory_locked"), (0xC0, "gen2_other_error"),
    (0xDB, "gen2_insufficient_power"), (0xEF, "gen2_non_specific_error"), (0xF0, None), (0x99, None),
])  # fmt: skip
def test_errors_have_names(code: int, name: str | None) -> None:
    assert error_name(code) == name


@pytest.mark.parametrize(("data", "wanted"), [
    (b"", []),
    (b"\x00\r\nnoise", []),
    (TAG + NO_TAG + TAG, ["tag", "no_tag", "tag"]),
    (b"\xbb" + TAG, ["malformed", "tag"]),
    (b"\xbb\x00" + TAG, ["truncated", "tag"]),  # its length might have been 546
    (TAG[:-4] + TAG, ["malformed", "tag"]),
    (TAG[:10] + TAG + TAG, ["malformed", "tag", "tag"]),
    (TAG[:-1] + b"\xdd", ["malformed"]),  # the ends are never mixed
    (b"\xaa" + TAG[1:], ["malformed"]),
    (b"\xaa" + NO_TAG[1:-1] + b"\xdd", ["no_tag"]),
    (NO_TAG[:-2] + b"\x7e\x12\x34", ["malformed"]),  # another protocol: a CRC behind 7E
    (b"\xbb\x01\xff\x04\x01", ["too_long"]),
    (b"\xbb\x01\x39\x04\x00" + b"\0" * 1_024 + b"\x3e\x7e", ["other"]),
    (b"\xbb\x02\x22\x00\x04", ["malformed"]),
    (b"\xbb\x02\x22\x00\x44", ["malformed"]),
    (TAG[:20], ["truncated"]),
    (TAG[:9] + b"\0" + TAG[10:] + TAG, ["bad_checksum", "tag"]),
])  # fmt: skip
def test_what_comes_out_of_a_line(data: bytes, wanted: list[str]) -> None:
    framer = Framer()
    found = framer.feed(data) + framer.flush()
    assert [
        one.kind.value if isinstance(one, Frame) else one.reason.value for one in found
    ] == wanted


def test_marks_inside_a_frame_are_its_bytes() -> None:
    epc = bytes.fromhex("BB7EAADDBB0222001100007E")
    [tag] = make().feed(notice(epc), NOW_MS)
    assert isinstance(tag, TagRead)
    assert tag.epc == epc


def test_one_flipped_bit_inside_a_notice_never_changes_a_fact() -> None:
    facts = make().feed(TAG, NOW_MS)
    for bit in range(8 * len(TAG)):
        damaged = bytearray(TAG)
        damaged[bit // 8] ^= 1 << bit % 8
        reader = make()
        got = reader.feed(bytes(damaged), NOW_MS) + reader.wake(LATER_MS)
        assert [fact for fact in got if not isinstance(fact, Odd)] in ([], facts)


def test_two_bits_that_keep_the_sum_are_found_by_the_tags_own_crc() -> None:
    damaged = bytearray(TAG)
    damaged[8] ^= 1
    damaged[9] ^= 1
    assert sum(damaged[1:-2]) & 0xFF == damaged[-2]
    [odd] = make().feed(bytes(damaged), NOW_MS)
    assert isinstance(odd, Odd)
    assert odd.reason == "bad_tag_crc"


@settings(max_examples=100)
@given(st.binary(max_size=31).map(lambda half: half + half), st.integers(-128, 127))
def test_any_epc_comes_back(epc: bytes, rssi_dbm: int) -> None:
    [tag] = make().feed(notice(epc, rssi_dbm), NOW_MS)
    assert isinstance(tag, TagRead)
    assert (tag.epc, tag.rssi_cdbm) == (epc, rssi_dbm * 100)


@pytest.mark.parametrize("name", DATA)
def test_two_pieces_give_the_same_facts_and_counters_at_each_offset(name: str) -> None:
    check_each_offset(make, DATA[name])


def test_all_frames_in_a_row_mean_the_same_however_they_are_cut() -> None:
    check_any_cutting(make, b"\r\n".join(DATA.values()))


pieces = st.one_of(
    st.sampled_from(
        [*DATA.values(), TAG[:12], TAG[:-1], b"\xbb", b"\xaa\x01", b"\xbb\x01\x39\x03\xff"]
    ),
    st.binary(max_size=40),
)


@settings(max_examples=100)
@given(st.lists(pieces, max_size=8), st.lists(st.integers(0, 2_000), max_size=20))
def test_any_cutting_gives_the_same_facts_and_counters(
    parts: list[bytes], places: list[int]
) -> None:
    data = b"".join(parts)
    assert feed(make, cut_at(data, places)) == feed(make, [data])


def test_a_reader_that_is_fed_starts_stays_small() -> None:
    lump = (b"\xbb\x02" * 2_000 + b"\xbb\x01\x39\x03\xff" + NO_TAG * 9) * 8
    reader = make()
    reader.feed(lump, NOW_MS)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(2):
        reader.feed(lump, NOW_MS)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < READER_MEMORY_BYTES_MAX


def test_a_refusal_is_remarked_once_in_ten_seconds_and_counted_each_time() -> None:
    reader = make()
    damaged = DATA["m100-m16"]
    remarks = [len(reader.feed(damaged, NOW_MS + at)) for at in (0, 1, 9_999, 10_000)]
    assert remarks == [1, 0, 0, 1]
    assert reader.counters["bad_checksum"] == 4


# -- the conversation


class Module:
    """Answers as the manual says, with a finger on each answer."""

    def __init__(self, reader: M100Reader) -> None:
        self.reader = reader
        self.heard: list[int] = []
        self.fails: dict[int, bytes] = {}  # command: what it says instead; empty for nothing
        self.facts: list[Fact] = []
        self.now_ms = NOW_MS

    def run(self, for_ms: int = 100) -> list[int]:
        """Commands heard meanwhile; time moves to the reader's deadlines."""
        until_ms, heard = self.now_ms + for_ms, len(self.heard)
        while True:
            self.facts += self.reader.wake(self.now_ms)
            while data := self.reader.take_bytes():
                self.obey(data.removeprefix(b"\0"))
            due_ms = self.reader.next_deadline()
            if due_ms is None or due_ms > until_ms:
                self.now_ms = until_ms
                return self.heard[heard:]
            self.now_ms = max(self.now_ms, due_ms)

    def obey(self, data: bytes) -> None:
        command, parameters = data[2], data[5:-2]
        self.heard.append(command)
        answer = said(command, b"\0")
        if command == 0x03:
            answer = said(command, parameters + b"M100")
        elif command == 0x27:
            answer = NO_TAG
        self.tell(self.fails.get(command, answer))

    def tell(self, data: bytes) -> None:
        self.facts += self.reader.feed(data, self.now_ms)


def test_a_start_asks_who_it_is_sets_region_and_power_and_polls() -> None:
    reader = M100Reader(name="gate", region="europe", power_cdbm=2_000)
    assert reader.next_deadline() == 0
    module = Module(reader)
    assert module.run() == [0x03, 0x03, 0x03, 0x07, 0xB6, 0x1D, 0x27]
    module.tell(TAG)
    assert [type(fact) for fact in module.facts] == [ReaderAnswer] * 6 + [TagRead]
    assert reader.next_deadline() == module.now_ms + 2_000


def test_without_a_region_nothing_that_transmits_is_said() -> None:
    module = Module(make())
    assert module.run(120_000) == [0x03] * 15  # is it there? every 30 s
    assert module.reader.counters["silent"] == 0


@pytest.mark.parametrize("command", [0x07, 0xB6])
@pytest.mark.parametrize("answer", [b"", said(0xFF, b"\x17"), said(0x07, b"\x01")])
def test_a_region_or_power_that_is_not_confirmed_keeps_it_silent(
    command: int, answer: bytes
) -> None:
    module = Module(M100Reader(name="gate", region="us", power_cdbm=2_000))
    module.fails[command] = answer.replace(b"\x01\x07", bytes([1, command]))
    if answer[2:3] == b"\x07":
        module.fails[command] = said(command, b"\x01")
    heard = module.run(20_000)
    assert heard.count(command) > 2  # it is tried again
    assert 0x27 not in heard
    assert module.reader.counters["start_failed"] > 2


def test_a_module_that_knows_no_sleep_and_tells_nothing_of_itself_polls_all_the_same() -> None:
    module = Module(M100Reader(name="gate", region="us"))
    module.fails = {0x1D: said(0xFF, b"\x17"), 0x03: b""}
    assert module.run(5_000)[:6] == [0x03, 0x03, 0x03, 0x07, 0x1D, 0x27]


def test_it_is_started_again_when_the_count_has_run_out() -> None:
    module = Module(M100Reader(name="gate", region="us"))
    module.run()
    module.now_ms += 1_850
    assert module.run(0) == []
    module.tell(NO_TAG)
    assert module.run(1_999) == []
    assert module.run(1)[-1] == 0x27
    assert module.reader.counters["silent"] == 1


def test_a_module_that_is_not_there_is_asked_again_and_makes_no_facts() -> None:
    reader = M100Reader(name="gate", region="us")
    facts: list[Fact] = []
    said_bytes = b""
    now_ms = NOW_MS
    while now_ms < NOW_MS + 60_000:
        facts += reader.wake(now_ms)
        said_bytes += reader.take_bytes()
        due_ms = reader.next_deadline()
        assert due_ms is not None
        now_ms = max(now_ms + 1, due_ms)
    assert facts == []
    assert said_bytes.count(b"\xbb\x00\x07") > 5


def test_a_sleeping_module_is_woken_with_one_byte_first() -> None:
    reader = make()
    reader.wake(NOW_MS)
    assert reader.take_bytes()[:2] == b"\x00\xbb"
    reader.feed(said(0x03, b"\x00M100"), NOW_MS + 50)
    assert reader.take_bytes()[:1] == b"\xbb"
    reader.feed(said(0x03, b"\x01M100"), NOW_MS + 999)
    assert reader.take_bytes()[:1] == b"\xbb"
    reader.feed(said(0x03, b"\x02M100"), NOW_MS + 1_000)
    reader.order(GetPower(), NOW_MS + 2_000)
    assert reader.take_bytes()[:2] == b"\x00\xbb"


@pytest.mark.parametrize(("order", "answer", "outcome"), [
    (GetPower(), DATA["m100-m10"], ("B7", True, None)),
    (GetRegion(), DATA["m100-m09"], ("08", True, None)),
    (SetRegion(region="us"), DATA["m100-m08"], ("07", True, None)),
    (SetRegion(region="us"), said(0xFF, b"\x17"), ("07", False, 0x17)),
    (SetPower(power_cdbm=2_000), said(0xB6, b"\x01"), ("B6", False, None)),
    (ScanChannel(), DATA["m100-m12"], ("F3", True, None)),
    (GetInfo(info="manufacturer"), DATA["m100-c18"], ("03", True, None)),
    (PollOnce(), said(0xFF, b"\x20"), ("22", False, 0x20)),
])  # fmt: skip
def test_an_answer_ends_its_order(
    order: Order, answer: bytes, outcome: tuple[str, bool, int | None]
) -> None:
    reader = idle()
    reader.order(order, NOW_MS)
    reader.take_bytes()
    unasked = reader.counters["unasked"]
    assert answers(reader.feed(answer, NOW_MS + 50)) == [outcome]
    assert reader.counters["unasked"] == unasked
    assert answers(reader.wake(NOW_MS + 5_000)) == []


def idle() -> M100Reader:
    """A reader whose start is over."""
    reader = make()
    reader.wake(NOW_MS)
    drain(reader)
    return reader


@pytest.mark.parametrize("frame", [TAG, NO_TAG])
def test_a_tag_or_none_answers_a_poll_without_a_word_of_its_own(frame: bytes) -> None:
    reader = idle()
    reader.order(PollOnce(), NOW_MS)
    reader.take_bytes()
    assert answers(reader.feed(frame, NOW_MS + 50)) == []
    assert answers(reader.wake(NOW_MS + 5_000)) == []


def test_no_answer_in_a_second_is_an_answer_of_its_own_and_nothing_is_repeated() -> None:
    reader = idle()
    reader.order(GetPower(), NOW_MS)
    reader.take_bytes()
    assert reader.wake(NOW_MS + 999) == []
    assert reader.wake(NOW_MS + 1_000) == [
        ReaderAnswer(at_ms=NOW_MS + 1_000, command="B7", ok=None)
    ]
    assert reader.take_bytes() == b""
    assert reader.counters["unanswered"] == 1


def test_a_late_answer_and_one_to_nobody_are_told_and_counted() -> None:
    reader = idle()
    reader.order(GetPower(), NOW_MS)
    reader.take_bytes()
    late = reader.feed(DATA["m100-m10"], NOW_MS + 1_000)
    assert answers(late) == [("B7", None, None), ("B7", True, None)]
    assert reader.counters["unasked"] == 1
    reader.feed(DATA["m100-m09"], NOW_MS + 1_001)
    assert reader.counters["unasked"] == 2


def test_two_orders_go_one_after_the_other() -> None:
    reader = idle()
    reader.order(GetPower(), NOW_MS)
    reader.order(GetRegion(), NOW_MS)
    assert reader.take_bytes() == ask_of(GetPower()).data
    assert reader.take_bytes() == b""
    reader.feed(DATA["m100-m10"], NOW_MS + 50)
    assert reader.take_bytes() == ask_of(GetRegion()).data


def test_the_seventeenth_waiting_order_is_our_mistake() -> None:
    reader = idle()
    for _ in range(17):  # one is out, sixteen wait
        reader.order(GetPower(), NOW_MS)
    with pytest.raises(MisuseError, match="16 orders"):
        reader.order(GetPower(), NOW_MS)


def test_an_answer_to_another_question_answers_nothing() -> None:
    reader = idle()
    reader.order(GetInfo(info="hardware"), NOW_MS)
    reader.take_bytes()
    reader.feed(DATA["m100-c18"], NOW_MS)  # the manufacturer's
    assert [fact.ok for fact in reader.wake(NOW_MS + 1_000) if isinstance(fact, ReaderAnswer)] == [
        None
    ]
