"""What people do to alerts: owner, rest, proposal and outcome of an alert, and a row for each move."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, kind in (
        ("owner", sa.Text()),
        ("until_ms", sa.BigInteger()),
        ("proposed_by", sa.Text()),
        ("outcome", sa.Text()),
    ):
        op.add_column("alert", sa.Column(name, kind, nullable=True))
    op.create_index("alert_by_until", "alert", ["until_ms"], unique=False)
    op.create_table(
        "alert_act",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("alert_id", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("until_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("alert_act_by_alert", "alert_act", ["alert_id"], unique=False)
    op.create_index("alert_act_by_time", "alert_act", ["at_ms"], unique=False)


def downgrade() -> None:
    op.drop_table("alert_act")
    op.drop_index("alert_by_until", table_name="alert")
    with op.batch_alter_table("alert") as alert:
        for name in ("owner", "until_ms", "proposed_by", "outcome"):
            alert.drop_column(name)
