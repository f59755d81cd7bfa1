"""What one sentence says about its instant: pynmea2 1.19 behind our own layer (DEVICES section 3.3 and 3.5).

pynmea2 knows the names and the order of the fields. Everything else is ours: its converters hand a broken field back as text in
silence, make 0.0 of a blank place, read years from 69 as 19xx and accept a missing checksum. So only raw strings are taken from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from math import isqrt
from typing import Protocol

from pynmea2 import NMEASentence

from devices import FixKind, NoFixReason
from devices.nmea import fields
from devices.nmea.fields import Measure, Place, WrongFieldError
from devices.nmea.frames import xor_of

__all__ = ["PLACES", "READERS", "TIMED", "Said", "read"]

PLACES = frozenset({"RMC", "GGA", "GNS", "GLL"})
TIMED = PLACES | {"ZDA"}

_QUALITY_KINDS = {
    1: FixKind.GNSS,
    2: FixKind.DGNSS,
    3: FixKind.PPS,
    4: FixKind.RTK_FIXED,
    5: FixKind.RTK_FLOAT,
    6: FixKind.DEAD_RECKONING,
    7: FixKind.MANUAL,
    8: FixKind.SIMULATED,
}
_MODE_KINDS = {
    "A": FixKind.GNSS,
    "D": FixKind.DGNSS,
    "P": FixKind.PRECISE,
    "R": FixKind.RTK_FIXED,
    "F": FixKind.RTK_FLOAT,
    "E": FixKind.DEAD_RECKONING,
    "M": FixKind.MANUAL,
    "S": FixKind.SIMULATED,
}
_MODE_NONE = "N"
_SATS_FOR_A_PLACE = 3
_SPEED_KN_MAX = 2_000
_SPEED_KM_H_MAX = 3_704  # the same
_DEVIATION_M_MAX = 100_000  # a receiver that knows no better than this knows nothing
_DEVIATION_SAID_M_MAX = 50_000_000  # round the Earth and more


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One sentence, understood. `None`: it did not say, or what it said is wrong."""

    kind: str
    tod_ms: int | None = None
    claims: bool = False  # it vouches for `place`
    weak: bool = False  # a GGA with too few satellites: its claim needs RMC or GLL beside it
    veto: NoFixReason | None = None
    place: Place | None = None
    day: date | None = None
    bad_day: bool = False
    quality_kind: FixKind | None = None
    mode_kind: FixKind | None = None
    speed: Measure | None = None  # cm/s
    speed_unit: str = ""  # of its text: kn or km_h
    course: Measure | None = None  # hundredths of a degree, 0..35999
    altitude: Measure | None = None  # dm
    hdop: Measure | None = None  # hundredths
    sats: int | None = None
    err_cm: int | None = None
    text: str = ""
    bad_fields: int = 0


class _Message(Protocol):
    """What we use of a pynmea2 sentence."""

    data: list[str]
    name_to_idx: Mapping[str, int]


class _Fields:
    """The raw strings of one pynmea2 sentence, by pynmea2's names."""

    def __init__(self, message: _Message) -> None:
        self._data = message.data
        self._index = message.name_to_idx
        self.bad = 0

    def raw(self, name: str) -> str:
        at = self._index[name]
        return self._data[at] if at < len(self._data) else ""

    def number(
        self, name: str, *, low: int, high: int, multiply: int = 1, divide: int = 1
    ) -> Measure | None:
        text = self.raw(name)
        if not text:
            return None
        measure = fields.read_number(text, low=low, high=high, multiply=multiply, divide=divide)
        self.bad += measure is None
        return measure

    def one_of(self, name: str, known: str) -> str:
        """The letter, "" for an empty or unknown one."""
        letter = self.raw(name)
        if letter and letter not in known:
            self.bad += 1
            return ""
        return letter

    def status(self) -> str:
        """A or V, "" where the field is empty or missing; another letter spoils the sentence."""
        status = self.raw("status")
        if status not in ("A", "V", ""):
            raise WrongFieldError(status)
        return status

    def tod_ms(self) -> int | None:
        return fields.read_time(self.raw("timestamp"))

    def place(self, *, denied: bool) -> Place | None:
        """The place; a wrong one spoils a sentence that claims it, and never one that says there is none.

        Receivers without a fix print 8960.0000 or 36000.0000 there (MediaTek, Globalsat): their "no" is meant.
        """
        raw = self.raw
        try:
            return fields.read_place(raw("lat"), raw("lat_dir"), raw("lon"), raw("lon_dir"))
        except WrongFieldError:
            if not denied:
                raise
            self.bad += 1
            return None

    def mode(self, name: str) -> str:
        return self.one_of(name, "ADPRFEMSN")

    def course(self, name: str) -> Measure | None:
        course = self.number(name, low=0, high=360, multiply=100)
        if course is not None and course.scaled >= 36_000:
            return Measure(course.scaled - 36_000, course.text)
        return course

    def knots(self, name: str) -> Measure | None:
        # 1 kn = 1852 m / 3600 s = 463/9 cm/s
        return self.number(name, low=0, high=_SPEED_KN_MAX, multiply=463, divide=9)

    def altitude(self) -> Measure | None:
        return self.number("altitude", low=-1_000, high=50_000, multiply=10)

    def hdop(self, name: str) -> Measure | None:
        return fields.believed_hdop(self.number(name, low=0, high=9_999, multiply=100))


def read(kind: str, body: bytes) -> Said | None:
    """What a sentence of one of the `READERS` says; None if its time, status or place is wrong."""
    # pynmea2 knows no text behind the checksum, so it gets a clean line, and checks it once more.
    line = f"${body.decode('ascii')}*{xor_of(body):02X}"
    try:
        return READERS[kind](_Fields(NMEASentence.parse(line, check=True)))
    except ValueError:  # ours, and pynmea2's ParseError
        return None


def _rmc(said: _Fields) -> Said:
    status, mode = said.status(), said.mode("mode_indicator")
    # The navigational status behind the mode is V in most receivers and means "not provided".
    denied = status == "V" or mode == _MODE_NONE
    place = said.place(denied=denied)
    alive = status == "A" and not denied
    moves = alive and mode != "E"
    day = fields.read_date(said.raw("datestamp")) if status == "A" else None
    bad_day = status == "A" and day is None and said.raw("datestamp") != ""
    return Said(
        kind="RMC",
        tod_ms=said.tod_ms(),
        claims=alive and place is not None,
        veto=NoFixReason.VOID if denied else None,
        place=place,
        day=day,
        bad_day=bad_day,
        mode_kind=_MODE_KINDS.get(mode),
        speed=said.knots("spd_over_grnd") if moves else None,
        speed_unit="kn",
        course=said.course("true_course") if moves else None,
        bad_fields=said.bad + bad_day,
    )


def _gga(said: _Fields) -> Said:
    raw_quality = said.raw("gps_qual")
    quality = int(raw_quality) if raw_quality.isdecimal() else 0
    if raw_quality and not (raw_quality.isdecimal() and quality <= 8):
        raise WrongFieldError(raw_quality)
    place = said.place(denied=not quality)
    sats = said.number("num_sats", low=0, high=99)
    in_metres = said.raw("altitude_units") == "M"
    return Said(
        kind="GGA",
        tod_ms=said.tod_ms(),
        claims=quality > 0 and place is not None,
        weak=sats is not None and sats.scaled < _SATS_FOR_A_PLACE,
        veto=None if quality else NoFixReason.QUALITY_0,
        place=place,
        quality_kind=_QUALITY_KINDS.get(quality),
        altitude=said.altitude() if in_metres else None,
        hdop=said.hdop("horizontal_dil"),
        sats=sats.scaled if sats is not None else None,
        bad_fields=said.bad,
    )


def _gns(said: _Fields) -> Said:
    modes = said.raw("mode_indicator")
    letters = [letter for letter in modes if letter != _MODE_NONE]
    place = said.place(denied=not letters)
    known = [_MODE_KINDS[letter] for letter in letters if letter in _MODE_KINDS]
    said.bad += len(known) != len(letters)
    return Said(
        kind="GNS",
        tod_ms=said.tod_ms(),
        claims=bool(known) and place is not None,
        veto=None if letters else NoFixReason.QUALITY_0,
        place=place,
        mode_kind=known[0] if known else None,
        altitude=said.altitude(),
        hdop=said.hdop("hdop"),
        bad_fields=said.bad,
    )


def _gll(said: _Fields) -> Said:
    status, mode = said.status(), said.mode("faa_mode")
    denied = status == "V" or mode == _MODE_NONE
    place = said.place(denied=denied)
    return Said(
        kind="GLL",
        tod_ms=said.tod_ms(),
        claims=status == "A" and not denied and place is not None,
        veto=NoFixReason.VOID if denied else None,
        place=place,
        mode_kind=_MODE_KINDS.get(mode),
        bad_fields=said.bad,
    )


def _vtg(said: _Fields) -> Said:
    if said.mode("faa_mode") in (_MODE_NONE, "E") and said.raw("faa_mode"):
        return Said(kind="VTG", bad_fields=said.bad)
    speed = said.knots("spd_over_grnd_kts") if said.raw("spd_over_grnd_kts_sym") == "N" else None
    speed_unit = "kn"
    if speed is None and said.raw("spd_over_grnd_kmph_sym") == "K":
        # 1 km/h = 250/9 cm/s
        speed = said.number(
            "spd_over_grnd_kmph", low=0, high=_SPEED_KM_H_MAX, multiply=250, divide=9
        )
        speed_unit = "km_h"
    is_true = said.raw("true_track_sym") == "T"
    return Said(
        kind="VTG",
        speed=speed,
        speed_unit=speed_unit,
        course=said.course("true_track") if is_true else None,
        bad_fields=said.bad,
    )


def _zda(said: _Fields) -> Said:
    parts = [said.raw(name) for name in ("year", "month", "day")]
    given = any(parts)
    shaped = all(part.isdecimal() for part in parts) and [len(part) for part in parts] == [4, 2, 2]
    day = fields.real_day(int(parts[0]), int(parts[1]), int(parts[2])) if shaped else None
    bad_day = given and day is None
    return Said(
        kind="ZDA", tod_ms=said.tod_ms(), day=day, bad_day=bad_day, bad_fields=said.bad + bad_day
    )


def _gst(said: _Fields) -> Said:
    # In tenths of a millimetre, so that the root loses nothing. u-blox says thousands of km before its first fix: no fault.
    deviations = [
        said.number(name, low=0, high=_DEVIATION_SAID_M_MAX, multiply=10_000)
        for name in ("std_dev_latitude", "std_dev_longitude")
    ]
    limit = _DEVIATION_M_MAX * 10_000
    squares = [each.scaled**2 for each in deviations if each is not None and each.scaled <= limit]
    both = len(squares) == len(deviations)
    return Said(
        kind="GST",
        tod_ms=said.tod_ms(),
        err_cm=fields.half_up(isqrt(sum(squares)), 100) if both else None,
        bad_fields=said.bad,
    )


def _gbs(said: _Fields) -> Said:
    # Its expected errors assume that a satellite has failed: GST is the estimate that we keep.
    return Said(kind="GBS", tod_ms=said.tod_ms(), bad_fields=said.bad)


def _txt(said: _Fields) -> Said:
    return Said(kind="TXT", text=said.raw("text"), bad_fields=said.bad)


READERS: Mapping[str, Callable[[_Fields], Said]] = {
    "RMC": _rmc,
    "GGA": _gga,
    "GNS": _gns,
    "GLL": _gll,
    "VTG": _vtg,
    "ZDA": _zda,
    "GST": _gst,
    "GBS": _gbs,
    "TXT": _txt,
}
