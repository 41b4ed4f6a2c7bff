"""Opens the registry and gives out transactions; the only place that knows which database it is.

SQLite: WAL, so that readers never wait for a writer; `synchronous=FULL`, so that a commit is on
disk before a receipt goes out; writers begin IMMEDIATE, so that two gateways queue up instead of
failing in the middle (sqlite.org/lang_transaction.html).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from storage.errors import StorageError, StoreAway
from storage.registry.bounded import bound_waits
from storage.sqlite_wal import use_write_ahead_log

# A writer holds the lock for one commit, a few ms; ten seconds of waiting means trouble.
LOCK_WAIT_S = 10
POSTGRESQL_CONNECT_WAIT_S = 5
# A machine that vanished is noticed by its silence: after 10 s idle, three questions 3 s apart.
_POSTGRESQL_ALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
POOL_CONNECTIONS_MAX = 10
_MIGRATIONS = Path(__file__).parent / "migrations"
_READING = "xunhu_reading"
_MIGRATION_LOCK = 7_295_610_233  # Any number that no other program on this database uses.
# sqlite.org/rescode.html: the statement itself is at fault, waiting would not help.
_SQLITE_ERROR = 1
# postgresql.org/docs/current/errcodes-appendix.html: the server is a standby, for now.
_READ_ONLY = "25006"


class Registry:
    """An open registry; safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        options: dict[str, Any] = {_READING: True}
        if engine.dialect.name == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reading = engine.execution_options(**options)

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


def open_registry(url: str, *, wait_s: int = LOCK_WAIT_S) -> Registry:
    """Open a migrated registry.

    Args:
        url: `sqlite:///PATH` or `postgresql+psycopg://...`.
        wait_s: How long a transaction waits for another before the registry counts as away.
    """
    return Registry(_engine(url, wait_s))


def migrate(url: str, version: str = "head") -> None:
    """Bring a database to a version, the newest; done once, before anything else starts.

    Raises:
        StoreAway: The database cannot be reached.
        StorageError: It holds a version that this program does not know.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    engine = _engine(url)
    try:
        with _away_is_said(), engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
                # Two that start at once: the second finds everything done.
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            config.attributes["connection"] = connection
            command.upgrade(config, version)
    except CommandError as error:
        raise StorageError(f"the registry cannot be migrated: {error}") from error
    finally:
        engine.dispose()


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        raise StorageError(
            f"a registry is sqlite:///... or postgresql+psycopg://...: {error}"
        ) from error


def _engine(url: str, wait_s: int = LOCK_WAIT_S) -> Engine:
    backend = _parsed(url).get_backend_name()
    if backend == "sqlite":
        engine = create_engine(url, connect_args={"timeout": wait_s}, pool_timeout=wait_s)
        event.listen(engine, "connect", lambda connection, _: _prepare_sqlite(connection, wait_s))
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if backend == "postgresql":
        engine = create_engine(
            url,
            pool_size=POOL_CONNECTIONS_MAX,
            pool_pre_ping=True,
            pool_timeout=wait_s,
            connect_args={
                "connect_timeout": POSTGRESQL_CONNECT_WAIT_S,
                "options": _postgresql_options(wait_s),
                **_POSTGRESQL_ALIVE,
            },
        )
        bound_waits(engine, 2 * wait_s)
        return engine
    raise StorageError(f"a registry is sqlite:///... or postgresql+psycopg://..., not {backend}")


def _postgresql_options(wait_s: int) -> str:
    # No statement of ours needs more than a few hundred ms; a transaction left open by a frozen
    # process must not hold its locks for ever.
    return (
        f"-c statement_timeout={wait_s * 1000} -c lock_timeout={wait_s * 1000}"
        f" -c idle_in_transaction_session_timeout={3 * wait_s * 1000}"
    )


def _prepare_sqlite(connection: sqlite3.Connection, wait_s: int) -> None:
    # The driver must not begin transactions by itself: it would begin them DEFERRED.
    connection.isolation_level = None
    use_write_ahead_log(connection, wait_s)
    connection.execute("PRAGMA foreign_keys=ON").close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get(_READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def _away_is_said() -> Iterator[None]:
    try:
        yield
    except PoolTimeoutError as error:
        raise StoreAway(f"the registry is away: {_first_line(error)}") from error
    except DBAPIError as error:
        if _is_away(error):
            raise StoreAway(f"the registry is away: {_first_line(error)}") from error
        if isinstance(error, IntegrityError):
            raise
        raise StorageError(f"the registry refused: {_first_line(error)}") from error


def _is_away(error: DBAPIError) -> bool:
    """Tell a store that may answer later from a statement that it will never take."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return isinstance(error, OperationalError) and code & 0xFF != _SQLITE_ERROR
    if getattr(error.orig, "sqlstate", None) == _READ_ONLY:
        return True
    return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
