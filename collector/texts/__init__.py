"""Sentences from codes, in uz, ru and en (CONSOLE section 5, DETECTION section 8).

Law: every sentence lies in `collector/web/locales`, under one key in all languages; here is only how they are put together.
What comes from units is data: it is cut, and its unprintable characters are shown as such.
"""

from collections.abc import Mapping

__all__ = ["LANGUAGES", "NAME_CHARS_MAX", "language_of", "shown"]

LANGUAGES = ("uz", "ru", "en")
NAME_CHARS_MAX = 80  # of a name from outside: a seal has 32 at most, a zone's id is a person's


def language_of(environment: Mapping[str, str]) -> str:
    """The language of a terminal, as POSIX looks for it: the first of these that is set; en if it is none of ours."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        said = environment.get(name, "")
        if said:
            language = said[:2].lower()
            is_ours = language in LANGUAGES and said[2:3] in ("", "_", ".", "@")
            return language if is_ours else "en"
    return "en"


def shown(name: object) -> str:
    """A name from outside, fit for a terminal and a message."""
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in str(name))
    return text if len(text) <= NAME_CHARS_MAX else f"{text[:NAME_CHARS_MAX]}\u2026"
