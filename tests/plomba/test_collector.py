"""`plomba collector`: what does not start says why; the keys to pin are always at hand."""

import asyncio
import json
import socket
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from collector.io.folder import hold
from collector.store.database import Added, Store
from plomba.collector import backup, gateway, keys, run
from plomba.unit import add
from tests.live.collector_world import free_port
from tests.wire.keys import public_key

APP = Typer()
APP.command("run")(run)
APP.command("keys")(keys)
APP.command("gateway")(gateway)
APP.command("backup")(backup)
APP.command("add")(add)
RUNNER = CliRunner()


def test_keys_are_made_once_and_shown(tmp_path: Path) -> None:
    data = ["--data", str(tmp_path / "data")]
    first = RUNNER.invoke(APP, ["keys", "--json", *data])
    assert first.exit_code == 0
    shown = json.loads(first.stdout)
    assert set(shown) == {"receipt_key", "order_key"}
    assert shown["receipt_key"] != shown["order_key"]
    assert all(len(bytes.fromhex(word)) == 32 for word in shown.values())
    assert json.loads(RUNNER.invoke(APP, ["keys", "--json", *data]).stdout) == shown
    people = RUNNER.invoke(APP, ["keys", *data]).stdout
    assert all(word in people for word in shown.values())


def test_keys_that_others_can_read_are_not_shown(tmp_path: Path) -> None:
    RUNNER.invoke(APP, ["keys", "--data", str(tmp_path)])
    (tmp_path / "order.key").chmod(0o644)
    result = RUNNER.invoke(APP, ["keys", "--data", str(tmp_path)])
    assert result.exit_code == 4
    assert "others can read it" in result.stderr


@pytest.mark.parametrize("name", ["receipt.key", "order.key"])
def test_a_lost_key_is_not_made_again_in_silence_once_units_believe_it(
    tmp_path: Path, name: str
) -> None:
    data = ["--data", str(tmp_path)]
    before = json.loads(RUNNER.invoke(APP, ["keys", "--json", *data]).stdout)
    unit_key = public_key("unit uz-01")

    async def enrol() -> None:
        async with await Store.open(f"sqlite:///{tmp_path / 'collector.db'}") as store:
            assert isinstance(await store.add_unit("uz-01", unit_key, now_ms=1), Added)

    asyncio.run(enrol())
    kept = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    for command, code in ((["keys", "--json"], 4), (["run", "--api-port", str(free_port())], 1)):
        result = RUNNER.invoke(APP, [*command, *data])
        assert result.exit_code == code
        assert f"{name}: is not there" in result.stderr
        assert "restore it from the backup" in result.stderr
        assert not (tmp_path / name).exists()
    (tmp_path / name).write_bytes(kept)
    (tmp_path / name).chmod(0o600)
    assert json.loads(RUNNER.invoke(APP, ["keys", "--json", *data]).stdout) == before
    (tmp_path / name).unlink()
    anew = RUNNER.invoke(APP, ["keys", "--json", "--anew", *data])
    shown = json.loads(anew.stdout)
    word = name.replace(".", "_")
    assert shown[word] != before[word]
    assert {**shown, word: ""} == {**before, word: ""}


def test_a_disk_without_room_is_named_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.io.folder.ROOM_BYTES", 1 << 62)
    result = RUNNER.invoke(APP, ["run", "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "make room" in result.stderr


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[broker]\nmqtt_port = 0\n")
    result = RUNNER.invoke(APP, ["run", "--config", str(file)])
    assert (result.exit_code, result.stderr) == (2, "broker.mqtt_port: 1 to 65535, is 0\n")


def test_a_second_collector_on_a_directory_does_not_start(tmp_path: Path) -> None:
    with hold(tmp_path):
        result = RUNNER.invoke(APP, ["run", "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "another collector runs on" in result.stderr


def test_a_taken_api_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        result = RUNNER.invoke(APP, ["run", "--data", str(tmp_path), "--api-port", port])
    assert result.exit_code == 1
    assert f"api.port: 127.0.0.1:{port}" in result.stderr
    assert "--api-port" in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("late_x = 1\n", "late_x: is no threshold"),
        ("late_s = \n", "rules_file"),
        ("late_s = -1\n", "late_s: a number"),
    ],
)
def test_bad_thresholds_are_named(tmp_path: Path, text: str, words: str) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(text)
    file = tmp_path / "c.toml"
    file.write_text(f'[detect]\nrules_file = "{rules}"\n')
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    result = RUNNER.invoke(
        APP, ["run", "--config", str(file), "--data", str(tmp_path / "d"), "--api-port", str(port)]
    )
    assert result.exit_code == 1
    assert words in result.stderr


def test_the_gateway_s_key_is_made_once_and_shown_with_the_way_to_enrol_it(tmp_path: Path) -> None:
    config = tmp_path / "collector.toml"
    config.write_text('[gateway]\nlisten = "127.0.0.1:7701"\nunit = "gateway-1"\n')
    ask = ["gateway", "--config", str(config), "--data", str(tmp_path / "data")]
    [own] = [json.loads(RUNNER.invoke(APP, [*ask, "--json"]).stdout)]
    assert own["unit"] == "gateway-1"
    assert len(bytes.fromhex(own["public_key"])) == 32
    assert (tmp_path / "data" / "gateway.key").stat().st_mode & 0o777 == 0o600
    people = RUNNER.invoke(APP, ask).stdout
    assert f"plomba unit add gateway-1 --public-key {own['public_key']}" in people


def test_without_a_gateway_there_is_no_key_to_show(tmp_path: Path) -> None:
    refused = RUNNER.invoke(APP, ["gateway", "--data", str(tmp_path)])
    assert refused.exit_code == 3
    assert "gateway.listen" in refused.stderr


def test_a_backup_names_its_files(tmp_path: Path) -> None:
    data, to = tmp_path / "data", tmp_path / "copy"
    RUNNER.invoke(APP, ["add", "uz-01", "--public-key", "07" * 32, "--data", str(data)])
    done = RUNNER.invoke(APP, ["backup", str(to), "--data", str(data), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["to"] == str(to)
    assert sorted(said["files"]) == sorted(one.name for one in to.iterdir())
