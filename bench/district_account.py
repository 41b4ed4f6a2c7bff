"""What the rigs of a district saw sealed, against what its stores hold, record by record.

A rig is a witness outside the terminal's journal and link. A record is a fix or an event. The
stores are read with plain SQL, by none of the code that wrote them.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A batch says in its eleventh byte how many records it holds: docs/wire_protocol.md.
BATCHES = (
    "SELECT device.id, epoch, seq, substr(record, 11, 1)"
    " FROM {stream} JOIN device ON device.no = device_no"
)


class Key(NamedTuple):
    """A sealed batch by its first record, or a sealed event."""

    device: str
    stream: str
    epoch: int
    seq: int


class Stored(NamedTuple):
    """Everything that the stores hold: batches and events, and what devices said they dropped."""

    batches: list[tuple[Key, int]]
    dropped: dict[tuple[str, int], list[tuple[str, int, int]]]  # (device, epoch): ranges.

    def is_dropped(self, key: Key) -> bool:
        """Tell whether a device named this record as dropped."""
        return any(
            stream == key.stream and first <= key.seq < first + count
            for stream, first, count in self.dropped.get((key.device, key.epoch), ())
        )


def sealed(home: Path, until_ms: int | None = None) -> dict[Key, int]:
    """Return what the rigs saw sealed until then, with the number of records in each."""
    found: dict[Key, int] = {}
    for path in (home / "devices").glob("*/witness.jsonl"):
        # The device may be writing its last line right now.
        for line in path.read_text().rpartition("\n")[0].splitlines():
            at_ms, what, *words = json.loads(line)
            if what == "sealed" and (until_ms is None or at_ms <= until_ms):
                stream, epoch, seq, count = words[:4]
                found[Key(path.parent.name, stream, epoch, seq)] = count
    return found


def stored(home: Path) -> Stored:
    """Read both stores."""
    batches = [
        (Key(device, stream, epoch, seq), count[0])
        for stream in ("track", "reading")
        for device, epoch, seq, count in _rows(
            home / "telemetry.sqlite", BATCHES.format(stream=stream)
        )
    ]
    dropped: defaultdict[tuple[str, int], list[tuple[str, int, int]]] = defaultdict(list)
    registry = home / "registry.sqlite"
    for device, epoch, seq, kind, text in _rows(
        registry, "SELECT device, epoch, seq, kind, body FROM event"
    ):
        batches.append((Key(device, "event", epoch, seq), 1))
        if kind == "dropped":
            body = json.loads(text)
            dropped[device, epoch].append((body["stream"], body["first"], body["count"]))
    for device, epoch, seq in _rows(registry, "SELECT device, epoch, seq FROM result"):
        batches.append((Key(device, "result", epoch, seq), 1))
    return Stored(batches, dropped)


def _rows(path: Path, query: str) -> Iterator[Any]:
    connection = sqlite3.connect(path, timeout=30)
    try:
        yield from connection.execute(query)
    finally:
        connection.close()


def compare(
    due: dict[Key, int], seen: dict[Key, int], there: Stored, reachable: set[str]
) -> dict[str, int]:
    """Count records.

    Args:
        due: Sealed so early that they must have arrived.
        seen: Everything that was sealed, read after the stores.
        there: The stores.
        reachable: Devices that were connected; what others sealed is in their journals.
    """
    held = dict(there.batches)
    missing = {key: count for key, count in due.items() if held.get(key) != count}
    dropped = {key for key in missing if there.is_dropped(key)}
    away = {key for key in missing if key.device not in reachable} - dropped
    return {
        "sealed": sum(due.values()),
        "stored": sum(due.values()) - sum(missing.values()),
        "lost": sum(missing[key] for key in missing.keys() - dropped - away),
        "doubled": _doubled(there),
        "named_as_dropped": sum(missing[key] for key in dropped),
        "held_by_terminals_away": sum(missing[key] for key in away),
        "stored_and_never_sealed": sum(n for key, n in there.batches if key not in seen),
    }


def _doubled(there: Stored) -> int:
    """Count the numbers that more than one stored row holds."""
    doubled = 0
    ends: dict[tuple[str, str, int], int] = {}
    for key, count in sorted(there.batches):
        stream = key[:3]
        end = ends.get(stream, key.seq)
        doubled += max(0, min(end, key.seq + count) - key.seq)
        ends[stream] = max(end, key.seq + count)
    return doubled
