"""The API as a real server in a thread of its own, over a store in a file: for commands and sockets that know no event loop of ours."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from collector.api.guard import Front
from collector.api.reads import Live, StoreReads
from collector.api.static import built
from collector.app.serving import server_config
from collector.io import clock, folder
from collector.people import Role
from collector.people.passwords import Hasher
from collector.store.database import Store
from tests.collector.api_rig import HASHER, account, served


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """Where it is."""

    data_dir: Path
    url: str
    port: int


@contextlib.contextmanager
def running(
    data_dir: Path,
    *,
    hasher: Hasher = HASHER,
    users: tuple[tuple[str, Role], ...] = (),
    front: Front | None = None,
) -> Iterator[Centre]:
    """A collector's API, and nothing else of a collector."""
    data_dir.mkdir(parents=True, exist_ok=True)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    up = threading.Event()
    servers: list[uvicorn.Server] = []
    thread = threading.Thread(
        target=lambda: asyncio.run(
            _serve(data_dir, listener, servers, up.set, hasher, users, front)
        ),
        name="api",
    )
    thread.start()
    try:
        assert up.wait(30)
        folder.tell(data_dir, f"http://127.0.0.1:{port}")
        yield Centre(data_dir=data_dir, url=f"http://127.0.0.1:{port}", port=port)
    finally:
        for server in servers:
            server.should_exit = True
        thread.join(30)
        listener.close()


async def _serve(
    data_dir: Path,
    listener: socket.socket,
    servers: list[uvicorn.Server],
    is_up: Callable[[], None],
    hasher: Hasher,
    users: tuple[tuple[str, Role], ...],
    front: Front | None,
) -> None:
    async with await Store.open(f"sqlite:///{data_dir / 'collector.db'}") as store:
        for user_id, role in users:
            await account(store, user_id, role, now_ms=clock.now_ms())
        live = Live(build="7", broker_kind="embedded", started_ms=clock.now_ms())
        reads = StoreReads(store.readers, live, clock.now_ms)
        api = served(store, reads, clock.now_ms, hasher=hasher, front=front, console=built())
        server = _Server(server_config(api), is_up)
        servers.append(server)
        await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, is_up: Callable[[], None]) -> None:
        super().__init__(config)
        self._is_up = is_up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._is_up()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # a thread has none
