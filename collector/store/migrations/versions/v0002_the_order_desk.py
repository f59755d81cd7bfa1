"""The order desk: orders with their lives, what units said of none of them, counters, and supervisors' acts on gaps."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nothing could give an order before this step, no command and no route: the table of before is empty
    op.drop_index("unit_order_open", table_name="unit_order")
    op.drop_table("unit_order")
    op.create_table(
        "unit_order",
        sa.Column("order_id", sa.LargeBinary(), nullable=False),
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.Column("issued_ms", sa.BigInteger(), nullable=False),
        sa.Column("not_before_ms", sa.BigInteger(), nullable=False),
        sa.Column("not_after_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("seal", sa.Text(), nullable=True),
        sa.Column("officer", sa.Text(), nullable=True),
        sa.Column("movement", sa.Text(), nullable=True),
        sa.Column("zone", sa.Text(), nullable=True),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=True),
        sa.Column("sent_ms", sa.BigInteger(), nullable=True),
        sa.Column("sent_n", sa.BigInteger(), nullable=False),
        sa.Column("settled_ms", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.BigInteger(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("said_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("order_id"),
    )
    op.create_index("unit_order_by_unit", "unit_order", ["unit_no", "issued_ms"], unique=False)
    op.create_index("unit_order_by_state", "unit_order", ["state"], unique=False)
    op.create_table(
        "order_act",
        _number(),
        sa.Column("order_id", sa.LargeBinary(), nullable=False),
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("chain_id", sa.LargeBinary(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("order_act_by_order", "order_act", ["order_id"], unique=False)
    op.create_table(
        "order_stray",
        _number(),
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("rx_ms", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("chain_id", sa.LargeBinary(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.LargeBinary(), nullable=True),
        sa.Column("kind", sa.BigInteger(), nullable=True),
        sa.Column("counter", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("unit_no", "chain_id", "seq"),
    )
    op.create_table(
        "order_counter",
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("config_version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("unit_no"),
    )
    op.create_table(
        "gap_close",
        _number(),
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("chain_id", sa.LargeBinary(), nullable=False),
        sa.Column("first_no", sa.BigInteger(), nullable=False),
        sa.Column("last_no", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("tick_no", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("gap_close_open", "gap_close", ["outcome"], unique=False)


def downgrade() -> None:
    op.drop_index("gap_close_open", table_name="gap_close")
    op.drop_table("gap_close")
    op.drop_table("order_counter")
    op.drop_table("order_stray")
    op.drop_index("order_act_by_order", table_name="order_act")
    op.drop_table("order_act")
    op.drop_index("unit_order_by_state", table_name="unit_order")
    op.drop_index("unit_order_by_unit", table_name="unit_order")
    op.drop_table("unit_order")
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


def _number() -> sa.Column[int]:
    return sa.Column(
        "number",
        sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
        autoincrement=True,
        nullable=False,
    )
