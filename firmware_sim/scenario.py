"""A scenario file: TOML in, `Scenario` out, or every fault in it with its key and the fix (DEVICES 8.4).

Law: an unknown key is an error, and so is a value out of its range; nothing is guessed, nothing is played half.
"""

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from firmware_sim import Event
from firmware_sim.cable import FAULT_KINDS, FRAME_BITS, FaultSpec
from firmware_sim.capture import PACES, CaptureSpec, without_comments
from firmware_sim.gps_receiver import SENTENCES, ReceiverSpec
from firmware_sim.keys import SECONDS_MAX, Fault, Keys
from firmware_sim.rfid_settings import ReaderSpec
from firmware_sim.scenario_events import event_of
from firmware_sim.scenario_files import read_file, read_track
from firmware_sim.scenario_tags import read_reader
from firmware_sim.seal_settings import Fence, SealSpec
from firmware_sim.world import Track, Vertex

__all__ = ["Scenario", "read_scenario"]

EVENTS_MAX = 10_000
LINE_BYTES = {  # the longest that each takes in an epoch, with fourteen satellites
    "RMC": 80,
    "GGA": 82,
    "GSA": 136,
    "VTG": 50,
    "GLL": 56,
    "GNS": 80,
    "ZDA": 38,
    "GST": 62,
    "TXT": 0,
}
SKY_BYTES = 290  # GSV, once a second
UBX_BYTES = 36
FAR_PLACE = (41.3, 69.25)  # a receiver or seal without a track stands in Tashkent


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    name: str
    seed: int
    start_ms: int | None  # Unix ms; None: the player's clock less `start_ago_ms`
    start_ago_ms: int
    end_ms: int  # world time
    track: Track
    receiver: ReceiverSpec | None
    seal: SealSpec | None
    reader: ReaderSpec | None
    capture: CaptureSpec | None
    events: tuple[Event, ...]
    faults: tuple[FaultSpec, ...]

    def starts_ms(self, now_ms: int) -> int:
        """Unix ms of world time 0 when the play begins at `now_ms`."""
        if self.start_ms is not None:
            return self.start_ms
        whole_ms = now_ms // 1000 * 1000  # epochs lie on whole seconds, as receivers have them
        return whole_ms - self.start_ago_ms


def read_scenario(text: str, folder: Path, *, seed: int | None = None) -> Scenario | list[Fault]:
    """The scenario in `text`; files that it names lie beside it in `folder`. `seed` overrides the file's."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [Fault(key="file", fix=f"no TOML: {error}")]
    return _Reading(document, folder).scenario(seed)


# -- the whole document


class _Reading:
    def __init__(self, document: dict[str, Any], folder: Path) -> None:
        self._faults: list[Fault] = []
        self._folder = folder
        self._top = Keys(document, "scenario file", self._faults)
        self._tables = document

    def scenario(self, seed: int | None) -> Scenario | list[Fault]:
        head = self._keys("scenario")
        name = head.text("name", "unnamed")
        own_seed = head.whole("seed", 1, 0, 2**63 - 1)
        start_ms, ago_ms = _start(head)
        end_s = head.number("end_s", 0.0, 0.001, SECONDS_MAX) if "end_s" in head else None
        head.done()
        track = self._track()
        receiver = self._receiver(track)
        seal = self._seal()
        reader = self._reader()
        capture = self._capture()
        devices = _names(receiver, seal, reader, capture)
        if not devices:
            self._top.fault(
                "receiver",
                "no device; add receiver = {}, seal = {...}, reader = {...} or capture = {...}",
            )
        if start_ms is None and ago_ms is None:
            start_ms = track.recorded_ms or 0
            if track.recorded_ms is None and (receiver or seal or reader):
                head.fault(
                    "start", 'is missing; write start = 2027-03-01T05:00:00Z or start = "now"'
                )
        end_ms = self._end_ms(end_s, track, capture)
        events = self._events(start_ms, end_ms, devices)
        faults = self._fault_specs(end_ms, devices)
        for key in ("scenario", "track", "receiver", "seal", "capture", "event", "fault", "reader"):
            self._top.raw(key)
        self._top.done()
        if self._faults:
            return self._faults
        return Scenario(
            name=name,
            seed=own_seed if seed is None else seed,
            start_ms=start_ms if ago_ms is None else None,
            start_ago_ms=ago_ms or 0,
            end_ms=end_ms,
            track=track,
            receiver=receiver,
            seal=seal,
            reader=reader,
            capture=capture,
            events=tuple(events),
            faults=tuple(faults),
        )

    def _keys(self, key: str) -> Keys:
        return Keys(self._tables.get(key, {}), key, self._faults)

    def _track(self) -> Track:
        if "track" not in self._tables:
            return Track(vertices=(Vertex(t_ms=0, lat=FAR_PLACE[0], lon=FAR_PLACE[1]),))
        keys = self._keys("track")
        track = read_track(keys, self._folder)
        keys.done()
        return track or Track(vertices=(Vertex(t_ms=0, lat=0.0, lon=0.0),))

    def _receiver(self, track: Track) -> ReceiverSpec | None:
        if "receiver" not in self._tables:
            return None
        keys, usual = self._keys("receiver"), ReceiverSpec()
        exact = keys.flag("exact", default=False)
        spec = ReceiverSpec(
            baud=keys.baud(usual.baud),
            hz=keys.choice_of("hz", usual.hz, (1, 5, 10)),
            talker=keys.choice("talker", usual.talker, ("GN", "GP")),
            latency_ms=keys.whole("latency_ms", usual.latency_ms, 0, 900),
            fix_after_s=keys.number("fix_after_s", usual.fix_after_s, 0, 3600),
            noise_m=keys.number("noise_m", usual.noise_m, 0, 1000),
            cn0_spread_db=keys.number("cn0_spread_db", usual.cn0_spread_db, 0, 18),
            ubx=keys.flag("ubx", default=usual.ubx),
            decimals=keys.whole("decimals", 7 if exact else usual.decimals, 2, 9),
            exact=exact,
            sentences=_sentences(keys, usual.sentences),
        )
        keys.done()
        if exact and track.recorded_ms is None:
            keys.fault(
                "exact", "needs a recording: track = { file = ... } with a column time, or GPX"
            )
        room, need = spec.baud // FRAME_BITS, _bytes_a_second(spec)
        if need > room and not exact:
            keys.fault("baud", f"{spec.baud} carries {room} bytes/s, {need} are said; raise it")
        return spec

    def _seal(self) -> SealSpec | None:
        if "seal" not in self._tables:
            return None
        keys = self._keys("seal")
        if "id" not in keys:
            keys.fault("id", 'is missing; write id = "8000620011"')
        protocol = keys.choice("protocol", "jt701", ("jt701", "eseal"))
        spec = SealSpec(
            id=keys.text("id", "8000620011"),
            protocol=protocol,
            baud=keys.baud(9600),
            password=keys.text("password", "888888"),
            dynamic=keys.flag("dynamic", default=True),
            cards=tuple(str(card) for card in keys.items("cards")),
            interval_s=keys.number("interval_s", 60, 1, 86_400),
            battery_percent=keys.whole("battery_percent", 88, 0, 100),
            low_battery_percent=keys.whole("low_battery_percent", 20, 0, 100),
            long_unlocked_min=keys.number("long_unlocked_min", 0, 0, 1440),
            armed=keys.flag("armed", default=False),
            fences=tuple(_fences(keys, self._faults)),
            dial=_dial(keys),
        )
        keys.done()
        digits = 10 if protocol == "jt701" else 7
        if not (spec.id.isdecimal() and len(spec.id) == digits):
            keys.fault("id", f"{digits} digits for {protocol}; is {spec.id!r}")
        if set(spec.password) & set("(),="):
            keys.fault("password", "none of ( ) , = may be in it")
        for card in spec.cards:
            if not (card.isdecimal() and len(card) == 10):
                keys.fault("cards", f"ten digits each; one is {card!r}")
        return spec

    def _capture(self) -> CaptureSpec | None:
        if "capture" not in self._tables:
            return None
        keys = self._keys("capture")
        data = read_file(keys, self._folder, gz=keys.flag("gz", default=False))
        skip = keys.flag("skip_comments", default=True)
        spec = CaptureSpec(
            data=without_comments(data) if skip else data,
            baud=keys.baud(9600),
            device=keys.choice("device", "gps", ("gps", "seal", "rfid")),
            pace=keys.choice("pace", "baud", PACES),
            line_ms=keys.whole("line_ms", 100, 1, 60_000),
        )
        keys.done()
        section = {"gps": "receiver", "seal": "seal", "rfid": "reader"}[spec.device]
        if section in self._tables:
            keys.fault(
                "device", f"{spec.device} is played by {section} already; take one of them out"
            )
        return spec

    def _reader(self) -> ReaderSpec | None:
        if "reader" not in self._tables:
            return None
        keys = self._keys("reader")
        spec = read_reader(keys)
        keys.done()
        return spec

    def _end_ms(self, end_s: float | None, track: Track, capture: CaptureSpec | None) -> int:
        if end_s is not None:
            return round(end_s * 1000)
        ends_ms = [track.end_ms() + 1000]
        if capture is not None:
            ends_ms.append(_capture_ms(capture))
        if max(ends_ms) <= 1000:
            self._faults.append(
                Fault(key="scenario.end_s", fix="is missing; say when the play ends")
            )
        return max(ends_ms)

    def _events(self, start_ms: int | None, end_ms: int, devices: list[str]) -> list[Event]:
        lines = self._tables.get("event", [])
        if not isinstance(lines, list) or len(lines) > EVENTS_MAX:
            self._faults.append(Fault(key="event", fix=f"a list of at most {EVENTS_MAX} tables"))
            return []
        events = []
        for number, line in enumerate(lines):
            keys = Keys(line, f"event[{number}]", self._faults)
            at_ms = _at_ms(keys, start_ms, end_ms)
            event = event_of(keys, self._folder, at_ms)
            if event is None:
                continue
            if event.device not in devices:
                keys.fault(
                    "do", f"{event.do} happens to a {event.device}, and the scenario has none"
                )
            events.append(event)
        return events

    def _fault_specs(self, end_ms: int, devices: list[str]) -> list[FaultSpec]:
        lines = self._tables.get("fault", [])
        if not isinstance(lines, list):
            self._faults.append(Fault(key="fault", fix="a list of tables is wanted"))
            return []
        specs = []
        for number, line in enumerate(lines):
            keys = Keys(line, f"fault[{number}]", self._faults)
            kind = keys.choice("kind", "noise", FAULT_KINDS)
            spec = FaultSpec(
                device=keys.choice(
                    "device", devices[0] if devices else "gps", devices or ["gps", "seal", "rfid"]
                ),
                kind=kind,
                per_hour=keys.number("per_hour", 40, 0.001, 36_000),
                from_ms=round(keys.number("from_s", 0, 0, SECONDS_MAX) * 1000),
                to_ms=round(keys.number("to_s", end_ms / 1000, 0, SECONDS_MAX) * 1000),
                delay_ms=keys.whole("delay_ms", 400, 1, 60_000) if kind == "delay" else 400,
            )
            keys.done()
            if spec.device == "seal" and kind == "bad_checksum":
                keys.fault("kind", "a seal's frames have no checksum; take flipped_bits")
            specs.append(spec)
        return specs


# -- parts of it


def _start(keys: Keys) -> tuple[int | None, int | None]:
    """Unix ms of the start, or how long before the player's now; both None if the file leaves it to the track."""
    value = keys.raw("start")
    if value is None:
        return None, None
    if isinstance(value, str) and (value == "now" or value.startswith("now-")):
        ago = value[4:] or "0"
        if ago.isdecimal():
            return None, int(ago) * 1000
    if isinstance(value, datetime) and value.tzinfo is not None:
        return _unix_ms(value), None
    keys.fault(
        "start", f'a time with zone (2027-03-01T05:00:00Z), "now" or "now-600"; is {value!s}'
    )
    return 0, None


def _unix_ms(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)


def _at_ms(keys: Keys, start_ms: int | None, end_ms: int) -> int:
    at = keys.raw("at")
    if at is None:
        if "at_s" not in keys:
            keys.fault("at_s", "is missing; say when, at_s = 600 or at = 2027-03-01T05:10:00Z")
        at_ms = round(keys.number("at_s", 0, 0, SECONDS_MAX) * 1000)
    elif not isinstance(at, datetime) or at.tzinfo is None or start_ms is None:
        keys.fault("at", "a time with zone, in a scenario whose start is fixed; or write at_s")
        return 0
    else:
        at_ms = _unix_ms(at) - start_ms
    if not 0 <= at_ms < end_ms:
        keys.fault("at_s", f"{at_ms / 1000:g} lies outside the play, 0 to {end_ms / 1000:g}")
    return at_ms


def _names(
    receiver: ReceiverSpec | None,
    seal: SealSpec | None,
    reader: ReaderSpec | None,
    capture: CaptureSpec | None,
) -> list[str]:
    names = ["gps"] if receiver else []
    names += ["seal"] if seal else []
    names += ["rfid"] if reader else []
    names += [capture.device] if capture and capture.device not in names else []
    return names


def _sentences(keys: Keys, usual: tuple[str, ...]) -> tuple[str, ...]:
    if "sentences" not in keys:
        keys.items("sentences")
        return usual
    names = keys.items("sentences")
    for name in names:
        if name not in SENTENCES:
            keys.fault("sentences", f"some of {', '.join(SENTENCES)}; one is {name!r}")
    return tuple(map(str, names))


def _bytes_a_second(spec: ReceiverSpec) -> int:
    sky = SKY_BYTES if "GSV" in spec.sentences else 0
    each = sum(LINE_BYTES.get(name, 0) for name in spec.sentences)
    return each * spec.hz + sky + (UBX_BYTES if spec.ubx else 0)


def _fences(keys: Keys, faults: list[Fault]) -> list[Fence]:
    fences = []
    for number, line in enumerate(keys.items("fences")):
        each = Keys(line, f"{keys.path}.fences[{number}]", faults)
        fence = Fence(
            id=each.whole("id", 1, 1, 10),
            lat=each.number("lat", 0, -90, 90),
            lon=each.number("lon", 0, -180, 180),
            radius_m=each.number("radius_m", 300, 1, 1_000_000),
        )
        each.done()
        fences.append(fence)
    return fences


def _dial(keys: Keys) -> tuple[str, int] | None:
    """`host:port`, the host as an IP address: a modem's setting."""
    if "dial" not in keys:
        keys.raw("dial")
        return None
    host, _, port = keys.text("dial", "").rpartition(":")
    try:
        address = str(ip_address(host.strip("[]")))
        number = int(port)
    except ValueError:
        address, number = "", 0
    if not (address and 0 < number < 65_536):
        keys.fault("dial", 'an IP address and a port, dial = "127.0.0.1:7701"')
        return None
    return address, number


def _capture_ms(capture: CaptureSpec) -> int:
    if capture.pace == "line":
        return (capture.data.count(b"\n") + 2) * capture.line_ms
    return len(capture.data) * FRAME_BITS * 1000 // capture.baud + 1000
