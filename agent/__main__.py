"""Start of the program: reads the arguments, then imports what they ask for (EDGE section 13).

Law: data on stdout, talk on stderr. Exits: 0 ok, 1 failed (`check`: only warnings), 2 usage, 5 unreachable, 6 the thing checked is bad.
"""

import argparse
import sys

EPILOG = "exits: 0 ok, 1 failed, 2 usage, 5 unreachable, 6 the thing checked is bad"


def main(argv: list[str] | None = None) -> int:
    """The exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    parser = _parser()
    said = parser.parse_args(arguments)
    match said.command:
        case "check":
            from agent.app.commands import check  # noqa: PLC0415  # --help shall not wait for it

            return check(said.config_file, as_json=said.json, offline=said.offline)
        case "identity":
            from agent.app.commands import identity  # noqa: PLC0415  # as above

            return identity(
                said.unit,
                said.state,
                said.receipt_key,
                said.order_key,
                number=said.number,
                centre=said.centre,
                as_json=said.json,
            )
        case "status":
            from agent.app.commands import status  # noqa: PLC0415  # as above

            return status(said.config, as_json=said.json)
        case _:
            if said.config is None:
                parser.error("--config FILE is needed to run")
            from agent.app.commands import run  # noqa: PLC0415  # as above

            return run(said.config, said.kill_at)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="plomba-agent",
        description="The unit: reads receiver and seals, seals what they say, delivers it to the collector.",
        epilog=EPILOG,
    )
    parser.add_argument("--config", metavar="FILE", help="run with these settings")
    parser.add_argument("--kill-at", metavar="NAME:K", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_check(commands)
    _add_identity(commands)
    _add_status(commands)
    return parser


def _add_check(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    check = commands.add_parser(
        "check",
        help="look at everything that a unit needs, change nothing",
        epilog="exits: 0 all good, 1 only warnings, 5 only the broker fails, 6 something is bad",
    )
    check.add_argument("config_file", metavar="CONFIG")
    check.add_argument("--json", action="store_true", help="one object a line")
    check.add_argument("--offline", action="store_true", help="leave the broker alone")


def _add_identity(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    identity = commands.add_parser(
        "identity",
        help="make key and pins by hand, once",
        epilog="prints the public key, which the collector must be told; exits 1 if there is an identity already",
    )
    identity.add_argument("--unit", required=True, metavar="ID")
    identity.add_argument("--state", required=True, metavar="DIR", help="unit.state_dir")
    identity.add_argument(
        "--receipt-key", required=True, metavar="HEX", help="the collector's, public"
    )
    identity.add_argument(
        "--order-key", required=True, metavar="HEX", help="the collector's, public"
    )
    identity.add_argument(
        "--number", type=int, metavar="N", help="the unit's number there, for its hand-over code"
    )
    identity.add_argument("--centre", metavar="HOST", help="where officers scan that code")
    identity.add_argument("--json", action="store_true", help="one object")


def _add_status(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    status = commands.add_parser(
        "status", help="ask the running agent", epilog="exits 5 if none answers"
    )
    # Said behind the command it must not overwrite the one before it.
    status.add_argument("--config", metavar="FILE", required=True, default=argparse.SUPPRESS)
    status.add_argument("--json", action="store_true", help="one object")


if __name__ == "__main__":
    sys.exit(main())
