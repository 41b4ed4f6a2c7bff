"""Keeps refused messages for inspection, within a budget, and counts every one of them."""

import logging
import time
from collections import Counter
from collections.abc import Sequence

from sqlalchemy.orm import Session

from gateway.adapters.metrics import Metrics
from gateway.domain.inbound import Refused
from gateway.domain.quarantine import QuarantineBudget
from storage.registry.ingest import quarantine

logger = logging.getLogger(__name__)


class Keeper:
    """One for each path: it is not shared between threads."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._budget = QuarantineBudget()

    def keep(self, session: Session, items: Sequence[Refused]) -> Counter[str]:
        """Write refused messages to the quarantine, as far as their devices' shares go.

        Returns:
            Rows by share, for `count` once the transaction is committed.
        """
        now_s = time.monotonic()
        rows: Counter[str] = Counter()
        for item in items:
            share = _share(item)
            if rows[share] < self._budget.room(share, now_s):
                rows[share] += 1
                quarantine(
                    session, item.device, item.topic, item.reason, item.payload,
                    item.received_ms, code=item.code, kind="sos" if item.is_sos else None,
                )  # fmt: skip
        return rows

    def count(self, items: Sequence[Refused], rows: Counter[str]) -> None:
        """Count what was refused, once its transaction is committed."""
        for share, number in rows.items():
            self._budget.charge(share, number, time.monotonic())
        said: Counter[str] = Counter()
        for item in items:
            self._metrics.quarantined.labels(item.stream, item.code).inc()
            self._metrics.messages.labels(item.stream, "refused").inc()
            share = _share(item)
            said[share] += 1
            if said[share] <= rows[share]:
                logger.warning("%s: refused on %s: %s", item.device, item.stream, item.reason)


def _share(item: Refused) -> str:
    """Whose share of the quarantine a message takes: garbage leaves no SOS without a row."""
    return f"{item.device} sos" if item.is_sos else item.device
