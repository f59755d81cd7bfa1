"""`plomba-sim`: plays a scenario through real ptys, or only checks it (DEVICES 8.5).

Exits: 0 played or sound, 1 failed, 2 usage, 3 no such file, 6 faults in the scenario.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from firmware_sim.player import Options, complain, play
from firmware_sim.ptys import PortError
from firmware_sim.scenario import Scenario, read_scenario

__all__ = ["main"]

OK, FAILED, NOT_FOUND, FAULTY = 0, 1, 3, 6


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
    parser = argparse.ArgumentParser(
        prog="plomba-sim", description="A truck's devices behind ptys."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="play a scenario through ptys")
    check = commands.add_parser("check", help="only look for faults in it")
    for command in (run, check):
        command.add_argument("scenario", type=Path)
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


def _rate(word: str) -> float:
    rate = float(word)
    if not 0 <= rate <= 10_000:
        raise argparse.ArgumentTypeError("0 to 10000")
    return rate


if __name__ == "__main__":
    sys.exit(main())
