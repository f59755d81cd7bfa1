"""Dates and times as people say them, in a zone that the caller names, and how long ago.

Law: knows no zone and no clock: the offset comes in minutes east of UTC, the age in seconds. The console says the same (lib/words.ts).
"""

from datetime import UTC, datetime

from collector.texts.catalogue import signs, text
from collector.texts.measures import span


def time(at_ms: int, offset_min: int) -> str:
    """`14:02:31`."""
    return f"{_local(at_ms, offset_min):%H:%M:%S}"


def clock(at_ms: int, offset_min: int) -> str:
    """`14:02`."""
    return f"{_local(at_ms, offset_min):%H:%M}"


def date(at_ms: int, offset_min: int, language: str) -> str:
    """`21 Sep 2026`."""
    at, said = _local(at_ms, offset_min), signs(language)
    return said.date.format(day=at.day, month=said.months[at.month - 1], year=at.year)


def moment(at_ms: int, offset_min: int, language: str) -> str:
    """`21 Sep 2026, 14:02`."""
    return signs(language).moment.format(
        date=date(at_ms, offset_min, language), time=clock(at_ms, offset_min)
    )


def ago(seconds: float, language: str) -> str:
    """`5 min ago`."""
    return text("time.ago", language, span=span(seconds, language))


def _local(at_ms: int, offset_min: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1_000 + offset_min * 60, UTC)
