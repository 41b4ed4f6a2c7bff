"""A gateway for the device alone: stores records by their key, sends receipts."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from tests.device.device_rig import PATIENCE_S, Listener
from wire_protocol import frames, messages, readings, records, topics, track

SERVER_MS = 1_790_000_000_000


class Gateway:
    """Everything that one broker's devices sent, each record once.

    Attributes:
        receipting: Whether receipts are sent.
        deaf: Whether batches of tracks and readings go by unheard.
        stored: (epoch, stream, seq) -> sealed bytes.
    """

    def __init__(self, port: int) -> None:
        self.receipting = True
        self.deaf = False
        self.stored: dict[tuple[int, str, int], bytes] = {}
        self.messages = 0
        self._counts: dict[tuple[int, str, int], int] = {}
        self._lows: dict[tuple[int, str], int] = {}
        self._states: list[dict[str, Any]] = []
        self._came = threading.Condition()
        self._listener = Listener(port, self._on_message)

    def close(self) -> None:
        """Go."""
        self._listener.close()

    def send(self, device: str, kind: str, payload: bytes) -> None:
        """Tell a device something."""
        self._listener.send(topics.down(device, kind), payload)

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the event records, of one kind or all, by seq."""
        found = [
            json.loads(sealed)
            for (_, stream, _), sealed in sorted(self.stored.items())
            if stream == "event"
        ]
        return [event for event in found if kind in (None, event["kind"])]

    def results(self, command: str) -> list[dict[str, Any]]:
        """Return the results of a command, oldest first."""
        found = [
            json.loads(sealed)
            for (_, stream, _), sealed in sorted(self.stored.items())
            if stream == "result"
        ]
        return [result for result in found if result["command"] == command]

    def batches(self, stream: str = "track") -> list[Any]:
        """Return the decoded batches of a stream, by seq."""
        decode = track.decode if stream == "track" else readings.decode
        return [
            decode(sealed)
            for (_, name, _), sealed in sorted(self.stored.items())
            if name == stream
        ]

    def state(self) -> dict[str, Any]:
        """Return the last state heard."""
        return self._states[-1] if self._states else {}

    def wait(self, wanted: Any, what: str, patience_s: float = PATIENCE_S) -> Any:
        """Return what `wanted()` gives as soon as it is something."""
        deadline = time.monotonic() + patience_s
        with self._came:
            while not (found := wanted()):
                left = deadline - time.monotonic()
                assert left > 0, f"waited for {what}; events {self.events()}, state {self.state()}"
                self._came.wait(min(left, 0.5))
        return found

    def wait_event(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Return the last event of a kind once there are so many."""
        found = self.wait(
            lambda: self.events(kind) if len(self.events(kind)) >= count else None,
            f"{count} events {kind}",
        )
        return found[-1]

    def wait_result(self, command: str, status: str) -> dict[str, Any]:
        """Return the result of a command with this status."""
        return self.wait(
            lambda: next((r for r in self.results(command) if r["status"] == status), None),
            f"{command} {status}, there is {self.results(command)}",
        )

    def wait_state(self, wanted: Any, what: str) -> dict[str, Any]:
        """Return the first state from now on for which `wanted` is true."""
        return self.wait(
            lambda: self.state() if self.state() and wanted(self.state()) else None,
            f"a state: {what}",
        )

    def _on_message(self, topic: str, payload: bytes) -> None:
        device, way, kind = topics.parse(topic)
        with self._came:
            self._came.notify_all()
            if way != "up":
                return
            if kind == "state":
                self._states.append(messages.parse_state(payload))
                return
            self.messages += 1
            if not (self.deaf and kind in ("track", "reading")):
                self._store(device, kind, payload)

    def _store(self, device: str, kind: str, payload: bytes) -> None:
        if kind in ("track", "reading"):
            low, sealed = frames.open_envelope(payload)
            header = frames.header(sealed)
            epoch, seq, count = header.epoch, header.seq, header.count
        else:
            low, record = records.unwrap(payload)
            epoch, seq, count = record["epoch"], record["seq"], 1
            sealed = payload[payload.index(b'"record":') + 9 : -1]
        key = (epoch, kind, seq)
        assert self.stored.setdefault(key, sealed) == sealed, f"{key} is two records"
        self._counts[key] = count
        self._lows[epoch, kind] = max(low, self._lows.get((epoch, kind), 1))
        if self.receipting:
            upto, singles = self._cursor(epoch, kind)
            receipt = messages.make_receipt(SERVER_MS, epoch, {kind: [upto, *singles[:32]]})
            self.send(device, "receipt", receipt)

    def _cursor(self, epoch: int, kind: str) -> tuple[int, list[int]]:
        upto = self._lows[epoch, kind] - 1
        singles = []
        for key in sorted(k for k in self.stored if k[:2] == (epoch, kind)):
            if key[2] <= upto + 1:
                upto = max(upto, key[2] + self._counts[key] - 1)
            else:
                singles.append(key[2])
        return upto, singles
