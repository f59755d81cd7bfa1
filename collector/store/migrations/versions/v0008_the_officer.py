"""Numbers under which a truck is found, stop orders, and what officers report of seals."""

from collections.abc import Iterator
from typing import Any

import msgpack
import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("journey", sa.Column("tractor", sa.Text(), nullable=False, server_default=""))
    op.add_column("journey", sa.Column("trailer", sa.Text(), nullable=False, server_default=""))
    op.add_column("journey", sa.Column("containers", sa.LargeBinary(), nullable=True))
    known = op.create_table(
        "known_as",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("journey_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", "kind", "unit_no", "journey_no"),
    )
    op.create_index("known_as_by_unit", "known_as", ["unit_no", "kind"], unique=False)
    op.create_table(
        "stop_order",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("lifted_ms", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.Column("lifted_why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("stop_order_by_unit", "stop_order", ["unit_no"], unique=False)
    op.create_table(
        "officer_report",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("unit_no", sa.BigInteger(), nullable=False),
        sa.Column("journey", sa.Text(), nullable=False),
        sa.Column("matches", sa.Boolean(), nullable=False),
        sa.Column("seen", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("who", "key"),
    )
    op.create_index("officer_report_by_unit", "officer_report", ["unit_no", "number"], unique=False)
    rows = {
        (row["key"], row["kind"], row["unit_no"], row["journey_no"]): row
        for row in _known()
        if row["key"]
    }
    if rows:
        op.bulk_insert(known, list(rows.values()))


def downgrade() -> None:
    for table in ("officer_report", "stop_order", "known_as"):
        op.drop_table(table)
    for column in ("containers", "trailer", "tractor"):
        op.drop_column("journey", column)


def _known() -> Iterator[dict[str, Any]]:
    """What the store has known until now: units, journeys with their seals, seals that findings name."""
    connection = op.get_bind()
    units = {}
    for row in connection.execute(sa.text("SELECT number, unit_id, enrolled_ms FROM unit")):
        units[row.unit_id] = row.number
        yield _row("unit", row.unit_id, row.number, 0, row.enrolled_ms)
    journeys = sa.text("SELECT number, id, unit_no, since_ms, seals FROM journey")
    for row in connection.execute(journeys):
        yield _row("journey", row.id, row.unit_no, row.number, row.since_ms)
        for seal in msgpack.unpackb(row.seals):
            yield _row("seal", seal, row.unit_no, row.number, row.since_ms)
    heard = sa.text(
        "SELECT unit, seal, max(confirmed_ms) AS at_ms FROM finding WHERE seal IS NOT NULL GROUP BY unit, seal"
    )
    for row in connection.execute(heard):
        if row.unit in units:
            yield _row("heard", row.seal, units[row.unit], 0, row.at_ms)


def _row(kind: str, number: str, unit_no: int, journey_no: int, since_ms: int) -> dict[str, Any]:
    """The key as this step first knew it: capitals and digits, O as 0 and I as 1."""
    letters = number.upper().translate(str.maketrans("OI", "01"))
    key = "".join(letter for letter in letters if letter.isascii() and letter.isalnum())
    return {
        "key": key,
        "kind": kind,
        "unit_no": unit_no,
        "journey_no": journey_no,
        "shown": number,
        "since_ms": since_ms,
    }
