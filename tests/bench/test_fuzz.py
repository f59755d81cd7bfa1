"""The fuzzer finds what it looks for, says the same for the same seed, and finds nothing in our readers in its first lumps."""

from random import Random

import pytest
from typer.testing import CliRunner

from bench.fuzz import cutting_matters, fuzz
from bench.hostile import Target, targets
from devices import Counters, Fact, Odd
from plomba.__main__ import app

TARGETS = targets()
LONG_S = 600.0  # the number of lumps ends it


class Bad:
    """A reader with one fault."""

    def __init__(self, fault: str) -> None:
        self.counters: Counters = Counters()
        self._fault = fault
        self._held = b""
        self._has_spoken = False

    def feed(self, data: bytes, now_ms: int) -> list[Fact]:
        if self._fault == "raises" and b"\xff" in data:
            raise ValueError("a byte that it did not expect")
        if self._fault == "grows":
            self._held += data
        if self._fault == "cutting" and data:
            self.counters["reads"] += 1
        if self._fault != "remarks" or self._has_spoken:
            return []
        self._has_spoken = True
        odd = Odd(at_ms=now_ms, protocol="bad", reason="twice", sample=b"")
        return [odd, odd]

    def wake(self, now_ms: int) -> list[Fact]:  # noqa: ARG002  # the shape of every reader
        return []

    def next_deadline(self) -> int | None:
        return None

    def take_bytes(self) -> bytes:
        return b""


def account_of(fault: str) -> dict[str, bool]:
    like = TARGETS["m100"]
    target = Target(make=lambda: Bad(fault), captures=like.captures, marks=like.marks)
    lumps_max = 5 if fault == "raises" else 200  # each ends the session of a reader
    account = fuzz("bad", target, LONG_S, 1, lumps_max=lumps_max)
    return {
        "raises": account.exceptions > 0,
        "grows": account.memory_bytes_max > 65_536,
        "cutting": account.differences > 0,
        "remarks": account.remarks_too_often > 0,
        "sound": account.is_sound,
    }


@pytest.mark.parametrize("fault", ["raises", "grows", "cutting", "remarks"])
def test_each_fault_is_found_and_no_other(fault: str) -> None:
    found = account_of(fault)
    assert found.pop("sound") is False
    assert [name for name, is_found in found.items() if is_found] == [fault]


def test_a_reader_without_fault_is_sound() -> None:
    assert account_of("none")["sound"]


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_raised_and_no_cutting_matters_in_the_first_lumps(name: str) -> None:
    account = fuzz(name, TARGETS[name], LONG_S, 7, lumps_max=50)
    assert account.failures == []
    assert (account.exceptions, account.differences, account.remarks_too_often) == (0, 0, 0)


@pytest.mark.parametrize("name", TARGETS)
def test_a_lump_of_no_bytes_is_no_cutting(name: str) -> None:
    # it has no piece: a reader that is told the time by its pieces alone starts a minute later
    assert not cutting_matters(TARGETS[name], b"", Random(1))


def test_the_same_seed_is_the_same_run() -> None:
    first, again = (fuzz("llrp", TARGETS["llrp"], LONG_S, 3, lumps_max=50) for _ in range(2))
    assert (first.bytes, first.facts) == (again.bytes, again.facts)


def test_a_reader_that_is_not_known_is_wrong_usage() -> None:
    result = CliRunner().invoke(app, ["bench", "fuzz", "--reader", "morse"])
    assert result.exit_code == 2
    assert "one of nmea, jt701" in result.stderr


def test_the_command_reports_and_exits_ok() -> None:
    arguments = ["bench", "fuzz", "--reader", "llrp", "--seconds", "0.1", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert '"llrp": {"sound": true' in result.stdout
