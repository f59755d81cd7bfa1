"""A draft read while it is drawn: its faults and warnings by name, and what it would change (CONSOLE section 2, Fences and routes).

Law: the words are those of the detectors' own reader, and nothing is kept: a drawing that nobody has proposed concerns nobody.
"""

from dataclasses import asdict

from fastapi import FastAPI
from pydantic import Field

from collector.api.auth import Who
from collector.api.fences import CHANGED_MAX, FAULTS_MAX, Board, Change, Drawn, Fault, read_draft
from collector.api.models import Answer


class Checked(Answer):
    """A draft without faults."""

    base: int = Field(description="the newest version, over which it was laid")
    changed: list[Change] = Field(description="100 at most")
    warnings: list[Fault]


def add_fence_checks(api: FastAPI, board: Board) -> None:
    """The route."""

    @api.post(
        "/api/v1/fences/check",
        tags=["fences"],
        summary="Read a draft: its faults (422, as of a proposal) or its warnings; nothing is kept",
    )
    async def check(who: Who, asked: Drawn) -> Checked:
        _, laid, newest = await read_draft(board, who, asked)
        return Checked(
            base=newest,
            changed=[
                Change(
                    kind=one.kind,
                    id=one.id,
                    sha256=None if one.sha256 is None else one.sha256.hex(),
                )
                for one in laid.changed[:CHANGED_MAX]
            ],
            warnings=[Fault(**asdict(one)) for one in laid.warnings[:FAULTS_MAX]],
        )
