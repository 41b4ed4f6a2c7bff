"""Builds a gateway from its settings and runs its threads until it is told to stop."""

import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from gateway.adapters import blocks
from gateway.adapters.bulk import BulkPath
from gateway.adapters.bulk_commit import BulkCommit
from gateway.adapters.bulk_queue import BulkQueue
from gateway.adapters.crash_points import CrashPoints
from gateway.adapters.directory import Directory
from gateway.adapters.kept import Keeper
from gateway.adapters.live import COLLECT_MS, LivePublisher
from gateway.adapters.metrics import Metrics
from gateway.adapters.mqtt_connection import Incoming, MqttConnection
from gateway.adapters.outbox_carrier import OutboxCarrier
from gateway.adapters.pulse import Pulse
from gateway.adapters.relay_desk import RelayDesk
from gateway.adapters.urgent import UrgentPath
from gateway.adapters.urgent_commit import Outcome, UrgentCommit
from gateway.errors import GatewayError
from gateway.settings import Settings
from storage import relay_keys
from storage.applications import ApplicationStore
from storage.errors import StorageError
from storage.registry import open_registry
from storage.settings import Settings as StorageSettings
from storage.telemetry.interface import StateRow
from storage.telemetry.open import open_telemetry

logger = logging.getLogger(__name__)

URGENT = [
    ("xh/1/+/up/event", 1),
    ("xh/1/+/up/result", 1),
    ("xh/1/+/up/state", 1),
    ("xh/1/+/up/relay", 1),
]
# One of all gateways gets each of these; what a killed one had is sent again by the device.
BULK = [("$share/gateway/xh/1/+/up/track", 0), ("$share/gateway/xh/1/+/up/reading", 0)]
# How long one thread of Python may keep the others waiting. The default of 5 ms would let the
# bulk path hold an SOS for as long at each of its dozen steps.
SWITCH_INTERVAL_S = 0.0005


class Gateway:
    """All threads of one gateway process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.metrics = Metrics()
        self._pulse = Pulse()
        crash_points = CrashPoints(settings.stop_at)
        self._registry = open_registry(settings.registry_url)
        self._telemetry = open_telemetry(
            StorageSettings(
                telemetry_url=settings.telemetry_url,
                telemetry_token=settings.telemetry_token,
                instance=settings.producer,
            )
        )
        directory = Directory(self._registry)
        bulk_commit = BulkCommit(self._telemetry, self._registry, directory, Keeper(self.metrics))
        self._bulk = BulkPath(
            bulk_commit,
            BulkQueue(self.metrics, settings.bulk_messages_max),
            self.metrics,
            crash_points,
            self._pulse,
        )
        urgent_commit = UrgentCommit(self._registry, directory, Keeper(self.metrics), self.metrics)
        relay_desk = RelayDesk(self._registry, _relay_secret(settings.relay_secret))
        self._urgent = UrgentPath(
            urgent_commit, relay_desk, self.metrics, crash_points, self._pulse, self._follow
        )
        self._outbox = OutboxCarrier(self._registry, self.metrics, self._pulse)
        self._blocks = blocks.BlockDesk(
            ApplicationStore(settings.applications),
            directory,
            self.metrics,
            self._pulse,
            settings.block_bytes_per_s,
        )
        self._urgent_connection = MqttConnection(
            settings.producer, URGENT, self._receive_urgent, self._change("urgent")
        )
        self._bulk_connection = MqttConnection(
            f"{settings.producer}-bulk", BULK, self._bulk.queue.receive, self._change("bulk")
        )
        self._block_connection = MqttConnection(
            f"{settings.producer}-blocks",
            blocks.SUBSCRIPTION,
            self._blocks.receive,
            lambda connected: self.metrics.blocks_connected.set(int(connected)),
        )
        self._live = LivePublisher(settings.producer, self._urgent_connection)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start every thread and connection; returns at once.

        Raises:
            GatewayError: The certificate or the key cannot be read.
        """
        settings = self._settings
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        if settings.metrics_port:
            self.metrics.serve(settings.metrics_port)
        self._thread("urgent", lambda: self._urgent.run(self._urgent_connection, self._live))
        self._thread("bulk", lambda: self._bulk.run(self._bulk_connection, self._live))
        self._thread("outbox", lambda: self._outbox.run(self._urgent_connection, self._live))
        self._thread("blocks", lambda: self._blocks.run(self._block_connection))
        self._thread("live", self._flush_live)
        files = (settings.broker_ca, settings.broker_cert, settings.broker_key)
        for connection in self._connections():
            try:
                connection.start(settings.broker_host, settings.broker_port, files)
            except OSError as error:
                raise GatewayError(
                    f"certificate or key of {settings.producer}: {error}"
                ) from error

    def stop(self) -> None:
        """End the workers, then leave the broker; what is not committed is sent again."""
        self._stopping.set()
        for part in (self._bulk, self._urgent, self._outbox, self._blocks):
            part.stop()
        for thread in self._threads:
            thread.join()
        for connection in self._connections():
            connection.stop()
        self._telemetry.close()
        self._registry.close()

    def problem(self) -> str:
        """Return what ails this process so that it is no gateway any more; nothing if it works."""
        dead = [thread.name for thread in self._threads if not thread.is_alive()]
        if dead:
            return f"thread {dead[0]} died"
        stalled = self._pulse.stalled()
        return f"thread {stalled[0]} does not move" if stalled else ""

    def _connections(self) -> tuple[MqttConnection, MqttConnection, MqttConnection]:
        return self._urgent_connection, self._bulk_connection, self._block_connection

    def _receive_urgent(self, message: Incoming) -> None:
        if not self._urgent.receive(message):
            self._urgent_connection.acknowledge(message)

    def _follow(self, outcome: Outcome, states: list[StateRow]) -> None:
        for device in outcome.sos_devices:
            self._bulk.note_sos(device)
        for row in states:
            self._bulk.note_state(row)
        if states:
            self._outbox.poke()

    def _change(self, path: str) -> Callable[[bool], None]:
        gauge = self.metrics.connected.labels(path)
        return lambda connected: gauge.set(int(connected))

    def _thread(self, name: str, body: Callable[[], None]) -> None:
        thread = threading.Thread(target=body, name=f"gateway-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _flush_live(self) -> None:
        while not self._stopping.wait(COLLECT_MS / 1000):
            self._live.flush()
        self._live.flush()


def _relay_secret(path: Path) -> bytes | None:
    try:
        return relay_keys.read_secret(path)
    except StorageError as error:
        # Everything else works without it; a relayed SOS is refused with this as its reason.
        logger.error("%s: no relayed SOS can be opened", error)
        return None
