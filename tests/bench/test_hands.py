"""The drill's hands: when they let go, what runs goes on alone, and what nobody can have any more is asked of nobody."""

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from bench.drill.crew import Crew
from bench.drill.hands import Hands
from bench.drill.issuer import STEP_DEG, Truck, epoch, place_at
from bench.relay import Relay
from bench.site import Site, SiteError, Unit, free_ports, kill


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    ports = free_ports(2, random.Random(7))
    truck = Truck(0, tmp_path)
    unit = Unit(unit_id="drill-0", folder=tmp_path, config=tmp_path / "agent.toml", public_key="")
    relay = Relay(port=ports[0], broker_port=ports[1], hear=lambda _: None, seed=7)
    truck.start()
    with closing(relay):
        yield Crew(unit=unit, truck=truck, relay=relay)
        kill(unit.process)
        truck.stop()


def hands_of(crew: Crew) -> Hands:
    site = Site(folder=crew.unit.folder, mqtt_port=1, api_port=2)
    return Hands(site=site, crews=[crew], mosquitto=None, rng=random.Random(7))


def scene(crew: Crew) -> Iterator[None]:
    try:
        while True:
            yield
    finally:
        crew.truck.hushed.clear()


def begin(hands: Hands, crew: Crew) -> None:
    crew.truck.hushed.set()
    crew.is_played, crew.trouble = True, "a card that ages"
    playing = scene(crew)
    next(playing)
    hands._scenes.append((0.0, crew, playing))


def test_an_agent_that_runs_in_a_scene_gets_no_second_one_beside_it_when_peace_comes(
    crew: Crew,
) -> None:
    hands = hands_of(crew)
    crew.unit.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    begin(hands, crew)
    hands.calm()
    assert crew.back_at is None, (
        "two agents on one outbox: the second one ends, and with it the run"
    )
    assert crew.is_running
    assert not crew.is_played
    assert not crew.truck.hushed.is_set()


def test_an_agent_that_lies_dead_in_a_scene_is_started_when_peace_comes(crew: Crew) -> None:
    hands = hands_of(crew)
    begin(hands, crew)
    hands.calm()
    assert crew.back_at is not None
    assert not crew.is_played


def test_no_backup_from_before_a_card_forgot_is_ever_put_back(crew: Crew, tmp_path: Path) -> None:
    hands = hands_of(crew)
    olds = [tmp_path / f"backup-{number}.db" for number in (1, 2)]
    for old in olds:
        old.touch()
    hands._backups = list(olds)
    hands.forget_backups()
    assert not hands.restore()
    assert not any(old.exists() for old in olds)


def test_an_agent_that_ends_by_itself_on_a_full_disk_ends_the_drill(
    crew: Crew, tmp_path: Path
) -> None:
    hands = hands_of(crew)
    crew.disk, crew.trouble = tmp_path, "disk full"
    crew.unit.process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
    crew.unit.process.wait()
    with pytest.raises(SiteError, match="ended by itself, exit 1"):
        hands._look_after(crew, 0.0)


def test_a_truck_that_stood_is_where_it_stood_and_then_goes_on_from_there() -> None:
    stood = [1_002, 1_003]
    lons = [place_at(second, 0, stood)[1] for second in range(1_000, 1_006)]
    steps = [round((after - before) / STEP_DEG) for before, after in pairwise(lons)]
    assert steps == [1, 0, 0, 1, 1]
    assert [b",0.00,90.0," in epoch(second, 0, stood[:2]) for second in (1_003, 1_004)] == [
        True,
        False,
    ]
