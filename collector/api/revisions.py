"""The revision that a person has seen, as a request names it (CUSTOMS section 14: ETag, If-Match).

Law: without one nothing of a thing that exists is changed.
"""

import re
from typing import Annotated

from fastapi import Header

from collector.api.problems import ProblemError

_TAG = re.compile(r'(?:W/)?"(\d{1,18})"', re.ASCII)

IfMatch = Annotated[str | None, Header(max_length=32, description='`"<rev>"` of the row as seen')]


def revision_of(if_match: str | None) -> int:
    """The revision that a request names; 428 without one."""
    if if_match is None:
        raise ProblemError(
            status=428,
            code="no_revision",
            title="No revision",
            detail='say which revision you have seen: If-Match: "<rev>"',
        )
    match = _TAG.fullmatch(if_match.strip())
    if match is None:
        raise ProblemError(
            status=400, code="bad_revision", title="Bad revision", detail='If-Match: "<rev>"'
        )
    return int(match[1])


def tag_of(rev: int) -> str:
    """The ETag of a revision."""
    return f'"{rev}"'
