"""The tables, named after things (SCALE section 5). One row a batch, never a row a position.

Law: statements over these tables are portable; what one engine alone knows stands in `dialect.py`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

# SQLite numbers rows by itself only where the type is spelt INTEGER
_Number = BigInteger().with_variant(Integer(), "sqlite")


def _bytes(name: str, *, nullable: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=nullable)


def _big(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _small(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, SmallInteger, nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _unit_no(*, primary_key: bool = False) -> Column[int]:
    return Column("unit_no", BigInteger, primary_key=primary_key, nullable=False)


unit = Table(
    "unit",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _text("unit_id"),
    _big("enrolled_ms"),
    Column("feed", BigInteger, nullable=False, server_default="0"),  # enrolled, moved, renamed then
    Column("scope", Text, nullable=False, server_default=""),  # dotted, from the whole to the part
    UniqueConstraint("unit_id"),
    Index("unit_by_feed", "feed"),
)

unit_left = Table(  # scopes that a unit was in: whoever watches one is told that it is gone
    "unit_left",
    metadata,
    _unit_no(primary_key=True),
    Column("scope", Text, primary_key=True),
    _big("feed"),
    Index("unit_left_by_feed", "feed"),
)

feed = Table(  # one row: the number of the newest transaction that changed what people see
    "feed",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    _big("number"),
)

unit_key = Table(
    "unit_key",
    metadata,
    Column("kid", LargeBinary, primary_key=True),
    _unit_no(),
    _bytes("public_key"),
    _big("added_ms"),
    _big("revoked_ms", nullable=True),
)

enrol_token = Table(  # EVIDENCE section 3: the hash of a token, never the token
    "enrol_token",
    metadata,
    Column("token_sha256", LargeBinary, primary_key=True),
    _text("unit_id"),
    _text("made_by"),
    _big("made_ms"),
    _big("expires_ms"),
    _big("used_ms", nullable=True),
)

enrolment = Table(
    "enrolment",
    metadata,
    Column("nonce", LargeBinary, primary_key=True),  # by which the unit asks again
    _text("unit_id"),
    _bytes("kid"),
    _bytes("public_key"),
    _bytes("csr"),
    _bytes("request_sha256"),  # of the envelope: the same bytes again are the same request
    _text("hardware"),
    _text("asked_by"),  # who made the token
    _big("posted_ms"),
    _big("expires_ms"),
    _text("standing"),
    _text("decided_by", nullable=True),
    _big("decided_ms", nullable=True),
    _big("unit_no", nullable=True),
    _bytes("certificate", nullable=True),
    Index("enrolment_by_unit", "unit_id", "posted_ms"),
)

certificate = Table(  # every one that was issued to a unit
    "certificate",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    _unit_no(),
    _big("issued_ms"),
    _bytes("certificate"),
    Index("certificate_by_unit", "unit_no", "issued_ms"),
)

key_act = Table(  # what people did to evidence keys: enrol, revoke_asked, revoke
    "key_act",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _unit_no(),
    _bytes("kid"),
    _big("at_ms"),
    _text("act"),
    _text("who"),
    _text("why"),
    Index("key_act_by_kid", "kid"),
)

unit_head = Table(  # the fence: who writes anything of a unit has seen this row as it is
    "unit_head",
    metadata,
    _unit_no(primary_key=True),
    _big("rev"),
    _bytes("chain_id"),  # empty: no chain yet
    _big("batch_no"),
    _bytes("head"),
)

chain = Table(
    "chain",
    metadata,
    _unit_no(primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    _bytes("chain_id"),
    _big("through"),
    _bytes("head", nullable=True),
    _big("next_seq"),
    _big("stored_no"),
    _bytes("stored_head", nullable=True),
    _big("began_ms"),
    _small("began_quality"),
    _big("last_sealed_ms"),
    _small("last_quality"),
    _big("last_boot_no"),
    _big("last_mono_ms"),
    _bytes("successor", nullable=True),
    UniqueConstraint("unit_no", "chain_id"),
)

batch = Table(
    "batch",
    metadata,
    _unit_no(primary_key=True),
    Column("chain", Integer, primary_key=True),  # its ordinal
    Column("batch_no", BigInteger, primary_key=True),
    _bytes("head"),
    _big("first_seq"),
    _big("count"),
    _big("sealed_ms"),
    _big("rx_ms"),
    _big("early_ms", nullable=True),  # when an early copy was judged
    _big("tick_no"),
    _text("slot", nullable=True),  # hole, late_tail; None: in its order, as nearly all are
    _text("reason", nullable=True),  # refused with its link kept: the records are not used
    _big("t0_ms", nullable=True),
    _big("t1_ms", nullable=True),
    _big("min_lat_e7", nullable=True),
    _big("max_lat_e7", nullable=True),
    _big("min_lon_e7", nullable=True),
    _big("max_lon_e7", nullable=True),
    _bytes("envelope"),
    Index("batch_by_time", "unit_no", "t0_ms", "t1_ms"),
)

parked = Table(
    "parked",
    metadata,
    _unit_no(primary_key=True),
    Column("chain_id", LargeBinary, primary_key=True),
    Column("batch_no", BigInteger, primary_key=True),
    _bytes("head"),
    _bytes("prev"),
    _big("first_seq"),
    _big("count"),
    _big("sealed_ms"),
    _small("time_quality"),
    _big("boot_no"),
    _big("sealed_mono_ms"),
    Column("is_early", Boolean, nullable=False),  # only an early copy has come yet
    _big("rx_ms"),
    _big("early_ms", nullable=True),
    _text("reason", nullable=True),
    _small("genesis_reason", nullable=True),
    _bytes("prev_chain", nullable=True),
    _big("prev_batch_no", nullable=True),
    _bytes("prev_head", nullable=True),
    _big("prev_seq", nullable=True),
    _big("size_bytes"),
    _bytes("envelope"),
)

confession = Table(
    "confession",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _unit_no(),
    _bytes("chain_id"),
    _big("first_no"),
    _big("last_no"),
    _bytes("last_head", nullable=True),
    _text("why"),
    Index("confession_by_unit", "unit_no"),
)

hole = Table(
    "hole",
    metadata,
    _unit_no(primary_key=True),
    Column("chain_id", LargeBinary, primary_key=True),
    Column("first_no", BigInteger, primary_key=True),
    _big("last_no"),
    _big("first_seq"),
    _bytes("before", nullable=True),
    _bytes("after", nullable=True),
    _text("why"),
)

gap = Table(
    "gap",
    metadata,
    _unit_no(primary_key=True),
    _bytes("chain_id"),
    _big("first_no"),
    _big("last_no"),
    _big("first_seq"),
    _big("since_ms"),
    Column("is_urged", Boolean, nullable=False),
    _big("minutes"),
    _big("minute"),
    Column("is_alerted", Boolean, nullable=False),
)

fork = Table(  # proofs: the envelope that tells another history than the stored one
    "fork",
    metadata,
    _unit_no(primary_key=True),
    Column("chain_id", LargeBinary, primary_key=True),
    Column("batch_no", BigInteger, primary_key=True),
    Column("head", LargeBinary, primary_key=True),
    _big("against_no"),
    _big("rx_ms"),
    _bytes("envelope"),
)

detector_state = Table(
    "detector_state",
    metadata,
    _unit_no(primary_key=True),
    _bytes("blob"),
)

cross_state = (
    Table(  # what several units have told together: fleets, neighbours, a journey's, a route's
        "cross_state",
        metadata,
        Column("key", Text, primary_key=True),
        _big("rev"),  # its fence: who writes it has seen it as it is
        _bytes("blob"),
    )
)

unit_now = Table(
    "unit_now",
    metadata,
    _unit_no(primary_key=True),
    _big("heard_ms"),
    _big("t_ms", nullable=True),
    _big("lat_e7", nullable=True),
    _big("lon_e7", nullable=True),
    _big("speed_cm_s", nullable=True),
    _big("course_cdeg", nullable=True),
    _big("flags", nullable=True),
    _big("owes"),  # batches that the unit's last hello held and that are not settled
    _big("feed"),  # rows that changed since such a number: one indexed query
    Index("unit_now_by_feed", "feed"),
)

finding = Table(
    "finding",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _bytes("id"),
    _big("n"),
    _text("code"),
    _text("level"),
    _text("priority", nullable=True),
    _text("phase"),
    _text("unit"),
    _bytes("chain", nullable=True),
    _big("seq", nullable=True),
    _big("at_ms"),
    _big("confirmed_ms"),
    _big("received_ms", nullable=True),
    Column("late", Boolean, nullable=True),
    _big("lat_e7", nullable=True),
    _big("lon_e7", nullable=True),
    _text("zone", nullable=True),
    _text("route", nullable=True),
    _text("seal", nullable=True),
    _bytes("detail"),  # MessagePack of [value, data]
    _big("tick_no"),
    UniqueConstraint("id", "n"),
    Index("finding_by_unit", "unit", "at_ms"),
)

alert = Table(  # where an alert's life stands (DETECTION section 9); its findings tell how it came there
    "alert",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    _text("code"),
    _text("unit"),
    _text("priority"),  # the worst so far
    _text("state"),
    Column("cleared", Boolean, nullable=False),
    _text("settled", nullable=True),  # the chain's word on an early one
    _big("count"),
    _big("at_ms"),
    _big("begun_ms"),  # received
    _big("changed_ms"),
    _big("last_n"),
    _big("feed"),
    Column("rev", BigInteger, nullable=False, server_default="1"),  # one more with every change
    _text("owner", nullable=True),  # whose hands it is in
    _text("seen_by", nullable=True),  # who has acknowledged it as it stands
    _big("until_ms", nullable=True),  # when a rest or a proposal is over
    _text("proposed_by", nullable=True),
    _text("outcome", nullable=True),
    _bytes("under", nullable=True),  # the alert under which it is folded
    Column("folded", BigInteger, nullable=False, server_default="0"),  # that stand under it
    _big("chatter_ms", nullable=True),  # the newest change of a key that goes on and off
    Index("alert_by_feed", "feed"),
    Index("alert_by_state", "state", "unit"),
    Index("alert_by_unit", "unit", "at_ms"),
    Index("alert_by_until", "until_ms"),
)

alert_act = Table(  # every move of an alert: by whom ("" is a detector or time), when and why
    "alert_act",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _bytes("alert_id"),
    _big("at_ms"),
    _text("act"),
    _text("state"),  # after it
    _text("who"),
    _text("why"),
    _text("outcome", nullable=True),
    _big("until_ms", nullable=True),
    Index("alert_act_by_alert", "alert_id"),
    Index("alert_act_by_time", "at_ms"),
)

incident = Table(  # a case: what people make of one alert or several (DETECTION section 9)
    "incident",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _text("state"),
    _big("version"),  # how often it moved
    _big("opened_ms"),
    _text("opened_by"),
    _big("changed_ms"),
    _text("assignee", nullable=True),
    _text("crew", nullable=True),
    _text("outcome", nullable=True),
    _text("resolved_by", nullable=True),
    Index("incident_by_change", "changed_ms"),
)

incident_alert = Table(
    "incident_alert",
    metadata,
    Column("alert_id", LargeBinary, primary_key=True),  # one case at most
    _big("incident"),
    _big("joined_ms"),
    Index("incident_alert_by_incident", "incident"),
)

incident_act = Table(  # every move of a case: who, when, why
    "incident_act",
    metadata,
    Column("incident", BigInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    _big("at_ms"),
    _text("act"),
    _text("state"),  # after it
    _text("who"),
    _text("why"),
    _text("whom"),
    _text("outcome", nullable=True),
    _bytes("alert_id", nullable=True),  # which came to the case by this
)

notification = (
    Table(  # messages about alerts that are to go out: waiting, sending, sent, dead, moot
        "notification",
        metadata,
        Column("alert_id", LargeBinary, primary_key=True),
        Column("step", Text, primary_key=True),  # raise, worse.P1, again.7, raise+60s
        Column("target", Text, primary_key=True),
        _big("due_ms"),
        _text("state"),
        _big("tries"),
        _big("changed_ms"),
        _text("why"),
        Index("notification_due", "target", "state", "due_ms"),
    )
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _big("rx_ms"),
    _text("topic"),
    _text("reason"),
    _text("detail"),
    _big("size_bytes"),
    _bytes("message"),
)

counter = Table(
    "counter",
    metadata,
    Column("name", Text, primary_key=True),
    _big("value"),
)

tick = Table(  # what the engine was given and when: a replay takes all in the same order
    "tick",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _big("now_ms"),
    _big("rules_version"),
    _bytes("intake"),
)

rules_version = Table(
    "rules_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    _big("valid_from_ms"),
    _text("zones"),  # GeoJSON as it was imported
    _text("routes"),
    _text("thresholds"),  # TOML as it was imported
    Column("made_by", Text, nullable=False, server_default=""),  # "": before this was kept
    Column("approved_by", Text, nullable=False, server_default=""),  # "": the machine's own way
)

shape_change = Table(  # what a version changed: a leaf each (EVIDENCE section 5: zone, route, rule)
    "shape_change",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    _bytes("sha256", nullable=True),  # of it as it is from this version on; None: withdrawn
)

shape_draft = Table(  # proposals; what was proposed is never changed
    "shape_draft",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _big("made_ms"),
    _text("made_by"),
    _text("why"),
    Column("base", Integer, nullable=False),  # the version that its maker saw
    _text("body"),  # JSON
    _text("state"),  # waiting, approved, refused
    _big("decided_ms", nullable=True),
    _text("decided_by", nullable=True),
    _text("decided_why", nullable=True),
    Column("version", Integer, nullable=True),  # that it became
    Index("shape_draft_by_state", "state", "number"),
)

journey = Table(
    "journey",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _text("id"),
    _unit_no(),
    _big("since_ms"),
    _text("state"),
    Column("sealed", Boolean, nullable=False),
    _bytes("seals"),  # MessagePack of [text ..]
    _bytes("tags"),
    _text("route", nullable=True),
    _big("limit_ms", nullable=True),
    Column("tractor", Text, nullable=False, server_default=""),  # plates
    Column("trailer", Text, nullable=False, server_default=""),
    _bytes("containers", nullable=True),  # MessagePack of [text ..]; None: none
    Index("journey_by_unit", "unit_no", "since_ms"),
)

unit_order = Table(  # what the centre has ordered, and how it stands (WIRE section 14)
    "unit_order",
    metadata,
    Column("order_id", LargeBinary, primary_key=True),
    _unit_no(),
    _small("kind"),
    _big("counter"),
    _big("version", nullable=True),  # of a set_config
    _big("issued_ms"),
    _big("not_before_ms"),
    _big("not_after_ms"),
    _text("state"),
    _text("seal", nullable=True),
    _text("officer", nullable=True),
    _text("movement", nullable=True),
    _text("zone", nullable=True),  # whose outline its corners are
    _text("who"),
    _bytes("payload"),  # what is signed
    _bytes("envelope", nullable=True),  # None: not sent yet
    _big("sent_ms", nullable=True),  # the last time
    _big("sent_n"),
    _big("settled_ms", nullable=True),
    _big("result", nullable=True),
    _text("detail", nullable=True),
    _big("said_ms", nullable=True),  # the unit's time of its word
    Index("unit_order_by_unit", "unit_no", "issued_ms"),
    Index("unit_order_by_state", "state"),
)

order_act = Table(  # every change of an order: who, when, why
    "order_act",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _bytes("order_id"),
    _unit_no(),
    _big("at_ms"),
    _text("act"),
    _text("state"),  # after it
    _text("who"),  # a person, `unit`, or "" for the desk itself
    _text("why"),
    _bytes("chain_id", nullable=True),  # the record that holds the unit's word
    _big("seq", nullable=True),
    Index("order_act_by_order", "order_id"),
)

order_stray = (
    Table(  # what a unit said of orders that were never given, or said otherwise than before
        "order_stray",
        metadata,
        Column("number", _Number, primary_key=True, autoincrement=True),
        _unit_no(),
        _big("rx_ms"),
        _text("why"),
        _bytes("chain_id"),
        _big("seq"),
        _bytes("order_id", nullable=True),
        _big("kind", nullable=True),
        _big("counter", nullable=True),
        _big("version", nullable=True),
        _big("result"),
        _text("detail"),
        UniqueConstraint("unit_no", "chain_id", "seq"),
    )
)

order_counter = Table(  # the highest that a unit was given; never goes back
    "order_counter",
    metadata,
    _unit_no(primary_key=True),
    _big("counter"),
    _big("config_version"),
)

gap_close = Table(  # supervisors' acts: what is missing will not come (WIRE section 9)
    "gap_close",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _unit_no(),
    _bytes("chain_id"),
    _big("first_no"),
    _big("last_no"),
    _big("at_ms"),
    _text("who"),
    _text("why"),
    _text("outcome", nullable=True),  # closed, noted, not_missing; None: no tick has taken it yet
    _big("tick_no", nullable=True),
    Index("gap_close_open", "outcome"),
)

known_as = Table(  # numbers under which a truck is found, each in the one form of `ids.key_of`
    "known_as",
    metadata,
    Column("key", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    _unit_no(primary_key=True),
    Column("journey_no", BigInteger, primary_key=True, autoincrement=False),  # 0: of the unit
    _text("shown"),
    _big("since_ms"),
    Index("known_as_by_unit", "unit_no", "kind"),
)

stop_order = Table(  # whoever meets this truck stops it
    "stop_order",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _unit_no(),
    _big("at_ms"),
    _text("who"),
    _text("why"),
    _big("lifted_ms", nullable=True),
    _text("lifted_by", nullable=True),
    _text("lifted_why", nullable=True),
    Index("stop_order_by_unit", "unit_no"),
)

officer_report = Table(  # an officer has looked at the seal
    "officer_report",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _text("key"),
    _text("who"),
    _unit_no(),
    _text("journey"),
    Column("matches", Boolean, nullable=False),
    _text("seen"),  # the colour on the officer's screen
    _big("made_ms"),
    _big("at_ms"),
    UniqueConstraint("who", "key"),
    Index("officer_report_by_unit", "unit_no", "number"),
)

account = Table(  # who may log in
    "account",
    metadata,
    Column("user_id", Text, primary_key=True),
    _text("name"),
    _text("role"),
    _text("scope"),  # "": all
    _text("desk"),  # "": none
    _text("password", nullable=True),  # Argon2id; None: not set up yet
    _bytes("totp_secret", nullable=True),
    _big("totp_step"),  # the newest that was used
    _bytes("setup_sha256", nullable=True),  # of the one-time code
    _big("setup_until_ms", nullable=True),
    _text("made_by"),
    _big("made_ms"),
    _big("locked_ms", nullable=True),
    UniqueConstraint("setup_sha256"),
)

session = Table(  # the hash of a session's secret, never the secret
    "session",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    _text("kind"),
    _text("user_id"),
    _text("role"),
    _text("scope"),
    _text("desk"),
    _text("address"),  # from which it was opened
    _big("made_ms"),
    _big("expires_ms"),
    _big("seen_ms"),  # the last input
    _big("step_up_ms", nullable=True),
    _big("ended_ms", nullable=True),
    _text("ended_by", nullable=True),
    Index("session_by_user", "user_id", "made_ms"),
)

desk = Table(
    "desk",
    metadata,
    Column("desk_id", Text, primary_key=True),
    _text("name"),
    _text("scope"),
    _text("fallback"),  # desk that hears its alerts while it is unattended; "": none
    _text("made_by"),
    _big("made_ms"),
)

act = Table(  # every change a person makes that has no history of its own, every refusal, every log-in
    "act",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _big("at_ms"),
    _text("who"),
    _text("role"),
    _text("act"),
    _text("obj"),
    _text("scope"),  # of the object
    _text("detail"),
    Index("act_by_who", "who", "number"),
)

read = Table(  # every read of a track, of evidence, every export
    "read",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _big("at_ms"),
    _text("who"),
    _text("role"),
    _text("obj"),
    _text("purpose"),
    _text("scope"),
    _text("detail"),
    Index("read_by_obj", "obj", "number"),
    Index("read_by_who", "who", "number"),
)

read_roll = Table(  # all other reads: how often by whom in an hour
    "read_roll",
    metadata,
    Column("hour_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("who", Text, primary_key=True),
    Column("obj", Text, primary_key=True),
    _big("times"),
)

once = Table(  # changes by the key of their sender: the same again is not done again
    "once",
    metadata,
    Column("who", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    _bytes("body_sha256"),
    _big("at_ms"),
    Column("status", Integer, nullable=True),  # None: it runs yet
    _bytes("answer", nullable=True),
    Index("once_by_time", "at_ms"),
)

handover = Table(  # of a desk: the outgoing person signs, the incoming one confirms
    "handover",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _text("desk"),
    _text("scope"),
    _big("at_ms"),
    _text("outgoing"),
    _text("note"),
    _bytes("page"),  # MessagePack: ids of alerts that stood open then
    _text("incoming", nullable=True),
    _big("confirmed_ms", nullable=True),
    Index("handover_by_desk", "desk", "number"),
)
