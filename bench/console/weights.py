"""What a first visit brings over the line: the files of the build, packed as they are served.

Law: counted from the build's manifest; what is loaded only when asked for is not counted.
"""

import gzip
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from bench.console.figure import Figure
from collector.api.static import built

KIB = 1024
ALL_KIB, OWN_KIB = 500, 60
LANGUAGE = "locales/en.json"
LIBRARY = "maplibre"  # in the names of files that are wholly its own
ENTRY, ROOM, TOWNS = "index.html", "console/room/Room.svelte", "basemap/places.json"
DATA = ("region-", "places-")  # the basemap and its towns: no code
_HOW = (
    "Files of the build's manifest that the control room loads in one language, gzip 6 as the collector serves them. The goal is of code; the "
    "basemap with its towns stands by itself. Our own is what is left without the library: its worker, and inside the room's bundle as much as "
    "its own files have, packed alone. An estimate: a bundler shakes some of it out."
)


def run(load: float) -> list[Figure]:
    """The figures of the first load; one that was not taken if there is no build."""
    assets = {name: asset.data for name, asset in built().items()}
    manifest = _manifest()
    if not assets or manifest is None:
        how = "There is no build: `make web`."
        return [Figure(what="first load", found=None, unit="KiB gz", most=ALL_KIB, how=how)]
    names = {name.removeprefix("assets/") for name in first_load(manifest)} | {ENTRY}
    sizes = {name: packed_bytes(assets[name]) for name in names}
    code, data = parted(sizes)
    total = sum(code.values())
    plain = sum(len(assets[name]) for name in code)
    library = _library_bytes()
    own = None if library is None else own_bytes(code, library)
    return [
        Figure(
            what="first load of the control room: code, with map and worker",
            found=kib(total),
            unit="KiB gz",
            most=ALL_KIB,
            how=_HOW,
            beside=f"{plain / total:.1f} x as much unpacked, {len(code)} files",
            load=load,
        ),
        Figure(
            what="of it our own, Svelte and the words with it",
            found=None if own is None else kib(own),
            unit="KiB gz",
            most=OWN_KIB,
            how=_HOW,
            beside="" if own is None else f"{own / total * 100:.0f} % of the code",
            load=load,
        ),
        Figure(
            what="basemap and towns",
            found=kib(sum(data.values())),
            unit="KiB gz",
            most=None,
            how=_HOW,
            load=load,
        ),
    ]


def first_load(manifest: Mapping[str, Any]) -> set[str]:
    """Names of the files that the entry, the room, the towns and one language need."""
    found: set[str] = set()
    wanted = [ENTRY, ROOM, TOWNS, LANGUAGE]
    seen: set[str] = set()
    while wanted:
        key = wanted.pop()
        if key in seen:
            continue
        seen.add(key)
        chunk = manifest[key]
        found |= {chunk["file"], *chunk.get("css", ()), *chunk.get("assets", ())}
        wanted += chunk.get("imports", ())
    return found


def parted(sizes: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Code, and the map's data."""
    data = {name: size for name, size in sizes.items() if name.rpartition("/")[2].startswith(DATA)}
    return {name: size for name, size in sizes.items() if name not in data}, data


def own_bytes(code: Mapping[str, int], library_bytes: int) -> int:
    """Ours: no file of the library, and not the library inside the room's bundle."""
    ours = sum(size for name, size in code.items() if LIBRARY not in name)
    return max(ours - library_bytes, 0)


def packed_bytes(data: bytes) -> int:
    """As the collector packs it."""
    return len(gzip.compress(data, 6, mtime=0))


def kib(size_bytes: int) -> float:
    """For people."""
    return round(size_bytes / KIB, 1)


def _manifest() -> dict[str, Any] | None:
    file = files("collector").joinpath("web", "dist", ".vite", "manifest.json")
    if not file.is_file():
        return None
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _library_bytes() -> int | None:
    """The map library as it is inside the room's bundle: packed alone, its sheet too."""
    folder = files("collector").joinpath("web", "node_modules", "maplibre-gl", "dist")
    parts = [folder.joinpath(name) for name in ("maplibre-gl.mjs", "maplibre-gl.css")]
    if not all(part.is_file() for part in parts):
        return None
    return sum(packed_bytes(part.read_bytes()) for part in parts)
