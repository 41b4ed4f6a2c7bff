"""What one round of the bulk path reads, stores and moves; no waiting, no retry."""

from collections.abc import Sequence

from gateway.adapters.bulk_queue import Waiting
from gateway.adapters.directory import Directory
from gateway.adapters.kept import Keeper
from gateway.domain import inbound
from gateway.domain.inbound import Batch, Claim, Refused
from gateway.domain.receipts import Due
from storage.errors import RowsRefused
from storage.registry import Registry
from storage.registry.cursors import Advance, advance_cursors
from storage.telemetry.interface import ReadingRow, StateRow, Telemetry, TrackRow
from wire_protocol import topics

Cursors = dict[tuple[str, int, str], tuple[int, list[int]]]


class BulkCommit:
    """Each call may raise StoreAway; then it is asked again with the same."""

    def __init__(
        self, telemetry: Telemetry, registry: Registry, directory: Directory, keeper: Keeper
    ) -> None:
        self._telemetry = telemetry
        self._registry = registry
        self._directory = directory
        self._keeper = keeper

    def read(self, taken: Sequence[Waiting]) -> tuple[list[Batch], list[Refused]]:
        """Check every message."""
        batches: list[Batch] = []
        refused: list[Refused] = []
        for topic, payload, received_ms in taken:
            item = inbound.read_bulk(topic, payload, received_ms)
            if isinstance(item, Refused):
                refused.append(item)
            elif self._directory.knows(item.row.device):
                batches.append(item)
            else:
                reason = "no such device, or it is retired"
                refused.append(
                    inbound.refuse(topic, payload, received_ms, inbound.UNKNOWN_DEVICE, reason)
                )
        return batches, refused

    def write(self, batches: list[Batch], states: Sequence[StateRow]) -> list[Refused]:
        """Write to the telemetry store; what it will never take moves into the answer."""
        tracks = [row for _, _, row in batches if isinstance(row, TrackRow)]
        readings = [row for _, _, row in batches if isinstance(row, ReadingRow)]
        if not tracks and not readings and not states:
            return []
        try:
            self._telemetry.write(tracks, readings, states)
        except RowsRefused as error:
            culprits = {id(row) for row in error.rows}
            gone = [batch for batch in batches if id(batch.row) in culprits]
            batches[:] = [batch for batch in batches if id(batch.row) not in culprits]
            return [_refused(batch, str(error)) for batch in gone]
        return []

    def move(
        self, due: Sequence[Due], others: Sequence[Claim], refused: Sequence[Refused]
    ) -> Cursors:
        """Move cursors and keep what was refused, in one transaction; return where they stand."""
        if not due and not others and not refused:
            return {}
        claims = [*others, *(claim for one in due for claim in one.claims)]
        with self._registry.begin() as session:
            rows = self._keeper.keep(session, refused)
            cursors = advance_cursors(session, map(Advance._make, claims))
        self._keeper.count(refused, rows)
        return cursors


def _refused(batch: Batch, reason: str) -> Refused:
    row = batch.row
    return Refused(
        row.device, batch.stream, topics.up(row.device, batch.stream), inbound.STORE_REFUSED,
        reason, row.record, row.received_ms, batch.claim,
    )  # fmt: skip
