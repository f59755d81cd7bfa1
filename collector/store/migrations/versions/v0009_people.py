"""People: accounts, sessions, desks, what they did and looked at; and a scope for each unit."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("unit", sa.Column("scope", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "account",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("desk", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("totp_secret", sa.LargeBinary(), nullable=True),
        sa.Column("totp_step", sa.BigInteger(), nullable=False),
        sa.Column("setup_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("setup_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("locked_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("user_id"),
        sa.UniqueConstraint("setup_sha256"),
    )
    op.create_table(
        "session",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("desk", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("step_up_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("session_by_user", "session", ["user_id", "made_ms"], unique=False)
    op.create_table(
        "desk",
        sa.Column("desk_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("fallback", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id"),
    )
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    for table, what in (("act", "act"), ("read", "purpose")):
        op.create_table(
            table,
            sa.Column("number", number, autoincrement=True, nullable=False),
            sa.Column("at_ms", sa.BigInteger(), nullable=False),
            sa.Column("who", sa.Text(), nullable=False),
            sa.Column("role", sa.Text(), nullable=False),
            sa.Column(what, sa.Text(), nullable=False),
            sa.Column("obj", sa.Text(), nullable=False),
            sa.Column("scope", sa.Text(), nullable=False),
            sa.Column("detail", sa.Text(), nullable=False),
            sa.PrimaryKeyConstraint("number"),
        )
        op.create_index(f"{table}_by_who", table, ["who", "number"], unique=False)
    op.create_index("read_by_obj", "read", ["obj", "number"], unique=False)
    op.create_table(
        "read_roll",
        sa.Column("hour_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("obj", sa.Text(), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour_ms", "who", "obj"),
    )


def downgrade() -> None:
    for table in ("read_roll", "read", "act", "desk", "session", "account"):
        op.drop_table(table)
    with op.batch_alter_table("unit") as batch:
        batch.drop_column("scope")
