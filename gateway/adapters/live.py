"""Publishes live deltas on `xh/1/live/<producer>`, numbered without holes.

Events and cases go out at once; positions and readings are collected for COLLECT_MS, the newest of
each device only, because no screen is redrawn more often. A number is spent even when there is no
connection: whoever hears the next message sees the gap and takes a fresh snapshot.
"""

import json
import threading
from typing import Any

from gateway.adapters.mqtt_connection import MqttConnection
from wire_protocol import topics

COLLECT_MS = 100
# Some 40 kB: an SOS of another producer waits behind it for a fraction of a millisecond, and the
# broker takes no message above 64 kB.
DELTAS_PER_MESSAGE_MAX = 100
# A state has some 700 bytes, an event of a report with its case 1,500.
_TOLD_PER_MESSAGE_MAX = 30

Delta = dict[str, Any]


class LivePublisher:
    """The live bus of one gateway; safe to call from any thread."""

    def __init__(self, producer: str, connection: MqttConnection) -> None:
        self._topic = topics.live(producer)
        self._head = f'{{"producer":{json.dumps(producer)},"n":'
        self._connection = connection
        self._number = 0
        self._sending = threading.Lock()
        self._collecting = threading.Lock()
        self._newest: dict[tuple[str, str], Delta] = {}

    def publish(self, deltas: list[Delta]) -> None:
        """Publish now."""
        for at in range(0, len(deltas), _TOLD_PER_MESSAGE_MAX):
            self._send(deltas[at : at + _TOLD_PER_MESSAGE_MAX])

    def collect(self, deltas: list[Delta]) -> None:
        """Publish within COLLECT_MS (by `flush`), unless a newer one of the same kind comes."""
        with self._collecting:
            for delta in deltas:
                self._newest[(delta["device"], delta.get("sensor", ""))] = delta

    def flush(self) -> None:
        """Publish what was collected; called every COLLECT_MS."""
        with self._collecting:
            deltas = list(self._newest.values())
            self._newest = {}
        for at in range(0, len(deltas), DELTAS_PER_MESSAGE_MAX):
            self._send(deltas[at : at + DELTAS_PER_MESSAGE_MAX])

    def _send(self, deltas: list[Delta]) -> None:
        text = json.dumps(deltas, ensure_ascii=False, separators=(",", ":"))
        with self._sending:
            self._number += 1
            payload = f'{self._head}{self._number},"deltas":{text}}}'
            self._connection.publish(self._topic, payload.encode())
