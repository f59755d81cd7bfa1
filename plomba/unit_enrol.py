"""`plomba unit enrol-token | enrolments | approve | refuse | revoke`: who is let in, by two people (EVIDENCE section 3)."""

import secrets
from base64 import b32encode
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from plomba import exits
from plomba.centre import (
    DATA,
    DataOption,
    JsonOption,
    Row,
    actor,
    change_store,
    fail,
    read_store,
    say_json,
    say_table,
    write_store,
)

if TYPE_CHECKING:
    from collector.store.enrolments import Enrolment, NotDone

TOKEN_BYTES = 32
COLUMNS = ("unit", "fingerprint", "state", "hardware", "asked by", "decided by", "posted", "until")

UnitArgument = Annotated[str, typer.Argument(metavar="UNIT", show_default=False)]
FingerprintOption = Annotated[
    str,
    typer.Option(
        "--fingerprint",
        help="As the unit shows it: 16 hex digits, with or without blanks.",
        show_default=False,
    ),
]


def enrol_token(
    unit_id: UnitArgument,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    *,
    qr: Annotated[bool, typer.Option("--qr/--no-qr", help="Show it as a QR code too.")] = True,
) -> None:
    """Make a token for one unit: 24 hours, one use. It is shown once and kept nowhere."""
    from collector.enrol import TOKEN_MS, Token
    from collector.store import enrolments
    from collector.store.database import Store
    from wire.topics import is_unit_id

    if not is_unit_id(unit_id):
        fail(exits.USAGE, f"{unit_id!r} is no unit_id: 3 to 32 of a-z, 0-9 and hyphen")
    raw, who = secrets.token_bytes(TOKEN_BYTES), actor()

    async def act(store: Store, now_ms: int) -> int:
        token = Token(
            sha256=sha256(raw).digest(),
            unit_id=unit_id,
            made_by=who,
            made_ms=now_ms,
            expires_ms=now_ms + TOKEN_MS,
        )
        async with store.write() as connection:
            await enrolments.add_token(connection, token)
        return token.expires_ms

    expires_ms = write_store(data_dir, act)
    text = b32encode(raw).decode().rstrip("=")
    if as_json:
        say_json([{"unit": unit_id, "token": text, "until": _time(expires_ms)}])
        return
    typer.echo(text)
    if qr:
        import segno

        segno.make(text, error="m").terminal(compact=True)
    typer.echo(
        f"for {unit_id}, until {_time(expires_ms)}, once. On the unit:\n"
        f"  plomba-agent enrol --unit {unit_id} --server https://HOST:8443 --token - --ca ca.pem --state DIR\n"
        f"with {data_dir / 'ca.pem'} as its CA. Then another person than {who}:\n"
        f"  plomba unit approve {unit_id} --fingerprint '....'",
        err=True,
    )


def list_enrolments(as_json: JsonOption = False, data_dir: DataOption = DATA) -> None:
    """List requests, the newest first."""
    from collector.store import enrolments
    from collector.store.database import Store

    async def act(store: Store, now_ms: int) -> list[Row]:
        async with store.read() as connection:
            found = await enrolments.enrolments(connection)
        return [_row(one, now_ms) for one in found]

    rows = read_store(data_dir, act)
    if as_json:
        say_json(rows)
    else:
        say_table(COLUMNS, (tuple(row.values()) for row in rows))


def approve(
    unit_id: UnitArgument,
    fingerprint: FingerprintOption,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Let a unit in, after comparing the fingerprint with its screen. Another person than the one who made the token."""
    _decide(unit_id, fingerprint, data_dir, let_in=True, as_json=as_json)


def refuse(
    unit_id: UnitArgument,
    fingerprint: FingerprintOption,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Turn a request down, by another person than the one who made the token."""
    _decide(unit_id, fingerprint, data_dir, let_in=False, as_json=as_json)


def revoke(
    unit_id: UnitArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.", show_default=False)],
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
) -> None:
    """Take a unit's key out of force: what it signs is RevokedKey from the second person's command on."""
    from collector.store import enrolments
    from collector.store.database import Store
    from collector.store.enrolments import NotDone, RevokeAsked, Revoked

    if not 1 <= len(reason) <= 500:
        fail(exits.USAGE, "--reason: 1 to 500 characters")
    who = actor()

    async def act(store: Store, now_ms: int) -> RevokeAsked | Revoked | NotDone:
        async with store.write() as connection:
            return await enrolments.revoke(
                connection, unit_id, actor=who, why=reason, now_ms=now_ms
            )

    done = change_store(data_dir, act)
    if isinstance(done, NotDone):
        _not_done(done)
    revoked = isinstance(done, Revoked)
    if as_json:
        say_json([{"unit": unit_id, "revoked": revoked, "kids": [kid.hex() for kid in done.kids]}])
    elif revoked:
        typer.echo(
            f"{unit_id}: {len(done.kids)} key(s) revoked; a running collector knows within 10 s"
        )
    else:
        typer.echo(f"{unit_id}: asked by {who}; another person gives the same command within 24 h")


def _decide(
    unit_id: str, fingerprint: str, data_dir: DataOption, *, let_in: bool, as_json: bool
) -> None:
    from collector.store import enrolments
    from collector.store.database import Store
    from collector.store.enrolments import Enrolment, NotDone

    digits = "".join(fingerprint.split()).lower()
    try:
        kid = bytes.fromhex(digits)
    except ValueError:
        kid = b""
    if len(kid) != 8:
        fail(exits.USAGE, "--fingerprint: 16 hex digits, as the unit shows them")
    who = actor()

    async def act(store: Store, now_ms: int) -> Enrolment | NotDone:
        async with store.write() as connection:
            return await enrolments.decide(
                connection, unit_id, kid, actor=who, approve=let_in, now_ms=now_ms
            )

    done = change_store(data_dir, act)
    if isinstance(done, NotDone):
        _not_done(done)
    row: Row = {"unit": unit_id, "state": done.standing.value, "number": done.unit_no}
    if as_json:
        say_json([row])
    elif let_in:
        typer.echo(
            f"{unit_id} is let in as number {done.unit_no}; it fetches its certificate itself"
        )
    else:
        typer.echo(f"{unit_id} is turned down")


def _not_done(done: "NotDone") -> NoReturn:
    code = {
        "second_person": exits.NOT_ALLOWED,
        "nothing_waits": exits.NOT_FOUND,
        "no_key": exits.NOT_FOUND,
        "other_key": exits.BAD,
    }.get(done.code, exits.FAILED)
    fail(code, f"{done.code}: {done.hint}")


def _row(one: "Enrolment", now_ms: int) -> Row:
    state = one.standing.value
    if state == "waiting" and now_ms >= one.expires_ms:
        state = "expired"
    digits = one.kid.hex()
    return {
        "unit": one.unit_id,
        "fingerprint": " ".join(digits[at : at + 4] for at in range(0, 16, 4)),
        "state": state,
        "hardware": one.hardware,
        "asked_by": one.asked_by,
        "decided_by": one.decided_by,
        "posted": _time(one.posted_ms),
        "until": _time(one.expires_ms),
    }


def _time(at_ms: int) -> str:
    from collector.detect import stamp

    return stamp(at_ms)


def mount(group: typer.Typer) -> None:
    """The commands, on `plomba unit`."""
    group.command("enrol-token")(enrol_token)
    group.command("enrolments")(list_enrolments)
    group.command("approve")(approve)
    group.command("refuse")(refuse)
    group.command("revoke")(revoke)
