"""The life of the whole: startup, main, shutdown (EDGE sections 1, 4 and 9).

Law: one TaskGroup; a task that dies takes the program with it, by name. A stop ends within five seconds, whatever hangs.
"""

import asyncio
import os
import secrets
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from types import MappingProxyType

from agent import Boot, Moment, Quality, StoredBatch
from agent.app.contacts import Contacts
from agent.app.enrol_renewal import Renewal
from agent.app.face import Face
from agent.app.facts import FactWay
from agent.app.heard import before, frames_of
from agent.app.identity import Enrolled, tls_files
from agent.app.line import Line
from agent.app.log import Troubles, say, tell_stacks, warn
from agent.app.orders import Orders, SealLine, Surroundings
from agent.app.pulse import Pulse
from agent.app.versions import PROBATION_MS
from agent.app.versions_disk import Life
from agent.app.versions_keeper import Keeper
from agent.app.view import View
from agent.config import Config, Link, faults_in
from agent.io import clock, disk, memory
from agent.io.chrony import Chrony
from agent.io.clock import Clock
from agent.io.inbox import HeardFact, Inbox
from agent.io.serial_port import LineReader, SerialPort
from agent.io.source import Source
from agent.io.status import StatusServer
from agent.io.watchdog import Watchdog
from agent.orders import DOOR, Steward, read_book
from agent.outbox import Cause, Outbox, OutboxError
from agent.recorder import AnyFact, Health, NetworkState, Recorder, Role
from agent.sealer import Sealer
from agent.timekeeper import TimeFact, Timekeeper
from agent.uplink import State
from agent.vitals import limits_for
from devices.eseal import EsealReader
from devices.jt701 import Jt701Reader, SetTime
from devices.jt808 import Jt808Reader
from devices.m100 import M100Reader
from devices.nmea import NmeaReader
from wire import Refused
from wire.batch import read_payload
from wire.canon import decode, encode
from wire.envelope import Aad, open_envelope
from wire.orders import place_of

VERSION = (
    "0.1.0"  # of pyproject.toml; asking importlib.metadata costs half a MiB, so a test compares
)
PROGRAM = f"plomba-agent {VERSION}"
WATCH_S = 1.0
HEALTH_EVERY_MS = 30_000  # as often as the store is looked at; the recorder keeps one in 300 s
NTP_EVERY_MS = 60_000
STOP_S_MAX = 4.5  # of the five that are promised
PORTS_STOP_S_MAX = 0.3  # they are daemons: a driver that hangs is left behind
STOP_ORDERED = 4  # WIRE section 6, kind 3
DOUBT_MS = 600_000  # EDGE section 6: so long a doubted fix, jamming or spoofing keeps seals shut
MOVING_CM_S_MIN = 150  # EDGE section 2; for a unit that does not know yet whether it moves
UNFED = "unfed"  # in the run directory: why the watchdog was not fed when the process ended
RATES = "rates"  # its name in the outbox's memory
NOTHING: Mapping[str, bytes | None] = MappingProxyType({})

At = Callable[[str], None]


class StartError(Exception):
    """The unit cannot start; the message says why and what to do."""


async def run(
    life: Life,
    enrolled: Enrolled,
    at: At,
    *,
    probation_ms: int = PROBATION_MS,
    config_file: Path | None = None,
) -> Life | None:
    """Until a signal says stop (None), or other settings want a life of their own. Raises StartError, or a group of what its tasks died of."""
    config = life.config
    memory.one_heap()
    ticker = Clock()
    timekeeper = _timekeeper(config, ticker, newest_sealed_ms=0)
    moment = timekeeper.moment(mono_ms=ticker.mono_ms(), now_ms=ticker.now_ms())
    outbox = await _open_outbox(config, enrolled, moment, at)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(outbox.run(), name="outbox")
            newest_ms = await _newest_sealed_ms(outbox, moment)
            if moment.quality is Quality.NONE and newest_ms > moment.utc_ms:
                # A board without a clock wakes in the past: it cannot be earlier than what it holds (EDGE section 7).
                timekeeper = _timekeeper(config, ticker, newest_sealed_ms=newest_ms)
            unit = Unit(
                life,
                enrolled,
                at,
                ticker=ticker,
                timekeeper=timekeeper,
                outbox=outbox,
                probation_ms=probation_ms,
                config_file=config_file,
            )
            await unit.live(tasks)
            return unit.next_life
    finally:
        await outbox.abandon()


async def _open_outbox(config: Config, enrolled: Enrolled, moment: Moment, at: At) -> Outbox:
    unfed = config.run_dir / UNFED
    boot = Boot(
        boot_id=clock.boot_id() or secrets.token_bytes(16),
        program=PROGRAM,
        cause=Cause.WATCHDOG if unfed.exists() else Cause.UNKNOWN,
    )
    unfed.unlink(missing_ok=True)
    try:
        return await Outbox.open(
            config.outbox_dir,
            config.outbox,
            enrolled.identity,
            boot,
            moment,
            run=config.run_dir,
            at=at,
        )
    except OSError as error:
        raise StartError(f"{config.outbox_dir}: {error.strerror}; make it ours to write") from error
    except OutboxError as error:
        raise StartError(f"{config.outbox_dir}: {error}; is another agent running?") from error


async def _newest_sealed_ms(outbox: Outbox, moment: Moment) -> int:
    """Of the newest batch before the one that this start has sealed; 0 if there is none."""
    for chain in reversed(outbox.chains()):
        number = chain.batch_no - 1 if chain.current else chain.batch_no
        pos = await outbox.find(chain.chain_id, number) if number >= 0 else None
        envelope = None if pos is None else await outbox.read(pos, moment)
        opened = None if envelope is None else open_envelope(envelope, Aad.BATCH)
        if opened is None or isinstance(opened, Refused):
            continue
        header = read_payload(opened.payload)
        return 0 if isinstance(header, Refused) else header.sealed_ms
    return 0


def _timekeeper(config: Config, ticker: Clock, *, newest_sealed_ms: int) -> Timekeeper:
    """A timekeeper that has asked board and kernel; what it says before the first batch needs no record."""
    timekeeper = Timekeeper(
        config.timekeeper, mono_ms=ticker.mono_ms(), newest_sealed_ms=newest_sealed_ms
    )
    rtc = clock.ask_rtc()
    if rtc is not None:
        timekeeper.take(rtc, mono_ms=ticker.mono_ms())
    return timekeeper


class Unit:
    """Everything that runs, and how it begins and ends."""

    def __init__(
        self,
        life: Life,
        enrolled: Enrolled,
        at: At,
        *,
        ticker: Clock,
        timekeeper: Timekeeper,
        outbox: Outbox,
        probation_ms: int,
        config_file: Path | None = None,
    ) -> None:
        """`config_file`: looked at before a HUP is obeyed."""
        self.next_life: Life | None = None
        config = life.config
        self._outbox = outbox
        self._config = config
        self._config_file = config_file
        self._clock = ticker
        self._timekeeper = timekeeper
        self._stop = asyncio.Event()
        self._troubles = Troubles()
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox(self._loop)
        self._recorder = Recorder(config.recorder)
        self._sealer = Sealer(config.sealer)
        self._ports = {link.port.name: self._port(link) for link in config.links}
        self._orders = self._make_orders(enrolled, at)
        self._watchdog = Watchdog()
        limits = limits_for(self._watchdog.watchdog_us)
        self._way = FactWay(
            clock=ticker,
            inbox=self._inbox,
            timekeeper=timekeeper,
            recorder=self._recorder,
            sealer=self._sealer,
            outbox=outbox,
            ports=self._ports,
            orders=self._orders,
            stored=self._stored,
            troubles=self._troubles,
            at=at,
            limits=limits,
        )
        self._versions = Keeper(
            life=life,
            outbox=outbox,
            moment=self._way.moment,
            receipt_mono_ms=lambda: self._line.covered_mono_ms,
            free_bytes=self._free_bytes,
            tell=self._post,
            restart=self._live_again,
            probation_ms=probation_ms,
        )
        self._line = Line(
            config=config,
            identity=enrolled.identity,
            receipt_keys=enrolled.pins.receipt_keys,
            orders=self._orders,
            tls=tls_files(config.identity_dir),
            outbox=outbox,
            rng=Random(secrets.randbits(64)),  # noqa: S311  # it spreads dials, it guards nothing
            moment=self._way.moment,
            new_config=self._versions.ask,
            post=self._post,
            changed=self._line_changed,
            shrink=self._sealer.shrink,
            troubles=self._troubles,
            program=PROGRAM,
            at=at,
        )
        self._view = View(
            unit_id=config.unit_id,
            program=PROGRAM,
            began_mono_ms=ticker.mono_ms(),
            outbox=outbox,
            recorder=self._recorder,
            way=self._way,
            line=self._line,
            inbox=self._inbox,
            ports=self._ports,
            seal_ids=frozenset(one.seal_id for one in config.links if one.seal_id is not None),
            space=lambda: disk.space(config.state_dir),
            acting=lambda: self._orders.acting,
            versions=lambda: (self._versions.running, self._versions.trial),
        )
        face = Face(
            view=self._view,
            outbox=outbox,
            line=self._line,
            identity=enrolled.identity,
            unit_number=enrolled.pins.unit_number,
            centre=enrolled.pins.centre,
            counters=self._counters,
            carry=self._carry if config.status.accept_orders else None,
        )
        self._status = StatusServer(
            face.answer,
            path=config.socket_path,
            address=config.status.address,
            host=config.status.host,
            takes_orders=config.status.accept_orders,
        )
        self._renewal = None  # an identity made by hand has nobody who would renew it
        if enrolled.pins.enrol_server is not None:
            self._renewal = Renewal(
                unit_id=config.unit_id,
                state_dir=config.state_dir,
                moment=self._way.moment,
                rng=Random(secrets.randbits(64)),  # noqa: S311  # it spreads questions, it guards nothing
            )
        self._chrony = None if config.chrony_sock is None else Chrony(config.chrony_sock)
        self._told_mono_ms = 0  # the newest epoch that chrony was told of
        self._pulse = Pulse(
            clock=ticker,
            watchdog=self._watchdog,
            limits=limits,
            outbox=outbox,
            nudge=self._nudge,
            tasks=self._tasks_ms,
            deadlines=self._deadlines_ms,
            links=self._links_ms,
            troubles=self._troubles,
            tell=self._kept,
        )
        self._watched_mono_ms = ticker.mono_ms()
        self._cpu = (ticker.mono_ms(), disk.cpu_ms())
        self._network_up: bool | None = None
        self._rates = {port: port.found_baud for port in self._ports.values()}
        self._last_resort: threading.Timer | None = None

    async def live(self, tasks: asyncio.TaskGroup) -> None:
        """Startup, main, shutdown; the outbox runs already."""
        self._listen_to_signals()
        way = tasks.create_task(self._way.run(self._stop), name="facts")
        store = tasks.create_task(self._way.storing.run(), name="store")
        orders = tasks.create_task(self._way.run_orders(self._stop), name="orders")
        line = tasks.create_task(self._line.run(self._stop), name="line")
        watch = tasks.create_task(self._watch(), name="watch")
        settings = tasks.create_task(self._versions.run(self._stop), name="config")
        pulse = tasks.create_task(self._pulse.run(), name="pulse")
        salvage = tasks.create_task(self._salvage(), name="salvage")
        question = tasks.create_task(self._pulse.ask_writer(), name="question")
        self._watchdog.ready()
        renewal = None
        if self._renewal is not None:
            renewal = tasks.create_task(self._renewal.run(), name="certificate")
        await self._open_status()
        newest = await self._outbox.newest()
        heard, was = tuple(frames_of(newest)), before(newest)
        self._recorder.recall(was.place, was.doubted_utc_ms, self._way.moment())
        for port in self._ports.values():
            port.remember(heard)
            port.start()
        current = self._outbox.chains()[-1]
        memory.give_back()
        say("started", unit=self._config.unit_id, program=PROGRAM, batch_no=current.batch_no)
        await self._stop.wait()
        if self.next_life is None:
            # systemd counts ten seconds from it and then kills, also the next life.
            self._watchdog.stopping()
        for task in (settings, pulse, question, salvage):
            task.cancel()
        if renewal is not None:
            renewal.cancel()
        await self._shut_down(way, orders, line)
        for task in (store, watch):
            task.cancel()
        if self.next_life is not None and self._last_resort is not None:
            self._last_resort.cancel()

    async def _shut_down(
        self, way: asyncio.Task[None], orders: asyncio.Task[None], line: asyncio.Task[None]
    ) -> None:
        for port in self._ports.values():
            port.stop()
        self._inbox.nudge()
        self._line.nudge()
        await way
        await orders
        await self._way.stop(STOP_ORDERED)
        await line
        await self._line.stop()
        await self._status.close()
        await self._outbox.close(self._way.moment(), clean=True)
        for port in self._ports.values():
            port.join(PORTS_STOP_S_MAX)
        say("stopped", unit=self._config.unit_id)

    # signals

    def _listen_to_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._signalled)
        self._loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        self._loop.add_signal_handler(signal.SIGUSR1, self._tell_all)
        threading.excepthook = self._thread_died

    def _signalled(self) -> None:
        if self._stop.is_set() and self.next_life is None:
            os._exit(1)  # twice: at once, as in a power cut
        self.next_life = None
        say("stopping")
        self._begin_stop()

    def _hung_up(self) -> None:
        """The file has changed: if it is good leave, systemd starts the unit anew with it."""
        faults = [] if self._config_file is None else faults_in(self._config_file)
        if faults:
            warn("config_refused", errors=faults)
        elif not self._stop.is_set():
            say("config_good")
            self._signalled()

    def _tell_all(self) -> None:
        """Where everything stands, to the log."""
        tell_stacks(asyncio.all_tasks(self._loop))
        counts = {name: dict(values) for name, (_, _, values) in self._counters().items()}
        say("counters", **counts)

    def _live_again(self, life: Life) -> None:
        """A clean stop, and then again in the same process, with other settings."""
        if not self._stop.is_set():
            self.next_life = life
            self._begin_stop()

    def _begin_stop(self) -> None:
        self._stop.set()
        if self._last_resort is None:
            self._last_resort = threading.Timer(STOP_S_MAX, os._exit, args=(0,))
            self._last_resort.daemon = True
            self._last_resort.start()

    def _thread_died(self, died: threading.ExceptHookArgs) -> None:
        """A port's thread ends by no error of its device: that was our bug, and a clean start is better than a deaf unit."""
        name = died.thread.name if died.thread is not None else "?"
        warn("thread_died", thread=name, error=repr(died.exc_value))
        if name.startswith("serial["):
            os._exit(1)

    # the watch

    async def _watch(self) -> None:
        """Looks once a second: lag, space, the kernel's clock, rates worth remembering, news of the store."""
        health_ms = ntp_ms = self._clock.mono_ms()
        while True:
            before_ms = self._watched_mono_ms = self._clock.mono_ms()
            await asyncio.sleep(WATCH_S)
            now_ms = self._clock.mono_ms()
            lag_ms = max(0, now_ms - before_ms - int(WATCH_S * 1000))
            self._view.lag_ms_max = max(self._view.lag_ms_max, lag_ms)
            self._tell_news()
            self._tell_chrony()
            if now_ms >= ntp_ms:
                ntp_ms = now_ms + NTP_EVERY_MS
                self._post(clock.ask_ntp())
            if now_ms >= health_ms:
                health_ms = now_ms + HEALTH_EVERY_MS
                self._post_health()
                await self._remember_rates()

    async def _salvage(self) -> None:
        """What is left of a file that was set aside comes back between two seals; mostly there is none."""
        while True:
            more = False
            try:
                more = await self._outbox.salvage(self._way.moment())
            except OutboxError as error:
                warn("salvage_waits", error=str(error))
            if not more:
                await asyncio.sleep(WATCH_S)

    def _store_words(self) -> str:
        if self._outbox.spilled:
            return "spill"
        pressure = self._way.storing.pressure
        return "full" if pressure >= 4 else f"pressure {pressure}"

    def _tell_news(self) -> None:
        news = self._outbox.take_news()
        for one in news:
            warn(f"outbox_{one.trouble.value}", detail=one.detail)
        if news:
            self._line.nudge()

    def _tell_chrony(self) -> None:
        """Each epoch once: chrony weighs samples, and an old one said again would be a lie."""
        epoch_ms, offset_ms = (
            self._timekeeper.receiver_mono_ms,
            self._timekeeper.receiver_offset_ms,
        )
        if self._chrony is None or epoch_ms is None or offset_ms is None:
            return
        if epoch_ms > self._told_mono_ms:
            self._told_mono_ms = epoch_ms
            self._chrony.tell(utc_minus_mono_ms=offset_ms)

    def _post_health(self) -> None:
        now_ms, cpu_ms = self._clock.mono_ms(), disk.cpu_ms()
        passed_ms, used_ms = now_ms - self._cpu[0], cpu_ms - self._cpu[1]
        self._cpu = (now_ms, cpu_ms)
        space = disk.space(self._config.state_dir)
        self._post(
            Health(
                free_kib=None if space is None else space.free_bytes // 1024,
                backlog_batches=self._line.uplink.waiting_batches,
                rss_kib=disk.rss_kib(),
                cpu_permille=used_ms * 1000 // passed_ms if passed_ms > 0 else None,
                restarts=self._outbox.stats().starts_ever,
                store=self._store_words(),
                uplink=self._line.state.value,
            )
        )

    async def _remember_rates(self) -> None:
        rates = {port: port.found_baud for port in self._ports.values()}
        if rates == self._rates:
            return
        self._rates = rates
        found = tuple(
            (port.settings.name, baud) for port, baud in rates.items() if baud is not None
        )
        try:
            await self._outbox.remember({RATES: encode(found)}, self._way.moment())
        except OutboxError as error:
            warn("rates_not_remembered", error=str(error))  # the hunt finds them again

    def _carry(self, order: bytes) -> str:
        """An order that somebody brings to the page: judged as if it came by air. Why it is refused; empty: it is ours."""
        taken = self._orders.take(order)
        if taken.act is not None:
            self._line.carried(taken.act)
        return taken.refused.value if taken.refused is not None else ""

    def _kept(self, why: str) -> None:
        """What the keeper says; should systemd end us for it, the next start shall know."""
        if why and not self._view.keeper:
            with suppress(OSError):
                (self._config.run_dir / UNFED).write_text(why, encoding="utf-8")
        elif not why and self._view.keeper:
            (self._config.run_dir / UNFED).unlink(missing_ok=True)
        self._view.kept(why)

    # what the keeper asks

    def _nudge(self) -> None:
        self._inbox.nudge()
        self._way.storing.nudge()
        self._line.nudge()

    def _tasks_ms(self, mono_ms: int) -> dict[str, int]:
        turned = {
            "line": self._line.turned_mono_ms,
            "watch": self._watched_mono_ms,
            "config": self._versions.turned_mono_ms,
        }
        if self._renewal is not None:
            turned["certificate"] = self._renewal.turned_mono_ms
        return {
            **self._way.tasks_ms(mono_ms),
            **{name: mono_ms - at_ms for name, at_ms in turned.items()},
        }

    def _deadlines_ms(self, mono_ms: int) -> dict[str, int]:
        due = {**self._way.deadlines(), "uplink": self._line.uplink.next_deadline()}
        return {name: mono_ms - at_ms for name, at_ms in due.items() if at_ms is not None}

    def _links_ms(self, mono_ms: int) -> dict[str, int]:
        turned = {name: port.turned_mono_ms for name, port in self._ports.items()}
        return {name: mono_ms - at_ms for name, at_ms in turned.items() if at_ms is not None}

    # what the rooms ask of the whole

    def _stored(self, batch: StoredBatch) -> None:
        self._line.stored(batch)

    def _post(
        self, fact: AnyFact | TimeFact, kept_with: Mapping[str, bytes | None] = NOTHING
    ) -> None:
        """`kept_with`: what the outbox remembers in the transaction that stores the fact's record."""
        mono_ms = self._clock.mono_ms()
        self._inbox.post(HeardFact(source="unit", mono_ms=mono_ms, fact=fact, memory=kept_with))

    def _free_bytes(self) -> int | None:
        space = disk.space(self._config.state_dir)
        return None if space is None else space.free_bytes

    def _line_changed(self, state: State) -> None:
        up = state is State.FLOWING
        self._sealer.link(up=up, metered=self._config.metered)
        if state in {State.FLOWING, State.DOWN, State.STALLED} and up is not self._network_up:
            self._network_up = up
            self._post(NetworkState(up=up))
            self._post_health()
        self._inbox.nudge()

    def _around(self) -> Surroundings:
        """The unit as an order meets it."""
        moment = self._way.moment()
        fix = self._recorder.newest_fix
        place, fast = None, False
        if fix is not None:
            record, heard_ms = fix
            age_ms = moment.mono_ms - heard_ms
            place = place_of(record.lat_e7, record.lon_e7, age_ms, record.flags, record.hdop_centi)
            if self._recorder.doubts_place(moment, DOUBT_MS):
                place = replace(place, doubted=True)
            fast = (record.speed_cm_s or 0) > MOVING_CM_S_MIN
        moving = self._recorder.moving
        founded_in_doubt = any(one.at_home for one in self._outbox.chains())
        return Surroundings(
            moment=moment,
            place=place,
            moving=fast if moving is None else moving,
            config_version=self._versions.running,
            door_closed=founded_in_doubt or self._outbox.memory(DOOR) is not None,
        )

    # startup

    def _make_orders(self, enrolled: Enrolled, at: At) -> Orders:
        seals = {link.seal_id for link in self._config.links if link.seal_id is not None}
        seals |= self._config.seal_ids
        lines = self._seal_lines(seals)
        book = read_book(self._outbox.memory)
        if book.damaged:
            warn(
                "orders_forgotten",
                detail="their memory was damaged: orders given before now are refused",
            )
        return Orders(
            unit_id=self._config.unit_id,
            order_keys=enrolled.pins.order_keys,
            steward=Steward(book, mono_ms=self._clock.mono_ms()),
            lines=lines,
            contacts=Contacts(
                self._config.state_dir / "seals",
                wanted=self._config.first_contacts,
                secret_files=self._config.secret_files,
                tell=lambda seal_id, order: lines[seal_id].port.order(order),
            ),
            seals=frozenset(seals),
            around=self._around,
            armed=self._recorder.armed,
            nudge=self._inbox.nudge,
            at=at,
        )

    def _seal_lines(self, seals: set[str]) -> dict[str, SealLine]:
        """Where each seal is: the line that names it, or the only one that names none."""
        links = [link for link in self._config.links if link.port.role is Role.SEAL]
        nameless = [link for link in links if link.seal_id is None]
        lines = {}
        for seal_id in seals:
            named = [link for link in links if link.seal_id == seal_id]
            for link in named or (nameless if len(nameless) == 1 else []):
                port = self._ports[link.port.name]
                assert isinstance(port, SerialPort), "a seal is on a serial line"
                lines[seal_id] = SealLine(port=port, protocol=link.port.protocol)
        return lines

    def _port(self, link: Link) -> Source:
        if link.address is not None:
            return self._foreign(link, link.address)
        return SerialPort(
            link.port,
            reader=self._reader(link),
            clock=self._clock,
            inbox=self._inbox,
            saved_baud=self._saved_baud(link.port.name),
            after_feed=self._tell_time if link.port.protocol == "jt701" else None,
        )

    def _foreign(self, link: Link, address: tuple[str, int]) -> Source:
        """A program behind an address; its room is loaded by units that have one."""
        from agent.io.gpsd import gpsd_source  # noqa: PLC0415  # see above
        from agent.io.llrp import LlrpSettings, child_command, llrp_source  # noqa: PLC0415  # as above

        rng = Random(secrets.randbits(64))  # noqa: S311  # it spreads dials, it guards nothing
        if link.port.protocol == "gpsd":
            return gpsd_source(link.port, address, clock=self._clock, inbox=self._inbox, rng=rng)
        host, port = address
        reader = LlrpSettings(
            host=host, port=port, antennas=link.antennas, power_cdbm=link.power_cdbm
        )
        return llrp_source(
            link.port, child_command(reader), clock=self._clock, inbox=self._inbox, rng=rng
        )

    def _reader(self, link: Link) -> LineReader:
        match link.port.protocol:
            case "jt701":
                return Jt701Reader(seal_id=link.seal_id)
            case "eseal":
                return EsealReader(seal_id=link.seal_id)
            case "jt808":
                return Jt808Reader(seal_id=link.seal_id, utc_offset_min=link.utc_offset_min)
            case "m100":
                return M100Reader(
                    name=link.port.name, region=link.region, power_cdbm=link.power_cdbm
                )
            case _:
                return NmeaReader(self._config.not_before)

    def _saved_baud(self, name: str) -> int | None:
        cell = self._outbox.memory(RATES)
        rates = None if cell is None else decode(cell)
        if not isinstance(rates, list):
            return None
        for rate in rates:
            match rate:
                case [str(known), int(baud)] if known == name:
                    return baud
        return None

    def _tell_time(self, reader: LineReader, mono_ms: int) -> None:
        """In the port's thread: a lock that asks for the time gets it, if we know it well."""
        if not isinstance(reader, Jt701Reader) or not reader.wants_time:
            return
        utc_ms, quality = self._timekeeper.utc(mono_ms)
        if quality >= Quality.NTP:
            reader.order(SetTime(time_ms=utc_ms), self._clock.now_of(mono_ms))

    def _counters(self) -> dict[str, tuple[str, str, Mapping[str, int]]]:
        """What the rooms count by kind and reason: by name, with its label and what it is."""
        seen = self._way.seen
        return {
            "facts_total": ("kind", "Facts heard", seen.facts),
            "records_total": ("kind", "Records kept", seen.records),
            "recorder_total": ("reason", "What the recorder did not keep", self._recorder.counters),
            "timekeeper_total": ("reason", "Epochs and steps", self._timekeeper.counters),
            "orders_total": ("result", "Orders judged", self._orders.counters),
            "outbox_total": ("what", "What befell the store", self._outbox.stats().counters),
            "config_total": ("result", "Settings by air", self._versions.counters),
            "line_total": ("what", "What the line did and refused", self._line.counters),
        }

    async def _open_status(self) -> None:
        # A unit without a face still collects.
        try:
            await self._status.start()
        except OSError as error:
            warn("no_status_socket", path=str(self._config.socket_path), error=error.strerror)
        try:
            await self._status.start_address()
        except OSError as error:
            warn("no_status_page", address=self._config.status.address, error=error.strerror)
