"""All that a receiver says about one instant, and whether it adds up to a fix (DEVICES section 3.4 to 3.6).

Law: sentences claim or veto. A fix needs a claim, a place and no veto; nothing is carried over from the instant before.
"""

from dataclasses import dataclass, field
from datetime import date

from devices import Fix, FixKind, NoFix, NoFixReason, TimeQuality
from devices.nmea.fields import Measure, Place
from devices.nmea.sentences import PLACES, Said

__all__ = ["Epoch", "Instant"]

_SAID_BY_ORDER = ("RMC", "GGA", "GNS", "GLL")
_HEARD_MAX = 24  # six talkers with four sentences each: more is noise that met its checksum
# What was not measured, the worst last: one sentence's word for it outweighs the others'.
_UNMEASURED = (FixKind.DEAD_RECKONING, FixKind.MANUAL, FixKind.SIMULATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """When an epoch was: heard, and by the receiver's own clock."""

    at_ms: int
    time_ms: int | None
    time_quality: TimeQuality
    tod_ms: int | None


@dataclass(slots=True)
class Epoch:
    """Collects sentences of one time of day; `tod_ms` None: the receiver does not know the time."""

    tod_ms: int | None
    opened_ms: int
    heard_ms: int  # when it was last added to
    day: date | None = None
    clock_only: bool = True  # nothing but ZDA has spoken: not a word about the place
    _heard: set[bytes] = field(default_factory=set)  # addresses of the sentences with a time field
    _claims: dict[str, Place] = field(default_factory=dict)  # in the order in which they were said
    _vetoes: set[NoFixReason] = field(default_factory=set)
    _weak_gga: bool = False
    _altitude: Measure | None = None
    _course: Measure | None = None
    _speed: Measure | None = None
    _speed_unit: str = ""
    _hdop: Measure | None = None
    _gsa_hdop: Measure | None = None
    _gsa_modes: set[int] = field(default_factory=set)
    _sats: int | None = None
    _err_cm: int | None = None
    _quality_kind: FixKind | None = None
    _mode_kind: FixKind | None = None
    _unmeasured: set[FixKind] = field(default_factory=set)

    @property
    def sats(self) -> int | None:
        """Satellites used, as GGA counts them."""
        return self._sats

    def is_of(self, address: bytes, tod_ms: int | None) -> bool:
        """Whether a sentence of this address and time belongs here.

        One without a time does, unless the same one was heard already: a receiver that lost its clock with its fix begins anew.
        """
        if tod_ms is None:
            return address not in self._heard
        return tod_ms == self.tod_ms

    def join(self, said: Said, address: bytes, now_ms: int) -> None:
        """Take in one more sentence: the last word on each value counts."""
        self.heard_ms = now_ms
        if len(self._heard) < _HEARD_MAX:
            self._heard.add(address)
        self.clock_only = self.clock_only and said.kind not in PLACES
        if said.veto is not None:
            self._vetoes.add(said.veto)
        if said.claims and said.place is not None:
            self._claims.pop(said.kind, None)
            self._claims[said.kind] = said.place
        if said.kind == "GGA":
            self._weak_gga = said.weak
        self.day = said.day or self.day
        self._altitude = said.altitude or self._altitude
        self._course = said.course or self._course
        if said.speed is not None:
            self._speed, self._speed_unit = said.speed, said.speed_unit
        self._hdop = said.hdop or self._hdop
        self._sats = said.sats if said.sats is not None else self._sats
        self._err_cm = said.err_cm if said.err_cm is not None else self._err_cm
        self._quality_kind = said.quality_kind or self._quality_kind
        self._mode_kind = said.mode_kind or self._mode_kind
        said_kinds = (said.quality_kind, said.mode_kind)
        self._unmeasured.update(kind for kind in _UNMEASURED if kind in said_kinds)

    def join_gsa(self, mode: int | None, hdop: Measure | None, now_ms: int) -> None:
        """Take in how many dimensions the receiver solves for, and the dilution."""
        self.heard_ms = now_ms
        if mode is not None:
            self._gsa_modes.add(mode)
        self._gsa_hdop = hdop or self._gsa_hdop

    def close(self, instant: Instant, *, keep_digits: bool) -> Fix | NoFix:
        """The fact that the sentences add up to."""
        claims = self._claims
        if self._weak_gga and not ("RMC" in claims or "GLL" in claims):
            claims = {kind: place for kind, place in claims.items() if kind != "GGA"}
        if not claims or self._vetoes:
            reason = self._reason(claimed=bool(claims))
            return NoFix(at_ms=instant.at_ms, time_ms=instant.time_ms, reason=reason)
        # GLL has the fewest digits: it only fills a gap.
        finer = [place for kind, place in claims.items() if kind != "GLL"]
        place = finer[-1] if finer else claims["GLL"]
        hdop = self._hdop or self._gsa_hdop
        altitude, speed, course = self._altitude, self._speed, self._course
        return Fix(
            at_ms=instant.at_ms,
            time_ms=instant.time_ms,
            time_quality=instant.time_quality,
            tod_ms=instant.tod_ms,
            lat_e7=place.lat_e7,
            lon_e7=place.lon_e7,
            alt_dm=altitude.scaled if altitude else None,
            speed_cm_s=speed.scaled if speed else None,
            course_cdeg=course.scaled if course else None,
            hdop_centi=hdop.scaled if hdop else None,
            sats=self._sats,
            err_cm=self._err_cm,
            kind=self._kind(),
            mode=2 if altitude is None or self._gsa_modes == {2} else 3,
            said_by=tuple(kind for kind in _SAID_BY_ORDER if kind in claims),
            digits=self._digits(place, hdop) if keep_digits else None,
        )

    def _kind(self) -> FixKind:
        if self._unmeasured:
            return max(self._unmeasured, key=_UNMEASURED.index)
        return self._quality_kind or self._mode_kind or FixKind.GNSS

    def _reason(self, *, claimed: bool) -> NoFixReason:
        if claimed:
            return NoFixReason.CONTRADICTION
        for veto in (NoFixReason.VOID, NoFixReason.QUALITY_0):
            if veto in self._vetoes:
                return veto
        return NoFixReason.TOO_FEW_SATS if "GGA" in self._claims else NoFixReason.NO_POSITION

    def _digits(self, place: Place, hdop: Measure | None) -> dict[str, str]:
        """The chosen fields as they stood; units are in the names."""
        chosen = {
            "alt_m": self._altitude,
            f"speed_{self._speed_unit}": self._speed,
            "course_deg": self._course,
            "hdop": hdop,
        }
        texts = {name: measure.text for name, measure in chosen.items() if measure is not None}
        return {"lat": place.lat_text, "lon": place.lon_text, **texts}
