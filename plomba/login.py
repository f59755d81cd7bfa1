"""`plomba login` and `logout`: a session for the commands that ask the API, kept as a token in a file of its user.

Law: a password is asked for, never an option: options stand in the history of the shell and in the list of processes.
"""

import secrets
from typing import TYPE_CHECKING, Annotated

import typer

from plomba import exits, tokens
from plomba.centre import (
    DATA,
    ApiOption,
    Centre,
    DataOption,
    JsonOption,
    Row,
    actor,
    fail,
    one_of,
    say_json,
    write_store,
)

if TYPE_CHECKING:
    from collector.store.database import Store

LOCAL_ROLES = ("operator", "supervisor", "auditor", "admin")


def login(
    user: Annotated[str, typer.Option("--user", help="Your user name; asked for without it.")] = "",
    desk: Annotated[str, typer.Option("--desk", help="The desk at which you sit.")] = "",
    local: Annotated[
        bool,
        typer.Option(
            "--local", help="No password: on the collector's machine, for who may write its store."
        ),
    ] = False,
    role: Annotated[
        str,
        typer.Option(
            "--role",
            help=f"With --local: {', '.join(LOCAL_ROLES)}.",
            autocompletion=one_of(*LOCAL_ROLES),
        ),
    ] = "supervisor",
    link: Annotated[
        bool, typer.Option("--link", help="With --local: a link to the console, good for one use.")
    ] = False,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    api: ApiOption = "",
) -> None:
    """Begin a session: 12 hours, or 2 with --local. The password is read from the terminal, or from standard input."""
    centre = Centre(data_dir, api)
    if link and not local:
        fail(exits.USAGE, "--link goes with --local")
    if local:
        if role not in LOCAL_ROLES:
            fail(exits.USAGE, f"--role: one of {', '.join(LOCAL_ROLES)}")
        token = _local_token(data_dir, role)
        if link:
            _say_link(f"{centre.url}/enter#{token}", as_json=as_json)
            return
    else:
        centre.need_tls("a password")
        user = user or typer.prompt("user")
        answer = centre.post(
            "/login",
            {"user": user, "password": read_password("password: "), "desk": desk, "token": True},
            as_stranger=True,
        )
        token = str(answer["token"])
    try:
        path = tokens.keep(centre.url, token)
    except tokens.TokenError as error:
        fail(exits.FAILED, str(error))
    me = Centre(data_dir, api).get("/me")
    row: Row = {name: me[name] for name in ("user", "role", "scope", "desk", "until")}
    if as_json:
        say_json([row | {"token_file": str(path)}])
    else:
        typer.echo(f"{row['user']}, {row['role']}, until {row['until']}")


def step_up(as_json: JsonOption = False, data_dir: DataOption = DATA, api: ApiOption = "") -> None:
    """Show a code of the second factor: for five minutes you may approve, revoke, and give a second signature."""
    me = Centre(data_dir, api).post("/step-up", {"code": read_password("code: ")})
    if as_json:
        say_json([{"stepped_up_until": me["stepped_up_until"]}])
    else:
        typer.echo(f"until {me['stepped_up_until']}")


def logout(data_dir: DataOption = DATA, api: ApiOption = "") -> None:
    """End the session and take its token away, also where the session is over or the token may not be used."""
    centre = Centre(data_dir, api)
    try:
        centre.post("/logout", {})
    finally:
        try:
            tokens.forget(centre.url)
        except tokens.TokenError as error:
            fail(exits.FAILED, str(error))


def _local_token(data_dir: DataOption, role: str) -> str:
    from collector.people import Role
    from collector.people.sessions import TOKEN_BYTES, Kind, opened
    from collector.store import people, people_audit
    from collector.store.people_audit import Act

    secret, who = secrets.token_urlsafe(TOKEN_BYTES), actor()

    async def act(store: "Store", now_ms: int) -> None:
        session = opened(
            secret, Kind.LOCAL, user_id=who, role=Role(role), scope="", desk="", now_ms=now_ms
        )
        async with store.write() as connection:
            await people.open_session(connection, session, address="local")
            await people_audit.note_act(
                connection,
                Act(
                    at_ms=now_ms, who=who, role=role, act="login", obj=f"user/{who}", detail="local"
                ),
            )

    write_store(data_dir, act)
    return secret


def _say_link(url: str, *, as_json: bool) -> None:
    # Behind the # it is sent to nobody: the page reads it and hands it in, and then it is used up.
    if as_json:
        say_json([{"link": url}])
    else:
        typer.echo(url)


def read_password(words: str) -> str:
    """A secret from the terminal, unseen, or a line of standard input."""
    import getpass
    import sys

    if sys.stdin.isatty():
        return getpass.getpass(words)
    return sys.stdin.readline(1_000).rstrip("\n")
