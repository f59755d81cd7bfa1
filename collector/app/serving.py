"""How the API's listener is served: bounds that uvicorn alone has not (EVIDENCE section 11, Naked servers).

Law: a connection that says nothing, half a head or half a body is closed in ten seconds; the memory of all is bounded.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol, RequestResponseCycle

from collector.api.live import ABORT
from collector.api.problems import problem_of

HEAD_S_MAX = 10.0  # from the first byte, or from the connection, to the end of the head
HEAD_BYTES_MAX = 32_768
KEEP_ALIVE_S = 5
CONNECTIONS_MAX = 512  # 200 streams, six of a browser, proxies


_NO_REQUEST = {431: (431, "too_large_head", f"at most {HEAD_BYTES_MAX} bytes of headers")}


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that waits for a head so long and no longer."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn itself has it
        super().connection_made(transport)
        self.app_state = {**self.app_state, ABORT: transport.abort}
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._have_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle: RequestResponseCycle | None = (
            self.cycle
        )  # None until the first head: uvicorn types it otherwise
        if cycle is not None and not cycle.response_complete:
            self._have_head()
        else:
            self._wait_for_head()

    def send_400_response(self, msg: str) -> None:
        """What is no request of HTTP, as a problem with its code; a head that is too large by its own status (RFC 6585, 5)."""
        hint = getattr(sys.exception(), "error_status_hint", 400)
        status, code, detail = _NO_REQUEST.get(hint, (400, "no_request", "that is no HTTP/1.1"))
        body = problem_of(status, code, msg, detail).model_dump_json().encode()
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        answer = h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status])
        for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def on_response_complete(self) -> None:
        self._have_head()  # the next one has uvicorn's own keep-alive time until its first byte
        super().on_response_complete()

    def _wait_for_head(self) -> None:
        if self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(HEAD_S_MAX, self.transport.abort)

    def _have_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def server_config(
    app: Any,  # noqa: ANN401  # an ASGI application
    *,
    cert_file: Path | None = None,
    key_file: Path | None = None,
) -> uvicorn.Config:
    """How `app` is served."""
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # the guard believes our own proxies and nobody else
        ssl_certfile=cert_file,
        ssl_keyfile=key_file,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
    )
