"""The door for units that are not let in yet, and for those whose certificate ends: three routes, TLS only (EVIDENCE section 3).

Law: whoever fails gets one answer, 401, whatever failed. Why is logged, never told. Nothing else of the API is served here.
"""

import base64
import binascii
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from collector.enrol import Fault, Standing, Why
from collector.enrol.certificates import Issuer, issue_unit, read_csr
from collector.enrol.judging import CSR_BYTES_MAX, open_post
from collector.people.buckets import ENROL_POLLS, ENROL_POSTS, Buckets, crowd_of, seconds
from collector.store import enrolments
from collector.store.database import Store
from collector.store.enrolments import Enrolment, NotDone
from wire.enrol import NONCE_BYTES

BODY_BYTES_MAX = 8_192  # csr and envelope in base64: 2,000 bytes
PEER = "peer"  # in the state of a connection
_NONCE = re.compile(rf"[0-9a-f]{{{2 * NONCE_BYTES}}}", re.ASCII)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What the routes need."""

    store: Store
    issuer: Issuer
    receipt_key: bytes
    order_key: bytes
    now_ms: Callable[[], int]
    new_serial: Callable[[], int]
    centre: str = ""  # host of the officer's page, for hand-over codes

    def issue(self, csr_pem: bytes) -> bytes:
        """The certificate of a request that was judged before it was stored."""
        csr = read_csr(csr_pem)
        assert not isinstance(csr, str), csr
        return issue_unit(self.issuer, csr, now_ms=self.now_ms(), serial=self.new_serial())


def build_enrol_api(door: Door, *, build: str) -> FastAPI:
    """The application behind the TLS listener."""
    api = FastAPI(
        title="Plomba enrolment",
        version=build,
        summary="How a unit is let in. Three routes, no accounts, no secrets but its own.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    api.add_exception_handler(HTTPException, _on_http)
    posts, polls = Buckets(ENROL_POSTS), Buckets(ENROL_POLLS)

    @api.middleware("http")
    async def guard(request: Request, go_on: Callable[[Request], Any]) -> Response:
        address = request.client.host if request.client else ""
        wait_ms = 0
        if request.url.path.startswith("/api/v1/enrol"):  # a renewal is limited by its unit
            buckets = posts if request.method == "POST" else polls
            wait_ms = buckets.draw(crowd_of(address), door.now_ms())
        if wait_ms:
            response = _problem(429, "too_many", "Too many")
            response.headers["Retry-After"] = str(seconds(wait_ms))
        else:
            response = await go_on(request)
        response.headers["Cache-Control"] = "no-store"
        return response

    @api.post("/api/v1/enrol", status_code=202)
    async def enrol(request: Request) -> Response:
        post = await _post_of(request)
        opened = post if isinstance(post, Fault) else open_post(post.envelope, post.csr)
        if isinstance(opened, Fault):
            return _refuse("enrol", opened)
        asked, csr = opened
        assert not isinstance(post, Fault)
        async with door.store.write() as connection:
            stands = await enrolments.post(connection, asked, post.envelope, csr, door.now_ms())
        if isinstance(stands, Fault):
            return _refuse(f"enrol {asked.unit_id}", stands)
        log.info("%s asks to be let in, key %s", stands.unit_id, stands.kid.hex())
        return JSONResponse({"state": "waiting", "kid": stands.kid.hex()}, status_code=202)

    @api.get("/api/v1/enrol/{nonce}")
    async def poll(nonce: str) -> Response:
        if not _NONCE.fullmatch(nonce):
            return _gone()
        raw = bytes.fromhex(nonce)
        async with door.store.read() as connection:
            stands = await enrolments.look(connection, raw, door.now_ms())
        if stands is None or stands.standing is Standing.REFUSED:
            return _gone()
        if stands.standing is Standing.WAITING:
            return JSONResponse({"state": "waiting"}, status_code=202)
        if stands.certificate is None:
            async with door.store.write() as connection:
                stands = await enrolments.fetch(connection, raw, door.now_ms(), door.issue)
            if stands is None:
                return _gone()
        return JSONResponse(_answer(door, stands))

    @api.post("/api/v1/renew")
    async def renew(request: Request) -> Response:
        post = await _post_of(request, envelope_needed=False)
        if isinstance(post, Fault):
            return _refuse("renew", post)
        made = await _renewed(door, post, peer_of(request.scope))
        if not isinstance(made, bytes):
            why = made.why.value if isinstance(made, Fault) else made.code
            log.warning("renew refused: %s", why)
            return _unauthorised()
        return JSONResponse({"certificate": made.decode(), "ca": door.issuer.pem.decode()})

    return api


def peer_of(scope: Mapping[str, Any]) -> str | None:
    """The CN of the client's certificate, which TLS has checked against our CA; None without one."""
    found = scope.get("state", {}).get(PEER)
    return found if isinstance(found, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Post:
    csr: bytes
    envelope: bytes


async def _renewed(door: Door, post: _Post, peer: str | None) -> bytes | Fault | NotDone:
    now_ms = door.now_ms()
    if post.envelope:
        opened = open_post(post.envelope, post.csr)
        if isinstance(opened, Fault):
            return opened
        async with door.store.write() as connection:
            return await enrolments.renew_by_key(
                connection, opened[0], post.csr, now_ms, door.issue
            )
    csr = read_csr(post.csr) if len(post.csr) <= CSR_BYTES_MAX else "too long"
    if peer is None or isinstance(csr, str) or csr.common_name != peer:
        return NotDone(
            code="not_its_own", hint="neither an envelope nor a certificate of that name"
        )
    async with door.store.write() as connection:
        return await enrolments.renew_by_certificate(connection, csr, post.csr, now_ms, door.issue)


async def _post_of(request: Request, *, envelope_needed: bool = True) -> _Post | Fault:
    """`{csr, envelope}`, PEM and base64; bounded before it is read."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            return Fault(why=Why.BAD_FORM, detail=f"over {BODY_BYTES_MAX} bytes")
    try:
        said = json.loads(body)
        csr, envelope = said["csr"], said.get("envelope", "")
        raw = base64.b64decode(envelope, validate=True)
        pem = csr.encode("ascii")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error):
        return Fault(why=Why.BAD_FORM, detail="no JSON of csr and envelope")
    if envelope_needed and not raw:
        return Fault(why=Why.BAD_FORM, detail="no envelope")
    return _Post(csr=pem, envelope=raw)


def _answer(door: Door, stands: Enrolment) -> dict[str, object]:
    """All that the unit pins. The log's key and policy come with the log."""
    assert stands.certificate is not None
    return {
        "state": "approved",
        "unit": stands.unit_id,
        "unit_number": stands.unit_no,
        "certificate": stands.certificate.decode(),
        "ca": door.issuer.pem.decode(),
        "receipt_key": door.receipt_key.hex(),
        "order_key": door.order_key.hex(),
        "centre": door.centre or None,
        "log_vkey": None,
        "policy": None,
        "config": None,
    }


def _refuse(what: str, fault: Fault) -> Response:
    log.warning("%s refused: %s, %s", what, fault.why.value, fault.detail)
    return _unauthorised()


def _unauthorised() -> Response:
    return _problem(401, "not_let_in", "Not let in")


def _gone() -> Response:
    return _problem(410, "gone", "Refused, expired or never asked")


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(error.status_code, "no_such_route", str(error.detail))


def _problem(status: int, code: str, title: str) -> Response:
    body = {"type": "about:blank", "title": title, "status": status, "detail": "", "code": code}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")
