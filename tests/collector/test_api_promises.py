"""The API keeps what its schema promises, by a foreign reader of schemas (schemathesis): never a 5xx, no status, type or field beside it."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import Case
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from collector.people import Role
from collector.people.authorize import RIGHTS
from collector.store.database import Store
from tests.collector.api_rig import CHANGE, ORIGIN, client_of, logged_in
from tests.collector.town import SOUTH, Town, build

ENDLESS = {"/api/v1/live/stream"}  # has tests of its own
ROLES = tuple(role for role in Role if role is not Role.UNIT)
Call = Case[Any]
load_all_checks()
PROMISES: list[Any] = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)


def drawn(api: FastAPI, most: int, *, is_same: bool) -> Iterator[Call]:
    """Calls of every route: as the schema says, and as it forbids; `is_same`: the same in every run."""
    for found in schemathesis.openapi.from_dict(api.openapi()).get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.path not in ENDLESS:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                yield from _some(operation.as_strategy(generation_mode=mode), most, is_same=is_same)


def positive(api: FastAPI) -> dict[str, Call]:
    """One sound call of each route, by its method and path."""
    found: dict[str, Call] = {}
    for one in schemathesis.openapi.from_dict(api.openapi()).get_all_operations():
        assert isinstance(one, Ok), one
        operation = one.ok()
        cases = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        [found[operation.label]] = _some(cases, 1, is_same=True)
    return found


def _some(cases: SearchStrategy[Call], most: int, *, is_same: bool) -> list[Call]:
    found: list[Call] = []

    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        derandomize=is_same,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def draw(case: Call) -> None:
        found.append(case)

    with contextlib.suppress(Unsatisfiable):  # nothing can be wrong where nothing is asked
        draw()
    return found


async def say(town: Town, case: Call, token: str, *, known: bool) -> httpx.Response:
    """Send it; `known`: with the names of things that are there."""
    if known:
        things = town.things[SOUTH]
        case.path_parameters = {
            name: things.get(name, value) for name, value in case.path_parameters.items()
        }
        case.headers["If-Match"] = '"1"'
    said = requests.Request(**case.as_transport_kwargs(base_url=ORIGIN)).prepare()
    town.house.now_ms += 10_000  # within every limit
    assert said.method is not None
    assert said.url is not None
    headers = {name: str(value) for name, value in said.headers.items()} | CHANGE
    body = said.body if isinstance(said.body, bytes) else str(said.body or "").encode()
    async with client_of(town.house.api, token=token) as client:
        return await client.request(said.method, said.url, content=body, headers=headers)


async def broken(town: Town, most: int, *, is_same: bool) -> list[str]:
    """Promises that were not kept, each route's first of a kind."""
    looked, faults = 0, dict[tuple[str, ...], str]()
    for number, case in enumerate(drawn(town.house.api, most, is_same=is_same)):
        for role in ROLES:
            right = RIGHTS[case.method, case.operation.path]
            is_mine = right.is_open or role in right.roles
            if not is_mine and number % 10:
                continue  # a refusal looks alike wherever it comes from
            token = await logged_in(
                town.store,
                role,
                now_ms=town.house.now_ms,
                user_id=f"os:{role.value}-{number}",
                step_up=True,
            )
            answer = await say(town, case, token, known=number % 2 == 0)
            looked += 1
            try:
                case.validate_response(answer, checks=PROMISES)
            except FailureGroup as error:
                for one in error.exceptions:
                    faults.setdefault((case.operation.label, str(one)), str(error))
    assert looked > 200, "nothing was looked at"
    return list(faults.values())


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with await Store.open("sqlite://") as store:
        yield await build(store)


@pytest.mark.long
async def test_every_route_answers_each_role_as_the_schema_says(town: Town) -> None:
    assert await broken(town, 1, is_same=True) == []


@pytest.mark.slow
async def test_every_route_answers_each_role_as_the_schema_says_at_length(town: Town) -> None:
    assert await broken(town, 40, is_same=False) == []
