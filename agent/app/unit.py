"""Everything that runs in a unit, joined: from its ports to its page, and how it begins and ends (EDGE sections 1 and 9).

Law: it joins the rooms and does none of their work. A task that dies takes the program with it, by name.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from types import MappingProxyType

from agent import StoredBatch
from agent.app.around import look_around, orders_of
from agent.app.ending import Ending
from agent.app.enrol_renewal import Renewal
from agent.app.face import Face
from agent.app.facts import FactWay
from agent.app.heard import before, frames_of
from agent.app.identity import Enrolled, tls_files
from agent.app.line import Line
from agent.app.log import Troubles, say, warn
from agent.app.opening import PROGRAM
from agent.app.orders import Surroundings
from agent.app.ports import Ports
from agent.app.pulse import Pulse
from agent.app.versions_disk import Life
from agent.app.versions_keeper import Keeper
from agent.app.view import View
from agent.app.watch import Watch
from agent.io import disk, memory
from agent.io.clock import Clock
from agent.io.inbox import HeardFact, Inbox
from agent.io.status import StatusServer
from agent.io.watchdog import Watchdog
from agent.outbox import Outbox
from agent.recorder.core import Recorder
from agent.recorder.facts import AnyFact, NetworkState
from agent.sealer import Sealer
from agent.timekeeper import TimeFact, Timekeeper
from agent.uplink.words import State
from agent.vitals import limits_for

STOP_ORDERED = 4  # WIRE section 6, kind 3
NOTHING: Mapping[str, bytes | None] = MappingProxyType({})

At = Callable[[str], None]


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
        config = life.config
        self._outbox = outbox
        self._config = config
        self._clock = ticker
        self._timekeeper = timekeeper
        self._ending = Ending(config_file=config_file, tell=self._tell_counters)
        self._troubles = Troubles()
        self._inbox = Inbox(asyncio.get_running_loop())
        self._recorder = Recorder(config.recorder)
        self._sealer = Sealer(config.sealer)
        self._ports = Ports(
            config=config,
            clock=ticker,
            inbox=self._inbox,
            timekeeper=timekeeper,
            outbox=outbox,
            troubles=self._troubles,
        )
        self._orders = orders_of(
            config,
            enrolled,
            at,
            mono_ms=ticker.mono_ms(),
            outbox=outbox,
            ports=self._ports,
            recorder=self._recorder,
            around=self._around,
            nudge=self._inbox.nudge,
        )
        self._watchdog = Watchdog()
        limits = limits_for(self._watchdog.watchdog_us)
        self._way = FactWay(
            clock=ticker,
            inbox=self._inbox,
            timekeeper=timekeeper,
            recorder=self._recorder,
            sealer=self._sealer,
            outbox=outbox,
            ports=self._ports.by_name,
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
            restart=self._ending.live_again,
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
        view = View(
            unit_id=config.unit_id,
            program=PROGRAM,
            began_mono_ms=ticker.mono_ms(),
            outbox=outbox,
            recorder=self._recorder,
            way=self._way,
            line=self._line,
            inbox=self._inbox,
            ports=self._ports.by_name,
            seal_ids=frozenset(one.seal_id for one in config.links if one.seal_id is not None),
            space=lambda: disk.space(config.state_dir),
            acting=lambda: self._orders.acting,
            versions=lambda: (self._versions.running, self._versions.trial),
        )
        face = Face(
            view=view,
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
        self._watch = Watch(
            config=config,
            clock=ticker,
            timekeeper=timekeeper,
            outbox=outbox,
            ports=self._ports,
            way=self._way,
            line=self._line,
            view=view,
            troubles=self._troubles,
            post=self._post,
        )
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
            tell=self._watch.kept,
        )
        self._network_up: bool | None = None

    @property
    def next_life(self) -> Life | None:
        """What comes after a stop that no signal asked for."""
        return self._ending.next_life

    async def live(self, tasks: asyncio.TaskGroup) -> None:
        """Startup, main, shutdown; the outbox runs already."""
        stop = self._ending.stop
        self._ending.listen()
        way = tasks.create_task(self._way.run(stop), name="facts")
        store = tasks.create_task(self._way.storing.run(), name="store")
        orders = tasks.create_task(self._way.run_orders(stop), name="orders")
        line = tasks.create_task(self._line.run(stop), name="line")
        watch = tasks.create_task(self._watch.run(), name="watch")
        settings = tasks.create_task(self._versions.run(stop), name="config")
        pulse = tasks.create_task(self._pulse.run(), name="pulse")
        salvage = tasks.create_task(self._watch.salvage(), name="salvage")
        question = tasks.create_task(self._pulse.ask_writer(), name="question")
        self._watchdog.ready()
        renewal = None
        if self._renewal is not None:
            renewal = tasks.create_task(self._renewal.run(), name="certificate")
        await self._open_status()
        newest = await self._outbox.newest()
        heard, was = tuple(frames_of(newest)), before(newest)
        self._recorder.recall(was.place, was.doubted_utc_ms, self._way.moment())
        self._ports.start(heard)
        current = self._outbox.chains()[-1]
        memory.give_back()
        say("started", unit=self._config.unit_id, program=PROGRAM, batch_no=current.batch_no)
        await stop.wait()
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
        self._ending.is_reached()

    async def _shut_down(
        self, way: asyncio.Task[None], orders: asyncio.Task[None], line: asyncio.Task[None]
    ) -> None:
        self._ports.stop()
        self._inbox.nudge()
        self._line.nudge()
        await way
        await orders
        await self._way.stop(STOP_ORDERED)
        await line
        await self._line.stop()
        await self._status.close()
        await self._outbox.close(self._way.moment(), clean=True)
        self._ports.join()
        say("stopped", unit=self._config.unit_id)

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

    # what the keeper asks

    def _nudge(self) -> None:
        self._inbox.nudge()
        self._way.storing.nudge()
        self._line.nudge()

    def _tasks_ms(self, mono_ms: int) -> dict[str, int]:
        turned = {
            "line": self._line.turned_mono_ms,
            "watch": self._watch.turned_mono_ms,
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
        turned = {name: port.turned_mono_ms for name, port in self._ports.by_name.items()}
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
            self._watch.post_health()
        self._inbox.nudge()

    def _around(self) -> Surroundings:
        return look_around(
            self._recorder,
            self._outbox,
            self._way.moment(),
            config_version=self._versions.running,
        )

    def _carry(self, order: bytes) -> str:
        """An order that somebody brings to the page: judged as if it came by air. Why it is refused; empty: it is ours."""
        taken = self._orders.take(order)
        if taken.act is not None:
            self._line.carried(taken.act)
        return taken.refused.value if taken.refused is not None else ""

    def _tell_counters(self) -> None:
        counts = {name: dict(values) for name, (_, _, values) in self._counters().items()}
        say("counters", **counts)

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
