"""For all tests: a new store's tables are made from a copy of the steps' outcome, not by walking all steps each time.

A thousand tests open a store, and twelve steps take a tenth of a second each time. That the steps lead there is `test_store`'s to show,
which walks them.
"""

import gc
from functools import cache

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Connection, create_engine, inspect

from collector.store import database, dialect

# A law is about values; how long an example takes is the machine's affair. With twenty processes on two cores two laws of the seal's
# frames failed that hold: hypothesis allows a fifth of a second, and wants its examples made quickly.
settings.register_profile(
    "unhurried",
    parent=settings.default,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("unhurried")

WALKS = "test_store"  # tests of the steps themselves


def pytest_collection_finish() -> None:
    """What was imported stays: walking it again and again for garbage takes a fifth of the time of all tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True)
def _tables(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    is_live = request.node.get_closest_marker("live") is not None
    if not is_live and request.module.__name__.rpartition(".")[2] != WALKS:
        monkeypatch.setattr(database, "migrate", _lay)


def _lay(connection: Connection) -> None:
    if inspect(connection).has_table("alembic_version"):
        dialect.migrate(connection)
        return
    for statement in _newest():
        connection.exec_driver_sql(statement)


@cache
def _newest() -> tuple[str, ...]:
    """What the steps make of nothing, as statements."""
    engine = create_engine("sqlite://")
    try:
        with engine.connect() as connection:
            dialect.migrate(connection)
            connection.commit()
            made = connection.connection.driver_connection
            assert made is not None
            return tuple(
                one for one in made.iterdump() if one not in ("BEGIN TRANSACTION;", "COMMIT;")
            )
    finally:
        engine.dispose()
