"""Who may log in, and everything that people did and read."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from collector.store.tables import Number, big, metadata, raw, text

account = Table(  # who may log in
    "account",
    metadata,
    Column("user_id", Text, primary_key=True),
    text("name"),
    text("role"),
    text("scope"),  # "": all
    text("desk"),  # "": none
    text("password", nullable=True),  # Argon2id; None: not set up yet
    raw("totp_secret", nullable=True),
    big("totp_step"),  # the newest that was used
    raw("setup_sha256", nullable=True),  # of the one-time code
    big("setup_until_ms", nullable=True),
    text("made_by"),
    big("made_ms"),
    big("locked_ms", nullable=True),
    UniqueConstraint("setup_sha256"),
)
session = Table(  # the hash of a session's secret, never the secret
    "session",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    text("kind"),
    text("user_id"),
    text("role"),
    text("scope"),
    text("desk"),
    text("address"),  # from which it was opened
    big("made_ms"),
    big("expires_ms"),
    big("seen_ms"),  # the last input
    big("step_up_ms", nullable=True),
    big("ended_ms", nullable=True),
    text("ended_by", nullable=True),
    Index("session_by_user", "user_id", "made_ms"),
)
desk = Table(
    "desk",
    metadata,
    Column("desk_id", Text, primary_key=True),
    text("name"),
    text("scope"),
    text("fallback"),  # desk that hears its alerts while it is unattended; "": none
    text("made_by"),
    big("made_ms"),
)
act = Table(  # every change a person makes that has no history of its own, every refusal, every log-in
    "act",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    big("at_ms"),
    text("who"),
    text("role"),
    text("act"),
    text("obj"),
    text("scope"),  # of the object
    text("detail"),
    Index("act_by_who", "who", "number"),
)
read = Table(  # every read of a track, of evidence, every export
    "read",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    big("at_ms"),
    text("who"),
    text("role"),
    text("obj"),
    text("purpose"),
    text("scope"),
    text("detail"),
    Index("read_by_obj", "obj", "number"),
    Index("read_by_who", "who", "number"),
)
read_roll = Table(  # all other reads: how often by whom in an hour
    "read_roll",
    metadata,
    Column("hour_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("who", Text, primary_key=True),
    Column("obj", Text, primary_key=True),
    big("times"),
)
once = Table(  # changes by the key of their sender: the same again is not done again
    "once",
    metadata,
    Column("who", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    raw("body_sha256"),
    big("at_ms"),
    Column("status", Integer, nullable=True),  # None: it runs yet
    raw("answer", nullable=True),
    Index("once_by_time", "at_ms"),
)
handover = Table(  # of a desk: the outgoing person signs, the incoming one confirms
    "handover",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    text("desk"),
    text("scope"),
    big("at_ms"),
    text("outgoing"),
    text("note"),
    raw("page"),  # MessagePack: ids of alerts that stood open then
    text("incoming", nullable=True),
    big("confirmed_ms", nullable=True),
    Index("handover_by_desk", "desk", "number"),
)
