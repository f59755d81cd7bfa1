"""Start, main and end of the collector: one TaskGroup, each task by its name.

Law: a task that dies takes the program with it; systemd starts it clean.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from importlib.metadata import PackageNotFoundError, version
from random import Random

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from collector.api.app import Parts, create_app
from collector.api.audit import Auditor
from collector.api.hub import Hub, Watch
from collector.api.models import Refusal
from collector.api.places import Places
from collector.api.porter import Porter
from collector.api.reads import Live, StoreReads
from collector.api.static import built
from collector.app import StartError
from collector.app.enrolling import enrol_server
from collector.app.gateway import gateway_of
from collector.app.intake import Intake
from collector.app.keys import Keys, keys_of
from collector.app.notifying import Notifying, begin
from collector.app.people import first_admin, front_of
from collector.app.rulebook import Watched, keep_thresholds
from collector.app.serving import server_config
from collector.app.trying import apart
from collector.config import Config, ConfigError, read
from collector.io import BrokerSickError, WayIn, clock, folder, jetstream, mqtt
from collector.io.broker import Broker, BrokerError
from collector.io.gateway_store import GatewayStoreError
from collector.io.jetstream import StreamSettings
from collector.io.key import KeyFileError
from collector.io.notify import UrlFileError, hush, read_url, send
from collector.io.seal_gateway import GatewayError
from collector.store import StoreError
from collector.store.database import Store
from collector.tick.answering import Signing
from collector.tick.ticker import Ticker

CHANGE_S = 1  # how soon rules and journeys that other processes wrote are in force

log = logging.getLogger(__name__)


def main() -> int:
    """The collector with its defaults; the exit code."""
    try:
        start(read())
    except (ConfigError, StartError) as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, ConfigError) else 1
    return 0


def start(config: Config) -> None:
    """Be the collector until SIGTERM or SIGINT. Raises StartError."""
    logging.basicConfig(
        level=config.log.level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)-7s %(message)s",
    )
    for chatty in ("nats", "uvicorn.error", "alembic", "aiosqlite"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        asyncio.run(_run(config))
    except* (
        *(BrokerError, folder.FolderError, KeyFileError),
        *(StoreError, GatewayError, GatewayStoreError, StartError, UrlFileError),
    ) as group:
        raise StartError(str(_first(group))) from group


async def _run(config: Config) -> None:
    folder.make(config.data_dir)
    folder.need_room(config.data_dir)
    async with AsyncExitStack() as stack:
        stack.enter_context(folder.hold(config.data_dir))
        keys = keys_of(config.data_dir, config.store_file)
        listener = stack.enter_context(_listen(config.api.host, config.api.port))
        door = None
        if config.enrol.host:
            door = stack.enter_context(_listen(config.enrol.host, config.enrol.port, "enrol.port"))
        store = await Store.open(config.store_url)
        stack.push_async_callback(store.close)
        await keep_thresholds(store, config.detect.rules_file, clock.now_ms())
        await _serve(config, keys, store, listener, door)


async def _serve(
    config: Config, keys: Keys, store: Store, listener: socket.socket, door: socket.socket | None
) -> None:
    stopped = _signals()
    live = Live(
        build=_build(),
        broker_kind="embedded" if config.broker.embedded else "mqtt",
        started_ms=clock.now_ms(),
    )
    reads = StoreReads(store.readers, live, clock.now_ms)
    watched = Watched(store)
    await watched.refresh()
    targets = tuple(settings.target for settings in config.notify.target)
    ticker = Ticker(
        store=store,
        receipt_key=Signing(kid=keys.receipt.kid, sign=keys.receipt.sign),
        order_key=Signing(kid=keys.order.kid, sign=keys.order.sign),
        rulebook=watched.rulebook,
        targets=targets,
    )
    broker = Broker(config.broker, config.data_dir / "broker") if config.broker.embedded else None

    async def newest_refusals(count: int) -> Sequence[Refusal]:
        return (await reads.refusals(limit=count)).refusals

    intake = Intake(
        open_way=lambda: _open_way(config, broker),
        ticker=ticker,
        live=live,
        read_refusals=newest_refusals,
    )
    gateway = gateway_of(config, keys, intake)
    if gateway is not None:
        live.gateway = gateway.tally
        await gateway.start()
        await gateway.listen()
    porter, auditor = Porter(store, clock.now_ms), Auditor(store, clock.now_ms)
    hub = Hub(
        Watch(
            store=store,
            now_ms=clock.now_ms,
            mono_ms=clock.mono_ms,
            stands=porter.stands,
            ended=porter.ended,
            tell_ended=porter.tell_ended,
            places=Places.load(),
            build=live.build,
            keeps=lambda: live.refused_ms is None,
        )
    )
    served = create_app(
        Parts(
            reads=reads,
            store=store,
            porter=porter,
            auditor=auditor,
            now_ms=clock.now_ms,
            build=live.build,
            hub=hub,
            front=front_of(config.api),
            officer=config.officer,
            targets=targets,
            console=built(),
            rehearse=apart(config.store_url),
        )
    )
    api = _Api(server_config(served, cert_file=config.api.cert_file, key_file=config.api.key_file))
    telling = await _telling(config, store)
    enrol = None if door is None else _Api(enrol_server(config, keys, store, build=live.build))
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(intake.serve(), name="intake"),
            tasks.create_task(intake.keep_time(), name="time"),
            tasks.create_task(_notice(watched, ticker), name="rules"),
            tasks.create_task(hub.run(), name="live"),
        ]
        if gateway is not None:
            running += [
                tasks.create_task(gateway.serve(), name="gateway"),
                tasks.create_task(gateway.deliver(), name="gateway-delivery"),
                tasks.create_task(gateway.watch(), name="gateway-watch"),
            ]
        running += [
            tasks.create_task(one.serve(), name=f"notify[{one.settings.name}]") for one in telling
        ]
        if broker is not None:
            running.append(tasks.create_task(broker.run(), name="broker"))
        serving = tasks.create_task(api.serve(sockets=[listener]), name="api")
        if enrol is not None and door is not None:
            tasks.create_task(enrol.serve(sockets=[door]), name="enrol")
            log.info("units are let in at https://%s:%d", config.enrol.host, config.enrol.port)
        folder.tell(config.data_dir, _url(config))
        await first_admin(store, _url(config), clock.now_ms())
        log.info("collector %s, data in %s, API at %s", live.build, config.data_dir, _url(config))
        await stopped.wait()
        log.info("stopping")
        for task in running:
            task.cancel()
        if gateway is not None:
            await gateway.stop()
        hub.close()
        api.should_exit = True
        if enrol is not None:
            enrol.should_exit = True
        await serving
        try:
            await auditor.flush()
        except SQLAlchemyError as error:  # a full disk must not make an end a crash
            log.warning("the newest counts of looks are lost: %.200s", error)


async def _telling(config: Config, store: Store) -> list[Notifying]:
    """Those who carry messages to people. UrlFileError for a target whose url cannot be read: said now, not at the first alarm."""
    hush()
    for target in config.notify.target:
        read_url(target.url_file)
    await begin(store, config.notify.target)
    return [
        Notifying(store=store, settings=target, send=send, rng=Random())  # noqa: S311  # spreads tries, hides nothing
        for target in config.notify.target
    ]


async def _notice(watched: Watched, ticker: Ticker) -> None:
    """Put in force what other processes have written: rules and journeys. The ticker itself looks for units."""
    while True:
        await asyncio.sleep(CHANGE_S)
        if await watched.refresh():
            ticker.rulebook = watched.rulebook


@contextlib.asynccontextmanager
async def _open_way(config: Config, broker: Broker | None) -> AsyncIterator[WayIn]:
    if broker is None:
        async with mqtt.connect(config.mqtt, config.ingest) as way:
            yield way
        return
    settings = StreamSettings(
        partitions=config.broker.partitions,
        bytes_max=config.broker.stream_bytes_max,
        age_s_max=config.broker.stream_age_s_max,
        bounds=config.ingest,
    )
    try:
        async with jetstream.connect(await broker.url(), settings) as stream:
            yield stream
    except BrokerSickError as error:
        await broker.renew(str(error))
        raise


def _signals() -> asyncio.Event:
    """Set by SIGTERM or SIGINT; a second one ends the process at once, as in a power cut."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        stopped.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    return stopped


class _Api(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are ours: it would end us in its own order


def _listen(host: str, port: int, key: str = "api.port") -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        way = "choose another --api-port" if key == "api.port" else "choose another"
        raise StartError(f"{key}: {host}:{port}: {error.strerror}; {way}") from error
    return listener


def _url(config: Config) -> str:
    host = f"[{config.api.host}]" if ":" in config.api.host else config.api.host
    scheme = "http" if config.api.cert_file is None else "https"
    return f"{scheme}://{host}:{config.api.port}"


def _build() -> str:
    try:
        return version("plomba")
    except PackageNotFoundError:
        return "checkout"


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
