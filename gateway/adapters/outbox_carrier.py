"""Carries the registry's command outbox to devices that are there, and ends what expired.

The registry is asked a few times a second: the question is one look into an index, works the same
on both databases, and needs no second channel that could lose a wake-up. A row becomes "sent" on
the broker's PUBACK; a row whose PUBACK does not come is claimed again later, and the device runs a
command once however often it comes.
"""

import logging
import threading
import time
from typing import Any

from sqlalchemy import select

from gateway.adapters.live import LivePublisher
from gateway.adapters.metrics import Metrics
from gateway.adapters.mqtt_connection import MqttConnection
from gateway.domain import deltas, outbound
from storage.errors import StoreAway
from storage.registry import Registry, outbox
from storage.registry.models import Command, DeviceState
from wire_protocol.errors import WireError

logger = logging.getLogger(__name__)

PERIOD_S = 0.2
EXPIRY_PERIOD_S = 1.0
CLAIMS_MAX = 500
PUBACK_WAIT_S = 5.0
AWAY_WAIT_S = 1.0


class OutboxCarrier:
    """Runs in a thread of its own."""

    def __init__(self, registry: Registry, metrics: Metrics) -> None:
        self._registry = registry
        self._metrics = metrics
        self._stopping = threading.Event()

    def run(self, connection: MqttConnection, live: LivePublisher) -> None:
        """Work until stopped."""
        next_expiry_s = 0.0
        while not self._stopping.wait(PERIOD_S):
            try:
                if connection.client.is_connected():
                    self._carry(connection, live)
                if time.monotonic() >= next_expiry_s:
                    next_expiry_s = time.monotonic() + EXPIRY_PERIOD_S
                    self._expire(live)
            except StoreAway as error:
                logger.error("outbox: %s", error)
                self._stopping.wait(AWAY_WAIT_S)

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()

    def _carry(self, connection: MqttConnection, live: LivePublisher) -> None:
        online = self._online_with_commands()
        if not online:
            return
        with self._registry.begin() as session:
            claimed = outbox.claim_commands(session, online, _now_ms(), CLAIMS_MAX)
        under_way = []
        for command in claimed:
            try:
                topic, payload = outbound.message_of(command)
            except WireError as error:
                self._fail(command, str(error), live)
                continue
            under_way.append((command, connection.publish(topic, payload, qos=1)))
        for command, info in under_way:
            try:
                info.wait_for_publish(PUBACK_WAIT_S)
            except (RuntimeError, ValueError):  # paho: not connected, or its queue is full
                continue
            if info.is_published():
                self._moved(outbox.mark_sent, command["id"], live)

    def _online_with_commands(self) -> set[str]:
        with self._registry.read() as session:
            rows = session.scalars(
                select(Command.device)
                .join(DeviceState, DeviceState.device == Command.device)
                .where(Command.status == "queued", DeviceState.online.is_(True))
                .distinct()
            )
            return set(rows)

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

    def _moved(self, mark: Any, command_id: str, live: LivePublisher) -> None:  # noqa: ANN401
        with self._registry.begin() as session:
            row = mark(session, command_id, _now_ms())
        if row is not None:
            live.publish([deltas.command(row)])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
