"""Satellites, antenna, jamming and spoofing states, and when to speak of them (DEVICES section 3.8).

These are hints, never a verdict: a jam indicator sees continuous waves only, a spoof state only the moment of capture.
GSV and GSA are the bulk of the traffic, so they are split here and not by pynmea2 (which also raises on a truncated GSV).
"""

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import TypeVar

from devices import GnssStatus
from devices.nmea import fields, ubx
from devices.nmea.fields import Measure

__all__ = ["SATELLITE_TALKERS", "Gsa", "Sky", "antenna_in_text", "read_gsa", "read_pstm_antenna"]

STATUS_EVERY_MS = 10_000
SKY_MS_MAX = 15_000  # a satellite not spoken of for this long is no longer in view; some speak of it every 10 s only
SIGNALS_MAX = 24  # six systems with four signals each: more is noise
PART_SATELLITES_MAX = 4  # of one GSV
STRONG_DBHZ = 25

_GP_SYSTEMS = (  # NMEA 0183 4.11 and receivers' manuals: how satellites are numbered without a system
    (range(1, 33), "GPS"),
    (range(33, 65), "SBAS"),
    (range(65, 100), "GLONASS"),
    (range(120, 159), "SBAS"),
    (range(193, 201), "QZSS"),
    (range(201, 265), "BEIDOU"),
    (range(301, 337), "GALILEO"),
    (range(401, 464), "BEIDOU"),
)
_TALKER_SYSTEMS = {
    b"GL": "GLONASS",
    b"GA": "GALILEO",
    b"GB": "BEIDOU",
    b"BD": "BEIDOU",
    b"GQ": "QZSS",
    b"QZ": "QZSS",
    b"GI": "NAVIC",
}
SATELLITE_TALKERS = frozenset({b"GP", b"GN", *_TALKER_SYSTEMS})
_GSA_SYSTEMS = {
    b"1": "GPS",
    b"2": "GLONASS",
    b"3": "GALILEO",
    b"4": "BEIDOU",
    b"5": "QZSS",
    b"6": "NAVIC",
}
_SYSTEMS = ("GPS", "GLONASS", "GALILEO", "BEIDOU", "QZSS", "NAVIC", "SBAS", "OTHER")
_ANTENNA = re.compile(r"ANTSTATUS=(OK|SHORT|OPEN|DONTKNOW)\b|ANTENNA (OK|SHORT|OPEN)\Z")
_PSTM_ANTENNAS = {b"0": "OK", b"1": "OPEN", b"2": "SHORT"}  # ST Teseo: $PSTMANTENNASTATUS


_Set = TypeVar("_Set")


@dataclass(frozen=True, slots=True)
class Gsa:
    """How a receiver solves, and with which satellites."""

    mode: int | None  # 2 or 3
    hdop: Measure | None
    used: tuple[tuple[str, int], ...]  # (system, satellite number); none without a solution
    bad_fields: int


def antenna_in_text(text: str) -> str | None:
    """What a TXT sentence says of the antenna (u-blox ANTSTATUS=, MediaTek ANTENNA OK)."""
    match = _ANTENNA.search(text)
    return match and (match[1] or match[2])


def read_gsa(talker: bytes, parts: list[bytes]) -> Gsa:
    """GSA: `parts` begins with the address. Its last field, since NMEA 4.1, is the system."""
    bad = 0
    mode = parts[2] if len(parts) > 2 else b""
    if mode not in (b"", b"1", b"2", b"3"):
        bad += 1
    system = _TALKER_SYSTEMS.get(talker)
    if len(parts) > 18:
        system = _GSA_SYSTEMS.get(parts[18], system)
    used = []
    for text in parts[3:15]:
        if not text.strip(b"0"):  # empty, or 00 for no satellite
            continue
        number = _satellite(text)
        if number is None:
            bad += 1
            continue
        used.append((system or _system_of(number), number))
    dilution = parts[16].decode("ascii") if len(parts) > 16 else ""
    hdop = fields.read_number(dilution, low=0, high=9_999, multiply=100) if dilution else None
    bad += bool(dilution) and hdop is None
    if mode not in (b"2", b"3"):
        return Gsa(None, fields.believed_hdop(hdop), (), bad)
    return Gsa(int(mode), fields.believed_hdop(hdop), tuple(used), bad)


class Sky:
    """What is known of the sky now, and whether it is time to tell."""

    def __init__(self) -> None:
        # By talker and signal: when the set was whole, and number, C/N0, number, C/N0 ...
        self._views: dict[tuple[bytes, bytes], tuple[int, array[int]]] = {}
        # The same for sets whose last part is still to come: next part, parts in all.
        self._begun: dict[tuple[bytes, bytes], tuple[int, int, array[int]]] = {}
        self._using: dict[str, int] | None = None  # of the open epoch: system -> numbers as bits
        self._used: dict[str, int] | None = None  # of the last epoch that said so
        self._sats: int | None = None
        self._antenna: str | None = None
        self._radio: ubx.RadioHealth | None = None
        self._spoof_state: int | None = None
        self._has_fix: bool | None = None
        self._told_ms: int | None = None

    def gsv(self, talker: bytes, parts: list[bytes], now_ms: int) -> int:
        """One part of a set, `parts` begins with the address. Answers how many fields were wrong."""
        if len(parts) < 4 or not (_is_part(parts[1]) and _is_part(parts[2])):
            return 1
        total, part = int(parts[1]), int(parts[2])
        # Since NMEA 4.1 one more field, a hexadecimal digit, names the signal.
        key = (talker, parts[-1][:1] if len(parts) % 4 == 1 else b"")
        if part > 1 and key not in self._begun:
            # Quectel LC79D numbers the parts of all signals of a system through.
            key = next((begun for begun in reversed(self._begun) if begun[0] == talker), key)
        begun = self._begun.pop(key, None)
        if part == 1:
            seen = array("H")
        elif begun is not None and begun[:2] == (part, total):
            seen = begun[2]
        else:
            return 0  # out of order: the set is dropped
        bad = _collect(parts, seen)
        if part == total:
            _keep(self._views, key, (now_ms, seen))
        else:
            _keep(self._begun, key, (part + 1, total, seen))
        return bad

    def gsa(self, gsa: Gsa) -> None:
        """Satellites that the solution of this instant rests on."""
        if self._using is None:
            self._using = {}
        for system, number in gsa.used:
            self._using[system] = self._using.get(system, 0) | 1 << number

    def antenna(self, state: str, now_ms: int) -> list[GnssStatus]:
        """The antenna's state was said."""
        changed, self._antenna = state != self._antenna, state
        return [self._tell(now_ms)] if changed else []

    def radio(self, radio: ubx.RadioHealth, now_ms: int) -> list[GnssStatus]:
        """MON-RF came: it speaks of the antenna too."""
        before, self._radio = self._radio, radio
        antenna = radio.antenna or self._antenna
        changed = before is None or before.jam_state != radio.jam_state or antenna != self._antenna
        self._antenna = antenna
        return [self._tell(now_ms)] if changed else []

    def spoof(self, state: int, now_ms: int) -> list[GnssStatus]:
        """NAV-STATUS came."""
        changed, self._spoof_state = state != self._spoof_state, state
        return [self._tell(now_ms)] if changed else []

    def epoch_closed(self, *, has_fix: bool, sats: int | None, now_ms: int) -> list[GnssStatus]:
        """An instant is over: tell if the fix was lost or found, or if it is time."""
        if self._using is not None:
            self._used, self._using = self._using, None
        self._sats = sats
        changed, self._has_fix = has_fix != self._has_fix, has_fix
        due = self._told_ms is None or now_ms - self._told_ms >= STATUS_EVERY_MS
        return [self._tell(now_ms)] if (changed or due) and self._knows_anything() else []

    def _knows_anything(self) -> bool:
        said = (self._used, self._antenna, self._radio, self._spoof_state, self._sats)
        return bool(self._views) or any(each is not None for each in said)

    def _tell(self, now_ms: int) -> GnssStatus:
        self._told_ms = now_ms
        strengths = self._strengths(now_ms)
        tracked = {
            system: sum(level > 0 for level in levels.values())
            for system, levels in strengths.items()
        }
        used = {system: bits.bit_count() for system, bits in (self._used or {}).items()}
        levels = sorted(
            (level for by_number in strengths.values() for level in by_number.values() if level),
            reverse=True,
        )
        top4 = levels[:4]
        radio = self._radio
        return GnssStatus(
            at_ms=now_ms,
            in_view=sum(map(len, strengths.values())) if self._views else None,
            tracked=len(levels) if self._views else None,
            used=self._sats if self._used is None else sum(used.values()),
            systems=tuple(
                (
                    system,
                    len(strengths.get(system, ())),
                    tracked.get(system, 0),
                    used.get(system, 0),
                )
                for system in _SYSTEMS
                if system in strengths or system in used
            ),
            cn0_top4_cdb=fields.half_up(sum(top4) * 100, len(top4)) if top4 else None,
            cn0_std_cdb=_deviation_cdb(levels) if levels else None,
            strong_25=sum(level > STRONG_DBHZ for level in levels) if self._views else None,
            antenna=self._antenna,
            jam_state=radio.jam_state if radio is not None else None,
            jam_level=radio.jam_level if radio is not None else None,
            spoof_state=self._spoof_state,
            agc_permille=radio.agc_permille if radio is not None else None,
        )

    def _strengths(self, now_ms: int) -> dict[str, dict[int, int]]:
        """By system and satellite the strongest of its signals, in dBHz; what is old is forgotten."""
        self._views = {
            key: view for key, view in self._views.items() if now_ms - view[0] <= SKY_MS_MAX
        }
        strengths: dict[str, dict[int, int]] = {}
        for (talker, _), (_, seen) in self._views.items():
            of_talker = _TALKER_SYSTEMS.get(talker)
            for number, level in zip(seen[::2], seen[1::2], strict=True):
                by_number = strengths.setdefault(of_talker or _system_of(number), {})
                by_number[number] = max(level, by_number.get(number, 0))
        return strengths


def read_pstm_antenna(parts: list[bytes]) -> str | None:
    """ST Teseo's own sentence; None for a state that its manual does not name."""
    return _PSTM_ANTENNAS.get(parts[1]) if len(parts) > 1 else None


def _collect(parts: list[bytes], seen: "array[int]") -> int:
    """Add the satellites of one part to `seen`; the answer is the number of wrong fields."""
    bad = 0
    for at in range(4, min(len(parts) - 3, 4 + 4 * PART_SATELLITES_MAX), 4):
        if not parts[at].strip(b"0"):
            continue
        number = _satellite(parts[at])
        strength = parts[at + 3]
        level = int(strength) if strength.isdigit() and len(strength) <= 2 else 0
        bad += (number is None) + (level == 0 and strength.strip(b"0") != b"")
        if number is not None:
            seen.extend((number, level))
    return bad


def _keep(kept: "dict[tuple[bytes, bytes], _Set]", key: tuple[bytes, bytes], value: "_Set") -> None:
    """Put `value` last; the oldest goes when there are too many."""
    kept.pop(key, None)
    if len(kept) >= SIGNALS_MAX:
        del kept[next(iter(kept))]
    kept[key] = value


def _is_part(text: bytes) -> bool:
    return len(text) == 1 and text in b"123456789"


def _satellite(text: bytes) -> int | None:
    return int(text) if text.isdigit() and len(text) <= 3 else None


def _system_of(number: int) -> str:
    return next((system for numbers, system in _GP_SYSTEMS if number in numbers), "OTHER")


def _deviation_cdb(levels: Sequence[int]) -> int:
    """Population standard deviation in hundredths, without floats."""
    count = len(levels)
    spread = count * sum(level * level for level in levels) - sum(levels) ** 2
    return fields.half_up(isqrt(spread * 10_000), count)
