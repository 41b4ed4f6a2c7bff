"""A client of the live view, as a browser is one: notes when each case first shows."""

from __future__ import annotations

import json
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

if TYPE_CHECKING:
    from bench.installation import Installation


class Shown(NamedTuple):
    """A message of the WebSocket that shows a case for the first time."""

    at_s: float
    case: dict[str, Any]


class LiveView:
    """One WebSocket, read by a thread of its own. Times are those of time.time()."""

    def __init__(self, installation: Installation) -> None:
        self.new_cases: queue.Queue[Shown] = queue.Queue()
        self.snapshots = 0
        self.messages = 0
        self.seen: set[int] = set()
        self._socket = connect(
            f"ws://127.0.0.1:{installation.api_port}/api/v1/live",
            additional_headers={"Cookie": installation.cookie}, max_size=None,
        )  # fmt: skip
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._read, name="live-view", daemon=True)
        self._thread.start()
        if not self._ready.wait(60):
            raise TimeoutError("no snapshot within 60 s")

    def _read(self) -> None:
        while True:
            try:
                text = self._socket.recv()
            except ConnectionClosed:
                return
            at_s = time.time()
            self._take(at_s, json.loads(text))

    def _take(self, at_s: float, message: dict[str, Any]) -> None:
        self.messages += 1
        if message["type"] == "snapshot":
            self.snapshots += 1
            for case in message["cases"]:
                self._show(at_s, case)
            self._ready.set()
        for delta in message.get("deltas", ()):
            if delta["kind"] == "case":
                self._show(at_s, delta["case"])

    def _show(self, at_s: float, case: dict[str, Any]) -> None:
        if case["id"] not in self.seen:
            self.seen.add(case["id"])
            self.new_cases.put(Shown(at_s, case))

    def close(self) -> None:
        self._socket.close()
        self._thread.join(10)
