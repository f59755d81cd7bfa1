"""What the command line does, each with its exit code (EDGE section 13).

Law: talk on stderr, data on stdout; every failure says what to do.
"""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.app.identity import IdentityError, fingerprint, load, make
from agent.app.versions import PROBATION_MS
from agent.app.versions_disk import Life, first_life
from agent.config import BadConfigError, Config, read, read_text
from agent.config.pins import UNIT_NUMBER_MAX, is_host
from wire.topics import is_unit_id

if TYPE_CHECKING:
    from collections.abc import Iterable

OK, FAILED, USAGE, UNREACHABLE, BAD = 0, 1, 2, 5, 6
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


def run(config_file: str, kill_at: str | None, *, probation_ms: int = PROBATION_MS) -> int:
    """Runs until it is told to stop. `probation_ms`: shorter in tests only."""
    from agent.app.kill import parse_kill_at  # noqa: PLC0415  # the loops are for this command alone
    from agent.app.log import set_up, warn  # noqa: PLC0415  # as above
    from agent.app.opening import StartError  # noqa: PLC0415  # as above
    from agent.app.run import run as run_unit  # noqa: PLC0415  # as above

    try:
        life = first_life(read_text(Path(config_file)))
    except BadConfigError as error:
        _talk(*(str(one) for one in error.errors))
        return USAGE
    try:
        at = _nobody if kill_at is None else parse_kill_at(kill_at)
        enrolled = load(life.config.identity_dir, life.config.unit_id)
    except (IdentityError, ValueError, BadConfigError) as error:
        _talk(str(error))
        return FAILED
    set_up()
    next_life: Life | None = life
    try:
        while next_life is not None:
            life = next_life
            try:
                next_life = asyncio.run(
                    run_unit(
                        life,
                        enrolled,
                        at,
                        probation_ms=probation_ms,
                        config_file=Path(config_file),
                    )
                )
            except StartError as error:
                warn("cannot_start", error=str(error))
                if not life.trial:
                    return FAILED
                next_life = first_life(life.local_text)  # the version on probation was its fault
    except BaseExceptionGroup as died:
        # A task that dies takes the program with it; systemd starts it clean.
        warn("died", error="; ".join(repr(one) for one in died.exceptions), exc_info=died)
        return FAILED
    return OK


def identity(
    unit: str,
    state: str,
    receipt_key: str,
    order_key: str,
    *,
    number: int | None = None,
    centre: str | None = None,
    as_json: bool,
) -> int:
    """Makes key and pins; prints the public key and its fingerprint."""
    faults = [
        f"--{name}: 64 hex digits (an Ed25519 public key), is {value!r}"
        for name, value in (("receipt-key", receipt_key), ("order-key", order_key))
        if not _KEY.fullmatch(value)
    ]
    if not is_unit_id(unit):
        faults.append(f"--unit: 3 to 32 of a-z, 0-9 and -, first and last no -, is {unit!r}")
    if number is not None and not 0 <= number <= UNIT_NUMBER_MAX:
        faults.append(f"--number: 0 to {UNIT_NUMBER_MAX}, is {number}")
    if centre is not None and not is_host(centre):
        faults.append(f"--centre: a host's name in small letters, is {centre!r}")
    if receipt_key == order_key:
        faults.append("--order-key: another key than --receipt-key")
    if faults:
        _talk(*faults)
        return USAGE
    folder = Path(state) / "identity"
    try:
        public_key = make(
            folder,
            unit_id=unit,
            receipt_key=bytes.fromhex(receipt_key),
            order_key=bytes.fromhex(order_key),
            unit_number=number,
            centre=centre,
        )
    except IdentityError as error:
        _talk(str(error))
        return FAILED
    if as_json:
        _print(
            json.dumps(
                {
                    "unit": unit,
                    "public_key": public_key.hex(),
                    "fingerprint": fingerprint(public_key),
                    "identity": str(folder),
                }
            )
        )
    else:
        _print(f"unit         {unit}", f"public key   {public_key.hex()}")
        _print(f"fingerprint  {fingerprint(public_key)}", f"identity     {folder}")
    return OK


def status(config_file: str, *, as_json: bool) -> int:
    """What the running agent says of itself."""
    from agent.io.status import StatusError, ask  # noqa: PLC0415  # for this command alone

    config = _read(config_file)
    if config is None:
        return USAGE
    try:
        numbers = ask(config.socket_path, "/status.json")
    except StatusError as error:
        _talk(str(error))
        return UNREACHABLE
    if as_json:
        _print(json.dumps(numbers))
        return OK
    for name, value in numbers.items():
        if name in {"seals", "alarms", "reasons"} and isinstance(value, list):
            for one in value:
                words = [f"{key} {said}" for key, said in one.items() if said not in (None, [])]
                _print(f"{name:22} {', '.join(words)}")
        elif name == "links" and isinstance(value, list):
            for link in value:
                _print(f"{'link ' + link['name']:22} {link['state']}  {link['detail']}".rstrip())
        elif value is not None and name not in {"hello", "r1", "r2"}:
            _print(f"{name:22} {value}")
    return OK


def check(
    config_file: str,
    *,
    as_json: bool,
    offline: bool,
    live: bool = False,
    wait_s: int = 0,
    may_update: bool = False,
) -> int:
    """A line for each thing that a unit needs; the worst one rules."""
    from agent.app.check import Finding, look, verdict  # noqa: PLC0415  # for this command alone
    from agent.app.check_live import look_live, look_may_update  # noqa: PLC0415  # as above

    findings: Iterable[Finding]
    if may_update:
        findings = look_may_update(Path(config_file))
    elif live:
        findings = look_live(Path(config_file), wait_s)
    else:
        findings = look(Path(config_file), offline=offline)
    found: list[Finding] = []
    for finding in findings:
        found.append(finding)
        if as_json:
            _print(json.dumps(finding.as_dict()))
        else:
            hint = f"  -> {finding.hint}" if finding.hint else ""
            _print(f"{finding.level.value:4}  {finding.name:20} {finding.detail}{hint}")
    return verdict(found)


def _read(config_file: str) -> Config | None:
    try:
        return read(Path(config_file))
    except BadConfigError as error:
        _talk(*(str(one) for one in error.errors))
        return None


def _nobody(_name: str) -> None:
    """No harness is at work."""


def _talk(*lines: str) -> None:
    for line in lines:
        sys.stderr.write(f"{line}\n")


def _print(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
