"""One JSON object a line on stderr: event first, then fields (EDGE section 9, Logs).

Law: once when trouble begins, once when it ends; in between the counters speak. No secret, and foreign bytes in hex only.
"""

import json
import logging
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.io import clock

if TYPE_CHECKING:
    from asyncio import Task

LINES_A_MINUTE_MAX = 60  # an event that comes oftener says nothing new
MINUTE_MS = 60_000
EVENTS_MAX = 1_024  # names of events that are counted; ours are some dozens, libraries have more
STACKS_MAX = 48  # below the lines a minute, so that all of them are told
FRAMES_MAX = 24

_LOGGER = logging.getLogger("plomba.agent")


def set_up() -> None:
    """Everything that logs by the standard library, ours and foreign, speaks the same JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json())
    handler.addFilter(_Limit())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)


def say(event: str, **fields: object) -> None:
    """One line: what happened, and with what."""
    _LOGGER.info(event, extra={"fields": fields})


def warn(event: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
    """The same, for what somebody should look at."""
    _LOGGER.warning(event, exc_info=exc_info, extra={"fields": fields})


def tell_stacks(tasks: Iterable["Task[object]"]) -> None:
    """Where each thread and each of these tasks stands, a line each."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()  # noqa: SLF001  # the documented way to see other threads
    for ident, frame in [*frames.items()][:STACKS_MAX]:
        told = traceback.format_stack(frame)[-FRAMES_MAX:]
        say("stack", thread=names.get(ident, str(ident)), frames=[one.strip() for one in told])
    for task in [*tasks][: STACKS_MAX - len(frames)]:
        where = [f"{one.f_code.co_filename}:{one.f_lineno}" for one in task.get_stack()]
        say("stack", task=task.get_name(), frames=where[-FRAMES_MAX:])


class Troubles:
    """What is wrong now. Each trouble is told when it begins and when it ends."""

    def __init__(self) -> None:
        self._since_ms: dict[str, int] = {}

    def begin(self, name: str, **fields: object) -> None:
        if name not in self._since_ms:
            self._since_ms[name] = clock.since_boot_ms()
            _LOGGER.warning(name, extra={"fields": fields})

    def end(self, name: str, **fields: object) -> None:
        since_ms = self._since_ms.pop(name, None)
        if since_ms is not None:
            lasted_s = (clock.since_boot_ms() - since_ms) // 1000
            say(f"{name}_over", lasted_s=lasted_s, **fields)

    def __contains__(self, name: str) -> bool:
        return name in self._since_ms


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "event": record.getMessage(),
            "at": at,
            "level": record.levelname.lower(),
        }
        if record.name != _LOGGER.name:
            line["from"] = record.name
        fields = getattr(record, "fields", None)
        if isinstance(fields, Mapping):
            line |= fields
        if dropped := getattr(record, "dropped", 0):
            line["dropped"] = dropped
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=_plain, ensure_ascii=False)


def _plain(value: object) -> str:
    """What JSON has no word for; foreign bytes in hex."""
    return value.hex() if isinstance(value, bytes | bytearray) else str(value)


class _Limit(logging.Filter):
    """So many lines a minute and event; the rest is counted in the next one that passes."""

    def __init__(self) -> None:
        super().__init__()
        self._minute = 0
        self._counts: dict[str, int] = {}
        self._dropped: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        minute = int(record.created * 1000) // MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        key = f"{record.name}:{record.msg}"[:120]
        if len(self._counts) >= EVENTS_MAX or len(self._dropped) >= EVENTS_MAX:
            key = "any"
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] > LINES_A_MINUTE_MAX:
            self._dropped[key] = self._dropped.get(key, 0) + 1
            return False
        if dropped := self._dropped.pop(key, 0):
            record.dropped = dropped
        return True
