"""What the seal's reports mean, judged by order, place, time and card (DETECTION section 7.4).

Law: what a device does not report is None and starts nothing. An opening is judged once, here, by event time, by the same code in
an early copy and in order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np

from collector.detect import Hit, Phase, Place, Priority
from collector.detect.geo.measure import to_edges_m
from collector.detect.geo.passing import edge_m, holds
from collector.detect.rules import Journey, Legal, Opening, Order, Rulebook, Rules
from wire.columns import Event
from wire.orders import inside as inside_corners
from wire.records import EventKind, SealBit

SEALS_MAX = 64
USED_MAX = 16  # orders remembered as used until their time is over
PASSWORD_MS = 600_000
PASSWORDS_MAX = 3
REFUSED_MS = 3_600_000  # so long without another: over
LOST_P1_MS = 900_000
SEAL_ID_CHARS_MAX = 64

LEVELS = (SealBit.LOCKED, SealBit.ROPE_IN, SealBit.DOOR_CLOSED)
CUT = SealBit.ROPE_CUT | SealBit.REMOVED

HEARTBEAT, SILENT = 2, 3  # causes of a seal event
BACKLOG = 2  # its data_type
DOORS, LIGHTS = frozenset({"door"}), frozenset({"light"})
CARDS = frozenset({"cards_registered", "cards_changed"})  # sources of an access that opened nothing

EARLY_CODES = frozenset(
    {
        "SEAL_OPEN_UNAUTHORISED",
        "SEAL_CASING_TAMPER",
        "DOOR_OPEN_UNAUTHORISED",
        "DRIVER_DISTRESS",
    }
)


class Life(IntEnum):
    UNKNOWN = 0
    SEALED = 1
    OPEN_BY_ORDER = 2
    OPEN_BAD = 3
    RECLOSED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Kind 5, as far as it is judged."""

    seal: str
    at_ms: int
    known: int
    true: int
    battery_percent: int | None
    cause: int | None

    def says(self, bit: SealBit) -> bool | None:
        return bool(self.true & bit) if self.known & bit else None

    @property
    def cut(self) -> str | None:
        if self.says(SealBit.ROPE_CUT):
            return "rope_cut"
        return "removed" if self.says(SealBit.REMOVED) else None

    @property
    def is_open(self) -> bool:
        if self.says(SealBit.OPENED_WHILE_SEALED):
            return True
        levels = [self.says(SealBit.LOCKED), self.says(SealBit.ROPE_IN)]
        if levels == [None, None]:
            return self.says(SealBit.DOOR_CLOSED) is False
        return False in levels

    @property
    def is_closed(self) -> bool:
        said = [self.says(bit) for bit in (*LEVELS, SealBit.COVER_CLOSED)]
        return True in said and False not in said and not self.is_open and self.cut is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Kind 6, as far as it is judged."""

    seal: str
    at_ms: int
    source: str | None
    authorised: bool | None
    opened: bool | None
    card: str | None
    wrong_passwords: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """One seal of a unit, as the evidence has it."""

    seal: str
    life: Life = Life.UNKNOWN
    seq: int = 0  # of the record that opened it
    opened_ms: int = 0
    zone: str | None = None  # of the order that opened it
    left_open_seq: int | None = None  # SEAL_LEFT_OPEN runs
    journey: str | None = None  # on which it was opened badly
    lost_seq: int | None = None  # SEAL_LOST runs
    lost_ms: int = 0
    lost_n: int = 0
    covered: bool = False  # SEAL_CASING_TAMPER said, cover not seen closed since
    strange: int = 0  # reports although it is not declared
    card: str | None = None  # of the last opening access
    card_ms: int = 0
    wrong_ms: tuple[int, ...] = ()  # of the last wrong passwords
    refused_seq: int | None = None  # SEAL_ACCESS_REFUSED runs
    refused_ms: int = 0
    illegal_card: bool = False  # the bit of the last report
    wrong_password: bool = False
    battery_seq: int | None = None  # BATTERY_LOW runs
    battery_n: int = 0
    battery_low: bool = False  # it is at P2
    stuck_seq: int | None = None  # DEVICE_FAULT motor_stuck runs


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    seals: tuple[Seal, ...] = ()  # sorted by id
    used: tuple[tuple[str, int], ...] = ()  # orders used, and until when they could be again


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    state: State
    hits: tuple[Hit, ...] = ()
    odd: bool = False  # the event's data are shorter or of other types than WIRE section 6 says


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a seal's event must not look up."""

    unit: str
    book: Rulebook
    near: Callable[[int], Place | None]  # a good fix within `place_s` of a time
    came_ms: int | None  # when the event's batch was first heard
    assume_sealed: bool = False  # an early copy: what is not known yet is taken as sealed


@dataclass(slots=True, kw_only=True)
class _Work:
    """One event while it is judged."""

    context: Context
    rules: Rules
    journey: Journey | None
    event: Event
    used: tuple[tuple[str, int], ...]
    hits: list[Hit] = field(default_factory=list)

    def tell(
        self,
        code: str,
        seal: str,
        *,
        at_ms: int,
        seq: int | None = None,
        phase: Phase = Phase.POINT,
        n: int = 0,
        value: str | float | None = None,
        priority: Priority | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        place = self.context.near(at_ms)
        self.hits.append(
            Hit(
                code=code,
                at_ms=at_ms,
                origin_seq=self.event.seq if seq is None else seq,
                subject=seal,
                phase=phase,
                n=n,
                priority=priority,
                lat_e7=None if place is None else place.lat_e7,
                lon_e7=None if place is None else place.lon_e7,
                seal=seal or None,
                value=value,
                data=dict(data or {}),
            )
        )


def quiet(state: State) -> bool:
    """No seal stands open by order, to be watched fix by fix."""
    return all(seal.life is not Life.OPEN_BY_ORDER or _watched(seal) for seal in state.seals)


def due_ms(rules: Rules, state: State) -> int | None:
    """When time alone would say something, proved by the next fix."""
    times: list[int] = []
    for seal in state.seals:
        if seal.life is Life.OPEN_BY_ORDER and seal.left_open_seq is None:
            times.append(seal.opened_ms + rules.thresholds.relock_s * 1_000)
        if seal.lost_seq is not None and seal.lost_n == 1:
            times.append(seal.lost_ms + LOST_P1_MS)
        if seal.refused_seq is not None:
            times.append(seal.refused_ms + REFUSED_MS)
    return min(times, default=None)


def step_event(context: Context, state: State, event: Event) -> Stepped | None:
    """One event of the unit; None if it is of no kind that seals are told by."""
    match event.kind:
        case EventKind.SEAL:
            report = read_report(event)
            if report is None:
                return Stepped(state=state, odd=True)
            return _report(context, state, event, report)
        case EventKind.ACCESS:
            access = read_access(event)
            if access is None:
                return Stepped(state=state, odd=True)
            return _access(context, state, event, access)
        case EventKind.LINK:
            return _link(context, state, event)
        case EventKind.INPUT:
            return _input(context, state, event)
        case _:
            return None


def step_fix(context: Context, state: State, place: Place) -> tuple[State, tuple[Hit, ...]]:
    """A good fix: proves that time has passed and where the unit is."""
    if not state.seals:
        return state, ()
    event = Event(seq=place.seq, kind=0, t_ms=place.t_ms, mono_ms=0, data=())
    work = _work(context, event, place.t_ms, state)
    seals = tuple(_at_fix(work, seal, place) for seal in state.seals)
    return (replace(state, seals=seals), tuple(work.hits)) if work.hits else (state, ())


def read_report(event: Event) -> Report | None:
    """Kind 5, or None if it breaks WIRE section 6."""
    data = event.data
    if len(data) < 10 or not isinstance(data[0], str) or len(data[0]) > SEAL_ID_CHARS_MAX:
        return None
    numbers = [data[index] for index in (2, 3, 4, 5, 6, 8)]
    if any(number is not None and not isinstance(number, int) for number in numbers):
        return None
    known, true, data_type, seal_ms, battery, cause = (
        number if isinstance(number, int) else None for number in numbers
    )
    backlog = data_type == BACKLOG and seal_ms is not None
    return Report(
        seal=data[0],
        at_ms=seal_ms if backlog and seal_ms is not None else event.t_ms,
        known=known or 0,
        true=(true or 0) & (known or 0),
        battery_percent=battery,
        cause=cause,
    )


def read_access(event: Event) -> Access | None:
    """Kind 6, or None if it breaks WIRE section 6."""
    data = event.data
    if len(data) < 10 or not isinstance(data[0], str) or len(data[0]) > SEAL_ID_CHARS_MAX:
        return None
    source, authorised, opened, card, wrong = data[2:7]
    if not (source is None or isinstance(source, str)) or not (
        card is None or isinstance(card, str)
    ):
        return None
    flags = (authorised, opened, wrong)
    if any(flag is not None and not isinstance(flag, int) for flag in flags):
        return None
    return Access(
        seal=data[0],
        at_ms=event.t_ms,
        source=source,
        authorised=None if authorised is None else bool(authorised),
        opened=None if opened is None else bool(opened),
        card=card,
        wrong_passwords=wrong if isinstance(wrong, int) else None,
    )


def pack(state: State) -> tuple[object, ...]:
    return (
        tuple(_seal_out(seal) for seal in state.seals),
        tuple((order, until_ms) for order, until_ms in state.used),
    )


def unpack(packed: list[list[list[object]]]) -> State:
    seals, used = packed
    return State(
        seals=tuple(_seal_in(row) for row in seals),
        used=tuple((str(order), _int(until_ms)) for order, until_ms in used),
    )


def _seal_out(seal: Seal) -> tuple[object, ...]:
    flags = seal.covered | seal.illegal_card << 1 | seal.wrong_password << 2 | seal.battery_low << 3
    return (
        seal.seal,
        int(seal.life),
        flags,
        seal.seq,
        seal.opened_ms,
        seal.zone,
        seal.left_open_seq,
        seal.journey,
        seal.lost_seq,
        seal.lost_ms,
        seal.lost_n,
        seal.strange,
        seal.card,
        seal.card_ms,
        seal.wrong_ms,
        seal.refused_seq,
        seal.refused_ms,
        seal.battery_seq,
        seal.battery_n,
        seal.stuck_seq,
    )


def _seal_in(row: list[object]) -> Seal:
    flags = _int(row[2])
    wrong_ms = row[14]
    assert isinstance(wrong_ms, list)
    return Seal(
        seal=str(row[0]),
        life=Life(_int(row[1])),
        covered=bool(flags & 1),
        illegal_card=bool(flags & 2),
        wrong_password=bool(flags & 4),
        battery_low=bool(flags & 8),
        seq=_int(row[3]),
        opened_ms=_int(row[4]),
        zone=_text(row[5]),
        left_open_seq=_maybe(row[6]),
        journey=_text(row[7]),
        lost_seq=_maybe(row[8]),
        lost_ms=_int(row[9]),
        lost_n=_int(row[10]),
        strange=_int(row[11]),
        card=_text(row[12]),
        card_ms=_int(row[13]),
        wrong_ms=tuple(wrong_ms),
        refused_seq=_maybe(row[15]),
        refused_ms=_int(row[16]),
        battery_seq=_maybe(row[17]),
        battery_n=_int(row[18]),
        stuck_seq=_maybe(row[19]),
    )


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _maybe(value: object) -> int | None:
    return None if value is None else _int(value)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _work(context: Context, event: Event, at_ms: int, state: State) -> _Work:
    return _Work(
        context=context,
        rules=context.book.at(at_ms),
        journey=context.book.journey(context.unit, at_ms),
        event=event,
        used=tuple((order, until_ms) for order, until_ms in state.used if until_ms >= at_ms),
    )


def _report(context: Context, state: State, event: Event, report: Report) -> Stepped:
    work = _work(context, event, report.at_ms, state)
    seal = _of(state, report.seal)
    if report.cause == SILENT:
        return _kept(work, state, _lost(work, seal, report.at_ms))
    if context.assume_sealed and seal.life is Life.UNKNOWN and report.cause != HEARTBEAT:
        seal = replace(seal, life=Life.SEALED)
    seal = _heard(work, seal, report.at_ms)
    seal = _declared(work, seal, report)
    seal = _lived(work, seal, report)
    seal = _cover(work, seal, report)
    seal = _bits_refused(work, seal, report)
    seal = _battery(work, seal, report)
    seal = _motor(work, seal, report)
    return _kept(work, state, seal)


def _lived(work: _Work, seal: Seal, report: Report) -> Seal:
    """The table of section 7.4: its first seven rows."""
    journey = None if work.journey is None else work.journey.id
    if seal.journey is not None and journey not in (None, seal.journey):
        # affixed anew by an officer for another journey: what was done on the old one stays with it
        seal = replace(seal, life=Life.UNKNOWN, journey=None)
    cut = report.cut
    if cut is not None:
        if seal.life is Life.OPEN_BAD:
            return seal
        return _opened_badly(work, seal, report.at_ms, (cut,))
    if report.is_open:
        return _opened(work, seal, report.at_ms)
    if report.is_closed:
        return _closed(work, seal, report.at_ms)
    return seal


def _opened(work: _Work, seal: Seal, at_ms: int) -> Seal:
    match seal.life:
        case Life.OPEN_BY_ORDER | Life.OPEN_BAD:
            return seal
        case Life.UNKNOWN:
            if work.journey is None or not work.journey.sealed or work.context.assume_sealed:
                return seal  # a heartbeat in an early copy: the chain knows whether that is news
            return _opened_badly(work, seal, at_ms, ("never_sealed",))
        case Life.SEALED | Life.RECLOSED:
            verdict = work.context.book.match(_opening(work, seal, at_ms), _orders(work, seal))
            if isinstance(verdict, Legal):
                return _opened_legally(work, seal, at_ms, verdict.order)
            return _opened_badly(work, seal, at_ms, verdict.reasons)


def _opened_legally(work: _Work, seal: Seal, at_ms: int, order: Order) -> Seal:
    work.tell("SEAL_OPENED", seal.seal, at_ms=at_ms, data={"order": order.id})
    work.used = (*work.used, (order.id, order.not_after_ms))[-USED_MAX:]
    return replace(
        seal, life=Life.OPEN_BY_ORDER, seq=work.event.seq, opened_ms=at_ms, zone=order.zone
    )


def _opened_badly(work: _Work, seal: Seal, at_ms: int, reasons: tuple[str, ...]) -> Seal:
    work.tell(
        "SEAL_OPEN_UNAUTHORISED",
        seal.seal,
        at_ms=at_ms,
        value=reasons[0],
        data={"reasons": list(reasons)},
    )
    seal = _ends_left_open(work, seal, at_ms)
    return replace(
        seal,
        life=Life.OPEN_BAD,
        seq=work.event.seq,
        opened_ms=at_ms,
        zone=None,
        journey=None if work.journey is None else work.journey.id,
    )


def _closed(work: _Work, seal: Seal, at_ms: int) -> Seal:
    match seal.life:
        case Life.UNKNOWN:
            work.tell("SEAL_SEALED", seal.seal, at_ms=at_ms)
            return replace(seal, life=Life.SEALED)
        case Life.OPEN_BY_ORDER:
            seal = _ends_left_open(work, seal, at_ms)
            work.tell("SEAL_CLOSED", seal.seal, at_ms=at_ms)
            return replace(seal, life=Life.SEALED, zone=None)
        case Life.OPEN_BAD:
            work.tell("SEAL_CLOSED", seal.seal, at_ms=at_ms)
            return replace(seal, life=Life.RECLOSED)
        case Life.SEALED | Life.RECLOSED:
            return seal


def _opening(work: _Work, seal: Seal, at_ms: int) -> Opening:
    place = work.context.near(at_ms)
    fresh = seal.card is not None and abs(at_ms - seal.card_ms) <= PASSWORD_MS
    return Opening(
        unit=work.context.unit,
        seal=seal.seal,
        journey=None if work.journey is None else work.journey.id,
        at_ms=at_ms,
        came_ms=work.context.came_ms,
        place_known=place is not None,
        inside=_surely_inside(work.rules, place, _orders(work, seal)),
        card=seal.card if fresh else None,
        used=frozenset(order for order, _ in work.used),
    )


def _orders(work: _Work, seal: Seal) -> Sequence[Order]:
    return work.context.book.orders.get(seal.seal, ())


def _surely_inside(rules: Rules, place: Place | None, orders: Sequence[Order]) -> frozenset[str]:
    """Zones of the orders that hold the place wherever within its uncertainty it was."""
    if place is None:
        return frozenset()
    inside = {order.zone for order in orders if order.area and _surely_in_area(order.area, place)}
    for name in {order.zone for order in orders if not order.area}:
        zone, number = rules.zones.get(name), rules.numbers.get(name)
        if zone is None or number is None or not holds(zone, place.lon_e7, place.lat_e7):
            continue
        if edge_m(rules.index, number, place.lon_e7, place.lat_e7) >= place.u_m:
            inside.add(name)
    return frozenset(inside)


def _surely_in_area(area: Sequence[int], place: Place) -> bool:
    """The same for an outline that was drawn for one order: few corners, asked when a seal opens."""
    if not inside_corners(place.lat_e7, place.lon_e7, area):
        return False
    corners = list(zip(area[1::2], area[::2], strict=True))
    edges = [[*a, *b] for a, b in zip(corners, [*corners[1:], corners[0]], strict=True)]
    return to_edges_m(place.lon_e7, place.lat_e7, np.array(edges, np.int64)) >= place.u_m


def _access(context: Context, state: State, event: Event, access: Access) -> Stepped:
    work = _work(context, event, access.at_ms, state)
    seal = _heard(work, _of(state, access.seal), access.at_ms)
    if access.source in CARDS:
        return _kept(work, state, _other_cards(work, seal, access))
    if access.opened and access.authorised is not False:
        card = access.card or access.source
        seal = replace(seal, card=card, card_ms=access.at_ms)
        if context.assume_sealed and seal.life is Life.UNKNOWN:
            seal = replace(seal, life=Life.SEALED)
        if seal.life is not Life.UNKNOWN:
            seal = _opened(work, seal, access.at_ms)
        return _kept(work, state, seal)
    if access.authorised is not False:
        return _kept(work, state, seal)
    wrong = (access.wrong_passwords or 0) >= PASSWORDS_MAX
    if access.card is not None:
        seal = _refused(work, seal, access.at_ms, "card")
    elif wrong or _three_wrong(seal, access.at_ms):
        seal = _refused(work, _password(seal, access.at_ms), access.at_ms, "password")
    else:
        seal = _password(seal, access.at_ms)
    return _kept(work, state, seal)


def _bits_refused(work: _Work, seal: Seal, report: Report) -> Seal:
    """Alarm bits count when they come up, not while they stay."""
    card, password = report.says(SealBit.ILLEGAL_CARD), report.says(SealBit.WRONG_PASSWORD)
    if card and not seal.illegal_card:
        seal = _refused(work, seal, report.at_ms, "card")
    if password and not seal.wrong_password:
        if _three_wrong(seal, report.at_ms):
            seal = _refused(work, seal, report.at_ms, "password")
        seal = _password(seal, report.at_ms)
    return replace(seal, illegal_card=bool(card), wrong_password=bool(password))


def _three_wrong(seal: Seal, at_ms: int) -> bool:
    """Whether one more now is the third within ten minutes."""
    recent = [wrong_ms for wrong_ms in seal.wrong_ms if at_ms - wrong_ms <= PASSWORD_MS]
    return len(recent) + 1 >= PASSWORDS_MAX


def _password(seal: Seal, at_ms: int) -> Seal:
    return replace(seal, wrong_ms=(*seal.wrong_ms, at_ms)[1 - PASSWORDS_MAX :])


def _refused(work: _Work, seal: Seal, at_ms: int, value: str) -> Seal:
    if seal.refused_seq is not None and at_ms - seal.refused_ms < REFUSED_MS:
        return replace(seal, refused_ms=at_ms)
    seal = _ends_refused(work, seal, at_ms)
    work.tell("SEAL_ACCESS_REFUSED", seal.seal, at_ms=at_ms, phase=Phase.BEGIN, value=value)
    return replace(seal, refused_seq=work.event.seq, refused_ms=at_ms)


def _other_cards(work: _Work, seal: Seal, access: Access) -> Seal:
    """Who gives himself a key is told at once, also while a refusal runs (DEVICES section 4.5: a later difference is an alarm)."""
    seal = _refusal_over(work, seal, access.at_ms)
    return _refused(work, seal, access.at_ms, access.source or "")


def _ends_refused(work: _Work, seal: Seal, at_ms: int) -> Seal:
    if seal.refused_seq is None or at_ms - seal.refused_ms < REFUSED_MS:
        return seal
    return _refusal_over(work, seal, seal.refused_ms + REFUSED_MS)


def _refusal_over(work: _Work, seal: Seal, over_ms: int) -> Seal:
    if seal.refused_seq is None:
        return seal
    work.tell(
        "SEAL_ACCESS_REFUSED",
        seal.seal,
        at_ms=over_ms,
        seq=seal.refused_seq,
        phase=Phase.END,
        n=1,
    )
    return replace(seal, refused_seq=None)


def _cover(work: _Work, seal: Seal, report: Report) -> Seal:
    opened = report.says(SealBit.COVER_OPENED)
    closed = report.says(SealBit.COVER_CLOSED)
    if not opened and closed is not False:
        said = opened is False or closed is True
        return replace(seal, covered=False) if said else seal
    if seal.covered:
        return seal
    work.tell("SEAL_CASING_TAMPER", seal.seal, at_ms=report.at_ms, value="cover")
    return replace(seal, covered=True)


def _declared(work: _Work, seal: Seal, report: Report) -> Seal:
    journey = work.journey
    if journey is None or not journey.seals or seal.seal in journey.seals:
        return replace(seal, strange=0)
    strange = min(seal.strange + 1, 3)
    if strange == 2:
        work.tell(
            "SEAL_ID_MISMATCH",
            seal.seal,
            at_ms=report.at_ms,
            data={"declared": list(journey.seals)},
        )
    return replace(seal, strange=strange)


def _battery(work: _Work, seal: Seal, report: Report) -> Seal:
    percent, th = report.battery_percent, work.rules.thresholds
    if percent is None:
        return seal
    begun, at_ms = seal.battery_seq, report.at_ms
    if begun is None:
        if percent >= th.battery_low_percent:
            return seal
        very = percent < th.battery_very_low_percent
        work.tell(
            "BATTERY_LOW",
            seal.seal,
            at_ms=at_ms,
            phase=Phase.BEGIN,
            value=percent,
            priority=Priority.P2 if very else None,
        )
        return replace(seal, battery_seq=work.event.seq, battery_n=1, battery_low=very)
    if percent > th.battery_ok_percent:
        work.tell(
            "BATTERY_LOW",
            seal.seal,
            at_ms=at_ms,
            seq=begun,
            phase=Phase.END,
            n=seal.battery_n,
            value=percent,
        )
        return replace(seal, battery_seq=None, battery_n=0, battery_low=False)
    if percent < th.battery_very_low_percent and not seal.battery_low:
        work.tell(
            "BATTERY_LOW",
            seal.seal,
            at_ms=at_ms,
            seq=begun,
            phase=Phase.CHANGE,
            n=seal.battery_n,
            value=percent,
            priority=Priority.P2,
        )
        return replace(seal, battery_n=seal.battery_n + 1, battery_low=True)
    return seal


def _motor(work: _Work, seal: Seal, report: Report) -> Seal:
    stuck = report.says(SealBit.MOTOR_STUCK)
    if stuck and seal.stuck_seq is None:
        work.tell(
            "DEVICE_FAULT",
            seal.seal,
            at_ms=report.at_ms,
            phase=Phase.BEGIN,
            value="motor_stuck",
        )
        return replace(seal, stuck_seq=work.event.seq)
    if stuck is False and seal.stuck_seq is not None:
        work.tell(
            "DEVICE_FAULT",
            seal.seal,
            at_ms=report.at_ms,
            seq=seal.stuck_seq,
            phase=Phase.END,
            n=1,
            value="motor_stuck",
        )
        return replace(seal, stuck_seq=None)
    return seal


def _link(context: Context, state: State, event: Event) -> Stepped:
    """Kind 16: the reader of seals is gone, and all seals with it."""
    if len(event.data) < 2 or not all(isinstance(value, int) for value in event.data[:2]):
        return Stepped(state=state, odd=True)
    what, up = event.data[:2]
    if what != 1 or up:
        return Stepped(state=state)
    work = _work(context, event, event.t_ms, state)
    known = {seal.seal for seal in state.seals}
    if work.journey is not None:
        known |= set(work.journey.seals)
    for name in sorted(known):
        stepped = _kept(work, state, _lost(work, _of(state, name), event.t_ms))
        state = stepped.state
    return Stepped(state=state, hits=tuple(work.hits))


def _input(context: Context, state: State, event: Event) -> Stepped:
    """Kind 8: a door or light sensor of the body."""
    if (
        len(event.data) < 2
        or not isinstance(event.data[0], str)
        or not isinstance(event.data[1], int)
    ):
        return Stepped(state=state, odd=True)
    name, level = event.data[0], event.data[1]
    work = _work(context, event, event.t_ms, state)
    legally_open = any(seal.life is Life.OPEN_BY_ORDER for seal in state.seals)
    watched = work.journey is not None and work.journey.sealed and not legally_open
    if level == 1 and watched and name in DOORS:
        work.tell("DOOR_OPEN_UNAUTHORISED", "", at_ms=event.t_ms)
    if level == 1 and watched and name in LIGHTS:
        work.tell("SEAL_CASING_TAMPER", "", at_ms=event.t_ms, value="light")
    return Stepped(state=state, hits=tuple(work.hits))


def _lost(work: _Work, seal: Seal, at_ms: int) -> Seal:
    if seal.lost_seq is not None:
        return seal
    work.tell("SEAL_LOST", seal.seal, at_ms=at_ms, phase=Phase.BEGIN)
    return replace(seal, lost_seq=work.event.seq, lost_ms=at_ms, lost_n=1)


def _heard(work: _Work, seal: Seal, at_ms: int) -> Seal:
    if seal.lost_seq is None:
        return seal
    work.tell(
        "SEAL_LOST",
        seal.seal,
        at_ms=at_ms,
        seq=seal.lost_seq,
        phase=Phase.END,
        n=seal.lost_n,
        value=(at_ms - seal.lost_ms) / 1_000,
    )
    return replace(seal, lost_seq=None, lost_n=0)


def _at_fix(work: _Work, seal: Seal, place: Place) -> Seal:
    seal = _ends_refused(work, seal, place.t_ms)
    if seal.lost_seq is not None and seal.lost_n == 1 and place.t_ms >= seal.lost_ms + LOST_P1_MS:
        work.tell(
            "SEAL_LOST",
            seal.seal,
            at_ms=seal.lost_ms + LOST_P1_MS,
            seq=seal.lost_seq,
            phase=Phase.CHANGE,
            n=1,
            priority=Priority.P1,
        )
        seal = replace(seal, lost_n=2)
    if seal.life is not Life.OPEN_BY_ORDER or _watched(seal):
        return seal
    due_ms = seal.opened_ms + work.rules.thresholds.relock_s * 1_000
    if place.t_ms >= due_ms:
        at_ms, value = due_ms, "relock"
    elif place.sharp and _outside(work.rules, seal.zone, place):
        at_ms, value = place.t_ms, "outside"
    else:
        return seal
    work.tell(
        "SEAL_LEFT_OPEN",
        seal.seal,
        at_ms=at_ms,
        seq=seal.seq,
        phase=Phase.BEGIN,
        value=value,
    )
    return replace(seal, left_open_seq=seal.seq)


def _outside(rules: Rules, name: str | None, place: Place) -> bool:
    zone = rules.zones.get(name) if name is not None else None
    number = rules.numbers.get(name) if name is not None else None
    if zone is None or number is None or holds(zone, place.lon_e7, place.lat_e7):
        return False
    away_m = edge_m(rules.index, number, place.lon_e7, place.lat_e7)
    return away_m > rules.thresholds.order_zone_m


def _ends_left_open(work: _Work, seal: Seal, at_ms: int) -> Seal:
    if seal.left_open_seq is None:
        return seal
    work.tell(
        "SEAL_LEFT_OPEN",
        seal.seal,
        at_ms=at_ms,
        seq=seal.left_open_seq,
        phase=Phase.END,
        n=1,
        value=(at_ms - seal.opened_ms) / 1_000,
    )
    return replace(seal, left_open_seq=None)


def _watched(seal: Seal) -> bool:
    """SEAL_LEFT_OPEN is said: nothing more to watch for."""
    return seal.left_open_seq is not None


def _of(state: State, name: str) -> Seal:
    for seal in state.seals:
        if seal.seal == name:
            return seal
    return Seal(seal=name)


def _kept(work: _Work, state: State, seal: Seal) -> Stepped:
    others = [other for other in state.seals if other.seal != seal.seal]
    while (
        len(others) >= SEALS_MAX
    ):  # the one that is nobody's is forgotten first, then the oldest news
        others.remove(min(others, key=lambda other: (other.strange == 0, other.opened_ms)))
    seals = tuple(sorted((*others, seal), key=lambda other: other.seal))
    return Stepped(state=State(seals=seals, used=work.used), hits=tuple(work.hits))
