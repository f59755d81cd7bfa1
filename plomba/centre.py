"""How the operator's commands reach the collector: reading asks its API by a session, writing goes to its store.

Law: reading never opens the database of a running collector but for what no API gives (the log of ticks, the versions of the rules),
and nothing here decides what is true.
"""

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request

import typer

from plomba import exits
from plomba.tokens import TokenError, may_send, opener, token_for

if TYPE_CHECKING:
    from rich.table import Table

    from collector.store.database import Store

T = TypeVar("T")

ANSWER_BYTES_MAX = 16 << 20  # 5,000 points of a track are 1 MiB
ANSWER_S_MAX = 10
PIPE_COLUMNS = 240
WHOLE = frozenset(("", "id", "unit", "at", "state"))  # columns of which half a word is none
SPAN_S = {"min": 60, "h": 3_600, "d": 86_400}
DATA = Path("plomba-data")
_EXITS = {401: exits.NOT_ALLOWED, 403: exits.NOT_ALLOWED, 404: exits.NOT_FOUND, 422: exits.USAGE}

Row = dict[str, object]
DataOption = Annotated[
    Path,
    typer.Option("--data", envvar="PLOMBA_DATA", help="The collector's data directory."),
]
ApiOption = Annotated[
    str,
    typer.Option(
        "--api", envvar="PLOMBA_API", help="Where its API is, if not what the directory says."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def one_of(*words: str) -> Callable[[str], list[str]]:
    """What the shell completes where only these words are taken."""
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


class Centre:
    """A running collector, as far as its API shows it."""

    def __init__(self, data_dir: Path, api_url: str = "") -> None:
        from collector.io.folder import running

        there = None if api_url else running(data_dir)
        if not api_url and there is None:
            fail(
                exits.UNREACHABLE,
                f"no collector runs on {data_dir}; start one with: plomba collector run --data {data_dir}"
                " (or name another directory with --data, or its API with --api)",
            )
        self.url = (api_url or (there.api_url if there else "")).rstrip("/")

    def get(self, path: str, **query: object) -> Row:
        """The answer to GET `path`; ends the command with 3 for a 404, 4 if it may not be, 5 if nobody answers, 1 for the rest."""
        asked = {key: value for key, value in query.items() if value not in (None, "")}
        return self._ask(
            f"{self.url}/api/v1{quote(path)}" + (f"?{urlencode(asked)}" if asked else ""), None
        )

    def post(
        self, path: str, body: Row, *, rev: int | None = None, as_stranger: bool = False
    ) -> Row:
        """The answer to POST `path`, {} if it has none; ends as `get` does, 2 for what is said wrongly.

        `rev`: the revision that the person saw; another one by now is 412.
        """
        return self._ask(
            f"{self.url}/api/v1{quote(path)}",
            json.dumps(body).encode(),
            rev=rev,
            as_stranger=as_stranger,
        )

    def need_tls(self, what: str) -> None:
        """End the command with 4 where a secret would travel in the open."""
        if not may_send(self.url):
            fail(
                exits.NOT_ALLOWED, f"{self.url}: {what} is not sent without TLS to another machine"
            )

    def changes(self, name: str) -> Iterator[Row]:
        """Each event of that name on the live stream, and each beginning of it, until Ctrl-C, which is how a watch ends well."""
        from plomba.stream import NotLetInError, listen

        def lost(why: str) -> None:
            typer.echo(f"{self.url}: {why}; trying again", err=True)

        try:
            headers = {"Authorization": f"Bearer {self._token()}"}
            for told in listen(f"{self.url}/api/v1/live/stream", headers, lost=lost):
                if told.name in (name, "deploy", "reset"):  # `deploy` begins each stream
                    yield told.data
        except NotLetInError as error:
            fail(exits.NOT_ALLOWED, f"{error}: plomba login")
        except KeyboardInterrupt:
            raise typer.Exit(exits.OK) from None

    def alive(self) -> Row:
        """What a stranger is told."""
        return self._ask(f"{self.url}/healthz", None, as_stranger=True)

    def is_logged_in(self) -> bool:
        """Whether there is a token for this collector at all."""
        return bool(self._token())

    def _token(self) -> str:
        try:
            return token_for(self.url)
        except TokenError as error:
            fail(exits.NOT_ALLOWED, str(error))

    def _ask(
        self, url: str, body: bytes | None, *, rev: int | None = None, as_stranger: bool = False
    ) -> Row:
        headers = {"X-Plomba": "1", "Sec-Fetch-Site": "same-origin"}
        if body is not None:
            headers |= {
                "Content-Type": "application/json",
                "Idempotency-Key": secrets.token_hex(16),
            }
        headers |= {"If-Match": f'"{rev}"'} if rev is not None else {}
        token = "" if as_stranger else self._token()
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        request = Request(url, data=body, headers=headers)  # noqa: S310  # the collector's own address
        try:
            with opener().open(request, timeout=ANSWER_S_MAX) as answer:
                found = json.loads(answer.read(ANSWER_BYTES_MAX) or b"{}")
        except HTTPError as error:
            with error:
                detail = _detail(error.read(ANSWER_BYTES_MAX)) or f"{url}: {error.code}"
            if 300 <= error.code < 400:
                there = error.headers.get("Location", "elsewhere")
                detail = f"{self.url} sends on to {there}: a token is not sent on; name the collector's own address with --api"
                fail(exits.UNREACHABLE, detail)
            if error.code == 401 and not url.endswith("/login"):
                detail = f"{detail}: plomba login, or on its own machine plomba login --local"
            fail(_EXITS.get(error.code, exits.FAILED), detail)
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            fail(
                exits.UNREACHABLE,
                f"{self.url} does not answer ({reason}); is it running? plomba collector run",
            )
        assert isinstance(found, dict)
        return found

    def pages(self, path: str, name: str, *, rows_max: int, **query: object) -> list[Row]:
        """The rows under `name` of all pages, at most `rows_max`."""
        rows: list[Row] = []
        after: object = ""
        while after is not None and len(rows) < rows_max:
            page = self.get(path, after=after, limit=min(200, rows_max - len(rows)), **query)
            found = page[name]
            assert isinstance(found, list)
            rows += found
            after = page["more"]
        return rows


def write_store(data_dir: Path, write: "Callable[[Store, int], Awaitable[T]]") -> T:
    """What `write(store, now_ms)` gives, done in the store beside a running collector, which notices within a second.

    The API is read only, and SQLite lets a second process write between two ticks; it waits for at most one commit.
    """
    import asyncio

    from collector.io import clock
    from collector.io.folder import FolderError, make
    from collector.store import StoreError
    from collector.store.database import Store

    url = f"sqlite:///{data_dir.absolute() / 'collector.db'}"

    async def act() -> T:
        store = await Store.open(url)
        try:
            return await write(store, clock.now_ms())
        finally:
            await store.close()

    try:
        make(data_dir)
        return asyncio.run(act())
    except (FolderError, StoreError) as error:
        fail(exits.FAILED, str(error))


def read_store(data_dir: Path, read: "Callable[[Store, int], Awaitable[T]]") -> T:
    """What `read(store, now_ms)` gives; ends the command with 3 where no collector has ever stored anything."""
    need_store(data_dir)
    return write_store(data_dir, read)


def change_store(data_dir: Path, write: "Callable[[Store, int], Awaitable[T]]") -> T:
    """As `write_store`, for what changes only what is there already: a directory that was mistyped is not made."""
    need_store(data_dir)
    return write_store(data_dir, write)


def need_store(data_dir: Path) -> None:
    """End the command with 3 where no collector has ever stored anything: nothing can be read or changed, and nothing is made."""
    if not (data_dir / "collector.db").is_file():
        fail(exits.NOT_FOUND, f"{data_dir}: no collector has stored anything here (see --data)")


def span_ms(text: str) -> int:
    """`30min`, `12h`, `7d` in milliseconds; ends the command with 2 for anything else."""
    match = re.fullmatch(r"(\d{1,6})(min|h|d)", text)
    if match is None:
        fail(exits.USAGE, f"{text!r} is no span of time: 30min, 4h, 2d")
    return int(match[1]) * SPAN_S[match[2]] * 1_000


def actor() -> str:
    """Who gives this command, to be kept with what it changes: the user of the operating system, for nobody logs in to a store."""
    import os
    import pwd

    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    behind = os.environ.get("SUDO_USER", "") if uid == 0 else ""
    return f"os:{name} for {behind[:64]}" if behind else f"os:{name}"


def is_running(data_dir: Path) -> bool:
    """Whether a collector holds the directory now."""
    from collector.io.folder import running

    return running(data_dir) is not None


def say_json(rows: Iterable[Row]) -> None:
    for row in rows:
        typer.echo(json.dumps(row, ensure_ascii=False))


def say_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    import sys

    from rich.console import Console

    # a pipe has no edge at which a code would be cut off
    width = None if sys.stdout.isatty() else PIPE_COLUMNS
    Console(width=width).print(table_of(columns, rows))


def table_of(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> "Table":
    """A table for people; None is shown as a dash, since an empty cell looks like nothing to report."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:  # a narrow terminal breaks words, and cuts nothing off
        table.add_column(name, overflow="fold", no_wrap=name in WHOLE)
    for row in rows:
        table.add_row(*(Text("-" if cell is None else str(cell)) for cell in row))
    return table


def age(seconds: object) -> str | None:
    """`5 s`, `12 min`, `3 h`, `4 d`; None stays None: unknown is no age."""
    if not isinstance(seconds, int):
        return None
    for size, word in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {word}"
    return f"{seconds} s"


def place(row: Row) -> str | None:
    """`41.311081, 69.240562`, or None where there is none."""
    lat, lon = row.get("lat"), row.get("lon")
    if not isinstance(lat, int | float) or not isinstance(lon, int | float):
        return None
    return f"{lat:.6f}, {lon:.6f}"


def watch_table(
    columns: Sequence[str],
    changes: Iterable[Row],
    look: Callable[[], Iterable[Sequence[object]]],
) -> None:
    """Draw the table anew with each change, in place."""
    from rich.live import Live

    with Live(auto_refresh=False) as live:
        for _ in changes:
            live.update(table_of(columns, look()), refresh=True)


def fail(code: int, text: str) -> NoReturn:
    """Say why on standard error and end the command. What a server has said moves no cursor and paints nothing."""
    plain = "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)
    typer.echo(plain, err=True)
    raise typer.Exit(code)


def _detail(body: bytes) -> str:
    try:
        problem = json.loads(body)
        return str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return ""
