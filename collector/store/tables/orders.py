"""What the centre has ordered of units, and what officers do at the roadside."""

from sqlalchemy import Boolean, Column, Index, LargeBinary, Table, UniqueConstraint

from collector.store.tables import Number, big, metadata, raw, small, text, unit_no

unit_order = Table(  # what the centre has ordered, and how it stands (WIRE section 14)
    "unit_order",
    metadata,
    Column("order_id", LargeBinary, primary_key=True),
    unit_no(),
    small("kind"),
    big("counter"),
    big("version", nullable=True),  # of a set_config
    big("issued_ms"),
    big("not_before_ms"),
    big("not_after_ms"),
    text("state"),
    text("seal", nullable=True),
    text("officer", nullable=True),
    text("movement", nullable=True),
    text("zone", nullable=True),  # whose outline its corners are
    text("who"),
    raw("payload"),  # what is signed
    raw("envelope", nullable=True),  # None: not sent yet
    big("sent_ms", nullable=True),  # the last time
    big("sent_n"),
    big("settled_ms", nullable=True),
    big("result", nullable=True),
    text("detail", nullable=True),
    big("said_ms", nullable=True),  # the unit's time of its word
    Index("unit_order_by_unit", "unit_no", "issued_ms"),
    Index("unit_order_by_state", "state"),
)
order_act = Table(  # every change of an order: who, when, why
    "order_act",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    raw("order_id"),
    unit_no(),
    big("at_ms"),
    text("act"),
    text("state"),  # after it
    text("who"),  # a person, `unit`, or "" for the desk itself
    text("why"),
    raw("chain_id", nullable=True),  # the record that holds the unit's word
    big("seq", nullable=True),
    Index("order_act_by_order", "order_id"),
)
order_stray = (
    Table(  # what a unit said of orders that were never given, or said otherwise than before
        "order_stray",
        metadata,
        Column("number", Number, primary_key=True, autoincrement=True),
        unit_no(),
        big("rx_ms"),
        text("why"),
        raw("chain_id"),
        big("seq"),
        raw("order_id", nullable=True),
        big("kind", nullable=True),
        big("counter", nullable=True),
        big("version", nullable=True),
        big("result"),
        text("detail"),
        UniqueConstraint("unit_no", "chain_id", "seq"),
    )
)
order_counter = Table(  # the highest that a unit was given; never goes back
    "order_counter",
    metadata,
    unit_no(primary_key=True),
    big("counter"),
    big("config_version"),
)
stop_order = Table(  # whoever meets this truck stops it
    "stop_order",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    unit_no(),
    big("at_ms"),
    text("who"),
    text("why"),
    big("lifted_ms", nullable=True),
    text("lifted_by", nullable=True),
    text("lifted_why", nullable=True),
    Index("stop_order_by_unit", "unit_no"),
)
officer_report = Table(  # an officer has looked at the seal
    "officer_report",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    text("key"),
    text("who"),
    unit_no(),
    text("journey"),
    Column("matches", Boolean, nullable=False),
    text("seen"),  # the colour on the officer's screen
    big("made_ms"),
    big("at_ms"),
    UniqueConstraint("who", "key"),
    Index("officer_report_by_unit", "unit_no", "number"),
)
