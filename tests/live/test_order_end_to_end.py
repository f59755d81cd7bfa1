"""Orders from the operator's command to the lock on a pty and back to the alert that is none, over real processes.

The centre gives, signs and sends; the unit judges and opens; the detectors judge once more. What comes too early, too late or a
second time is carried to the unit by hand, as an officer's phone could: the bytes are the centre's own.
"""

import json
import socket
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from bench.simulator import Simulator
from bench.site import SiteError, Unit, run
from collector.app.keys import keys_of
from tests.live.site_world import QUICK, SEAL_ID, World, world
from wire.envelope import Aad, seal

pytestmark = pytest.mark.live

UNIT = "truck-1"
PASSWORD = "12#aAM"
MOVEMENT = "26UZ000001726001J6"
ACT = ("--seal", SEAL_ID, "--officer", "officer-12")
LAT, LON = 41.3, 69.25  # where the witness stands without a track
SCENARIO = f"""
scenario = {{{{ name = "orders", seed = 5, start = {{start}}, end_s = 3600 }}}}
receiver = {{{{ fix_after_s = 1, noise_m = 0, ubx = true }}}}
seal = {{{{ id = "{SEAL_ID}", armed = true, dynamic = false, password = "{PASSWORD}", interval_s = 20 }}}}
"""


class Desk:
    """The operator at his desk, and the one truck."""

    def __init__(self, site: World, unit: Unit) -> None:
        self.site = site
        self.unit = unit
        self.data = ("--data", str(site.site.data_dir))
        site.site.log_in()
        self.logged_in = {"PLOMBA_TOKEN_FILE": str(site.site.token_file)}

    def give(self, what: str, *words: str) -> dict[str, Any]:
        said = run("plomba", ["unit", "order", UNIT, what, *words, *self.data, "--json"])
        order: dict[str, Any] = json.loads(said)
        return order

    def unlock(self, *words: str, zone: str = "yard", movement: str = MOVEMENT) -> dict[str, Any]:
        return self.give("unlock", *ACT, "--movement", movement, "--zone", zone, *words)

    def orders(self) -> dict[str, dict[str, Any]]:
        """What the collector shows of them, by id."""
        url = f"http://127.0.0.1:{self.site.site.api_port}/api/v1/units/{UNIT}/orders"
        asked = Request(url, headers={"Authorization": f"Bearer {self.site.site.log_in()}"})
        with build_opener(ProxyHandler({})).open(asked, timeout=10) as answer:
            return {row["id"]: row for row in json.load(answer)["orders"]}

    def shown(self) -> dict[str, dict[str, Any]]:
        """What the operator's command shows, by id."""
        said = run("plomba", ["unit", "orders", UNIT, *self.data, "--json"], env=self.logged_in)
        return {row["id"]: row for row in map(json.loads, said.splitlines())}

    def settled(self, order: dict[str, Any], seconds: float = 30) -> tuple[str, str | None]:
        """State and result of an order, as soon as the unit has spoken of it."""
        until = time.monotonic() + seconds
        while (row := self.orders()[order["id"]])["result"] is None:
            assert time.monotonic() < until, row
            time.sleep(0.2)
        return row["state"], row["result"]

    def carry(self, order: dict[str, Any]) -> None:
        """The order's own bytes to the unit by hand, signed with the key of the desk."""
        key = keys_of(self.site.site.data_dir).order
        (payload,) = self.rows(
            "select payload from unit_order where order_id = ?", bytes.fromhex(order["id"])
        )[0]
        message = seal(payload, Aad.ORDER, key.kid, key.sign)
        time.sleep(1.1)  # the unit takes one a second by hand
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.unit.folder / "run" / "status.sock"))
            head = (
                f"POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(message)}\r\n\r\n"
            )
            client.sendall(head.encode() + message)
            answer = client.recv(4_096)
        assert answer.split(b" ")[1][:1] == b"2", answer

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        store = sqlite3.connect(f"file:{self.site.site.store}?mode=ro", uri=True, timeout=10)
        try:
            return store.execute(statement, values).fetchall()
        finally:
            store.close()

    def strays(self) -> list[tuple[str, int]]:
        """(why, result) of what the unit said and nobody believed."""
        return self.rows("select why, result from order_stray order by number")

    def openings(self) -> int:
        """How often the lock has said that a password opened it."""
        return sum(
            event.kind == 6 and event.data[2] == "static_password" and event.data[4] == 1
            for event in self.site.chain().events
        )

    def jammed(self) -> bool:
        """Whether the receiver has reported jamming."""
        states = [event.data[9] for event in self.site.chain().events if event.kind == 11]
        return any(isinstance(state, int) and state >= 2 for state in states)

    def records(self, code: str) -> list[dict[str, Any]]:
        found = self.rows("select code, unit, seal from finding where code = ?", code)
        return [dict(zip(("code", "unit", "seal"), row, strict=True)) for row in found]


def circle(name: str, lat: float, lon: float) -> dict[str, object]:
    return {
        "type": "Feature",
        "properties": {"id": name, "radius_m": 250},
        "geometry": {"type": "Point", "coordinates": [lon, lat]},
    }


def begin(site: World, folder: Path) -> Desk:
    """Collector, zones, hardware and agent; the unit knows time and place, its seal is heard and shut."""
    site.start_collector()
    site.draw(
        {
            "type": "FeatureCollection",
            "features": [circle("yard", LAT, LON), circle("far", LAT + 1, LON)],
        }
    )
    secret = folder / "seal.secret"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    # The site's own config ends in [status], which goes on here
    more = f'accept_orders = true\n{QUICK}\n[seals.{SEAL_ID}]\nsecret_file = "{secret}"\n'
    scenario = folder / "scenario.toml"
    start = datetime.fromtimestamp(
        int(time.time()), UTC
    )  # its world begins at once: orders go by the time of day
    scenario.write_text(SCENARIO.format(start=start.isoformat()))
    hardware = site.hardware = Simulator(scenario, folder / "hardware")
    unit = site.site.make_unit(
        UNIT, gps=hardware.gps, seal=hardware.seal, seal_id=SEAL_ID, more=more
    )
    site.site.start_unit(unit)
    desk = Desk(site, unit)
    site.until(
        lambda: (
            (status := site.status(unit)).get("time_quality") == "gnss"
            and status.get("lat_e7") is not None
        ),
        what="time and place",
        seconds=60,
    )
    site.until(lambda: desk.records("SEAL_SEALED"), what="the seal is shut", seconds=60)
    return desk


def stamp(seconds: float) -> str:
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds")


def test_an_unlock_ordered_at_the_centre_opens_the_lock_once_and_is_no_alert(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as site:
        desk = begin(site, tmp_path)
        later = desk.unlock("--from", stamp(600), "--until", stamp(700))
        with pytest.raises(SiteError, match="order_waiting"):
            desk.unlock()
        good = desk.unlock("--supersede", "--reason", "inspection at the yard")
        assert desk.settled(good) == ("DONE", "Done")
        site.until(lambda: desk.openings() == 1, what="the lock's own word is a record")
        site.until(lambda: desk.records("SEAL_OPENED"), what="the detectors know the order")

        assert site.hardware is not None
        site.hardware.do("jam")
        site.until(desk.jammed, what="the receiver reports jamming")
        blind = desk.unlock()
        assert desk.settled(blind) == ("REFUSED", "NoFix")

        desk.carry(good)  # the unit has judged another since
        site.until(desk.strays, what="the replay is a record")
        assert desk.strays() == [("second_result", 3)]
        assert desk.orders()[good["id"]]["state"] == "DONE"
        assert desk.openings() == 1
        assert len(desk.records("SEAL_OPENED")) == 1
        assert site.begun("SEAL_OPEN_UNAUTHORISED") == []
        assert desk.shown() == desk.orders()
        assert [desk.shown()[one["id"]]["state"] for one in (later, good, blind)] == [
            "WITHDRAWN",
            "DONE",
            "REFUSED",
        ]


def test_outside_its_place_time_and_movement_an_unlock_is_refused_by_name(tmp_path: Path) -> None:
    with world(tmp_path) as site:
        desk = begin(site, tmp_path)
        taken = desk.unlock("--from", stamp(600), "--until", stamp(700))
        run("plomba", ["unit", "order-withdraw", taken["id"][:12], *desk.data])
        assert desk.orders()[taken["id"]]["state"] == "WITHDRAWN"

        outside = desk.unlock(zone="far")
        assert desk.settled(outside) == ("REFUSED", "OutsideArea")

        early = desk.unlock("--from", stamp(300), "--until", stamp(600))
        desk.carry(early)
        assert desk.settled(early) == ("REFUSED", "TooEarly")

        armed = desk.give("arm", *ACT, "--movement", MOVEMENT)
        assert desk.settled(armed) == ("DONE", "Done")
        other = desk.unlock(movement="26UZ000009999999X9")
        assert desk.settled(other) == ("REFUSED", "WrongMovement")

        late = desk.unlock("--from", stamp(20), "--until", stamp(21))
        site.until(lambda: desk.orders()[late["id"]]["state"] == "EXPIRED", what="its time is over")
        assert desk.orders()[late["id"]]["sent"] == 0
        desk.carry(late)
        assert desk.settled(late) == ("EXPIRED", "Expired")

        assert desk.openings() == 0
        who = {act["by"] for row in desk.orders().values() for act in row["acts"]}
        assert len(who) == 3  # the person, the unit, and the desk by itself


def test_a_report_is_answered_by_a_hello_and_settings_by_air_are_taken_or_refused_by_the_unit(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as site:
        desk = begin(site, tmp_path)
        report = desk.give("report")
        assert desk.settled(report) == ("DONE", "Done")

        def config(text: str) -> int:
            file = tmp_path / "air.toml"
            file.write_text(text)
            said = run("plomba", ["unit", "config", UNIT, str(file), *desk.data, "--json"])
            version: int = json.loads(said)["version"]
            return version

        def word(version: int) -> str | None:
            words = ["unit", "config", UNIT, *desk.data, "--json"]
            said = run("plomba", words, env=desk.logged_in)
            rows = {row["version"]: row for row in map(json.loads, said.splitlines())}
            result: str | None = rows[version]["result"]
            return result

        taken = config("[sealer]\nrecords_min = 7\n")
        site.until(lambda: word(taken) is not None, what="the unit has tried it", seconds=90)
        assert word(taken) == "Taken"
        # Each bound holds, and the two together do not: only the unit can know
        clash = config("[sealer]\nbatch_bytes_max = 32768\n")
        site.until(lambda: word(clash) is not None, what="the unit has judged it", seconds=90)
        assert word(clash) == "Refused"
        assert config("[sealer]\nrecords_min = 7\n") == clash + 1
