"""The state as plain values, and back."""

from collector.detect.zones import Crossing, Side, State, Strayed, Visit


def pack(state: State) -> tuple[object, ...]:
    return (
        tuple(_visit_out(visit) for visit in state.visits),
        tuple((one.zone, one.seq, one.n) for one in state.strayed),
    )


def unpack(packed: list[list[list[object]]]) -> State:
    visits, strayed = packed
    return State(
        visits=tuple(_visit_in(row) for row in visits),
        strayed=tuple(
            Strayed(zone=str(zone), seq=_int(seq), n=_int(n)) for zone, seq, n in strayed
        ),
    )


def _visit_out(visit: Visit) -> tuple[object, ...]:
    crossing = visit.crossing
    return (
        visit.zone,
        visit.mark,
        int(visit.phase)
        | visit.dwelt << 2
        | visit.found << 3
        | visit.by_route << 4
        | visit.pending << 5,
        visit.entered_ms,
        visit.seq,
        visit.n,
        visit.unseen_s,
        visit.alert_seq,
        None
        if crossing is None
        else (
            crossing.at_ms,
            crossing.before_ms,
            crossing.after_ms,
            crossing.seq,
            crossing.lat_e7,
            crossing.lon_e7,
            crossing.n,
            visit.count,
            visit.since_ms,
        ),
    )


def _visit_in(row: list[object]) -> Visit:
    zone, mark, bits, entered_ms, seq, visit_n, unseen_s, alert_seq, candidate = row
    bits = _int(bits)
    count = since_ms = 0
    crossing = None
    if candidate is not None:
        assert isinstance(candidate, list)
        at_ms, before_ms, after_ms, at_seq, lat_e7, lon_e7, n, count, since_ms = candidate
        crossing = Crossing(
            at_ms=at_ms,
            before_ms=before_ms,
            after_ms=after_ms,
            seq=at_seq,
            lat_e7=lat_e7,
            lon_e7=lon_e7,
            n=n,
        )
    return Visit(
        zone=str(zone),
        mark=_int(mark),
        phase=Side(bits & 3),
        entered_ms=_int(entered_ms),
        seq=_int(seq),
        crossing=crossing,
        count=count,
        since_ms=since_ms,
        n=_int(visit_n),
        unseen_s=_int(unseen_s),
        dwelt=bool(bits & 4),
        found=bool(bits & 8),
        alert_seq=None if alert_seq is None else _int(alert_seq),
        by_route=bool(bits & 16),
        pending=bool(bits & 32),
    )


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
