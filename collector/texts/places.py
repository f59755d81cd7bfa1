"""`12 km N of Jizzax`: a place in words, by the towns of the basemap. The console says the same (lib/place.ts).

Law: a town that is not on the list has no words; nothing is made up.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from collector.texts.catalogue import number, text

NEAR_KM = 2  # nobody says "800 m NE of Tashkent"


def in_words(place: Mapping[str, object] | None, language: str) -> str:
    """`{"km": 12, "dir": "N", "of": number}` as people say it; empty if its town is unknown."""
    if place is None:
        return ""
    km, town = place["km"], place["of"]
    assert isinstance(km, int)
    assert isinstance(town, int)
    name = _names().get(town, {}).get(language, "")
    if not name:
        return ""
    if km < NEAR_KM:
        return text("place.near", language, name=name)
    return text(
        "place.from",
        language,
        name=name,
        km=text("unit.km", language, n=number(km, language)),
        dir=text(f"dir.{place['dir']}", language),
    )


@cache
def _names() -> Mapping[int, Mapping[str, str]]:
    file = files("collector").joinpath("web", "basemap", "places.json")
    try:
        towns = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {town["id"]: town["names"] for town in towns}
