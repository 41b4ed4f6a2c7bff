"""What waits between paho's thread and the writer: bounded, and said to be so.

A crowded queue leaves the broker, so that the other gateways get the shared messages; it comes
back when half of the room is free. What is let go at the last limit is resent by its device.
"""

import logging
import threading
import time
from collections import deque

from gateway.adapters.metrics import Metrics
from gateway.adapters.mqtt_connection import Incoming, MqttConnection
from gateway.domain.room import Room

logger = logging.getLogger(__name__)

# Each message takes some 750 bytes of memory; a device gone mad sends 64 kB a message.
BYTES_MAX = 64 << 20

Waiting = tuple[str, bytes, int]  # topic, payload, received_ms


class BulkQueue:
    """Brought to by paho's thread, taken from by the writer."""

    def __init__(self, metrics: Metrics, messages_max: int) -> None:
        self._metrics = metrics
        self._room = Room(messages_max, BYTES_MAX)
        self._waiting: deque[Waiting] = deque()
        self._filled = threading.Event()
        self._connection: MqttConnection | None = None
        self._paused = False

    def __len__(self) -> int:
        return len(self._waiting)

    def leave_when_crowded(self, connection: MqttConnection) -> None:
        """Name the connection that `receive` leaves and `mind` takes up again."""
        self._connection = connection

    def receive(self, message: Incoming) -> None:
        """Queue a message; called in paho's thread."""
        topic, payload = message.topic, message.payload
        if not self._room.bring(len(payload)):
            self._metrics.let_go.labels("bulk").inc()
            self._leave()
            return
        self._waiting.append((topic, payload, time.time_ns() // 1_000_000))
        if not self._filled.is_set():
            self._filled.set()
        if self._room.is_crowded:
            self._leave()

    def wait(self, timeout_s: float) -> None:
        """Return when something waits, or after `timeout_s`."""
        if self._filled.wait(timeout_s):
            self._filled.clear()

    def wake(self) -> None:
        """End a `wait`."""
        self._filled.set()

    def take(self, most: int) -> list[Waiting]:
        """Take what waits, oldest first; its room is given back by `done`."""
        waiting = self._waiting
        return [waiting.popleft() for _ in range(min(len(waiting), most))]

    def done(self, taken: list[Waiting]) -> None:
        """Give back the room of messages that are stored, or never will be."""
        for _, payload, _ in taken:
            self._room.take_away(len(payload))

    def mind(self) -> None:
        """Come back when there is room; called by the writer."""
        self._metrics.queue.labels("bulk").set(self._room.messages)
        self._metrics.queue_bytes.labels("bulk").set(self._room.bytes)
        if self._paused and self._room.is_roomy and self._connection is not None:
            logger.info("room again for tracks and readings: back to the broker")
            self._paused = False
            self._metrics.paused.set(0)
            self._connection.resume()

    def _leave(self) -> None:
        # Not by the writer: it may be waiting for a store just now.
        if self._paused or self._connection is None:
            return
        self._paused = True
        self._metrics.paused.set(1)
        self._connection.pause()
        logger.error(
            "%d tracks and readings wait: leaving the broker until there is room",
            self._room.messages,
        )
