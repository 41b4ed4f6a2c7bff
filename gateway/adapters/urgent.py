"""The urgent path: events, results and states, which never wait for telemetry.

paho's thread puts messages into two queues, events ahead of everything else; one worker takes what
waits, an SOS first and alone, the rest together: one transaction, then receipts, then live deltas,
then acknowledgements in the order of arrival (MQTT 3.1.1, section 4.6). With the registry away the
worker keeps what it took and tries again; what does not fit into the queue is let go and counted,
because no device forgets before its receipt.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.adapters.crash_points import CrashPoints
from gateway.adapters.directory import Directory
from gateway.adapters.live import LivePublisher
from gateway.adapters.metrics import Metrics
from gateway.adapters.mqtt_connection import Message, MqttConnection
from gateway.domain import deltas, inbound, outbound
from storage.errors import StoreAway
from storage.registry import Registry
from storage.registry.cursors import Advance, advance_cursors
from storage.registry.ingest import quarantine, store_event, store_result, store_state
from storage.registry.models import Case, Event
from storage.telemetry.interface import StateRow
from wire_protocol import messages, topics

logger = logging.getLogger(__name__)

QUEUE_MAX = 20_000  # Fourteen messages of every terminal of the district.
TOGETHER_MAX = 200  # Messages in one transaction: some 20 ms, so that an SOS never waits long.
RETRY_S = 0.25

Item = inbound.Record | inbound.State | inbound.Refused


@dataclass(slots=True)
class _Held:
    """A message from its arrival until its acknowledgement."""

    message: Message
    received_ms: int
    done: bool = False


@dataclass(slots=True)
class _Outcome:
    """What follows from one transaction once it is committed."""

    receipts: dict[tuple[str, int], dict[str, list[int]]]
    deltas: list[dict[str, Any]]
    statuses: list[tuple[str, bytes]]
    states: list[inbound.State]


class UrgentPath:
    """Takes messages from paho's thread, stores and answers them in one of its own."""

    def __init__(
        self,
        registry: Registry,
        directory: Directory,
        metrics: Metrics,
        crash_points: CrashPoints,
        on_state: Callable[[inbound.State, StateRow], None],
    ) -> None:
        self._registry = registry
        self._directory = directory
        self._metrics = metrics
        self._crash = crash_points
        self._on_state = on_state
        self._events: deque[_Held] = deque()
        self._others: deque[_Held] = deque()
        self._unacknowledged: deque[_Held] = deque()
        self._filled = threading.Condition()
        self._stopping = threading.Event()

    def receive(self, message: Message) -> bool:
        """Queue a message; called in paho's thread. False: no room, let it go."""
        held = _Held(message, _now_ms())
        with self._filled:
            if len(self._unacknowledged) >= QUEUE_MAX:
                self._metrics.overrun.labels("urgent").inc()
                return False
            self._unacknowledged.append(held)
            (self._events if message.topic.endswith("/up/event") else self._others).append(held)
            self._filled.notify()
        return True

    def run(self, connection: MqttConnection, live: LivePublisher) -> None:
        """Work until stopped; the body of the worker's thread."""
        while not self._stopping.is_set():
            taken = self._take()
            if taken:
                self._serve(taken, connection, live)

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()

    def _take(self) -> list[_Held]:
        with self._filled:
            if not self._events and not self._others:
                self._filled.wait(0.2)
            waiting = self._events or self._others
            taken = [waiting.popleft() for _ in range(min(len(waiting), TOGETHER_MAX))]
            self._metrics.queue.labels("urgent").set(len(self._events) + len(self._others))
            return taken

    def _serve(
        self, taken: Sequence[_Held], connection: MqttConnection, live: LivePublisher
    ) -> None:
        self._crash.reach("received")
        items = [
            inbound.read_urgent(held.message.topic, bytes(held.message.payload), held.received_ms)
            for held in taken
        ]
        soses: list[Item] = [
            item for item in items if isinstance(item, inbound.Record) and item.is_sos
        ]
        others = [item for item in items if item not in soses]
        groups: list[list[Item]] = [*([item] for item in soses), others]
        for group in groups:
            if not group:
                continue
            outcome = self._commit(group)
            if outcome is None:
                return  # Stopping: nothing is acknowledged, the devices send again.
            self._crash.reach("committed")
            self._answer(outcome, connection, live)
            if group is not others:
                self._metrics.sos_seconds.observe((_now_ms() - group[0].received_ms) / 1000)
        self._acknowledge(taken, connection)

    def _acknowledge(self, taken: Sequence[_Held], connection: MqttConnection) -> None:
        for held in taken:
            held.done = True
        with self._filled:
            while self._unacknowledged and self._unacknowledged[0].done:
                connection.acknowledge(self._unacknowledged.popleft().message)

    def _commit(self, items: Sequence[Item]) -> _Outcome | None:
        while not self._stopping.is_set():
            started_s = time.monotonic()
            try:
                with self._registry.begin() as session:
                    outcome = self._store(session, items)
            except StoreAway as error:
                logger.error("registry: %s; %d messages wait", error, len(items))
                self._stopping.wait(RETRY_S)
                self._metrics.away_seconds.labels("registry").inc(time.monotonic() - started_s)
                continue
            self._metrics.commit_seconds.labels("urgent").observe(time.monotonic() - started_s)
            return outcome
        return None

    def _store(self, session: Session, items: Sequence[Item]) -> _Outcome:
        outcome = _Outcome({}, [], [], [])
        advances = []
        for item in items:
            known = self._directory.knows(item.device)
            if not known and not isinstance(item, inbound.Refused):
                item = _unknown(item)  # noqa: PLW2901 - the same message, refused
            if isinstance(item, inbound.Refused):
                advances += self._quarantine(session, item)
            elif isinstance(item, inbound.State):
                self._store_state(session, item, outcome)
            else:
                advances.append(self._store_record(session, item, outcome))
        for (device, epoch, stream), (upto, singles) in advance_cursors(session, advances).items():
            outcome.receipts.setdefault((device, epoch), {})[stream] = [upto, *singles]
        return outcome

    def _store_record(self, session: Session, item: inbound.Record, outcome: _Outcome) -> Advance:
        record = item.record
        duplicate = False
        if item.stream == "event":
            stored = store_event(session, item.device, record, item.received_ms)
            duplicate = stored.duplicate
            if not duplicate:
                outcome.deltas.append(deltas.event(stored.event))
                if stored.case is not None:
                    outcome.deltas.append(deltas.case(stored.case))
        else:
            result = store_result(session, item.device, record, item.received_ms)
            duplicate = result.duplicate
            if result.command is not None:
                outcome.deltas.append(deltas.command(result.command))
        self._metrics.messages.labels(item.stream, "duplicate" if duplicate else "stored").inc()
        return Advance(
            item.device, record["epoch"], item.stream, record["seq"], record["seq"], item.low
        )

    def _store_state(self, session: Session, item: inbound.State, outcome: _Outcome) -> None:
        merged = store_state(session, item.device, item.state, item.received_ms)
        self._metrics.messages.labels("state", "old" if merged is None else "stored").inc()
        if merged is None:
            return
        outcome.deltas.append(deltas.state(item.device, merged, item.received_ms))
        outcome.states.append(item)
        case = _case_shown(session, item)
        status = outbound.status_to_repeat(item.state, case) if item.state["online"] else None
        if status is not None and case is not None:
            outcome.statuses.append(_sos_status(item, case, status))

    def _quarantine(self, session: Session, item: inbound.Refused) -> list[Advance]:
        stream = topics.parse(item.topic)[2]
        logger.warning("%s: refused on %s: %s", item.device, stream, item.reason)
        self._metrics.quarantined.labels(stream).inc()
        self._metrics.messages.labels(stream, "refused").inc()
        quarantine(session, item.device, item.topic, item.reason, item.payload, item.received_ms)
        if item.claim is None:
            return []
        stream, epoch, first, last, low = item.claim
        return [Advance(item.device, epoch, stream, first, last, low)]

    def _answer(self, outcome: _Outcome, connection: MqttConnection, live: LivePublisher) -> None:
        for (device, epoch), streams in outcome.receipts.items():
            payload = messages.make_receipt(_now_ms(), epoch, streams)
            connection.publish(topics.down(device, "receipt"), payload)
            self._metrics.receipts.labels("urgent").inc()
        self._crash.reach("receipted")
        for topic, payload in outcome.statuses:
            connection.publish(topic, payload, qos=1)
        live.publish(outcome.deltas)
        self._crash.reach("published")
        for item in outcome.states:
            self._on_state(item, StateRow(item.device, item.received_ms, item.state))


def _unknown(item: inbound.Record | inbound.State) -> inbound.Refused:
    reason = "no such device, or it is retired"
    if isinstance(item, inbound.State):
        topic = topics.up(item.device, "state")
        return inbound.Refused(item.device, topic, reason, b"", item.received_ms)
    record = item.record
    claim = (item.stream, record["epoch"], record["seq"], record["seq"], item.low)
    topic = topics.up(item.device, item.stream)
    payload = repr(record).encode()
    return inbound.Refused(item.device, topic, reason, payload, item.received_ms, claim)


def _case_shown(session: Session, item: inbound.State) -> dict[str, Any] | None:
    """The case of the SOS that a device shows, found by the event of its first press."""
    sos = item.state.get("sos")
    if sos is None:
        return None
    case = session.scalars(
        select(Case)
        .join(Event, Event.case_id == Case.id)
        .where(
            Event.device == item.device,
            Event.epoch == item.state["epoch"],
            Event.seq == sos["incident"],
        )
    ).first()
    return None if case is None else case.as_dict()


def _sos_status(item: inbound.State, case: dict[str, Any], status: str) -> tuple[str, bytes]:
    by = case["closed_by"] if status == "closed" else case["taken_by"]
    at_ms = case["closed_ms"] if status == "closed" else case["taken_ms"]
    payload = messages.make_sos_status(
        item.state["epoch"], item.state["sos"]["incident"], status, by or "", at_ms or 0
    )
    return topics.down(item.device, "sos_status"), payload


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
