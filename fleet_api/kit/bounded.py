"""Reads from a store that may hang: a fixed number of threads, a bounded wait.

A telemetry store that is away must cost those who ask for telemetry their answer, and nobody
else anything: its reads never run on the threads that serve cases and commands.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from storage.errors import StoreAway

T = TypeVar("T")


class BoundedReads:
    """Runs reads on threads of its own."""

    def __init__(self, name: str, *, threads: int, waiting_max: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._places = threading.BoundedSemaphore(threads + waiting_max)

    def run(self, work: Callable[[], T], wait_s: float) -> T:
        """Return what `work` returns.

        Raises:
            StoreAway: It says so, it did not answer within `wait_s`, or too many wait already.
        """
        if not self._places.acquire(blocking=False):
            raise StoreAway("too many reads wait for the store")
        try:
            future = self._threads.submit(work)
        except RuntimeError as error:
            self._places.release()
            raise StoreAway("this process stops") from error
        future.add_done_callback(self._done)
        try:
            return future.result(wait_s)
        except FutureTimeoutError as error:
            future.cancel()
            raise StoreAway(f"no answer within {wait_s} s") from error

    def close(self) -> None:
        """Let the threads go; a hanging read is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _done(self, _future: "Future[Any]") -> None:
        self._places.release()
