"""What the schema says of every route beyond what the routes say: who may ask, by what he proves it, which keys a change bears, how errors look.

Law: made from the table of rights that the guard obeys, so that the schema cannot say another thing than the door does.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from collector.people.authorize import RIGHTS, Right

Json = dict[str, Any]
PROBLEM, PAGE = "application/problem+json", "text/html"
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "your own, new for each change: the same again is answered as it was, and done once",
    "schema": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!-~]+$"},
}
CHANGE = {
    "name": "X-Plomba",
    "in": "header",
    "required": False,
    "description": "1, of a browser's change: no form of another site can send it",
    "schema": {"type": "string", "const": "1"},
}
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "plomba login, or an admin"},
    "console": {"type": "apiKey", "in": "cookie", "name": "__Host-plomba"},
    "officer": {"type": "apiKey", "in": "cookie", "name": "__Host-plomba_o"},
}


def describe(api: FastAPI) -> None:
    """Let `api` say its schema with what the table of rights says."""

    def page() -> Json:
        if api.openapi_schema is None:
            made = get_openapi(
                title=api.title,
                version=api.version,
                summary=api.summary,
                description=api.description,
                routes=api.routes,
            )
            made.setdefault("components", {})["securitySchemes"] = SCHEMES
            for path, operations in made["paths"].items():
                for method, operation in operations.items():
                    _say(operation, method.upper(), path)
            api.openapi_schema = made
        return api.openapi_schema

    api.openapi = page  # type: ignore[method-assign]  # FastAPI's own way to say more


def _say(operation: Json, method: str, path: str) -> None:
    right = RIGHTS[method, path]
    default = operation["responses"]["default"]
    pages = {kind: said for kind, said in default["content"].items() if kind == PAGE}
    if path.lower().startswith("/o/"):  # pages send a browser on
        operation["responses"].setdefault("303", {"description": "to another page"})
    default["content"] = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}, **pages}
    operation["x-rights"] = _rights(right)
    if not right.is_open:
        operation["security"] = [{scheme: []} for scheme in SCHEMES]
    heads = operation.setdefault("parameters", [])
    if right.once:
        heads.append(KEY)
    if method != "GET" and not right.form:
        heads.append(CHANGE)


def _rights(right: Right) -> Json:
    """Who may, in words that a program can read."""
    said: Json = {"roles": sorted(role.value for role in right.roles), "kept": right.kept.value}
    flags = ("is_open", "whole", "step_up", "goes_on", "kiosk")
    return said | {name: True for name in flags if getattr(right, name)}
