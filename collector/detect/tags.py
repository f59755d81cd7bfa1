"""Cargo by its tags: what should be aboard and is not, what rides along and should not (DETECTION section 7.4, Tags).

Law: a reader that is broken proves nothing about the cargo. A tag at the roadside stays behind; one that rides along does not.
"""

from dataclasses import dataclass, field, replace
from hashlib import blake2b

from collector.detect import Hit, Phase, Place, Priority, place_in, place_out, whole
from collector.detect.geo.measure import distance_m
from collector.detect.rules import Journey
from wire.columns import Event

TAGS_MAX = 512
FOREIGN_MAX = 32  # told apart; more of them are no more news
SHOWN_MAX = 16
ROUNDS, ROUNDS_MS = 3, 60_000
RIDES_M, RIDES_MS = 2_000.0, 600_000
OPENED_MS = 1_800_000  # so shortly after an opening it is worse
WHOLE_ROUNDS = 2
MARK_BYTES = 6  # of a foreign tag in the state: 32 of them are told apart with one chance of confusion in 10^11


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """The same finding, round after round."""

    what: bytes  # bits of the expected that are missing; or marks of the foreign, joined
    seq: int
    since_ms: int
    rounds: int
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """RFID_CARGO_MISMATCH."""

    seq: int
    n: int
    whole: int = 0  # rounds in a row in which all was well
    worst: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    journey: str | None = None
    expected: int = 0  # how many tags the journey declares: another number is another list
    aboard: bytes = b""  # bits of the expected ones that were there
    known: bool = False  # a whole round was heard on this journey
    foreign: bytes = b""  # marks of the others
    missing_now: Suspect | None = None
    foreign_now: Suspect | None = None
    running: Running | None = None
    fault_seq: int | None = None  # DEVICE_FAULT of the reader
    opened_ms: int | None = None  # when seal or door was opened last


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Kind 7, as far as it is judged."""

    reader: str
    ok: bool
    whole: bool
    new: tuple[bytes, ...]
    gone: tuple[bytes, ...]
    more: bool


@dataclass(slots=True, kw_only=True)
class _Work:
    event: Event
    place: Place | None
    moving: bool
    names: tuple[bytes, ...]  # of the journey, sorted
    hits: list[Hit] = field(default_factory=list)


def read_round(event: Event) -> Round | None:
    """Kind 7, or None if it breaks WIRE section 6."""
    data = event.data
    if len(data) < 6 or not isinstance(data[0], str):
        return None
    ok, whole_, new, gone, more = data[1:6]
    if not isinstance(ok, int) or not isinstance(whole_, int) or not isinstance(more, int):
        return None
    read_new, read_gone = _epcs(new), _epcs(gone)
    if read_new is None or read_gone is None:
        return None
    return Round(
        reader=data[0],
        ok=bool(ok),
        whole=bool(whole_),
        new=read_new,
        gone=read_gone,
        more=bool(more),
    )


def epc_of(text: str) -> bytes:
    """A declared tag as its reader says it: hexadecimal text is bytes, any other text its own letters."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return text.encode()


def step(
    state: State,
    event: Event,
    journey: Journey | None,
    *,
    place: Place | None,
    moving: bool,
) -> tuple[State, tuple[Hit, ...], bool]:
    """One round, and whether its event is odd."""
    heard = read_round(event)
    if heard is None:
        return state, (), True
    names = () if journey is None else tuple(sorted(map(epc_of, journey.tags)))[:TAGS_MAX]
    work = _Work(event=event, place=place, moving=moving, names=names)
    state = _reader(work, state, heard)
    if not heard.ok and not heard.new:
        return state, tuple(work.hits), False  # nothing is said of the cargo
    if journey is None or not names or not journey.in_transit:
        return _forgotten(work, state), tuple(work.hits), False
    if state.journey != journey.id or state.expected != len(names):
        state = replace(_forgotten(work, state), journey=journey.id, expected=len(names))
    state = _counted(state, heard, names)
    if heard.more or not state.known:
        return state, tuple(work.hits), False
    return _judged(work, state, heard), tuple(work.hits), False


def opened(state: State, at_ms: int) -> State:
    """A seal or a door of the unit was opened."""
    return replace(state, opened_ms=at_ms)


def pack(state: State) -> tuple[object, ...]:
    running = state.running
    return (
        state.journey,
        state.expected,
        state.aboard,
        int(state.known),
        state.foreign,
        _suspect_out(state.missing_now),
        _suspect_out(state.foreign_now),
        None if running is None else (running.seq, running.n, running.whole, int(running.worst)),
        state.fault_seq,
        state.opened_ms,
    )


def unpack(packed: list[object]) -> State:
    journey, expected, aboard, known, foreign, missing, strange, running, fault, opened_ms = packed
    assert isinstance(aboard, bytes)
    assert isinstance(foreign, bytes)
    return State(
        journey=None if journey is None else str(journey),
        expected=whole(expected),
        aboard=aboard,
        known=bool(known),
        foreign=foreign,
        missing_now=_suspect_in(missing),
        foreign_now=_suspect_in(strange),
        running=_running_in(running),
        fault_seq=None if fault is None else whole(fault),
        opened_ms=None if opened_ms is None else whole(opened_ms),
    )


def _reader(work: _Work, state: State, heard: Round) -> State:
    """A reader that has failed is a fault of its own."""
    if heard.ok is (state.fault_seq is None):
        return state
    begun = not heard.ok
    work.hits.append(
        Hit(
            code="DEVICE_FAULT",
            at_ms=work.event.t_ms,
            origin_seq=work.event.seq if state.fault_seq is None else state.fault_seq,
            subject=f"rfid:{heard.reader}",
            phase=Phase.BEGIN if begun else Phase.END,
            n=0 if begun else 1,
            value="rfid_reader",
        )
    )
    return replace(state, fault_seq=work.event.seq if begun else None)


def _counted(state: State, heard: Round, names: tuple[bytes, ...]) -> State:
    """What is aboard after this event: a whole list begins anew with its first part, changes change it."""
    index = {name: at for at, name in enumerate(names)}
    begins = heard.whole and not (state.known is False and state.aboard)
    bits = bytearray(-(-len(names) // 8)) if begins else bytearray(state.aboard)
    bits.extend(bytes(-(-len(names) // 8) - len(bits)))
    foreign = set() if begins else _marks(state.foreign)
    for epc in heard.new:
        at = index.get(epc)
        if at is None:
            if len(foreign) < FOREIGN_MAX:
                foreign.add(_mark(epc))
        else:
            bits[at // 8] |= 1 << at % 8
    for epc in heard.gone:
        at = index.get(epc)
        if at is None:
            foreign.discard(_mark(epc))
        else:
            bits[at // 8] &= ~(1 << at % 8)
    return replace(
        state,
        aboard=bytes(bits),
        foreign=b"".join(sorted(foreign)),
        # a list in parts is whole with its last part; until then the one before is forgotten
        known=(not heard.more) if heard.whole else state.known,
    )


def _judged(work: _Work, state: State, heard: Round) -> State:
    lacking = _lacking(state.aboard, state.expected)
    missing = _again(work, state.missing_now, lacking)
    strange = _again(work, state.foreign_now, state.foreign)
    state = replace(state, missing_now=missing, foreign_now=strange)
    t_ms = work.event.t_ms
    # a change is the reader's word after a minute of looking: it needs no second round (EDGE section 2)
    said_gone = not heard.whole and bool(heard.gone)
    is_missing = missing is not None and (
        (missing.rounds >= ROUNDS and t_ms - missing.since_ms >= ROUNDS_MS) or said_gone
    )
    is_strange = strange is not None and strange.rounds >= ROUNDS and _rides(work, strange)
    if state.running is None:
        if is_missing or is_strange:
            return _begin(work, state, missing=is_missing, strange=is_strange)
        return state
    if missing is None and strange is None:
        return _well(work, state, heard)
    if state.running.whole:
        return replace(state, running=replace(state.running, whole=0))
    return state


def _begin(work: _Work, state: State, *, missing: bool, strange: bool) -> State:
    suspect = state.missing_now if missing else state.foreign_now
    assert suspect is not None
    t_ms, opened_ms = work.event.t_ms, state.opened_ms
    worst = opened_ms is not None and 0 <= suspect.since_ms - opened_ms <= OPENED_MS
    data: dict[str, object] = {}
    if missing:
        data["missing"] = _names(work.names, suspect.what)[:SHOWN_MAX]
        data["missing_n"] = sum(byte.bit_count() for byte in suspect.what)
    if strange:
        data["foreign_n"] = len(state.foreign) // MARK_BYTES
    place = suspect.place or work.place
    work.hits.append(
        Hit(
            code="RFID_CARGO_MISMATCH",
            at_ms=suspect.since_ms,
            origin_seq=suspect.seq,
            phase=Phase.BEGIN,
            priority=Priority.P1 if worst else None,
            lat_e7=None if place is None else place.lat_e7,
            lon_e7=None if place is None else place.lon_e7,
            value="missing" if missing else "foreign",
            data=data,
        )
    )
    assert t_ms >= suspect.since_ms
    return replace(state, running=Running(seq=suspect.seq, n=1, worst=worst))


def _well(work: _Work, state: State, heard: Round) -> State:
    """All is there again: two whole rounds prove it."""
    running = state.running
    assert running is not None
    if not heard.whole:
        return state
    if running.whole + 1 < WHOLE_ROUNDS:
        return replace(state, running=replace(running, whole=running.whole + 1))
    place = work.place
    for code, phase, n in (
        ("RFID_CARGO_MISMATCH", Phase.END, running.n),
        ("TAGS_COMPLETE", Phase.POINT, 0),
    ):
        work.hits.append(
            Hit(
                code=code,
                at_ms=work.event.t_ms,
                origin_seq=running.seq,
                phase=phase,
                n=n,
                lat_e7=None if place is None else place.lat_e7,
                lon_e7=None if place is None else place.lon_e7,
            )
        )
    return replace(state, running=None)


def _forgotten(work: _Work, state: State) -> State:
    """Another journey, or none: its list is no longer asked for."""
    running = state.running
    if running is not None:
        work.hits.append(
            Hit(
                code="RFID_CARGO_MISMATCH",
                at_ms=work.event.t_ms,
                origin_seq=running.seq,
                phase=Phase.END,
                n=running.n,
            )
        )
    return State(fault_seq=state.fault_seq, opened_ms=state.opened_ms)


def _again(work: _Work, before: Suspect | None, what: bytes) -> Suspect | None:
    if not what.strip(b"\0"):
        return None
    if before is not None and before.what == what:
        return replace(before, rounds=min(before.rounds + 1, ROUNDS))
    return Suspect(
        what=what,
        seq=work.event.seq,
        since_ms=work.event.t_ms,
        rounds=1,
        place=work.place,
    )


def _rides(work: _Work, suspect: Suspect) -> bool:
    """It came along: over 2 km, or for ten minutes of motion."""
    here, there = work.place, suspect.place
    if (
        here is not None
        and there is not None
        and distance_m(here.lon_e7, here.lat_e7, there.lon_e7, there.lat_e7) >= RIDES_M
    ):
        return True
    return work.moving and work.event.t_ms - suspect.since_ms >= RIDES_MS


def _lacking(aboard: bytes, expected: int) -> bytes:
    every = (1 << expected) - 1
    there = int.from_bytes(aboard, "little")
    return (every & ~there).to_bytes(-(-expected // 8), "little")


def _names(names: tuple[bytes, ...], bits: bytes) -> list[str]:
    lacking = int.from_bytes(bits, "little")
    return [_text(name) for at, name in enumerate(names) if lacking >> at & 1]


def _text(epc: bytes) -> str:
    """As declared: printable letters as they are, else hexadecimal."""
    if epc.isascii() and epc.decode("ascii").isprintable() and epc:
        return epc.decode("ascii")
    return epc.hex().upper()


def _mark(epc: bytes) -> bytes:
    return blake2b(epc, digest_size=MARK_BYTES).digest()


def _marks(joined: bytes) -> set[bytes]:
    return {joined[at : at + MARK_BYTES] for at in range(0, len(joined), MARK_BYTES)}


def _epcs(value: object) -> tuple[bytes, ...] | None:
    if not isinstance(value, list | tuple):
        return None
    epcs = [epc for epc in value if isinstance(epc, bytes)]
    return tuple(epcs) if len(epcs) == len(value) else None


def _suspect_out(suspect: Suspect | None) -> tuple[object, ...] | None:
    if suspect is None:
        return None
    return (suspect.what, suspect.seq, suspect.since_ms, suspect.rounds, place_out(suspect.place))


def _suspect_in(packed: object) -> Suspect | None:
    if packed is None:
        return None
    assert isinstance(packed, list)
    what, seq, since_ms, rounds, place = packed
    assert isinstance(what, bytes)
    return Suspect(
        what=what,
        seq=whole(seq),
        since_ms=whole(since_ms),
        rounds=whole(rounds),
        place=place_in(place),
    )


def _running_in(packed: object) -> Running | None:
    if packed is None:
        return None
    assert isinstance(packed, list)
    seq, n, rounds, worst = packed
    return Running(seq=whole(seq), n=whole(n), whole=whole(rounds), worst=bool(worst))
