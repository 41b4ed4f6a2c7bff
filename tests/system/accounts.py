"""What an outside witness says against what the stores hold, key by key and content by content.

The witness is the rig of each virtual device: what was pressed, which positions were fed, and
which records were sealed. Nothing here uses the code under test to read the stores but the wire's
decoder, which has a second decoder of its own in tests/wire_protocol.
"""

import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wire_protocol import track


@dataclass
class Account:
    """One device, as its rig saw it and as the stores hold it."""

    device: str
    fed: set[tuple[int, int, int]] = field(default_factory=set)
    sealed: dict[tuple[str, int, int], int] = field(default_factory=dict)  # -> records in it
    stored: dict[tuple[str, int, int], int] = field(default_factory=dict)
    fixes: list[tuple[int, int, int]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[tuple[int, str, int, int]] = field(default_factory=list)

    def missing(self) -> list[tuple[str, int, int]]:
        """Sealed records that are neither stored nor named in a dropped range."""
        return [
            key
            for key in self.sealed
            if key not in self.stored and not any(self._covers(row, key) for row in self.dropped)
        ]

    @staticmethod
    def _covers(dropped: tuple[int, str, int, int], key: tuple[str, int, int]) -> bool:
        epoch, stream, first, count = dropped
        return (stream, epoch) == key[:2] and first <= key[2] < first + count

    def wrong_fixes(self) -> list[tuple[int, int, int]]:
        """Stored fixes that were never fed."""
        return [fix for fix in self.fixes if fix not in self.fed]


def accounts(home: Path) -> dict[str, Account]:
    """Return the account of every virtual device of a home."""
    found: dict[str, Account] = {}
    for path in sorted((home / "devices").glob("*/witness.jsonl")):
        account = found[path.parent.name] = Account(path.parent.name)
        # The device may be writing its last line right now.
        for line in path.read_text().rpartition("\n")[0].splitlines():
            _note(account, json.loads(line))
    with sqlite3.connect(home / "telemetry.sqlite") as telemetry:
        for stream in ("track", "reading"):
            rows = telemetry.execute(
                f"SELECT device.id, epoch, seq, record FROM {stream}"
                " JOIN device ON device.no = device_no"
            )
            for device, epoch, seq, record in rows:
                _store(found[device], stream, epoch, seq, record)
    with sqlite3.connect(home / "registry.sqlite") as registry:
        registry.row_factory = sqlite3.Row
        for row in registry.execute("SELECT * FROM event"):
            _event(found[row["device"]], dict(row))
        for row in registry.execute("SELECT device, epoch, seq FROM result"):
            _once(found[row["device"]], ("result", row["epoch"], row["seq"]), 1)
    return found


def _note(account: Account, line: list[Any]) -> None:
    _, what, *words = line
    if what == "fed":
        at_ms, lat_e6, lon_e6 = words
        account.fed.add((at_ms // 1000, lat_e6, lon_e6))
    elif what == "sealed":
        stream, epoch, seq, count = words[:4]
        account.sealed[(stream, epoch, seq)] = count


def _store(account: Account, stream: str, epoch: int, seq: int, record: bytes) -> None:
    _once(account, (stream, epoch, seq), record[10])
    if stream == "track":
        for fix in track.decode(record).fixes:
            account.fixes.append((fix.at_ms // 1000, fix.lat_e6, fix.lon_e6))


def _event(account: Account, row: dict[str, Any]) -> None:
    _once(account, ("event", row["epoch"], row["seq"]), 1)
    row["body"] = json.loads(row["body"])
    account.events.append(row)
    if row["kind"] == "dropped":
        body = row["body"]
        account.dropped.append((row["epoch"], body["stream"], body["first"], body["count"]))


def _once(account: Account, key: tuple[str, int, int], count: int) -> None:
    assert key not in account.stored, f"{account.device}: {key} is stored twice"
    account.stored[key] = count


def assert_nothing_lost_or_doubled(home: Path) -> Counter:
    """Assert the promise over a whole home; return how many records of each stream there are."""
    counted: Counter = Counter()
    for account in accounts(home).values():
        assert account.missing() == [], f"{account.device}: sealed and not stored"
        wrong = {key: count for key, count in account.stored.items()
                 if account.sealed.get(key, count) != count}  # fmt: skip
        assert wrong == {}, f"{account.device}: stored in another shape than sealed"
        unknown = [key for key in account.stored if key not in account.sealed]
        assert unknown == [], f"{account.device}: stored and never sealed"
        assert account.wrong_fixes() == [], f"{account.device}: fixes that were never fed"
        for stream, epoch in {key[:2] for key in account.stored}:
            _assert_without_gap(account, stream, epoch)
        for (stream, _, _), count in account.stored.items():
            counted[stream] += count
    return counted


def _assert_without_gap(account: Account, stream: str, epoch: int) -> None:
    seqs = {
        number
        for (name, of, first), count in account.stored.items()
        if (name, of) == (stream, epoch)
        for number in range(first, first + count)
    }
    for of, name, first, count in account.dropped:
        if (name, of) == (stream, epoch):
            seqs |= set(range(first, first + count))
    assert seqs == set(range(1, max(seqs) + 1)), f"{account.device}: {stream} has holes"
