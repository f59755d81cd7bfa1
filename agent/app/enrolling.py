"""`plomba-agent enrol` and `renew`, with their exit codes (EDGE sections 10 and 13).

Law: the token comes from standard input; the fingerprint goes to standard output, for the second person to compare.
"""

import sys
from base64 import b32decode
from binascii import Error as NoBase32Error
from pathlib import Path
from typing import TextIO

from agent.app import enrol as steps
from agent.app.enrol import EnrolError, Pending, RefusedError, UnreachableError
from agent.app.identity import fingerprint
from agent.io.https import door_of
from wire.enrol import SERIAL_CHARS_MAX
from wire.topics import is_unit_id

OK, FAILED, USAGE, REFUSED, UNREACHABLE = 0, 1, 2, 4, 5
STDIN = "-"  # where the token is read from
TOKEN_BYTES = 32
TOKEN_CHARS_MAX = 80


def enrol(
    unit: str,
    server: str,
    token: str,
    ca: str,
    state: str,
    *,
    hardware: str,
    stdin: TextIO = sys.stdin,
    poll_s: float = steps.POLL_S,
) -> int:
    """From nothing to an identity. `poll_s`: shorter in tests only."""
    door, ca_file = door_of(server), Path(ca)
    faults = [
        fault
        for is_good, fault in (
            (is_unit_id(unit), f"--unit: 3 to 32 of a-z, 0-9 and -, is {unit!r}"),
            (door is not None, f"--server: https://HOST[:PORT], is {server!r}"),
            (token == STDIN, "--token: only -; a token in an argument is read by everybody"),
            (ca_file.is_file(), f"--ca: there is no file {ca}"),
            (len(hardware) <= SERIAL_CHARS_MAX, f"--hardware: {SERIAL_CHARS_MAX} characters"),
        )
        if not is_good
    ]
    if faults or door is None:
        _talk(*faults)
        return USAGE
    folder = Path(state) / "identity"
    beside = folder.with_name("identity.new")
    if folder.exists():
        _talk(f"{folder} exists: an identity is made once and never over another")
        return FAILED
    try:
        waiting = steps.pending(beside, unit)
        if waiting is None:
            raw = _token(stdin)
            if raw is None:
                return USAGE
            waiting = steps.prepare(beside, unit_id=unit, token=raw, hardware=hardware)
        steps.post(beside, door, ca_file, waiting)
        _show(waiting)
        said = steps.wait(door, ca_file, waiting, _talk, poll_s=poll_s)
        steps.finish(folder, beside, unit_id=unit, door=door, ca_file=ca_file, said=said)
    except RefusedError as error:
        if (beside / steps.REQUEST_FILE).exists():  # turned down by a person, not by a token
            steps.give_up(beside)
        _talk(str(error))
        return REFUSED
    except UnreachableError as error:
        _talk(str(error), "what is made so far is kept: run the command again")
        return UNREACHABLE
    except EnrolError as error:
        _talk(str(error))
        return FAILED
    _talk(f"approved; identity in {folder}")
    return OK


def renew(unit: str, state: str, *, now_ms: int | None) -> int:
    """Another certificate for the same keys."""
    try:
        _talk(steps.renew(Path(state) / "identity", unit_id=unit, now_ms=now_ms))
    except RefusedError as error:
        _talk(str(error))
        return REFUSED
    except UnreachableError as error:
        _talk(str(error))
        return UNREACHABLE
    except EnrolError as error:
        _talk(str(error))
        return FAILED
    return OK


def _token(stdin: TextIO) -> bytes | None:
    text = stdin.readline(TOKEN_CHARS_MAX).strip().upper()
    try:
        raw = b32decode(text + "=" * (-len(text) % 8))
    except NoBase32Error:
        raw = b""
    if len(raw) == TOKEN_BYTES:
        return raw
    _talk("the token, 52 letters and digits, is expected on standard input")
    return None


def _show(waiting: Pending) -> None:
    sys.stdout.write(f"{fingerprint(waiting.public_key)}\n")
    sys.stdout.flush()
    _talk("waiting until a second person at the centre has compared this fingerprint")


def _talk(*lines: str) -> None:
    for line in lines:
        sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
