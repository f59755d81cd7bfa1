"""Enrolment: hashes of tokens, requests and who decided, certificates, and what people did to keys."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "enrol_token",
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("token_sha256"),
    )
    op.create_table(
        "enrolment",
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("kid", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("csr", sa.LargeBinary(), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("hardware", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("posted_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.Column("unit_no", sa.BigInteger(), nullable=True),
        sa.Column("certificate", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("nonce"),
    )
    op.create_index("enrolment_by_unit", "enrolment", ["unit_id", "posted_ms"], unique=False)
    op.create_table(
        "certificate",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("issued_ms", sa.BigInteger(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_index("certificate_by_unit", "certificate", ["unit_no", "issued_ms"], unique=False)
    op.create_table(
        "key_act",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("kid", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("key_act_by_kid", "key_act", ["kid"], unique=False)


def downgrade() -> None:
    op.drop_index("key_act_by_kid", table_name="key_act")
    op.drop_table("key_act")
    op.drop_index("certificate_by_unit", table_name="certificate")
    op.drop_table("certificate")
    op.drop_index("enrolment_by_unit", table_name="enrolment")
    op.drop_table("enrolment")
    op.drop_table("enrol_token")
