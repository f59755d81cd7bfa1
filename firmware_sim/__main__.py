"""`plomba-sim`: plays a scenario through real ptys, or only checks it (DEVICES 8.5).

Exits: 0 played or sound, 1 failed, 2 usage, 3 no such file, 6 faults in the scenario.
"""

import argparse
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from firmware_sim.cable import FAULT_KINDS
from firmware_sim.player import Options, complain, play
from firmware_sim.ptys import PortError
from firmware_sim.scenario import Scenario, read_scenario
from firmware_sim.scenario_events import EVENTS, keys_of

__all__ = ["main"]

OK, FAILED, NOT_FOUND, FAULTY = 0, 1, 3, 6
HELP_COLUMNS = 100
SMALLEST = """\
scenario = { name = "hello", start = "now", end_s = 600 }
receiver = { fix_after_s = 5 }
seal = { id = "8000620011" }
event = [{ at_s = 60, do = "rope_in" }, { at_s = 120, do = "jam", for_s = 60 }]
fault = [{ device = "gps", kind = "bad_checksum", per_hour = 40 }]
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code; usage errors leave by argparse with 2."""
    words = _parser().parse_args(argv)
    path: Path = words.scenario
    if not path.is_file():
        sys.stderr.write(f"no such file: {path}\n")
        return NOT_FOUND
    text = path.read_text(encoding="utf-8", errors="replace")
    scenario = read_scenario(text, path.parent, seed=words.seed)
    if isinstance(scenario, list):
        complain(scenario)
        return FAULTY
    if words.command == "check":
        sys.stdout.write(f"{scenario.name}: sound, {scenario.end_ms / 1000:g} s\n")
        return OK
    return _run(scenario, words)


def _run(scenario: Scenario, words: argparse.Namespace) -> int:
    folder: Path | None = words.dir
    own = None if folder else Path(tempfile.mkdtemp(prefix="plomba-sim-"))
    folder = folder or own
    assert folder is not None
    truth: Path | None = words.truth
    try:
        folder.mkdir(parents=True, exist_ok=True)
        buffering = 1 if words.rate else -1  # by the line, for those who read along
        with (
            nullcontext()
            if truth is None
            else truth.open("w", buffering, encoding="utf-8") as sheet
        ):
            options = Options(
                folder=folder,
                files=words.scenario.parent,
                rate=words.rate,
                hold=words.hold,
                truth=sheet,
            )
            play(scenario, options)
    except (PortError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    finally:
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = _said(argparse.ArgumentParser, prog="plomba-sim", epilog=_epilog())
    parser.description = "A truck's devices made of software: a GPS receiver, an e-seal and an RFID reader behind ptys."
    commands = parser.add_subparsers(dest="command", required=True)
    run = _said(commands.add_parser, "run", help="play a scenario through ptys", epilog=_epilog())
    check = _said(commands.add_parser, "check", help="only look for faults in it", epilog=_epilog())
    for command in (run, check):
        command.add_argument("scenario", type=Path, help="a TOML file, as below")
        command.add_argument("--seed", type=int, help="instead of the scenario's own")
    run.add_argument("--dir", type=Path, help="folder of the links (default: a new one)")
    run.add_argument(
        "--rate", type=_rate, default=1.0, help="world seconds a second; 0: as it is read"
    )
    run.add_argument(
        "--truth", type=Path, help="write what really happened, one JSON line a second"
    )
    run.add_argument("--hold", action="store_true", help='begin with {"do":"go"} on standard input')
    return parser


def _epilog() -> str:
    """What a scenario may hold; the words come from the tables that read it."""
    devices = {"gps": "gps", "seal": "seal", "rfid": "rfid", "": "any device"}
    parts = [f"the smallest scenario:\n\n{textwrap.indent(SMALLEST, '  ')}"]
    for device, title in devices.items():
        words = ", ".join(_event(do) for do, (of, _) in EVENTS.items() if of == device)
        parts.append(_wrapped(f"events of {title}: ", words))
    parts += [
        _wrapped("faults of the cable: ", f"{', '.join(FAULT_KINDS)} (per_hour, from_s, to_s)"),
        _wrapped(
            "",
            'run prints {"device":...,"path":...,"baud":...} for each device, then {"ready":true}; every line on standard '
            'input is an event, {"do":"cut"}. It ends at end_s or on SIGTERM.',
        ),
        _wrapped("", "Exits: 0 played or sound, 1 failed, 2 usage, 3 no such file, 6 faulty."),
    ]
    return "\n".join(parts)


def _event(do: str) -> str:
    keys = keys_of(do)
    return f"{do} ({', '.join(keys)})" if keys else do


def _wrapped(title: str, words: str) -> str:
    return textwrap.fill(title + words, HELP_COLUMNS, subsequent_indent="  " if title else "")


def _said(
    make: Callable[..., argparse.ArgumentParser], *names: str, **words: str
) -> argparse.ArgumentParser:
    return make(*names, formatter_class=argparse.RawDescriptionHelpFormatter, **words)


def _rate(word: str) -> float:
    try:
        rate = float(word)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 10_000:
        raise argparse.ArgumentTypeError(f"0 to 10000; is {word!r}")
    return rate


if __name__ == "__main__":
    sys.exit(main())
