"""The rule by which the watchdog is fed, and the datagrams that feed it (EDGE section 9)."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from agent.io.watchdog import Watchdog
from agent.vitals import Limits, Signs, limits_for, trouble

WELL = Signs(
    lag_ms=0,
    writer_ms=0,
    tasks_ms={"facts": 900, "line": 14_000},
    deadlines_ms={"recorder": -59_000, "uplink": 200},
    links_ms={"gps": 1_000},
)
USUAL = Limits()


def late(**more: object) -> str:
    return trouble(replace(WELL, **more), USUAL)  # type: ignore[arg-type]  # a test says what it likes


def test_a_unit_that_moves_is_fed() -> None:
    assert trouble(WELL, USUAL) == ""


@pytest.mark.parametrize(
    ("more", "limit", "words"),
    [
        ("lag_ms", 5_000, "loop"),
        ("writer_ms", 30_000, "writer"),
        ("tasks_ms", 60_000, "task x"),
        ("deadlines_ms", 60_000, "deadline x"),
        ("links_ms", 60_000, "link x"),
    ],
)
def test_e31_whatever_stands_still_for_too_long_is_named(more: str, limit: int, words: str) -> None:
    def value(ms: int) -> object:
        return {"well": 0, "x": ms} if more.endswith("s_ms") and more != "writer_ms" else ms

    if more in {"lag_ms", "writer_ms"}:
        assert late(**{more: limit - 1}) == ""
        assert words in late(**{more: limit})
    else:
        assert late(**{more: value(limit - 1)}) == ""
        assert words in late(**{more: value(limit)})


def test_a_writer_that_spills_may_be_silent() -> None:
    assert late(writer_ms=3_600_000, spilling=True) == ""


@pytest.mark.parametrize(
    ("watchdog_us", "limits"),
    [
        (None, USUAL),
        (60_000_000, USUAL),
        (600_000_000, USUAL),  # a patient manager makes no patient keeper
        (0, USUAL),
        (
            6_000_000,
            Limits(feed_ms=1_500, lag_ms_max=2_000, writer_ms_max=3_000, late_ms_max=6_000),
        ),
    ],
)
def test_limits_shrink_with_the_watchdogs_time(watchdog_us: int | None, limits: Limits) -> None:
    assert limits_for(watchdog_us) == limits


@pytest.mark.parametrize("watchdog_us", [1, 1_000_000, 30_000_000, 60_000_000, 10**12])
def test_two_meals_may_be_lost_before_the_manager_acts(watchdog_us: int) -> None:
    assert 3 * limits_for(watchdog_us).feed_ms <= max(watchdog_us / 1000, 3)


# datagrams


@pytest.fixture
def manager(tmp_path: Path) -> socket.socket:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.setblocking(False)
    return manager


def test_the_manager_is_told_in_its_own_words(manager: socket.socket, tmp_path: Path) -> None:
    watchdog = Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    watchdog.ready()
    watchdog.feed()
    watchdog.stopping()
    said = [manager.recv(100) for _ in range(3)]
    assert said == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]
    assert watchdog.lost == 0
    manager.close()


def test_an_abstract_socket_is_one_too() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0plomba-test-notify")
        Watchdog({"NOTIFY_SOCKET": "@plomba-test-notify"}).feed()
        assert manager.recv(100) == b"WATCHDOG=1"


def test_a_manager_that_is_not_there_or_does_not_read_stops_nobody(
    manager: socket.socket, tmp_path: Path
) -> None:
    Watchdog({}).feed()
    gone = Watchdog({"NOTIFY_SOCKET": str(tmp_path / "none")})
    gone.feed()
    assert gone.lost == 1
    deaf = Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    for _ in range(10_000):
        deaf.feed()
    assert deaf.lost > 0
    manager.close()


@pytest.mark.parametrize(
    ("environ", "watchdog_us"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60_000_000),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
        ({}, None),
    ],
)
def test_the_watchdogs_time_is_read_if_it_is_meant_for_us(
    environ: dict[str, str], watchdog_us: int | None
) -> None:
    assert Watchdog(environ).watchdog_us == watchdog_us
