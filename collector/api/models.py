"""What the API says, field by field. Unknown is null, never a zero; times are RFC 3339 in UTC with milliseconds."""

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

OPEN: JsonDict = {"additionalProperties": True}  # in the schema; of ours each is named


class Answer(BaseModel):
    """Frozen, and no field that is not named here."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Chain(Answer):
    """How much of the unit's current chain is here."""

    id: str = Field(description="32 hex digits")
    through: int = Field(description="newest batch settled in order; -1: none")


class UnitKey(Answer):
    kid: str = Field(description="16 hex digits")
    fingerprint: str = Field(
        description="first 16 hex digits of SHA-256 of the key, in four groups"
    )
    revoked: bool


class Unit(Answer):
    """A unit and its newest good position in event time; all of the position is null if none was ever received."""

    unit: str
    no: int = Field(description="its number, as on the live line")
    plate: str | None = Field(description="of its journey, else of the vehicle it is built into")
    at: str | None = Field(description="when it was there")
    age_s: int | None = Field(description="seconds since `at`, by the collector's clock")
    old: bool | None = Field(description="over 15 minutes: where it was, not where it is")
    lat: float | None
    lon: float | None
    speed_m_s: float | None
    course_deg: float | None
    heard_at: str | None = Field(description="when anything with a good signature came last")
    heard_age_s: int | None
    link: str | None = Field(
        description="up or down as the broker says; an unsigned hint; null: it said nothing"
    )
    alerts_open: int


class UnitDetail(Unit):
    chain: Chain | None
    batches_parked: int = Field(description="came ahead of a gap and wait for it to close")
    batches_owed: int = Field(description="that the unit said it holds and that are not settled")
    keys: list[UnitKey]


class Units(Answer):
    units: list[Unit]
    more: str | None = Field(description="`after` of the next page; null: that was all")


class TrackPoint(Answer):
    at: str
    said_at: str | None = Field(
        description="what the unit's clock said, if the unit has restated it later; null: `at` is what was said"
    )
    chain: str
    seq: int
    lat: float
    lon: float
    speed_m_s: float | None
    course_deg: float | None
    hdop: float | None
    alt_m: float | None
    sats: int | None


class Track(Answer):
    unit: str
    begin: str
    end: str
    points: list[TrackPoint]
    left_out: int = Field(description="points between those shown, left out because of points_max")


class OrderAct(Answer):
    """One change of an order."""

    at: str
    act: str = Field(description="give, send, expire, withdraw, or what the unit's word was to it")
    state: str = Field(description="after it")
    by: str = Field(description='who: a person, "unit", or "" for the desk itself')
    why: str
    chain: str | None = Field(description="the record that holds the unit's word")
    seq: int | None


class Order(Answer):
    """What the centre ordered of a unit, and how it stands."""

    id: str = Field(description="32 hex digits")
    unit: str
    kind: str = Field(description="arm, disarm, unlock, set_config, report_now, resend_from")
    state: str = Field(
        description="PENDING, SENT, DONE, REFUSED, SILENT, EXPIRED or WITHDRAWN; open are the first two"
    )
    result: str | None = Field(description="the unit's word, as WIRE section 14 names it")
    detail: str | None
    seal: str | None
    officer: str | None
    movement: str | None
    zone: str | None = Field(description="whose outline its corners are")
    corners: int | None = Field(description="of the outline; null: it names no place")
    counter: int
    version: int | None = Field(description="of a config")
    by: str
    issued_at: str
    begins_at: str
    until: str | None = Field(description="null: it does not expire")
    sent_at: str | None = Field(description="the last time")
    sent: int = Field(description="how often")
    settled_at: str | None
    said_at: str | None = Field(description="the unit's own time of its word")
    acts: list[OrderAct]


class Orders(Answer):
    orders: list[Order]
    strays: int = Field(
        description="results of orders that were never given, or that say otherwise than before: kept, not believed"
    )
    more: str | None


class ConfigVersion(Answer):
    """A config as it was given by air."""

    version: int
    state: str
    result: str | None = Field(description="Taken, Refused or RolledBack, by the unit's word")
    by: str
    issued_at: str
    settled_at: str | None
    text: str = Field(description="TOML")


class Configs(Answer):
    unit: str
    configs: list[ConfigVersion] = Field(description="the newest first")


class Broker(Answer):
    kind: str = Field(description="embedded or mqtt")
    connected: bool
    since: str | None = Field(description="when that began")


class Kept(Answer):
    """Whether what comes in can be written down. Units keep what was not, and send it again."""

    keeps: bool
    since: str | None = Field(description="since when nothing can be written; null: it can")
    why: str = Field(description="what the store said; empty: it keeps")


class Health(Answer):
    ok: bool = Field(description="the way in is open and the store takes what comes")
    build: str
    now: str
    started: str
    broker: Broker
    store: Kept
    ingest_age_s: int | None = Field(
        description="seconds since the newest batch of any unit; null: none ever"
    )
    units: int
    alerts_open: int
    refused: dict[str, int] = Field(description="messages refused since the start, by reason")
    counts: dict[str, int] = Field(description="since the start")
    gateway: dict[str, int] | None = Field(
        description="what the gateway of seals that dial in has counted since the start; null: there is none"
    )


class Alive(Answer):
    """All that a stranger is told."""

    ok: bool = Field(description="the way in is open and the store takes what comes")
    build: str


class Refusal(Answer):
    """A message in quarantine: kept as it came, with the reason against it."""

    number: int
    at: str
    topic: str
    reason: str = Field(description="a name of WIRE section 8")
    detail: str
    size_bytes: int


class Refusals(Answer):
    refusals: list[Refusal] = Field(description="the newest first")


class Problem(Answer):
    """application/problem+json (RFC 9457). Some bear more: what has changed meanwhile, every fault of a draft."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=OPEN)

    type: str = Field(default="about:blank", description="/problems/ and the code")
    title: str
    status: int
    detail: str
    code: str
