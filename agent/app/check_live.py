"""What an updater asks of the running agent: may it be stopped now, and did it come up well (EDGE sections 10 and 13).

Law: what is not known is not good. A thing that nobody here can measure is said to be so, and does not hold the update for ever.
"""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent.app.check import Finding, bad, ok
from agent.app.versions_disk import first_life
from agent.config import BadConfigError, Config, read_text
from agent.io.clock import Clock
from agent.io.status import StatusError, ask

LOOK_S = 2.0
WAIT_S_MAX = 86_400
URGENT_S = 1_800  # after an urgent event the desk watches this truck

_TALKS = frozenset(("fix", "no_fix", "talking"))
_QUIET = {
    "absent": "known absent",
    "silent": "open; it may sleep",
    "opening": "open; nothing said yet",
}

Numbers = Mapping[str, object]


def look_live(config_file: Path, wait_s: int) -> list[Finding]:
    """The findings as soon as all are good, or after `wait_s`."""
    config = _config(config_file)
    if isinstance(config, list):
        return config
    clock, pause = Clock(), threading.Event()
    end_ms = clock.mono_ms() + min(max(wait_s, 0), WAIT_S_MAX) * 1000
    while True:
        findings = list(_live(config))
        if not any(finding.level.value == "bad" for finding in findings):
            return findings
        if clock.mono_ms() >= end_ms:
            return findings
        pause.wait(min(LOOK_S, max(end_ms - clock.mono_ms(), 0) / 1000 + 0.1))


def look_may_update(config_file: Path) -> list[Finding]:
    """Whether the unit may be stopped now."""
    config = _config(config_file)
    if isinstance(config, list):
        return config
    numbers = _numbers(config)
    if isinstance(numbers, Finding):
        return [numbers]
    return [ok("agent", f"runs for {numbers['up_s']} s"), *_may_update(numbers)]


def _live(config: Config) -> Iterator[Finding]:
    numbers = _numbers(config)
    if isinstance(numbers, Finding):
        yield numbers
        return
    yield _keeper(numbers)
    yield _store(numbers)
    links = numbers["links"]
    for link in links if isinstance(links, list) else []:
        yield _link(link)
    received = numbers["receipts"]
    if isinstance(received, int) and received > 0:
        yield ok("broker receipt", f"{received} since the start")
    else:
        hint = f"{numbers['broker_trouble'] or 'the collector has not answered yet'}"
        yield bad("broker receipt", "none since the start", hint)


def _may_update(numbers: Numbers) -> Iterator[Finding]:
    yield _store(numbers)
    match numbers["moving"]:
        case False:
            yield ok("motion", "standing")
        case True:
            yield bad("motion", "the truck moves", "try again when it stands")
        case _:
            yield bad("motion", "not known", "a receiver must see the sky")
    match numbers["external_power"]:
        case True:
            yield ok("power", "external")
        case False:
            yield bad("power", "on battery", "try again on external power")
        case _:
            yield ok("power", "no input tells: taken for external")
    if numbers["order_acting"]:
        yield bad("orders", "one is being carried out", "try again in two minutes")
    else:
        yield ok("orders", "none is being carried out")
    urgent_s = numbers["urgent_age_s"]
    if isinstance(urgent_s, int) and urgent_s < URGENT_S:
        yield bad("urgent", f"an urgent event {urgent_s} s ago", f"wait {URGENT_S - urgent_s} s")
    else:
        yield ok("urgent", f"none in the last {URGENT_S} s")


def _keeper(numbers: Numbers) -> Finding:
    said = numbers["keeper"]
    if said == "ok":
        return ok("agent", f"runs for {numbers['up_s']} s, all its parts move")
    return bad("agent", str(said), "the watchdog is not fed: see the log")


def _store(numbers: Numbers) -> Finding:
    state, commits = numbers["store"], numbers["commits"]
    detail = f"{state}, {commits} commits, {numbers['commit_errors']} failed"
    if state == "ok" and isinstance(commits, int) and commits > 0:
        return ok("store", detail)
    return bad("store", detail, "plomba-agent outbox stats; is the card full or gone?")


def _link(link: Mapping[str, object]) -> Finding:
    name, state = f"link {link['name']}", str(link["state"])
    detail = f"{link['device']}: {state} {link['detail']}".rstrip()
    if state in _TALKS:
        return ok(name, detail)
    if state in _QUIET:
        return ok(name, f"{detail}, {_QUIET[state]}")
    return bad(name, detail, "look at cable, rate and power")


def _numbers(config: Config) -> Numbers | Finding:
    try:
        return ask(config.socket_path, "/status.json")
    except StatusError as error:
        return bad("agent", str(error), "systemctl status plomba-agent")


def _config(config_file: Path) -> Config | list[Finding]:
    try:
        return first_life(read_text(config_file)).config
    except BadConfigError as error:
        return [bad("config", one.key or str(config_file), one.hint) for one in error.errors]
