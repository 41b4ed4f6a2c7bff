"""What the rigs of a district saw sealed, against what its stores hold, record by record.

A rig is a witness outside the terminal's journal and link. A record is a fix or an event. The
stores are read with plain SQL, by none of the code that wrote them.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A batch says in its eleventh byte how many records it holds: docs/wire_protocol.md.
BATCHES = (
    "SELECT device.id, epoch, seq, substr(record, 11, 1)"
    " FROM {stream} JOIN device ON device.no = device_no"
)
WHERE = ("stored", "lost", "not_arrived", "named_as_dropped", "held_by_terminals_away")


class Key(NamedTuple):
    """A sealed batch by its first record, or a sealed event."""

    device: str
    stream: str
    epoch: int
    seq: int


class Stored(NamedTuple):
    """What the stores hold: batches and events, what devices dropped, how far receipts go."""

    batches: list[tuple[Key, int]]
    dropped: dict[tuple[str, int], list[tuple[str, int, int]]]  # (device, epoch): ranges.
    receipted: dict[tuple[str, str, int], tuple[int, list[tuple[int, int]]]]

    def is_dropped(self, key: Key) -> bool:
        """Tell whether a device named this record as dropped."""
        return any(
            stream == key.stream and first <= key.seq < first + count
            for stream, first, count in self.dropped.get((key.device, key.epoch), ())
        )

    def is_receipted(self, key: Key) -> bool:
        """Tell whether the cursor covers it: its terminal may forget it, or has done so."""
        upto, above = self.receipted.get(key[:3], (0, []))
        return key.seq <= upto or any(first <= key.seq <= last for first, last in above)


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
    receipted = {
        (device, stream, epoch): (upto, json.loads(above))
        for device, stream, epoch, upto, above in _rows(
            registry, "SELECT device, stream, epoch, upto, above FROM cursor"
        )
    }
    return Stored(batches, dropped, receipted)


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

    What is missing in the stores is lost when a receipt covers it; without one its terminal still
    has it, and it has not arrived yet, or its terminal is away.

    Args:
        due: Sealed so early that they must have arrived.
        seen: Everything that was sealed, read after the stores.
        there: The stores.
        reachable: Devices that are connected.
    """
    held = dict(there.batches)
    records = Counter(stored=sum(due.values()))
    for key, count in due.items():
        if held.get(key) == count:
            continue
        records["stored"] -= count
        if there.is_dropped(key):
            records["named_as_dropped"] += count
        elif there.is_receipted(key):
            records["lost"] += count
        elif key.device in reachable:
            records["not_arrived"] += count
        else:
            records["held_by_terminals_away"] += count
    return {
        "sealed": sum(due.values()),
        **{name: records[name] for name in WHERE},
        "doubled": _doubled(there),
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
