"""Alerts as the API says them, field by field. Unknown is null; times are milliseconds of POSIX UTC, as on the live line."""

from typing import Literal

from pydantic import Field

from collector.alerts import OUTCOMES, REASON_CHARS_MAX
from collector.api.models import Answer

GROUP_MAX = 50  # acknowledged together (CONSOLE section 7)
ID = r"^[0-9a-f]{32}$"


class Town(Answer):
    """So many km in such a direction of a town; its names stand in the basemap's `places.json`."""

    km: int
    dir: Literal["N", "NE", "E", "SE", "S", "SW", "W", "NW"]
    of: int


class Parameters(Answer):
    """What a sentence of the code is made with."""

    value: int | float | str | None
    seal: str | None
    zone: str | None
    route: str | None
    phase: str | None
    data: dict[str, object]


class AlertRow(Answer):
    """An alert as list, stream and answers have it."""

    id: str
    rev: int = Field(description="one more with every change; the ETag")
    no: int | None = Field(description="the unit's number")
    unit: str
    plate: str = Field(description="what people call it: a plate, else the unit_id")
    code: str
    p: Parameters
    prio: int = Field(description="1 critical, 2 high, 3 medium; 0: an event, no alert")
    stage: str = Field(description="its state, by DETECTION section 9")
    since: int = Field(description="when it happened")
    said_at: int | None = Field(
        description="what the unit's clock said, if the unit restated it later"
    )
    heard: int = Field(description="when the centre received the proof")
    changed: int
    late: bool | None = Field(description="came out of a backlog")
    early: bool = Field(description="known from an early copy; settling")
    cleared: bool = Field(description="its cause is over")
    withdrawn: bool = Field(description="the chain knows better than the early copy")
    count: int = Field(description="how often it was told")
    seen_by: str | None
    owner: str | None
    outcome: str | None
    until: int | None = Field(description="when a rest or a proposal to close is over")
    proposed_by: str | None
    under: str | None = Field(description="the alert under which it is folded")
    more: int = Field(description="how many are folded under it")
    chatter: int | None = Field(description="the newest change of a key that goes on and off")
    lon: float | None
    lat: float | None
    place: Town | None


class Counts(Answer):
    """The strip's numbers."""

    alerts: dict[str, list[int]] = Field(
        description="by priority: not acknowledged, acknowledged; what is folded is counted"
    )
    shelved: int
    stale: int
    last10: int = Field(description="annunciated in ten minutes")
    flood: bool


class AlertPage(Answer):
    rows: list[AlertRow]
    counts: Counts
    feed: int = Field(description="from which the stream goes on")
    more: str | None = Field(description="`after` of the next page; null: that was all")


class Meaning(Answer):
    """The catalogue's row of a code."""

    name: str
    what: str
    cause: str
    do: str
    minutes: int = Field(description="to answer")
    latched: bool = Field(description="two persons close it")


class DoneRow(Answer):
    """One thing that was done to an alert, or found about it."""

    at: int
    act: str
    state: str | None = Field(description="after it; null: a finding that moved nothing")
    who: str = Field(description='a person; "" is a detector or time')
    why: str
    outcome: str | None
    until: int | None


class AlertDetail(Answer):
    alert: AlertRow
    sentence: str
    meaning: Meaning | None = Field(description="null: a code that is newer than the catalogue")
    possible: list[str] = Field(description="what may be done now, by whoever has the right")
    acts: list[DoneRow] = Field(description="in order")
    folded: list[AlertRow] = Field(description="those that stand under it")
    case: int | None = Field(description="the number of its case; null: none was opened")


class Said(Answer):
    """What a person says with an act. Which of it is needed depends on the act."""

    reason: str = Field(default="", max_length=REASON_CHARS_MAX)
    outcome: str = Field(default="", max_length=40, description=", ".join(OUTCOMES))
    for_s: int | None = Field(default=None, ge=1, le=30 * 86_400, description="how long it rests")
    until: int | None = Field(default=None, ge=0, description="until when, instead of `for_s`")
    to: str = Field(
        default="",
        max_length=64,
        description="of assign: in whose hands it is then; of dispatch: who is sent",
    )


class OneSeen(Answer):
    """An alert as somebody has seen it."""

    id: str = Field(pattern=ID)
    rev: int = Field(ge=1)


class Group(Answer):
    """Alerts of one cause, acknowledged together."""

    alerts: list[OneSeen] = Field(min_length=1, max_length=GROUP_MAX)


class Refused(Answer):
    id: str
    code: str
    detail: str


class GroupDone(Answer):
    rows: list[AlertRow] = Field(description="as they stand now, the refused too")
    refused: list[Refused]
