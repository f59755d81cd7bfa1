"""What the detectors are given, what they remember, what they found."""

from sqlalchemy import Boolean, Column, Index, Integer, Table, Text, UniqueConstraint

from collector.store.tables import Number, big, metadata, raw, text, unit_no

detector_state = Table(
    "detector_state",
    metadata,
    unit_no(primary_key=True),
    raw("blob"),
)
cross_state = (
    Table(  # what several units have told together: fleets, neighbours, a journey's, a route's
        "cross_state",
        metadata,
        Column("key", Text, primary_key=True),
        big("rev"),  # its fence: who writes it has seen it as it is
        raw("blob"),
    )
)
finding = Table(
    "finding",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    raw("id"),
    big("n"),
    text("code"),
    text("level"),
    text("priority", nullable=True),
    text("phase"),
    text("unit"),
    raw("chain", nullable=True),
    big("seq", nullable=True),
    big("at_ms"),
    big("confirmed_ms"),
    big("received_ms", nullable=True),
    Column("late", Boolean, nullable=True),
    big("lat_e7", nullable=True),
    big("lon_e7", nullable=True),
    text("zone", nullable=True),
    text("route", nullable=True),
    text("seal", nullable=True),
    raw("detail"),  # MessagePack of [value, data]
    big("tick_no"),
    UniqueConstraint("id", "n"),
    Index("finding_by_unit", "unit", "at_ms"),
)
counter = Table(
    "counter",
    metadata,
    Column("name", Text, primary_key=True),
    big("value"),
)
tick = Table(  # what the engine was given and when: a replay takes all in the same order
    "tick",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    big("now_ms"),
    big("rules_version"),
    raw("intake"),
)
rules_version = Table(
    "rules_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    big("valid_from_ms"),
    text("zones"),  # GeoJSON as it was imported
    text("routes"),
    text("thresholds"),  # TOML as it was imported
    Column("made_by", Text, nullable=False, server_default=""),  # "": before this was kept
    Column("approved_by", Text, nullable=False, server_default=""),  # "": the machine's own way
)
shape_change = Table(  # what a version changed: a leaf each (EVIDENCE section 5: zone, route, rule)
    "shape_change",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    raw("sha256", nullable=True),  # of it as it is from this version on; None: withdrawn
)
shape_draft = Table(  # proposals; what was proposed is never changed
    "shape_draft",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    big("made_ms"),
    text("made_by"),
    text("why"),
    Column("base", Integer, nullable=False),  # the version that its maker saw
    text("body"),  # JSON
    text("state"),  # waiting, approved, refused
    big("decided_ms", nullable=True),
    text("decided_by", nullable=True),
    text("decided_why", nullable=True),
    Column("version", Integer, nullable=True),  # that it became
    Index("shape_draft_by_state", "state", "number"),
)
journey = Table(
    "journey",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    text("id"),
    unit_no(),
    big("since_ms"),
    text("state"),
    Column("sealed", Boolean, nullable=False),
    raw("seals"),  # MessagePack of [text ..]
    raw("tags"),
    text("route", nullable=True),
    big("limit_ms", nullable=True),
    Column("tractor", Text, nullable=False, server_default=""),  # plates
    Column("trailer", Text, nullable=False, server_default=""),
    raw("containers", nullable=True),  # MessagePack of [text ..]; None: none
    Index("journey_by_unit", "unit_no", "since_ms"),
)
