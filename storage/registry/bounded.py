"""Connections to PostgreSQL that never wait for ever.

The server ends statements that take too long, and the kernel notices a machine that is gone; a
server that is there but stands still (frozen, its disk hanging) is noticed by neither.
"""

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Engine, event

_Answer = TypeVar("_Answer")


class BoundedConnection(psycopg.Connection[Any]):
    """Closes itself when an answer takes longer than `wait_s_max`."""

    wait_s_max: float | None = None  # None until the connection is made, which has its own limit.

    def wait(
        self, gen: PQGen[_Answer], interval: float = 0.1, timeout: float | None = None
    ) -> _Answer:
        """As psycopg's, within the limit."""
        try:
            return super().wait(gen, interval, self.wait_s_max if timeout is None else timeout)
        except psycopg.errors._WaitTimeout as error:  # noqa: SLF001 - it has no other name
            self.close()
            raise psycopg.OperationalError(f"no answer in {self.wait_s_max} s") from error


def bound_waits(engine: Engine, wait_s: float) -> None:
    """Make every connection of an engine a bounded one."""

    def connect(
        _dialect: object, _record: object, arguments: list[Any], keywords: dict[str, Any]
    ) -> BoundedConnection:
        connection = BoundedConnection.connect(*arguments, **keywords)
        connection.wait_s_max = wait_s
        return connection

    event.listen(engine, "do_connect", connect)
