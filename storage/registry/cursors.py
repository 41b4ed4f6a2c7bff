"""Where each stream of each device stands: the truth behind every receipt.

`upto` counts what is stored, refused (quarantined) or no longer held by the device, without a gap;
`above` holds stored batches beyond a gap. Pure arithmetic first, rows below.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from storage.registry.insert import insert_or_ignore_many
from storage.registry.models import Cursor

# Batches above a gap that are remembered. One that does not fit is stored but not receipted: the
# device sends it again after the gap is filled, and nothing is lost.
ABOVE_MAX = 64
# What one receipt names of them (docs/wire_protocol.md).
SINGLES_MAX = 32
# One statement's worth of keys; SQLite allows 32,766 parameters.
_KEYS_MAX = 5000

Key = tuple[str, int, str]  # (device, epoch, stream)


class Advance(NamedTuple):
    """One stored or refused batch: seq `first`..`last`, and the lowest the device still holds."""

    device: str
    epoch: int
    stream: str
    first: int
    last: int
    low: int


def advance(
    upto: int, above: list[list[int]], batches: Iterable[tuple[int, int, int]]
) -> tuple[int, list[list[int]]]:
    """Return (upto, above) after batches of (first, last, low); order does not matter."""
    rows = {row[0]: row[1] for row in above}
    for first, last, low in batches:
        # What the device no longer holds was receipted or dropped: it will never come.
        upto = max(upto, low - 1)
        rows[first] = max(last, rows.get(first, 0))
    kept: list[list[int]] = []
    for first, last in sorted(rows.items()):
        if last <= upto:
            continue
        if first <= upto + 1:
            upto = last
        else:
            kept.append([first, last])
    return upto, kept[:ABOVE_MAX]


def advance_cursors(
    session: Session, advances: Iterable[Advance]
) -> dict[Key, tuple[int, list[int]]]:
    """Move cursors by stored batches; return (upto, singles) of every cursor named.

    The rows are locked for the transaction: two gateways may move the same cursor.
    """
    batches: dict[Key, list[tuple[int, int, int]]] = defaultdict(list)
    for row in advances:
        batches[(row.device, row.epoch, row.stream)].append((row.first, row.last, row.low))
    receipts: dict[Key, tuple[int, list[int]]] = {}
    changed = []
    for cursor in _locked(session, sorted(batches)):
        key = (cursor.device, cursor.epoch, cursor.stream)
        upto, above = advance(cursor.upto, cursor.above, batches[key])
        if (upto, above) != (cursor.upto, cursor.above):
            changed.append(
                {"device": key[0], "epoch": key[1], "stream": key[2], "upto": upto, "above": above}
            )
        receipts[key] = (upto, [first for first, _ in above[:SINGLES_MAX]])
    if changed:
        session.bulk_update_mappings(Cursor.__mapper__, changed)
    return receipts


class _Row(NamedTuple):
    device: str
    epoch: int
    stream: str
    upto: int
    above: list[list[int]]


def _locked(session: Session, keys: list[Key]) -> list[_Row]:
    """Return the rows of all keys, locked, in one order for every gateway: no deadlock."""
    rows: list[_Row] = []
    for at in range(0, len(keys), _KEYS_MAX):
        part = keys[at : at + _KEYS_MAX]
        insert_or_ignore_many(
            session,
            Cursor,
            [
                {"device": device, "epoch": epoch, "stream": stream, "upto": 0, "above": []}
                for device, epoch, stream in part
            ],
        )
        statement = (
            select(Cursor.device, Cursor.epoch, Cursor.stream, Cursor.upto, Cursor.above)
            .where(tuple_(Cursor.device, Cursor.epoch, Cursor.stream).in_(part))
            .order_by(Cursor.device, Cursor.epoch, Cursor.stream)
            .with_for_update()
        )
        rows += [_Row(*row) for row in session.execute(statement)]
    return rows
