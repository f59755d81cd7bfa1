"""The unit's face: HTTP/1.1 on a Unix socket and on one address, one answer a connection (EDGE section 9).

Law: bounded in every direction; a broken peer costs a connection for five seconds and nothing else. No cookie, no change by GET.
What is asked under a foreign name is not answered: a page of the Internet shall not read this one through the officer's browser.
"""

import asyncio
import ipaddress
import json
import os
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qs, urlsplit

HEAD_BYTES_MAX = 4_096
CONNECTIONS_MAX = 8  # at each door: who crowds the cab's Wi-Fi does not lock out the command line
REQUEST_S_MAX = 5.0
ORDER_BYTES_MAX = 12_374  # payload and envelope (WIRE section 2)
ANSWER_BYTES_MAX = (
    1_048_576  # what a client reads: 16 rows of the outbox, 32 KiB each at most, in base64
)
SOCKET_MODE = 0o660
JSON = "application/json"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus' exposition format

_REASONS = {
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    421: "Misdirected Request",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    503: "Busy",
}
_HEADERS = (
    "Connection: close\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
)
_NO_CONTENT = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)", re.ASCII)


class StatusError(Exception):
    """No agent answers on that socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked; of the head only what an answer depends on."""

    path: str
    query: Mapping[str, str]
    languages: str = ""  # Accept-Language, as it was said
    local: bool = False  # through the socket: owner and group of the unit
    order: bytes | None = None  # the body of POST /order


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back."""

    status: int = 200
    kind: str = JSON
    body: bytes
    style_hash: str = ""  # the one style sheet that this document may use
    language: str = ""


Ask = Callable[[Request], Awaitable[Answer | None]]  # None: not found


def as_json(values: Mapping[str, object], status: int = 200) -> Answer:
    """`values` as one object."""
    return Answer(status=status, body=json.dumps(values, separators=(",", ":")).encode())


class StatusServer:
    """Serves `ask` until it is closed."""

    def __init__(
        self,
        ask: Ask,
        *,
        path: Path,
        address: tuple[str, int] | None = None,
        host: str = "",
        takes_orders: bool = False,
    ) -> None:
        """`host`: a name under which the page may be asked for, beside addresses and localhost."""
        self._ask = ask
        self._path = path
        self._address = address
        self._names = frozenset(("localhost", host.lower().rstrip(".")))
        self._takes_orders = takes_orders
        self._servers: list[asyncio.Server] = []
        self._open = {True: 0, False: 0}  # at the socket; at the address

    async def start(self) -> None:
        """Listen on the socket; one that a dead agent left behind is replaced. OSError if the folder cannot be used."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        self._servers.append(
            await asyncio.start_unix_server(
                lambda reader, writer: self._serve(reader, writer, local=True),
                self._path,
                limit=HEAD_BYTES_MAX,
            )
        )
        self._path.chmod(SOCKET_MODE)

    async def start_address(self) -> None:
        """Listen on the address, if there is one. OSError if it is taken or not ours."""
        if self._address is None:
            return
        host, port = self._address
        self._servers.append(
            await asyncio.start_server(
                lambda reader, writer: self._serve(reader, writer, local=False),
                host,
                port,
                limit=HEAD_BYTES_MAX,
            )
        )

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, local: bool
    ) -> None:
        self._open[local] += 1
        try:
            if self._open[local] > CONNECTIONS_MAX:
                _write(writer, _fault(503, "8 connections are open: try again"))
            else:
                async with asyncio.timeout(REQUEST_S_MAX):
                    _write(writer, await self._respond(reader, local=local))
                    await writer.drain()
        except TimeoutError:
            writer.transport.abort()  # what it does not read is not kept for it
        except (OSError, asyncio.IncompleteReadError):
            pass  # the peer's affair
        finally:
            self._open[local] -= 1
            writer.close()

    async def _respond(self, reader: asyncio.StreamReader, *, local: bool) -> Answer:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _fault(431, f"a head has {HEAD_BYTES_MAX} bytes at most")
        line, *more = head[:-4].decode("latin-1").split("\r\n")
        words = line.split(" ")
        fields = _fields(more)
        if len(words) != 3 or not words[2].startswith("HTTP/1.") or fields is None:
            return _fault(400, "this is no HTTP")
        if not local and not self._is_ours(fields.get("host", "")):
            return _fault(421, "ask for this page by its address")
        method, (target, query) = words[0], _target(words[1])
        request = Request(
            path=target, query=query, languages=fields.get("accept-language", ""), local=local
        )
        if method == "POST" and target == "/order" and self._takes_orders:
            return await self._take_order(reader, fields, local=local)
        if method != "GET":
            return _fault(405, "GET only")
        return await self._ask(request) or _fault(404, "no such page")

    async def _take_order(
        self, reader: asyncio.StreamReader, fields: Mapping[str, str], *, local: bool
    ) -> Answer:
        length = fields.get("content-length", "")
        if not (length.isdecimal() and length.isascii()) or "transfer-encoding" in fields:
            return _fault(411, "say Content-Length, and send the order in one piece")
        if len(length) > 5 or not 0 < int(length) <= ORDER_BYTES_MAX:
            return _fault(413, f"an order has 1 to {ORDER_BYTES_MAX} bytes")
        body = await reader.readexactly(int(length))
        request = Request(path="/order", query=MappingProxyType({}), local=local, order=body)
        return await self._ask(request) or _fault(404, "no such page")

    def _is_ours(self, host: str) -> bool:
        """Whether `Host` is an address, or a name that we go by: no other site's name leads here."""
        match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?", host)
        if match is None:
            return False
        name = match[1].strip("[]").lower().rstrip(".")
        if name in self._names:
            return name != ""
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def ask(path: Path, target: str, timeout_s: float = REQUEST_S_MAX) -> dict[str, object]:
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
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise StatusError(f"{path}: half an answer; ask again") from error
    assert isinstance(answer, dict)
    return answer


def _read_all(client: socket.socket) -> bytes:
    data = b""
    while len(data) < ANSWER_BYTES_MAX and (part := client.recv(65_536)):
        data += part
    return data


def _fields(lines: list[str]) -> dict[str, str] | None:
    """The header's fields by small name; None if one is malformed, or one that we look at is said twice."""
    fields: dict[str, str] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            return None
        name = match[1].lower()
        if name in fields and name in {"host", "content-length", "transfer-encoding"}:
            return None
        fields[name] = match[2].strip()
    return fields


def _target(said: str) -> tuple[str, dict[str, str]]:
    try:
        target = urlsplit(said)
        query = parse_qs(target.query, max_num_fields=16)
    except ValueError:
        return "", {}
    return target.path, {name: values[0] for name, values in query.items()}


def _fault(status: int, why: str) -> Answer:
    return as_json({"error": why}, status)


def _write(writer: asyncio.StreamWriter, answer: Answer) -> None:
    policy = _NO_CONTENT
    if answer.style_hash:
        policy += f"; style-src 'sha256-{answer.style_hash}'"
    language = (
        f"Content-Language: {answer.language}\r\nVary: Accept-Language\r\n"
        if answer.language
        else ""
    )
    head = (
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}\r\nContent-Type: {answer.kind}\r\n"
        f"Content-Length: {len(answer.body)}\r\nContent-Security-Policy: {policy}\r\n"
        f"{language}{_HEADERS}\r\n"
    )
    writer.write(head.encode() + answer.body)
