"""The collector's settings: read once, checked, frozen.

Law: an error names its key and says what would be right. No room knows this one; only `app` hands its values on.
"""

import ipaddress
import re
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from collector.api.officer_settings import S_MAX, OfficerSettings
from collector.gateway.link import PROTOCOLS
from collector.io import TickBounds
from collector.io.broker import BrokerSettings
from collector.io.mqtt import MqttSettings, endpoint
from collector.io.notify import TargetSettings
from collector.io.seal_gateway import GatewaySettings
from collector.notify import GATHER_S_MAX
from collector.texts import LANGUAGES
from collector.texts.alerts import CODES
from wire.topics import is_unit_id

CONFIG_BYTES_MAX = 65_536  # a person writes it; the sample has 2 KiB
TARGETS_MAX = 32  # each has a task and a thread of its own while it sends
ESCALATIONS_MAX = 8
PRIORITIES = ("P1", "P2", "P3")
LEVELS = ("debug", "info", "warning", "error")


class ConfigError(Exception):
    """A setting that cannot be taken: which one, and what would be right."""

    def __init__(self, *, key: str, hint: str) -> None:
        super().__init__(f"{key}: {hint}")
        self.key = key
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """`[api]`."""

    host: str = "127.0.0.1"
    port: int = 8_480
    names: tuple[str, ...] = ()  # hosts under which people reach it, beside loopback
    cert_file: Path | None = None  # with these it speaks TLS itself
    key_file: Path | None = None
    proxies: tuple[str, ...] = ()  # addresses of TLS proxies: only they may come without TLS


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolSettings:
    """`[enrol]`: the TLS listener at which units are let in. Without `host` there is none."""

    host: str = ""
    port: int = 8_443
    names: tuple[str, ...] = (
        "localhost",
    )  # under which units reach it: its certificate bears them
    centre: str = ""  # host of the officer's page, for hand-over codes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """`[store]`. An empty url is the SQLite file `collector.db` in the data directory."""

    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSettings:
    """`[detect]`: changes to the thresholds of DETECTION section 3, a flat table of TOML."""

    rules_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifySettings:
    """`[[notify.target]]`: who is told of alerts. Without one nobody is."""

    target: tuple[TargetSettings, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """`[log]`."""

    level: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings. The defaults are a whole collector on one machine: nothing has to be set."""

    data_dir: Path = Path("plomba-data")
    broker: BrokerSettings = field(default_factory=BrokerSettings)
    mqtt: MqttSettings = field(default_factory=MqttSettings)
    ingest: TickBounds = field(default_factory=TickBounds)
    store: StoreSettings = field(default_factory=StoreSettings)
    detect: DetectSettings = field(default_factory=DetectSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    officer: OfficerSettings = field(default_factory=OfficerSettings)
    enrol: EnrolSettings = field(default_factory=EnrolSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)
    log: LogSettings = field(default_factory=LogSettings)

    @property
    def store_url(self) -> str:
        return self.store.url or f"sqlite:///{self.data_dir.absolute() / 'collector.db'}"

    @property
    def store_file(self) -> Path:
        return Path(self.store_url.removeprefix("sqlite:///"))


def read(
    file: Path | None = None,
    *,
    data_dir: Path | None = None,
    mqtt_port: int | None = None,
    api_port: int | None = None,
) -> Config:
    """The settings of `file`, or the defaults without one; what the command line says goes before both.

    Raises ConfigError.
    """
    config = Config() if file is None else parse(_text(file))
    if data_dir is not None:
        config = replace(config, data_dir=data_dir)
    if mqtt_port is not None:
        config = replace(config, broker=replace(config.broker, mqtt_port=mqtt_port))
    if api_port is not None:
        config = replace(config, api=replace(config.api, port=api_port))
    return _checked(config)


def parse(text: str) -> Config:
    """The settings in `text`, TOML; ConfigError names the first key that is wrong."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(key="(file)", hint=f"is no TOML: {error}") from error
    _refuse_unknown(table, Config, "")
    notify = table.get("notify")
    targets = notify.get("target") if isinstance(notify, dict) else None
    for number, target in enumerate(targets if isinstance(targets, list) else ()):
        if isinstance(target, dict):
            _refuse_unknown(target, TargetSettings, f"notify.target[{number}].")
    try:
        config = msgspec.convert(
            table, Config, strict=True, dec_hook=lambda kind, value: kind(value)
        )
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        raise ConfigError(
            key=path.rstrip("`") or "(file)", hint=message[:1].lower() + message[1:]
        ) from error
    return _checked(config)


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(key="--config", hint=f"{file}: {error.strerror}") from error
    if len(data) > CONFIG_BYTES_MAX:
        raise ConfigError(
            key="--config", hint=f"{file}: {len(data)} bytes, at most {CONFIG_BYTES_MAX}"
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(key="--config", hint=f"{file}: is not UTF-8") from error


def _refuse_unknown(table: dict[str, object], kind: type, prefix: str) -> None:
    known = {entry.name: entry for entry in fields(kind)}
    for key, value in table.items():
        if key not in known:
            raise ConfigError(
                key=f"{prefix}{key}", hint=f"is not known; known are {', '.join(known)}"
            )
        inner: object = known[key].default_factory
        if isinstance(inner, type) and isinstance(value, dict):
            _refuse_unknown(value, inner, f"{prefix}{key}.")


def _checked(config: Config) -> Config:
    broker, ingest = config.broker, config.ingest
    _need_range("broker.mqtt_port", broker.mqtt_port, 1, 65_535)
    _need_range("broker.partitions", broker.partitions, 1, 64)
    _need_range("broker.stream_bytes_max", broker.stream_bytes_max, 1 << 20, 1 << 44)
    _need_range("broker.stream_age_s_max", broker.stream_age_s_max, 60, 30 * 86_400)
    _need_range("ingest.messages_max", ingest.messages_max, 1, 4_096)
    _need_range("ingest.wait_ms_max", ingest.wait_ms_max, 0, 1_000)
    _need_range("ingest.lull_ms", ingest.lull_ms, 0, 1_000)
    _need_range("ingest.unit_messages_max", ingest.unit_messages_max, 1, ingest.messages_max)
    _need_range("api.port", config.api.port, 1, 65_535)
    _need_address("broker.mqtt_host", broker.mqtt_host)
    _need_address("api.host", config.api.host)
    _check_api(config.api)
    if broker.embedded and config.mqtt.server:
        raise ConfigError(
            key="mqtt.server",
            hint="names another broker while broker.embedded is true; set broker.embedded = false or leave it out",
        )
    if not broker.embedded:
        _check_mqtt(config.mqtt)
    _check_gateway(config)
    if broker.embedded and broker.mqtt_port == config.api.port:
        raise ConfigError(key="api.port", hint=f"{config.api.port} is broker.mqtt_port already")
    _check_officer(config.officer)
    _check_enrol(config)
    _check_notify(config.notify.target)
    if config.store.url and not config.store.url.startswith("sqlite:///"):
        raise ConfigError(
            key="store.url",
            hint="SQLite is the only store yet: sqlite:////absolute/path.db, or leave it out",
        )
    if config.log.level not in LEVELS:
        raise ConfigError(key="log.level", hint=f"one of {', '.join(LEVELS)}")
    return config


def _check_api(api: ApiSettings) -> None:
    """Passwords and cookies travel to it: beyond loopback under TLS alone, its own or a proxy's."""
    is_local = ipaddress.ip_address(api.host).is_loopback
    for name in api.names:
        if not re.fullmatch(r"[a-z0-9.:-]{1,253}", name):
            raise ConfigError(key="api.names", hint=f"a host in small letters, is {name!r}")
    for proxy in api.proxies:
        _need_address("api.proxies", proxy)
    if (api.cert_file is None) != (api.key_file is None):
        raise ConfigError(key="api.cert_file", hint="api.cert_file and api.key_file go together")
    for key in ("cert_file", "key_file"):
        path = getattr(api, key)
        if path is not None and not path.is_file():
            raise ConfigError(key=f"api.{key}", hint=f"{path} is no file")
    if is_local:
        return
    if api.cert_file is None and not api.proxies:
        raise ConfigError(
            key="api.host",
            hint=f"{api.host} can be reached from other machines: give api.cert_file and api.key_file, "
            "or name in api.proxies the TLS proxy that alone may come; or use 127.0.0.1",
        )
    if not api.names:
        raise ConfigError(
            key="api.names", hint="under which names people reach it, e.g. plomba.example"
        )


def _check_gateway(config: Config) -> None:
    gateway = config.gateway
    if not gateway.listen:
        if gateway != GatewaySettings():
            raise ConfigError(key="gateway.listen", hint="is missing; write host:port")
        return
    host, _, port = gateway.listen.rpartition(":")
    _need_address("gateway.listen", host.strip("[]"))
    if not (port.isdecimal() and 0 < int(port) <= 65_535):
        raise ConfigError(key="gateway.listen", hint=f"host:port, is {gateway.listen!r}")
    if int(port) in {config.api.port, config.broker.mqtt_port if config.broker.embedded else 0}:
        raise ConfigError(key="gateway.listen", hint=f"port {port} is taken by the API or broker")
    if not is_unit_id(gateway.unit):
        raise ConfigError(
            key="gateway.unit",
            hint=f"the gateway's own unit_id, 3 to 32 of a-z, 0-9 and hyphen; is {gateway.unit!r}",
        )
    if gateway.protocol not in PROTOCOLS:
        raise ConfigError(key="gateway.protocol", hint=f"one of {', '.join(PROTOCOLS)}")
    if gateway.place_of and gateway.seals and gateway.place_of not in gateway.seals:
        raise ConfigError(key="gateway.place_of", hint="is none of gateway.seals")
    _need_range("gateway.silent_s", gateway.silent_s, 0, 86_400)
    _need_range("gateway.idle_s", gateway.idle_s, 30, 86_400)
    _need_range("gateway.connections_max", gateway.connections_max, 1, 10_000)
    _need_range("gateway.bytes_max", gateway.bytes_max, 1 << 20, 1 << 44)
    _need_range("gateway.utc_offset_min", gateway.utc_offset_min, -840, 840)


def _check_officer(officer: OfficerSettings) -> None:
    for key in ("fix_s_max", "seal_s_max", "answer_s_max", "ingest_s_max", "behind_s_max"):
        _need_range(f"officer.{key}", getattr(officer, key), 1, S_MAX)
    _need_range("officer.battery_percent_min", officer.battery_percent_min, 0, 100)
    if not re.fullmatch(r"(?:\+?[0-9]{3,15})?", officer.phone):
        raise ConfigError(
            key="officer.phone", hint=f"digits without spaces, +998712345678; is {officer.phone!r}"
        )
    try:
        ZoneInfo(officer.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            key="officer.time_zone",
            hint=f"this machine knows no zone {officer.time_zone!r}: Asia/Tashkent, UTC (package tzdata)",
        ) from error


def _check_enrol(config: Config) -> None:
    enrol = config.enrol
    if not enrol.host:
        return
    _need_address("enrol.host", enrol.host)
    _need_range("enrol.port", enrol.port, 1, 65_535)
    if enrol.port in {config.api.port, config.broker.mqtt_port if config.broker.embedded else None}:
        raise ConfigError(key="enrol.port", hint=f"{enrol.port} is taken by api or broker")
    if not 1 <= len(enrol.names) <= 16:
        raise ConfigError(key="enrol.names", hint="1 to 16 names or addresses of this machine")
    for name in enrol.names:
        if not re.fullmatch(r"[A-Za-z0-9.:-]{1,64}", name):
            raise ConfigError(key="enrol.names", hint=f"a host's name or address, is {name!r}")
    if (
        not re.fullmatch(r"(?:[a-z0-9][a-z0-9.-]*(?::[0-9]{1,5})?)?", enrol.centre)
        or len(enrol.centre) > 64
    ):
        raise ConfigError(key="enrol.centre", hint="a host in small letters, 64 characters at most")


def _check_notify(targets: tuple[TargetSettings, ...]) -> None:
    if len(targets) > TARGETS_MAX:
        raise ConfigError(key="notify.target", hint=f"at most {TARGETS_MAX}, are {len(targets)}")
    names = [target.name for target in targets]
    for number, target in enumerate(targets):
        key = f"notify.target[{number}]"
        if not re.fullmatch(r"[a-z0-9-]{1,32}", target.name):
            raise ConfigError(
                key=f"{key}.name", hint=f"1 to 32 of a-z, 0-9 and hyphen; is {target.name!r}"
            )
        if target.name in names[:number]:
            raise ConfigError(key=f"{key}.name", hint=f"{target.name} is taken by another target")
        if target.min_priority not in PRIORITIES:
            raise ConfigError(key=f"{key}.min_priority", hint=f"one of {', '.join(PRIORITIES)}")
        if target.language not in LANGUAGES:
            raise ConfigError(key=f"{key}.language", hint=f"one of {', '.join(LANGUAGES)}")
        for code in target.codes:
            if code not in CODES:
                raise ConfigError(
                    key=f"{key}.codes",
                    hint=f"{code} is no code of an alert; plomba alert catalogue has all",
                )
        for unit in target.units:
            if not is_unit_id(unit):
                raise ConfigError(key=f"{key}.units", hint=f"{unit!r} is no unit_id")
        if len(target.escalate_after_s) > ESCALATIONS_MAX or not all(
            1 <= after_s <= 86_400 for after_s in target.escalate_after_s
        ):
            raise ConfigError(
                key=f"{key}.escalate_after_s",
                hint=f"at most {ESCALATIONS_MAX} times of 1 to 86400 s, e.g. [60, 300, 1800]",
            )
        if not 0 <= target.gather_s <= GATHER_S_MAX:
            hint = f"0 to {GATHER_S_MAX}, is {target.gather_s}"
            raise ConfigError(key=f"{key}.gather_s", hint=hint)


def _check_mqtt(mqtt: MqttSettings) -> None:
    try:
        _, _, tls = endpoint(mqtt.server)
    except ValueError as error:
        raise ConfigError(
            key="mqtt.server", hint=f"{error}; it is needed because broker.embedded is false"
        ) from error
    if tls and mqtt.ca_file is None:
        raise ConfigError(
            key="mqtt.ca_file", hint="name the authority that signed the broker's certificate"
        )
    if not tls and (mqtt.ca_file or mqtt.cert_file):
        raise ConfigError(
            key="mqtt.server", hint="certificates are given but mqtt:// has no TLS; use mqtts://"
        )
    if (mqtt.cert_file is None) != (mqtt.key_file is None):
        raise ConfigError(key="mqtt.cert_file", hint="mqtt.cert_file and mqtt.key_file go together")
    for key in ("ca_file", "cert_file", "key_file", "password_file"):
        path = getattr(mqtt, key)
        if path is not None and not path.is_file():
            raise ConfigError(key=f"mqtt.{key}", hint=f"{path} is no file")
    if not re.fullmatch(r"[A-Za-z0-9-]{1,23}", mqtt.client_id):
        raise ConfigError(key="mqtt.client_id", hint="1 to 23 letters, digits or hyphens")
    if not re.fullmatch(r"[A-Za-z0-9-]{0,32}", mqtt.share):
        raise ConfigError(key="mqtt.share", hint="at most 32 letters, digits or hyphens")


def _need_range(key: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ConfigError(key=key, hint=f"{least} to {most}, is {value}")


def _need_address(key: str, value: str) -> None:
    try:
        ipaddress.ip_address(value)
    except ValueError as error:
        raise ConfigError(key=key, hint=f"an IP address, is {value!r}") from error
