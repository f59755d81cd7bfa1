"""How a receiver writes: NMEA 0183 4.0 sentences and two UBX frames. Values in, bytes out.

Written from the NMEA 0183 field lists and the u-blox M9 interface description; shares no line with whoever reads them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import xor

__all__ = [
    "Epoch",
    "Seen",
    "gga",
    "gll",
    "gns",
    "gsa",
    "gst",
    "gsv",
    "mon_rf",
    "nav_status",
    "rmc",
    "sentence",
    "txt",
    "vtg",
    "zda",
]

KNOT_M_S = 0.514444
GEOID_M = -42.0  # height of the geoid over the ellipsoid near Tashkent; only printed
SYSTEM_TALKER = {"gps": "GP", "glonass": "GL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One satellite as the receiver sees it."""

    system: str  # gps or glonass
    number: int
    elevation: float
    azimuth: float
    cn0_dbhz: float | None  # None: in view by the almanac, not tracked
    used: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """All that the sentences of one instant need. `mode` 1: no fix."""

    talker: str
    unix_ms: int | None  # None: the receiver has no time yet
    date_known: bool
    mode: int
    lat: float | None  # also without a fix, when a stale place is shown
    lon: float | None
    alt_m: float | None
    speed_m_s: float | None
    course_deg: float | None
    hdop: float | None
    sky: tuple[Seen, ...]
    sigma_m: float
    decimals: int  # of the minutes
    time_decimals: int

    @property
    def fixed(self) -> bool:
        return self.mode > 1

    @property
    def used(self) -> int:
        return sum(seen.used for seen in self.sky)

    def moment(self) -> datetime:
        assert self.unix_ms is not None
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self.unix_ms)

    def clock(self) -> str:
        """Hours, minutes and seconds with the fraction that the receiver prints (cut, not rounded: 59.999 is not 60)."""
        if self.unix_ms is None:
            return ""
        fraction = f"{self.unix_ms % 1000:03d}"[: self.time_decimals]
        return f"{self.moment():%H%M%S}" + (f".{fraction}" if fraction else "")

    def place(self) -> str:
        """Latitude, N or S, longitude, E or W; four empty fields without a place."""
        if self.lat is None or self.lon is None:
            return ",,,"
        north, east = "NS"[self.lat < 0], "EW"[self.lon < 0]
        lat, lon = _minutes(self.lat, 2, self.decimals), _minutes(self.lon, 3, self.decimals)
        return f"{lat},{north},{lon},{east}"


def sentence(body: str) -> bytes:
    """`body` between $ and its checksum, with CR LF."""
    raw = body.encode("ascii")
    return b"$%s*%02X\r\n" % (raw, reduce(xor, raw, 0))


def rmc(epoch: Epoch) -> bytes:
    status, mode = ("A", "A") if epoch.fixed else ("V", "N")
    date = f"{epoch.moment():%d%m%y}" if epoch.date_known else ""
    speed = _text(epoch.speed_m_s, 1 / KNOT_M_S, 3)
    course = _text(epoch.course_deg, 1, 2)
    return sentence(
        f"{epoch.talker}RMC,{epoch.clock()},{status},{epoch.place()},{speed},{course},{date},,,{mode}"
    )


def gga(epoch: Epoch) -> bytes:
    quality = int(epoch.fixed)
    alt, geoid = _heights(epoch)
    return sentence(
        f"{epoch.talker}GGA,{epoch.clock()},{epoch.place()},{quality},{epoch.used:02d},"
        f"{_text(epoch.hdop, 1, 2)},{alt},M,{geoid},M,,"
    )


def gns(epoch: Epoch) -> bytes:
    modes = ("A" if epoch.fixed else "N") * (2 if epoch.talker == "GN" else 1)
    alt, geoid = _heights(epoch)
    return sentence(
        f"{epoch.talker}GNS,{epoch.clock()},{epoch.place()},{modes},{epoch.used:02d},"
        f"{_text(epoch.hdop, 1, 2)},{alt},{geoid},,"
    )


def gll(epoch: Epoch) -> bytes:
    status, mode = ("A", "A") if epoch.fixed else ("V", "N")
    return sentence(f"{epoch.talker}GLL,{epoch.place()},{epoch.clock()},{status},{mode}")


def vtg(epoch: Epoch) -> bytes:
    course = _text(epoch.course_deg, 1, 2)
    knots = _text(epoch.speed_m_s, 1 / KNOT_M_S, 3)
    km_h = _text(epoch.speed_m_s, 3.6, 3)
    mode = "A" if epoch.fixed else "N"
    return sentence(f"{epoch.talker}VTG,{course},T,,M,{knots},N,{km_h},K,{mode}")


def zda(epoch: Epoch) -> bytes:
    date = f"{epoch.moment():%d,%m,%Y}" if epoch.date_known else ",,"
    return sentence(f"{epoch.talker}ZDA,{epoch.clock()},{date},00,00")


def gst(epoch: Epoch) -> bytes:
    if not epoch.fixed:
        return sentence(f"{epoch.talker}GST,{epoch.clock()},,,,,,,")
    sigma = max(epoch.sigma_m, 0.1)
    return sentence(
        f"{epoch.talker}GST,{epoch.clock()},{sigma:.1f},,,,{sigma:.1f},{sigma:.1f},{sigma * 1.5:.1f}"
    )


def gsa(epoch: Epoch) -> list[bytes]:
    """One sentence a system; at most twelve satellites fit."""
    hdop = epoch.hdop
    dops = ",,"
    if hdop is not None:
        dops = f"{hdop * 1.6:.2f},{hdop:.2f},{hdop * 1.25:.2f}"
    lines = []
    for system in _systems(epoch):
        numbers = [f"{s.number:02d}" for s in epoch.sky if s.system == system and s.used][:12]
        fields = ",".join(numbers + [""] * (12 - len(numbers)))
        lines.append(sentence(f"{epoch.talker}GSA,A,{epoch.mode},{fields},{dops}"))
    return lines


def gsv(epoch: Epoch) -> list[bytes]:
    """All satellites in view, four a sentence, each system under its own talker."""
    lines = []
    for system in _systems(epoch):
        seen = [s for s in epoch.sky if s.system == system]
        parts = max((len(seen) + 3) // 4, 1)
        for part in range(parts):
            fields = [f"{SYSTEM_TALKER[system]}GSV,{parts},{part + 1},{len(seen):02d}"]
            for one in seen[part * 4 : part * 4 + 4]:
                cn0 = "" if one.cn0_dbhz is None else f"{round(one.cn0_dbhz):02d}"
                fields.append(
                    f"{one.number:02d},{round(one.elevation):02d},{round(one.azimuth) % 360:03d},{cn0}"
                )
            lines.append(sentence(",".join(fields)))
    return lines


def txt(talker: str, text: str) -> bytes:
    return sentence(f"{talker}TXT,01,01,02,{text}")


def mon_rf(*, jam_state: int, jam_level: int, agc: int, antenna: int) -> bytes:
    """UBX-MON-RF with one block; `agc` 0..8191, `antenna` 2 OK, 3 SHORT, 4 OPEN."""
    block = bytearray(24)
    block[1] = jam_state
    block[2] = antenna
    block[3] = 1  # antenna power on
    block[14:16] = agc.to_bytes(2, "little")
    block[16] = jam_level
    return _ubx(0x0A, 0x38, bytes([0, 1, 0, 0]) + bytes(block))


def nav_status(*, fixed: bool, spoof_state: int) -> bytes:
    """UBX-NAV-STATUS; bits 3 and 4 of flags2 say whether the receiver believes that it is deceived."""
    body = bytearray(16)
    body[4] = 3 if fixed else 0
    body[5] = 1 if fixed else 0
    body[7] = spoof_state << 3
    return _ubx(0x01, 0x03, bytes(body))


def _ubx(kind: int, number: int, body: bytes) -> bytes:
    inner = bytes([kind, number]) + len(body).to_bytes(2, "little") + body
    first = second = 0
    for byte in inner:
        first = (first + byte) & 0xFF
        second = (second + first) & 0xFF
    return b"\xb5\x62" + inner + bytes([first, second])


def _systems(epoch: Epoch) -> tuple[str, ...]:
    return ("gps", "glonass") if epoch.talker == "GN" else ("gps",)


def _heights(epoch: Epoch) -> tuple[str, str]:
    if epoch.alt_m is None:
        return "", ""
    return f"{epoch.alt_m:.1f}", f"{GEOID_M:.1f}"


def _minutes(angle: float, degree_digits: int, decimals: int) -> str:
    # In whole last digits, so that 59.999996 minutes become the next degree and never print as 60.
    scale = 10**decimals
    units = round(abs(angle) * 60 * scale)
    degrees, rest = divmod(units, 60 * scale)
    minutes, fraction = divmod(rest, scale)
    return f"{degrees:0{degree_digits}d}{minutes:02d}.{fraction:0{decimals}d}"


def _text(value: float | None, factor: float, decimals: int) -> str:
    return "" if value is None else f"{value * factor:.{decimals}f}"
