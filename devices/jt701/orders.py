"""What we say to a lock: orders as values, and their bytes (DEVICES section 4.2, "Orders").

Law: no order deletes what the lock has stored. Passwords are in no `repr`.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from devices import MisuseError
from devices.conversation import Ask

CARDS_MAX = 20  # in one order; vendor manual
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RESERVED = frozenset("(),=")
_PASSWORD_CHARS_MAX = 16  # locks come with six; a longer one than this is a mistake of ours
_CARD_DIGITS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockStatic:
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockDynamic:
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableDynamic:
    """From now on the lock makes a new password whenever it is armed, and tells it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """Who may send orders."""

    sms: bool
    gprs: bool
    card: bool
    serial: bool
    bluetooth: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePassword:
    new: str = field(repr=False)
    old: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardsAdd:
    cards: tuple[str, ...]  # ten digits each, twenty at most


@dataclass(frozen=True, slots=True, kw_only=True)
class CardsRemove:
    cards: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardsClear:
    """No card opens the lock any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardsList:
    group: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolOff:
    """Cards can no longer be enrolled at the lock itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTime:
    time_ms: int  # Unix ms; the lock keeps whole seconds of UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """How often it reports: awake, and asleep."""

    awake_s: int
    asleep_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """It stays awake and reports all the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LowBattery:
    percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LongUnlocked:
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """Which alarms it raises, in the manual's order."""

    switches: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """How many records wait in the lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """Which firmware it runs."""


Order = (
    UnlockStatic
    | UnlockDynamic
    | EnableDynamic
    | Channels
    | ChangePassword
    | CardsAdd
    | CardsRemove
    | CardsClear
    | CardsList
    | EnrolOff
    | SetTime
    | Interval
    | Tracking
    | LowBattery
    | LongUnlocked
    | Alarms
    | Stored
    | Firmware
)


def ask_of(order: Order) -> Ask:
    """The bytes of `order` and how its answer begins; MisuseError if this protocol cannot say it."""
    match order:
        case UnlockStatic(password=password):
            return _ask("P43", _password(password))
        case UnlockDynamic(password=password):
            return _ask("P52", "3", _password(password), answer=("3",))
        case EnableDynamic():
            return _ask("P52", "1", "1", "1", "0", answer=("1",))
        case Channels(sms=sms, gprs=gprs, card=card, serial=serial, bluetooth=bluetooth):
            return _ask("P59", "1", *_switches((sms, gprs, card, serial, bluetooth)))
        case ChangePassword(new=new, old=old):
            return _ask("P44", _password(new), _password(old))
        case CardsAdd(cards=cards):
            return _ask("P41", "1", "1", *_cards(cards))
        case CardsRemove(cards=cards):
            return _ask("P41", "1", "2", *_cards(cards))
        case CardsClear():
            return _ask("P41", "1", "3")
        case CardsList(group=group):
            return _ask("P41", "0", _number("group", group, 0, 99))
        case EnrolOff():
            return _ask("P42", "0")
        case SetTime(time_ms=time_ms):
            return _ask("P22", _time(time_ms))
        case Interval(awake_s=awake_s, asleep_min=asleep_min):
            awake = _number("awake_s", awake_s, 1, 65_535)
            return _ask("P04", "1", awake, _number("asleep_min", asleep_min, 1, 65_535))
        case Tracking():
            return _ask("P54", "1", "1")
        case LowBattery(percent=percent):
            return _ask("P61", "1", _number("percent", percent, 1, 99))
        case LongUnlocked(minutes=minutes):
            return _ask("P38", "1", _number("minutes", minutes, 1, 65_535))
        case Alarms(switches=switches):
            _number("number of switches", len(switches), 1, 16)
            return _ask("P40", "1", *_switches(switches))
        case Stored():
            return _ask("P98", "10", "0")
        case Firmware():
            return _ask("P01")


def _ask(word: str, *values: str, answer: tuple[str, ...] = ()) -> Ask:
    data = f"({','.join((word, *values))})".encode("ascii")
    return Ask(command=word, values=answer, data=data)


def _password(password: str) -> str:
    is_plain = password.isascii() and password.isprintable() and " " not in password
    if not is_plain or _RESERVED & set(password):
        raise MisuseError("a lock's password is printable ASCII without space ( ) , =")
    if not 1 <= len(password) <= _PASSWORD_CHARS_MAX:
        raise MisuseError(f"a lock's password has 1 to {_PASSWORD_CHARS_MAX} characters")
    return password


def _cards(cards: tuple[str, ...]) -> tuple[str, ...]:
    if not 1 <= len(cards) <= CARDS_MAX:
        raise MisuseError(f"1 to {CARDS_MAX} cards in one order, not {len(cards)}")
    for card in cards:
        if not (card.isascii() and card.isdigit() and len(card) == _CARD_DIGITS):
            raise MisuseError(f"card {card!r} has not ten digits")
    return str(len(cards)), *cards


def _switches(switches: tuple[bool, ...]) -> tuple[str, ...]:
    return tuple("1" if switch else "0" for switch in switches)


def _number(name: str, number: int, least: int, most: int) -> str:
    if not least <= number <= most:
        raise MisuseError(f"{name}: {least} to {most}, is {number}")
    return str(number)


def _time(time_ms: int) -> str:
    try:
        moment = _EPOCH + timedelta(milliseconds=time_ms)
    except OverflowError:
        moment = _EPOCH
    if not 2001 <= moment.year <= 2099:
        raise MisuseError(f"time_ms: 2001 to 2099 in two digits, is {time_ms}")
    return moment.strftime("%d%m%y%H%M%S")
