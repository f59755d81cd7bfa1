"""Settings: the samples load, defaults need no file, an error names its key and the way out."""

import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from collector.config import Config, ConfigError, parse, read
from collector.io.notify import TargetSettings

SAMPLES = Path(__file__).resolve().parents[2] / "configs" / "collector"


def test_no_file_is_needed() -> None:
    config = read()
    assert config == Config()
    assert config.store_url.endswith("/plomba-data/collector.db")


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('data_dir = "/a"\n[broker]\nmqtt_port = 1884\n[api]\nport = 8481\n')
    config = read(file, data_dir=Path("/b"), mqtt_port=1_885, api_port=8_482)
    assert (config.data_dir, config.broker.mqtt_port, config.api.port) == (Path("/b"), 1_885, 8_482)
    config = read(file)
    assert (config.data_dir, config.broker.mqtt_port, config.api.port) == (Path("/a"), 1_884, 8_481)


BEHIND_PROXY = '[api]\nhost = "10.1.2.3"\nproxies = ["10.1.2.4"]\n'
GATEWAY = '[gateway]\nlisten = "0.0.0.0:7701"\nunit = "gateway-1"\n'


def test_beyond_loopback_the_api_has_tls_or_a_proxy_before_it() -> None:
    config = parse(BEHIND_PROXY + 'names = ["plomba.example"]')
    assert (config.api.host, config.api.proxies) == ("10.1.2.3", ("10.1.2.4",))


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_samples_load(sample: Path) -> None:
    read(sample)


def test_the_sample_shows_the_defaults_and_nothing_is_missing_in_it() -> None:
    text = (SAMPLES / "collector.toml").read_text()
    assert parse(text) == Config()
    for left_out in ("binary", "rules_file", "cert_file", "key_file", "[[notify.target]]"):
        text = text.replace(f"# {left_out}", left_out)
    shown = tomllib.loads(text)
    for section in fields(Config):
        if section.name == "mqtt":  # has a sample of its own
            continue
        value = getattr(Config(), section.name)
        if is_dataclass(value):
            assert {entry.name for entry in fields(value)} == set(shown[section.name])
    for entry in fields(TargetSettings):
        assert f"# {entry.name} = " in text


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ("colour = 1", "colour", "is not known; known are data_dir, broker"),
        (
            "[broker]\nmqtt_prot = 1",
            "broker.mqtt_prot",
            "is not known; known are embedded, mqtt_host",
        ),
        ('[broker]\nmqtt_port = "a"', "broker.mqtt_port", "expected `int`, got `str`"),
        ("[broker]\nmqtt_port = 0", "broker.mqtt_port", "1 to 65535, is 0"),
        ("[broker]\nmqtt_port = true", "broker.mqtt_port", "expected `int`, got `bool`"),
        ('[broker]\nmqtt_host = "localhost"', "broker.mqtt_host", "an IP address, is 'localhost'"),
        ("[broker]\npartitions = 65", "broker.partitions", "1 to 64, is 65"),
        ("[broker]\nstream_bytes_max = 9", "broker.stream_bytes_max", "1048576 to"),
        ("[ingest]\nmessages_max = 0", "ingest.messages_max", "1 to 4096, is 0"),
        ("[ingest]\nmessages_max = 8", "ingest.unit_messages_max", "1 to 8, is 64"),
        ('[gateway]\nunit = "gateway-1"', "gateway.listen", "is missing; write host:port"),
        ('[gateway]\nlisten = "7701"', "gateway.listen", "an IP address, is ''"),
        ('[gateway]\nlisten = "0.0.0.0:0"', "gateway.listen", "host:port"),
        ('[gateway]\nlisten = "0.0.0.0:1883"', "gateway.listen", "is taken by the API or broker"),
        ('[gateway]\nlisten = "0.0.0.0:7701"', "gateway.unit", "the gateway's own unit_id"),
        (GATEWAY + 'protocol = "nmea"', "gateway.protocol", "one of auto, jt701, eseal, jt808"),
        (GATEWAY + 'seals = ["1"]\nplace_of = "2"', "gateway.place_of", "is none of"),
        (GATEWAY + "idle_s = 5", "gateway.idle_s", "30 to 86400, is 5"),
        (GATEWAY + "connections_max = 0", "gateway.connections_max", "1 to 10000, is 0"),
        (GATEWAY + "bytes_max = 5", "gateway.bytes_max", "1048576 to"),
        ('[api]\nhost = "0.0.0.0"', "api.host", "give api.cert_file and api.key_file, or name in"),
        ('[api]\nhost = "10.1.2.3"', "api.host", "or use 127.0.0.1"),
        (BEHIND_PROXY, "api.names", "under which names people reach it"),
        ('[api]\nnames = ["Plomba.example"]', "api.names", "a host in small letters"),
        ('[api]\nproxies = ["proxy"]', "api.proxies", "an IP address, is 'proxy'"),
        ('[api]\ncert_file = "/c"', "api.cert_file", "go together"),
        ('[api]\ncert_file = "/c"\nkey_file = "/k"', "api.cert_file", "/c is no file"),
        ("[api]\nport = 1883", "api.port", "is broker.mqtt_port already"),
        ('[mqtt]\nserver = "mqtt://b"', "mqtt.server", "set broker.embedded = false"),
        ("[broker]\nembedded = false", "mqtt.server", "needed because broker.embedded is false"),
        (
            '[broker]\nembedded = false\n[mqtt]\nserver = "mqtts://b"',
            "mqtt.ca_file",
            "name the authority",
        ),
        (
            '[broker]\nembedded = false\n[mqtt]\nserver = "mqtts://b"\nca_file = "/none"',
            "mqtt.ca_file",
            "/none is no file",
        ),
        (
            '[broker]\nembedded = false\n[mqtt]\nserver = "mqtt://b"\ncert_file = "/c"',
            "mqtt.server",
            "use mqtts://",
        ),
        (
            '[broker]\nembedded = false\n[mqtt]\nserver = "mqtts://b"\nca_file="/c"\nkey_file = "/k"',
            "mqtt.cert_file",
            "go together",
        ),
        (
            '[broker]\nembedded = false\n[mqtt]\nserver = "mqtt://b"\nclient_id = ""',
            "mqtt.client_id",
            "1 to 23",
        ),
        (
            '[broker]\nembedded = false\n[mqtt]\nserver = "mqtt://b"\nshare = "a/b"',
            "mqtt.share",
            "at most 32",
        ),
        ('[store]\nurl = "postgresql://h/d"', "store.url", "SQLite is the only store yet"),
        ('[log]\nlevel = "loud"', "log.level", "one of debug, info"),
        ("a = ", "(file)", "is no TOML"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(text: str, key: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert caught.value.key == key
    assert hint in caught.value.hint
    assert str(caught.value) == f"{key}: {caught.value.hint}"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--config: .*none\.toml: No such file"):
        read(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'data_dir = "\xe9"')
    with pytest.raises(ConfigError, match="is not UTF-8"):
        read(tmp_path / "latin.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * 70_000)
    with pytest.raises(ConfigError, match="at most 65536"):
        read(tmp_path / "large.toml")
