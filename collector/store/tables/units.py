"""Units, their keys, how they were let in, and where they are now."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from collector.store.tables import Number, big, metadata, raw, text, unit_no

unit = Table(
    "unit",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    text("unit_id"),
    big("enrolled_ms"),
    Column("feed", BigInteger, nullable=False, server_default="0"),  # enrolled, moved, renamed then
    Column("scope", Text, nullable=False, server_default=""),  # dotted, from the whole to the part
    UniqueConstraint("unit_id"),
    Index("unit_by_feed", "feed"),
)
unit_left = Table(  # scopes that a unit was in: whoever watches one is told that it is gone
    "unit_left",
    metadata,
    unit_no(primary_key=True),
    Column("scope", Text, primary_key=True),
    big("feed"),
    Index("unit_left_by_feed", "feed"),
)
feed = Table(  # one row: the number of the newest transaction that changed what people see
    "feed",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    big("number"),
)
unit_key = Table(
    "unit_key",
    metadata,
    Column("kid", LargeBinary, primary_key=True),
    unit_no(),
    raw("public_key"),
    big("added_ms"),
    big("revoked_ms", nullable=True),
)
enrol_token = Table(  # EVIDENCE section 3: the hash of a token, never the token
    "enrol_token",
    metadata,
    Column("token_sha256", LargeBinary, primary_key=True),
    text("unit_id"),
    text("made_by"),
    big("made_ms"),
    big("expires_ms"),
    big("used_ms", nullable=True),
)
enrolment = Table(
    "enrolment",
    metadata,
    Column("nonce", LargeBinary, primary_key=True),  # by which the unit asks again
    text("unit_id"),
    raw("kid"),
    raw("public_key"),
    raw("csr"),
    raw("request_sha256"),  # of the envelope: the same bytes again are the same request
    text("hardware"),
    text("asked_by"),  # who made the token
    big("posted_ms"),
    big("expires_ms"),
    text("standing"),
    text("decided_by", nullable=True),
    big("decided_ms", nullable=True),
    big("unit_no", nullable=True),
    raw("certificate", nullable=True),
    Index("enrolment_by_unit", "unit_id", "posted_ms"),
)
certificate = Table(  # every one that was issued to a unit
    "certificate",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    unit_no(),
    big("issued_ms"),
    raw("certificate"),
    Index("certificate_by_unit", "unit_no", "issued_ms"),
)
key_act = Table(  # what people did to evidence keys: enrol, revoke_asked, revoke
    "key_act",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    unit_no(),
    raw("kid"),
    big("at_ms"),
    text("act"),
    text("who"),
    text("why"),
    Index("key_act_by_kid", "kid"),
)
unit_now = Table(
    "unit_now",
    metadata,
    unit_no(primary_key=True),
    big("heard_ms"),
    big("t_ms", nullable=True),
    big("lat_e7", nullable=True),
    big("lon_e7", nullable=True),
    big("speed_cm_s", nullable=True),
    big("course_cdeg", nullable=True),
    big("flags", nullable=True),
    big("owes"),  # batches that the unit's last hello held and that are not settled
    big("feed"),  # rows that changed since such a number: one indexed query
    Index("unit_now_by_feed", "feed"),
)
known_as = Table(  # numbers under which a truck is found, each in the one form of `ids.key_of`
    "known_as",
    metadata,
    Column("key", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    unit_no(primary_key=True),
    Column("journey_no", BigInteger, primary_key=True, autoincrement=False),  # 0: of the unit
    text("shown"),
    big("since_ms"),
    Index("known_as_by_unit", "unit_no", "kind"),
)
