"""Tables become the rooms' own settings; what only shows between two keys is found here.

Law: a value that passes here is one that the rooms may assert.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from agent.config.read import BadConfigError, ConfigError, faults_of, raw_of, read_text
from agent.config.tables import (
    ClockTable,
    ConfigTable,
    LinkTable,
    RecorderTable,
    StatusTable,
    UplinkTable,
    over,
)
from agent.io.words import PortSettings, Server
from agent.orders import FIRST_CONTACT_PROTOCOL
from agent.outbox import DeleteAfter, OutboxSettings
from agent.recorder.settings import RecorderSettings, Role
from agent.sealer import SealerSettings
from agent.timekeeper import TimekeeperSettings
from agent.uplink.settings import UplinkSettings

T = TypeVar("T")

ROLES = {  # which role a protocol can play
    "nmea": Role.GPS,
    "gpsd": Role.GPS,
    "jt701": Role.SEAL,
    "eseal": Role.SEAL,
    "jt808": Role.SEAL,
    "m100": Role.RFID,
    "llrp": Role.RFID,
}
FOREIGN = {"gpsd": 2_947, "llrp": 5_084}  # programs behind an address, and their usual ports
ALONE = {Role.GPS: "receiver", Role.RFID: "RFID reader"}  # of these a unit has one
SETTINGS = {  # of a link, and for which protocols they are
    "baud": ("nmea", "jt701", "eseal", "jt808", "m100"),
    "seal_id": ("jt701", "eseal", "jt808"),
    "region": ("m100",),
    "power_cdbm": ("m100", "llrp"),
    "antennas": ("llrp",),
}
BAUDS = (4_800, 9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600)
SEAL_BAUD = 9_600  # DEVICES section 4: what the locks come with
M100_BAUD = 115_200  # DEVICES section 5
DEFAULT_ADDRESS = "127.0.0.1"  # gpsd runs on the unit
PORTS_DEFAULT = {True: 8_883, False: 1_883}
SOCKET_PATH_BYTES_MAX = 107  # unix(7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One serial port, or one address, and what is behind it."""

    port: PortSettings
    seal_id: str | None
    utc_offset_min: int = 0  # of the device's clock
    region: str | None = None  # in which an RFID module may transmit
    power_cdbm: int | None = None  # None: what the reader takes by itself
    antennas: tuple[int, ...] = (1,)
    address: tuple[str, int] | None = None  # of a foreign program


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSettings:
    """`status` of the config."""

    address: tuple[str, int] | None = None  # beside the socket; None: the socket alone
    host: str = ""
    accept_orders: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings of a unit, checked."""

    unit_id: str
    state_dir: Path
    run_dir: Path
    links: tuple[Link, ...]
    secret_files: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))
    seal_ids: frozenset[str] = frozenset()  # that have a table of their own
    first_contacts: frozenset[str] = frozenset()  # seals that the unit may set up
    recorder: RecorderSettings
    sealer: SealerSettings
    outbox: OutboxSettings
    uplink: UplinkSettings
    servers: tuple[Server, ...]
    keep_alive_s: int
    metered: bool
    timekeeper: TimekeeperSettings
    not_before: date
    status: StatusSettings = StatusSettings()
    chrony_sock: Path | None = None

    @property
    def identity_dir(self) -> Path:
        return self.state_dir / "identity"

    @property
    def config_dir(self) -> Path:
        return self.state_dir / "config"

    @property
    def outbox_dir(self) -> Path:
        return self.state_dir / "outbox"

    @property
    def socket_path(self) -> Path:
        return self.run_dir / "status.sock"


def read(path: Path) -> Config:
    """The settings in `path`; BadConfigError with all that is wrong."""
    return of_text(read_text(path))


def faults_in(path: Path) -> list[str]:
    """All that is wrong with the settings in `path`, a line each."""
    try:
        read(path)
    except BadConfigError as error:
        return [str(one) for one in error.errors]
    return []


def of_text(text: str) -> Config:
    """The settings in `text`; BadConfigError with all that is wrong."""
    return of_raw(raw_of(text))


def of_raw(raw: Mapping[str, Any]) -> Config:
    """The settings in these tables; BadConfigError with all that is wrong."""
    errors = faults_of(raw)
    well_formed = not errors
    # Faults of form in one place shall not hide the others: what converts by itself is looked at.
    servers = _servers(_sound(raw, "uplink", UplinkTable), errors)
    links = _links(_sound_links(raw), errors)
    day = _day(_sound(raw, "clock", ClockTable), errors)
    status = _status(_sound(raw, "status", StatusTable), errors)
    if well_formed:
        table = msgspec.convert(raw, ConfigTable)
        _check_sizes(table, errors)
        _check_paths(table, errors)
        _check_seals(table, errors)
    if errors:
        raise BadConfigError(tuple(errors))
    table = msgspec.convert(raw, ConfigTable)
    return Config(
        unit_id=table.unit.id,
        state_dir=Path(table.unit.state_dir),
        run_dir=Path(table.unit.run_dir),
        links=links,
        secret_files={
            seal: Path(one.secret_file)
            for seal, one in table.seals.items()
            if one.secret_file is not None
        },
        seal_ids=frozenset(table.seals),
        first_contacts=frozenset(seal for seal, one in table.seals.items() if one.first_contact),
        recorder=_recorder(table.recorder),
        sealer=SealerSettings(
            records_min=table.sealer.records_min,
            age_live_s=table.sealer.age_live_s,
            age_standing_s=table.sealer.age_standing_s,
            age_offline_s=table.sealer.age_offline_s,
            age_open_s=table.sealer.age_open_s,
            batch_bytes_max=table.sealer.batch_bytes_max,
        ),
        outbox=OutboxSettings(
            bytes_max=table.outbox.bytes_max,
            headroom_bytes=table.outbox.headroom_bytes,
            spare_bytes=table.outbox.spare_bytes,
            delete_after=DeleteAfter(table.outbox.delete_after),
        ),
        uplink=UplinkSettings(
            servers=len(servers),
            window_batches_max=table.uplink.window_batches_max,
            backlog_bytes_s=table.uplink.backlog_bytes_s,
            messages_s=table.uplink.messages_s,
            hello_ms=table.uplink.hello_s * 1000,
            message_bytes_max=table.uplink.message_bytes_max,
        ),
        servers=servers,
        keep_alive_s=table.uplink.keep_alive_s,
        metered=table.uplink.metered,
        timekeeper=TimekeeperSettings(
            built_ms=int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
        ),
        not_before=day,
        status=status,
        chrony_sock=None if table.clock.chrony_sock is None else Path(table.clock.chrony_sock),
    )


def server_of(address: str) -> Server | str:
    """Where `address` points; or what would be right."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"is {address!r}: {error}"
    if parts.scheme not in {"mqtt", "mqtts"} or not host:
        return f"mqtts://HOST[:PORT], is {address!r}"
    if parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        return f"nothing but mqtts://HOST[:PORT]: a unit shows its certificate, is {address!r}"
    tls = parts.scheme == "mqtts"
    if not tls and not _is_loopback(host):
        return f"mqtts://{host}: plain mqtt:// is for brokers on the unit itself (127.0.0.1)"
    return Server(host=host, port=port or PORTS_DEFAULT[tls], tls=tls)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _sound(raw: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    """The table of that name if it has no fault of form."""
    try:
        return msgspec.convert(raw.get(name, {}), kind)
    except msgspec.ValidationError:
        return None


def _sound_links(raw: Mapping[str, Any]) -> dict[str, LinkTable]:
    tables = raw.get("links")
    if not isinstance(tables, dict):
        return {}
    found = {name: _sound(tables, name, LinkTable) for name in tables}
    return {name: table for name, table in found.items() if table is not None}


def _servers(table: UplinkTable | None, errors: list[ConfigError]) -> tuple[Server, ...]:
    servers = []
    for index, address in enumerate(() if table is None else table.servers):
        server = server_of(address)
        if isinstance(server, Server):
            servers.append(server)
        else:
            errors.append(ConfigError(key=f"uplink.servers[{index}]", hint=server))
    return tuple(servers)


def _links(tables: Mapping[str, LinkTable], errors: list[ConfigError]) -> tuple[Link, ...]:
    links = []
    name_of: dict[str, str] = {}  # by device or address
    alone: dict[Role, str] = {}
    for name, table in tables.items():
        key = f"links.{name}"
        found = [*_link_faults(key, table)]
        where = table.device or table.address or DEFAULT_ADDRESS
        other = name_of.setdefault(where, name)
        if other != name:
            hint = f"{where} is {other}'s already: one device has one role"
            word = "address" if table.device is None else "device"
            found.append(ConfigError(key=f"{key}.{word}", hint=hint))
        role = ROLES.get(table.protocol)
        if role in ALONE and table.role == role.value and alone.setdefault(role, name) != name:
            hint = (
                f"{alone[role]} is the {ALONE[role]} already: a unit has one; remove one of the two"
            )
            found.append(ConfigError(key=f"{key}.role", hint=hint))
        errors += found
        if not found:
            links.append(_link(name, table))
    return tuple(links)


def _link_faults(key: str, table: LinkTable) -> list[ConfigError]:
    faults = []
    role = ROLES.get(table.protocol)
    if role is None:
        hint = f"one of {', '.join(ROLES)}, is {table.protocol!r}"
        faults.append(ConfigError(key=f"{key}.protocol", hint=hint))
    elif table.role != role.value:
        hint = f"{role.value}, for {table.protocol} can be nothing else; is {table.role!r}"
        faults.append(ConfigError(key=f"{key}.role", hint=hint))
    faults += _where_faults(key, table)
    if isinstance(table.baud, str) and (table.baud != "hunt" or table.protocol != "nmea"):
        hint = f"a rate, or with protocol nmea the word hunt; is {table.baud!r}"
        faults.append(ConfigError(key=f"{key}.baud", hint=hint))
    if isinstance(table.baud, int) and table.baud not in BAUDS:
        hint = f"one of {', '.join(map(str, BAUDS))}, is {table.baud}"
        faults.append(ConfigError(key=f"{key}.baud", hint=hint))
    for setting, protocols in SETTINGS.items():
        if getattr(table, setting) is not None and role and table.protocol not in protocols:
            hint = f"only with protocol {' or '.join(protocols)}; leave it out"
            faults.append(ConfigError(key=f"{key}.{setting}", hint=hint))
    if table.utc_offset_min and table.protocol != "jt808":
        hint = f"0: {table.protocol} says its times in UTC"
        faults.append(ConfigError(key=f"{key}.utc_offset_min", hint=hint))
    if table.region is not None:
        faults += _region_faults(key, table.region)
    return faults


def _region_faults(key: str, region: str) -> list[ConfigError]:
    from devices.m100.frame import REGIONS  # noqa: PLC0415  # a unit without such a reader does not load its room

    if region in REGIONS.values():
        return []
    hint = f"one of {', '.join(REGIONS.values())}, is {region!r}"
    return [ConfigError(key=f"{key}.region", hint=hint)]


def _where_faults(key: str, table: LinkTable) -> list[ConfigError]:
    """A device for what is on a serial port, an address for what is behind a socket."""
    faults = []
    foreign = table.protocol in FOREIGN
    if foreign and table.device is not None:
        hint = f"leave it out: {table.protocol} has an address"
        faults.append(ConfigError(key=f"{key}.device", hint=hint))
    elif not foreign and table.device is None:
        hint = "is missing; an absolute path, best one of /dev/serial/by-id/"
        faults.append(ConfigError(key=f"{key}.device", hint=hint))
    elif table.device is not None and table.device.startswith(("/dev/ttyUSB", "/dev/ttyACM")):
        hint = "a name of /dev/serial/by-id/ or by-path/: the number changes on replugging"
        faults.append(ConfigError(key=f"{key}.device", hint=f"{hint}; is {table.device}"))
    if not foreign and table.address is not None:
        hint = f"leave it out: {table.protocol} has a device"
        faults.append(ConfigError(key=f"{key}.address", hint=hint))
    elif table.protocol == "llrp" and table.address is None:
        hint = "is missing; HOST[:PORT] of the reader"
        faults.append(ConfigError(key=f"{key}.address", hint=hint))
    elif foreign and table.address is not None and address_of(table.address, 1) is None:
        hint = f"HOST[:PORT], is {table.address!r}"
        faults.append(ConfigError(key=f"{key}.address", hint=hint))
    return faults


def address_of(text: str, port_default: int) -> tuple[str, int] | None:
    """Host and port; None if `text` is no HOST[:PORT]."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or parts.netloc != text or parts.username is not None or port == 0:
        return None
    return host, port or port_default


def _link(name: str, table: LinkTable) -> Link:
    baud = table.baud if isinstance(table.baud, int) else None
    if baud is None and table.protocol != "nmea":
        baud = M100_BAUD if table.protocol == "m100" else SEAL_BAUD
    address = None
    if table.protocol in FOREIGN:
        address = address_of(table.address or DEFAULT_ADDRESS, FOREIGN[table.protocol])
        assert address is not None, "its faults were looked for"
    return Link(
        port=PortSettings(
            name=name,
            device=table.device or (f"{address[0]}:{address[1]}" if address else ""),
            protocol=table.protocol,
            role=Role(table.role),
            baud=None if address else baud,
        ),
        seal_id=table.seal_id,
        utc_offset_min=_utc_offset_min(table),
        region=table.region,
        power_cdbm=table.power_cdbm,
        antennas=table.antennas or (1,),
        address=address,
    )


def _utc_offset_min(table: LinkTable) -> int:
    if table.utc_offset_min is not None:
        return table.utc_offset_min
    if table.protocol != "jt808":
        return 0
    from devices.jt808.reader import UTC_OFFSET_MIN  # noqa: PLC0415  # as above

    return UTC_OFFSET_MIN


def _recorder(table: RecorderTable) -> RecorderSettings:
    own = RecorderSettings()
    return RecorderSettings(
        sealed_moving=over(table.sealed_moving, own.sealed_moving),
        sealed_standing=over(table.sealed_standing, own.sealed_standing),
        open_moving=over(table.open_moving, own.open_moving),
        open_standing=over(table.open_standing, own.open_standing),
        pressed_1=over(table.pressed_1, own.pressed_1),
        pressed_1_standing=over(table.pressed_1_standing, own.pressed_1_standing),
        pressed_2=over(table.pressed_2, own.pressed_2),
        pressed_2_standing=over(table.pressed_2_standing, own.pressed_2_standing),
        pressed_3=over(table.pressed_3, own.pressed_3),
    )


def _day(table: ClockTable | None, errors: list[ConfigError]) -> date:
    if table is None:
        return date.min  # there is an error already
    try:
        return date.fromisoformat(table.not_before)
    except ValueError:
        errors.append(
            ConfigError(key="clock.not_before", hint=f"there is no such day: {table.not_before}")
        )
        return date.min


def _status(table: StatusTable | None, errors: list[ConfigError]) -> StatusSettings:
    if table is None:
        return StatusSettings()  # there is an error already
    address: tuple[str, int] | None = None
    if table.listen:
        host, _, port = table.listen.rpartition(":")
        try:
            address = (str(ipaddress.ip_address(host.strip("[]"))), int(port))
        except ValueError:
            hint = f"an address and a port as 127.0.0.1:8470 or [::1]:8470, is {table.listen!r}"
            errors.append(ConfigError(key="status.listen", hint=hint))
        if not 0 < int(port) < 65_536:
            errors.append(ConfigError(key="status.listen", hint=f"a port up to 65535, is {port}"))
    return StatusSettings(address=address, host=table.host, accept_orders=table.accept_orders)


def _check_paths(table: ConfigTable, errors: list[ConfigError]) -> None:
    path = f"{table.unit.run_dir}/status.sock"
    if len(path.encode()) > SOCKET_PATH_BYTES_MAX:
        hint = f"a shorter path: {path} is longer than a socket's name may be (107 bytes)"
        errors.append(ConfigError(key="unit.run_dir", hint=hint))


def _check_seals(table: ConfigTable, errors: list[ConfigError]) -> None:
    """A first contact changes a lock: the line must name it, and speak a lock's language that has such orders."""
    named = {one.seal_id for one in table.links.values() if one.protocol == FIRST_CONTACT_PROTOCOL}
    for seal_id, one in table.seals.items():
        if one.first_contact and seal_id not in named:
            hint = f'only for a seal that a link with protocol = "{FIRST_CONTACT_PROTOCOL}" names by seal_id'
            errors.append(ConfigError(key=f"seals.{seal_id}.first_contact", hint=hint))


def _check_sizes(table: ConfigTable, errors: list[ConfigError]) -> None:
    if table.sealer.batch_bytes_max > table.uplink.message_bytes_max:
        hint = f"at most uplink.message_bytes_max ({table.uplink.message_bytes_max}): a longer batch is never sent"
        errors.append(ConfigError(key="sealer.batch_bytes_max", hint=hint))
    if table.outbox.spare_bytes > table.outbox.bytes_max // 2:
        hint = f"at most half of outbox.bytes_max ({table.outbox.bytes_max})"
        errors.append(ConfigError(key="outbox.spare_bytes", hint=hint))
