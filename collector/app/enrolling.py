"""The TLS listener for units that are let in: its files, its bounds, and who is at the other end.

Law: it serves enrolment and renewal and nothing else; the rest of the API stays on loopback.
"""

import asyncio
import ssl
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from collector.api.enrol import PEER, Door, build_enrol_api
from collector.app.keys import Keys
from collector.config import Config
from collector.io import authority, clock
from collector.store.database import Store

CONNECTIONS_MAX = 64  # a unit asks once in ten seconds and hangs up
KEEP_ALIVE_S = 5
HEAD_BYTES_MAX = 8_192


class PeerProtocol(H11Protocol):
    """HTTP/1.1 that knows by which certificate its client came."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn itself has it
        super().connection_made(transport)
        self.app_state = {
            **self.app_state,
            PEER: _common_name(transport.get_extra_info("peercert")),
        }


def enrol_server(config: Config, keys: Keys, store: Store, *, build: str) -> uvicorn.Config:
    """How the listener is served. KeyFileError if the CA cannot be used."""
    issuer = authority.load_or_make(config.data_dir, clock.now_ms())
    certificate, key = authority.listener_files(
        config.data_dir, issuer, config.enrol.names, clock.now_ms()
    )
    door = Door(
        store=store,
        issuer=issuer,
        receipt_key=keys.receipt.public_key,
        order_key=keys.order.public_key,
        now_ms=clock.now_ms,
        new_serial=authority.new_serial,
        centre=config.enrol.centre,
    )
    return uvicorn.Config(
        build_enrol_api(door, build=build),
        http=PeerProtocol,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        ssl_ca_certs=str(config.data_dir / authority.CA_FILE),
        ssl_cert_reqs=ssl.CERT_OPTIONAL,  # a unit that has none yet, or an expired one, shows none
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
    )


def _common_name(peer: Any) -> str | None:  # noqa: ANN401  # what `getpeercert` gives
    """Of a certificate that TLS has checked."""
    for part in (peer or {}).get("subject", ()):
        for name, value in part:
            if name == "commonName":
                return str(value)
    return None
