"""How each fault is made, and undone: kills, stops, weather, clocks, backups, small disks.

Law: a fault is counted when it has really met somebody, not when it was meant.
"""

import os
import random
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from bench.drill.crew import Crew
from bench.drill.disks import fill, make_read_only, take_inodes
from bench.drill.faults import FAKETIME, SPOILT_TWICE, Fault, usual_points
from bench.drill.plays import play_before
from bench.drill.scenes import has_noted_head
from bench.mosquitto import Mosquitto
from bench.relay import CALM
from bench.relay_mqtt import Kind
from bench.site import Site, SiteError, fallen, kill, tail

RESERVED_S = 40.0  # an agent that shall die at a named point gets so long to come there
RESERVED_RARE_S = 90.0  # receipts are carried out by 64, and deleted when the spare is full
PREPARED = (  # a scene comes before
    "aside:",
    "delete:",
    "evict:",
    "order:",
    "salvage:",
    "spill:",
    "word:",
)
RARE = ("store:covered", *PREPARED)
STEP_S = 0.1  # of a scene
CALLS_MAX = 20  # EDGE section 12: the k-th call, k = 1 to 20
RESTART_S = (0.0, 0.6)  # how long a killed agent stays away
COLLECTOR_START_S_MAX = 15.0
TERM_AFTER_S = 3.0  # points on the way out are reached by a TERM
BACKUP_EVERY_S = 4.0


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
        self.lost_heads = 0  # stores that were spoilt while nobody had noted where they stood
        self.keeps_backups = False
        self.site = site
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
            case "collector" if fault.name == SPOILT_TWICE:
                crew = self._free_crew()
                return crew is not None and self._begin_scene(crew, fault, SPOILT_TWICE)
            case "collector":
                return self.restore()
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
                done = kill(self.site.collector)
                if done:
                    self.site.start_collector(self.site.config)
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
        self.send_to(crew, fault, point)
        return True

    def send_to(self, crew: Crew, fault: Fault, point: str) -> None:
        """The next agent of that crew dies there."""
        rare = point.startswith(RARE)
        once = rare or point.startswith(("start:", "close:"))
        calls = 1 if once else self._rng.randint(1, CALLS_MAX)
        reserved_s = RESERVED_RARE_S if rare else RESERVED_S
        crew.armed = (fault.name, point, time.monotonic() + reserved_s)
        crew.back_at = None
        self.site.start_unit(crew.unit, "--kill-at", f"{point}:{calls}")
        if point.startswith("close:"):
            self._later(TERM_AFTER_S, lambda: self._terminate(crew))
        self._later(reserved_s, lambda: self._give_up(crew, fault))

    # what must be so before a rare point is reached

    def _begin_scene(self, crew: Crew, fault: Fault, point: str) -> bool:
        status = self.site.status_of(crew.unit) if crew.is_running else None
        if status is None or status.get("at_home") or status.get("store") != "ok":
            return False  # what waits for the word has no head that a second trouble could go on behind
        if not has_noted_head(crew.unit):
            return False  # the word has come, and its half minute is not over; or a file is still read back
        crew.trouble, crew.is_played, crew.armed = fault.name, True, None
        scene = play_before(self, crew, fault, point)
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

    def note_death(self, crew: Crew) -> None:
        """If it has died at the point to which it was sent."""
        if crew.armed is not None and self.has_died_there(crew):
            fault, point, _ = crew.armed
            self.points[point] += 1
            self.fired[fault] += 1
            crew.armed = None

    def has_died_there(self, crew: Crew) -> bool:
        """By its own hand, since nobody else kills in a scene."""
        process = crew.unit.process
        return crew.armed is not None and process is not None and process.poll() == -signal.SIGKILL

    def _terminate(self, crew: Crew) -> None:
        """As soon as it is up: before that it knows no way out that could be interrupted."""
        if crew.armed is None or not crew.is_running or crew.unit.process is None:
            return
        if self.site.status_of(crew.unit) is None:
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
        pid = self.site.broker_pid()
        if pid is None or not _kill_pid(pid):
            return False
        if wipe:
            for store in self.site.data_dir.rglob("store"):
                shutil.rmtree(store, ignore_errors=True)
        return True

    # SIGSTOP

    def _stop(self, fault: Fault) -> bool:
        seconds = self._seconds(fault)
        if fault.name == "broker stopped":
            pid = self._broker_pid()
            return pid is not None and self._pause(fault, pid, seconds)
        if fault.name == "collector stopped":
            process = self.site.collector
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
            return self.site.broker_pid()
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

    def restore(self) -> bool:
        """Yesterday's backup, of some seconds ago: what was receipted since then is unknown to the collector again."""
        if len(self._backups) < 2 or not kill(self.site.collector):
            return False
        store = self.site.store
        for beside in ("-wal", "-shm"):
            store.with_name(store.name + beside).unlink(missing_ok=True)
        shutil.copy(self._backups[0], store)
        self.site.start_collector(self.site.config)
        self.fired["collector restored"] += 1
        return True

    def _back_up(self) -> None:
        """By SQLite's own means, while the collector works, as an operator does."""
        target = self.site.folder / f"backup-{int(time.monotonic() * 1000)}.db"
        try:
            with (
                closing(sqlite3.connect(f"file:{self.site.store}?mode=ro", uri=True)) as live,
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

    def forget_backups(self) -> None:
        """A card that forgets and a collector that is then put back to before that have together lost what both forget.

        Nobody has it any more, so nobody can be asked for it: that loss would be the drill's and not the system's.
        """
        for old in self._backups:
            old.unlink(missing_ok=True)
        self._backups.clear()
        self._backup_at = 0.0

    def _look_after_collector(self) -> None:
        collector = self.site.collector
        if collector is not None and collector.poll() is not None:
            if time.monotonic() - self._broker_killed_at < COLLECTOR_START_S_MAX:
                # Its broker was killed while it was being born: it gives up, and systemd starts it anew.
                self.collector_exits += 1
                self.site.start_collector(self.site.config)
                return
            raise SiteError(
                f"the collector ended by itself, exit {collector.returncode}:\n{tail(self.site.collector_log)}"
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
                undo = take_inodes(disk)
            case "disk read-only at the start":
                undo = make_read_only(disk)
            case _:
                undo = fill(disk)
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
                self.site.start_unit(crew.unit, "--kill-at", f"{crew.armed[1]}:1")
                self._later(TERM_AFTER_S, lambda: self._terminate(crew))
                return
            else:
                raise fallen(crew.unit)
            crew.armed = None
        if crew.back_at is not None and now >= crew.back_at:
            crew.back_at = None
            self.site.start_unit(crew.unit)

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


def _set_right(clock: Path) -> None:
    clock.write_text("+0\n", encoding="ascii")


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
