"""Errors as the API says them: application/problem+json with a code (RFC 9457).

Law: an error tells what would be right, never what lies behind it.
"""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from collector.api.models import Problem
from collector.people import Denied

MEDIA = "application/problem+json"
_WORDS = {404: "no_such_route", 405: "no_such_method"}


class ProblemError(Exception):
    """An answer that is no answer, with its code."""

    def __init__(
        self,
        *,
        status: int,
        code: str,
        title: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = problem_of(status, code, title, detail)
        self.headers = dict(headers or {})


def problem_of(status: int, code: str, title: str, detail: str) -> Problem:
    return Problem(type=f"/problems/{code}", status=status, code=code, title=title, detail=detail)


FAULT = problem_of(
    500, "fault", "Fault", "ours, not yours: it stands in the collector's log; try again later"
)

STORE_DOWN = problem_of(
    503,
    "store_down",
    "Store down",
    "the centre can write nothing down just now: nothing was changed or shown; try again in a minute, and tell who runs it",
)


def refused(denied: Denied, *, wait_s: int | None = None) -> ProblemError:
    """What `collector.people` refuses, as an answer."""
    return ProblemError(
        status=denied.status,
        code=denied.code,
        title=denied.code.replace("_", " ").capitalize(),
        detail=denied.hint,
        headers={} if wait_s is None else {"Retry-After": str(wait_s)},
    )


def not_found(what: str, detail: str) -> ProblemError:
    """404: it is not there, or not for who asks; the two look alike."""
    return ProblemError(status=404, code=f"no_such_{what}", title=f"No such {what}", detail=detail)


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(
        problem.model_dump(),
        status_code=problem.status,
        media_type=MEDIA,
        headers=dict(headers or {}),
    )


def add_handlers(api: FastAPI) -> None:
    """Let every error leave as a problem."""
    api.add_exception_handler(ProblemError, _on_problem)
    api.add_exception_handler(HTTPException, _on_http)
    api.add_exception_handler(RequestValidationError, _on_invalid)


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return answer(error.problem, error.headers)


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _WORDS.get(error.status_code, "refused")
    return answer(
        problem_of(
            error.status_code,
            code,
            str(error.detail),
            "routes are listed at /api/v1/openapi.json",
        ),
        error.headers,
    )


async def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return answer(problem_of(422, "bad_parameter", "Bad parameter", f"{where}: {first['msg']}"))
