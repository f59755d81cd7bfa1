"""A place in words: the nearest town, how far and in which direction; without towns no words (CONSOLE section 5)."""

import json
from pathlib import Path

import pytest

from collector.api.places import Places
from collector.texts.places import in_words

JIZZAX = {"id": 7, "lat": 40.1158, "lon": 67.8422, "people": 1, "names": {}}
GUZOR = {"id": 9, "lat": 38.6208, "lon": 66.2481, "people": 1, "names": {}}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    path = tmp_path / "places.json"
    path.write_text(json.dumps([JIZZAX, GUZOR]))
    return Places.load(path)


@pytest.mark.parametrize(
    ("north", "east", "km", "direction"),
    [
        (0.108, 0.0, 12, "N"),
        (0.108, 0.14, 17, "NE"),
        (0.0, 0.2, 17, "E"),
        (-0.2, 0.0, 22, "S"),
        (0.0, -0.2, 17, "W"),
        (0.1, -0.01, 11, "N"),
        (0.0, 0.0, 0, "N"),
    ],
)
def test_so_far_in_such_a_direction(
    places: Places, north: float, east: float, km: int, direction: str
) -> None:
    lat_e7, lon_e7 = round((40.1158 + north) * 1e7), round((67.8422 + east) * 1e7)
    assert places.near(lat_e7, lon_e7) == {"km": km, "dir": direction, "of": 7}


def test_the_nearest_town_is_named_and_none_that_is_far(places: Places) -> None:
    near_guzor = places.near(386_000_000, 662_000_000)
    assert near_guzor is not None
    assert near_guzor["of"] == 9
    assert places.near(0, 0) is None
    assert places.near(None, 662_000_000) is None


def test_without_towns_there_are_no_words(tmp_path: Path) -> None:
    assert Places.load(tmp_path / "places.json").near(386_000_000, 662_000_000) is None


TASHKENT = 1512569


@pytest.mark.parametrize(
    ("place", "language", "words"),
    [
        ({"km": 12, "dir": "N", "of": TASHKENT}, "en", "12 km N of Tashkent"),
        ({"km": 12, "dir": "N", "of": TASHKENT}, "uz", "Toshkentdan 12 km shimolda"),
        ({"km": 12, "dir": "SW", "of": TASHKENT}, "ru", "Ташкент, 12 км ЮЗ"),
        ({"km": 1, "dir": "N", "of": TASHKENT}, "en", "near Tashkent"),
        ({"km": 12, "dir": "N", "of": 1}, "en", ""),
        (None, "en", ""),
    ],
)
def test_a_place_is_said_as_people_say_it(
    place: dict[str, object] | None, language: str, words: str
) -> None:
    assert in_words(place, language).replace("\u00a0", " ") == words
