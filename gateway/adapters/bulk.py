"""The bulk path: tracks and readings, which may wait, and the history of states.

paho's thread puts messages into a bounded queue. One writer commits what waits to the telemetry
store, moves the cursors in the registry, then sends the receipts that are due and collects live
positions. While a store is away the writer keeps what it took and tries again; when the queue is
full the connection is left, so that other gateways get the shared messages, and taken up again
when there is room. Nothing is receipted before both commits.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from gateway.adapters.crash_points import CrashPoints
from gateway.adapters.directory import Directory
from gateway.adapters.live import LivePublisher
from gateway.adapters.metrics import Metrics
from gateway.adapters.mqtt_connection import Message, MqttConnection
from gateway.domain import deltas, inbound
from gateway.domain.receipts import ReceiptPolicy
from storage.errors import RowsRefused, StoreAway
from storage.registry import Registry
from storage.registry.cursors import Advance, advance_cursors
from storage.registry.ingest import quarantine
from storage.telemetry.interface import (
    ReadingRow,
    StateRow,
    Telemetry,
    TrackRow,
    last_position,
    reading_points,
)
from wire_protocol import messages, topics

logger = logging.getLogger(__name__)

QUEUE_MAX = 20_000  # Messages: some 6 MB, and seven minutes of this district.
RESUME_BELOW = QUEUE_MAX // 2
# In one commit. At 100,000 fixes a second that is a quarter of a second's worth.
TOGETHER_MAX = 2_000
GATHER_S = 0.02  # A commit costs an fsync: under load many batches share one.
RETRY_S = 0.5
STATES_MAX = 10_000

Cursor = tuple[int, list[int]]


class BulkPath:
    """Takes messages from paho's thread, stores and receipts them in one of its own."""

    def __init__(
        self,
        telemetry: Telemetry,
        registry: Registry,
        directory: Directory,
        metrics: Metrics,
        crash_points: CrashPoints,
    ) -> None:
        self._telemetry = telemetry
        self._registry = registry
        self._directory = directory
        self._metrics = metrics
        self._crash = crash_points
        self._queue: deque[tuple[Message, int]] = deque()
        self._states: deque[StateRow] = deque(maxlen=STATES_MAX)
        self._policy = ReceiptPolicy()
        self._policy_lock = threading.Lock()
        self._connections: dict[str, tuple[int, int, int]] = {}
        self._known: dict[tuple[str, int, str], int] = {}
        self._filled = threading.Event()
        self._stopping = threading.Event()
        self._connection: MqttConnection | None = None

    def receive(self, message: Message) -> None:
        """Queue a message; called in paho's thread."""
        if len(self._queue) >= QUEUE_MAX:
            self._metrics.overrun.labels("bulk").inc()
            if self._connection is not None:
                # paho must not be stopped from its own callback's thread: the writer does it.
                self._filled.set()
            return
        self._queue.append((message, _now_ms()))
        self._filled.set()

    def note_state(self, state: inbound.State, row: StateRow) -> None:
        """Take a stored state for the history, and what it says for the receipts."""
        self._states.append(row)
        said = state.state
        place = (said["epoch"], said["boot"], said["connection"])
        with self._policy_lock:
            if said["online"] and self._connections.get(state.device) != place:
                self._connections[state.device] = place
                self._policy.connected(state.device)
            if said["online"]:
                self._policy.sos_is_open(state.device, said["sos"] is not None)

    def run(self, connection: MqttConnection, live: LivePublisher) -> None:
        """Work until stopped; the body of the writer's thread."""
        self._connection = connection
        while not self._stopping.is_set():
            if self._filled.wait(0.2):
                self._filled.clear()
                if len(self._queue) < TOGETHER_MAX:
                    self._stopping.wait(GATHER_S)
            while (self._queue or self._states) and not self._stopping.is_set():
                self._mind_the_room(connection)
                self._serve(self._take(), connection, live)
            self._mind_the_room(connection)
            self._send_due(connection)

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()

    def _take(self) -> list[tuple[Message, int]]:
        taken = [self._queue.popleft() for _ in range(min(len(self._queue), TOGETHER_MAX))]
        self._metrics.queue.labels("bulk").set(len(self._queue))
        return taken

    def _mind_the_room(self, connection: MqttConnection) -> None:
        if len(self._queue) >= QUEUE_MAX:
            logger.error("%d messages wait: leaving the shared subscription", len(self._queue))
            connection.pause()
        elif len(self._queue) < RESUME_BELOW:
            connection.resume()

    def _serve(
        self, taken: Sequence[tuple[Message, int]], connection: MqttConnection, live: LivePublisher
    ) -> None:
        if taken:
            self._crash.reach("received")
        batches: list[inbound.Batch] = []
        refused: list[inbound.Refused] = []
        for message, received_ms in taken:
            item = self._read(message, received_ms)
            (batches if isinstance(item, inbound.Batch) else refused).append(item)  # type: ignore[arg-type]
        states = [self._states.popleft() for _ in range(len(self._states))]
        receipts = self._commit(batches, refused, states, connection)
        if receipts is None or not taken:
            return
        self._crash.reach("committed")
        self._note(batches, refused, receipts)
        self._send_due(connection)
        self._crash.reach("receipted")
        live.collect(_live_deltas(batches))
        self._crash.reach("published")

    def _read(self, message: Message, received_ms: int) -> inbound.Batch | inbound.Refused:
        payload = bytes(message.payload)
        item = inbound.read_bulk(message.topic, payload, received_ms)
        device = item.row.device if isinstance(item, inbound.Batch) else item.device
        try:
            if self._directory.knows(device):
                return item
        except StoreAway:
            return item  # Not asked yet: the commit below waits for the same registry.
        reason = "no such device, or it is retired"
        return inbound.refuse(device, message.topic, reason, payload, received_ms)

    def _commit(
        self,
        batches: list[inbound.Batch],
        refused: list[inbound.Refused],
        states: list[StateRow],
        connection: MqttConnection,
    ) -> dict[tuple[str, int, str], Cursor] | None:
        """Store all; None when told to stop before it worked."""
        while not self._stopping.is_set():
            started_s = time.monotonic()
            store = "telemetry"
            try:
                refused += self._write(batches, states)
                store = "registry"
                receipts = self._advance(batches, refused)
            except StoreAway as error:
                logger.error("%s; %d batches wait", error, len(batches) + len(self._queue))
                self._mind_the_room(connection)
                self._stopping.wait(RETRY_S)
                self._metrics.away_seconds.labels(store).inc(time.monotonic() - started_s)
                continue
            self._metrics.commit_seconds.labels("bulk").observe(time.monotonic() - started_s)
            return receipts
        return None

    def _write(
        self, batches: list[inbound.Batch], states: list[StateRow]
    ) -> list[inbound.Refused]:
        """Write to the telemetry store; return what it will never take, out of `batches`."""
        tracks = [batch.row for batch in batches if isinstance(batch.row, TrackRow)]
        readings = [batch.row for batch in batches if isinstance(batch.row, ReadingRow)]
        if not tracks and not readings and not states:
            return []
        try:
            self._telemetry.write(tracks, readings, states)
        except RowsRefused as error:
            culprits = {id(row) for row in error.rows}
            gone = [batch for batch in batches if id(batch.row) in culprits]
            batches[:] = [batch for batch in batches if id(batch.row) not in culprits]
            states.clear()
            return [_store_refused(batch, str(error)) for batch in gone]
        states.clear()
        return []

    def _advance(
        self, batches: list[inbound.Batch], refused: list[inbound.Refused]
    ) -> dict[tuple[str, int, str], Cursor]:
        advances = [
            Advance(
                batch.row.device, batch.row.epoch, batch.stream, batch.row.seq,
                batch.row.seq + batch.row.records - 1, batch.low,
            )
            for batch in batches
        ]  # fmt: skip
        if not advances and not refused:
            return {}
        with self._registry.begin() as session:
            for item in refused:
                quarantine(
                    session, item.device, item.topic, item.reason, item.payload, item.received_ms
                )
                if item.claim is not None:
                    stream, epoch, first, last, low = item.claim
                    advances.append(Advance(item.device, epoch, stream, first, last, low))
            return advance_cursors(session, advances)

    def _note(
        self,
        batches: list[inbound.Batch],
        refused: list[inbound.Refused],
        receipts: dict[tuple[str, int, str], Cursor],
    ) -> None:
        counts: dict[tuple[str, int, str], int] = {}
        repeated: set[tuple[str, int, str]] = set()
        for batch in batches:
            row = batch.row
            key = (row.device, row.epoch, batch.stream)
            counts[key] = counts.get(key, 0) + 1
            is_duplicate = row.seq + row.records - 1 <= self._known.get(key, 0)
            if is_duplicate:
                repeated.add(key)
            outcome = "duplicate" if is_duplicate else "stored"
            self._metrics.messages.labels(batch.stream, outcome).inc()
        for item in refused:
            stream = topics.parse(item.topic)[2]
            logger.warning("%s: refused on %s: %s", item.device, stream, item.reason)
            self._metrics.quarantined.labels(stream).inc()
            self._metrics.messages.labels(stream, "refused").inc()
            if item.claim is not None:
                key = (item.device, item.claim[1], item.claim[0])
                counts[key] = counts.get(key, 0) + 1
                repeated.add(key)  # Receipted at once: the device should let go of it.
        now_ms = _now_ms()
        with self._policy_lock:
            for key, count in counts.items():
                upto, singles = receipts[key]
                self._known[key] = upto
                self._policy.committed(
                    key[0], key[1], key[2], [upto, *singles],
                    batches=count, duplicate=key in repeated, now_ms=now_ms,
                )  # fmt: skip

    def _send_due(self, connection: MqttConnection) -> None:
        with self._policy_lock:
            due = self._policy.due(_now_ms())
        for receipt in due:
            payload = messages.make_receipt(_now_ms(), receipt.epoch, receipt.streams)
            connection.publish(topics.down(receipt.device, "receipt"), payload)
            self._metrics.receipts.labels("bulk").inc()


def _store_refused(batch: inbound.Batch, reason: str) -> inbound.Refused:
    row = batch.row
    claim = (batch.stream, row.epoch, row.seq, row.seq + row.records - 1, batch.low)
    topic = topics.up(row.device, batch.stream)
    return inbound.Refused(row.device, topic, reason, row.record, row.received_ms, claim)


def _live_deltas(batches: list[inbound.Batch]) -> list[dict[str, Any]]:
    """The newest fix of each device and the newest reading of each of its sensors."""
    tracks: dict[str, TrackRow] = {}
    found: list[dict[str, Any]] = []
    for batch in batches:
        row = batch.row
        if isinstance(row, TrackRow):
            known = tracks.get(row.device)
            if known is None or (row.clock > 0, row.last_ms) >= (known.clock > 0, known.last_ms):
                tracks[row.device] = row
        else:
            points = reading_points(row.device, row.record, row.clock, row.received_ms)
            found += [deltas.reading(point) for point in points]
    return found + [deltas.position(last_position(row)) for row in tracks.values()]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
