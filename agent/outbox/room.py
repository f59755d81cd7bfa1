"""How full the store is, and what that asks of everybody.

Law: pure. A full disk is met before it is full: once a commit has failed for space even DELETE fails (EDGE section 4).
"""

from dataclasses import dataclass

from agent.outbox.store import PAGE_BYTES

STEPS = (0.50, 0.80, 0.95)  # fill at which pressure becomes 1, 2, 3
BACK = 0.05  # a step back needs so much less: no flapping
ONLY_EVIDENCE = 4
RESERVE_PAGES = 32  # a batch of evidence, its confessions and the tree's own pages
RESERVE_PART = 50  # and one page in fifty, so that deleting always has room


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Pages of the store, reckoned once a transaction."""

    pages: int  # the file's
    free_pages: int  # inside the file
    limit_pages: int  # what the file may grow to, by the settings and by the disk

    @property
    def used_pages(self) -> int:
        """Pages that hold something."""
        return self.pages - self.free_pages

    def lacks(self, need_bytes: int) -> bool:
        """Whether something must go before `need_bytes` come."""
        reserve = RESERVE_PAGES + self.limit_pages // RESERVE_PART
        need = 2 * need_bytes // PAGE_BYTES + 4  # overflow pages are never quite full
        return self.used_pages + need > self.limit_pages - reserve


def limit_pages(*, bytes_max: int, file_bytes: int, free_bytes: int, headroom_bytes: int) -> int:
    """What the file may grow to: the settings' word, or what the disk can give and keep its headroom."""
    may_grow_to = file_bytes + max(0, free_bytes - headroom_bytes)
    return max(min(bytes_max, may_grow_to) // PAGE_BYTES, 4 * RESERVE_PAGES)


def pressure_of(before: int, *, used_bytes: int, bytes_max: int) -> int:
    """The step for this fill, with its hysteresis; spare does not count."""
    fill = used_bytes / bytes_max
    level = sum(fill >= step for step in STEPS)
    if level >= before or before > len(STEPS):
        return level
    return level if fill < STEPS[level] - BACK else level + 1
