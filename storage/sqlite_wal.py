"""Switching a SQLite file to its write-ahead log, which two that open it at once both try."""

import sqlite3
import time

_LOOK_AGAIN_S = 0.01
_SQLITE_BUSY = 5


def use_write_ahead_log(connection: sqlite3.Connection, wait_s: int) -> None:
    """Turn on WAL, so that readers never wait for a writer, and make every commit durable.

    SQLite does not wait for this one lock by itself (sqlite.org/wal.html, "busy").
    """
    until_s = time.monotonic() + wait_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != _SQLITE_BUSY or time.monotonic() >= until_s:
                raise
        time.sleep(_LOOK_AGAIN_S)
    # A receipt goes out after the commit: it has to be on disk, not in the system's cache.
    connection.execute("PRAGMA synchronous=FULL").close()
