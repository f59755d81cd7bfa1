"""Start of the operator's command line: a Typer app for each noun, each in a room of its own.

Law: what a command needs is imported when it runs, so that `--help` is quick.
"""

import gc
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from plomba import (
    alert,
    alert_act,
    alert_notify,
    alert_show,
    bench,
    bench_console,
    case,
    collector,
    detect,
    devices_nmea,
    devices_seal,
    devices_tags,
    doctor,
    journey,
    login,
    order,
    route,
    rule,
    rule_try,
    tokens,
    unit,
    unit_config,
    unit_enrol,
    unit_gap,
    unit_road,
    user,
    wire,
    zone,
)
from plomba.demo import command

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Plomba follows sealed cargo: units, seals, zones, alerts.",
    epilog="Exits: 0 ok, 1 failed, 2 usage, 3 not found, 4 not allowed, 5 unreachable, 6 the thing checked is bad.",
)


@app.callback()
def _begin(
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            help="Where the session's token lies; PLOMBA_TOKEN_FILE, or PLOMBA_TOKEN for the token itself.",
        ),
    ] = None,
) -> None:
    if token_file is not None:
        os.environ[tokens.FILE] = str(token_file)


def _group(name: str, words: str) -> typer.Typer:
    group = typer.Typer(no_args_is_help=True, help=words)
    app.add_typer(group, name=name)
    return group


app.command("demo")(command.demo)
app.command("doctor")(doctor.doctor)
app.command("login")(login.login)
app.command("logout")(login.logout)
app.command("step-up")(login.step_up)

_collector = _group("collector", "The centre: broker, ingest, detection, API.")
_collector.command("run")(collector.run)
_collector.command("status")(collector.status)
_collector.command("keys")(collector.keys)
_collector.command("gateway")(collector.gateway)
_collector.command("backup")(collector.backup)

_unit = _group("unit", "The boxes in the trucks.")
_unit.command("add")(unit.add)
_unit.command("list")(unit.list_units)
_unit.command("show")(unit.show)
_unit.command("track")(unit.track)
_unit.command("watch")(unit.watch)
_unit.command("order")(order.order)
_unit.command("orders")(order.orders)
_unit.command("order-withdraw")(order.withdraw)
_unit.command("config")(unit_config.config)
_unit.command("gap-close")(unit_gap.gap_close)
unit_enrol.mount(_unit)

user.mount(_group("user", "Who may log in."))
unit_road.mount(_unit)

_journey = _group("journey", "What units are on, and the numbers by which an officer finds them.")
_journey.command("add")(journey.add)
_journey.command("list")(journey.list_journeys)
_journey.command("import")(journey.import_journeys)

_alert = _group("alert", "What is wrong.")
_alert.command("list")(alert.list_alerts)
_alert.command("watch")(alert.watch)
for _name, _act in (
    ("ack", alert_act.ack),
    ("take", alert_act.take),
    ("shelve", alert_act.shelve),
    ("unshelve", alert_act.unshelve),
    ("resolve", alert_act.resolve),
    ("reset", alert_act.reset),
    ("second", alert_act.second),
    ("suppress", alert_act.suppress),
    ("take-out", alert_act.take_out),
    ("history", alert_act.history),
    ("show", alert_show.show),
    ("catalogue", alert_show.catalogue),
    ("messages", alert_notify.messages),
    ("notify-test", alert_notify.notify_test),
    ("load", alert_act.load),
):
    _alert.command(_name)(_act)

_case = _group("case", "What people make of alerts: assigned, dispatched, resolved, reviewed.")
for _name, _do in (
    ("list", case.list_cases),
    ("show", case.show),
    ("open", case.open_case),
    ("join", case.join),
    ("assign", case.assign),
    ("dispatch", case.dispatch),
    ("recall", case.recall),
    ("arrive", case.arrive),
    ("resolve", case.resolve),
    ("review", case.review),
    ("reopen", case.reopen),
):
    _case.command(_name)(_do)

_zone = _group("zone", "Zones as GeoJSON.")
_zone.command("import")(zone.import_zones)
_route = _group("route", "Prescribed routes as GeoJSON.")
_route.command("import")(route.import_routes)

_rule = _group("rule", "Versions of the rules; thresholds; drafts tried on what is stored.")
_rule.command("try")(rule_try.try_rules)
_rule.command("list")(rule.list_rules)
_rule.command("show")(rule.show)
_rule.command("import")(rule.import_rules)

_detect = _group("detect", "What the detectors find on recorded tracks.")
_detect.command("replay")(detect.replay)
_detect.command("check")(detect.check)

_wire = _group("wire", "Messages as they were on the air.")
_wire.command("judge")(wire.judge)

_devices = _group("devices", "What hardware said, from captured bytes.")
_devices.command("nmea")(devices_nmea.nmea)
_devices.command("seal")(devices_seal.seal)
_devices.command("tags")(devices_tags.tags)

_bench = _group("bench", "The numbers, each beside a baseline of the same run.")
_bench.callback()(bench.ends_what_it_began)
_bench.command("wire")(bench.wire)
_bench.command("outbox")(bench.outbox)
_bench.command("outbox-damage")(bench.outbox_damage)
_bench.command("ingest")(bench.ingest)
_bench.command("detect")(bench.detect)
_bench.command("live")(bench.live)
_bench.command("simulator")(bench.simulator)
_bench.command("officer")(bench.officer)
_bench.command("console")(bench_console.console)
_bench.command("agent")(bench.agent)
_bench.command("drill")(bench.drill)
_bench.command("fuzz")(bench.fuzz)
_bench.command("storm")(bench.storm)
_bench.command("accuracy")(bench.accuracy)


def main() -> None:
    """Run the command line."""
    # What is imported stays: to walk it again and again for garbage takes an eighth of a short command's time.
    gc.set_threshold(50_000)
    sys.exit(app())


if __name__ == "__main__":
    main()
