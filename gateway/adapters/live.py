"""Publishes live deltas on `xh/1/live/<producer>`, numbered without holes.

Events and cases go out at once; positions and readings are collected for COLLECT_MS, the newest of
each device only, because no screen is redrawn more often. A number is spent even when there is no
connection: whoever hears the next message sees the gap and takes a fresh snapshot.
"""

import json
import logging
import threading
from typing import Any

from gateway.adapters.mqtt_connection import MqttConnection
from wire_protocol import topics

logger = logging.getLogger(__name__)

COLLECT_MS = 100
# A message of at most some 100 kB, so that a whole district's positions do not hold up an SOS.
DELTAS_PER_MESSAGE_MAX = 400

Delta = dict[str, Any]


class LivePublisher:
    """The live bus of one gateway; safe to call from any thread."""

    def __init__(self, producer: str, connection: MqttConnection) -> None:
        self._topic = topics.live(producer)
        self._producer = producer
        self._connection = connection
        self._number = 0
        self._sending = threading.Lock()
        self._collecting = threading.Lock()
        self._newest: dict[tuple[str, str], Delta] = {}

    def publish(self, deltas: list[Delta]) -> None:
        """Publish now."""
        if not deltas:
            return
        with self._sending:
            self._number += 1
            payload = json.dumps(
                {"producer": self._producer, "n": self._number, "deltas": deltas},
                ensure_ascii=False,
                separators=(",", ":"),
            )
            self._connection.publish(self._topic, payload.encode())

    def collect(self, deltas: list[Delta]) -> None:
        """Publish within COLLECT_MS (by `flush`), unless a newer one of the same kind comes."""
        with self._collecting:
            for delta in deltas:
                self._newest[(delta["device"], str(delta.get("sensor", "")))] = delta

    def flush(self) -> None:
        """Publish what was collected; called every COLLECT_MS."""
        with self._collecting:
            deltas = list(self._newest.values())
            self._newest = {}
        for at in range(0, len(deltas), DELTAS_PER_MESSAGE_MAX):
            self.publish(deltas[at : at + DELTAS_PER_MESSAGE_MAX])
