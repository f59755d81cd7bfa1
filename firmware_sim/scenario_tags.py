"""The RFID reader of a scenario and its tags: keys in, specs out (DEVICES 8.4).

Law: as in `scenario`: what is wrong becomes a fault, nothing is guessed.
"""

from firmware_sim.keys import SECONDS_MAX, Keys
from firmware_sim.rfid_settings import ReaderSpec, Tag

__all__ = ["read_epc", "read_reader", "read_tag"]

TAGS_MAX = 1_000  # a lorry full of tagged cartons
EPC_BYTES_MAX = 62  # 31 words, all that a PC can count


def read_reader(keys: Keys) -> ReaderSpec:
    tags: dict[bytes, Tag] = {}
    lines = keys.items("tags")
    if len(lines) > TAGS_MAX:
        keys.fault("tags", f"at most {TAGS_MAX}")
    for number, line in enumerate(lines[:TAGS_MAX]):
        each = Keys(line, f"{keys.path}.tags[{number}]", keys.faults)
        from_s = each.number("from_s", 0, 0, SECONDS_MAX)
        to_s = each.number("to_s", SECONDS_MAX, 0, SECONDS_MAX)
        tag = read_tag(each, from_ms=round(from_s * 1000), to_ms=round(to_s * 1000))
        each.done()
        if to_s <= from_s:
            each.fault("to_s", f"later than from_s = {from_s:g}; is {to_s:g}")
        if tag.epc in tags:
            each.fault("epc", f"{tag.epc.hex().upper()} is there already; give one line a tag")
        tags[tag.epc] = tag
    return ReaderSpec(
        tags=tuple(tags.values()),
        baud=keys.baud(115_200),
        sleep_min=keys.whole("sleep_min", 10, 0, 30),
    )


def read_tag(keys: Keys, *, from_ms: int = 0, to_ms: int | None = None) -> Tag:
    """A tag but for its times; `keys` may have more than its own."""
    return Tag(
        epc=read_epc(keys),
        from_ms=from_ms,
        to_ms=to_ms,
        rssi_dbm=keys.number("rssi_dbm", -55, -110, 0),
        read_rate=keys.number("read_rate", 0.9, 0, 1),
        gate=_gate(keys),
        reach_m=keys.number("reach_m", 10, 0.1, 1_000),
    )


def read_epc(keys: Keys) -> bytes:
    text = keys.text("epc", "")
    try:
        epc = bytes.fromhex(text)
    except ValueError:
        epc = b""
    if not epc or len(epc) % 2 or len(epc) > EPC_BYTES_MAX:
        keys.fault("epc", f"hex of 1 to {EPC_BYTES_MAX // 2} words of four digits; is {text!r}")
    return epc


def _gate(keys: Keys) -> tuple[float, float] | None:
    """Where a tag stands that is not on board."""
    if "gate" not in keys:
        keys.raw("gate")
        return None
    place = Keys(keys.raw("gate"), f"{keys.path}.gate", keys.faults)
    gate = place.number("lat", 0, -90, 90), place.number("lon", 0, -180, 180)
    for key in ("lat", "lon"):
        if key not in place:
            place.fault(key, "is missing; write gate = { lat = 41.3, lon = 69.25 }")
    place.done()
    return gate
