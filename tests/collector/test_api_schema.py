"""Any call that the schema describes, and many that it does not, gets an answer: never a 5xx, and every error is a problem with a code."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import Phase, given, settings, strategies as st
from sqlalchemy import select

from collector.people import Role
from collector.store import schema
from collector.store.database import Store
from tests.collector.api_rig import CHANGE, House, account, client_of, logged_in
from tests.collector.fleet import T0_MS

ENDLESS = {"/api/v1/live/stream"}  # has tests of its own
Json = dict[str, Any]
ROLES = (Role.ADMIN, Role.SUPERVISOR, Role.OPERATOR, Role.OFFICER, Role.AUDITOR)

WORDS = st.one_of(
    st.sampled_from(
        ["", "uz-0001", "anna", "..", "%", "'; --", "\u0000", "=1+1", "a1", "uz.south", "-1", "1e9"]
    ),
    st.text(max_size=40),
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


def values(said: Json, page: Json) -> st.SearchStrategy[Any]:
    """What the schema calls a value of this kind, as far as a test needs it."""
    if "$ref" in said:
        return values(page["components"]["schemas"][said["$ref"].rpartition("/")[2]], page)
    if "enum" in said:
        return st.sampled_from(said["enum"])
    if "anyOf" in said:
        return st.one_of([values(one, page) for one in said["anyOf"]])
    kind = said.get("type")
    if kind == "object":
        inner = {name: values(one, page) for name, one in said.get("properties", {}).items()}
        return st.fixed_dictionaries(inner)
    if kind == "array":
        return st.lists(values(said["items"], page), max_size=3)
    if kind == "integer":
        return st.integers(said.get("minimum", -5), said.get("maximum", 2**40))
    if kind == "number":
        return st.floats(-180, 180)
    if kind == "boolean":
        return st.booleans()
    if kind == "string" and "pattern" in said:
        return st.from_regex(said["pattern"].replace("$", r"\Z")) | WORDS
    return WORDS if kind == "string" else JUNK


@st.composite
def calls(draw: st.DrawFn, page: Json) -> Json:
    """One call: mostly as the schema says, now and then not."""
    path = draw(st.sampled_from(sorted(set(page["paths"]) - ENDLESS)))
    method = draw(st.sampled_from(sorted(page["paths"][path])))
    operation = page["paths"][path][method]
    url, query = path, {}
    for one in operation.get("parameters", []):
        value = draw(st.one_of(values(one["schema"], page), WORDS))
        if one["in"] == "path":
            word = str(value).encode("utf-8", "replace")[:80] or b"x"
            url = url.replace(f"{{{one['name']}}}", quote(word, safe=""))
        elif one["in"] == "query" and draw(st.booleans()):
            query[one["name"]] = str(value).encode("utf-8", "replace").decode()
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    body = None
    if content is not None:
        body = draw(st.one_of(values(content["schema"], page), JUNK))
    key = draw(st.sampled_from(["k1", "k2", "k3", ""]))
    return {"method": method.upper(), "url": url, "query": query, "body": body, "key": key}


async def _house() -> House:
    store = await Store.open("sqlite://")
    await account(store, "anna", Role.OPERATOR, now_ms=T0_MS)
    async with store.write() as connection:
        await connection.execute(
            schema.unit.insert().values(unit_id="uz-0001", enrolled_ms=T0_MS, scope="uz.south")
        )
    return House(store)


@pytest.mark.long
@settings(max_examples=3, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(data=st.data())
async def test_any_call_is_answered_and_no_error_is_ours(data: st.DataObject) -> None:
    house = await _house()
    page = house.api.openapi()
    tokens = [
        await logged_in(house.store, role, now_ms=T0_MS, user_id=f"os:{role.value}", step_up=True)
        for role in ROLES
    ]
    said = data.draw(st.lists(calls(page), min_size=20, max_size=40))
    async with client_of(house.api) as client:
        for number, call in enumerate(said):
            house.now_ms = T0_MS + number * 60_000
            headers = CHANGE | {"Content-Type": "application/json"}
            headers |= {"Authorization": f"Bearer {tokens[number % len(tokens)]}"}
            headers |= {"Idempotency-Key": call["key"]} if call["key"] else {}
            answer = await client.request(
                call["method"],
                call["url"],
                params=call["query"] or None,
                content=json.dumps(call["body"]).encode("utf-8", "replace"),
                headers=headers,
            )
            assert answer.status_code < 500, (call, answer.text)
            if answer.status_code >= 400 and not call["url"].startswith("/o/"):  # those are pages
                assert answer.headers["content-type"] == "application/problem+json", call
                problem = answer.json()
                assert problem["status"] == answer.status_code
                assert problem["type"] == f"/problems/{problem['code']}"
    async with house.store.read() as connection:
        for row in await connection.execute(select(schema.act)):
            assert row.at_ms >= T0_MS
    await house.store.close()
