"""`plomba user`: who may log in. Asks the API as an admin who is logged in; a set-up link is made on the collector's machine, too.

Law: a code is shown once, a password is never an option.
"""

import secrets
from typing import TYPE_CHECKING, Annotated

import typer

from plomba import exits
from plomba.centre import (
    DATA,
    ApiOption,
    Centre,
    DataOption,
    JsonOption,
    Row,
    actor,
    change_store,
    fail,
    one_of,
    say_json,
    say_table,
)
from plomba.login import read_password

if TYPE_CHECKING:
    from collector.store.database import Store

COLUMNS = ("user", "name", "role", "scope", "desk", "set up", "locked")
ROLES = ("admin", "supervisor", "operator", "officer", "auditor")
USERS_MAX = 10_000

UserArgument = Annotated[str, typer.Argument(metavar="USER", show_default=False)]
RoleOption = Annotated[
    str,
    typer.Option("--role", help=f"One of {', '.join(ROLES)}.", autocompletion=one_of(*ROLES)),
]
ScopeOption = Annotated[
    str, typer.Option("--scope", help="Part of the whole, e.g. uz.south; empty: all.")
]


def add(
    user: UserArgument,
    role: RoleOption,
    name: Annotated[str, typer.Option("--name", help="As colleagues call him.")] = "",
    scope: ScopeOption = "",
    desk: Annotated[str, typer.Option("--desk", help="Where he sits.")] = "",
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    api: ApiOption = "",
) -> None:
    """Make an account, and show its one-time set-up link: 24 hours, once."""
    _need_role(role)
    centre = Centre(data_dir, api)
    body: Row = {"user": user, "name": name, "role": role, "scope": scope, "desk": desk}
    _say_link(centre, centre.post("/admin/users", body), as_json=as_json)


def list_users(
    as_json: JsonOption = False, data_dir: DataOption = DATA, api: ApiOption = ""
) -> None:
    """List accounts by name."""
    rows = Centre(data_dir, api).pages("/admin/users", "users", rows_max=USERS_MAX)
    if as_json:
        say_json(rows)
        return
    names = ("user", "name", "role", "scope", "desk", "set_up", "locked_at")
    say_table(COLUMNS, ([row[name] for name in names] for row in rows))


def role(
    user: UserArgument,
    role: Annotated[str, typer.Argument(metavar="ROLE", show_default=False)],
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    api: ApiOption = "",
) -> None:
    """Give another role. All sessions of the user end."""
    _need_role(role)
    _say(Centre(data_dir, api).post(f"/admin/users/{user}/role", {"role": role}), as_json=as_json)


def scope(
    user: UserArgument,
    scope: Annotated[str, typer.Argument(metavar="SCOPE", help='"" for all.', show_default=False)],
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    api: ApiOption = "",
) -> None:
    """Give another scope. All sessions of the user end."""
    done = Centre(data_dir, api).post(f"/admin/users/{user}/scope", {"scope": scope})
    _say(done, as_json=as_json)


def lock(
    user: UserArgument,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    api: ApiOption = "",
) -> None:
    """Lock a user out: in force at once."""
    _say(Centre(data_dir, api).post(f"/admin/users/{user}/lock", {}), as_json=as_json)


def unlock(
    user: UserArgument,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    api: ApiOption = "",
) -> None:
    """Let a user in again."""
    _say(Centre(data_dir, api).post(f"/admin/users/{user}/unlock", {}), as_json=as_json)


def setup_link(
    user: UserArgument,
    local: Annotated[
        bool,
        typer.Option("--local", help="On the collector's machine, for who may write its store."),
    ] = False,
    as_json: JsonOption = False,
    data_dir: DataOption = DATA,
    api: ApiOption = "",
) -> None:
    """Show a new one-time link: the old password and second factor are gone, all sessions end."""
    centre = Centre(data_dir, api)
    if local:
        link = _local_link(user, data_dir)
    else:
        link = centre.post(f"/admin/users/{user}/setup-link", {})
    _say_link(centre, link, as_json=as_json)


def setup(as_json: JsonOption = False, data_dir: DataOption = DATA, api: ApiOption = "") -> None:
    """Use a one-time code: choose the password, and get the secret for an authenticator. Both are asked for, code first."""
    centre = Centre(data_dir, api)
    centre.need_tls("a password")
    code = read_password("one-time code: ").rpartition("#")[2]
    said: Row = {"code": code, "password": read_password("new password: ")}
    made = centre.post("/setup", said, as_stranger=True)
    if as_json:
        say_json([made])
        return
    typer.echo(str(made["totp_uri"]))
    _show_qr(str(made["totp_uri"]))
    typer.echo(
        f"{made['user']} is set up. Read this code with an authenticator: it is shown this once.\n"
        f"then: plomba login --user {made['user']}",
        err=True,
    )


def _local_link(user: str, data_dir: DataOption) -> Row:
    from collector.api.times import rfc3339
    from collector.people.sessions import TOKEN_BYTES
    from collector.store import people, people_audit
    from collector.store.people_audit import Act

    code, who = secrets.token_urlsafe(TOKEN_BYTES), actor()

    async def act(store: "Store", now_ms: int) -> int | None:
        async with store.write() as connection:
            if await people.account(connection, user) is None:
                return None
            until_ms = await people.set_up_anew(connection, user, code, by=who, now_ms=now_ms)
            done = Act(
                at_ms=now_ms,
                who=who,
                role="",
                act="user-setup-link",
                obj=f"user/{user}",
                detail="local",
            )
            await people_audit.note_act(connection, done)
        return until_ms

    until_ms = change_store(data_dir, act)
    if until_ms is None:
        fail(exits.NOT_FOUND, f"{user} has no account")
    return {"user": user, "code": code, "path": f"/setup#{code}", "until": rfc3339(until_ms)}


def _say_link(centre: Centre, link: Row, *, as_json: bool) -> None:
    url = f"{centre.url}{link['path']}"
    if as_json:
        say_json([link | {"url": url}])
        return
    typer.echo(url)
    typer.echo(
        f"for {link['user']}, once, until {link['until']}; or there: plomba user setup", err=True
    )


def _say(row: Row, *, as_json: bool) -> None:
    if as_json:
        say_json([row])
        return
    where = f", scope {row['scope']}" if row["scope"] else ""
    locked = f", locked since {row['locked_at']}" if row["locked_at"] else ""
    typer.echo(f"{row['user']}: {row['role']}{where}{locked}")


def _show_qr(text: str) -> None:
    import sys

    if sys.stdout.isatty():
        import segno

        segno.make(text, error="m").terminal(compact=True)


def _need_role(role: str) -> None:
    if role not in ROLES:
        fail(exits.USAGE, f"{role!r} is no role: one of {', '.join(ROLES)}")


def mount(group: typer.Typer) -> None:
    """The commands, on `plomba user`."""
    group.command("add")(add)
    group.command("list")(list_users)
    group.command("role")(role)
    group.command("scope")(scope)
    group.command("lock")(lock)
    group.command("unlock")(unlock)
    group.command("setup-link")(setup_link)
    group.command("setup")(setup)
