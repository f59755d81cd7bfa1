"""The reader of one NMEA receiver: bytes and time in, facts out (DEVICES section 3).

Law: `feed` never raises, whatever the bytes. What it answers depends on the bytes and `now_ms` alone.
"""

from collections.abc import Iterable
from datetime import date

from devices import (
    ODD_EVERY_MS,
    SAMPLE_BYTES_MAX,
    Counters,
    Fact,
    Fix,
    NoFix,
    NoFixReason,
    Odd,
    TimeQuality,
)
from devices.nmea import sentences, sky, ubx
from devices.nmea.dates import Dater, is_backward
from devices.nmea.epochs import Epoch, Instant
from devices.nmea.frames import FrameCutter, Piece, Refusal, Sentence, Ubx
from devices.nmea.sentences import Said
from devices.nmea.sky import Sky

__all__ = ["COUNTERS", "NmeaReader"]

COUNTERS = (
    "bytes",
    "sentences",  # with a right checksum
    "bad_checksum",
    "no_checksum",
    "too_long",
    "cut",
    "binary",
    "bad_field",
    "unknown",
    "fixes",
    "no_fixes",
    "late",
    "time_backward",
    "frozen",
    "rolled",
    "bad_date",
    "other_talker",
    "ubx",
)
FIELDS_MAX = 100  # no sentence of the standard has half as many
QUIET_MS_MAX = 800  # more would run into the next second
FROZEN_MS = 900  # an epoch of 1 Hz that comes again this long after its end is no straggler
EPOCH_MS_MAX = 2_000  # a frozen receiver at 10 Hz is never quiet; no epoch at 4800 baud is as long
OTHER_TALKER_MS = (
    10_000  # how long the bus instruments keep silent after a satellite receiver spoke
)


class NmeaReader:
    """A `devices.Reader`. `not_before`: no date earlier than this is believed (section 3.7).

    `keep_digits` adds the chosen fields as text (`Fix.digits`). `quiet_ms` of silence end an epoch, and so does
    a sentence with another time; `close` ends the last one of a file.
    """

    def __init__(self, not_before: date, quiet_ms: int = 250, *, keep_digits: bool = False) -> None:
        self.counters: Counters = Counters(dict.fromkeys(COUNTERS, 0))
        self._keep_digits = keep_digits
        self._quiet_ms = quiet_ms
        self._cutter = FrameCutter()
        self._dater = Dater(not_before)
        self._sky = Sky()
        self._epoch: Epoch | None = None
        self._ended_tod_ms: int | None = None  # of the epoch that quiet ended; None once time moved
        self._ended_ms = 0
        self._straggled = False
        self._frozen = False
        self._before: tuple[int | None, int] | None = (
            None  # Unix ms and time of day of the last epoch
        )
        self._had_fix = False
        self._satellite_ms: int | None = None
        self._odd_ms: dict[str, int] = {}

    def feed(self, data: bytes, now_ms: int) -> list[Fact]:
        """Facts that `data` completes."""
        self.counters["bytes"] += len(data)
        return self._take(self._cutter.feed(data), now_ms)

    def wake(self, now_ms: int) -> list[Fact]:
        """Ends the open epoch if it has been quiet for long enough."""
        deadline = self.next_deadline()
        if self._epoch is None or deadline is None or now_ms < deadline:
            return []
        # A receiver without a time of day can neither straggle nor freeze.
        self._ended_tod_ms, self._ended_ms = self._epoch.tod_ms, now_ms
        self._straggled = self._frozen = False
        return self._end_epoch(now_ms)

    def close(self, now_ms: int) -> list[Fact]:
        """End of the file: what is kept is judged as it stands, and the open epoch ends."""
        facts = self._take(self._cutter.close(), now_ms)
        return facts + self._end_epoch(now_ms)

    def next_deadline(self) -> int | None:
        """When the open epoch ends, unless more of it comes."""
        if self._epoch is None:
            return None
        return min(self._epoch.heard_ms + self._quiet_ms, self._epoch.opened_ms + EPOCH_MS_MAX)

    def take_bytes(self) -> bytes:
        """Nothing is ever said to a GPS receiver."""
        return b""

    def _take(self, pieces: Iterable[Piece], now_ms: int) -> list[Fact]:
        facts: list[Fact] = []
        for piece in pieces:
            match piece:
                case Sentence():
                    self.counters["sentences"] += 1
                    facts += self._on_sentence(piece, now_ms)
                case Ubx():
                    facts += self._on_ubx(piece, now_ms)
                case Refusal():
                    facts += self._refuse(piece.reason, piece.sample, now_ms)
        return facts

    def _refuse(self, reason: str, sample: bytes, now_ms: int) -> list[Fact]:
        self.counters[reason] += 1
        told_ms = self._odd_ms.get(reason)
        if told_ms is not None and now_ms - told_ms < ODD_EVERY_MS:
            return []
        self._odd_ms[reason] = now_ms
        return [Odd(at_ms=now_ms, protocol="nmea", reason=reason, sample=sample[:SAMPLE_BYTES_MAX])]

    def _on_ubx(self, message: Ubx, now_ms: int) -> list[Fact]:
        self.counters["ubx"] += 1
        if message.class_id == ubx.NAV_STATUS:
            return [*self._sky.spoof(ubx.read_spoof(message.payload), now_ms)]
        radio = ubx.read_radio(message.payload)
        return [*self._sky.radio(radio, now_ms)] if radio is not None else []

    def _on_sentence(self, sentence: Sentence, now_ms: int) -> list[Fact]:
        body = sentence.body
        if body.count(b",") >= FIELDS_MAX:
            return self._count_bad_fields(1, body, now_ms)
        address = body[: body.find(b",")] if b"," in body else body
        if sentence.encapsulated or address.startswith(b"P"):
            return self._on_proprietary(address, body, now_ms)
        talker, kind = address[:2], address[2:].decode("ascii")
        if talker in sky.SATELLITE_TALKERS:
            self._satellite_ms = now_ms
        if kind == "GSV" and talker in sky.SATELLITE_TALKERS:
            return self._on_gsv(talker, body, now_ms)
        if kind == "GSA":
            return self._on_gsa(talker, body, now_ms)
        if kind not in sentences.READERS:
            self.counters["unknown"] += 1
            return []
        if self._is_other(talker, now_ms) and kind != "TXT":
            self.counters["other_talker"] += 1
            return []
        return self._on_said(sentences.read(kind, body), address, body, now_ms)

    def _is_other(self, talker: bytes, now_ms: int) -> bool:
        """Whether another instrument on the bus repeats a place, while the receiver itself is heard."""
        if talker in sky.SATELLITE_TALKERS or self._satellite_ms is None:
            return False
        return now_ms - self._satellite_ms < OTHER_TALKER_MS

    def _on_proprietary(self, address: bytes, body: bytes, now_ms: int) -> list[Fact]:
        # By its whole name: $PGRMC is no RMC.
        if address != b"PSTMANTENNASTATUS":
            self.counters["unknown"] += 1
            return []
        state = sky.read_pstm_antenna(body.split(b","))
        if state is None:
            return self._count_bad_fields(1, body, now_ms)
        return [*self._sky.antenna(state, now_ms)]

    def _on_gsv(self, talker: bytes, body: bytes, now_ms: int) -> list[Fact]:
        bad_fields = self._sky.gsv(talker, body.split(b","), now_ms)
        if self._epoch is not None:
            self._epoch.heard_ms = now_ms
        return self._count_bad_fields(bad_fields, body, now_ms)

    def _on_gsa(self, talker: bytes, body: bytes, now_ms: int) -> list[Fact]:
        gsa = sky.read_gsa(talker, body.split(b","))
        self._sky.gsa(gsa)
        if self._epoch is not None:
            self._epoch.join_gsa(gsa.mode, gsa.hdop, now_ms)
        return self._count_bad_fields(gsa.bad_fields, body, now_ms)

    def _count_bad_fields(self, bad_fields: int, body: bytes, now_ms: int) -> list[Fact]:
        if not bad_fields:
            return []
        self.counters["bad_field"] += bad_fields - 1
        return self._refuse("bad_field", b"$" + body, now_ms)

    def _on_said(self, said: Said | None, address: bytes, body: bytes, now_ms: int) -> list[Fact]:
        if said is None:
            return self._count_bad_fields(1, body, now_ms)
        facts = self._count_bad_fields(said.bad_fields, body, now_ms)
        self.counters["bad_date"] += said.bad_day
        if said.kind in sentences.TIMED:
            return facts + self._on_timed(said, address, now_ms)
        if said.kind == "TXT" and (state := sky.antenna_in_text(said.text)) is not None:
            facts += self._sky.antenna(state, now_ms)
        epoch = self._epoch
        timeless = said.kind in ("VTG", "TXT")
        # GST and GBS join only the epoch whose time they bear.
        if epoch is not None and (timeless or said.tod_ms == epoch.tod_ms):
            epoch.join(said, address, now_ms)
        return facts

    def _on_timed(self, said: Said, address: bytes, now_ms: int) -> list[Fact]:
        """RMC, GGA, GNS, GLL and ZDA: their time of day tells the epochs apart."""
        tod_ms, facts = said.tod_ms, []
        if self._epoch is not None and self._epoch.is_of(address, tod_ms):
            self._epoch.join(said, address, now_ms)
            return []
        if self._epoch is None and tod_ms is not None and tod_ms == self._ended_tod_ms:
            return self._on_straggler(now_ms)
        facts = self._end_epoch(now_ms)
        self._ended_tod_ms = None
        self._epoch = Epoch(tod_ms, opened_ms=now_ms, heard_ms=now_ms)
        self._epoch.join(said, address, now_ms)
        return facts

    def _on_straggler(self, now_ms: int) -> list[Fact]:
        """A sentence of an instant that has ended: late, or the receiver's clock stands still."""
        if self._frozen:
            return []
        if now_ms - self._ended_ms < FROZEN_MS:
            self.counters["late"] += 1
            if not self._straggled:
                self._straggled = True
                self._quiet_ms = min(self._quiet_ms * 2, QUIET_MS_MAX)
            return []
        self._frozen = True
        self.counters["frozen"] += 1
        self.counters["no_fixes"] += 1
        frozen = NoFix(at_ms=now_ms, time_ms=None, reason=NoFixReason.FROZEN)
        return [frozen, *self._sky.epoch_closed(has_fix=False, sats=None, now_ms=now_ms)]

    def _end_epoch(self, now_ms: int) -> list[Fact]:
        epoch, self._epoch = self._epoch, None
        if epoch is None:
            return []
        instant = self._instant(epoch)
        if epoch.clock_only and self._had_fix:
            # Some receivers send ZDA a second ahead, with the pulse. That loses no fix, but twice in a row would.
            self._had_fix = False
            return []
        self._count_backward(instant)
        fact = epoch.close(instant, keep_digits=self._keep_digits)
        self._had_fix = isinstance(fact, Fix)
        self.counters["fixes" if self._had_fix else "no_fixes"] += 1
        status = self._sky.epoch_closed(has_fix=self._had_fix, sats=epoch.sats, now_ms=now_ms)
        return [fact, *status]

    def _instant(self, epoch: Epoch) -> Instant:
        tod_ms, time_ms, quality = epoch.tod_ms, None, TimeQuality.NONE
        if tod_ms is not None:
            time_ms, quality = self._date(epoch.day, tod_ms)
        # Its first sentence was heard nearest to the instant: at 9600 baud the last comes half a second after it.
        return Instant(at_ms=epoch.opened_ms, time_ms=time_ms, time_quality=quality, tod_ms=tod_ms)

    def _date(self, said: date | None, tod_ms: int) -> tuple[int | None, TimeQuality]:
        if said is None:
            return self._dater.date(tod_ms, None)
        own = self._dater.believe(said)
        if own is None:
            # It says a day that cannot be: better none than that of the epoch before.
            self.counters["bad_date"] += 1
            return None, TimeQuality.TOD
        self.counters["rolled"] += own.rolled
        return self._dater.date(tod_ms, own)

    def _count_backward(self, instant: Instant) -> None:
        time_ms, tod_ms = instant.time_ms, instant.tod_ms
        if tod_ms is None:
            return
        before, self._before = self._before, (time_ms, tod_ms)
        if before is None:
            return
        if before[0] is not None and time_ms is not None:
            backward = time_ms < before[0]
        else:
            backward = is_backward(before[1], tod_ms)
        self.counters["time_backward"] += backward
