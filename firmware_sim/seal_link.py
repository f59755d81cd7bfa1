"""A seal's patience: what it says again, what it keeps, and when it tells what it kept (DEVICES 8.2). No state of the lock.

Law: a record leaves for one reason only: its acknowledgement.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from firmware_sim import Said

__all__ = ["ACK_WAIT_MS", "KEPT_MAX", "REPEATS_MAX", "Link"]

Record = TypeVar("Record")  # PEP 695 needs Python 3.12
ACK_WAIT_MS = 20_000
REPEATS_MAX = 3  # after the first time; then the record is kept
KEPT_MAX = 8_000  # the manual's flash: five days at one record a minute; then the oldest goes
SERIALS = 256  # one byte in the frame


@dataclass(slots=True, kw_only=True)
class _Waiting(Generic[Record]):
    serial: int
    record: Record
    data: bytes
    backlog: bool
    said_times: int
    due_ms: int


class Link(Generic[Record]):
    def __init__(
        self, write: Callable[[Record, int, bool], tuple[bytes, dict[str, object]]]
    ) -> None:
        """`write(record, serial, backlog)` gives the bytes and the answer sheet's note."""
        self._write = write
        self._serial = 0
        self._waiting: dict[int, _Waiting[Record]] = {}
        self._kept: deque[Record] = deque(maxlen=KEPT_MAX)

    def say(self, record: Record, now_ms: int, *, mute: bool) -> list[Said]:
        """A fresh record goes out at once, or is kept while the seal may not speak."""
        if mute:
            self._kept.append(record)
            return []
        return [self._send(record, now_ms, backlog=False)]

    def acknowledged(self, serial: int | None, now_ms: int, *, mute: bool) -> list[Said]:
        """The reader has it (None: the oldest one). The line works, so the oldest kept record follows, one at a time."""
        if serial is None and self._waiting:
            serial = next(iter(self._waiting))
        if serial is None or self._waiting.pop(serial, None) is None:
            return []
        under_way = any(waiting.backlog for waiting in self._waiting.values())
        if mute or under_way or not self._kept:
            return []
        return [self._send(self._kept.popleft(), now_ms, backlog=True)]

    def wake(self, now_ms: int, *, mute: bool) -> list[Said]:
        """Say again what nobody acknowledged, or keep it."""
        said = []
        for waiting in [each for each in self._waiting.values() if each.due_ms <= now_ms]:
            if waiting.said_times <= REPEATS_MAX and not waiting.backlog and not mute:
                waiting.said_times += 1
                waiting.due_ms = now_ms + ACK_WAIT_MS
                note = {"say": "repeat", "serial": waiting.serial}
                said.append(Said(at_ms=now_ms, data=waiting.data, note=note))
                continue
            del self._waiting[waiting.serial]
            if waiting.backlog:
                self._kept.appendleft(waiting.record)  # still the oldest
            else:
                self._kept.append(waiting.record)
        return said

    def restart(self) -> None:
        """Power came back: records in flash stay, numbers begin again, what was under way is kept."""
        self._kept.extend(waiting.record for waiting in self._waiting.values())
        self._waiting.clear()
        self._serial = 0

    def next_due_ms(self) -> int | None:
        return min((waiting.due_ms for waiting in self._waiting.values()), default=None)

    def waits(self) -> bool:
        return bool(self._waiting)

    def kept(self) -> int:
        return len(self._kept)

    def _send(self, record: Record, now_ms: int, *, backlog: bool) -> Said:
        serial, self._serial = self._serial, (self._serial + 1) % SERIALS
        if (lost := self._waiting.pop(serial, None)) is not None:
            self._kept.append(
                lost.record
            )  # the number comes round again: nobody can tell them apart
        data, note = self._write(record, serial, backlog)
        self._waiting[serial] = _Waiting(
            serial=serial,
            record=record,
            data=data,
            backlog=backlog,
            said_times=1,
            due_ms=now_ms + ACK_WAIT_MS,
        )
        return Said(at_ms=now_ms, data=data, note=note)
