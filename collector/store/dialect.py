"""What one engine alone knows: how a connection is opened, a transaction begun, a row inserted or updated.

Law: nothing outside this file names an engine.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, event, inspect
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool
from sqlalchemy.sql.dml import Insert

from collector.store import StoreError

BUSY_MS_MAX = 10_000  # a second process may hold the writer's lock for one commit, never for long
CACHE_KIB = 65_536  # of SQLite's pages: the indexes of a few million batches stay warm
_STEPS = Path(__file__).parent / "migrations"


def open_engine(url: str, *, is_writer: bool) -> AsyncEngine:
    """An engine for `sqlite:///path.db` or `sqlite://` (memory, for tests). StoreError for any other url."""
    if not url.startswith("sqlite://"):
        raise StoreError(
            f"store.url {url.split(':', 1)[0]}: SQLite is the only store yet, write sqlite:////absolute/path.db"
        )
    folder = Path(url.removeprefix("sqlite:///")).parent
    if not is_memory(url) and not folder.is_dir():  # a driver thread that fails to open outlives us
        raise StoreError(f"store.url: there is no directory {folder}: make it, or name another one")
    driver_url = url.replace("sqlite://", "sqlite+aiosqlite://", 1)
    pool: dict[str, Any] = {"pool_size": 1, "max_overflow": 0} if is_writer else {"pool_size": 4}
    if is_memory(url):
        pool = {"poolclass": StaticPool}
    engine = create_async_engine(driver_url, **pool)
    event.listen(engine.sync_engine, "connect", _prepare)
    begin = "BEGIN IMMEDIATE" if is_writer else "BEGIN"

    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def is_memory(url: str) -> bool:
    """True if only the connection that opened this store can see it."""
    return url in {"sqlite://", "sqlite:///:memory:"}


def migrate(connection: Connection) -> None:
    """Bring the tables to the newest step. StoreError if they are newer than this program."""
    if _is_newest(connection):
        return  # as nearly always: each command of an operator opens the store, and Alembic takes 0.3 s to load
    from alembic import command  # noqa: PLC0415  # see above
    from alembic.config import Config  # noqa: PLC0415  # see above

    config = Config()
    config.set_main_option("script_location", str(_STEPS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _is_newest(connection: Connection) -> bool:
    """True if the tables stand at the last of the steps in `migrations/versions`, by their numbers."""
    if not inspect(connection).has_table("alembic_version"):
        return False
    newest = max(path.name[1:5] for path in (_STEPS / "versions").glob("v[0-9]*.py"))
    stands = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
    return stands == [newest]


def insert(connection_dialect: str, table: Table) -> Any:  # noqa: ANN401 - two engines' inserts have no common type with on_conflict
    """An insert that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return insert_postgresql(table) if connection_dialect == "postgresql" else insert_sqlite(table)


def upsert(connection_dialect: str, table: Table) -> Insert:
    """An insert that replaces all other columns of a row with the same primary key."""
    statement = insert(connection_dialect, table)
    keys = [column.name for column in table.primary_key]
    others = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if column.name not in keys
    }
    replaced: Insert = statement.on_conflict_do_update(index_elements=keys, set_=others)
    return replaced


async def version_of(driver: Any) -> int:  # noqa: ANN401 - the driver's own connection
    """A number that changes with every commit of another connection, in any process."""
    (row,) = await driver.execute_fetchall("PRAGMA data_version")
    return int(row[0])


def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection
    connection.isolation_level = None  # SQLAlchemy says BEGIN, not the driver
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # a receipt is a promise: what is committed survives a power cut
        f"busy_timeout={BUSY_MS_MAX}",
        f"cache_size=-{CACHE_KIB}",
        "foreign_keys=ON",
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
