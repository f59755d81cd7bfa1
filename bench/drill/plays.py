"""What is played before a rare named point, in steps between which the drill goes on (decisions 0045 and 0095).

Law: a scene loses nothing that a sound agent would not bring back, and sets right in its `finally` what it has spoilt.
"""

import json
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bench.drill.crew import Crew
from bench.drill.disks import fill, make_read_only
from bench.drill.faults import SPOILT_TWICE, Fault
from bench.drill.scenes import burden, forget_kernel, has_noted_head, roll_back, spoil, take_image
from bench.relay import CALM, Weather
from bench.site import end, fallen, kill, ordered

if TYPE_CHECKING:
    from bench.drill.hands import Hands

SCENE_S_MAX = 20.0
AGING_S = 4.0  # how old a card is that shows an older state of itself
ORDER_S_MAX = 60.0  # a start, three epochs of the receiver, a command, the desk's next look
ORDER_S = 90  # so long an order is good: the unit hears it again after its death
AREA_DEG = 0.05  # around a truck that stands
MOVEMENT, OFFICER = "DRILL", "drill"
PASSWORD = "888888"  # noqa: S105  # the drill's own locks never ask for it
ROUTINE_S = (
    24.0  # batches that a full disk may do without: some seconds old, and no lock has spoken
)
OFFLINE_S = 5  # `sealer.age_offline_s` of a drill's units


def play_before(hands: "Hands", crew: Crew, fault: Fault, point: str) -> Iterator[None]:
    """Steps; between two of them the drill goes on."""
    if point.startswith("spill:"):
        return _spill(hands, crew, fault, point)
    if point in {"word:rewritten", "word:committing", "word:committed"}:
        return _card(hands, crew, fault, point)
    if point == SPOILT_TWICE:
        return _twice(hands, crew, fault)
    if point.startswith("order:"):
        return _order(hands, crew, fault, point)
    if point.startswith("evict:"):
        return _evict(hands, crew, fault, point)
    return _files(hands, crew, fault, point)


def _files(hands: "Hands", crew: Crew, fault: Fault, point: str) -> Iterator[None]:
    """What can be made while the agent is dead: one step."""
    unit = crew.unit
    if point.startswith(("delete:", "aside:")):
        # A clean stop carries out its receipts, so the next batch deletes; and what it leaves is not looked through.
        end(unit.process)
    else:
        kill(unit.process)
    if point.startswith(("aside:", "salvage:")):
        spoil(unit.outbox)
    if point.startswith("word:"):
        forget_kernel(unit)
    hands.send_to(crew, fault, point)
    yield


def _spill(hands: "Hands", crew: Crew, fault: Fault, point: str) -> Iterator[None]:
    """A disk that is only read at a start; the way back is tried a second behind the next one."""
    if crew.disk is None:
        return
    kill(crew.unit.process)
    undo = make_read_only(crew.disk)
    try:
        if point in {"spill:before", "spill:begun"}:
            hands.send_to(crew, fault, point)
            yield from _until_dead(crew, SCENE_S_MAX)
            hands.note_death(crew)
        else:
            hands.site.start_unit(crew.unit)
            until = time.monotonic() + SCENE_S_MAX
            while time.monotonic() < until:
                status = hands.site.status_of(crew.unit)
                if status is not None and status.get("store") == "spill":
                    break
                yield
    finally:
        kill(crew.unit.process)
        undo()
    if point in {"spill:before", "spill:begun"}:
        crew.back_at = time.monotonic()
    else:
        hands.send_to(crew, fault, point)


def _card(hands: "Hands", crew: Crew, fault: Fault, point: str) -> Iterator[None]:
    """A card that lies: it shows what it held some seconds ago, and the system starts anew."""
    kill(crew.unit.process)
    image = take_image(crew.unit)
    hands.site.start_unit(crew.unit)
    try:
        until = time.monotonic() + AGING_S
        while time.monotonic() < until:
            yield
        crew.truck.hushed.set()  # its last record is acknowledged, and all is receipted
        until = time.monotonic() + SCENE_S_MAX
        while time.monotonic() < until:
            status = hands.site.status_of(crew.unit)
            quiet = status is not None and not crew.truck.is_speaking
            if quiet and status is not None and status.get("batches_waiting") == 0:
                break
            yield
        kill(crew.unit.process)
        if roll_back(hands.site, crew.unit, image):
            hands.cards += 1
            hands.forget_backups()
            forget_kernel(crew.unit)
            hands.send_to(crew, fault, point)
        else:
            crew.back_at = time.monotonic()
            hands.missed.append(fault)
    finally:
        crew.truck.hushed.clear()


def _twice(hands: "Hands", crew: Crew, fault: Fault) -> Iterator[None]:
    """The new store is damaged while the old one is read back, and while both are the collector forgets some seconds."""
    kill(crew.unit.process)
    spoil(crew.unit.outbox)
    try:
        hands.send_to(crew, fault, "salvage:slice")
        yield from _until_dead(crew, SCENE_S_MAX)
        if not hands.has_died_there(crew):
            return
        crew.armed = None
        hands.lost_heads += not has_noted_head(crew.unit)
        spoil(crew.unit.outbox)
        hands.site.start_unit(crew.unit)
        until = time.monotonic() + SCENE_S_MAX
        while time.monotonic() < until:
            status = hands.site.status_of(crew.unit)
            if _asides(status) >= 2 and hands.restore():
                hands.fired[fault.name] += 1
                return
            yield
        hands.missed.append(fault)
    finally:
        _begin_again(hands, crew, fault)


def _asides(status: Mapping[str, object] | None) -> int:
    found = None if status is None else status.get("aside_files")
    return found if isinstance(found, int) else 0


def _order(hands: "Hands", crew: Crew, fault: Fault, point: str) -> Iterator[None]:
    """The centre orders something of a unit that waits to die there. A truck that moves opens no lock: it stands meanwhile."""
    kill(crew.unit.process)
    crew.truck.standing.set()
    given: subprocess.Popen[bytes] | None = None
    try:
        hands.send_to(crew, fault, point)
        until = time.monotonic() + ORDER_S_MAX
        while crew.is_running and time.monotonic() < until:
            if given is None and _may_be_ordered(hands, crew):
                given = _give(hands, crew, point)
            yield
        hands.note_death(crew)
    finally:
        crew.truck.standing.clear()
        kill(given)
        _begin_again(hands, crew, fault)


def _may_be_ordered(hands: "Hands", crew: Crew) -> bool:
    """It knows time and place, its line is up, and nothing was ordered before that is not over."""
    status = hands.site.status_of(crew.unit)
    return (
        status is not None
        and status.get("time_quality") == "gnss"
        and status.get("uplink") == "flowing"
        and not status.get("order_acting")
        and crew.truck.standing.is_set()
    )


def _give(hands: "Hands", crew: Crew, point: str) -> subprocess.Popen[bytes]:
    """As an operator does, and for no longer than the scene needs."""
    words = ["--seal", crew.truck.seal_id, "--officer", OFFICER, "--movement", MOVEMENT]
    if point in {"order:judged", "order:ended"}:
        return ordered(hands.site, crew.unit, "disarm", *words, seconds=ORDER_S)
    lat, lon = crew.truck.place
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
    ring = [[lon + x * AREA_DEG, lat + y * AREA_DEG] for x, y in corners]
    area = crew.unit.folder / "area.geojson"
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}), encoding="utf-8")
    return ordered(hands.site, crew.unit, "unlock", *words, "--area", str(area), seconds=ORDER_S)


def _evict(hands: "Hands", crew: Crew, fault: Fault, point: str) -> Iterator[None]:
    """A store without room in itself, no line, some routine that it can do without since no lock speaks, then a full disk."""
    if crew.disk is None:
        return
    kill(crew.unit.process)
    burden(crew.unit.outbox)
    crew.relay.set(Weather(refuses=True))
    crew.relay.cut()
    try:
        hands.send_to(crew, fault, point)
        crew.truck.hushed.set()
        quiet_until = time.monotonic() + ROUTINE_S
        while time.monotonic() < quiet_until:
            yield
        undo = fill(crew.disk)
        try:
            yield from _until_dead(crew, SCENE_S_MAX)
            if hands.has_died_there(crew):
                hands.note_death(crew)
                hands.site.start_unit(crew.unit)
                yield from _until_evicted(hands, crew)
        finally:
            undo()
    finally:
        crew.truck.hushed.clear()
        crew.relay.set(CALM)
        _begin_again(hands, crew, fault)


def _until_evicted(hands: "Hands", crew: Crew) -> Iterator[None]:
    """What its death has undone the next one does."""
    until = time.monotonic() + SCENE_S_MAX
    while crew.is_running and time.monotonic() < until:
        status = hands.site.status_of(crew.unit)
        if status is not None and status.get("evicted_ever"):
            return
        yield


def _until_dead(crew: Crew, seconds: float) -> Iterator[None]:
    until = time.monotonic() + seconds
    while crew.is_running and time.monotonic() < until:
        yield


def _begin_again(hands: "Hands", crew: Crew, fault: Fault) -> None:
    """Whether it came to its point or not; if not, another one may, later. SiteError if it ended for another reason."""
    process = crew.unit.process
    if process is not None and process.poll() not in {None, -signal.SIGKILL}:
        raise fallen(crew.unit)
    if crew.armed is not None:
        kill(process)
        crew.armed = None
        hands.missed.append(fault)
    if not crew.is_running:
        crew.back_at = time.monotonic()
