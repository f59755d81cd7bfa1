"""gpsd's line: bytes in, facts out, one a epoch.

Law: the last TPV of a time is what counts. A time that does not move is no new fix. gpsd may hold several receivers: the one that
had a fix is listened to until it has had none for ten seconds, so that two places never alternate.
"""

from collections.abc import Iterator

from devices import (
    Counters,
    Fact,
    Fix,
    MisuseError,
    NoFix,
    NoFixReason,
    TimeQuality,
)
from devices.conversation import Remarks
from devices.gpsd.lines import LINE_BYTES_MAX, PROTOCOL, Other, Reason, SkyLine, Tpv, read_line
from devices.gpsd.sky import Sky

WATCH = b'?WATCH={"enable":true,"json":true};\n'  # what the shell says first
QUIET_MS = 250
FROZEN_MS = 900  # DEVICES section 3.4: a straggler comes sooner
OTHER_DEVICE_MS = 10_000  # as long as the other talkers of a bus are ignored (DEVICES section 3.5)
SLICE_BYTES = 4_096  # a large feed is worked off in slices: our memory does not grow with it
SAID_BY = ("TPV",)
_DAY_MS = 86_400_000


class GpsdReader:
    """Reads what gpsd says (`devices.Reader`). It says nothing by itself: the shell sends `WATCH` after it has connected."""

    def __init__(self, *, quiet_ms: int = QUIET_MS) -> None:
        self.counters: Counters = Counters()
        self._quiet_ms = quiet_ms
        self._held = bytearray()
        self._is_skipping = False  # inside a line that was too long
        self._remarks = Remarks(protocol=PROTOCOL, counters=self.counters)
        self._sky = Sky()
        self._open: Tpv | None = None
        self._open_ms = 0  # when the first TPV of the open epoch was heard
        self._close_ms: int | None = None  # when it closes by itself
        self._closed: Tpv | None = None  # the epoch before
        self._spoke_ms = 0  # when it was told
        self._is_frozen = False
        self._device: str | None = None  # of the last fix
        self._device_ms = 0  # when that was

    def feed(self, data: bytes, now_ms: int) -> list[Fact]:
        """Facts that `data` completes. Never raises; any cutting of the bytes gives the same facts."""
        facts = self.wake(now_ms)
        self.counters["bytes"] += len(data)
        for line in self._lines(data):
            facts += self._hear(line, now_ms)
        return facts

    def wake(self, now_ms: int) -> list[Fact]:
        """Closes the epoch after which gpsd has been quiet."""
        if self._close_ms is None or now_ms < self._close_ms:
            return []
        return self._close(now_ms)

    def close(self, now_ms: int) -> list[Fact]:
        """The end: the epoch that is open, and half a line is none."""
        self._held.clear()
        self._is_skipping = False
        return self._close(now_ms)

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called, on the axis of `now_ms`."""
        return self._close_ms

    def order(self, order: object, now_ms: int) -> None:  # noqa: ARG002  # the shape of every reader
        """MisuseError: a receiver behind gpsd is gpsd's."""
        raise MisuseError(f"{type(order).__name__}: nothing is said to a receiver through gpsd")

    def take_bytes(self) -> bytes:
        """Nothing."""
        return b""

    def _lines(self, data: bytes) -> Iterator[bytes]:
        held = self._held
        for start in range(0, len(data), SLICE_BYTES):
            held += data[start : start + SLICE_BYTES]
            while (end := held.find(b"\n")) >= 0:
                with memoryview(held) as view:
                    line = bytes(view[:end])
                del held[: end + 1]
                if self._is_skipping:
                    self._is_skipping = False
                else:
                    yield line
            if self._is_skipping:
                held.clear()
            elif len(held) > LINE_BYTES_MAX:
                with memoryview(held) as view:
                    line = bytes(view[: LINE_BYTES_MAX + 1])
                yield line
                held.clear()
                self._is_skipping = True

    def _hear(self, line: bytes, now_ms: int) -> list[Fact]:
        said = read_line(line)
        if said is None:
            return []
        if isinstance(said, Reason):
            return list(self._remarks.refuse(said.value, line, now_ms))
        self.counters["sentences"] += 1
        if not isinstance(said, Other) and self._is_other(said.device, now_ms):
            self.counters["other_device"] += 1
            return []
        match said:
            case Other():
                self.counters["other"] += 1
                return []
            case SkyLine():
                return list(self._sky.hear(said, now_ms))
            case Tpv():
                return self._hear_tpv(said, now_ms)

    def _is_other(self, device: str | None, now_ms: int) -> bool:
        """Whether a second receiver speaks while the first has its fix."""
        if None in {device, self._device} or device == self._device:
            return False
        return now_ms - self._device_ms < OTHER_DEVICE_MS

    def _hear_tpv(self, tpv: Tpv, now_ms: int) -> list[Fact]:
        self.counters["bad_field"] += tpv.bad_fields
        facts: list[Fact] = [*self._sky.health(tpv.antenna, tpv.jam_level, now_ms)]
        if self._open is not None and self._open.time_ms != tpv.time_ms:
            facts += self._close(now_ms)
        if self._open is not None:
            self._open = tpv  # the last of a time wins
        elif self._is_told(tpv):
            return facts + self._straggler(tpv, now_ms)
        else:
            self._open, self._open_ms = tpv, now_ms
        if tpv.mode >= 2:
            self._device, self._device_ms = tpv.device, now_ms
        self._close_ms = now_ms + self._quiet_ms
        return facts

    def _is_told(self, tpv: Tpv) -> bool:
        """A place without any time cannot be told from the one before: it is a new one."""
        if self._closed is None or (tpv.time_ms is None and tpv.mode >= 2):
            return False
        return self._closed.time_ms == tpv.time_ms

    def _straggler(self, tpv: Tpv, now_ms: int) -> list[Fact]:
        """The time of an epoch that is told already. gpsd says it again when a receiver has lost its time with its place."""
        self.counters["late"] += 1
        if now_ms - self._spoke_ms < FROZEN_MS:
            return []
        if tpv.mode < 2:
            return self._no_fix(NoFixReason.VOID, None, now_ms, now_ms)
        if self._is_frozen:
            return []
        self._is_frozen = True
        self.counters["frozen"] += 1
        return self._no_fix(NoFixReason.FROZEN, tpv.time_ms, now_ms, now_ms)

    def _close(self, now_ms: int) -> list[Fact]:
        tpv, self._open, self._close_ms = self._open, None, None
        if tpv is None:
            return []
        before = self._closed
        if before is not None and before.time_ms is not None and tpv.time_ms is not None:
            self.counters["time_backward"] += tpv.time_ms < before.time_ms
        self._closed, self._is_frozen = tpv, False
        if tpv.mode < 2:
            return self._no_fix(NoFixReason.VOID, tpv.time_ms, self._open_ms, now_ms)
        if tpv.lat_e7 is None or tpv.lon_e7 is None:
            return self._no_fix(NoFixReason.NO_POSITION, tpv.time_ms, self._open_ms, now_ms)
        self._spoke_ms = now_ms
        self.counters["fixes"] += 1
        return [
            self._fix(tpv, tpv.lat_e7, tpv.lon_e7, now_ms),
            *self._sky.epoch_closed(has_fix=True, now_ms=now_ms),
        ]

    def _fix(self, tpv: Tpv, lat_e7: int, lon_e7: int, now_ms: int) -> Fix:
        hdop_centi, sats = self._sky.dilution(now_ms)
        return Fix(
            at_ms=self._open_ms,
            time_ms=tpv.time_ms,
            time_quality=TimeQuality.NONE if tpv.time_ms is None else TimeQuality.GNSS,
            tod_ms=None if tpv.time_ms is None else tpv.time_ms % _DAY_MS,
            lat_e7=lat_e7,
            lon_e7=lon_e7,
            alt_dm=tpv.alt_dm,
            speed_cm_s=tpv.speed_cm_s,
            course_cdeg=tpv.course_cdeg,
            hdop_centi=hdop_centi,
            sats=sats,
            err_cm=None,  # eph is gpsd's own reckoning
            kind=tpv.kind,
            mode=tpv.mode,
            said_by=SAID_BY,
        )

    def _no_fix(
        self, reason: NoFixReason, time_ms: int | None, at_ms: int, now_ms: int
    ) -> list[Fact]:
        self._spoke_ms = now_ms
        self.counters["no_fixes"] += 1
        return [
            NoFix(at_ms=at_ms, time_ms=time_ms, reason=reason),
            *self._sky.epoch_closed(has_fix=False, now_ms=now_ms),
        ]
