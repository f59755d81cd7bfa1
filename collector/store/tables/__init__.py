"""The tables by what they hold, and the columns that all of them are made of; `collector.store.schema` is the door to them.

Law: a unit is `unit_no` everywhere but in findings and alerts, which outlive what they name.
"""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, SmallInteger, Text

metadata = MetaData()
# SQLite numbers rows by itself only where the type is spelt INTEGER
Number = BigInteger().with_variant(Integer(), "sqlite")


def raw(name: str, *, nullable: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=nullable)


def big(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def small(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, SmallInteger, nullable=nullable)


def text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def unit_no(*, primary_key: bool = False) -> Column[int]:
    return Column("unit_no", BigInteger, primary_key=primary_key, nullable=False)
