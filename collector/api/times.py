"""Times as the API says them: RFC 3339 in UTC with milliseconds."""

from datetime import UTC, datetime


def rfc3339(at_ms: int) -> str:
    # By parts: a float of seconds would lose the last millisecond of late years.
    moment = datetime.fromtimestamp(at_ms // 1_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1_000:03}Z"


def maybe(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)
