"""The drill's hands: when they let go, what runs goes on alone, and what nobody can have any more is asked of nobody."""

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bench.drill.faults import Fault
from bench.drill.hands import Crew, Hands
from bench.drill.issuer import Truck
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
    hands._forget_backups()
    assert not hands._restore()
    assert not any(old.exists() for old in olds)


def test_an_agent_that_a_full_disk_has_ended_may_say_so_when_the_disk_is_free_again(
    crew: Crew, tmp_path: Path
) -> None:
    hands = hands_of(crew)
    crew.disk = tmp_path
    crew.unit.process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
    crew.unit.process.wait()
    hands._trouble(crew, Fault(name="disk full", group="disk"), 0.0)
    hands._undo.pop()[1]()
    over = crew.troubled_until
    hands._look_after(crew, over - 1.0)
    assert (hands.agent_exits, crew.back_at is not None) == (1, True)
    crew.back_at = None
    with pytest.raises(SiteError, match="ended by itself, exit 1"):
        hands._look_after(crew, over + 1.0)
