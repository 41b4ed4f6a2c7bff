"""Builds a gateway from its settings and runs its threads until it is told to stop."""

import logging
import threading
from collections.abc import Callable

from gateway.adapters.bulk import BulkPath
from gateway.adapters.crash_points import CrashPoints
from gateway.adapters.directory import Directory
from gateway.adapters.live import COLLECT_MS, LivePublisher
from gateway.adapters.metrics import Metrics
from gateway.adapters.mqtt_connection import Message, MqttConnection
from gateway.adapters.outbox_carrier import OutboxCarrier
from gateway.adapters.urgent import UrgentPath
from gateway.settings import Settings
from storage.registry import open_registry
from storage.settings import Settings as StorageSettings
from storage.telemetry.open import open_telemetry

logger = logging.getLogger(__name__)

URGENT = [("xh/1/+/up/event", 1), ("xh/1/+/up/result", 1), ("xh/1/+/up/state", 1)]
# One of all gateways gets each of these; what a killed one had is sent again by the device.
BULK = [("$share/gateway/xh/1/+/up/track", 0), ("$share/gateway/xh/1/+/up/reading", 0)]


class Gateway:
    """All threads of one gateway process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.metrics = Metrics()
        crash_points = CrashPoints(settings.stop_at)
        self._registry = open_registry(settings.registry_url)
        self._telemetry = open_telemetry(
            StorageSettings(
                telemetry_url=settings.telemetry_url, telemetry_token=settings.telemetry_token
            )
        )
        directory = Directory(self._registry)
        self._bulk = BulkPath(
            self._telemetry, self._registry, directory, self.metrics, crash_points
        )
        self._urgent = UrgentPath(
            self._registry, directory, self.metrics, crash_points, self._bulk.note_state
        )
        self._outbox = OutboxCarrier(self._registry, self.metrics)
        self._urgent_connection = MqttConnection(
            settings.producer, URGENT, self._receive_urgent, self._change("urgent")
        )
        self._bulk_connection = MqttConnection(
            f"{settings.producer}-bulk", BULK, self._bulk.receive, self._change("bulk")
        )
        self._live = LivePublisher(settings.producer, self._urgent_connection)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start every thread and connection; returns at once."""
        settings = self._settings
        if settings.metrics_port:
            self.metrics.serve(settings.metrics_port)
        self._thread("urgent", lambda: self._urgent.run(self._urgent_connection, self._live))
        self._thread("bulk", lambda: self._bulk.run(self._bulk_connection, self._live))
        self._thread("outbox", lambda: self._outbox.run(self._urgent_connection, self._live))
        self._thread("live", self._flush_live)
        files = (settings.broker_ca, settings.broker_cert, settings.broker_key)
        for connection in (self._urgent_connection, self._bulk_connection):
            connection.start(settings.broker_host, settings.broker_port, files)

    def stop(self) -> None:
        """Leave the broker, then end every thread; what is not committed is sent again."""
        self._stopping.set()
        for connection in (self._bulk_connection, self._urgent_connection):
            connection.stop()
        for part in (self._urgent, self._bulk, self._outbox):
            part.stop()
        for thread in self._threads:
            thread.join()
        self._telemetry.close()
        self._registry.close()

    def is_healthy(self) -> bool:
        """False when a thread died: the process is then no gateway any more."""
        return all(thread.is_alive() for thread in self._threads)

    def _receive_urgent(self, message: Message) -> None:
        if not self._urgent.receive(message):
            self._urgent_connection.acknowledge(message)

    def _change(self, path: str) -> Callable[[bool], None]:
        return lambda connected: self.metrics.connected.labels(path).set(int(connected))

    def _thread(self, name: str, body: Callable[[], None]) -> None:
        thread = threading.Thread(target=body, name=f"gateway-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _flush_live(self) -> None:
        while not self._stopping.wait(COLLECT_MS / 1000):
            self._live.flush()
