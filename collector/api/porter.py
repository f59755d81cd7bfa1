"""Who lets people in: log-in, set-up, second factor, and the end of a session, over the store (EVIDENCE section 11).

Law: whoever fails to log in gets one answer, whatever failed, after the same work. No secret of a session or a code is kept, logged
or told twice. Every log-in, and every one that failed, is an act.
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import NoReturn

from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.people import Actor, Denied, Role, is_user_id, passwords, totp, user_id_of
from collector.people.buckets import (
    CODE_ACCOUNT,
    LOGIN_ACCOUNT,
    LOGIN_ADDRESS,
    Buckets,
    crowd_of,
    seconds,
)
from collector.people.sessions import (
    TOKEN_BYTES,
    Kind,
    Session,
    actor_of,
    id_of,
    input_is_due,
    opened,
)
from collector.store import people, people_audit
from collector.store.database import Store
from collector.store.people import Account
from collector.store.people_audit import Act

_HASHER = passwords.Hasher()

WAITING_MAX = 128  # log-ins that wait for a core: some five seconds of two
CLAIMED_CHARS_MAX = 32  # of a name that nobody bears
WATCHED_MAX = 10_000  # streams of all sessions


_KIND = {Role.OFFICER: Kind.OFFICER}
_BAD_LOGIN = Denied(status=401, code="bad_login", hint="user or password is wrong")
_BAD_CODE = Denied(
    status=401, code="bad_code", hint="used, expired or never given: ask for a new one"
)
_BAD_FACTOR = Denied(status=422, code="bad_factor", hint="not a code of now, or used already")
_NO_FACTOR = Denied(
    status=422,
    code="no_factor",
    hint="no second factor is set up: an admin gives a new set-up link",
)
_NO_DESK = Denied(status=422, code="no_such_desk", hint="no desk of that name in your scope")
_TOO_OFTEN = Denied(status=429, code="too_many", hint="wait, as Retry-After says")
_BUSY = Denied(status=503, code="busy", hint="many log in at once: try again")
_BAD_PASSWORD = Denied(status=422, code="bad_password", hint="not your password")
_NOT_LOCAL = Denied(
    status=403, code="not_local", hint="only what plomba login --local --link gave is taken over"
)
_ENDED = Denied(status=401, code="not_logged_in", hint="the session has ended: log in")


class RefusedError(Exception):
    """What a person may not do now, why, and for how long."""

    def __init__(self, denied: Denied, *, wait_s: int | None = None) -> None:
        super().__init__(denied.code)
        self.denied = denied
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A session that stands, and the secret by which it was shown."""

    session: Session
    actor: Actor
    secret: str = field(repr=False)
    is_bearer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """What a request shows: a cookie's or a bearer's word."""

    text: str = field(repr=False)
    is_bearer: bool


class Porter:
    """One of each API: the limits are kept in memory, all else in the store."""

    def __init__(
        self, store: Store, now_ms: Callable[[], int], *, hasher: passwords.Hasher = _HASHER
    ) -> None:
        self._hasher = hasher
        self._store = store
        self._now_ms = now_ms
        self._cores = asyncio.Semaphore(os.cpu_count() or 1)
        self._waiting = 0
        self._by_account = Buckets(LOGIN_ACCOUNT)
        self._by_address = Buckets(LOGIN_ADDRESS)
        self._codes = Buckets(CODE_ACCOUNT)
        self._ended: dict[str, asyncio.Event] = {}

    # sessions

    async def find(self, shown: list[Secret], now_ms: int) -> Held | None:
        """The first of these that is the secret of a session that stands."""
        for secret in shown:
            async with self._store.read() as connection:
                found = await people.find_session(connection, id_of(secret.text), now_ms)
            if found is not None and found.end is None:
                return Held(
                    session=found.session,
                    actor=actor_of(found.session, now_ms),
                    secret=secret.text,
                    is_bearer=secret.is_bearer,
                )
        return None

    async def again(self, held: Held) -> Held:
        """The same session as it stands by now."""
        now_ms = self._now_ms()
        async with self._store.read() as connection:
            found = await people.find_session(connection, held.session.id, now_ms)
        if found is None or found.end is not None:
            raise RefusedError(_ENDED)
        return replace(held, session=found.session, actor=actor_of(found.session, now_ms))

    async def stands(self, actor: Actor) -> bool:
        """Whether the session of a stream still stands: to be asked each minute."""
        async with self._store.read() as connection:
            found = await people.find_session(
                connection, bytes.fromhex(actor.session), self._now_ms()
            )
        return found is not None and found.end is None

    def ended(self, actor: Actor) -> asyncio.Event:
        """Set as soon as a request here ends the session: a stream closes at once then."""
        if len(self._ended) >= WATCHED_MAX:
            self._ended = {key: one for key, one in self._ended.items() if not one.is_set()}
        return self._ended.setdefault(actor.session, asyncio.Event())

    async def tell_ended(self) -> None:
        """Look which of the watched sessions have ended: after each change that may end one, and now and then for others' changes."""
        watched = dict(self._ended)  # streams join while we ask
        async with self._store.read() as connection:
            standing = await people.still_standing(
                connection, [bytes.fromhex(one) for one in watched], self._now_ms()
            )
        for session, event in watched.items():
            if bytes.fromhex(session) not in standing:
                event.set()
        self._ended = {key: one for key, one in self._ended.items() if not one.is_set()}

    async def saw_input(self, session: Session, now_ms: int) -> None:
        """Somebody sits there. Where that cannot be written down he is served nevertheless, until he counts as idle."""
        if input_is_due(session, now_ms):
            with contextlib.suppress(OperationalError):
                async with self._store.write() as connection:
                    await people.touch(connection, session.id, seen_ms=now_ms)

    async def enter(self, held: Held, *, address: str) -> tuple[str, Session]:
        """A local session under a new secret, for a browser to hold: the old one, which stood in a link, ends."""
        if held.session.kind is not Kind.LOCAL or not held.is_bearer:
            raise RefusedError(_NOT_LOCAL)
        secret = secrets.token_urlsafe(TOKEN_BYTES)
        anew = replace(held.session, id=id_of(secret), made_ms=self._now_ms())
        async with self._store.write() as connection:
            if not await people.end_session(
                connection, held.session.id, by=anew.user_id, now_ms=anew.made_ms
            ):
                raise RefusedError(_ENDED)  # somebody else has used the link meanwhile
            await people.open_session(connection, anew, address=address)
            await self._note(connection, anew.user_id, anew.role.value, anew.scope, "enter")
        return secret, anew

    async def log_out(self, actor: Actor) -> None:
        async with self._store.write() as connection:
            await people.end_session(
                connection, bytes.fromhex(actor.session), by=actor.user_id, now_ms=self._now_ms()
            )
            await self._note(connection, actor.user_id, actor.role.value, actor.scope, "logout")
        await self.tell_ended()

    # passwords

    async def log_in(
        self, typed: str, password: str, *, address: str, by_token: bool, desk: str = ""
    ) -> tuple[str, Session]:
        """A new session and its secret; RefusedError."""
        user_id = user_id_of(typed)
        self._limit(user_id, address)
        account = await self._account(user_id)
        encoded = None if account is None or account.locked_ms is not None else account.password
        if not await self._holds(encoded, password):
            await self._fail(user_id, account)
        assert account is not None
        assert encoded is not None
        if self._hasher.is_stale(encoded):
            anew = await self._hash(password)
        else:
            anew = None
        kind = Kind.CLI if by_token else _KIND.get(account.role, Kind.CONSOLE)
        secret = secrets.token_urlsafe(TOKEN_BYTES)
        async with self._store.write() as connection:
            now = await people.account(connection, user_id)
            if now is None or now.locked_ms is not None or now.password != encoded:
                raise RefusedError(_BAD_LOGIN)  # locked or changed while we reckoned
            if desk and not await people.desk_is_open(connection, desk, account.scope):
                raise RefusedError(_NO_DESK)
            if anew is not None:
                await people.set_password(connection, user_id, anew)
            session = opened(
                secret,
                kind,
                user_id=user_id,
                role=account.role,
                scope=account.scope,
                desk=desk or account.desk,
                now_ms=self._now_ms(),
            )
            await people.open_session(connection, session, address=address)
            await self._note(
                connection, user_id, account.role.value, account.scope, "login", kind.value
            )
        return secret, session

    async def set_up(self, code: str, password: str, *, address: str) -> tuple[str, bytes]:
        """Use a one-time code: the user, and the secret of the second factor, told this once."""
        now_ms = self._now_ms()
        self._draw(self._by_address, crowd_of(address), now_ms)
        async with self._store.read() as connection:
            account = await people.by_code(connection, code, now_ms)
        if account is None:
            raise RefusedError(_BAD_CODE)
        self._judge(password, account)
        encoded = await self._hash(password)
        second = secrets.token_bytes(totp.SECRET_BYTES)
        async with self._store.write() as connection:
            if await people.by_code(connection, code, now_ms) is None:
                raise RefusedError(_BAD_CODE)  # used while we reckoned
            await people.set_password(connection, account.user_id, encoded, totp_secret=second)
            await self._note(
                connection, account.user_id, account.role.value, account.scope, "setup"
            )
        return account.user_id, second

    async def claim(self, given: str, *, address: str) -> tuple[str, Session]:
        """What an admin has given to a wall becomes a session of that wall alone; RefusedError."""
        now_ms = self._now_ms()
        self._draw(self._by_address, crowd_of(address), now_ms)
        secret = secrets.token_urlsafe(TOKEN_BYTES)
        async with self._store.write() as connection:
            found = await people.find_session(connection, id_of(given), now_ms)
            if found is None or found.end is not None or found.session.kind is not Kind.KIOSK:
                raise RefusedError(_BAD_CODE)
            session = replace(found.session, id=id_of(secret), seen_ms=now_ms)
            await people.end_session(
                connection, found.session.id, by=session.user_id, now_ms=now_ms
            )
            await people.open_session(connection, session, address=address)
            await self._note(
                connection, session.user_id, session.role.value, session.scope, "login", "kiosk"
            )
        return secret, session

    async def widen(self, held: Session, password: str, *, address: str) -> None:
        """The password again: a narrowed session goes on in full."""
        await self._prove(held, password, address)
        async with self._store.write() as connection:
            await people.touch(connection, held.id, seen_ms=self._now_ms())
            await self._note(connection, held.user_id, held.role.value, held.scope, "widen")

    async def change_password(self, held: Session, old: str, new: str, *, address: str) -> None:
        """Another password; all other sessions of the user end."""
        account = await self._prove(held, old, address)
        self._judge(new, account)
        encoded = await self._hash(new)
        async with self._store.write() as connection:
            await people.set_password(connection, held.user_id, encoded)
            await people.end_sessions(
                connection, held.user_id, by=held.user_id, now_ms=self._now_ms(), but=held.id
            )
            await self._note(connection, held.user_id, held.role.value, held.scope, "password")
        await self.tell_ended()

    async def step_up(self, held: Session, code: str) -> int:
        """A code of the second factor: when it was shown; RefusedError."""
        now_ms = self._now_ms()
        self._draw(self._codes, held.user_id, now_ms)
        account = await self._account(held.user_id)
        if account is None or account.totp_secret is None:
            raise RefusedError(_NO_FACTOR)
        step = totp.accept(account.totp_secret, code, now_ms, used_step=account.totp_step)
        is_good = False
        async with self._store.write() as connection:
            if step is not None and await people.use_step(connection, held.user_id, step):
                await people.touch(connection, held.id, seen_ms=held.seen_ms, step_up_ms=now_ms)
                is_good = True
            act = "step_up" if is_good else "step_up_refused"
            await self._note(connection, held.user_id, held.role.value, held.scope, act)
        if not is_good:
            raise RefusedError(_BAD_FACTOR)
        return now_ms

    # within

    async def _prove(self, held: Session, password: str, address: str) -> Account:
        self._limit(held.user_id, address)
        account = await self._account(held.user_id)
        encoded = None if account is None or account.locked_ms is not None else account.password
        if not await self._holds(encoded, password):
            await self._fail(held.user_id, account, _BAD_PASSWORD)
        assert account is not None
        return account

    def _limit(self, user_id: str, address: str) -> None:
        now_ms = self._now_ms()
        self._draw(self._by_address, crowd_of(address), now_ms)
        self._draw(self._by_account, user_id[:CLAIMED_CHARS_MAX], now_ms)

    def _draw(self, buckets: Buckets, key: str, now_ms: int) -> None:
        wait_ms = buckets.draw(key, now_ms)
        if wait_ms:
            raise RefusedError(_TOO_OFTEN, wait_s=seconds(wait_ms))

    def _judge(self, password: str, account: Account) -> None:
        fault = passwords.fault_of(password, user_id=account.user_id, name=account.name)
        if fault is not None:
            raise RefusedError(fault)

    async def _account(self, user_id: str) -> Account | None:
        if not is_user_id(user_id):
            return None
        async with self._store.read() as connection:
            return await people.account(connection, user_id)

    async def _holds(self, encoded: str | None, password: str) -> bool:
        async with self._core():
            return await asyncio.to_thread(self._hasher.holds, encoded, password)

    async def _hash(self, password: str) -> str:
        salt = secrets.token_bytes(passwords.SALT_BYTES)
        async with self._core():
            return await asyncio.to_thread(self._hasher.hash_of, password, salt)

    @asynccontextmanager
    async def _core(self) -> AsyncIterator[None]:
        """One of as many 46 MiB as there are cores; who waits is bounded too."""
        if self._waiting >= WAITING_MAX:
            raise RefusedError(_BUSY, wait_s=2)
        self._waiting += 1
        try:
            async with self._cores:
                yield
        finally:
            self._waiting -= 1

    async def _fail(
        self, user_id: str, account: Account | None, denied: Denied = _BAD_LOGIN
    ) -> NoReturn:
        """One answer for all; the act says whom it was tried for."""
        async with self._store.write() as connection:
            who = "" if account is None else account.user_id
            role = "" if account is None else account.role.value
            scope = "" if account is None else account.scope
            claimed = "".join(char for char in user_id if char.isprintable())[:CLAIMED_CHARS_MAX]
            await self._note(connection, who, role, scope, "login_refused", obj=f"user/{claimed}")
        raise RefusedError(denied)

    async def _note(
        self,
        connection: AsyncConnection,
        who: str,
        role: str,
        scope: str,
        act: str,
        detail: str = "",
        *,
        obj: str = "",
    ) -> None:
        await people_audit.note_act(
            connection,
            Act(
                at_ms=self._now_ms(),
                who=who,
                role=role,
                act=act,
                obj=obj or f"user/{who}",
                scope=scope,
                detail=detail,
            ),
        )
