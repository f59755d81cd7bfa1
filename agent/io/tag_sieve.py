"""A module says twenty times a second which tags it reads; the recorder asks once a minute (EDGE section 2).

Law: the first reading of a tag passes at once, every other at most once a second; nothing is held back to be said later.
"""

from devices import TagRead

AGAIN_MS = 1_000  # a tag is gone after 60 s: told a second too early at most
TAGS_MAX = 512  # twice what the recorder remembers; one that finds no room passes unsieved

Name = tuple[int | None, bytes]  # antenna and EPC


class TagSieve:
    """One reader's tags, and when each was let through."""

    def __init__(self) -> None:
        self._passed_ms: dict[Name, int] = {}  # oldest first

    def passes(self, fact: TagRead, mono_ms: int) -> bool:
        """Whether this reading is worth a fact."""
        name = (fact.antenna, fact.epc)
        before_ms = self._passed_ms.get(name)
        if before_ms is not None and mono_ms - before_ms < AGAIN_MS:
            return False
        self._passed_ms.pop(name, None)
        self._forget_old(mono_ms)
        if len(self._passed_ms) < TAGS_MAX:
            self._passed_ms[name] = mono_ms
        return True

    def _forget_old(self, mono_ms: int) -> None:
        while self._passed_ms:
            name, passed_ms = next(iter(self._passed_ms.items()))
            if mono_ms - passed_ms < AGAIN_MS:
                return
            del self._passed_ms[name]
