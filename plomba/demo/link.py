"""A network that can be taken away: a TCP relay between a unit and its broker.

Law: what is on the way when the link is cut is lost, as on a real road.
"""

import asyncio
from asyncio import StreamReader, StreamWriter

READ_BYTES_MAX = 65_536


class Link:
    """Relays one port of this machine to another, until it is cut."""

    def __init__(self, *, port: int, broker_port: int) -> None:
        self.port = port
        self.is_up = False
        self._broker_port = broker_port
        self._server: asyncio.Server | None = None
        self._writers: set[StreamWriter] = set()

    async def mend(self) -> None:
        """The network is there."""
        if self._server is None:
            self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.is_up = True

    async def cut(self) -> None:
        """The network is gone: connections break, new ones are refused."""
        server, self._server = self._server, None
        self.is_up = False
        if server is None:
            return
        server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await server.wait_closed()

    async def _relay(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._broker_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pump(reader, far_writer), name="link[up]")
                tasks.create_task(_pump(far_reader, writer), name="link[down]")
        finally:
            self._writers -= {writer, far_writer}


async def _pump(reader: StreamReader, writer: StreamWriter) -> None:
    try:
        while data := await reader.read(READ_BYTES_MAX):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.transport.abort()
