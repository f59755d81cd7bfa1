"""To people's services through apprise: one call, one message, in a thread of its own.

Law: a url is a secret: read from a file that nobody else can read, held by nobody longer than one call, never in a log,
an error or a process list. apprise is loaded with the first message.
"""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from collector.io.key import KeyFileError, read_private
from collector.notify import GATHER_S, Target

CHATTY = ("apprise", "urllib3", "requests")  # their debug lines hold urls


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSettings:
    """`[[notify.target]]`: somebody who is told of alerts."""

    name: str
    url_file: Path  # 0600; one url of apprise: of two, one that fails would send the other twice
    min_priority: str = "P2"
    codes: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    language: str = "en"
    escalate_after_s: tuple[int, ...] = ()
    gather_s: int = GATHER_S

    @property
    def target(self) -> Target:
        return Target(
            name=self.name,
            min_priority=self.min_priority,
            codes=self.codes,
            units=self.units,
            language=self.language,
            escalate_after_s=self.escalate_after_s,
            gather_s=self.gather_s,
        )


class UrlFileError(Exception):
    """A file with a url that cannot be used, and what to do; never what stands in it."""

    def __init__(self, *, path: Path, fault: str, hint: str) -> None:
        super().__init__(f"{path}: {fault}; {hint}")
        self.hint = hint


def hush() -> None:
    """Keep the libraries that see urls out of the log."""
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def read_url(path: Path) -> str:
    """The url in `path`; UrlFileError if others can read it, or it holds none."""
    try:
        text = read_private(path).decode()
    except KeyFileError as error:
        fault = str(error).removeprefix(f"{path}: ").partition(";")[0]
        raise UrlFileError(
            path=path, fault=fault, hint="write the url there, ours alone: chmod 600"
        ) from None
    except UnicodeDecodeError:
        raise UrlFileError(path=path, fault="is not UTF-8", hint="one url, one line") from None
    lines = [line.strip() for line in text.splitlines()]
    urls = [line for line in lines if line and not line.startswith("#")]
    if len(urls) != 1:
        raise UrlFileError(
            path=path, fault=f"holds {len(urls)} urls", hint="one: give each its own target"
        )
    return urls[0]


async def send(path: Path, title: str, body: str) -> str | None:
    """None if the target's service has taken the message, else why not, in words without the url.

    Raises nothing: a service may fail in any way.
    """
    return await asyncio.to_thread(_send, path, title, body)


def _send(path: Path, title: str, body: str) -> str | None:
    try:
        url = read_url(path)  # anew each time: it may be exchanged while we run
    except UrlFileError as error:
        return str(error)
    try:
        from apprise import Apprise, NotifyFormat  # noqa: PLC0415  # 0.8 s and 49 MB with the first url: only where somebody is told

        hush()
        service = Apprise()
        if not service.add(url):
            return f"{path}: its url is none that apprise knows"
        taken = service.notify(body=body, title=title, body_format=NotifyFormat.TEXT)
    except Exception as error:  # noqa: BLE001  # over a hundred services, each with errors of its own
        return f"the service failed: {type(error).__name__}"
    return None if taken else "the service did not take it, or was not reached"
