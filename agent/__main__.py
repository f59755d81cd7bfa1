"""Start of the program: reads the arguments, then imports what they ask for (EDGE section 13).

Law: data on stdout, talk on stderr. Exits: 0 ok, 1 failed (`check`: only warnings), 2 usage, 4 refused, 5 unreachable,
6 the thing checked is bad.
"""

import argparse
import sys

CONFIG = "/etc/plomba/agent.toml"
EPILOG = "exits: 0 ok, 1 failed, 2 usage, 4 refused, 5 unreachable, 6 the thing checked is bad"


def main(argv: list[str] | None = None) -> int:
    """The exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    parser = _parser()
    said = parser.parse_args(arguments)
    match said.command:
        case "check":
            from agent.app.commands import check  # noqa: PLC0415  # --help shall not wait for it

            return check(
                said.config_file,
                as_json=said.json,
                offline=said.offline,
                live=said.live,
                wait_s=said.wait,
                may_update=said.may_update,
            )
        case "outbox":
            return _outbox(said)
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
        case "enrol":
            from agent.app.enrolling import enrol  # noqa: PLC0415  # as above

            return enrol(
                said.unit, said.server, said.token, said.ca, said.state, hardware=said.hardware
            )
        case "renew":
            from agent.app.enrolling import renew  # noqa: PLC0415  # as above

            return renew(said.unit, said.state, now_ms=said.now_ms)
        case "status":
            from agent.app.commands import status  # noqa: PLC0415  # as above

            return status(said.config, as_json=said.json)
        case _:
            if said.config is None:
                parser.error("--config FILE is needed to run")
            from agent.app.commands import run  # noqa: PLC0415  # as above

            return run(said.config, said.kill_at)


def _outbox(said: argparse.Namespace) -> int:
    from agent.app.outbox_commands import export, stats  # noqa: PLC0415  # as above

    if said.what == "stats":
        return stats(said.config, as_json=said.json, fast=said.fast)
    return export(
        said.config, said.folder, from_pos=said.from_pos, unsent=said.unsent, store=said.store
    )


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
    _add_outbox(commands)
    _add_enrol(commands)
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
    check.add_argument(
        "--live",
        action="store_true",
        help="the running agent only: the store writes, links talk, a receipt has come",
    )
    check.add_argument(
        "--wait", type=int, default=0, metavar="S", help="with --live: until it is good, S seconds"
    )
    check.add_argument(
        "--may-update",
        action="store_true",
        help="may the unit be restarted now: standing, on external power, nothing going on",
    )


def _add_outbox(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    outbox = commands.add_parser(
        "outbox", help="batches in the store: numbers, and copies for a stick"
    )
    what = outbox.add_subparsers(dest="what", metavar="WHAT", required=True)
    stats = what.add_parser(
        "stats",
        help="chains, batches waiting, room; each signature and link checked",
        epilog="exits: 0 ok, 3 there is no store, 6 a signature or a link fails",
    )
    stats.add_argument("--json", action="store_true", help="one object")
    stats.add_argument("--fast", action="store_true", help="check the newest batch only")
    export = what.add_parser(
        "export",
        help="copy batches, laid out as an evidence bundle; deletes nothing",
        epilog="exits: 0 ok, 1 numbers are missing or the folder cannot be written, 3 no store, 6 a row is bad",
    )
    export.add_argument("folder", metavar="DIR", help="new or empty")
    export.add_argument(
        "--from", dest="from_pos", type=int, default=0, metavar="POS", help="from this position on"
    )
    export.add_argument("--unsent", action="store_true", help="only what has no receipt")
    export.add_argument("--store", metavar="FILE", help="another file, one that was set aside")
    for command in (stats, export):
        command.add_argument("--config", metavar="FILE", default=CONFIG)


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


def _add_enrol(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    enrol = commands.add_parser(
        "enrol",
        help="ask the centre to be let in, wait for two people there, pin what it says",
        epilog="exits: 0 approved, 1 exists or cannot be kept, 2 usage, 4 refused, 5 unreachable;"
        " run again after a kill, it goes on",
    )
    enrol.add_argument("--unit", required=True, metavar="ID")
    enrol.add_argument("--server", required=True, metavar="URL", help="https://HOST[:PORT]")
    enrol.add_argument(
        "--token", required=True, metavar="-", help="only -: from standard input, never an argument"
    )
    enrol.add_argument("--ca", required=True, metavar="FILE", help="whom to believe, PEM")
    enrol.add_argument("--state", required=True, metavar="DIR", help="unit.state_dir")
    enrol.add_argument("--hardware", default="", metavar="TEXT", help="serial number of the box")
    renew = commands.add_parser(
        "renew",
        help="a new certificate for the same keys; the running agent does it by itself",
        epilog="exits: 0 renewed or not due, 1 failed, 4 refused, 5 unreachable",
    )
    renew.add_argument("--unit", required=True, metavar="ID")
    renew.add_argument("--state", required=True, metavar="DIR", help="unit.state_dir")
    renew.add_argument(
        "--now-ms", type=int, metavar="MS", help="only if two thirds of its life are over by then"
    )


def _add_status(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    status = commands.add_parser(
        "status", help="ask the running agent", epilog="exits 5 if none answers"
    )
    # Said behind the command it must not overwrite the one before it.
    status.add_argument("--config", metavar="FILE", required=True, default=argparse.SUPPRESS)
    status.add_argument("--json", action="store_true", help="one object")


if __name__ == "__main__":
    sys.exit(main())
