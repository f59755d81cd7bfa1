"""The topics of MQTT and who may speak on them (WIRE section 11).

Law: a topic is a claim; what counts is the signature inside.
"""

import re
from enum import Enum

from wire import MisuseError, Reason, Refused

UNIT_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,30})[a-z0-9]", re.ASCII)  # WIRE section 1
TOPIC_BYTES_MAX = 64  # the longest good one has 49

_UP = "plomba/1/up/"


class Up(Enum):
    """What a unit says."""

    BATCH = "batch"
    EARLY = "early"
    HELLO = "hello"
    STATE = "state"  # unsigned: a hint for the eye


class Down(Enum):
    """What the collector says."""

    RECEIPT = "receipt"
    ORDER = "order"
    CONFIG = "config"
    PROOF = "proof"


def is_unit_id(text: str) -> bool:
    """True if `text` has the form of a unit_id."""
    return UNIT_ID.fullmatch(text) is not None


def up(unit_id: str, what: Up) -> str:
    """The topic on which `unit_id` says `what`; MisuseError if that is no unit_id."""
    return f"{_UP}{_checked(unit_id)}/{what.value}"


def down(unit_id: str, what: Down) -> str:
    """The topic on which `unit_id` hears `what`; MisuseError if that is no unit_id."""
    return f"plomba/1/down/{_checked(unit_id)}/{what.value}"


def down_filter(unit_id: str) -> str:
    """What `unit_id` subscribes."""
    return f"plomba/1/down/{_checked(unit_id)}/+"


def parse_up(topic: str) -> tuple[str, Up] | Refused:
    """Who speaks of what on `topic`, or BAD_TOPIC."""
    if len(topic) > TOPIC_BYTES_MAX or not topic.startswith(_UP):
        return Refused(reason=Reason.BAD_TOPIC, detail=topic[:TOPIC_BYTES_MAX])
    unit_id, _, word = topic.removeprefix(_UP).partition("/")
    what = _WORDS.get(word)
    if what is None or not is_unit_id(unit_id):
        return Refused(reason=Reason.BAD_TOPIC, detail=topic)
    return unit_id, what


_WORDS = {what.value: what for what in Up}


def _checked(unit_id: str) -> str:
    if not is_unit_id(unit_id):
        raise MisuseError(f"no unit_id: {unit_id!r}")
    return unit_id
