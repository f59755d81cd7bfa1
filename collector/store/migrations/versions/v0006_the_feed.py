"""One rising number for all that people see: the feed. An alert's revision, who has seen it, and under which it is folded."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("INSERT INTO feed (id, number) SELECT 1, coalesce(max(number), 0) FROM tick")
    for table in ("unit_now", "alert"):  # until now the tick was the feed
        op.drop_index(f"{table}_by_tick", table_name=table)
        op.execute(f"ALTER TABLE {table} RENAME COLUMN tick_no TO feed")
        op.create_index(f"{table}_by_feed", table, ["feed"], unique=False)
    op.add_column("unit", sa.Column("feed", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index("unit_by_feed", "unit", ["feed"], unique=False)
    op.add_column("alert", sa.Column("rev", sa.BigInteger(), server_default="1", nullable=False))
    op.add_column("alert", sa.Column("seen_by", sa.Text(), nullable=True))
    op.add_column("alert", sa.Column("under", sa.LargeBinary(), nullable=True))
    op.add_column("alert", sa.Column("folded", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("alert", sa.Column("chatter_ms", sa.BigInteger(), nullable=True))
    op.create_index("alert_by_state", "alert", ["state", "unit"], unique=False)
    op.create_table(
        "unit_left",
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("feed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("unit_no", "scope"),
    )
    op.create_index("unit_left_by_feed", "unit_left", ["feed"], unique=False)


def downgrade() -> None:
    op.drop_table("unit_left")
    op.drop_index("alert_by_state", table_name="alert")
    with op.batch_alter_table("alert") as alert:
        for name in ("rev", "seen_by", "under", "folded", "chatter_ms"):
            alert.drop_column(name)
    op.drop_index("unit_by_feed", table_name="unit")
    with op.batch_alter_table("unit") as unit:
        unit.drop_column("feed")
    for table in ("unit_now", "alert"):
        op.drop_index(f"{table}_by_feed", table_name=table)
        op.execute(f"ALTER TABLE {table} RENAME COLUMN feed TO tick_no")
        op.create_index(f"{table}_by_tick", table, ["tick_no"], unique=False)
    op.drop_table("feed")
