"""A message about alerts to somebody who is not at a screen: a short title, then what happened and what to do.

Law: no goods, no value and no party's name (CUSTOMS section 13); what it says stands on the screen too.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from collector.detect import Priority
from collector.texts import shown
from collector.texts.alerts import CODES, answer, entry, name
from collector.texts.catalogue import counted, text

BODY_CHARS_MAX = 3_000  # the tightest of the common services takes 4,096
TITLE_CHARS_MAX = 120


def title_of(code: str, unit: str, priority: str, language: str, *, is_unseen: bool = False) -> str:
    """`P1 Seal opened without order, uz-01`; for a supervisor with the word that nobody has acknowledged it."""
    title = text(
        "message.title", language, priority=priority, name=name(code, language), unit=shown(unit)
    )
    return text("message.unseen", language, title=title) if is_unseen else title


def body_of(code: str, told: str, priority: str, at_ms: int, language: str) -> str:
    """What happened, when, what to do and how fast."""
    at = datetime.fromtimestamp(at_ms // 1_000, UTC)
    lines = [told, text("message.at", language, time=f"{at:%Y-%m-%d %H:%M:%S}")]
    if code in CODES:
        lines.append(f"{text('label.do', language)}: {entry(code, language).do}")
    lines.append(f"{text('label.answer', language)}: {answer(Priority(priority), language)}")
    return "\n".join(lines)


def gathered(messages: Sequence[tuple[str, str]], language: str) -> tuple[str, str]:
    """Titles and bodies that are due together as one message; what does not fit is counted by the title."""
    if len(messages) == 1:
        title, body = messages[0]
    else:
        title = counted("message.many", language, len(messages))
        body = "\n\n".join(f"{one}\n{told}" for one, told in messages)
    if len(body) > BODY_CHARS_MAX:
        body = f"{body[:BODY_CHARS_MAX]}\u2026"
    return title[:TITLE_CHARS_MAX], body
