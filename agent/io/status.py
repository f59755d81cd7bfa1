"""The unit's face on a Unix socket: HTTP/1.1, one answer a connection (EDGE section 9).

Law: bounded in every direction; a broken peer costs a connection for five seconds and nothing else. No change by GET.
"""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

HEAD_BYTES_MAX = 4_096
CONNECTIONS_MAX = 8
REQUEST_S_MAX = 5.0
ANSWER_BYTES_MAX = 1_048_576  # what a client reads; an answer has some 4 KiB
SOCKET_MODE = 0o660

Answer = dict[str, object]
Ask = Callable[[str, dict[str, str]], Awaitable[Answer | None]]  # path and query; None: not found

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Busy"}


class StatusError(Exception):
    """No agent answers on that socket."""


class StatusServer:
    """Serves `ask` until it is closed."""

    def __init__(self, path: Path, ask: Ask) -> None:
        self._path = path
        self._ask = ask
        self._server: asyncio.Server | None = None
        self._open = 0

    async def start(self) -> None:
        """Listen; a socket that a dead agent left behind is replaced. OSError if the folder cannot be used."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(
            self._serve, self._path, limit=HEAD_BYTES_MAX
        )
        self._path.chmod(SOCKET_MODE)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open > CONNECTIONS_MAX:
                _write(writer, 503, {"error": "8 connections are open: try again"})
            else:
                async with asyncio.timeout(REQUEST_S_MAX):
                    _write(writer, *await self._respond(reader))
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the peer's affair
        finally:
            self._open -= 1
            writer.close()

    async def _respond(self, reader: asyncio.StreamReader) -> tuple[int, Answer]:
        head = await reader.readuntil(b"\r\n\r\n")
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return 400, {"error": "this is no HTTP"}
        if words[0] != "GET":
            return 405, {"error": "GET only"}
        target = urlsplit(words[1])
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        answer = await self._ask(target.path, query)
        return (404, {"error": "no such page"}) if answer is None else (200, answer)


def ask(path: Path, target: str, timeout_s: float = REQUEST_S_MAX) -> Answer:
    """What the running agent behind the socket `path` answers to GET `target`; StatusError if none does."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout_s)
            client.connect(os.fspath(path))
            client.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            data = _read_all(client)
    except OSError as error:
        raise StatusError(f"{path}: {error.strerror or error}; is the agent running?") from error
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise StatusError(f"{path}: {head[:60].decode('latin-1')}")
    answer = json.loads(body)
    assert isinstance(answer, dict)
    return answer


def _read_all(client: socket.socket) -> bytes:
    data = b""
    while len(data) < ANSWER_BYTES_MAX and (part := client.recv(65_536)):
        data += part
    return data


def _write(writer: asyncio.StreamWriter, status: int, answer: Answer) -> None:
    body = json.dumps(answer, separators=(",", ":")).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
