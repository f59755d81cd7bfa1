"""Which rate to listen at next (DEVICES section 3.11)."""

from devices.nmea import BaudHunt, Rate

ORDER = [9_600, 38_400, 115_200, 4_800, 57_600, 19_200, 230_400, 460_800, 921_600]


def play(hunt: BaudHunt, script: str) -> list[str]:
    """Lines of second, good sentences, bytes; the answer is `second baud` of each change."""
    changes = []
    for row in script.strip().splitlines():
        second, good, count = row.split()
        rate = hunt.note(int(good), int(count), int(float(second) * 1000))
        if rate is not None:
            assert rate == hunt.rate
            changes.append(f"{second} {rate.baud}")
    return changes


def noise(hunt: BaudHunt, changes: int) -> list[Rate]:
    """Every rate that the hunt goes to while nothing but noise comes."""
    found: list[Rate] = []
    now_ms = 0
    while len(found) < changes:
        now_ms += 100
        rate = hunt.note(0, 1_200, now_ms)
        if rate is not None:
            found.append(rate)
    return found


def test_the_saved_rate_comes_first_and_only_once() -> None:
    hunt = BaudHunt(115_200)
    assert [hunt.rate.baud, *(rate.baud for rate in noise(hunt, 8))] == [
        115_200,
        *(baud for baud in ORDER if baud != 115_200),
    ]
    assert BaudHunt(None).rate == Rate(baud=9_600)
    assert BaudHunt(14_400).rate == Rate(baud=14_400)


def test_after_a_full_round_comes_one_with_7n2_and_then_8n1_for_good() -> None:
    tried = noise(BaudHunt(None), 4 * len(ORDER))
    eight, seven = [Rate(baud=b) for b in ORDER], [Rate(baud=b, bits=7, stop_bits=2) for b in ORDER]
    assert tried == [*eight[1:], *seven, *eight, *eight, eight[0]]


def test_two_good_sentences_win() -> None:
    hunt = BaudHunt(None)
    script = "0 0 10\n 1 1 300\n 2 0 300\n 2.5 1 300\n 20 5 5000"
    found = []
    for row in script.splitlines():
        assert play(hunt, row) == []
        found.append(hunt.found)
    assert found == [False, False, False, True, True]
    assert hunt.rate == Rate(baud=9_600)


def test_a_rate_has_three_seconds_or_1200_bytes() -> None:
    script = """
        0    0    0
        0.5  0  300
        2.9  0  300
        3    0    0
        3.1  0 1199
        3.2  0    1
        3.3  1 1199
        3.4  0    1
    """
    assert play(BaudHunt(None), script) == ["3 38400", "3.2 115200", "3.4 4800"]


def test_the_deadline_tells_when_a_rate_is_over_without_a_byte_more() -> None:
    hunt = BaudHunt(None)
    assert hunt.next_deadline() is None
    hunt.note(0, 0, 100)
    assert hunt.next_deadline() == 30_100
    hunt.note(0, 10, 600)
    assert hunt.next_deadline() == 3_100
    assert hunt.note(0, 0, 3_099) is None
    assert hunt.note(0, 0, 3_100) == Rate(baud=38_400)


def test_a_mute_receiver_is_not_wrong_and_the_others_get_half_a_minute_each() -> None:
    script = """
        0     0 0
        29.9  0 0
        30    0 0
        59.9  0 0
        60    0 0
    """
    assert play(BaudHunt(None), script) == ["30 38400", "60 115200"]


def test_the_first_bytes_after_a_long_silence_get_their_full_time() -> None:
    script = """
        0     0   0
        20    0 300
        22.9  0 300
        23    0   0
    """
    assert play(BaudHunt(None), script) == ["23 38400"]


def test_a_rate_that_was_right_is_left_after_five_seconds_of_noise() -> None:
    hunt = BaudHunt(38_400)
    script = """
        0    0    0
        1    9  600
        2    9  600
        3    0  400
        7.9  0 9000
        8    0  400
    """
    assert play(hunt, script) == ["8 9600"]
    assert not hunt.found


def test_a_good_sentence_ends_the_noise() -> None:
    script = "0 0 0\n 1 9 600\n 2 0 400\n 6 1 400\n 10 0 400\n 14.9 0 400\n 15 0 400"
    assert play(BaudHunt(None), script) == ["15 38400"]


def test_a_found_receiver_that_falls_silent_keeps_its_rate_for_half_a_minute() -> None:
    hunt = BaudHunt(115_200)
    script = "0 0 0\n 1 9 600\n 1.1 0 20\n 20 0 0\n 31 0 0\n 31.1 0 0"
    assert play(hunt, script) == ["31.1 9600"]


def test_a_rate_lost_is_tried_again_first_in_the_next_round() -> None:
    hunt = BaudHunt(None)
    hunt.note(0, 0, 0)
    while hunt.rate.baud != 4_800:
        hunt.note(0, 1_200, 1)
    hunt.note(2, 100, 2)
    hunt.note(0, 100, 3)
    hunt.note(0, 100, 5_003)
    after = [hunt.rate.baud, *(rate.baud for rate in noise(hunt, 8))]
    assert after == [*(baud for baud in ORDER if baud != 4_800), 4_800]
