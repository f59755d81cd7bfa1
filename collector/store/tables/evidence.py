"""What units have signed: chains, batches, what is missing, what forks; and what nobody could use."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
)

from collector.store.tables import Number, big, metadata, raw, small, text, unit_no

unit_head = Table(  # the fence: who writes anything of a unit has seen this row as it is
    "unit_head",
    metadata,
    unit_no(primary_key=True),
    big("rev"),
    raw("chain_id"),  # empty: no chain yet
    big("batch_no"),
    raw("head"),
)
chain = Table(
    "chain",
    metadata,
    unit_no(primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    raw("chain_id"),
    big("through"),
    raw("head", nullable=True),
    big("next_seq"),
    big("stored_no"),
    raw("stored_head", nullable=True),
    big("began_ms"),
    small("began_quality"),
    big("last_sealed_ms"),
    small("last_quality"),
    big("last_boot_no"),
    big("last_mono_ms"),
    raw("successor", nullable=True),
    UniqueConstraint("unit_no", "chain_id"),
)
batch = Table(
    "batch",
    metadata,
    unit_no(primary_key=True),
    Column("chain", Integer, primary_key=True),  # its ordinal
    Column("batch_no", BigInteger, primary_key=True),
    raw("head"),
    big("first_seq"),
    big("count"),
    big("sealed_ms"),
    big("rx_ms"),
    big("early_ms", nullable=True),  # when an early copy was judged
    big("tick_no"),
    text("slot", nullable=True),  # hole, late_tail; None: in its order, as nearly all are
    text("reason", nullable=True),  # refused with its link kept: the records are not used
    big("t0_ms", nullable=True),
    big("t1_ms", nullable=True),
    big("min_lat_e7", nullable=True),
    big("max_lat_e7", nullable=True),
    big("min_lon_e7", nullable=True),
    big("max_lon_e7", nullable=True),
    raw("envelope"),
    Index("batch_by_time", "unit_no", "t0_ms", "t1_ms"),
)
parked = Table(
    "parked",
    metadata,
    unit_no(primary_key=True),
    Column("chain_id", LargeBinary, primary_key=True),
    Column("batch_no", BigInteger, primary_key=True),
    raw("head"),
    raw("prev"),
    big("first_seq"),
    big("count"),
    big("sealed_ms"),
    small("time_quality"),
    big("boot_no"),
    big("sealed_mono_ms"),
    Column("is_early", Boolean, nullable=False),  # only an early copy has come yet
    big("rx_ms"),
    big("early_ms", nullable=True),
    text("reason", nullable=True),
    small("genesis_reason", nullable=True),
    raw("prev_chain", nullable=True),
    big("prev_batch_no", nullable=True),
    raw("prev_head", nullable=True),
    big("prev_seq", nullable=True),
    big("size_bytes"),
    raw("envelope"),
)
confession = Table(
    "confession",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    unit_no(),
    raw("chain_id"),
    big("first_no"),
    big("last_no"),
    raw("last_head", nullable=True),
    text("why"),
    Index("confession_by_unit", "unit_no"),
)
hole = Table(
    "hole",
    metadata,
    unit_no(primary_key=True),
    Column("chain_id", LargeBinary, primary_key=True),
    Column("first_no", BigInteger, primary_key=True),
    big("last_no"),
    big("first_seq"),
    raw("before", nullable=True),
    raw("after", nullable=True),
    text("why"),
)
gap = Table(
    "gap",
    metadata,
    unit_no(primary_key=True),
    raw("chain_id"),
    big("first_no"),
    big("last_no"),
    big("first_seq"),
    big("since_ms"),
    Column("is_urged", Boolean, nullable=False),
    big("minutes"),
    big("minute"),
    Column("is_alerted", Boolean, nullable=False),
)
fork = Table(  # proofs: the envelope that tells another history than the stored one
    "fork",
    metadata,
    unit_no(primary_key=True),
    Column("chain_id", LargeBinary, primary_key=True),
    Column("batch_no", BigInteger, primary_key=True),
    Column("head", LargeBinary, primary_key=True),
    big("against_no"),
    big("rx_ms"),
    raw("envelope"),
)
gap_close = Table(  # supervisors' acts: what is missing will not come (WIRE section 9)
    "gap_close",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    unit_no(),
    raw("chain_id"),
    big("first_no"),
    big("last_no"),
    big("at_ms"),
    text("who"),
    text("why"),
    text("outcome", nullable=True),  # closed, noted, not_missing; None: no tick has taken it yet
    big("tick_no", nullable=True),
    Index("gap_close_open", "outcome"),
)
quarantine = Table(
    "quarantine",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    big("rx_ms"),
    text("topic"),
    text("reason"),
    text("detail"),
    big("size_bytes"),
    raw("message"),
)
