"""Facts from lines of JSON, for `plomba detect replay --facts`: what seals, tags, the sky and the centre said (DETECTION section 15).

Law: a fact that no record could hold is left out, counted and named with file, line and code, as a bad row is.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.detect.rules import IN_TRANSIT, Journey, Order
from collector.detect.tags import epc_of
from plomba.tracks import TIME_MS_BELOW, BadCellError, Reading, text_of, time_ms, written
from wire.columns import Event
from wire.records import EventKind, SealBit

CENTRE_KINDS = ("journey", "order", "order_withdrawn")
DATA_TYPES = {"live": 0, "alarm": 1, "backlog": 2, "recent": 3}
CAUSES = {"change": 1, "heartbeat": 2, "silent": 3, "heard": 4, "heard_again": 4}
SOURCES = {"external": 1, "battery": 2, "battery_low": 3}
LINKS = {"seal": 1, "rfid": 2, "network": 3}
GNSS_FIELDS = (
    "in_view",
    "tracked",
    "used",
    "cn0_top4_cdb",
    "cn0_std_cdb",
    "strong_25",
    "antenna",
    "jam_state",
    "jam_level",
    "spoof_state",
    "agc_permille",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactLine:
    """One line of the facts' file."""

    kind: str
    unit: str
    t_ms: int
    received_ms: int | None
    seq: int | None
    said: Mapping[str, object]
    line: int = 0  # where it stands


def read_facts(reading: Reading, path: Path) -> tuple[FactLine, ...]:
    """JSON lines with unit, time and kind: those that can be taken."""
    facts: list[FactLine] = []
    # split at line feeds alone: the other separators of lines may stand inside of JSON text
    for number, line in enumerate((text_of(reading, path) or "").split("\n"), 1):
        if not line.strip():
            continue
        try:
            fact = _fact(line, number)
            if fact.kind == "journey":
                journey_of(fact, None)
            elif fact.kind == "order":
                order_of(fact, None)
            elif fact.kind != "order_withdrawn":
                event_of(0, fact)
        except BadCellError as fault:
            reading.fault(path, number, str(fault))
        else:
            facts.append(fact)
    return tuple(_numbered(reading, path, facts))


def event_of(seq: int, fact: FactLine) -> Event:
    """The record that the unit would have kept; BadCellError if none could hold it."""
    said = fact.said
    data: tuple[object, ...]
    match fact.kind:
        case "seal":
            kind, data = EventKind.SEAL, _seal_data(said)
        case "access":
            kind, data = EventKind.ACCESS, _access_data(said)
        case "door" | "light":
            kind, data = EventKind.INPUT, (fact.kind, _number(said, "level") or 0)
        case "panic":
            kind, data = EventKind.PANIC, (_word(said, "source") or "",)
        case "power":
            data = (_coded(said, "source", SOURCES), _number(said, "millivolt"))
            kind = EventKind.POWER
        case "odo":
            kind = EventKind.ODOMETER
            data = (_number(said, "metres") or 0, _word(said, "source") or "")
        case "link":
            data = (_coded(said, "what", LINKS), _flag(said, "up"), 0)
            kind = EventKind.LINK
        case "tags":
            tags = tuple(epc_of(epc) for epc in _words(said, "epcs"))
            kind, data = EventKind.TAGS, ("", int(_flag(said, "reader_ok") != 0), 1, tags, (), 0)
        case "gnss":
            kind, data = EventKind.GNSS, _gnss_data(said)
        case _:
            raise BadCellError("unknown_kind")
    return Event(seq=seq, kind=kind, t_ms=fact.t_ms, mono_ms=0, data=data)  # type: ignore[arg-type]  # plain values by construction


def journey_of(fact: FactLine, route: str | None) -> Journey:
    """What the unit is on from here; `route`: the one that it follows if the fact names none."""
    said = fact.said
    state = _word(said, "state") or "in_transit"
    limit = said.get("limit")
    return Journey(
        id=_word(said, "id") or "",
        unit=fact.unit,
        since_ms=fact.t_ms,
        state=state,
        sealed=state.lower() in IN_TRANSIT,
        seals=_words(said, "seals"),
        tags=_words(said, "tags"),
        route=_word(said, "route") or route,
        limit_ms=None if limit is None else time_ms(str(limit)),
    )


def orders_of(facts: Sequence[FactLine]) -> dict[str, tuple[Order, ...]]:
    """The unlock orders of each seal, and when they were withdrawn."""
    withdrawn = {
        _word(fact.said, "id"): fact.t_ms for fact in facts if fact.kind == "order_withdrawn"
    }
    orders: dict[str, list[Order]] = {}
    for fact in facts:
        if fact.kind == "order":
            order = order_of(fact, withdrawn.get(_word(fact.said, "id")))
            orders.setdefault(order.seal, []).append(order)
    return {seal: tuple(some) for seal, some in orders.items()}


def order_of(fact: FactLine, withdrawn_ms: int | None) -> Order:
    """An unlock order. One that says no time holds from its own on."""
    said = fact.said
    begin, end = said.get("not_before"), said.get("not_after")
    return Order(
        id=_word(said, "id") or "",
        seal=_word(said, "seal") or "",
        journey=_word(said, "journey") or "",
        zone=_word(said, "zone") or "",
        not_before_ms=fact.t_ms if begin is None else time_ms(str(begin)),
        not_after_ms=TIME_MS_BELOW - 1 if end is None else time_ms(str(end)),
        known_ms=fact.t_ms if fact.received_ms is None else fact.received_ms,
        cards=_words(said, "cards"),
        withdrawn_ms=withdrawn_ms,
    )


def _fact(line: str, number: int) -> FactLine:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        raise BadCellError("bad_json") from None
    kind = said.get("kind") if isinstance(said, dict) else None
    if not isinstance(kind, str):
        raise BadCellError("no_kind")
    if "time" not in said:
        raise BadCellError("no_time")
    unit = _word(said, "unit") or ""
    if not unit and kind not in ("order", "order_withdrawn"):  # these name a seal or an order
        raise BadCellError("no_unit")
    received, seq = said.get("received"), said.get("seq")
    if seq is not None:
        if isinstance(seq, bool) or not isinstance(seq, int):
            raise BadCellError("bad_number")
        if not 0 <= seq < TIME_MS_BELOW:
            raise BadCellError("out_of_range")
    return FactLine(
        kind=kind,
        unit=unit,
        t_ms=time_ms(str(said["time"])),
        received_ms=None if received is None else time_ms(str(received)),
        seq=seq,
        said=said,
        line=number,
    )


def _numbered(reading: Reading, path: Path, facts: Sequence[FactLine]) -> list[FactLine]:
    """Without the units' own facts that have no place in a chain whose rows are numbered."""
    numbered: dict[str, bool] = {}
    for row in reading.rows:
        numbered[row.unit] = numbered.get(row.unit, True) and row.seq is not None
    kept: list[FactLine] = []
    for fact in facts:
        if fact.seq is None and fact.kind not in CENTRE_KINDS and numbered.get(fact.unit, False):
            reading.fault(path, fact.line, "no_seq")
        else:
            kept.append(fact)
    return kept


def _seal_data(said: Mapping[str, object]) -> tuple[object, ...]:
    known = true = 0
    for bit in SealBit:
        value = _flag(said, str(bit.name).lower())
        if value is not None:
            known |= bit
            true |= bit if value else 0
    given = said.get("seal_time", said.get("time_ms"))
    return (
        _seal(said),
        _word(said, "protocol") or "",
        known,
        true,
        _coded(said, "data_type", DATA_TYPES),
        None if given is None else time_ms(str(given)),
        _number(said, "battery_percent", 0, 100),
        _number(said, "serial"),
        _coded(said, "cause", CAUSES),
        b"",
    )


def _access_data(said: Mapping[str, object]) -> tuple[object, ...]:
    return (
        _seal(said),
        _word(said, "protocol") or "",
        _word(said, "source"),
        _flag(said, "authorised"),
        _flag(said, "opened"),
        _word(said, "card"),
        _number(said, "wrong_passwords"),
        None,
        _number(said, "serial"),
        b"",
    )


def _gnss_data(said: Mapping[str, object]) -> tuple[object, ...]:
    rest = tuple(
        _word(said, name) if name == "antenna" else _number(said, name) for name in GNSS_FIELDS
    )
    return (_number(said, "state"), None, *rest)


def _seal(said: Mapping[str, object]) -> str:
    name = _word(said, "seal_id") or _word(said, "seal")
    if not name:
        raise BadCellError("no_seal")
    return name


def _word(said: Mapping[str, object], key: str) -> str | None:
    value = said.get(key)
    if value is None:
        return None
    if not isinstance(value, str | int | float):
        raise BadCellError("bad_text")
    return written(str(value))


def _words(said: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = said.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(word, str | int) for word in value):
        raise BadCellError("bad_list")
    return tuple(written(str(word)) for word in value)


def _number(
    said: Mapping[str, object],
    key: str,
    least: int = 1 - TIME_MS_BELOW,
    most: int = TIME_MS_BELOW - 1,
) -> int | None:
    value = said.get(key)
    if value is None:
        return None
    if not isinstance(value, int | float) or value != value:  # noqa: PLR0124 - the one value that is not itself: no number
        raise BadCellError("bad_number")
    if not least <= value <= most:
        raise BadCellError("out_of_range")
    return int(value)


def _flag(said: Mapping[str, object], key: str) -> int | None:
    """1, 0 or not said."""
    value = said.get(key)
    if value is None:
        return None
    if not isinstance(value, bool) and value not in (0, 1):
        raise BadCellError("bad_flag")
    return int(bool(value))


def _coded(said: Mapping[str, object], key: str, codes: Mapping[str, int]) -> int | None:
    value = said.get(key)
    if isinstance(value, str):
        if value not in codes:
            raise BadCellError(f"unknown_{key}")
        return codes[value]
    return _number(said, key)
