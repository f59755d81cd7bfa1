"""How each fault is made, and undone: kills, stops, weather, clocks, backups, small disks.

Law: a fault is counted when it has really met somebody, not when it was meant.
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from bench.drill.faults import FAKETIME, Fault, usual_points
from bench.drill.issuer import Truck
from bench.drill.scenes import forget_kernel, roll_back, spoil, take_image
from bench.mosquitto import Mosquitto
from bench.relay import CALM, Relay
from bench.relay_mqtt import Kind
from bench.site import Site, SiteError, Unit, end, kill, tail

RESERVED_S = 40.0  # an agent that shall die at a named point gets so long to come there
RESERVED_RARE_S = 90.0  # receipts are carried out by 64, and deleted when the spare is full
RARE = ("store:covered", "delete:", "aside:", "salvage:", "spill:", "word:")
PREPARED = ("delete:", "aside:", "salvage:", "spill:", "word:")  # a scene comes before
STEP_S = 0.1  # of a scene
SCENE_S_MAX = 20.0
AGING_S = 4.0  # how old a card is that shows an older state of itself
CALLS_MAX = 20  # EDGE section 12: the k-th call, k = 1 to 20
RESTART_S = (0.0, 0.6)  # how long a killed agent stays away
LAST_WORDS_S = 5.0  # a start that met a full disk says so seconds later
RESTART_FALLEN_S = 2.0  # RestartSec of its systemd unit
COLLECTOR_START_S_MAX = 15.0
TERM_AFTER_S = 3.0  # points on the way out are reached by a TERM
BACKUP_EVERY_S = 4.0
FILLER = "filler"
DISK_BYTES = 24 << 20  # EDGE section 12


@dataclass(slots=True, kw_only=True)
class Crew:
    """One unit with its hardware, its line, its disk, and what is wrong with it just now."""

    unit: Unit
    truck: Truck
    relay: Relay
    disk: Path | None = None  # a small file system of its own
    clock: Path | None = None  # libfaketime's file
    trouble: str | None = None  # one lasting fault at a time
    troubled_until: float = 0.0  # so long an agent may still end of a trouble that is over
    armed: tuple[str, str, float] | None = (
        None  # fault, named point, and until when nobody else kills
    )
    back_at: float | None = None  # when a dead agent is started again
    is_played: bool = False  # a scene starts and kills it: nobody else looks after it

    @property
    def is_reserved(self) -> bool:
        return self.armed is not None and time.monotonic() < self.armed[2]

    @property
    def is_running(self) -> bool:
        process = self.unit.process
        return process is not None and process.poll() is None


class Hands:
    """Everything that a drill does to a site."""

    def __init__(
        self, *, site: Site, crews: list[Crew], mosquitto: Mosquitto | None, rng: random.Random
    ) -> None:
        self.fired: Counter[str] = Counter()
        self.points: Counter[str] = Counter()
        self.missed: list[Fault] = []  # lasted and met nobody: to be tried again
        self.collector_exits = 0  # by itself, because its broker was killed while it started
        self._broker_killed_at = -COLLECTOR_START_S_MAX
        self.cards = 0  # that have shown an older state of themselves
        self.agent_exits = 0  # by themselves, on a disk that was in trouble
        self.keeps_backups = False
        self._site = site
        self._crews = crews
        self._mosquitto = mosquitto
        self._rng = rng
        self._undo: list[tuple[float, Callable[[], None]]] = []
        self._scenes: list[tuple[float, Crew, Iterator[None]]] = []
        self._backups: list[Path] = []
        self._backup_at = 0.0

    def do(self, fault: Fault) -> bool:
        """Make it now; False if it met nobody."""
        match fault.group:
            case "kill":
                return self._kill(fault)
            case "points":
                assert fault.point is not None
                return self._arm(fault, fault.point)
            case "stop":
                return self._stop(fault)
            case "broker" | "network":
                return self._weather(fault)
            case "clock":
                return self._step_clock(fault)
            case "collector":
                return self._restore()
            case _:
                return self._spoil_disk(fault)

    @property
    def is_busy(self) -> bool:
        """Something lasts still, or an agent is on its way to a named point."""
        return bool(self._undo or self._scenes)

    def tick(self) -> None:
        """Undo what has lasted long enough; start again what is down. SiteError if a program ended that had no reason to."""
        now = time.monotonic()
        due = [act for at, act in self._undo if at <= now]
        self._undo = [(at, act) for at, act in self._undo if at > now]
        for act in due:
            act()
        self._play(now)
        self._look_after_collector()
        for crew in self._crews:
            self._look_after(crew, now)
        if self.keeps_backups and now >= self._backup_at:
            self._backup_at = now + BACKUP_EVERY_S
            self._back_up()

    def calm(self) -> None:
        """No fault is in force any more, and nobody is on the way to one."""
        undo, self._undo = self._undo, []
        for _, act in undo:
            act()
        for _, crew, scene in self._scenes:
            scene.close()  # type: ignore[attr-defined]  # a generator: its `finally` sets right what it had spoilt
            crew.is_played, crew.trouble = False, None
            if not crew.is_running:
                crew.back_at = time.monotonic()
        self._scenes.clear()
        for crew in self._crews:
            if crew.armed is not None and kill(crew.unit.process):
                crew.armed, crew.back_at = None, time.monotonic()

    # kill -9

    def _kill(self, fault: Fault) -> bool:
        match fault.name:
            case "agent":
                done = self._kill_agent(self._rng.choice(self._crews))
            case "agent at a named point":
                return self._arm(fault, self._rng.choice(usual_points()))
            case "collector":
                done = kill(self._site.collector)
                if done:
                    self._site.start_collector(self._site.config)
            case _:
                done = self._kill_broker(wipe=fault.name == "broker wiped")
        self.fired[fault.name] += done
        return done

    def _kill_agent(self, crew: Crew) -> bool:
        if crew.is_reserved or crew.is_played or not kill(crew.unit.process):
            return False
        crew.armed = None
        crew.back_at = time.monotonic() + self._rng.uniform(*RESTART_S)
        return True

    def _arm(self, fault: Fault, point: str) -> bool:
        """Kill the agent now, and let the next one die by its own hand at a named point."""
        free = [
            one
            for one in self._crews
            if not one.is_reserved and not one.is_played and one.trouble is None
        ]
        if not free:
            return False
        crew = self._rng.choice(free)
        if point.startswith(PREPARED):
            return self._begin_scene(crew, fault, point)
        if not kill(crew.unit.process):
            return False
        self._send_to(crew, fault, point)
        return True

    def _send_to(self, crew: Crew, fault: Fault, point: str) -> None:
        """The next agent of that crew dies there."""
        rare = point.startswith(RARE)
        once = rare or point.startswith(("start:", "close:"))
        calls = 1 if once else self._rng.randint(1, CALLS_MAX)
        reserved_s = RESERVED_RARE_S if rare else RESERVED_S
        crew.armed = (fault.name, point, time.monotonic() + reserved_s)
        crew.back_at = None
        self._site.start_unit(crew.unit, "--kill-at", f"{point}:{calls}")
        if point.startswith("close:"):
            self._later(TERM_AFTER_S, lambda: self._terminate(crew))
        self._later(reserved_s, lambda: self._give_up(crew, fault))

    # what must be so before a rare point is reached

    def _begin_scene(self, crew: Crew, fault: Fault, point: str) -> bool:
        status = self._site.status_of(crew.unit) if crew.is_running else None
        if status is None or status.get("at_home") or status.get("store") != "ok":
            return False  # what waits for the word has no head that a second trouble could go on behind
        crew.trouble, crew.is_played, crew.armed = fault.name, True, None
        scene = self._scene(crew, fault, point)
        self._scenes.append((time.monotonic(), crew, scene))
        return True

    def _play(self, now: float) -> None:
        going, self._scenes = self._scenes, []
        for at, crew, scene in going:
            if at > now:
                self._scenes.append((at, crew, scene))
                continue
            try:
                next(scene)
            except StopIteration:
                crew.is_played, crew.trouble = False, None
            else:
                self._scenes.append((now + STEP_S, crew, scene))

    def _scene(self, crew: Crew, fault: Fault, point: str) -> Iterator[None]:
        """Steps; between two of them the drill goes on."""
        unit = crew.unit
        if point.startswith("spill:"):
            yield from self._spill_scene(crew, fault, point)
            return
        if point in {"word:rewritten", "word:committing", "word:committed"}:
            yield from self._card_scene(crew, fault, point)
            return
        if point.startswith(("delete:", "aside:")):
            # A clean stop carries out its receipts, so the next batch deletes; and what it leaves is not looked through.
            end(unit.process)
        else:
            kill(unit.process)
        if point.startswith(("aside:", "salvage:")):
            spoil(unit.outbox)
        if point.startswith("word:"):
            forget_kernel(unit)
        self._send_to(crew, fault, point)

    def _spill_scene(self, crew: Crew, fault: Fault, point: str) -> Iterator[None]:
        """A disk that is only read at a start; the way back is tried a second behind the next one."""
        if crew.disk is None:
            return
        kill(crew.unit.process)
        undo = _make_read_only(crew.disk)
        try:
            if point in {"spill:before", "spill:begun"}:
                self._send_to(crew, fault, point)
                yield from self._until_dead(crew)
                self._note_death(crew)
            else:
                self._site.start_unit(crew.unit)
                until = time.monotonic() + SCENE_S_MAX
                while time.monotonic() < until:
                    status = self._site.status_of(crew.unit)
                    if status is not None and status.get("store") == "spill":
                        break
                    yield
        finally:
            kill(crew.unit.process)
            undo()
        if point in {"spill:before", "spill:begun"}:
            crew.back_at = time.monotonic()
        else:
            self._send_to(crew, fault, point)

    def _card_scene(self, crew: Crew, fault: Fault, point: str) -> Iterator[None]:
        """A card that lies: it shows what it held some seconds ago, and the system starts anew."""
        kill(crew.unit.process)
        image = take_image(crew.unit)
        self._site.start_unit(crew.unit)
        try:
            until = time.monotonic() + AGING_S
            while time.monotonic() < until:
                yield
            crew.truck.hushed.set()  # its last record is acknowledged, and all is receipted
            until = time.monotonic() + SCENE_S_MAX
            while time.monotonic() < until:
                status = self._site.status_of(crew.unit)
                quiet = status is not None and not crew.truck.is_speaking
                if quiet and status is not None and status.get("batches_waiting") == 0:
                    break
                yield
            kill(crew.unit.process)
            if roll_back(self._site, crew.unit, image):
                self.cards += 1
                self._forget_backups()
                forget_kernel(crew.unit)
                self._send_to(crew, fault, point)
            else:
                crew.back_at = time.monotonic()
                self.missed.append(fault)
        finally:
            crew.truck.hushed.clear()

    def _until_dead(self, crew: Crew) -> Iterator[None]:
        until = time.monotonic() + SCENE_S_MAX
        while crew.is_running and time.monotonic() < until:
            yield

    def _note_death(self, crew: Crew) -> None:
        process = crew.unit.process
        if crew.armed is not None and process is not None and process.poll() == -signal.SIGKILL:
            fault, point, _ = crew.armed
            self.points[point] += 1
            self.fired[fault] += 1
            crew.armed = None

    def _terminate(self, crew: Crew) -> None:
        """As soon as it is up: before that it knows no way out that could be interrupted."""
        if crew.armed is None or not crew.is_running or crew.unit.process is None:
            return
        if self._site.status_of(crew.unit) is None:
            self._later(TERM_AFTER_S, lambda: self._terminate(crew))
        else:
            crew.unit.process.terminate()

    def _give_up(self, crew: Crew, fault: Fault) -> None:
        """It never came to its point: another one, later, may."""
        if crew.armed is not None and crew.armed[0] == fault.name and not crew.is_reserved:
            self.missed.append(fault)

    def _kill_broker(self, *, wipe: bool) -> bool:
        self._broker_killed_at = time.monotonic()
        if self._mosquitto is not None:
            done = kill(self._mosquitto.process)
            if wipe:
                self._mosquitto.wipe()
            self._mosquitto.start()
            return done
        pid = self._site.broker_pid()
        if pid is None or not _kill_pid(pid):
            return False
        if wipe:
            for store in self._site.data_dir.rglob("store"):
                shutil.rmtree(store, ignore_errors=True)
        return True

    # SIGSTOP

    def _stop(self, fault: Fault) -> bool:
        seconds = self._seconds(fault)
        if fault.name == "broker stopped":
            pid = self._broker_pid()
            return pid is not None and self._pause(fault, pid, seconds)
        if fault.name == "collector stopped":
            process = self._site.collector
            alive = process is not None and process.poll() is None
            return alive and process is not None and self._pause(fault, process.pid, seconds)
        crew = self._free_crew()
        if crew is None or crew.unit.process is None:
            return False
        self._trouble(crew, fault, seconds)
        return self._pause(fault, crew.unit.process.pid, seconds)

    def _pause(self, fault: Fault, pid: int, seconds: float) -> bool:
        try:
            os.kill(pid, signal.SIGSTOP)
        except ProcessLookupError:
            return False
        self.fired[fault.name] += 1
        self._later(seconds, lambda: _continue(pid))
        return True

    def _broker_pid(self) -> int | None:
        if self._mosquitto is None:
            return self._site.broker_pid()
        process = self._mosquitto.process
        return None if process is None or process.poll() is not None else process.pid

    # the line

    def _weather(self, fault: Fault) -> bool:
        assert fault.weather is not None
        crew = self._free_crew(with_link=True)
        if crew is None:
            return False
        seconds = self._seconds(fault)
        relay = crew.relay
        if fault.weather.drop_after is Kind.CONNACK or fault.weather.loss:
            relay.cut()  # it meets those who dial
        before = (relay.fallen[fault.name], relay.fallen[f"{fault.name}: packets"], relay.up_bytes)
        relay.set(replace(fault.weather, name=fault.name))

        def undo() -> None:
            fell = relay.fallen[fault.name] > before[0]
            swallowed = relay.fallen[f"{fault.name}: packets"] > before[1]
            crawled = fault.weather is not None and fault.weather.bytes_s is not None
            met = fell or swallowed or (crawled and relay.up_bytes > before[2])
            relay.set(CALM)
            self._met(fault, met=met)

        self._trouble(crew, fault, seconds, undo)
        return True

    # the unit's clock

    def _step_clock(self, fault: Fault) -> bool:
        crew = self._free_crew()
        if crew is None or crew.clock is None or fault.clock is None:
            return False
        clock = crew.clock
        starts = fault.name.startswith("started")
        if starts and not self._kill_agent(crew):
            return False
        clock.write_text(f"{fault.clock}\n", encoding="ascii")
        self.fired[fault.name] += 1
        self._trouble(crew, fault, self._seconds(fault), lambda: _set_right(clock))
        return True

    # the collector's store

    def _restore(self) -> bool:
        """Yesterday's backup, of some seconds ago: what was receipted since then is unknown to the collector again."""
        if len(self._backups) < 2 or not kill(self._site.collector):
            return False
        store = self._site.store
        for beside in ("-wal", "-shm"):
            store.with_name(store.name + beside).unlink(missing_ok=True)
        shutil.copy(self._backups[0], store)
        self._site.start_collector(self._site.config)
        self.fired["collector restored"] += 1
        return True

    def _back_up(self) -> None:
        """By SQLite's own means, while the collector works, as an operator does."""
        target = self._site.folder / f"backup-{int(time.monotonic() * 1000)}.db"
        try:
            with (
                closing(sqlite3.connect(f"file:{self._site.store}?mode=ro", uri=True)) as live,
                closing(sqlite3.connect(target)) as copy,
            ):
                live.backup(copy)
        except sqlite3.Error:  # the collector is just being born or restored
            target.unlink(missing_ok=True)
            return
        self._backups.append(target)
        for old in self._backups[:-2]:
            old.unlink(missing_ok=True)
        self._backups = self._backups[-2:]

    def _forget_backups(self) -> None:
        """A card that forgets and a collector that is then put back to before that have together lost what both forget.

        Nobody has it any more, so nobody can be asked for it: that loss would be the drill's and not the system's.
        """
        for old in self._backups:
            old.unlink(missing_ok=True)
        self._backups.clear()
        self._backup_at = 0.0

    def _look_after_collector(self) -> None:
        collector = self._site.collector
        if collector is not None and collector.poll() is not None:
            if time.monotonic() - self._broker_killed_at < COLLECTOR_START_S_MAX:
                # Its broker was killed while it was being born: it gives up, and systemd starts it anew.
                self.collector_exits += 1
                self._site.start_collector(self._site.config)
                return
            raise SiteError(
                f"the collector ended by itself, exit {collector.returncode}:\n{tail(self._site.collector_log)}"
            )

    # the unit's disk

    def _spoil_disk(self, fault: Fault) -> bool:
        crew = self._free_crew()
        if crew is None or crew.disk is None:
            return False
        disk = crew.disk
        at_start = fault.name.endswith("at the start")
        if at_start and not kill(crew.unit.process):
            return False
        match fault.name:
            case "disk without inodes":
                undo = _take_inodes(disk)
            case "disk read-only at the start":
                undo = _make_read_only(disk)
            case _:
                undo = _fill(disk)
        if at_start:
            crew.armed = None
            crew.back_at = time.monotonic()
        self.fired[fault.name] += 1
        self._trouble(crew, fault, self._seconds(fault), undo)
        return True

    # looking after the units

    def _look_after(self, crew: Crew, now: float) -> None:
        process = crew.unit.process
        if crew.is_played:
            return
        if process is not None and process.poll() is not None and crew.back_at is None:
            if crew.armed is not None and process.returncode == -signal.SIGKILL:
                fault, point, _ = crew.armed
                self.points[point] += 1
                self.fired[fault] += 1
                crew.back_at = now
            elif crew.armed is not None and process.returncode == 0:
                # Its stop took longer than an agent allows itself, and the point was not reached: once more.
                self._site.start_unit(crew.unit, "--kill-at", f"{crew.armed[1]}:1")
                self._later(TERM_AFTER_S, lambda: self._terminate(crew))
                return
            elif crew.disk is not None and (crew.trouble is not None or now < crew.troubled_until):
                self.agent_exits += 1
                crew.back_at = now + RESTART_FALLEN_S
            else:
                raise SiteError(
                    f"{crew.unit.unit_id} ended by itself, exit {process.returncode}:\n{tail(crew.unit.log)}"
                )
            crew.armed = None
        if crew.back_at is not None and now >= crew.back_at:
            crew.back_at = None
            self._site.start_unit(crew.unit)

    def _free_crew(self, *, with_link: bool = False) -> Crew | None:
        """A unit that runs, with nothing wrong with it, and connected."""
        free = [
            one
            for one in self._crews
            if one.trouble is None
            and not one.is_played
            and not one.is_reserved
            and one.is_running
            and (one.relay.open_links or not with_link)
        ]
        return self._rng.choice(free) if free else None

    def _trouble(
        self, crew: Crew, fault: Fault, seconds: float, undo: Callable[[], None] | None = None
    ) -> None:
        crew.trouble = fault.name

        def over() -> None:
            if undo is not None:
                undo()
            crew.trouble = None
            crew.troubled_until = time.monotonic() + LAST_WORDS_S

        self._later(seconds, over)

    def _met(self, fault: Fault, *, met: bool) -> None:
        self.fired[fault.name] += met
        if not met:
            self.missed.append(fault)

    def _seconds(self, fault: Fault) -> float:
        return self._rng.uniform(*fault.seconds)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._undo.append((time.monotonic() + seconds, act))


def faketime_env(clock: Path) -> dict[str, str]:
    """A process with this environment sees a system clock that `clock` sets; its other clocks stay."""
    return {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


def mount_small_disk(folder: Path) -> None:
    """A file system of 24 MiB at `folder`. SiteError if the machine lets nobody mount."""
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "plomba-drill", str(folder))
    (folder / FILLER).touch()  # now: later there may be no inode left for it


def unmount(folder: Path) -> None:
    _run("umount", "-l", str(folder))


def _fill(disk: Path) -> Callable[[], None]:
    filler = disk / FILLER
    with filler.open("r+b", buffering=0) as file:
        for size in (1 << 16, 1 << 12):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return lambda: os.truncate(filler, 0)


def _take_inodes(disk: Path) -> Callable[[], None]:
    found = os.statvfs(disk)
    used = found.f_files - found.f_ffree
    _run("mount", "-o", f"remount,nr_inodes={used}", str(disk))
    return lambda: _run("mount", "-o", f"remount,nr_inodes={found.f_files}", str(disk))


def _make_read_only(disk: Path) -> Callable[[], None]:
    _run("mount", "-o", "remount,ro", str(disk))
    return lambda: _run("mount", "-o", "remount,rw", str(disk))


def _set_right(clock: Path) -> None:
    clock.write_text("+0\n", encoding="ascii")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # mount and umount
    if done.returncode != 0:
        raise SiteError(f"{' '.join(command)}: {done.stderr.strip()}")


def _kill_pid(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _continue(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return
