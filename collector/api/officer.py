"""The officer's pages over HTTP: one box, one answer, the unit's code, two reports (CONSOLE section 6).

Law: complete HTML in one response, without a script; an answer is never kept by a browser, so that Back asks anew.
"""

import gzip
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from collector.api.auth import (
    actor_of,
    clear_cookies,
    form_token,
    held_of,
    maybe_actor_of,
    set_cookie,
)
from collector.api.guard import csp_officer
from collector.api.officer_answers import Answer, Answers, Many
from collector.api.officer_packing import Packing
from collector.api.officer_pages import Frame, Pages, language_of, script_of
from collector.api.porter import Porter, RefusedError
from collector.api.problems import ProblemError, not_found
from collector.customs.ids import Bad
from collector.people import Role
from collector.store.roadside import KEY_CHARS_MAX
from wire.handover import TEXT_CHARS
from wire.topics import UNIT_ID

FIELD_CHARS_MAX = 512  # of a form; the longest of ours is the address after log-in
FIELDS_MAX = 20
WHATS = ("matches", "differs")
WAITED = re.compile(r"[0-9]{1,12}", re.ASCII)
SCRIPTS = ("officer.js", "sw.js")

PAGE: dict[str, Any] = {"description": "the page again, and why", "content": {"text/html": {}}}

Text = Annotated[str, Query(max_length=200)]
Language = Annotated[str, Query(max_length=8)]


def add_officer(
    api: FastAPI, *, pages: Pages, answers: Answers, porter: Porter, packing: Packing
) -> None:
    """The routes under /o/."""
    _add_answers(api, pages, answers)
    _add_alone(api, pages, answers)
    _add_report(api, answers)
    _add_session(api, pages, porter)
    _add_scripts(api)

    @api.get("/o/dictionary", include_in_schema=False)
    async def dictionary(v: Language = "") -> Response:
        data, headers = packing.file(v)
        return Response(data, media_type="text/plain; charset=utf-8", headers=headers)


def _add_answers(api: FastAPI, pages: Pages, answers: Answers) -> None:
    @api.get("/o/", tags=["officer"], summary="The form", response_class=HTMLResponse)
    async def form(request: Request, lang: Language = "", fault: Language = "") -> Response:
        frame = frame_of(request, lang)
        said = "officer.fault.report" if fault == "report" else ""
        return html_of(request, pages.form(frame, fault=said))

    @api.get("/o", include_in_schema=False)
    async def form_without_slash() -> Response:
        return _see("/o/")

    @api.get("/o/s", tags=["officer"], summary="An answer", response_class=HTMLResponse)
    async def search(
        request: Request, q: Text = "", unit: Text = "", lang: Language = "", fault: Language = ""
    ) -> Response:
        scope = actor_of(request).scope
        here = urlencode({"unit": unit} if unit else {"q": q})
        frame = frame_of(request, lang, asked=q or unit, here=f"{here}&")
        found = await answers.of_unit(unit, scope) if unit else await answers.of_text(q, scope)
        match found:
            case Bad():
                page = pages.form(frame, fault=f"officer.fault.{found.reason}")
                return html_of(request, page, status=422)
            case Many():
                return html_of(request, pages.hits(frame, found.wanted, found.hits))
            case Answer():
                said = "officer.fault.report" if fault == "report" else ""
                return _answer(request, pages, frame, found, fault=said)

    async def code(request: Request, code: str, lang: Language = "") -> Response:
        found = await answers.of_code(code[: TEXT_CHARS + 1], actor_of(request).scope)
        return _answer(request, pages, frame_of(request, lang), found)

    for path in ("/o/h/{code}", "/O/H/{code}"):  # a QR packs capitals tightest
        api.get(path, tags=["officer"], summary="A unit's code", response_class=HTMLResponse)(code)


def _add_alone(api: FastAPI, pages: Pages, answers: Answers) -> None:
    """For a phone that has no network beside a truck that has a code."""

    @api.get(
        "/o/h/", tags=["officer"], summary="A code without the centre", response_class=HTMLResponse
    )
    async def alone(request: Request, lang: Language = "") -> Response:
        return html_of(request, pages.alone(frame_of(request, lang)))

    @api.get(
        "/o/keys",
        tags=["officer"],
        summary="The keys by which a phone without the network knows units",
        response_class=Response,
        responses={200: {"content": {"application/json": {}}}},
    )
    async def keys(request: Request) -> Response:
        data = await answers.keys(actor_of(request).scope)
        tag = f'"{sha256(data).hexdigest()[:16]}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            data, headers["Content-Encoding"] = gzip.compress(data, 6, mtime=0), "gzip"
        return Response(data, media_type="application/json", headers=headers)


def _add_report(api: FastAPI, answers: Answers) -> None:
    @api.post(
        "/o/report",
        tags=["officer"],
        summary="What an officer has seen of the seal",
        status_code=303,
        response_class=RedirectResponse,
        responses={204: {"description": "taken, to a script"}},
        openapi_extra=_form(
            needs=("key", "unit", "what"), may=("journey", "seen", "waited", "lang", "csrf")
        ),
    )
    async def report(request: Request) -> Response:
        said, actor = await _fields(request), actor_of(request)
        what, unit_id, waited = said.get("what", ""), said.get("unit", ""), said.get("waited", "")
        key = f"{said.get('key', '')}-{what}"
        sound = what in WHATS and UNIT_ID.fullmatch(unit_id) and 8 < len(key) <= KEY_CHARS_MAX
        done = (
            Bad(reason="report")
            if not sound
            else await answers.report(
                unit_id=unit_id,
                scope=actor.scope,
                journey=said.get("journey", "")[:64],
                matches=what == "matches",
                seen=said.get("seen", "")[:8],
                who=actor.user_id,
                key=key,
                waited_ms=int(waited) if WAITED.fullmatch(waited) else 0,
            )
        )
        by_script = "x-plomba" in request.headers
        language = said.get("lang", "")
        if not isinstance(done, Bad):
            if by_script:
                return Response(status_code=204)
            return _see(f"/o/s?{urlencode({'unit': unit_id, 'lang': language})}")
        if not by_script:
            truck = {"unit": unit_id} if UNIT_ID.fullmatch(unit_id) else {}
            said = {**truck, "fault": "report", "lang": language}
            return _see(f"/o/{'s' if truck else ''}?{urlencode(said)}")
        if done.reason == "no-unit":
            raise not_found("unit", f"{unit_id} is not enrolled")
        raise ProblemError(
            status=422,
            code=done.reason.replace("-", "_"),
            title="Not taken",
            detail="open the answer once more",
        )


def _add_session(api: FastAPI, pages: Pages, porter: Porter) -> None:
    @api.get("/o/login", tags=["officer"], summary="Log in", response_class=HTMLResponse)
    async def login_page(
        request: Request,
        then: Annotated[str, Query(alias="next", max_length=FIELD_CHARS_MAX)] = "",
        lang: Language = "",
    ) -> Response:
        frame = frame_of(request, lang, here=urlencode({"next": then}) + "&")
        actor = maybe_actor_of(request)
        fault = "officer.fault.expired" if actor is not None and actor.narrowed else ""
        return html_of(request, pages.login(frame, then=then, fault=fault))

    @api.post(
        "/o/login",
        tags=["officer"],
        summary="Begin a session",
        status_code=303,
        response_class=RedirectResponse,
        responses={"default": PAGE},
        openapi_extra=_form(needs=("user", "password"), may=("next", "lang", "csrf")),
    )
    async def login(request: Request) -> Response:
        said = await _fields(request)
        then, language, user = said.get("next", ""), said.get("lang", ""), said.get("user", "")
        try:
            secret, session = await porter.log_in(
                user,
                said.get("password", ""),
                address=request.state.address,
                by_token=False,
                desk="",
            )
        except RefusedError as error:
            fault = "wait" if error.wait_s is not None else "login"
            frame = frame_of(request, language, here=urlencode({"next": then}) + "&")
            page = pages.login(frame, then=then, user=user, fault=f"officer.fault.{fault}")
            refused = html_of(request, page, status=error.denied.status)
            if error.wait_s is not None:
                refused.headers["Retry-After"] = str(error.wait_s)
            return refused
        before = held_of(request)
        if before is not None and before.session.kind is session.kind:
            await porter.log_out(before.actor)  # the phone forgets its secret now: so do we
        response = _see(_back(then, language))
        set_cookie(response, secret, session, session.made_ms)
        return response

    @api.post(
        "/o/logout",
        tags=["officer"],
        summary="End the session",
        status_code=303,
        response_class=RedirectResponse,
        openapi_extra=_form(needs=(), may=("lang", "csrf")),
    )
    async def logout(request: Request) -> Response:
        said = await _fields(request)
        await porter.log_out(actor_of(request))
        response = _see(f"/o/login?{urlencode({'lang': said.get('lang', '')})}")
        clear_cookies(response)
        return response


def _add_scripts(api: FastAPI) -> None:
    def script(name: str) -> Callable[[Request], Response]:
        def give(request: Request) -> Response:
            found = script_of(name)
            headers = {"ETag": f'"{found.version}"', "Cache-Control": "no-cache"}
            if (
                request.query_params.get("v") == found.version
            ):  # a page names the one it was made for
                headers["Cache-Control"] = "max-age=31536000, immutable"
            if headers["ETag"] in request.headers.get("if-none-match", ""):
                return Response(status_code=304, headers=headers)
            body = found.data
            if "gzip" in request.headers.get("accept-encoding", ""):  # nothing in it is secret
                body, headers["Content-Encoding"] = found.packed, "gzip"
            headers["Vary"] = "Accept-Encoding"
            return Response(body, media_type="text/javascript", headers=headers)

        return give

    api.get("/O/sw.js", include_in_schema=False)(script("sw.js"))  # for codes in capitals
    for name in SCRIPTS:
        api.get(f"/o/{name}", tags=["officer"], summary="A script", include_in_schema=False)(
            script(name)
        )


def _form(*, needs: Sequence[str], may: Sequence[str]) -> dict[str, Any]:
    """A plain form, as the schema says it."""
    field = {"type": "string", "maxLength": FIELD_CHARS_MAX}
    body = {
        "type": "object",
        "properties": dict.fromkeys((*needs, *may), field),
        "required": list(needs),
    }
    kind = "application/x-www-form-urlencoded"
    return {"requestBody": {"required": True, "content": {kind: {"schema": body}}}}


def _answer(
    request: Request, pages: Pages, frame: Frame, found: Answer, *, fault: str = ""
) -> Response:
    actor = actor_of(request)
    report: list[tuple[str, str]] = []
    subject = found.subject
    if actor.role is Role.OFFICER and subject is not None:
        of = f"{actor.session} {subject.unit_id} {subject.journey} {found.now_ms}"
        report = [
            ("csrf", frame.csrf),
            ("key", sha256(of.encode()).hexdigest()[:32]),
            ("unit", subject.unit_id),
            ("journey", subject.journey),
            ("seen", found.verdict.colour.value),
            ("lang", frame.language),
        ]
    return html_of(request, pages.answer(frame, found, report, fault=fault))


def frame_of(request: Request, wanted: str, *, asked: str = "", here: str = "") -> Frame:
    """What a page has of who asks for it, and how."""
    held = held_of(request)
    return Frame(
        language=language_of(wanted, request.headers.get("accept-language", "")),
        nonce=request.state.nonce,
        csrf="" if held is None else form_token(held.secret),
        who="" if held is None else held.actor.user_id,
        asked=asked,
        here=here,
    )


def html_of(request: Request, page: str, *, status: int = 200) -> Response:
    """A page as an answer: kept by nobody, under its own policy."""
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": csp_officer(request.state.nonce),
        "Permissions-Policy": "camera=(self)",
    }
    return HTMLResponse(page, status_code=status, headers=headers)


def _see(address: str) -> Response:
    return RedirectResponse(address, status_code=303, headers={"Cache-Control": "no-store"})


def _back(then: str, language: str) -> str:
    """Where somebody wanted to go before he logged in: a page of ours, or the form."""
    parts = urlsplit(then)
    is_ours = not parts.scheme and not parts.netloc and parts.path.lower().startswith("/o/")
    if (
        not is_ours
        or "\\" in then
        or ".." in parts.path
        or parts.path.lower() in ("/o/login", "/o/logout")
    ):
        return f"/o/?{urlencode({'lang': language})}"
    query = parts.query
    if language and "lang" not in parse_qs(query, max_num_fields=FIELDS_MAX):
        query += ("&" if query else "") + urlencode({"lang": language})
    return f"{parts.path}?{query}" if query else parts.path


async def _fields(request: Request) -> dict[str, str]:
    """A plain form. The first of each name counts, cut to what ours can hold."""
    body = (await request.body()).decode("utf-8", "replace")
    said = parse_qs(body, max_num_fields=FIELDS_MAX, keep_blank_values=True)
    return {name: values[0][:FIELD_CHARS_MAX] for name, values in said.items()}
