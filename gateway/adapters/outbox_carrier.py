"""Carries the registry's command outbox to devices that are there, and ends what expired.

The registry is asked a few times a second, and at once when a device says that it is there: the
question is one look into an index, works the same on both databases, and needs no second channel
that could lose a wake-up. A row becomes "sent" on the broker's PUBACK; a row whose PUBACK does not
come is claimed again later, and the device runs a command once however often it comes.
"""

import logging
import threading
import time
from typing import Any

from gateway.adapters.live import LivePublisher
from gateway.adapters.metrics import Metrics
from gateway.adapters.mqtt_connection import MqttConnection
from gateway.adapters.pulse import Pulse
from gateway.domain import deltas, outbound
from storage.errors import StorageError
from storage.registry import Registry, outbox
from wire_protocol.errors import WireError

logger = logging.getLogger(__name__)

PERIOD_S = 0.2
EXPIRY_PERIOD_S = 1.0
CLAIMS_MAX = 500  # Fewer than may be in flight at once.
PUBACK_WAIT_S = 5.0  # For all of them; below the time after which a claim is free again.
AWAY_WAIT_S = 1.0


class OutboxCarrier:
    """Runs in a thread of its own."""

    def __init__(self, registry: Registry, metrics: Metrics, pulse: Pulse) -> None:
        self._registry = registry
        self._metrics = metrics
        self._pulse = pulse
        self._wake = threading.Event()
        self._stopping = threading.Event()

    def run(self, connection: MqttConnection, live: LivePublisher) -> None:
        """Work until stopped."""
        next_expiry_s = 0.0
        while not self._stopping.is_set():
            self._wake.wait(PERIOD_S)
            self._wake.clear()
            self._pulse.beat()
            try:
                if connection.is_connected:
                    self._carry(connection, live)
                if time.monotonic() >= next_expiry_s:
                    next_expiry_s = time.monotonic() + EXPIRY_PERIOD_S
                    self._expire(live)
            except StorageError as error:
                logger.error("outbox: %s", error)
                self._stopping.wait(AWAY_WAIT_S)
            except Exception:
                # A row that nobody expected must not end the telling of all others.
                logger.exception("outbox failed")
                self._metrics.failures.labels("outbox").inc()
                self._stopping.wait(AWAY_WAIT_S)

    def poke(self) -> None:
        """Look now: a device has come."""
        self._wake.set()

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()
        self._wake.set()

    def _carry(self, connection: MqttConnection, live: LivePublisher) -> None:
        now_ms = _now_ms()
        with self._registry.read() as session:
            waiting = outbox.devices_waiting(session, now_ms)
        if not waiting:
            return
        with self._registry.begin() as session:
            claimed = outbox.claim_commands(session, waiting, now_ms, CLAIMS_MAX)
        under_way = []
        for command in claimed:
            sent_ms = _now_ms()
            if not outbound.left_s(command, sent_ms):
                continue  # Over since it was claimed: `_expire` ends it.
            try:
                topic, payload = outbound.message_of(command, sent_ms)
            except (WireError, KeyError, TypeError) as error:
                self._fail(command, repr(error), live)
                continue
            info = connection.publish_surely(topic, payload)
            if info is not None:
                under_way.append((command["id"], info))
        sent = []
        until_s = time.monotonic() + PUBACK_WAIT_S
        for command_id, info in under_way:
            try:
                info.wait_for_publish(max(0.0, until_s - time.monotonic()))
            except (RuntimeError, ValueError):  # paho: the connection was lost meanwhile
                continue
            if info.is_published():
                sent.append(command_id)
        self._mark_sent(sent, live)

    def _mark_sent(self, sent: list[str], live: LivePublisher) -> None:
        if not sent:
            return
        now_ms = _now_ms()
        with self._registry.begin() as session:
            rows = [outbox.mark_sent(session, command_id, now_ms) for command_id in sent]
        live.publish([deltas.command(row) for row in rows if row is not None])

    def _expire(self, live: LivePublisher) -> None:
        with self._registry.begin() as session:
            expired = outbox.expire_commands(session, _now_ms())
        live.publish([deltas.command(row) for row in expired])

    def _fail(self, command: dict[str, Any], reason: str, live: LivePublisher) -> None:
        logger.error("%s: command %s cannot be sent: %s", command["device"], command["id"], reason)
        with self._registry.begin() as session:
            row = outbox.mark_failed(session, command["id"], _now_ms(), reason)
        if row is not None:
            live.publish([deltas.command(row)])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
