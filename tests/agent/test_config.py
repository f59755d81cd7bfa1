"""The unit's settings: good files load, and every fault names its key and what would be right."""

from pathlib import Path

import pytest

from agent.config import BadConfigError, Config, of_text, pins_text, read, read_pins
from agent.io.words import Server
from agent.recorder.settings import RecorderSettings, Role
from agent.sealer import SealerSettings
from agent.uplink.settings import UplinkSettings
from wire.envelope import kid_of

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "configs" / "agent").glob("*.toml"))
SMALLEST = '[unit]\nid = "uz-0042"\n[uplink]\nservers = ["mqtts://broker.example.org"]\n'
GPS = '[links.gps]\ndevice = "/dev/ttyAMA0"\nprotocol = "nmea"\nrole = "gps"\n'
GPSD = '[links.pos]\nprotocol = "gpsd"\nrole = "gps"\n'
M100 = '[links.tags]\ndevice = "/dev/ttyS2"\nprotocol = "m100"\nrole = "rfid"\n'
LLRP = '[links.portal]\naddress = "10.0.0.9"\nprotocol = "llrp"\nrole = "rfid"\n'
SEAL = '[links.seal]\ndevice = "/dev/ttyS1"\nprotocol = "jt701"\nrole = "seal"\n'


def errors_of(text: str) -> dict[str, str]:
    with pytest.raises(BadConfigError) as raised:
        of_text(text)
    return {error.key: error.hint for error in raised.value.errors}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_sample_configs_load(path: Path) -> None:
    assert isinstance(read(path), Config)


def test_the_defaults_are_the_rooms_own() -> None:
    config = of_text(SMALLEST)
    assert config.recorder == RecorderSettings()
    assert config.sealer == SealerSettings()
    assert config.uplink == UplinkSettings()
    assert config.servers == (Server(host="broker.example.org", port=8883, tls=True),)
    assert str(config.identity_dir) == "/var/lib/plomba/identity"
    assert str(config.socket_path) == "/run/plomba/status.sock"
    assert config.timekeeper.built_ms == 1_767_225_600_000


def test_a_profile_says_only_what_differs() -> None:
    profile = of_text(SMALLEST + "[recorder.open_moving]\ntime_s = 5\n").recorder.open_moving
    own = RecorderSettings().open_moving
    assert (profile.time_s, profile.line_m, profile.ahead_m) == (5, own.line_m, own.ahead_m)


def test_a_receiver_hunts_and_a_seal_has_its_rate_unless_told() -> None:
    links = {link.port.name: link.port for link in of_text(SMALLEST + GPS + SEAL).links}
    assert links["gps"].baud is None
    assert links["seal"].baud == 9600
    assert links["seal"].role is Role.SEAL
    fixed = of_text(SMALLEST + GPS + "baud = 38400\n").links[0].port
    assert fixed.baud == 38_400


def test_a_program_behind_an_address_has_its_usual_port_and_no_rate() -> None:
    [link] = of_text(SMALLEST + GPSD).links
    assert link.address == ("127.0.0.1", 2_947)
    assert (link.port.device, link.port.baud, link.port.role) == ("127.0.0.1:2947", None, Role.GPS)
    [link] = of_text(SMALLEST + GPSD + 'address = "[fd00::7]:29470"\n').links
    assert link.address == ("fd00::7", 29_470)
    [link] = of_text(SMALLEST + LLRP + "antennas = [1, 2]\npower_cdbm = 2500\n").links
    assert (link.address, link.antennas, link.power_cdbm) == (("10.0.0.9", 5_084), (1, 2), 2_500)


def test_a_module_has_its_region_and_its_rate() -> None:
    [link] = of_text(SMALLEST + M100 + 'region = "europe"\npower_cdbm = 2000\n').links
    assert (link.region, link.power_cdbm, link.port.baud) == ("europe", 2_000, 115_200)
    [silent] = of_text(SMALLEST + M100).links
    assert silent.region is None


@pytest.mark.parametrize(
    ("said", "offset_min"),
    [("", 480), ("utc_offset_min = 0\n", 0), ("utc_offset_min = 300\n", 300)],
)
def test_a_jt808_locks_clock_is_chinese_unless_told(said: str, offset_min: int) -> None:
    [link] = of_text(SMALLEST + SEAL.replace("jt701", "jt808") + said).links
    assert (link.utc_offset_min, link.port.baud) == (offset_min, 9_600)


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ("", "unit", "is missing"),
        ("", "uplink", "is missing"),
        ("unit = 3", "unit", "write [unit]"),
        ("[unit]", "unit.id", "is missing"),
        ('[unit]\nid = "X"', "unit.id", "3 to 32 of a-z"),
        ('[unit]\nid = "x-1"\nstate_dir = "here"', "unit.state_dir", "absolute path"),
        (f'[unit]\nid = "x-1"\nrun_dir = "/{"r" * 120}"\n[uplink]\nservers = ["mqtt://[::1]"]', "unit.run_dir", "shorter path"),
        (SMALLEST + "[uplinks]", "uplinks", "did you mean uplink?"),
        (SMALLEST + "window_batch_max = 3", "uplink.window_batch_max", "did you mean window_batches_max?"),
        (SMALLEST + "window_batches_max = 0", "uplink.window_batches_max", "1 to 64, is 0"),
        (SMALLEST + "window_batches_max = 65", "uplink.window_batches_max", "1 to 64, is 65"),
        (SMALLEST + "window_batches_max = true", "uplink.window_batches_max", "1 to 64, is True"),
        (SMALLEST + "messages_s = 51", "uplink.messages_s", "1 to 50"),
        (SMALLEST + "hello_s = 59", "uplink.hello_s", "60 to 900"),
        (SMALLEST + 'metered = "no"', "uplink.metered", "true or false, is 'no'"),
        (SMALLEST + "[sealer]\nbatch_bytes_max = 20000", "sealer.batch_bytes_max", "at most uplink.message_bytes_max"),
        (SMALLEST + "[sealer]\nage_live_s = 0", "sealer.age_live_s", "1 to 3600"),
        (SMALLEST + "[outbox]\nspare_bytes = 60000000", "outbox.spare_bytes", "at most half"),
        (SMALLEST + '[outbox]\ndelete_after = "puback"', "outbox.delete_after", "receipt or proof"),
        (SMALLEST + "[recorder.moving]\ntime_s = 1", "recorder.moving", "no such setting"),
        (SMALLEST + "[recorder.open_moving]\nline_m = 0", "recorder.open_moving.line_m", "1 to 10000 metres"),
        (SMALLEST + '[clock]\nnot_before = "2026-02-30"', "clock.not_before", "no such day"),
        (SMALLEST + '[clock]\nchrony_sock = "run/c"', "clock.chrony_sock", "an absolute path"),
        (SMALLEST + '[status]\nlisten = "cab:8470"', "status.listen", "an address and a port"),
        (SMALLEST + '[status]\nlisten = "0.0.0.0:70000"', "status.listen", "up to 65535"),
        (SMALLEST + '[status]\nlisten = "8470"', "status.listen", "an address and a port"),
        (SMALLEST + '[status]\nhost = "a b"', "status.host", "a name under which"),
        (SMALLEST + "[links]\ngps = 1", "links.gps", "write [links.gps]"),
        (SMALLEST + '[links."a b"]\ndevice = "/dev/x"\nprotocol = "nmea"\nrole = "gps"', "links.a b", "a name has"),
        (SMALLEST + "[links.gps]", "links.gps.protocol", "is missing"),
        (SMALLEST + GPS.replace("device", "# device"), "links.gps.device", "is missing"),
        (SMALLEST + GPS.replace("nmea", "ubx"), "links.gps.protocol", "one of nmea, gpsd, jt701"),
        (SMALLEST + GPS.replace('"gps"', '"seal"'), "links.gps.role", "gps, for nmea"),
        (SMALLEST + GPS.replace("ttyAMA0", "ttyUSB0"), "links.gps.device", "/dev/serial/by-id/"),
        (SMALLEST + GPS + "baud = 9601", "links.gps.baud", "one of 4800"),
        (SMALLEST + SEAL + 'baud = "hunt"', "links.seal.baud", "with protocol nmea the word hunt"),
        (SMALLEST + GPS + 'seal_id = "1"', "links.gps.seal_id", "only with protocol jt701 or eseal"),
        (SMALLEST + GPS + "utc_offset_min = 60", "links.gps.utc_offset_min", "says its times in UTC"),
        (SMALLEST + GPS + SEAL.replace("ttyS1", "ttyAMA0"), "links.seal.device", "is gps's already"),
        (SMALLEST + GPS + GPS.replace("links.gps", "links.two").replace("AMA0", "AMA1"), "links.two.role", "a unit has one"),
        (SMALLEST + GPS + GPSD, "links.pos.role", "gps is the receiver already"),
        (SMALLEST + GPSD + GPSD.replace("links.pos", "links.two"), "links.two.address", "is pos's already"),
        (SMALLEST + GPSD + 'device = "/dev/ttyS3"', "links.pos.device", "gpsd has an address"),
        (SMALLEST + GPSD + "baud = 9600", "links.pos.baud", "only with protocol nmea"),
        (SMALLEST + GPSD + 'address = "a b:c"', "links.pos.address", "HOST[:PORT]"),
        (SMALLEST + GPSD + 'address = "u@host"', "links.pos.address", "HOST[:PORT]"),
        (SMALLEST + GPSD + 'address = "host:70000"', "links.pos.address", "HOST[:PORT]"),
        (SMALLEST + GPS + 'address = "host"', "links.gps.address", "nmea has a device"),
        (SMALLEST + M100 + LLRP, "links.portal.role", "tags is the RFID reader already"),
        (SMALLEST + M100 + 'region = "mars"', "links.tags.region", "one of china_900, us"),
        (SMALLEST + M100 + "power_cdbm = 4000", "links.tags.power_cdbm", "0 to 3300"),
        (SMALLEST + M100 + "antennas = [1]", "links.tags.antennas", "only with protocol llrp"),
        (SMALLEST + LLRP + 'region = "us"', "links.portal.region", "only with protocol m100"),
        (SMALLEST + LLRP + "antennas = []", "links.portal.antennas", "1 to 16"),
        (SMALLEST + LLRP.replace("address", "# address"), "links.portal.address", "is missing"),
        (SMALLEST + GPS + "power_cdbm = 5", "links.gps.power_cdbm", "only with protocol m100 or llrp"),
        ('[unit]\nid = "x-1"\n[uplink]\nservers = []', "uplink.servers", "1 to 8"),
    ],
)  # fmt: skip
def test_each_fault_names_its_key_and_what_would_be_right(text: str, key: str, hint: str) -> None:
    errors = errors_of(text)
    assert key in errors, errors
    assert hint in errors[key]


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("mqtt://broker.example.org", "plain mqtt:// is for brokers on the unit itself"),
        ("mqtt://10.0.0.1:1883", "mqtts://10.0.0.1"),
        ("https://broker.example.org", "mqtts://HOST[:PORT]"),
        ("broker.example.org", "mqtts://HOST[:PORT]"),
        ("mqtts://user:secret@broker.example.org", "a unit shows its certificate"),
        ("mqtts://broker.example.org/path", "nothing but mqtts://HOST[:PORT]"),
        ("mqtts://broker.example.org:99999", "Port out of range"),
    ],
)
def test_an_address_that_cannot_be_dialled_says_why(address: str, hint: str) -> None:
    text = SMALLEST.replace("mqtts://broker.example.org", address)
    assert hint in errors_of(text)["uplink.servers[0]"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "[::1]", "localhost"])
def test_plain_mqtt_is_for_the_unit_itself(host: str) -> None:
    text = SMALLEST.replace("mqtts://broker.example.org", f"mqtt://{host}:1884")
    assert of_text(text).servers[0].port == 1884


def test_all_faults_are_told_at_once() -> None:
    text = (
        '[unit]\nid = "X"\n[sealer]\nrecords_min = 0\n'
        + GPS.replace("ttyAMA0", "ttyACM3")
        + '[uplink]\nservers = ["mqtt://1.2.3.4"]\n'
    )
    assert set(errors_of(text)) == {
        "unit.id",
        "sealer.records_min",
        "links.gps.device",
        "uplink.servers[0]",
    }


def test_what_is_no_toml_or_no_file_is_told(tmp_path: Path) -> None:
    assert "no TOML" in errors_of("[unit")[""]
    with pytest.raises(BadConfigError, match="No such file"):
        read(tmp_path / "none.toml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(BadConfigError, match="not UTF-8"):
        read(tmp_path / "binary")
    (tmp_path / "long").write_bytes(b"#" * 70_000)
    with pytest.raises(BadConfigError, match="at most"):
        read(tmp_path / "long")


# pins


def test_pins_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "pins.toml"
    path.write_text(pins_text(unit_id="uz-0042", receipt_key=b"r" * 32, order_key=b"o" * 32))
    pins = read_pins(path)
    assert pins.unit_id == "uz-0042"
    assert pins.receipt_keys == {kid_of(b"r" * 32): b"r" * 32}
    assert pins.order_keys == {kid_of(b"o" * 32): b"o" * 32}
    with path.open("a") as file:
        file.write(f'receipt_key_next = "{"ab" * 32}"\n')
    assert len(read_pins(path).receipt_keys) == 2


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ('unit = "X"', "no unit id"),
        ('receipt_key = "abc"', "64 hex digits"),
        (f'order_key = "{"72" * 32}"', "two different keys"),
        ('pin = "x"', "unknown field"),
    ],
)
def test_pins_that_are_wrong_are_told(tmp_path: Path, line: str, hint: str) -> None:
    good = pins_text(unit_id="uz-0042", receipt_key=b"r" * 32, order_key=b"o" * 32)
    name = line.split(" ", 1)[0]
    rest = "\n".join(one for one in good.splitlines() if not one.startswith(f"{name} "))
    path = tmp_path / "pins.toml"
    path.write_text(f"{rest}\n{line}\n")
    with pytest.raises(BadConfigError, match=hint):
        read_pins(path)


def test_the_page_is_for_the_cab_alone_unless_the_file_says_more() -> None:
    assert of_text(SMALLEST).status.address == ("127.0.0.1", 8470)
    assert not of_text(SMALLEST).status.accept_orders
    assert of_text(SMALLEST + '[status]\nlisten = ""').status.address is None
    more = '[status]\nlisten = "[::]:80"\nhost = "cab.example"\naccept_orders = true'
    said = of_text(SMALLEST + more).status
    assert (said.address, said.host, said.accept_orders) == (("::", 80), "cab.example", True)


def test_number_and_centre_of_the_hand_over_code_are_pinned(tmp_path: Path) -> None:
    path = tmp_path / "pins.toml"

    def write(number: int | None, centre: str | None) -> None:
        text = pins_text(
            unit_id="uz-0042",
            receipt_key=b"r" * 32,
            order_key=b"o" * 32,
            unit_number=number,
            centre=centre,
        )
        path.write_text(text)

    write(7, "customs.example.uz")
    assert (read_pins(path).unit_number, read_pins(path).centre) == (7, "customs.example.uz")
    write(None, None)
    assert (read_pins(path).unit_number, read_pins(path).centre) == (None, None)
    write(1 << 32, "a b")
    with pytest.raises(BadConfigError) as raised:
        read_pins(path)
    faults = {error.key for error in raised.value.errors}
    assert faults == {"pins.toml: unit_number", "pins.toml: centre"}
