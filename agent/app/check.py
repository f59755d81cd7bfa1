"""Everything that a unit needs, looked at without changing anything (EDGE section 13, `check`).

Law: one finding a thing, each with what to do. A running agent is asked through its socket for what it holds.
"""

import errno
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec
from pathlib import Path

import serial

from agent.app.identity import CA_FILE, CERT_FILE, IdentityError, fingerprint, load, tls_files
from agent.app.versions_disk import CURRENT, first_life
from agent.config import BadConfigError, Config, Link, read_text
from agent.io import clock, disk, seal_file
from agent.io.clock import Clock
from agent.io.mqtt import Connection, Heard, LineEvent, TlsFilesError, tls_context
from agent.io.secret_file import SecretFileError, read_secret
from agent.io.serial_port import holder_of
from agent.io.status import StatusError, ask
from agent.io.words import Server
from wire import Refused
from wire.envelope import Aad, open_envelope, seal, verify

LISTEN_S = 3.0  # a receiver speaks once a second
BROKER_S_MAX = 15.0
SLOW_FSYNC_MS = 500
INODES_MIN = 100
DAY_MS = 86_400_000
DAYS_LATE_MAX = 3  # tried daily from two thirds of its life on: after three days something is wrong
RUN_FREE_BYTES_MIN = 1_048_576
PROBE = b"does this key sign what it says it signs?"


class Level(Enum):
    """How a thing stands."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the answer."""

    level: Level
    name: str
    detail: str
    hint: str = ""

    def as_dict(self) -> dict[str, str]:
        return {
            "level": self.level.value,
            "name": self.name,
            "detail": self.detail,
            "hint": self.hint,
        }


def verdict(findings: Sequence[Finding]) -> int:
    """0 all good, 1 only warnings, 5 only brokers are bad, 6 something is bad."""
    bad = [finding for finding in findings if finding.level is Level.BAD]
    if bad:
        return 5 if all(finding.name.startswith("broker") for finding in bad) else 6
    return 1 if any(finding.level is Level.WARN for finding in findings) else 0


def look(config_file: Path, *, offline: bool) -> Iterator[Finding]:
    """Findings as they come; a bad config ends it."""
    try:
        life = first_life(read_text(config_file))
    except BadConfigError as error:
        for one in error.errors:
            yield bad("config", one.key or str(config_file), one.hint)
        return
    config = life.config
    yield ok("config", f"{config_file}, unit {config.unit_id}")
    if life.fault:
        yield bad("config version", life.fault, "send it anew; the unit runs its local file")
    elif life.version_text:
        yield ok("config version", f"{config.config_dir / CURRENT} lies over it")
    yield _identity(config)
    yield from _certificate(config)
    running = _running(config)
    yield from _store(config, running)
    yield from _disks(config)
    yield from _clock(config)
    yield from _seals(config)
    for link in config.links:
        yield _port(link, running)
    for server in () if offline else config.servers:
        yield _broker(config, server)


def _identity(config: Config) -> Finding:
    name = "identity"
    try:
        enrolled = load(config.identity_dir, config.unit_id)
    except IdentityError as error:
        return bad(name, str(error), "plomba-agent identity --help")
    except BadConfigError as error:
        return bad(name, str(error), "enrol the unit anew")
    identity = enrolled.identity
    opened = open_envelope(seal(PROBE, Aad.HELLO, identity.kid, identity.sign), Aad.HELLO)
    if isinstance(opened, Refused) or not verify(opened, Aad.HELLO, identity.public_key):
        return bad(name, "a signature made with the key does not hold", "enrol the unit anew")
    return ok(name, f"key {fingerprint(identity.public_key)}, it signs; pins of {config.unit_id}")


def _seals(config: Config) -> Iterator[Finding]:
    """Whether an order could open them; the passwords themselves stay where they are."""
    for seal_id in sorted(config.seal_ids):
        name, path = f"seal {seal_id}", config.secret_files.get(seal_id)
        try:
            keep = seal_file.load(config.state_dir / "seals", seal_id)
            if path is not None:
                read_secret(path)
        except SecretFileError as error:
            yield bad(name, str(error), "mode 0600, owned by the user that the agent runs as")
            continue
        if keep is not None and keep.password is not None:
            yield ok(name, "its first contact's password is kept here")
        elif path is not None:
            yield ok(name, f"{path} holds a password")
        elif seal_id in config.first_contacts:
            yield ok(name, "first contact is to come")
        else:
            yield warn(name, "no password: no order opens it", f"seals.{seal_id}.secret_file")


def _certificate(config: Config) -> Iterator[Finding]:
    """Its days, by the system's clock; an identity made by hand may have none."""
    path, name = config.identity_dir / CERT_FILE, "certificate"
    if not path.exists():
        return
    from agent.app.enrol import life_of  # noqa: PLC0415  # readers of certificates, for this line alone

    try:
        ends_ms, due_ms = life_of(path)
    except (OSError, ValueError) as error:
        yield bad(name, f"{path}: {error}", "plomba-agent renew --help")
        return
    now_ms = clock.system_ms()
    days = (ends_ms - now_ms) // DAY_MS
    if now_ms > ends_ms:
        yield bad(name, "it has ended", "plomba-agent renew --help: the evidence key still speaks")
    elif now_ms > due_ms + DAYS_LATE_MAX * DAY_MS:
        yield warn(name, f"{days} days left, not renewed", "plomba-agent renew --help says why")
    else:
        yield ok(name, f"{days} days left")


def _running(config: Config) -> dict[str, object] | None:
    try:
        return ask(config.socket_path, "/status.json")
    except StatusError:
        return None


def _store(config: Config, running: dict[str, object] | None) -> Iterator[Finding]:
    if running is not None:
        detail = (
            f"the running agent: {running['batches_waiting']} batches waiting,"
            f" {running['store_bytes']} of {running['store_bytes_max']} bytes"
        )
        pressure = running["pressure"]
        if pressure:
            yield warn("store", f"{detail}, pressure {pressure}", "let it reach the collector")
        else:
            yield ok("store", detail)
        return
    if not config.outbox_dir.exists():
        yield warn("store", f"no store at {config.outbox_dir} yet", "the first start makes it")
        return
    asides = sorted(path.name for path in config.outbox_dir.glob("*.bad-*"))
    files = [path for path in config.outbox_dir.iterdir() if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    if asides:
        yield warn(
            "store", f"{len(asides)} damaged files are set aside", "export them, then tell the desk"
        )
    else:
        yield ok("store", f"{config.outbox_dir}, {size} bytes; no agent is running")


def _disks(config: Config) -> Iterator[Finding]:
    folder = _existing(config.state_dir)
    space = disk.space(folder)
    if space is None:
        yield bad("disk", f"{folder} cannot be looked at", "mount it")
        return
    free = f"{space.free_bytes // 1024} KiB free"
    wanted = config.outbox.headroom_bytes
    if space.free_bytes < wanted:
        yield bad("disk", free, f"free {wanted // 1024} KiB, or lower outbox.headroom_bytes")
    elif space.free_inodes is not None and space.free_inodes < INODES_MIN:
        yield bad("disk", f"{space.free_inodes} inodes free", "remove files")
    else:
        yield ok("disk", free)
    try:
        took_ms = disk.probe_write_ms(folder)
    except OSError as error:
        yield bad("disk write", f"{folder}: {error.strerror}", "make it ours to write")
    else:
        detail = f"4 KiB with fsync in {took_ms} ms"
        slow = took_ms > SLOW_FSYNC_MS
        yield warn("disk write", detail, "replace the card") if slow else ok("disk write", detail)
    run_space = disk.space(_existing(config.run_dir))
    if run_space is None or run_space.free_bytes < RUN_FREE_BYTES_MIN:
        yield warn("run directory", f"{config.run_dir} has no room", "1 MiB of tmpfs at least")


def _clock(config: Config) -> Iterator[Finding]:
    ntp, rtc = clock.ask_ntp(), clock.ask_rtc()
    sources = [
        name for name, there in (("NTP", ntp.synchronised), ("RTC", rtc is not None)) if there
    ]
    if ntp.utc_ms < config.timekeeper.built_ms:
        hint = "set the clock or let the receiver do it; until then times have quality 0"
        yield warn("clock", "the system lives before clock.not_before", hint)
    elif not sources:
        yield warn("clock", "neither NTP nor RTC", "the receiver must tell the time")
    else:
        yield ok("clock", " and ".join(sources))


def _port(link: Link, running: dict[str, object] | None) -> Finding:
    name, device = f"link {link.port.name}", link.port.device
    links = running.get("links") if running is not None else None
    for one in links if isinstance(links, list) else []:
        if one["name"] == link.port.name:
            return _judge_running(name, one)
    if link.address is not None:
        return _address(name, link, link.address)
    if not Path(device).exists():
        return bad(
            name, f"{device} is not there", "plug it in; ls /dev/serial/by-id/ shows the names"
        )
    heard = _listen(link)
    if isinstance(heard, OSError):
        return _unopened(name, device, heard)
    if not heard:
        return warn(
            name, f"{device}: no byte in {LISTEN_S:.0f} s", "is the device powered, RX on TX?"
        )
    if not _speaks(link.port.protocol, heard):
        hint = "another rate or protocol? The agent hunts for the rate of a receiver"
        return warn(name, f"{device}: {len(heard)} bytes, none of {link.port.protocol}", hint)
    return ok(name, f"{device}: {len(heard)} bytes of {link.port.protocol} in {LISTEN_S:.0f} s")


def _address(name: str, link: Link, address: tuple[str, int]) -> Finding:
    """A foreign program: whether somebody listens there, and for llrp whether its library is here."""
    if link.port.protocol == "llrp" and find_spec("sllurp") is None:
        return bad(name, "sllurp is not installed", "pip install plomba[llrp]")
    try:
        socket.create_connection(address, timeout=LISTEN_S).close()
    except OSError as error:
        return bad(name, f"{link.port.device}: {error}", "is the program there, is the name right?")
    return ok(name, f"{link.port.device}: somebody listens")


def _judge_running(name: str, link: dict[str, object]) -> Finding:
    detail = f"{link['device']}: {link['state']} {link['detail']}".rstrip()
    good = {"fix", "talking"}
    poor = {"no_fix", "opening", "hunting", "silent"}
    if link["state"] in good:
        return ok(name, detail)
    if link["state"] in poor:
        return warn(name, detail, "wait, or look at antenna and cable")
    return bad(name, detail, "look at cable and power")


def _unopened(name: str, device: str, error: OSError) -> Finding:
    if error.errno in {errno.EBUSY, errno.EAGAIN}:
        return bad(name, f"{device} is held by {holder_of(device) or 'another program'}", "stop it")
    return bad(name, f"{device}: {error}", "add this user to the group dialout")


def _listen(link: Link) -> bytes | OSError:
    """What the device says in three seconds; or why it cannot be heard."""
    try:
        with serial.Serial(
            link.port.device, link.port.baud or 9_600, timeout=LISTEN_S, exclusive=True
        ) as port:
            return bytes(port.read(4_096))
    except OSError as error:  # a SerialException is one
        return error


def _speaks(protocol: str, heard: bytes) -> bool:
    patterns = {
        "nmea": rb"\$[A-Z]{2,5}[A-Z0-9]*,[^\r\n]*\*[0-9A-Fa-f]{2}",
        "jt701": rb"[$(]",
        "eseal": rb"##S,",
        "jt808": rb"~|\(\d{12},",
        "m100": rb"[\xbb\xaa][\x01\x02]",
    }
    return re.search(patterns[protocol], heard) is not None


def _broker(config: Config, server: Server) -> Finding:
    name = f"broker {server.host}:{server.port}"
    try:
        addresses = _resolve(server)
    except OSError as error:
        return bad(name, f"no address: {error}", "is the name right, is there a network?")
    if not addresses:
        return bad(name, "no answer from the name server in 15 s", "is there a network?")
    try:
        context = tls_context(tls_files(config.identity_dir)) if server.tls else None
    except TlsFilesError as error:
        return bad(
            name, f"TLS files: {error}", f"put the broker's CA into {config.identity_dir / CA_FILE}"
        )
    answers: list[LineEvent] = []
    arrived = threading.Event()

    def deliver(event: LineEvent) -> None:
        answers.append(event)
        arrived.set()

    connection = Connection(
        number=1,
        server=server,
        client_id=f"{config.unit_id}-check",
        keep_alive_s=config.keep_alive_s,
        in_flight_max=1,
        will=None,
        context=context,
        dates_fault=_dates,
        deliver=deliver,
    )
    connection.dial()
    arrived.wait(BROKER_S_MAX)
    connection.end().join(1.0)
    return _judge_answer(name, answers[:1])


def _judge_answer(name: str, answers: Sequence[LineEvent]) -> Finding:
    match answers:
        case [LineEvent(heard=Heard.UP)]:
            return ok(name, "TCP, CONNACK 0; nothing was published")
        case [LineEvent(heard=Heard.REFUSED, code=code)]:
            return bad(name, f"CONNACK {code}", "does the broker know this unit?")
        case [LineEvent(why=why)]:
            return bad(name, why, "is the broker running, are address and CA right?")
        case _:
            return bad(name, f"no CONNACK in {BROKER_S_MAX:.0f} s", "is a firewall in the way?")


def _dates(not_before_ms: int, not_after_ms: int) -> str | None:
    now_ms = Clock().now_ms()
    return None if not_before_ms <= now_ms <= not_after_ms else "its certificate is out of date"


def _resolve(server: Server) -> list[object]:
    """Addresses of the host; empty if nobody answered in time. OSError if there are none."""
    found: list[object] = []
    faults: list[OSError] = []

    def look_up() -> None:
        try:
            found.extend(socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM))
        except OSError as error:
            faults.append(error)

    thread = threading.Thread(target=look_up, name="resolve", daemon=True)
    thread.start()
    thread.join(BROKER_S_MAX)
    if faults:
        raise faults[0]
    return found


def _existing(folder: Path) -> Path:
    """`folder` or the nearest one above it that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def ok(name: str, detail: str) -> Finding:
    return Finding(level=Level.OK, name=name, detail=detail)


def warn(name: str, detail: str, hint: str) -> Finding:
    return Finding(level=Level.WARN, name=name, detail=detail, hint=hint)


def bad(name: str, detail: str, hint: str) -> Finding:
    return Finding(level=Level.BAD, name=name, detail=detail, hint=hint)
