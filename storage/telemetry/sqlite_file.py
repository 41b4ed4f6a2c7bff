"""Connections to the telemetry file: one that writes, a few that read.

WAL, so that screens read while the gateway writes; `synchronous=FULL`, because a receipt goes out
after the commit.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import StorageError, StoreAway
from storage.sqlite_wal import use_write_ahead_log
from storage.telemetry.sqlite_schema import SCHEMA, VERSION

LOCK_WAIT_S = 10
# Reading connections kept open; more are opened when more threads read at once.
_IDLE_MAX = 8
# sqlite.org/rescode.html: the statement itself is at fault, waiting would not help.
_SQLITE_ERROR = 1


class SqliteFile:
    """One SQLite file; safe to share between threads and processes."""

    def __init__(self, path: Path, wait_s: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._wait_s = wait_s
        self._idle: list[sqlite3.Connection] = []
        self._idle_lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction that writes, for one thread at a time; all of it or nothing."""
        with self._away_is_said():
            if self._writer is None:
                self._writer = self._open()
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read from, of this thread alone until the end."""
        with self._away_is_said():
            with self._idle_lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = self._open()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            with self._idle_lock:
                if len(self._idle) < _IDLE_MAX:
                    self._idle.append(connection)
                    return
            connection.close()

    def close(self) -> None:
        """Close every connection."""
        with self._idle_lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=self._wait_s, isolation_level=None, check_same_thread=False
        )
        try:
            use_write_ahead_log(connection, self._wait_s)
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Lay down the tables in an empty file; refuse a file of another version."""
        if _version(connection) == VERSION:
            return
        connection.execute("BEGIN IMMEDIATE")
        # Looked at again: another process may have laid them down meanwhile.
        version = _version(connection)
        if version == 0:
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")
        if version not in (0, VERSION):
            raise StorageError(f"{self._path} has version {version}, this program reads {VERSION}")

    @contextmanager
    def _away_is_said(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", _SQLITE_ERROR) & 0xFF
            if isinstance(error, sqlite3.OperationalError) and code != _SQLITE_ERROR:
                # Locked, full, unreadable, read-only.
                raise StoreAway(f"the telemetry store is away: {error}") from error
            raise StorageError(f"{self._path}: {error}") from error


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
