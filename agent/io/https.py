"""One question over HTTPS: to the centre's door, by our own CA (EDGE sections 7 and 10).

Law: an answer is bounded, a wait has an end, and nothing is followed: no redirect, no proxy, no cookie.
"""

import json
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.io import clock
from agent.io.mqtt import TlsFilesError, certificate_dates_ms, tls_context
from agent.io.words import Tls

ANSWER_BYTES_MAX = 65_536  # two certificates and four keys have 4,000
WAIT_S_MAX = 30.0
PORT = 443
BUILT_MS = 1_767_225_600_000  # 2026-01-01: no certificate that had ended before it is good, whatever a clock says


class HttpsError(Exception):
    """No answer; the message says why and what to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where the centre listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"https://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: bytes

    def table(self) -> dict[str, object]:
        """The JSON object in it; empty if there is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def door_of(address: str) -> Door | None:
    """What `address` names; None unless it is https://HOST[:PORT]."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    more = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme != "https" or not host or more:
        return None
    return Door(host=host, port=port or PORT)


def ask(door: Door, tls: Tls, method: str, path: str, body: bytes | None = None) -> Answer:
    """One request and its answer. HttpsError if there is none, or its sender is not who he should be."""
    try:
        context = tls_context(tls)
    except TlsFilesError as error:
        raise HttpsError(f"TLS files: {error}") from error
    import http.client  # noqa: PLC0415  # 1 MiB with its readers of mail heads: a unit that runs never asks

    connection = http.client.HTTPSConnection(
        door.host, door.port, timeout=WAIT_S_MAX, context=context
    )
    headers = {"Content-Type": "application/json", "Connection": "close"}
    try:
        connection.connect()
        _check_dates(connection.sock)
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        data = answer.read(ANSWER_BYTES_MAX + 1)
    except ssl.SSLCertVerificationError as error:
        raise HttpsError(f"{door}: its certificate: {error.verify_message}") from error
    except (OSError, http.client.HTTPException) as error:
        raise HttpsError(f"{door}: {error!r}") from error
    finally:
        connection.close()
    if len(data) > ANSWER_BYTES_MAX:
        raise HttpsError(f"{door}: an answer of over {ANSWER_BYTES_MAX} bytes")
    return Answer(status=answer.status, body=data)


def _check_dates(found: object) -> None:
    """By the kernel's clock if it is synchronised, else against the build: a board that believes in 1970 could never be let in."""
    assert isinstance(found, ssl.SSLSocket)
    certificate = found.getpeercert()
    assert certificate, "the context wants one"
    not_before_ms, not_after_ms = certificate_dates_ms(certificate)
    asked = clock.ask_ntp()
    if not_after_ms < BUILT_MS or (asked.synchronised and asked.utc_ms > not_after_ms):
        raise HttpsError("the centre's certificate has expired")
    if asked.synchronised and asked.utc_ms < not_before_ms:
        raise HttpsError("the centre's certificate is not valid yet")
