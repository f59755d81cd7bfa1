"""What can be set in a JT701D, and the orders that only set or tell it: words in, words of the answer out. Knows no lock and no time.

Law: an order in no form that the manual knows changes nothing and gets no answer (None).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

__all__ = ["CHANNELS", "ORDERS", "Answer", "Fence", "SealSpec", "Settings"]

CHANNELS = ("sms", "gprs", "card", "serial", "bluetooth")  # in the order of P59
CARDS_MAX = 100  # the manual's card memory
CARDS_A_GROUP = 20
FIRMWARE = "JT701D_20260801_V1.4"

Answer = tuple[object, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """A circle inside which cards and dynamic passwords open."""

    id: int  # 1..10
    lat: float
    lon: float
    radius_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SealSpec:
    """A seal as the scenario describes it."""

    id: str
    protocol: str = "jt701"
    baud: int = 9600
    password: str = "888888"  # noqa: S105 - what every lock of this kind leaves the factory with
    dynamic: bool = True
    cards: tuple[str, ...] = ()
    interval_s: float = 60.0
    battery_percent: int = 88
    low_battery_percent: int = 20
    long_unlocked_min: float = 0.0  # 0: off
    armed: bool = False  # the scenario begins with the rope in and the password confirmed
    fences: tuple[Fence, ...] = ()
    dial: tuple[str, int] | None = None  # no pty: it calls this host and port by itself


@dataclass(slots=True, kw_only=True)
class Settings:
    """The seal's memory, as orders may change it."""

    password: str
    dynamic_on: bool
    cards: list[str]
    interval_s: float
    low_battery_percent: int
    long_unlocked_min: float
    sleep_min: int = 30
    alarms: str = "1,1,1,1,1,1,1,1"  # P40: kept and told, not used
    open_channels: set[str] = field(default_factory=lambda: set(CHANNELS))


def _firmware(_settings: Settings, _words: Sequence[str]) -> Answer:
    return ("P01", FIRMWARE)


def _interval(settings: Settings, words: Sequence[str]) -> Answer:
    match [*words]:
        case ["1", seconds, *rest] if _is_count(seconds):
            settings.interval_s = float(seconds)
            if rest and _is_count(rest[0]):
                settings.sleep_min = int(rest[0])
        case ["0"]:
            pass
        case _:
            return None
    return ("P04", words[0], round(settings.interval_s), settings.sleep_min)


def _long_unlocked(settings: Settings, words: Sequence[str]) -> Answer:
    match [*words]:
        case ["1", minutes] if minutes.isdecimal():
            settings.long_unlocked_min = float(minutes)
        case ["0"]:
            pass
        case _:
            return None
    return ("P38", words[0], round(settings.long_unlocked_min))


def _alarms(settings: Settings, words: Sequence[str]) -> Answer:
    match [*words]:
        case ["1", first, *rest]:
            settings.alarms = ",".join([first, *rest])
        case ["0"]:
            pass
        case _:
            return None
    return ("P40", words[0], settings.alarms)


def _cards(settings: Settings, words: Sequence[str]) -> Answer:
    match [*words]:
        case ["1", "1", _, *cards]:
            settings.cards += [card for card in cards if card not in settings.cards]
            del settings.cards[CARDS_MAX:]
            return ("P41", 1, 1, len(cards))
        case ["1", "2", _, *cards]:
            settings.cards = [card for card in settings.cards if card not in cards]
            return ("P41", 1, 2, len(cards))
        case ["1", "3"]:
            settings.cards.clear()
            return ("P41", 1, 3)
        case ["0", group] if _is_count(group):
            first = (int(group) - 1) * CARDS_A_GROUP
            listed = settings.cards[first : first + CARDS_A_GROUP]
            return ("P41", 0, group, len(listed), *listed)
        case _:
            return None


def _enrolling(_settings: Settings, words: Sequence[str]) -> Answer:
    return ("P42", 0) if [*words] == ["0"] else None


def _password(settings: Settings, words: Sequence[str]) -> Answer:
    match [*words]:
        case [new, old]:
            right = old == settings.password
            settings.password = new if right else settings.password
            return ("P44", int(right))
        case _:
            return None


def _tracking(_settings: Settings, words: Sequence[str]) -> Answer:
    return ("P54", *words) if words else None


def _channels(settings: Settings, words: Sequence[str]) -> Answer:
    match [*words]:
        case ["1", *switches] if len(switches) == len(CHANNELS):
            named = zip(CHANNELS, switches, strict=True)
            settings.open_channels = {name for name, word in named if word == "1"}
        case ["0"]:
            pass
        case _:
            return None
    return ("P59", *(int(name in settings.open_channels) for name in CHANNELS))


def _low_battery(settings: Settings, words: Sequence[str]) -> Answer:
    match [*words]:
        case ["1", percent] if percent.isdecimal() and int(percent) <= 100:
            settings.low_battery_percent = int(percent)
        case ["0"]:
            pass
        case _:
            return None
    return ("P61", words[0], settings.low_battery_percent)


ORDERS: dict[str, Callable[[Settings, Sequence[str]], Answer]] = {
    "P01": _firmware,
    "P04": _interval,
    "P38": _long_unlocked,
    "P40": _alarms,
    "P41": _cards,
    "P42": _enrolling,
    "P44": _password,
    "P54": _tracking,
    "P59": _channels,
    "P61": _low_battery,
}


def _is_count(word: str) -> bool:
    return word.isdecimal() and int(word) > 0
