"""The stream as a client that is no browser takes it: bytes a second, and how soon who was cut off has everything again.

Law: what was lost is judged by what the client ends up knowing, not by how many events it heard.
"""

import gzip
import http.client
import json
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.console.figure import Figure
from bench.console.fleet import FIX_EVERY_S, Fleet
from bench.site import Site

BYTES_S, RESUME_MS = 12_000, 1_000
TAKE_S = 10
AWAY_S = 10
FIELDS = 8
HEADER_BYTES = 32
AFTER_S = 4  # until both clients have heard the last fix of a fleet that stands
_HOW = (
    f"A client without a browser, as `plomba alert watch` is one; {{units}} simulated units, a fix in {FIX_EVERY_S} s each. Resume: the client is away for "
    f"{AWAY_S} s (the design: five minutes; a unit counts once however long it is), comes back with its last feed number, and the time is counted to the end of the first event, "
    "which brings all that it missed. Lost: units whose place is another one than a client is told that comes new, after the fleet has stopped."
)


@dataclass(slots=True, kw_only=True)
class Known:
    """What a client knows: where each unit is."""

    feed: int = 0
    places: dict[int, tuple[int, int]] = field(default_factory=dict)
    resets: int = 0

    def hear(self, name: str, data: str) -> None:
        """One event of the stream."""
        if name == "reset":
            self.resets += 1
        if name != "units":
            return
        said = json.loads(data)
        self.feed = max(self.feed, int(said["f"]))
        number, rows = 0, said["u"]
        for at in range(0, len(rows), FIELDS):
            number += rows[at]
            self.places[number] = (rows[at + 1], rows[at + 2])


class Client:
    """One connection to the stream."""

    def __init__(self, site: Site, token: str, since: int | None) -> None:
        self.bytes = 0
        self._line = http.client.HTTPConnection("127.0.0.1", site.api_port, timeout=30)
        path = "/api/v1/live/stream" + ("" if since is None else f"?since={since}")
        self._line.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        self._answer = self._line.getresponse()
        assert self._answer.status == http.client.OK, self._answer.status

    def events(self, seconds: float) -> Iterator[tuple[str, str]]:
        """Name and data of each event until the time is over; `stat` comes every 5 s and lets us look at the clock."""
        until = time.monotonic() + seconds
        name = data = ""
        while time.monotonic() < until:
            line = self._answer.readline()
            self.bytes += len(line)
            text = line.decode().rstrip("\r\n")
            if text.startswith("event:"):
                name = text[6:].strip()
            elif text.startswith("data:"):
                data = text[5:].strip()
            elif not text and name:
                yield name, data
                name = data = ""

    def close(self) -> None:
        self._line.close()


def run(site: Site, fleet: Fleet) -> Sequence[Figure]:
    """Bytes a second, resume, and what was lost."""
    token = site.log_in()
    known = snapshot(site, token)
    how = _HOW.format(units=f"{len(fleet.trucks):,}")
    with fleet.driving(len(fleet.trucks) / FIX_EVERY_S):
        time.sleep(2)
        sent, begin = fleet.sent, time.monotonic()
        client = Client(site, token, known.feed)
        for name, data in client.events(TAKE_S):
            known.hear(name, data)
        seconds, said = time.monotonic() - begin, client.bytes
        fixes_s = (fleet.sent - sent) / seconds
        client.close()
        time.sleep(AWAY_S)
        begin = time.monotonic()
        client = Client(site, token, known.feed)
        resume_ms = None
        before = known.feed
        for name, data in client.events(30):
            known.hear(name, data)
            if known.feed > before or known.resets:
                resume_ms = round((time.monotonic() - begin) * 1_000)
                break
    for name, data in client.events(AFTER_S):
        known.hear(name, data)
    client.close()
    anew = snapshot(site, token)
    lost = sum(known.places.get(number) != place for number, place in anew.places.items())
    return [
        Figure(
            what="stream to one client",
            found=round(said / seconds / 1_000, 1),
            unit="kB/s",
            most=BYTES_S / 1_000,
            how=how,
            beside=f"{fixes_s:.0f} fixes a second sent",
        ),
        Figure(what="resume after a cut", found=resume_ms, unit="ms", most=RESUME_MS, how=how),
        Figure(
            what="places lost over the cut",
            found=lost,
            unit="units",
            most=0,
            how=how,
            beside=f"{len(anew.places):,} units, {known.resets} resets",
        ),
    ]


def snapshot(site: Site, token: str) -> Known:
    """What a client that comes now is told."""
    line = http.client.HTTPConnection("127.0.0.1", site.api_port, timeout=30)
    time.sleep(1.1)  # the collector keeps one for a second
    line.request("GET", "/api/v1/live/snapshot", headers={"Authorization": f"Bearer {token}"})
    answer = line.getresponse()
    assert answer.status == http.client.OK, answer.status
    data = gzip.decompress(answer.read())
    line.close()
    return read_snapshot(data)


def read_snapshot(data: bytes) -> Known:
    """The columns of CONSOLE section 7, as far as a place goes."""
    count, feed = struct.unpack_from("<I", data, 8)[0], struct.unpack_from("<Q", data, 16)[0]
    begin = struct.unpack_from("<H", data, 6)[0]
    numbers = struct.unpack_from(f"<{count}I", data, begin)
    lon = struct.unpack_from(f"<{count}i", data, begin + 4 * count)
    lat = struct.unpack_from(f"<{count}i", data, begin + 8 * count)
    return Known(feed=feed, places=dict(zip(numbers, zip(lon, lat, strict=True), strict=True)))
