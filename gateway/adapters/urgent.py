"""The urgent path: events, results and states, which never wait for telemetry.

paho's thread puts messages into three lanes; one worker takes what waits: SOSes first and alone,
then other events, then the rest, few enough for a transaction of some ms. Commit, receipts, live
deltas, acknowledgements in the order of arrival (MQTT 3.1.1, section 4.6). With the registry away
the worker keeps what it took and tries again; what finds no room is let go and counted, because
no device forgets before its receipt.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from gateway.adapters.crash_points import CrashPoints
from gateway.adapters.live import LivePublisher
from gateway.adapters.metrics import Metrics
from gateway.adapters.mqtt_connection import Incoming, MqttConnection
from gateway.adapters.pulse import Pulse
from gateway.adapters.relay_desk import RelayDesk
from gateway.adapters.urgent_commit import Item, Outcome, UrgentCommit
from gateway.domain import inbound
from gateway.domain.room import Room
from gateway.domain.urgency import LANES, OTHER, SOS, lane
from storage.errors import StoreAway
from storage.telemetry.interface import StateRow
from wire_protocol import messages, topics

logger = logging.getLogger(__name__)

# Fourteen messages of every terminal of the district; a device gone mad sends 64 kB a message.
MESSAGES_MAX = 20_000
BYTES_MAX = 32 << 20
# The last part of the room is kept for events, the very last for SOSes.
_SHARES = {SOS: 1.0, 1: 0.9, OTHER: 0.6}
# In one transaction: an SOS that arrives behind it waits for so many.
TOGETHER_MAX = 25
SOS_TOGETHER_MAX = 10
RETRY_S = 0.25
WORKER_CANNOT = "this gateway failed on it: "


class _Held:
    """A message from its arrival until its acknowledgement."""

    __slots__ = ("done", "message", "received_ms", "since_s")

    def __init__(self, message: Incoming) -> None:
        self.message = message
        self.received_ms = time.time_ns() // 1_000_000
        self.since_s = time.monotonic()
        self.done = False


class UrgentPath:
    """Takes messages from paho's thread, stores and answers them in one of its own."""

    def __init__(
        self,
        commit: UrgentCommit,
        relay_desk: RelayDesk,
        metrics: Metrics,
        crash_points: CrashPoints,
        pulse: Pulse,
        on_outcome: Callable[[Outcome, list[StateRow]], None],
    ) -> None:
        self._commit = commit
        self._relay_desk = relay_desk
        self._metrics = metrics
        self._crash = crash_points
        self._pulse = pulse
        self._on_outcome = on_outcome
        self._room = Room(MESSAGES_MAX, BYTES_MAX)
        self._lanes: dict[int, deque[_Held]] = {number: deque() for number in LANES}
        self._unacknowledged: deque[_Held] = deque()
        self._filled = threading.Event()
        self._stopping = threading.Event()

    def receive(self, message: Incoming) -> bool:
        """Queue a message; called in paho's thread. False: no room, let it go."""
        number = lane(message.topic, message.payload)
        if not self._room.bring(len(message.payload), _SHARES[number]):
            self._metrics.let_go.labels("urgent").inc()
            return False
        held = _Held(message)
        self._unacknowledged.append(held)
        self._lanes[number].append(held)
        self._filled.set()
        return True

    def run(self, connection: MqttConnection, live: LivePublisher) -> None:
        """Work until stopped; the body of the worker's thread."""
        while not self._stopping.is_set():
            self._pulse.beat()
            taken = self._take()
            if taken:
                self._serve(taken, connection, live)
                self._acknowledge(taken, connection)
            else:
                self._filled.wait(0.5)
                self._filled.clear()

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()
        self._filled.set()

    def _take(self) -> list[_Held]:
        soses = self._lanes[SOS]
        if soses:
            return [soses.popleft() for _ in range(min(len(soses), SOS_TOGETHER_MAX))]
        taken: list[_Held] = []
        for waiting in self._lanes.values():
            room = TOGETHER_MAX - len(taken)
            taken += [waiting.popleft() for _ in range(min(len(waiting), room))]
        self._metrics.queue.labels("urgent").set(self._room.messages)
        self._metrics.queue_bytes.labels("urgent").set(self._room.bytes)
        return taken

    def _serve(
        self, taken: Sequence[_Held], connection: MqttConnection, live: LivePublisher
    ) -> None:
        self._crash.reach("urgent", "received")
        items = [self._read(held) for held in taken]
        try:
            self._store_and_answer(items, connection, live)
        except Exception:
            # Whatever it is, it must not take the others with it.
            logger.exception("a group of %d messages failed; now one by one", len(items))
            self._metrics.failures.labels("urgent").inc()
            for item, held in zip(items, taken, strict=True):
                self._store_alone(item, held.message, connection, live)
        for item, held in zip(items, taken, strict=True):
            if isinstance(item, inbound.Record) and item.is_sos:
                self._metrics.sos_seconds.observe(time.monotonic() - held.since_s)

    def _read(self, held: _Held) -> Item:
        message = held.message
        if message.topic.endswith("/up/relay"):
            return self._relay_desk.read(message, held.received_ms)
        return inbound.read_urgent(
            message.topic, message.payload, held.received_ms, retained=message.retained
        )

    def _store_alone(
        self, item: Item, message: Incoming, connection: MqttConnection, live: LivePublisher
    ) -> None:
        try:
            self._store_and_answer([item], connection, live)
        except Exception as error:
            # Kept for inspection and receipted as refused: that this commit works proves that
            # the message is at fault and not the registry.
            logger.exception("%s: a message on %s failed", item.device, message.topic)
            now_ms = time.time_ns() // 1_000_000
            reason = WORKER_CANNOT + repr(error)
            refused = inbound.refuse(
                message.topic, message.payload, now_ms, inbound.STORE_REFUSED, reason
            )
            self._store_and_answer([refused], connection, live)

    def _store_and_answer(
        self, items: Sequence[Item], connection: MqttConnection, live: LivePublisher
    ) -> None:
        outcome = self._store(items)
        if outcome is None:
            return  # Stopping: nothing is receipted, the devices send again.
        self._crash.reach("urgent", "committed")
        for (device, epoch), streams in outcome.receipts.items():
            now_ms = time.time_ns() // 1_000_000
            seqs = outcome.refused.get((device, epoch))
            refused = {"event": seqs} if seqs else None
            payload = messages.make_receipt(now_ms, epoch, streams, refused)
            connection.publish(topics.down(device, "receipt"), payload)
            self._metrics.receipts.labels("urgent").inc()
        for relayed in outcome.relayed:
            for topic, payload in self._relay_desk.answers(relayed):
                connection.publish(topic, payload)
        self._crash.reach("urgent", "receipted")
        live.publish(outcome.deltas)
        self._crash.reach("urgent", "published")
        for topic, payload in outcome.statuses:
            connection.publish_surely(topic, payload)
        states = [StateRow(item.device, item.received_ms, item.state) for item in outcome.states]
        self._on_outcome(outcome, states)

    def _store(self, items: Sequence[Item]) -> Outcome | None:
        while not self._stopping.is_set():
            self._pulse.beat()
            started_s = time.monotonic()
            try:
                outcome = self._commit.store(items)
            except StoreAway as error:
                logger.error("%s; %d urgent messages wait", error, self._room.messages)
                self._stopping.wait(RETRY_S)
                self._metrics.away_seconds.labels("registry").inc(time.monotonic() - started_s)
                continue
            self._metrics.commit_seconds.labels("urgent").observe(time.monotonic() - started_s)
            return outcome
        return None

    def _acknowledge(self, taken: Sequence[_Held], connection: MqttConnection) -> None:
        for held in taken:
            held.done = True
            self._room.take_away(len(held.message.payload))
        if self._stopping.is_set():
            return
        while self._unacknowledged and self._unacknowledged[0].done:
            connection.acknowledge(self._unacknowledged.popleft().message)
