"""The live stream as a command hears it: what changed, from its last number on, also over a restart of the collector (CONSOLE section 7).

Law: a line that is cut is gone on with; who is no longer let in ends with that reason.
"""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.error import HTTPError, URLError
from urllib.request import Request

from plomba.tokens import opener

SILENT_S_MAX = 20.0  # `stat` comes every five seconds
LINE_BYTES_MAX = 1 << 20  # 20,000 units of one answer
AGAIN_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event."""

    name: str
    data: dict[str, object]
    number: int | None  # its id


class NotLetInError(Exception):
    """The collector refuses the stream; the sentence is its own."""


def events_of(lines: Iterable[bytes]) -> Iterator[Told]:
    """The events of `text/event-stream`, as WHATWG HTML section 9.2.6 reads it, as far as ours are written."""
    name, number, data = "", None, ""
    for raw in lines:
        field, _, value = raw.decode("utf-8").rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                name = value
            case "id" if value.isdecimal():
                number = int(value)
            case "data":
                data += value
            case "" if not value:
                if name and data:
                    yield Told(name=name, data=json.loads(data), number=number)
                name, number, data = "", None, ""
            case _:
                pass  # a comment, or `retry`


def listen(
    url: str,
    headers: dict[str, str],
    *,
    since: int | None = None,
    lost: Callable[[str], None] = lambda _why: None,
) -> Iterator[Told]:
    """All events from `since` on, for ever: a cut line is taken up again at its last id. NotLetInError."""
    last, pause = since, threading.Event()
    while True:
        try:
            for told in _once(url, headers, last):
                last = told.number if told.number is not None else last
                yield told
            lost("the stream has ended")
        except HTTPError as error:
            if error.code in (401, 403, 404) or 300 <= error.code < 400:
                raise NotLetInError(_detail(error)) from error
            error.close()
            lost(f"HTTP {error.code}")
        except (URLError, OSError, ValueError) as error:
            lost(str(getattr(error, "reason", error)))
        pause.wait(AGAIN_S)


def _once(url: str, headers: dict[str, str], last: int | None) -> Iterator[Told]:
    more = {} if last is None else {"Last-Event-ID": str(last)}
    request = Request(url, headers={**headers, **more, "Accept": "text/event-stream"})  # noqa: S310  # the collector's own address
    with opener().open(request, timeout=SILENT_S_MAX) as answer:
        yield from events_of(iter(lambda: answer.readline(LINE_BYTES_MAX), b""))


def _detail(error: HTTPError) -> str:
    try:
        with error:
            return str(json.loads(error.read(65_536))["detail"])
    except (ValueError, KeyError, TypeError):
        return f"refused, {error.code}"
