"""One transaction of the urgent path: what it stores, and what follows once it is committed."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.adapters.directory import Directory
from gateway.adapters.kept import Keeper
from gateway.adapters.metrics import Metrics
from gateway.domain import deltas, inbound, outbound, receipts
from storage.registry import Registry, outbox
from storage.registry.cursors import Advance, advance_cursors
from storage.registry.ingest import store_event, store_result, store_state
from storage.registry.models import Case, Command, Event
from wire_protocol import messages, topics

logger = logging.getLogger(__name__)

Json = dict[str, Any]
Item = inbound.Record | inbound.State | inbound.Refused
# Of one SOS three things are said at most, but an operator may repeat himself.
_SAID_MAX = 50


@dataclass(frozen=True, slots=True)
class Relayed:
    """What a terminal without a link is to hear from the neighbour that carried its record."""

    device: str
    via: str
    epoch: int
    counts: Sequence[int]  # Of its events: upto and singles, as a receipt has them.
    status: Json | None  # What the command room has said of its SOS, as `sos_status` has it.


@dataclass(slots=True)
class Outcome:
    """What follows from one transaction."""

    receipts: dict[tuple[str, int], dict[str, list[int]]] = field(default_factory=dict)
    refused: dict[tuple[str, int], list[int]] = field(default_factory=dict)  # Seqs of events.
    deltas: list[Json] = field(default_factory=list)
    statuses: list[tuple[str, bytes]] = field(default_factory=list)
    states: list[inbound.State] = field(default_factory=list)
    sos_devices: list[str] = field(default_factory=list)
    relayed: list[Relayed] = field(default_factory=list)
    counts: list[tuple[str, str]] = field(default_factory=list)  # (stream, outcome)


class UrgentCommit:
    """Stores groups of urgent messages."""

    def __init__(
        self, registry: Registry, directory: Directory, keeper: Keeper, metrics: Metrics
    ) -> None:
        self._registry = registry
        self._directory = directory
        self._keeper = keeper
        self._metrics = metrics

    def store(self, items: Sequence[Item]) -> Outcome:
        """Store all in one transaction and return what follows.

        Raises:
            StoreAway: The registry cannot be written now; nothing is stored.
        """
        # In one order at every gateway: they lock device by device, and must not wait in a ring.
        checked = sorted(map(self._known, items), key=_device)
        refused = [item for item in checked if isinstance(item, inbound.Refused)]
        claims = [item.claim for item in refused if item.claim is not None]
        outcome = Outcome()
        with self._registry.begin() as session:
            rows = self._keeper.keep(session, refused)
            for item in checked:
                if isinstance(item, inbound.State):
                    _store_state(session, item, outcome)
                elif isinstance(item, inbound.Record):
                    _store_record(session, item, outcome)
                    claims.append(item.claim)
            outcome.refused = _refused(session, refused)
            advances = map(Advance._make, claims)
            for (device, epoch, stream), (upto, above) in advance_cursors(
                session, advances
            ).items():
                outcome.receipts.setdefault((device, epoch), {})[stream] = [upto, *above]
            outcome.relayed = [
                _relayed(session, item, outcome)
                for item in checked
                if isinstance(item, inbound.Record) and item.via
            ]
        for stream, result in outcome.counts:
            self._metrics.messages.labels(stream, result).inc()
        self._keeper.count(refused, rows)
        return outcome

    def _known(self, item: Item) -> Item:
        if isinstance(item, inbound.Refused) or self._directory.knows(item.device):
            return item
        reason = "no such device, or it is retired"
        if isinstance(item, inbound.State):
            return inbound.Refused(
                item.device, "state", topics.up(item.device, "state"), inbound.UNKNOWN_DEVICE,
                reason, b"", item.received_ms,
            )  # fmt: skip
        return inbound.Refused(
            item.device, item.stream, topics.up(item.device, item.stream),
            inbound.UNKNOWN_DEVICE, reason, repr(item.record).encode(), item.received_ms,
            item.claim, item.record["kind"] == "sos",
        )  # fmt: skip


def _refused(
    session: Session, items: Sequence[inbound.Refused]
) -> dict[tuple[str, int], list[int]]:
    """Return the refused events by device and epoch, without those that are stored all the same.

    Another gateway may have stored what this one failed on, or heard it before it was broken.
    """
    found = {}
    for (device, epoch), seqs in receipts.refused_events(items).items():
        stored = set(
            session.scalars(
                select(Event.seq).where(
                    Event.device == device, Event.epoch == epoch, Event.seq.in_(seqs)
                )
            )
        )
        if left := [seq for seq in seqs if seq not in stored]:
            found[device, epoch] = left
    return found


def _device(item: Item) -> str:
    return item.device


def _store_record(session: Session, item: inbound.Record, outcome: Outcome) -> None:
    if item.stream == "event":
        record = item.record | {"via": item.via} if item.via else item.record
        stored = store_event(session, item.device, record, item.received_ms)
        duplicate = stored.duplicate
        if not duplicate:
            outcome.deltas.append(deltas.event(stored.event))
            if stored.case is not None:
                outcome.deltas.append(deltas.case(stored.case))
        if item.is_sos:
            outcome.sos_devices.append(item.device)
    else:
        result = store_result(session, item.device, item.record, item.received_ms)
        duplicate = result.duplicate
        if result.command is not None:
            outcome.deltas.append(deltas.command(result.command))
    outcome.counts.append((item.stream, "duplicate" if duplicate else "stored"))


def _store_state(session: Session, item: inbound.State, outcome: Outcome) -> None:
    merged = store_state(session, item.device, item.state, item.received_ms)
    outcome.counts.append(("state", "known" if merged is None else "stored"))
    if merged is None:
        return
    outcome.deltas.append(deltas.state(item.device, merged, item.received_ms))
    outcome.states.append(item)
    if not item.state["online"]:
        return
    said = _said(session, item.device)
    for row in said:
        if row.status == "sent" and outbound.shows(item.state, row.body):
            moved = outbox.mark_delivered(session, row.id, item.received_ms)
            if moved is not None:
                outcome.deltas.append(deltas.command(moved))
    status = _status_to_repeat(session, item.device, item.state, said)
    if status is not None:
        payload = messages.make_sos_status(
            status["epoch"], status["incident"], status["status"], status["by"], status["at"],
            status.get("distance_m"),
        )  # fmt: skip
        outcome.statuses.append((topics.down(item.device, "sos_status"), payload))


def _said(session: Session, device: str) -> Sequence[Command]:
    """What was last said to a device about its SOSes, the newest first."""
    return session.scalars(
        select(Command)
        .where(Command.device == device, Command.topic == "sos_status")
        .order_by(Command.created_ms.desc())
        .limit(_SAID_MAX)
    ).all()


def _relayed(session: Session, item: inbound.Record, outcome: Outcome) -> Relayed:
    record = item.record
    # It shows "stored" by the receipt that goes with this; what it is told more comes again each
    # time that it repeats its record, since nobody knows what it has heard.
    shown = {"epoch": record["epoch"], "sos": {"incident": record["incident"], "shown": "stored"}}
    status = _status_to_repeat(session, item.device, shown, _said(session, item.device))
    counts = outcome.receipts[item.device, record["epoch"]]["event"]
    return Relayed(item.device, item.via, record["epoch"], counts, status)


def _status_to_repeat(
    session: Session, device: str, state: Json, said: Sequence[Command]
) -> Json | None:
    sos = state.get("sos")
    if sos is None:
        return None
    place = epoch, incident = outbound.opened(state, sos)
    # The case is found by the event of the first press of what the device shows.
    case = session.scalars(
        select(Case)
        .join(Event, Event.case_id == Case.id)
        .where(
            Event.device == device,
            Event.epoch == epoch,
            Event.seq == incident,
        )
    ).first()
    bodies = [
        row.body for row in said if (row.body["epoch"], row.body["incident"]) == place
        and row.status not in ("superseded", "expired")
    ]  # fmt: skip
    return outbound.status_to_repeat(state, None if case is None else case.as_dict(), bodies)
