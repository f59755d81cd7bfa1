import pytest
from hypothesis import given, strategies as st

from firmware_sim.capture import PACES, Capture, CaptureSpec, without_comments
from tests.shared_data import shared


def played(spec: CaptureSpec) -> list[tuple[int, bytes]]:
    capture, said = Capture(spec), []
    while (due_ms := capture.next_due_ms()) is not None:
        capture.wake(due_ms)
        said += [(each.at_ms, each.data) for each in capture.take()]
    return said


@given(st.binary(max_size=500), st.sampled_from(PACES))
def test_every_byte_goes_out_once_and_in_order(data: bytes, pace: str) -> None:
    assert b"".join(piece for _, piece in played(CaptureSpec(data=data, pace=pace))) == data


def test_by_rate_a_thousand_bytes_take_a_second_and_four_hundredths() -> None:
    said = played(CaptureSpec(data=bytes(1000), baud=9600))
    assert said[-1][0] + len(said[-1][1]) * 10_000 / 9600 == pytest.approx(1041, abs=2)


def test_by_line_each_line_has_its_time() -> None:
    spec = CaptureSpec(data=b"a\r\nb\nc", pace="line", line_ms=50)
    assert played(spec) == [(0, b"a\r\n"), (50, b"b\n"), (100, b"c")]


def test_comments_are_lines_and_nothing_else() -> None:
    assert without_comments(b"# who\n$A#B\r\n#\n\xff#x\n# end") == b"$A#B\r\n\xff#x\n"


def test_nothing_happens_to_a_recording() -> None:
    capture = Capture(CaptureSpec(data=b"x"))
    capture.feed(b"(P43,1)", 0)
    assert capture.next_due_ms() == 0
    assert not capture.waits()


def test_a_real_log_loses_its_comments_only() -> None:
    log = shared("gpsd", "nmea", "gr601-w.log").read_bytes()
    kept = without_comments(log)
    assert kept.count(b"$GP") == log.count(b"$GP")
    assert b"\n#" not in kept
    assert not kept.startswith(b"#")
