"""Opens the registry and gives out transactions; the only place that knows which database it is.

SQLite: WAL, so that readers never wait for a writer; `synchronous=FULL`, so that a commit is on
disk before a receipt goes out; writers begin IMMEDIATE, so that two gateways queue up instead of
failing in the middle (sqlite.org/lang_transaction.html).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from storage.errors import StorageError, StoreAway

# A writer holds the lock for one commit, a few ms; ten seconds of waiting means trouble.
LOCK_WAIT_S = 10
POSTGRESQL_CONNECT_WAIT_S = 5
POOL_CONNECTIONS_MAX = 10
_MIGRATIONS = Path(__file__).parent / "migrations"
_READING = "xunhu_reading"


class Registry:
    """An open registry; safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._reading = engine.execution_options(**{_READING: True})

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """One transaction that may write; commits at the end, rolls back on any exception.

        Raises:
            StoreAway: The database cannot be reached or cannot write now; nothing was stored.
        """
        session = Session(self.engine, expire_on_commit=False)
        with _away_is_said(), session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One transaction that only reads: takes no write lock and sees one moment throughout."""
        session = Session(self._reading, expire_on_commit=False)
        with _away_is_said(), session, session.begin():
            yield session

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_registry(url: str) -> Registry:
    """Open a migrated registry.

    Args:
        url: `sqlite:///PATH` or `postgresql+psycopg://...`.
    """
    return Registry(_engine(url))


def migrate(url: str) -> None:
    """Bring a database to the newest version; done once, before anything else starts.

    Raises:
        StoreAway: The database cannot be reached.
        StorageError: It holds a version that this program does not know.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    engine = _engine(url)
    try:
        with _away_is_said(), engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def _engine(url: str) -> Engine:
    backend = make_url(url).get_backend_name()
    if backend == "sqlite":
        engine = create_engine(url, connect_args={"timeout": LOCK_WAIT_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if backend == "postgresql":
        return create_engine(
            url,
            pool_size=POOL_CONNECTIONS_MAX,
            pool_pre_ping=True,
            connect_args={"connect_timeout": POSTGRESQL_CONNECT_WAIT_S},
        )
    raise StorageError(f"a registry is sqlite:///... or postgresql+psycopg://..., not {backend}")


def _prepare_sqlite(connection: Any, _record: Any) -> None:  # noqa: ANN401 - the driver's own
    # The driver must not begin transactions by itself: it would begin them DEFERRED.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get(_READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def _away_is_said() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise StoreAway(f"the registry is away: {_first_line(error)}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreAway(f"the registry is away: {_first_line(error)}") from error
        raise


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
