"""The events that a scenario or the control channel may play: one row a word, with the keys that it takes.

Law: which device an event happens to is in the table; only `unplug` and `replug` are asked for it.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path

from firmware_sim import Event
from firmware_sim.keys import SECONDS_MAX, Fault, Keys
from firmware_sim.scenario_files import read_track
from firmware_sim.scenario_tags import read_epc, read_tag
from firmware_sim.seal_settings import CHANNELS

__all__ = ["EVENTS", "event_of", "keys_of", "read_event"]


def read_event(line: Mapping[str, object], folder: Path, at_ms: int) -> Event | list[Fault]:
    """An event of the control channel: `do` and the keys that the scenario's line would have, without a time."""
    faults: list[Fault] = []
    event = event_of(Keys(dict(line), "control", faults), folder, at_ms)
    return faults if faults or event is None else event


def _ends(keys: Keys) -> dict[str, object]:
    """`for_s`, where it is given; without it the effect has no end."""
    if "for_s" not in keys:
        keys.raw("for_s")
        return {}
    return {"for_s": keys.number("for_s", 1, 0.001, SECONDS_MAX)}


def _nothing(_keys: Keys, _folder: Path) -> dict[str, object]:
    return {}


def _lasting(keys: Keys, _folder: Path) -> dict[str, object]:
    return _ends(keys)


def _void(keys: Keys, _folder: Path) -> dict[str, object]:
    return {"stale": keys.flag("stale", default=False), **_ends(keys)}


def _jump(keys: Keys, _folder: Path) -> dict[str, object]:
    east, north = (keys.number(key, 0, -1e7, 1e7) for key in ("east_m", "north_m"))
    return {"east_m": east, "north_m": north, **_ends(keys)}


def _jam(keys: Keys, _folder: Path) -> dict[str, object]:
    return {"depth_db": keys.number("depth_db", 22, 0, 60), **_ends(keys)}


def _spoof(keys: Keys, folder: Path) -> dict[str, object]:
    clock_s = keys.number("clock_s", 0, -1e6, 1e6)
    return {"clock_s": clock_s, "track": read_track(keys, folder), **_ends(keys)}


def _antenna(keys: Keys, _folder: Path) -> dict[str, object]:
    return {"state": keys.choice("state", "OPEN", ("OPEN", "SHORT")), **_ends(keys)}


def _new_baud(keys: Keys, _folder: Path) -> dict[str, object]:
    return {"baud": keys.baud(9600)}


def _card(keys: Keys, _folder: Path) -> dict[str, object]:
    card = keys.text("card", "")
    if not (card.isdecimal() and len(card) <= 10):
        keys.fault("card", f"ten digits; is {card!r}")
    return {"card": card}


def _password(keys: Keys, _folder: Path) -> dict[str, object]:
    args: dict[str, object] = {"channel": keys.choice("channel", "sms", CHANNELS)}
    if "password" in keys:
        args["password"] = keys.text("password", "")
    else:
        keys.raw("password")  # the right one
    return args


def _cover(keys: Keys, _folder: Path) -> dict[str, object]:
    return {"state": keys.choice("state", "open", ("open", "closed"))}


def _battery(keys: Keys, _folder: Path) -> dict[str, object]:
    args: dict[str, object] = {}
    if "percent" in keys:
        args["percent"] = keys.whole("percent", 50, 0, 100)
    if "charging" in keys:
        args["charging"] = keys.flag("charging", default=True)
    if not args:
        keys.fault("percent", "say percent = 0..100, charging = true or false, or both")
    keys.raw("percent")
    keys.raw("charging")
    return args


def _motor(keys: Keys, _folder: Path) -> dict[str, object]:
    return {"stuck": keys.flag("stuck", default=True)}


def _tag_on(keys: Keys, _folder: Path) -> dict[str, object]:
    return {"tag": read_tag(keys), **_ends(keys)}


def _tag_off(keys: Keys, _folder: Path) -> dict[str, object]:
    args = _ends(keys)
    if "epc" in keys:
        args["epc"] = read_epc(keys).hex()
    else:
        keys.raw("epc")  # all of them
    return args


EVENTS: dict[str, tuple[str, Callable[[Keys, Path], dict[str, object]]]] = {
    "void": ("gps", _void),
    "jump": ("gps", _jump),
    "jam": ("gps", _jam),
    "tunnel": ("gps", _lasting),
    "spoof": ("gps", _spoof),
    "freeze": ("gps", _lasting),
    "rollover": ("gps", _lasting),
    "antenna": ("gps", _antenna),
    "baud": ("gps", _new_baud),
    "silence": ("gps", _lasting),
    "unplug": ("", _lasting),  # device = "gps", "seal" or "rfid"
    "replug": ("", _nothing),
    "rope_in": ("seal", _nothing),
    "rope_out": ("seal", _nothing),
    "cut": ("seal", _nothing),
    "force": ("seal", _nothing),
    "card": ("seal", _card),
    "p43": ("seal", _password),
    "p52": ("seal", _password),
    "cover": ("seal", _cover),
    "door": ("seal", _cover),
    "shock": ("seal", _nothing),
    "drop": ("seal", _nothing),
    "button": ("seal", _nothing),
    "battery": ("seal", _battery),
    "motor": ("seal", _motor),
    "restart": ("seal", _nothing),
    "silent": ("seal", _lasting),
    "tag_on": ("rfid", _tag_on),
    "tag_off": ("rfid", _tag_off),
    "reader_dead": ("rfid", _lasting),
    "reader_busy": ("rfid", _lasting),
    "reader_restart": ("rfid", _nothing),
}


def event_of(keys: Keys, folder: Path, at_ms: int) -> Event | None:
    do = keys.text("do", "")
    if do not in EVENTS:
        near = get_close_matches(do, EVENTS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        keys.fault("do", f"one of {', '.join(EVENTS)}; is {do!r}{hint}")
        return None
    device, read_args = EVENTS[do]
    if not device:
        device = keys.choice("device", "gps", ("gps", "seal", "rfid"))
    args = read_args(keys, folder)
    keys.done()
    return Event(at_ms=at_ms, do=do, device=device, args=args)


def keys_of(do: str) -> tuple[str, ...]:
    """The keys that an event of this name takes beside its time: what its reader asks an empty table for."""
    device, read_args = EVENTS[do]
    keys = Keys({}, do, [])
    read_args(keys, Path())
    return keys.known if device else ("device", *keys.known)
