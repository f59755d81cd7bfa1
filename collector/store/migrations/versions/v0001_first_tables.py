"""The first tables: units, chains, batches, findings, alerts and the log of ticks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alert",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cleared", sa.Boolean(), nullable=False),
        sa.Column("settled", sa.Text(), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("begun_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_n", sa.BigInteger(), nullable=False),
        sa.Column("tick_no", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("alert_by_tick", "alert", ["tick_no"], unique=False)
    op.create_index("alert_by_unit", "alert", ["unit", "at_ms"], unique=False)
    op.create_table(
        "batch",
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("chain", sa.Integer(), nullable=False),
        sa.Column("batch_no", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("sealed_ms", sa.BigInteger(), nullable=False),
        sa.Column("rx_ms", sa.BigInteger(), nullable=False),
        sa.Column("early_ms", sa.BigInteger(), nullable=True),
        sa.Column("tick_no", sa.BigInteger(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("t0_ms", sa.BigInteger(), nullable=True),
        sa.Column("t1_ms", sa.BigInteger(), nullable=True),
        sa.Column("min_lat_e7", sa.BigInteger(), nullable=True),
        sa.Column("max_lat_e7", sa.BigInteger(), nullable=True),
        sa.Column("min_lon_e7", sa.BigInteger(), nullable=True),
        sa.Column("max_lon_e7", sa.BigInteger(), nullable=True),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("unit_no", "chain", "batch_no"),
    )
    op.create_index("batch_by_time", "batch", ["unit_no", "t0_ms", "t1_ms"], unique=False)
    op.create_table(
        "chain",
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("chain_id", sa.LargeBinary(), nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=True),
        sa.Column("next_seq", sa.BigInteger(), nullable=False),
        sa.Column("stored_no", sa.BigInteger(), nullable=False),
        sa.Column("stored_head", sa.LargeBinary(), nullable=True),
        sa.Column("began_ms", sa.BigInteger(), nullable=False),
        sa.Column("began_quality", sa.SmallInteger(), nullable=False),
        sa.Column("last_sealed_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_quality", sa.SmallInteger(), nullable=False),
        sa.Column("last_boot_no", sa.BigInteger(), nullable=False),
        sa.Column("last_mono_ms", sa.BigInteger(), nullable=False),
        sa.Column("successor", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("unit_no", "ordinal"),
        sa.UniqueConstraint("unit_no", "chain_id"),
    )
    op.create_table(
        "confession",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("chain_id", sa.LargeBinary(), nullable=False),
        sa.Column("first_no", sa.BigInteger(), nullable=False),
        sa.Column("last_no", sa.BigInteger(), nullable=False),
        sa.Column("last_head", sa.LargeBinary(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("confession_by_unit", "confession", ["unit_no"], unique=False)
    op.create_table(
        "counter",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "detector_state",
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("unit_no"),
    )
    op.create_table(
        "finding",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=True),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("chain", sa.LargeBinary(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_ms", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=True),
        sa.Column("late", sa.Boolean(), nullable=True),
        sa.Column("lat_e7", sa.BigInteger(), nullable=True),
        sa.Column("lon_e7", sa.BigInteger(), nullable=True),
        sa.Column("zone", sa.Text(), nullable=True),
        sa.Column("route", sa.Text(), nullable=True),
        sa.Column("seal", sa.Text(), nullable=True),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.Column("tick_no", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id", "n"),
    )
    op.create_index("finding_by_unit", "finding", ["unit", "at_ms"], unique=False)
    op.create_table(
        "fork",
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("chain_id", sa.LargeBinary(), nullable=False),
        sa.Column("batch_no", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("against_no", sa.BigInteger(), nullable=False),
        sa.Column("rx_ms", sa.BigInteger(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("unit_no", "chain_id", "batch_no", "head"),
    )
    op.create_table(
        "gap",
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("chain_id", sa.LargeBinary(), nullable=False),
        sa.Column("first_no", sa.BigInteger(), nullable=False),
        sa.Column("last_no", sa.BigInteger(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("is_urged", sa.Boolean(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("is_alerted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("unit_no"),
    )
    op.create_table(
        "hole",
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("chain_id", sa.LargeBinary(), nullable=False),
        sa.Column("first_no", sa.BigInteger(), nullable=False),
        sa.Column("last_no", sa.BigInteger(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("before", sa.LargeBinary(), nullable=True),
        sa.Column("after", sa.LargeBinary(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("unit_no", "chain_id", "first_no"),
    )
    op.create_table(
        "journey",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Boolean(), nullable=False),
        sa.Column("seals", sa.LargeBinary(), nullable=False),
        sa.Column("tags", sa.LargeBinary(), nullable=False),
        sa.Column("route", sa.Text(), nullable=True),
        sa.Column("limit_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("journey_by_unit", "journey", ["unit_no", "since_ms"], unique=False)
    op.create_table(
        "parked",
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("chain_id", sa.LargeBinary(), nullable=False),
        sa.Column("batch_no", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("prev", sa.LargeBinary(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("sealed_ms", sa.BigInteger(), nullable=False),
        sa.Column("time_quality", sa.SmallInteger(), nullable=False),
        sa.Column("boot_no", sa.BigInteger(), nullable=False),
        sa.Column("sealed_mono_ms", sa.BigInteger(), nullable=False),
        sa.Column("is_early", sa.Boolean(), nullable=False),
        sa.Column("rx_ms", sa.BigInteger(), nullable=False),
        sa.Column("early_ms", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("genesis_reason", sa.SmallInteger(), nullable=True),
        sa.Column("prev_chain", sa.LargeBinary(), nullable=True),
        sa.Column("prev_batch_no", sa.BigInteger(), nullable=True),
        sa.Column("prev_head", sa.LargeBinary(), nullable=True),
        sa.Column("prev_seq", sa.BigInteger(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("unit_no", "chain_id", "batch_no"),
    )
    op.create_table(
        "quarantine",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("rx_ms", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "rules_version",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("valid_from_ms", sa.BigInteger(), nullable=False),
        sa.Column("zones", sa.Text(), nullable=False),
        sa.Column("routes", sa.Text(), nullable=False),
        sa.Column("thresholds", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "tick",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("now_ms", sa.BigInteger(), nullable=False),
        sa.Column("rules_version", sa.BigInteger(), nullable=False),
        sa.Column("intake", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "unit",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("enrolled_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("unit_id"),
    )
    op.create_table(
        "unit_head",
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("chain_id", sa.LargeBinary(), nullable=False),
        sa.Column("batch_no", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("unit_no"),
    )
    op.create_table(
        "unit_key",
        sa.Column("kid", sa.LargeBinary(), nullable=False),
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("added_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("kid"),
    )
    op.create_table(
        "unit_now",
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("heard_ms", sa.BigInteger(), nullable=False),
        sa.Column("t_ms", sa.BigInteger(), nullable=True),
        sa.Column("lat_e7", sa.BigInteger(), nullable=True),
        sa.Column("lon_e7", sa.BigInteger(), nullable=True),
        sa.Column("speed_cm_s", sa.BigInteger(), nullable=True),
        sa.Column("course_cdeg", sa.BigInteger(), nullable=True),
        sa.Column("flags", sa.BigInteger(), nullable=True),
        sa.Column("owes", sa.BigInteger(), nullable=False),
        sa.Column("tick_no", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("unit_no"),
    )
    op.create_index("unit_now_by_tick", "unit_now", ["tick_no"], unique=False)
    op.create_table(
        "unit_order",
        sa.Column("order_id", sa.LargeBinary(), nullable=False),
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("issued_ms", sa.BigInteger(), nullable=False),
        sa.Column("not_after_ms", sa.BigInteger(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("sent_ms", sa.BigInteger(), nullable=True),
        sa.Column("settled_ms", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.SmallInteger(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("order_id"),
    )
    op.create_index("unit_order_open", "unit_order", ["settled_ms"], unique=False)


def downgrade() -> None:
    op.drop_index("unit_order_open", table_name="unit_order")
    op.drop_table("unit_order")
    op.drop_index("unit_now_by_tick", table_name="unit_now")
    op.drop_table("unit_now")
    op.drop_table("unit_key")
    op.drop_table("unit_head")
    op.drop_table("unit")
    op.drop_table("tick")
    op.drop_table("rules_version")
    op.drop_table("quarantine")
    op.drop_table("parked")
    op.drop_index("journey_by_unit", table_name="journey")
    op.drop_table("journey")
    op.drop_table("hole")
    op.drop_table("gap")
    op.drop_table("fork")
    op.drop_index("finding_by_unit", table_name="finding")
    op.drop_table("finding")
    op.drop_table("detector_state")
    op.drop_table("counter")
    op.drop_index("confession_by_unit", table_name="confession")
    op.drop_table("confession")
    op.drop_table("chain")
    op.drop_index("batch_by_time", table_name="batch")
    op.drop_table("batch")
    op.drop_index("alert_by_unit", table_name="alert")
    op.drop_index("alert_by_tick", table_name="alert")
    op.drop_table("alert")
