"""Opened and closed: the table of section 7.4, its first seven rows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from collector.detect import Phase, Place
from collector.detect.geo.measure import to_edges_m
from collector.detect.geo.passing import edge_m, holds
from collector.detect.rules import Legal, Opening, Order, Rules
from collector.detect.seals import Life, Report, Seal
from collector.detect.seals.work import Work
from wire.orders import inside as inside_corners

USED_MAX = 16  # orders remembered as used until their time is over
CARD_MS = 600_000  # an opening is by the card that was read so shortly before


def lived(work: Work, seal: Seal, report: Report) -> Seal:
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
        return opened(work, seal, report.at_ms)
    if report.is_closed:
        return _closed(work, seal, report.at_ms)
    return seal


def opened(work: Work, seal: Seal, at_ms: int) -> Seal:
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


def _opened_legally(work: Work, seal: Seal, at_ms: int, order: Order) -> Seal:
    work.tell("SEAL_OPENED", seal.seal, at_ms=at_ms, data={"order": order.id})
    work.used = (*work.used, (order.id, order.not_after_ms))[-USED_MAX:]
    return replace(
        seal, life=Life.OPEN_BY_ORDER, seq=work.event.seq, opened_ms=at_ms, zone=order.zone
    )


def _opened_badly(work: Work, seal: Seal, at_ms: int, reasons: tuple[str, ...]) -> Seal:
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


def _closed(work: Work, seal: Seal, at_ms: int) -> Seal:
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


def _ends_left_open(work: Work, seal: Seal, at_ms: int) -> Seal:
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


def _opening(work: Work, seal: Seal, at_ms: int) -> Opening:
    place = work.context.near(at_ms)
    fresh = seal.card is not None and abs(at_ms - seal.card_ms) <= CARD_MS
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


def _orders(work: Work, seal: Seal) -> Sequence[Order]:
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
