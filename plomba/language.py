"""The language in which a command answers people; `--json` is the same in all of them, but for names and sentences."""

from typing import Annotated

import typer

from plomba import exits
from plomba.centre import fail, one_of

LangOption = Annotated[
    str,
    typer.Option(
        "--lang",
        help="uz, ru or en; else as LC_ALL or LANG say.",
        show_default=False,
        autocompletion=one_of("uz", "ru", "en"),
    ),
]


def language_of(said: str) -> str:
    """The language that was asked for, or that of the terminal."""
    import os

    from collector import texts

    if not said:
        return texts.language_of(os.environ)
    if said not in texts.LANGUAGES:
        fail(exits.USAGE, f"--lang is one of {', '.join(texts.LANGUAGES)}, is {said!r}")
    return said
