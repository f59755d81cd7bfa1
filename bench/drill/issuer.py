"""One truck's hardware on two ptys: a receiver whose place is a function of the second, a lock whose records are numbered.

Law: a record is owed from the moment at which the unit has acknowledged it, and not before.
"""

import fcntl
import os
import re
import select
import termios
import threading
import time
import tty
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from firmware_sim.seal_jt701d import (
    Access,
    Kind,
    Snapshot,
    Source,
    Status,
    Wake,
    access_text,
    binary_frame,
    status_word,
)
from firmware_sim.sentences import sentence

REPEAT_S = (
    2.0  # the lock repeats what nobody has acknowledged; the real one after 20 s, we have less time
)
PAUSE_S = 0.4  # between an acknowledgement and the next record
CUT_EVERY = 12  # records: then the rope is cut, and a new one is put in
LAT, LON = 41.2, 69.2
STEP_DEG = 0.00018  # about 15 m a second at this latitude
LAP_S = 100_000

_ACK = re.compile(rb"\(P69,0,(\d+)\)")


@dataclass(slots=True, kw_only=True)
class Ledger:
    """What one lock has said and what the unit has promised; and when the truck stood."""

    issued: dict[bytes, int] = field(default_factory=dict)  # frame: number
    owed: list[bytes] = field(default_factory=list)
    cuts_owed: int = 0
    repeats: int = 0
    stood: list[int] = field(default_factory=list)  # seconds, rising


def place_at(unix_s: int, unit_no: int, stood: Sequence[int] = ()) -> tuple[float, float]:
    """Where truck `unit_no` is at that second: east along its own parallel, as far behind as it has stood by then."""
    driven_s = unix_s - bisect_right(stood, unix_s)
    return LAT + unit_no * 0.01, LON + driven_s % LAP_S * STEP_DEG


class Truck:
    """The ptys of one unit and the threads that play them."""

    def __init__(self, unit_no: int, folder: Path) -> None:
        self.unit_no = unit_no
        self.seal_id = f"80006300{unit_no:02d}"
        self.ledger = Ledger()
        self.gps = folder / "gps"
        self.seal = folder / "seal"
        self.stopping = threading.Event()
        self.quiet = threading.Event()  # no further record is issued, what waits is still repeated
        self.is_speaking = False  # a record waits for its acknowledgement
        self.hushed = threading.Event()  # the same for a while
        self.standing = threading.Event()
        self._masters = {path: _open_pty(path) for path in (self.gps, self.seal)}
        self._threads = [
            threading.Thread(target=self._receiver, name=f"gps-{unit_no}", daemon=True),
            threading.Thread(target=self._lock, name=f"seal-{unit_no}", daemon=True),
        ]

    @property
    def place(self) -> tuple[float, float]:
        """Where it is now, in degrees."""
        return place_at(int(time.time()), self.unit_no, self.ledger.stood)

    def start(self) -> None:
        """Power on."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Power off; the ptys go away."""
        self.stopping.set()
        for thread in self._threads:
            thread.join(5)
        for path, (master, slave) in self._masters.items():
            path.unlink(missing_ok=True)
            os.close(master)
            os.close(slave)

    def _receiver(self) -> None:
        master, slave = self._masters[self.gps]
        second = int(time.time())
        while not self.stopping.is_set():
            second += 1
            if self.stopping.wait(max(0.0, second + 0.08 - time.time())):
                return
            _let_in(slave)
            if self.standing.is_set():
                self.ledger.stood.append(second)
            _write(master, epoch(second, self.unit_no, self.ledger.stood))

    def _lock(self) -> None:
        master, slave = self._masters[self.seal]
        for number, (frame, is_cut) in enumerate(self._records()):
            while self.hushed.is_set() and not self.stopping.wait(0.05):
                pass
            if self.stopping.is_set() or (self.quiet.is_set() and number):
                return
            _let_in(slave)
            self.ledger.issued[frame] = number
            self.is_speaking = True
            if not self._say_until_acknowledged(master, frame, number & 0xFF):
                return
            self.ledger.owed.append(frame)
            self.is_speaking = False
            self.ledger.cuts_owed += is_cut
            self.stopping.wait(PAUSE_S)

    def _say_until_acknowledged(self, master: int, frame: bytes, serial: int) -> bool:
        heard = b""
        said_at = 0.0
        times = 0
        while not self.stopping.is_set():
            if time.monotonic() - said_at >= REPEAT_S:
                _write(master, frame)
                said_at = time.monotonic()
                times += 1
            readable, _, _ = select.select([master], [], [], 0.05)
            if readable:
                heard = (heard + _read(master))[-256:]
            if any(int(match) == serial for match in _ACK.findall(heard)):
                self.ledger.repeats += times - 1
                return True
        return False

    def _records(self) -> Iterator[tuple[bytes, bool]]:
        """Frames without end, and whether each is the cut of a rope."""
        number = 0
        while True:
            phase = number % CUT_EVERY
            serial = number & 0xFF
            if phase == 0:
                yield self._report(Kind.LIVE, serial, number, rope_in=True), False
            elif phase == CUT_EVERY - 2:
                yield (
                    self._report(Kind.ALARM, serial, number, rope_in=False, alarm=Status.CUT),
                    True,
                )
            elif phase == CUT_EVERY - 1:
                yield self._report(Kind.LIVE, serial, number, rope_in=False), False
            else:
                yield self._refusal(serial, number), False
            number += 1

    def _snapshot(self, number: int, status: int) -> Snapshot:
        now_s = int(time.time())
        lat, lon = place_at(now_s, self.unit_no, self.ledger.stood)
        return Snapshot(
            seal_id=self.seal_id,
            unix_ms=now_s * 1_000,
            lat=lat,
            lon=lon,
            fixed=True,
            speed_km_h=54.0,
            course_deg=90.0,
            mileage_km=number,
            sats=9,
            status=status,
            battery_percent=90,
            charging=False,
            wake=Wake.RTC,
        )

    def _report(
        self, kind: Kind, serial: int, number: int, *, rope_in: bool, alarm: int = 0
    ) -> bytes:
        status = status_word(rope_in=rope_in, locked=True, cover_closed=True, alarm=alarm)
        return binary_frame(self._snapshot(number, status), kind, serial)

    def _refusal(self, serial: int, number: int) -> bytes:
        """A listed card that the lock refuses: urgent, and no alert of the catalogue by itself."""
        status = status_word(rope_in=True, locked=True, cover_closed=True)
        at = self._snapshot(number, status)
        access = Access(at=at, source=Source.CARD, verification=0, card=f"{number + 1:010d}")
        return access_text(access, serial)


def epoch(unix_s: int, unit_no: int, stood: Sequence[int] = ()) -> bytes:
    """RMC and GGA of that second."""
    moment = datetime.fromtimestamp(unix_s, UTC)
    lat, lon = place_at(unix_s, unit_no, stood)
    knots = "0.00" if unix_s in stood[-1:] else "29.16"
    place = f"{_minutes(lat, 2)},N,{_minutes(lon, 3)},E"
    clock = f"{moment:%H%M%S}.00"
    return sentence(f"GNRMC,{clock},A,{place},{knots},90.0,{moment:%d%m%y},,,A") + sentence(
        f"GNGGA,{clock},{place},1,10,0.8,455.0,M,-40.0,M,,"
    )


def _minutes(angle: float, digits: int) -> str:
    units = round(angle * 60 * 100_000)  # of a hundred-thousandth of a minute: 2 cm
    degrees, rest = divmod(units, 60 * 100_000)
    return f"{degrees:0{digits}d}{rest // 100_000:02d}.{rest % 100_000:05d}"


def _open_pty(path: Path) -> tuple[int, int]:
    """A raw pty whose far end is reached by `path`; its near end stays open, so the agent may come and go."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    path.unlink(missing_ok=True)
    path.symlink_to(os.ttyname(slave))
    return master, slave


def _let_in(slave: int) -> None:
    """A killed agent leaves its exclusive lock on the line, since our own end stays open: who comes next may open it."""
    fcntl.ioctl(slave, termios.TIOCNXCL)


def _write(master: int, data: bytes) -> None:
    """What does not fit while nobody reads is lost, as on a real line."""
    try:
        os.write(master, data)
    except BlockingIOError:
        return


def _read(master: int) -> bytes:
    try:
        return os.read(master, 4_096)
    except (BlockingIOError, OSError):
        return b""
