"""The state as plain values, and back."""

from collector.detect import Place
from collector.detect.route import Back, Elsewhere, Fall, LegalAlert, Mode, Near, Off, Over, State


def pack(state: State) -> tuple[object, ...]:
    near, over, fall, off = state.near, state.over, state.fall, state.off
    return (
        state.route,
        state.mark,
        int(state.mode),
        state.first_ms,
        int(state.at_end),
        state.s_m,
        None if near is None else (*_place_out(near.place), near.count),
        None if over is None else (*_place_out(over.place), over.count, over.since_ms),
        None if fall is None else (*_place_out(fall.place), fall.s_m, fall.count),
        None
        if state.elsewhere is None
        else (state.elsewhere.s_m, state.elsewhere.t_ms, state.elsewhere.count),
        None if state.back is None else (state.back.seq, state.back.low_m, int(state.back.wrong)),
        None
        if off is None
        else (
            off.seq,
            off.left_ms,
            off.s_m,
            off.driven_dm,
            off.max_d_m,
            off.moving_ms,
            off.far,
            None if off.far_place is None else _place_out(off.far_place),
            off.said,
            off.said_d_m,
            off.legal_far,
            off.visited,
        ),
        None if state.legal is None else (state.legal.seq, state.legal.on),
    )


def unpack(packed: list[object]) -> State:
    route, mark, mode, first_ms, at_end, s_m, near, over, fall, elsewhere, back, off, legal = packed
    return State(
        route=None if route is None else str(route),
        mark=_int(mark),
        mode=Mode(_int(mode)),
        first_ms=_int(first_ms),
        at_end=bool(at_end),
        s_m=None if s_m is None else _int(s_m),
        near=_near_in(near),
        over=_over_in(over),
        fall=_fall_in(fall),
        elsewhere=_elsewhere_in(elsewhere),
        back=_back_in(back),
        off=_off_in(off),
        legal=_legal_in(legal),
    )


def _place_out(place: Place) -> tuple[int, ...]:
    return (place.seq, place.t_ms, place.lat_e7, place.lon_e7, place.u_cm)


def _place_in(row: list[int]) -> Place:
    seq, t_ms, lat_e7, lon_e7, u_cm = row
    return Place(seq=seq, t_ms=t_ms, lat_e7=lat_e7, lon_e7=lon_e7, u_cm=u_cm)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _row(packed: object) -> list[int]:
    assert isinstance(packed, list)
    return packed


def _near_in(packed: object) -> Near | None:
    if packed is None:
        return None
    *place, count = _row(packed)
    return Near(place=_place_in(place), count=count)


def _over_in(packed: object) -> Over | None:
    if packed is None:
        return None
    *place, count, since_ms = _row(packed)
    return Over(place=_place_in(place), count=count, since_ms=since_ms)


def _fall_in(packed: object) -> Fall | None:
    if packed is None:
        return None
    *place, s_m, count = _row(packed)
    return Fall(place=_place_in(place), s_m=s_m, count=count)


def _elsewhere_in(packed: object) -> Elsewhere | None:
    if packed is None:
        return None
    s_m, t_ms, count = _row(packed)
    return Elsewhere(s_m=s_m, t_ms=t_ms, count=count)


def _back_in(packed: object) -> Back | None:
    if packed is None:
        return None
    seq, low_m, wrong = _row(packed)
    return Back(seq=seq, low_m=low_m, wrong=bool(wrong))


def _legal_in(packed: object) -> LegalAlert | None:
    if packed is None:
        return None
    seq, on = _row(packed)
    return LegalAlert(seq=seq, on=on)


def _off_in(packed: object) -> Off | None:
    if packed is None:
        return None
    row = _row(packed)
    far_place: object = row[7]
    return Off(
        seq=row[0],
        left_ms=row[1],
        s_m=row[2],
        driven_dm=row[3],
        max_d_m=row[4],
        moving_ms=row[5],
        far=row[6],
        far_place=None if far_place is None else _place_in(_row(far_place)),
        said=row[8],
        said_d_m=row[9],
        legal_far=row[10],
        visited=row[11],
    )
