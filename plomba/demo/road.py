"""The link of a truck as a thread of its own, so that the demo can cut it and mend it."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from plomba.demo.link import Link

ANSWER_S_MAX = 10.0


class Road:
    """A `Link` in its own event loop."""

    def __init__(self, *, port: int, broker_port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._link = Link(port=port, broker_port=broker_port)
        self._thread = threading.Thread(target=self._loop.run_forever, name="road", daemon=True)
        self._thread.start()

    @property
    def is_up(self) -> bool:
        return self._link.is_up

    def mend(self) -> None:
        """The network is there."""
        self._do(self._link.mend())

    def cut(self) -> None:
        """The network is gone."""
        self._do(self._link.cut())

    def close(self) -> None:
        """Forget the link and its thread."""
        self.cut()
        self._do(_last_words())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ANSWER_S_MAX)
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(ANSWER_S_MAX)


async def _last_words() -> None:
    """Until the connections that were cut have ended, so that no socket stays open."""
    ending = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*ending, return_exceptions=True)
    await asyncio.sleep(0)  # an aborted transport closes its socket in the next round
