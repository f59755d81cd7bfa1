"""The state as plain values, and back."""

from collector.detect.seals import Life, Seal, State


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
