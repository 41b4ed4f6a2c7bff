"""Where each stream of each device stands: the truth behind every receipt.

`upto` counts what is stored, refused (quarantined) or no longer held by the device, without a gap;
`above` holds stored batches beyond a gap. Pure arithmetic first, rows below.

A cursor that is lost costs a few resends and nothing else: the next message says again what its
device still holds.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from storage.registry.insert import is_postgresql

# Batches above a gap that are remembered; a device has at most 16 messages under way. One that
# does not fit is stored but not receipted: the device sends it again after the gap is filled, and
# nothing is lost.
ABOVE_MAX = 64
# What one receipt names of them (docs/wire_protocol.md).
SINGLES_MAX = 32
# Epochs of one stream that are remembered; a device makes a new one when its journal is formatted,
# a few times in its life. One that makes them up must not fill the registry.
EPOCHS_MAX = 32

Key = tuple[str, int, str]  # (device, epoch, stream)
Ranges = list[list[int]]


class Advance(NamedTuple):
    """One stored or refused batch: seq `first`..`last`, and the lowest the device still holds."""

    device: str
    epoch: int
    stream: str
    first: int
    last: int
    low: int


def advance(
    upto: int, above: Ranges, batches: Sequence[tuple[int, int, int]]
) -> tuple[int, Ranges]:
    """Return (upto, above) after batches of (first, last, low); order does not matter."""
    # What the device no longer holds was receipted or dropped: it will never come.
    for _, _, low in batches:
        if low > upto + 1:
            upto = low - 1
    ranges = [[first, last] for first, last, _ in batches]
    if above or len(ranges) > 1:
        ranges += above
        ranges.sort()
    kept: Ranges = []
    for first, last in ranges:
        if last <= upto:
            continue
        if first <= upto + 1:
            upto = last
        elif kept and kept[-1][0] == first:
            kept[-1][1] = last  # A copy; of two lengths the longer one comes last.
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
    for device, epoch, stream, first, last, low in advances:
        batches[(device, epoch, stream)].append((first, last, low))
    if not batches:
        return {}
    receipts: dict[Key, tuple[int, list[int]]] = {}
    changed = []
    for key, (upto_before, above_before) in _locked(session, list(batches)).items():
        upto, above = advance(upto_before, above_before, batches[key])
        if upto != upto_before or above != above_before:
            changed.append((*key, upto, above))
        receipts[key] = (upto, [first for first, _ in above[:SINGLES_MAX]])
    if changed:
        session.execute(_statements(session).update, {"rows": _json(changed)})
    return receipts


def _locked(session: Session, keys: list[Key]) -> dict[Key, tuple[int, Ranges]]:
    """Return (upto, above) of all keys, locked, in one order for every gateway: no deadlock."""
    statements = _statements(session)
    found = _select(session, statements.select, keys)
    missing = [key for key in keys if key not in found]
    if missing:
        session.execute(statements.insert, {"rows": _json(missing)})
        session.execute(statements.forget, {"rows": _json(missing), "epochs_max": EPOCHS_MAX})
        found |= _select(session, statements.select, missing)
    return found


def _select(
    session: Session, statement: TextClause, keys: list[Key]
) -> dict[Key, tuple[int, Ranges]]:
    rows = session.execute(statement, {"rows": _json(keys)})
    return {
        # Hardly ever is anything above: 4 us saved on most batches.
        (device, epoch, stream): (upto, [] if above == "[]" else json.loads(above))
        for device, epoch, stream, upto, above in rows
    }


def _json(rows: Sequence[Sequence[Any]]) -> str:
    return json.dumps(rows, separators=(",", ":"))


class _Statements(NamedTuple):
    """What is asked of a database, with any number of rows as one JSON parameter.

    Thousands of parameters take SQLAlchemy and the drivers longer than the database takes.
    """

    select: TextClause
    insert: TextClause
    forget: TextClause
    update: TextClause


_FORGET = """
DELETE FROM cursor WHERE (device, stream) IN (
    SELECT device, stream FROM cursor WHERE device IN (SELECT device FROM ({keys}) AS key)
    GROUP BY device, stream HAVING count(*) > :epochs_max)
AND (device, epoch, stream) NOT IN (SELECT device, epoch, stream FROM ({keys}) AS key)
"""
_SQLITE_KEYS = """
SELECT value ->> 0 AS device, value ->> 1 AS epoch, value ->> 2 AS stream FROM json_each(:rows)
"""
_SQLITE = _Statements(
    # SQLite has one writer at a time, which `Registry.begin` is from its start.
    select=text(f"""
        SELECT cursor.device, cursor.epoch, cursor.stream, upto, above
        FROM ({_SQLITE_KEYS}) AS key CROSS JOIN cursor
        WHERE cursor.device = key.device AND cursor.epoch = key.epoch
          AND cursor.stream = key.stream
    """),  # noqa: S608 - constants of this file
    insert=text(f"""
        INSERT INTO cursor (device, epoch, stream, upto, above)
        SELECT device, epoch, stream, 0, '[]' FROM ({_SQLITE_KEYS}) WHERE true
        ON CONFLICT DO NOTHING
    """),  # noqa: S608
    forget=text(_FORGET.format(keys=_SQLITE_KEYS)),
    update=text("""
        UPDATE cursor SET upto = row.value ->> 3, above = row.value -> 4
        FROM json_each(:rows) AS row
        WHERE device = row.value ->> 0 AND epoch = row.value ->> 1 AND stream = row.value ->> 2
    """),
)
_POSTGRESQL_KEYS = """
SELECT value ->> 0 AS device, (value ->> 1)::bigint AS epoch, value ->> 2 AS stream
FROM json_array_elements(CAST(:rows AS json))
"""
_POSTGRESQL = _Statements(
    select=text(f"""
        SELECT cursor.device, cursor.epoch, cursor.stream, upto, CAST(above AS text)
        FROM cursor JOIN ({_POSTGRESQL_KEYS}) AS key USING (device, epoch, stream)
        ORDER BY cursor.device, cursor.epoch, cursor.stream FOR UPDATE OF cursor
    """),  # noqa: S608
    insert=text(f"""
        INSERT INTO cursor (device, epoch, stream, upto, above)
        SELECT device, epoch, stream, 0, '[]' FROM ({_POSTGRESQL_KEYS}) AS key
        ORDER BY device, epoch, stream ON CONFLICT DO NOTHING
    """),  # noqa: S608
    forget=text(_FORGET.format(keys=_POSTGRESQL_KEYS)),
    update=text("""
        UPDATE cursor SET upto = (value ->> 3)::bigint, above = value -> 4
        FROM json_array_elements(CAST(:rows AS json))
        WHERE device = value ->> 0 AND epoch = (value ->> 1)::bigint AND stream = value ->> 2
    """),
)


def _statements(session: Session) -> _Statements:
    return _POSTGRESQL if is_postgresql(session) else _SQLITE
