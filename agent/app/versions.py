"""Versions of the settings that came by air: which is tried, kept, given back or refused (EDGE section 10; WIRE section 14, kind 4).

Law: a version that brought no receipt is given back by itself, and one that failed three times is refused until its successor.
Pure: the state is one cell of the outbox's memory and changes in the transaction that stores the record about it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from wire.canon import decode, encode

CELL = "config"  # its name in the outbox's memory
TRIES_MAX = 3  # at once, after 1 h, after 6 h (EDGE section 10)
WAITS_MS = (3_600_000, 21_600_000)  # behind the first and the second failure
PROBATION_MS = 900_000  # a receipt must come within 15 min

_SHA_BYTES = 32


class Result(IntEnum):
    """Second element of a `config` event (WIRE section 6, kind 18)."""

    TAKEN = 0
    REFUSED = 1
    ROLLED_BACK = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """A moment that survives no start of the operating system: no wall clock times anything out here."""

    boot_no: int
    mono_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What the unit knows of its versions; 0 is the local file's."""

    running: int = 0  # confirmed by a receipt
    newest: int = 0  # ever tried, taken or refused: an older one is history, whoever says it
    refused: bool = False  # `newest` is refused, and that was told
    trial: int = 0  # on probation; 0: none
    trial_sha: bytes = b""  # SHA-256 of its text
    tries: int = 0  # of `newest`
    failed: Instant | None = None  # its newest failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    """Nothing follows; `why` is counted."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """It will never run here: told once."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """What it says holds already: it is the running one from now on, and nothing restarts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """Write it beside and restart with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """It failed a while ago: again at this moment of the present start."""

    until_mono_ms: int


Verdict = Ignore | Refuse | Take | Try | Wait


def judge(state: Versions, version: int, *, fault: str, same: bool, now: Instant) -> Verdict:
    """What to do with `version`, which is genuinely the centre's. `fault`: why it cannot hold here; `same`: it says what holds."""
    if version <= state.running or version < state.newest:
        return Ignore(why="older")
    if version == state.trial:
        return Ignore(why="on probation")
    if version == state.newest and state.refused:
        return Ignore(why="refused before")
    if fault:
        return Refuse(why=fault)
    if same and not state.trial:
        return Take()
    if version > state.newest:
        return Try()
    if state.tries >= TRIES_MAX:
        return Refuse(why="tried three times")
    due_ms = _due_ms(state, now)
    return Try() if now.mono_ms >= due_ms else Wait(until_mono_ms=due_ms)


def begin(state: Versions, version: int, text_sha: bytes) -> Versions:
    """`version` goes on probation. Counted before it runs: a version that kills the unit has been tried."""
    tries = state.tries + 1 if version == state.newest else 1
    return Versions(
        running=state.running,
        newest=version,
        trial=version,
        trial_sha=text_sha,
        tries=tries,
    )


def confirm(state: Versions) -> Versions:
    """A receipt has come: the version on probation is the running one."""
    assert state.trial
    return replace(
        state, running=state.trial, trial=0, trial_sha=b"", tries=0, failed=None
    )  # `newest` may have been refused meanwhile


def give_back(state: Versions, now: Instant) -> Versions:
    """None has come, or the process has ended: the version before returns."""
    assert state.trial
    return replace(state, trial=0, trial_sha=b"", failed=now)


def take(state: Versions, version: int) -> Versions:
    """`version` says what holds already."""
    assert version >= state.newest
    return Versions(running=version, newest=version)


def refuse(state: Versions, version: int) -> Versions:
    """`version` is refused for good; a trial of an older one goes on."""
    assert version >= state.newest
    return replace(state, newest=version, refused=True)


def lose(state: Versions, now: Instant) -> Versions:
    """The file of the running version cannot be used any more: the local file's rules hold, and the centre may say it again."""
    return replace(state, running=0, failed=now, tries=0)


def encode_cell(state: Versions) -> bytes:
    """The state as the outbox's memory keeps it."""
    failed = () if state.failed is None else (state.failed.boot_no, state.failed.mono_ms)
    return encode(
        (
            state.running,
            state.newest,
            int(state.refused),
            state.trial,
            state.trial_sha,
            state.tries,
            failed,
        )
    )


def decode_cell(cell: bytes | None) -> Versions:
    """The state that was kept; a unit that keeps none, or one that it cannot read, runs its local file."""
    match None if cell is None else decode(cell):
        case [
            int(running),
            int(newest),
            int(refused),
            int(trial),
            bytes(sha),
            int(tries),
            [*failed],
        ] if len(sha) in {0, _SHA_BYTES}:
            return Versions(
                running=running,
                newest=newest,
                refused=bool(refused),
                trial=trial,
                trial_sha=sha,
                tries=tries,
                failed=_instant(failed),
            )
        case _:
            return Versions()


def _instant(numbers: Sequence[object]) -> Instant | None:
    match numbers:
        case [int(boot_no), int(mono_ms)]:
            return Instant(boot_no=boot_no, mono_ms=mono_ms)
        case _:
            return None


def _due_ms(state: Versions, now: Instant) -> int:
    """When the next try is due. After a start of the operating system the wait begins anew: no clock tells how long it was off."""
    failed = state.failed
    if failed is None or not 1 <= state.tries <= len(WAITS_MS):
        return 0
    since_ms = failed.mono_ms if failed.boot_no == now.boot_no else 0
    return since_ms + WAITS_MS[state.tries - 1]
