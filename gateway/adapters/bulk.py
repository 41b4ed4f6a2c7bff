"""The bulk path: tracks and readings, which may wait, and the history of states.

One writer commits what waits to the telemetry store; then cursors move in the registry, at least
those of what is due for a receipt (ADR 0021); receipts and live positions follow. While a store
is away the writer keeps what it took and tries again. Nothing is receipted before both commits.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from gateway.adapters.bulk_commit import BulkCommit, Cursors
from gateway.adapters.bulk_queue import BulkQueue, Waiting
from gateway.adapters.crash_points import CrashPoints
from gateway.adapters.live import LivePublisher
from gateway.adapters.metrics import Metrics
from gateway.adapters.mqtt_connection import MqttConnection
from gateway.adapters.pulse import Pulse
from gateway.domain import deltas
from gateway.domain.inbound import Batch, Claim, Refused
from gateway.domain.newest import NewestPositions
from gateway.domain.receipts import Due, ReceiptPolicy
from storage.errors import StoreAway
from storage.telemetry.interface import StateRow, TrackRow, last_position, reading_points
from wire_protocol import messages, topics

logger = logging.getLogger(__name__)

# In one commit. At 100,000 fixes a second that is an eighth of a second's worth.
TOGETHER_MAX = 1_000
GATHER_S = 0.02  # A commit costs an fsync: under load many batches share one.
RETRY_S = 0.5
IDLE_S = 0.5
# States whose history waits while the telemetry store is away: their last values are safe in the
# registry, so the oldest go first.
STATES_MAX = 10_000

_T = TypeVar("_T")


class _Stopping(Exception):
    """The gateway ends while a store is away; devices send again what is not receipted."""


class BulkPath:
    """Stores and receipts tracks and readings in a thread of its own."""

    def __init__(
        self,
        commit: BulkCommit,
        queue: BulkQueue,
        metrics: Metrics,
        crash_points: CrashPoints,
        pulse: Pulse,
    ) -> None:
        self.queue = queue
        self._commit = commit
        self._metrics = metrics
        self._crash = crash_points
        self._pulse = pulse
        self._states: deque[StateRow] = deque(maxlen=STATES_MAX)
        self._policy = ReceiptPolicy()
        self._policy_lock = threading.Lock()
        self._connections: dict[str, tuple[int, int, int]] = {}
        self._newest = NewestPositions()
        self._stopping = threading.Event()

    def note_state(self, row: StateRow) -> None:
        """Take a stored state for the history, and what it says for the receipts."""
        self._states.append(row)
        said = row.state
        if not said["online"]:
            return
        place = (said["epoch"], said["boot"], said["connection"])
        with self._policy_lock:
            if self._connections.get(row.device) != place:
                self._connections[row.device] = place
                self._policy.connected(row.device)
            self._policy.sos_is_open(row.device, is_open=said.get("sos") is not None)

    def note_sos(self, device: str) -> None:
        """An SOS of this device was stored: nothing of it waits from now on."""
        with self._policy_lock:
            self._policy.sos_is_open(device, is_open=True)

    def run(self, connection: MqttConnection, live: LivePublisher) -> None:
        """Work until stopped; the body of the writer's thread."""
        self.queue.leave_when_crowded(connection)
        while not self._stopping.is_set():
            self.queue.wait(IDLE_S)
            if 0 < len(self.queue) < TOGETHER_MAX:
                self._stopping.wait(GATHER_S)
            self._round(connection, live)
            while len(self.queue) and not self._stopping.is_set():
                self._round(connection, live)
        self._farewell(connection)

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()
        self.queue.wake()

    def _round(self, connection: MqttConnection, live: LivePublisher) -> None:
        self._pulse.beat()
        self.queue.mind()
        taken = self.queue.take(TOGETHER_MAX)
        try:
            self._serve(taken, connection, live)
        except _Stopping:
            return
        except Exception:
            # Whatever it is, it must not take the others with it.
            logger.exception("%d tracks and readings failed; now one by one", len(taken))
            self._metrics.failures.labels("bulk").inc()
            for waiting in taken:
                self._serve_alone(waiting, connection, live)
        self.queue.done(taken)

    def _serve_alone(
        self, waiting: Waiting, connection: MqttConnection, live: LivePublisher
    ) -> None:
        try:
            self._serve([waiting], connection, live)
        except _Stopping:
            return
        except Exception:
            # Let go without a receipt: its device keeps it until a gateway can store it.
            logger.exception("%s: a batch failed", waiting[0])
            self._metrics.failures.labels("bulk").inc()

    def _serve(
        self, taken: Sequence[Waiting], connection: MqttConnection, live: LivePublisher
    ) -> None:
        crash = self._crash.reach if taken else _nothing
        crash("bulk", "received")
        batches, refused = self._patiently("registry", lambda: self._commit.read(taken))
        states = [self._states.popleft() for _ in range(len(self._states))]
        started_s = time.monotonic()
        refused += self._patiently("telemetry", lambda: self._commit.write(batches, states))
        crash("bulk", "committed")
        with self._policy_lock:
            self._note(batches, refused)
            due = self._policy.due(time.monotonic())
            others = self._policy.to_move(time.monotonic())
        self._receipt(due, others, refused, connection)
        if taken:
            self._metrics.commit_seconds.labels("bulk").observe(time.monotonic() - started_s)
        crash("bulk", "receipted")
        live.collect(self._deltas(batches))
        crash("bulk", "published")

    def _patiently(self, store: str, act: Callable[[], _T]) -> _T:
        """Do something until its store takes it."""
        while True:
            started_s = time.monotonic()
            try:
                return act()
            except StoreAway as error:
                logger.error("%s; %d tracks and readings wait", error, len(self.queue))
            self._pulse.beat()
            self.queue.mind()
            self._stopping.wait(RETRY_S)
            self._metrics.away_seconds.labels(store).inc(time.monotonic() - started_s)
            if self._stopping.is_set():
                raise _Stopping

    def _note(self, batches: Sequence[Batch], refused: Sequence[Refused]) -> None:
        now_s = time.monotonic()
        outcomes: Counter[tuple[str, str]] = Counter()
        for batch in batches:
            duplicate = self._policy.committed(batch.claim, now_s)
            outcomes[batch.stream, "duplicate" if duplicate else "stored"] += 1
        for item in refused:
            if item.claim is not None:
                # At once: the device should let go of what nobody will ever take.
                self._policy.committed(item.claim, now_s, at_once=True)
        for (stream, outcome), number in outcomes.items():
            self._metrics.messages.labels(stream, outcome).inc(number)

    def _receipt(
        self,
        due: Sequence[Due],
        others: Sequence[Claim],
        refused: Sequence[Refused],
        connection: MqttConnection,
    ) -> None:
        cursors = self._patiently("registry", lambda: self._commit.move(due, others, refused))
        with self._policy_lock:
            for key, (upto, singles) in cursors.items():
                self._policy.receipted(key, upto, singles)
        self._send(due, cursors, connection)

    def _send(self, due: Sequence[Due], cursors: Cursors, connection: MqttConnection) -> None:
        now_ms = time.time_ns() // 1_000_000
        for one in due:
            streams = {}
            for stream in dict.fromkeys(claim.stream for claim in one.claims):
                upto, singles = cursors[one.device, one.epoch, stream]
                streams[stream] = [upto, *singles]
            payload = messages.make_receipt(now_ms, one.epoch, streams)
            connection.publish(topics.down(one.device, "receipt"), payload)
        if due:
            self._metrics.receipts.labels("bulk").inc(len(due))

    def _deltas(self, batches: Sequence[Batch]) -> list[deltas.Delta]:
        """The newest fix of each device and the newest reading of each of its sensors."""
        newest: dict[str, TrackRow] = {}
        found: list[deltas.Delta] = []
        for _, _, row in batches:
            if not isinstance(row, TrackRow):
                points = reading_points(row.device, row.record, row.clock, row.received_ms)
                found += [deltas.reading(point) for point in points]
            elif self._newest.admit(row):
                newest[row.device] = row
        return found + [deltas.position(last_position(row)) for row in newest.values()]

    def _farewell(self, connection: MqttConnection) -> None:
        """Receipt what is committed: who comes next should not get it all again."""
        with self._policy_lock:
            due = self._policy.all()
        try:
            self._send(due, self._commit.move(due, [], []), connection)
        except StoreAway as error:
            logger.warning("%s; %d receipts are left out", error, len(due))


def _nothing(_path: str, _point: str) -> None:
    """An idle round passes no point."""
