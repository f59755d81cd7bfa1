"""Alerts, the cases made of them, and the messages about them."""

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, Table, Text

from collector.store.tables import Number, big, metadata, raw, text

alert = Table(  # where an alert's life stands (DETECTION section 9); its findings tell how it came there
    "alert",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    text("code"),
    text("unit"),
    text("priority"),  # the worst so far
    text("state"),
    Column("cleared", Boolean, nullable=False),
    text("settled", nullable=True),  # the chain's word on an early one
    big("count"),
    big("at_ms"),
    big("begun_ms"),  # received
    big("changed_ms"),
    big("last_n"),
    big("feed"),
    Column("rev", BigInteger, nullable=False, server_default="1"),  # one more with every change
    text("owner", nullable=True),  # whose hands it is in
    text("seen_by", nullable=True),  # who has acknowledged it as it stands
    big("until_ms", nullable=True),  # when a rest or a proposal is over
    text("proposed_by", nullable=True),
    text("outcome", nullable=True),
    raw("under", nullable=True),  # the alert under which it is folded
    Column("folded", BigInteger, nullable=False, server_default="0"),  # that stand under it
    big("chatter_ms", nullable=True),  # the newest change of a key that goes on and off
    Index("alert_by_feed", "feed"),
    Index("alert_by_state", "state", "unit"),
    Index("alert_by_unit", "unit", "at_ms"),
    Index("alert_by_until", "until_ms"),
)
alert_act = Table(  # every move of an alert: by whom ("" is a detector or time), when and why
    "alert_act",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    raw("alert_id"),
    big("at_ms"),
    text("act"),
    text("state"),  # after it
    text("who"),
    text("why"),
    text("outcome", nullable=True),
    big("until_ms", nullable=True),
    Index("alert_act_by_alert", "alert_id"),
    Index("alert_act_by_time", "at_ms"),
)
incident = Table(  # a case: what people make of one alert or several (DETECTION section 9)
    "incident",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    text("state"),
    big("version"),  # how often it moved
    big("opened_ms"),
    text("opened_by"),
    big("changed_ms"),
    text("assignee", nullable=True),
    text("crew", nullable=True),
    text("outcome", nullable=True),
    text("resolved_by", nullable=True),
    Index("incident_by_change", "changed_ms"),
)
incident_alert = Table(
    "incident_alert",
    metadata,
    Column("alert_id", LargeBinary, primary_key=True),  # one case at most
    big("incident"),
    big("joined_ms"),
    Index("incident_alert_by_incident", "incident"),
)
incident_act = Table(  # every move of a case: who, when, why
    "incident_act",
    metadata,
    Column("incident", BigInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    big("at_ms"),
    text("act"),
    text("state"),  # after it
    text("who"),
    text("why"),
    text("whom"),
    text("outcome", nullable=True),
    raw("alert_id", nullable=True),  # which came to the case by this
)
notification = (
    Table(  # messages about alerts that are to go out: waiting, sending, sent, dead, moot
        "notification",
        metadata,
        Column("alert_id", LargeBinary, primary_key=True),
        Column("step", Text, primary_key=True),  # raise, worse.P1, again.7, raise+60s
        Column("target", Text, primary_key=True),
        big("due_ms"),
        text("state"),
        big("tries"),
        big("changed_ms"),
        text("why"),
        Index("notification_due", "target", "state", "due_ms"),
    )
)
