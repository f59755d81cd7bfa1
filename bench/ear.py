"""An ear at the live stream of a site's collector: which event came when, on this machine's monotonic axis."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from plomba.stream import NotLetInError, listen


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An event, and when its last byte was read."""

    at_ms: float
    name: str
    data: Mapping[str, object]
    number: int | None


class Ear:
    """Listens in a thread of its own until `close`."""

    def __init__(self, api_port: int, token: str) -> None:
        self.heard: list[Heard] = []
        self.cuts: list[str] = []
        self.is_up = threading.Event()  # the first event has come
        self._ended = threading.Event()
        self._url = f"http://127.0.0.1:{api_port}/api/v1/live/stream"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._thread = threading.Thread(target=self._listen, name="ear", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()  # the thread dies with its next event, or with us

    def first(self, code: str, after_ms: float) -> float | None:
        """When the stream told of an alert of this code that it had not told of before that time."""
        known: set[str] = set()
        for one in list(self.heard):
            ids = _ids(one, code)
            if one.at_ms >= after_ms and ids - known:
                return one.at_ms
            known |= ids
        return None

    def _listen(self) -> None:
        try:
            for told in listen(self._url, self._headers, lost=self.cuts.append):
                if self._ended.is_set():
                    return
                self.heard.append(
                    Heard(
                        at_ms=time.monotonic() * 1_000,
                        name=told.name,
                        data=told.data,
                        number=told.number,
                    )
                )
                self.is_up.set()
        except NotLetInError as error:
            self.cuts.append(str(error))


def _ids(one: Heard, code: str) -> set[str]:
    rows = one.data.get("rows")
    found = rows if one.name == "alert" and isinstance(rows, list) else []
    return {row["id"] for row in found if row["code"] == code}
