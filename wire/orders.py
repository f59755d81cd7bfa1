"""Orders of the centre: their bytes and the unit's judgement of them (WIRE section 14).

Law: whatever is not certainly ours, now and here, is refused with its name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

from wire import LIM, MisuseError, Reason, Refused
from wire.batch import read_array
from wire.canon import encode
from wire.envelope import Aad, Signer, open_envelope, seal, verify
from wire.records import Datum, FixFlag
from wire.topics import Down, is_unit_id

FORMAT = 1
NAME_BYTES_MAX = 64
CONFIG_BYTES_MAX = 8_192
CORNERS = range(3, 33)
FIX_AGE_MS_MAX = 60_000  # WIRE section 14, NoFix
HDOP_CENTI_MAX = 500
FIX_KINDS = range(1, 6)  # dead reckoning opens nothing

_U32 = (1 << 32) - 1
_TYPES = [int, str, int, int, int, int, int, bytes, list]
_NAMES = "[1, unit_id, counter, kind, issued_ms, not_before_ms, not_after_ms, order_id, data]"


class OrderKind(IntEnum):
    """WIRE section 14."""

    ARM = 1
    DISARM = 2  # stop watching; the lock stays
    UNLOCK = 3
    SET_CONFIG = 4
    REPORT_NOW = 5
    RESEND_FROM = 6


class OrderResult(IntEnum):
    """How an order that is genuinely ours ended (WIRE section 14)."""

    DONE = 0
    FAILED = 1
    SEAL_SILENT = 2
    REPLAYED = 3
    UNKNOWN_ORDER = 4
    BAD_ORDER = 5
    NO_TIME = 6
    TOO_EARLY = 7
    EXPIRED = 8
    UNKNOWN_SEAL = 9
    WRONG_MOVEMENT = 10
    NO_FIX = 11
    OUTSIDE_AREA = 12
    BUSY = 13


_ACTS = (OrderKind.ARM, OrderKind.DISARM, OrderKind.UNLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order, as signed with the order key."""

    unit_id: str
    counter: int
    kind: int  # OrderKind, or a number that this reader does not know
    issued_ms: int
    not_before_ms: int
    not_after_ms: int
    order_id: bytes
    data: tuple[Datum, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceKnown:
    """The unit's newest fix, for orders that depend on the place."""

    lat_e7: int
    lon_e7: int
    age_ms: int
    kind: int  # WireFixKind
    hdop_centi: int | None
    doubted: bool = False  # EDGE section 6: a doubted fix, jamming or spoofing of late is no fix


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitState:
    """What an order is judged against."""

    unit_id: str
    now_ms: int
    time_quality: int
    counter: int  # of the last order of kinds 1 to 3
    config_version: int
    movement: str | None
    seals: frozenset[str]
    place: PlaceKnown | None
    issued_from_ms: int = 0  # EDGE section 6, a lost memory: what was issued before is Replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedOrder(Refused):
    """An order that is genuinely the centre's and may not be carried out: it ends in an order_result."""

    order: Order


def make(order: Order, kid: bytes, sign: Signer) -> bytes:
    """The envelope of `order`, signed with the order key; MisuseError if no unit would read it."""
    payload = encode(
        (
            FORMAT,
            order.unit_id,
            order.counter,
            int(order.kind),
            order.issued_ms,
            order.not_before_ms,
            order.not_after_ms,
            order.order_id,
            order.data,
        )
    )
    read = read_payload(payload)
    if isinstance(read, Refused):
        raise MisuseError(f"not to be signed: {read.reason.value}, {read.detail}")
    fault = data_fault(read)
    if fault is not None:
        raise MisuseError(f"not to be signed: {fault}")
    return seal(payload, Aad.ORDER, kid, sign)


def judge(
    message: bytes, *, topic_what: Down, order_keys: Mapping[bytes, bytes], state: UnitState
) -> Order | Refused:
    """May this message on `order` or `config` be obeyed? Checked in the order of WIRE section 14.

    `order_keys`: the pinned public keys by kid. RefusedOrder where the order is genuine and refused; plain Refused where it is
    not ours at all, which is only counted.
    """
    order = genuine(message, order_keys=order_keys, unit_id=state.unit_id)
    if isinstance(order, Refused):
        return order
    return refusal(order, topic_what=topic_what, state=state) or order


def genuine(message: bytes, *, order_keys: Mapping[bytes, bytes], unit_id: str) -> Order | Refused:
    """The order in `message`, if it is certainly the centre's and for this unit; whether it may be obeyed is not asked."""
    opened = open_envelope(message, Aad.ORDER)
    if isinstance(opened, Refused):
        return opened
    public_key = order_keys.get(opened.kid)
    if public_key is None:
        return _refused(Reason.UNKNOWN_KEY, f"kid {opened.kid.hex()} is not pinned as an order key")
    if not verify(opened, Aad.ORDER, public_key):
        return _refused(Reason.BAD_SIGNATURE, f"kid {opened.kid.hex()}")
    order = read_payload(opened.payload)
    if isinstance(order, Refused):
        return order
    if order.unit_id != unit_id:
        return _refused(Reason.WRONG_UNIT, f"for {order.unit_id}")
    return order


def refusal(order: Order, *, topic_what: Down, state: UnitState) -> RefusedOrder | None:
    """Why a genuine order may not be carried out now and here; None: it may."""
    reason = _refusal(order, topic_what, state)
    if reason is None:
        return None
    return RefusedOrder(reason=reason, detail=data_fault(order) or "", order=order)


def read_payload(payload: bytes) -> Order | Refused:
    """The fields of an order: rows 7 to 10 of WIRE section 8. What `data` holds is judged by its kind."""
    values = read_array(payload, FORMAT)
    if isinstance(values, Refused):
        return values
    if [type(value) for value in values] != _TYPES:
        return _refused(Reason.BAD_PAYLOAD, f"not {_NAMES}")
    _, unit_id, counter, kind, issued_ms, not_before_ms, not_after_ms, order_id, data = values
    assert isinstance(unit_id, str)
    assert isinstance(counter, int)
    assert isinstance(kind, int)
    assert isinstance(issued_ms, int)
    assert isinstance(not_before_ms, int)
    assert isinstance(not_after_ms, int)
    assert isinstance(order_id, bytes)
    assert isinstance(data, list)
    if not is_unit_id(unit_id) or len(order_id) != 16:
        return _refused(Reason.OUT_OF_RANGE, "form of unit_id or length of order_id")
    if not all(
        0 <= number < LIM for number in (counter, kind, issued_ms, not_before_ms, not_after_ms)
    ):
        return _refused(Reason.OUT_OF_RANGE, "counter, kind or a time")
    return Order(
        unit_id=unit_id,
        counter=counter,
        kind=kind,
        issued_ms=issued_ms,
        not_before_ms=not_before_ms,
        not_after_ms=not_after_ms,
        order_id=order_id,
        data=_freeze(data),
    )


def data_fault(order: Order) -> str | None:
    """What is wrong with the data of an order of a known kind, or None."""
    data = order.data
    match order.kind:
        case OrderKind.ARM | OrderKind.DISARM if len(data) == 3:
            return _names_fault(data)
        case OrderKind.UNLOCK if len(data) == 4:
            return _names_fault(data[:3]) or _area_fault(data[3])
        case OrderKind.SET_CONFIG if len(data) == 2:
            version, text = data
            good = isinstance(version, int) and 1 <= version <= _U32 and isinstance(text, bytes)
            return (
                None
                if good and isinstance(text, bytes) and 1 <= len(text) <= CONFIG_BYTES_MAX
                else "version or text"
            )
        case OrderKind.REPORT_NOW if len(data) == 2:
            what, nonce = data
            return (
                None
                if what in (0, 1) and isinstance(nonce, bytes) and len(nonce) in (0, 16)
                else "what or nonce"
            )
        case OrderKind.RESEND_FROM if len(data) == 2:
            chain_id, number = data
            good = isinstance(chain_id, bytes) and len(chain_id) == 16 and isinstance(number, int)
            return (
                None
                if good and isinstance(number, int) and 0 <= number <= _U32
                else "chain_id or batch_no"
            )
    return f"{len(data)} elements in the data of kind {order.kind}"


def inside(lat_e7: int, lon_e7: int, corners: Sequence[int]) -> bool:
    """Even-odd rule in integers; a point on an edge is inside (WIRE section 14). `corners`: lat, lon, lat, lon ..."""
    ring = list(zip(corners[::2], corners[1::2], strict=True))
    odd = False
    for (lat_a, lon_a), (lat_b, lon_b) in pairwise([*ring, ring[0]]):
        cross = (lon_b - lon_a) * (lat_e7 - lat_a) - (lat_b - lat_a) * (lon_e7 - lon_a)
        within_lat = min(lat_a, lat_b) <= lat_e7 <= max(lat_a, lat_b)
        within_lon = min(lon_a, lon_b) <= lon_e7 <= max(lon_a, lon_b)
        if cross == 0 and within_lat and within_lon:
            return True
        if (lat_a > lat_e7) != (lat_b > lat_e7) and (cross < 0) != (lat_b < lat_a):
            odd = not odd
    return odd


def _refusal(order: Order, topic_what: Down, state: UnitState) -> Reason | None:
    """The first reason of WIRE section 14 against `order`, or None."""
    known = order.kind in list(OrderKind)
    on_config = topic_what is Down.CONFIG
    if not known or on_config != (order.kind == OrderKind.SET_CONFIG):
        return Reason.UNKNOWN_ORDER
    if data_fault(order) is not None:
        return Reason.BAD_ORDER
    if _replayed(order, state):
        return Reason.REPLAYED
    if order.kind in _ACTS and state.time_quality < 2:
        return Reason.NO_TIME
    if order.kind != OrderKind.SET_CONFIG and state.time_quality >= 2:
        if state.now_ms < order.not_before_ms:
            return Reason.TOO_EARLY
        if state.now_ms > order.not_after_ms:
            return Reason.EXPIRED
    return _act_refusal(order, state) if order.kind in _ACTS else None


def _replayed(order: Order, state: UnitState) -> bool:
    if order.kind in _ACTS:
        return order.counter <= state.counter or order.issued_ms < state.issued_from_ms
    if order.kind == OrderKind.SET_CONFIG:
        version = order.data[0]
        assert isinstance(version, int)
        return version <= state.config_version
    return False


def _act_refusal(order: Order, state: UnitState) -> Reason | None:
    if order.data[0] not in state.seals:
        return Reason.UNKNOWN_SEAL
    if state.movement is not None and order.data[2] != state.movement:
        return Reason.WRONG_MOVEMENT
    if order.kind != OrderKind.UNLOCK:
        return None
    place = state.place
    if (
        place is None
        or place.doubted
        or place.age_ms > FIX_AGE_MS_MAX
        or place.kind not in FIX_KINDS
    ):
        return Reason.NO_FIX
    if place.hdop_centi is None or place.hdop_centi > HDOP_CENTI_MAX:
        return Reason.NO_FIX
    corners = order.data[3]
    assert isinstance(corners, tuple)
    numbers = [number for number in corners if isinstance(number, int)]
    return None if inside(place.lat_e7, place.lon_e7, numbers) else Reason.OUTSIDE_AREA


def place_of(
    lat_e7: int, lon_e7: int, age_ms: int, flags: int, hdop_centi: int | None
) -> PlaceKnown:
    """A place as an order sees it, from a fix record's flags (WIRE section 5)."""
    bad = FixFlag.DOUBTED | FixFlag.JAMMING | FixFlag.SPOOFING
    return PlaceKnown(
        lat_e7=lat_e7,
        lon_e7=lon_e7,
        age_ms=age_ms,
        kind=flags & 7,
        hdop_centi=hdop_centi,
        doubted=bool(flags & bad),
    )


def _names_fault(data: Sequence[Datum]) -> str | None:
    for name in data:
        if not isinstance(name, str) or not 1 <= len(name.encode()) <= NAME_BYTES_MAX:
            return f"a name is no text of 1 to {NAME_BYTES_MAX} bytes"
    return None


def _area_fault(corners: Datum) -> str | None:
    if not isinstance(corners, tuple) or len(corners) % 2 or len(corners) // 2 not in CORNERS:
        return "the area has not 3 to 32 corners"
    for index, number in enumerate(corners):
        most = 900_000_000 if index % 2 == 0 else 1_800_000_000
        if not isinstance(number, int) or abs(number) > most:
            return "a corner is no place"
    longitudes = [number for number in corners[1::2] if isinstance(number, int)]
    if max(longitudes) - min(longitudes) > 1_800_000_000:
        return "the area crosses 180 degrees"
    return None


def _freeze(data: list[object]) -> tuple[Datum, ...]:
    return tuple(_freeze(element) if isinstance(element, list) else element for element in data)  # type: ignore[misc]  # canon gives only int, str, bytes, None


def _refused(reason: Reason, detail: str) -> Refused:
    return Refused(reason=reason, detail=detail)
