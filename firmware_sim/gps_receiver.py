"""A satellite receiver (DEVICES 8.1): truth and events in, sentences out. Never asked for anything; it hears no commands.

Law: an epoch's bytes depend on the scenario, the seed and the epoch's number, never on who reads or how fast.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp, sqrt
from random import Random

from firmware_sim import Event, Said, rng_of, sentences
from firmware_sim.sentences import Epoch, Seen
from firmware_sim.sky import Body, Sky
from firmware_sim.world import Moment, Track, Vertex, World, offset

__all__ = ["EFFECTS", "SENTENCES", "GpsReceiver", "ReceiverSpec"]

SENTENCES = ("RMC", "GGA", "GSA", "GSV", "VTG", "GLL", "GNS", "ZDA", "GST", "TXT")
EFFECTS = ("void", "jump", "jam", "tunnel", "spoof", "freeze", "rollover", "antenna", "silence")
ROLLOVER_MS = 1024 * 7 * 86_400_000
NOISE_TAU_S = 120.0  # Gauss-Markov correlation (DEVICES 8.1)
WHITE_M_PER_NOISE_M = 0.2  # 1 m white beside 5 m wandering
SPEED_NOISE_M_S_PER_M = 0.02  # Doppler speed of a receiver with 5 m noise wobbles by 0.1 m/s
ALTITUDE_M = 400.0  # where the track tells none: the plain of Tashkent
TRACKED_DBHZ_MIN = 20.0  # below, the loop loses the signal
USED_DBHZ_MIN = 27.0  # below, the measurement is not used
JAM_RISE_MS = 5_000
TUNNEL_FADE_MS = 20_000
SPOOF_DBHZ = 47.0
SPOOF_SPREAD_DB = 1.5  # all within
TWO_D_S = 5.0  # a cold start passes through 2D for so long
ANTENNA_STATES = {"OK": 2, "SHORT": 3, "OPEN": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverSpec:
    baud: int = 9600
    hz: int = 1
    talker: str = "GN"
    latency_ms: int = 80
    fix_after_s: float = 35.0
    noise_m: float = 5.0
    cn0_spread_db: float = 6.0
    ubx: bool = False
    decimals: int = 5
    exact: bool = False  # say each recorded fix, as recorded, and nothing between
    sentences: tuple[str, ...] = ("RMC", "GGA", "GSA", "GSV", "VTG")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Effect:
    event: Event
    until_ms: int | None
    track: World | None = None

    def holds(self, now_ms: int) -> bool:
        return self.until_ms is None or now_ms < self.until_ms


class GpsReceiver:
    def __init__(self, spec: ReceiverSpec, world: World, *, start_ms: int, seed: int) -> None:
        """`start_ms`: Unix ms of world time 0."""
        self.baud = spec.baud
        self._spec = spec
        self._world = world
        self._start_ms = start_ms
        systems = ("gps", "glonass") if spec.talker == "GN" else ("gps",)
        self._sky = Sky(systems=systems, spread_db=spec.cn0_spread_db, rng=rng_of(seed, "gps/sky"))
        self._noise = _Noise(spec.noise_m, spec.hz, rng_of(seed, "gps/noise"))
        self._spoof_rng = rng_of(seed, "gps/spoof")
        self._effects: dict[str, _Effect] = {}
        self._epoch_number = 0
        self._had_fix = False
        self._last: Epoch | None = None  # the last one with a fix
        self._frozen: list[bytes] | None = None
        self._fixed_now = False
        self._said_place: tuple[float, float] | None = None
        self._remarks: list[bytes] = []  # TXT and UBX that go out with the next epoch
        if "TXT" in spec.sentences:
            self._remarks.append(sentences.txt(spec.talker, "ANTSTATUS=OK"))
        self._out: list[Said] = []

    # -- the shape of a device

    def next_due_ms(self) -> int | None:
        if not self._spec.exact:
            return self._epoch_number * 1000 // self._spec.hz
        vertices = self._world.track.vertices
        return vertices[self._epoch_number].t_ms if self._epoch_number < len(vertices) else None

    def wake(self, now_ms: int) -> None:
        while (due_ms := self.next_due_ms()) is not None and due_ms <= now_ms:
            lines = self._lines(due_ms)
            self._epoch_number += 1
            if lines:
                self._out.extend(
                    Said(at_ms=due_ms + self._spec.latency_ms, data=line) for line in lines
                )

    def feed(self, data: bytes, now_ms: int) -> None:
        """A receiver of this kind is configured by nobody: what it hears is lost."""

    def play(self, event: Event, now_ms: int) -> bool:  # noqa: ARG002 - the shape of a device
        if event.do == "baud":
            self.baud = round(event.number("baud"))
            return True
        if event.do not in EFFECTS:
            return False
        track = event.args.get("track")
        world = World(track) if isinstance(track, Track) else None
        self._effects[event.do] = _Effect(event=event, until_ms=event.ends_ms(), track=world)
        self._remark(event)
        return True

    def take(self) -> list[Said]:
        out, self._out = self._out, []
        return out

    def waits(self) -> bool:
        return False

    def truth(self, now_ms: int) -> dict[str, object]:  # noqa: ARG002 - the shape of a device
        return {"fix": self._fixed_now}

    # -- one epoch

    def _lines(self, t_ms: int) -> list[bytes]:
        self._end_effects(t_ms)
        self._noise.step()  # drawn for each epoch, shown or not: what follows stays the same
        if "silence" in self._effects:
            self._fixed_now = False
            return []
        if "freeze" in self._effects and self._frozen is not None:
            return self._frozen
        epoch = self._epoch(t_ms)
        self._fixed_now = epoch.fixed
        if epoch.fixed:
            self._had_fix, self._last = True, epoch
        lines = self._write(epoch, whole_second=t_ms % 1000 == 0 or self._spec.exact)
        lines += self._ubx(t_ms, epoch)
        lines, self._remarks = lines + self._remarks, []
        self._frozen = lines
        return lines

    def _epoch(self, t_ms: int) -> Epoch:
        if self._spec.exact:
            return self._hidden(self._recorded(t_ms))
        return self._hidden(self._measured(t_ms))

    def _recorded(self, t_ms: int) -> Epoch:
        """The recorded fix word for word: what the file does not say stays empty."""
        vertex: Vertex = self._world.track.vertices[self._epoch_number]
        return replace(
            self._bare(t_ms),
            mode=2 if vertex.alt_m is None else 3,
            lat=vertex.lat,
            lon=vertex.lon,
            alt_m=vertex.alt_m,
            speed_m_s=vertex.speed_m_s,
            course_deg=vertex.course_deg,
            hdop=vertex.hdop,
            sky=tuple(_seen(body, body.cn0_dbhz) for body in self._sky.at(t_ms)),
        )

    def _measured(self, t_ms: int) -> Epoch:
        moment = self._moment(t_ms)
        sky = self._seen(t_ms)
        used = sum(seen.used for seen in sky)
        mode = self._mode(t_ms, used)
        if mode == 1:
            sky = tuple(replace(seen, used=False) for seen in sky)
        lat, lon = moment.lat, moment.lon
        east_m, north_m = self._noise.east_north_m()
        if east_m or north_m:
            lat, lon = offset(lat, lon, east_m, north_m)
        speed = abs(moment.speed_m_s + self._noise.speed_m_s())
        alt = moment.alt_m if moment.alt_m is not None else ALTITUDE_M
        return replace(
            self._bare(t_ms),
            mode=mode,
            lat=lat,
            lon=lon,
            alt_m=alt + self._noise.up_m() if mode == 3 else None,
            speed_m_s=speed,
            course_deg=moment.course_deg,
            hdop=11.2 / used if used else None,  # 0.8 with fourteen
            sky=sky,
        )

    def _hidden(self, epoch: Epoch) -> Epoch:
        """The epoch after jumps and losses: without a fix it says no place, or a stale one."""
        if (jump := self._effects.get("jump")) and epoch.lat is not None and epoch.lon is not None:
            east_m, north_m = jump.event.number("east_m"), jump.event.number("north_m")
            lat, lon = offset(epoch.lat, epoch.lon, east_m, north_m)
            epoch = replace(epoch, lat=lat, lon=lon)
        void = self._effects.get("void")
        if epoch.fixed and void is None:
            return epoch
        stale = self._last if void is not None and void.event.flag("stale") else None
        return replace(
            epoch,
            mode=1,
            lat=stale.lat if stale else None,
            lon=stale.lon if stale else None,
            alt_m=None,
            speed_m_s=None,
            course_deg=None,
            hdop=99.99 if self._had_fix else None,
            sky=tuple(replace(seen, used=False) for seen in epoch.sky),
            date_known=self._had_fix,
        )

    def _bare(self, t_ms: int) -> Epoch:
        spoof, rollover = self._effects.get("spoof"), self._effects.get("rollover")
        unix_ms = self._start_ms + t_ms
        unix_ms += round(spoof.event.number("clock_s") * 1000) if spoof else 0
        unix_ms -= ROLLOVER_MS if rollover else 0
        warm = t_ms * 4 >= self._spec.fix_after_s * 1000 or self._spec.exact
        return Epoch(
            talker=self._spec.talker,
            unix_ms=unix_ms if warm else None,
            date_known=True,
            mode=1,
            lat=None,
            lon=None,
            alt_m=None,
            speed_m_s=None,
            course_deg=None,
            hdop=None,
            sky=(),
            sigma_m=self._spec.noise_m,
            decimals=self._spec.decimals,
            time_decimals=3 if self._spec.exact else 2,
        )

    def _moment(self, t_ms: int) -> Moment:
        spoof = self._effects.get("spoof")
        if spoof is None or spoof.track is None:
            return self._world.at(t_ms)
        return spoof.track.at(t_ms - spoof.event.at_ms)

    def _mode(self, t_ms: int, used: int) -> int:
        fix_after_ms = self._spec.fix_after_s * 1000
        if t_ms < fix_after_ms - min(TWO_D_S * 1000, fix_after_ms / 2) or used < 3:
            return 1
        return 2 if t_ms < fix_after_ms or used == 3 else 3

    # -- the sky, and what hides it

    def _seen(self, t_ms: int) -> tuple[Seen, ...]:
        bodies = self._sky.at(t_ms)
        if "spoof" in self._effects:
            return tuple(_seen(body, self._spoofed_dbhz()) for body in bodies)
        loss_db = self._jam_db(t_ms)
        mask_deg = self._mask_deg(t_ms)
        found = self._found(t_ms, len(bodies))
        return tuple(
            _seen(
                body,
                body.cn0_dbhz - loss_db if body.elevation >= mask_deg and rank < found else None,
            )
            for rank, body in enumerate(bodies)
        )

    def _spoofed_dbhz(self) -> float:
        return SPOOF_DBHZ + self._spoof_rng.uniform(-SPOOF_SPREAD_DB / 2, SPOOF_SPREAD_DB / 2)

    def _jam_db(self, t_ms: int) -> float:
        jam = self._effects.get("jam")
        if jam is None:
            return 0.0
        rise = min((t_ms - jam.event.at_ms) / JAM_RISE_MS, 1.0)
        return jam.event.number("depth_db", 22.0) * max(rise, 0.0)

    def _mask_deg(self, t_ms: int) -> float:
        tunnel = self._effects.get("tunnel")
        if tunnel is None:
            return 0.0
        return 90.1 * min((t_ms - tunnel.event.at_ms) / TUNNEL_FADE_MS, 1.0)

    def _found(self, t_ms: int, in_view: int) -> int:
        """How many satellites a cold receiver has found by now."""
        fix_after_ms = self._spec.fix_after_s * 1000
        return in_view if t_ms >= fix_after_ms else int(in_view * t_ms / fix_after_ms)

    # -- writing

    def _write(self, epoch: Epoch, *, whole_second: bool) -> list[bytes]:
        lines: list[bytes] = []
        for name in self._spec.sentences:
            if name in WRITERS:
                lines.append(WRITERS[name](epoch))
            elif name == "GSA":
                lines += sentences.gsa(epoch)
            elif name == "GSV" and whole_second:  # also at 10 Hz the sky is told once a second
                lines += sentences.gsv(epoch)
        return lines

    def _remark(self, event: Event) -> None:
        if event.do == "antenna":
            state = event.text("state", "OPEN")
            self._remarks.append(sentences.txt(self._spec.talker, f"ANTSTATUS={state}"))
        if event.do == "spoof" and self._spec.ubx:
            # The receiver notices the capture, once; to the signals that follow it is used.
            self._remarks.append(sentences.nav_status(fixed=True, spoof_state=2))

    def _ubx(self, t_ms: int, epoch: Epoch) -> list[bytes]:
        if not self._spec.ubx or t_ms % 1000:
            return []
        loss_db = self._jam_db(t_ms)
        jam_state = 1 if loss_db < 3 else 2 if epoch.fixed else 3
        antenna = self._effects.get("antenna")
        state = antenna.event.text("state", "OPEN") if antenna else "OK"
        return [
            sentences.mon_rf(
                jam_state=jam_state,
                jam_level=min(round(20 + loss_db * 10), 255),
                agc=max(round(4000 - loss_db * 120), 0),
                antenna=ANTENNA_STATES[state],
            )
        ]

    def _end_effects(self, t_ms: int) -> None:
        for name in [name for name, effect in self._effects.items() if not effect.holds(t_ms)]:
            del self._effects[name]
            if name == "antenna":
                self._remarks.append(sentences.txt(self._spec.talker, "ANTSTATUS=OK"))
            if name == "spoof" and self._spec.ubx:
                self._remarks.append(sentences.nav_status(fixed=True, spoof_state=1))


WRITERS: dict[str, Callable[[Epoch], bytes]] = {
    "RMC": sentences.rmc,
    "GGA": sentences.gga,
    "VTG": sentences.vtg,
    "GLL": sentences.gll,
    "GNS": sentences.gns,
    "ZDA": sentences.zda,
    "GST": sentences.gst,
}


class _Noise:
    """A place that wanders (Gauss-Markov) and trembles (white), and a speed that wobbles."""

    def __init__(self, noise_m: float, hz: int, rng: Random) -> None:
        self._noise_m = noise_m
        self._keep = exp(-1 / (hz * NOISE_TAU_S))
        self._fresh = sqrt(1 - self._keep**2)
        self._rng = rng
        self._wander = [rng.gauss(0, 1) for _ in range(3)]
        self._white = [0.0, 0.0, 0.0]
        self._speed = 0.0

    def step(self) -> None:
        if not self._noise_m:
            return
        gauss = self._rng.gauss
        self._wander = [self._keep * old + self._fresh * gauss(0, 1) for old in self._wander]
        self._white = [gauss(0, 1), gauss(0, 1), gauss(0, 1)]
        self._speed = gauss(0, 1)

    def east_north_m(self) -> tuple[float, float]:
        return self._metres(0), self._metres(1)

    def up_m(self) -> float:
        return 1.5 * self._metres(2)

    def speed_m_s(self) -> float:
        return self._speed * self._noise_m * SPEED_NOISE_M_S_PER_M

    def _metres(self, axis: int) -> float:
        return self._noise_m * (self._wander[axis] + WHITE_M_PER_NOISE_M * self._white[axis])


def _seen(body: Body, cn0_dbhz: float | None) -> Seen:
    tracked = cn0_dbhz is not None and cn0_dbhz >= TRACKED_DBHZ_MIN
    return Seen(
        system=body.system,
        number=body.number,
        elevation=body.elevation,
        azimuth=body.azimuth,
        cn0_dbhz=cn0_dbhz if tracked else None,
        used=cn0_dbhz is not None and cn0_dbhz >= USED_DBHZ_MIN,
    )
