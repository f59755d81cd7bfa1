"""A change that bears a key is done once: what it was answered is said again (CUSTOMS section 14, Idempotency-Key).

Law: a key counts for who sent it, one path and one body. A secret that was answered is never said again.
"""

import re
from collections.abc import Awaitable, Callable
from hashlib import sha256

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

from collector.people import Actor, Denied
from collector.store import once
from collector.store.database import Store
from collector.store.once import ANSWER_BYTES_MAX, Key

HEADER = "idempotency-key"
_KEY = re.compile(r"[!-~]{1,64}", re.ASCII)


def key_of(actor: Actor, path: str, word: str | None, body: bytes) -> Key | Denied:
    """The key of a change, or why it has none."""
    if word is None or not _KEY.fullmatch(word):
        return Denied(
            status=400,
            code="key_required",
            hint="Idempotency-Key: 1 to 64 characters of your own, new for each change",
        )
    return Key(who=actor.user_id, path=path, key=word, body_sha256=sha256(body).digest())


class Answered:
    """What an earlier request with the key was answered."""

    def __init__(self, status: int, answer: bytes) -> None:
        self.status = status
        self.answer = answer

    async def __call__(self, send: Send) -> None:
        """Say it again."""
        headers = [(b"content-type", b"application/json")] if self.answer else []
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.answer})


async def begin(store: Store, key: Key, now_ms: int, *, secret: bool) -> Answered | Denied | None:
    """None: do it. Else it was done, or is not to be done."""
    async with store.write() as connection:
        before = await once.begin(connection, key, now_ms)
    if before is None:
        return None
    if not before.same_body:
        return Denied(
            status=422, code="key_reused", hint="this key came with another body: take a new one"
        )
    if before.status is None:
        return Denied(status=409, code="running", hint="the first one runs yet: ask again")
    if secret:
        return Denied(
            status=409, code="told_already", hint="it was done, and its secret is told once only"
        )
    return Answered(before.status, before.answer)


async def run(
    app: Callable[[Send], Awaitable[None]], store: Store, key: Key, send: Send, *, secret: bool
) -> None:
    """Let `app` answer, and keep what it answers before it is said."""
    head: Message = {}
    body = bytearray()

    async def sending(message: Message) -> None:
        nonlocal head
        if message["type"] == "http.response.start":
            head = message
            return
        body.extend(message.get("body", b""))
        if message.get("more_body", False):
            return
        is_kept = not secret and len(body) <= ANSWER_BYTES_MAX
        async with store.write() as connection:
            if head["status"] < 400:
                await once.end(connection, key, head["status"], bytes(body) if is_kept else b"")
            else:
                await once.forget(connection, key)
        if head["status"] != 204:
            MutableHeaders(scope=head)["Content-Length"] = str(len(body))
        await send(head)
        await send({"type": "http.response.body", "body": bytes(body)})

    try:
        await app(sending)
    except BaseException:
        async with store.write() as connection:
            await once.forget(connection, key)
        raise
