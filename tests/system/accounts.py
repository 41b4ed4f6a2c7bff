"""What outside witnesses say against what the stores hold, key by key and content by content.

The witnesses are the rig of each virtual device (what was pressed, which positions were fed, which
values were measured, which records were sealed) and, where a test has one, `witness.Wire`: what
left the device, byte for byte. Nothing here uses the code under test to read the stores but the
wire's decoder, which has a second decoder of its own in tests/wire_protocol.
"""

import json
import math
import sqlite3
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.system.witness import GUESTS, Key, Wire
from wire_protocol import readings, sensors, track

SOS_HOLD_MS = 800
# From a finger to the record: the hold, and a machine that has other work.
PRESS_MS_MAX = 15_000
# What firmware says beyond version 1 of the wire protocol, whose receivers ignore other names.
UNKNOWN_NAMES = ("kinds",)
# A device's own clock after a reset: its last known time, or the server's, to a few seconds.
FIX_S_MAX = 30


@dataclass
class Account:
    """One device, as its rig saw it and as the stores hold it."""

    device: str
    fed: set[tuple[int, int, int]] = field(default_factory=set)
    values: dict[str, set[int]] = field(default_factory=dict)  # sensor -> what it measured
    sos_ms: list[int] = field(default_factory=list)  # when SOS was held long enough
    duty: int = 0  # presses of it
    sealed: dict[tuple[str, int, int], int] = field(default_factory=dict)  # -> records in it
    sealed_ms: dict[tuple[str, int, int], int] = field(default_factory=dict)  # -> when
    stored: dict[tuple[str, int, int], int] = field(default_factory=dict)
    content: dict[tuple[str, int, int], Any] = field(default_factory=dict)
    fixes: list[tuple[int, int, int]] = field(default_factory=list)
    read: list[tuple[str, int]] = field(default_factory=list)
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

    def believe_own_time(self) -> None:
        """Count a fix as fed at its place within FIX_S_MAX of its time."""
        at = {(lat_e6, lon_e6): at_s for at_s, lat_e6, lon_e6 in self.fed}
        for at_s, *place in self.fixes:
            fed_s = at.get((place[0], place[1]))
            if fed_s is not None and abs(fed_s - at_s) <= FIX_S_MAX:
                self.fed.add((at_s, place[0], place[1]))

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """Its stored events of a kind, in its own order."""
        rows = [row for row in self.events if row["kind"] == kind]
        return sorted(rows, key=lambda row: row["seq"])


def accounts(home: Path) -> dict[str, Account]:
    """Return the account of every virtual device of a home, whose stores are SQLite's."""
    found = rigs(home)
    _read_telemetry(home, found)
    with sqlite3.connect(home / "registry.sqlite") as registry:
        registry.row_factory = sqlite3.Row
        others = f"WHERE device NOT IN ({', '.join(repr(name) for name in GUESTS)})"
        for row in registry.execute(f"SELECT * FROM event {others}"):
            _event(found[row["device"]], dict(row))
        for row in registry.execute(
            f"SELECT device, epoch, seq, command_id, status FROM result {others}"
        ):
            key = ("result", row["epoch"], row["seq"])
            _once(found[row["device"]], key, 1, (row["command_id"], row["status"]))
    return found


def rigs(home: Path) -> dict[str, Account]:
    """Return what the rig of every virtual device of a home saw."""
    found: dict[str, Account] = {}
    for rig in sorted((home / "devices").glob("*/rig.json")):
        account = found[rig.parent.name] = Account(rig.parent.name)
        wired = json.loads(rig.read_text())
        account.values = {name: {value} for name, value in wired["sensors"].items()}
        # A sensor node may not have said a thing yet, and seal its first batch right now.
        path = rig.with_name("witness.jsonl")
        said = path.read_text() if path.exists() else ""
        # The device may be writing its last line right now.
        for line in said.rpartition("\n")[0].splitlines():
            _note(account, json.loads(line))
        account.sos_ms = [at_ms for at_ms in account.sos_ms if at_ms > 0]
    return found


def _read_telemetry(home: Path, found: dict[str, Account]) -> None:
    if not (home / "telemetry.sqlite").exists():
        return
    with sqlite3.connect(home / "telemetry.sqlite") as telemetry:
        for stream in ("track", "reading"):
            rows = telemetry.execute(
                f"SELECT device.id, epoch, seq, record FROM {stream}"
                " JOIN device ON device.no = device_no"
            )
            for device, epoch, seq, record in rows:
                if device not in GUESTS:
                    _store(found[device], stream, epoch, seq, record)


def _note(account: Account, line: list[Any]) -> None:
    at_ms, what, *words = line
    if what == "fed":
        fed_ms, lat_e6, lon_e6 = words
        account.fed.add((fed_ms // 1000, lat_e6, lon_e6))
    elif what == "sealed":
        stream, epoch, seq, count = words[:4]
        account.sealed[(stream, epoch, seq)] = count
        account.sealed_ms[(stream, epoch, seq)] = at_ms
    elif what == "sensor":
        account.values.setdefault(words[0], set()).add(words[1])
    elif what == "input" and words == ["duty", "press"]:
        account.duty += 1
    elif what == "input" and words[0] == "sos":
        _note_sos(account, at_ms, words[1])


def _note_sos(account: Account, at_ms: int, action: str) -> None:
    """A press that is held counts; the last one of the list is under way while it is negative."""
    presses = account.sos_ms
    if action == "press":
        presses.append(-at_ms)
    elif presses and presses[-1] < 0:
        began_ms = -presses.pop()
        if at_ms - began_ms >= SOS_HOLD_MS:
            presses.append(began_ms)


def _store(account: Account, stream: str, epoch: int, seq: int, record: bytes) -> None:
    _once(account, (stream, epoch, seq), record[10], record)
    if stream == "track":
        for fix in track.decode(record).fixes:
            account.fixes.append((fix.at_ms // 1000, fix.lat_e6, fix.lon_e6))
    else:
        for reading in readings.decode(record).readings:
            account.read.append((sensors.name(reading.kind), reading.value))


def _event(account: Account, row: dict[str, Any]) -> None:
    row["body"] = json.loads(row["body"])
    said = {
        "v": 1, "epoch": row["epoch"], "seq": row["seq"], "kind": row["kind"],
        "at": row["at_ms"], "clock": row["clock"], **row["body"],
    }  # fmt: skip
    _once(account, ("event", row["epoch"], row["seq"]), 1, said)
    account.events.append(row)
    if row["kind"] == "dropped":
        body = row["body"]
        account.dropped.append((row["epoch"], body["stream"], body["first"], body["count"]))


def _once(account: Account, key: tuple[str, int, int], count: int, content: object) -> None:
    assert key not in account.stored, f"{account.device}: {key} is stored twice"
    account.stored[key] = count
    account.content[key] = content


def assert_nothing_lost_or_doubled(
    home: Path, wire: Wire | None = None, own_time: Collection[str] = ()
) -> Counter:
    """Assert the promise over a whole home; return how many records of each stream there are.

    Devices of `own_time` date their fixes themselves, because their receiver tells a wrong date.
    With `wire`, every stored record that was sealed since is what the device sent, too, and every
    message that it heard is one of the document.
    """
    counted: Counter = Counter()
    for account in accounts(home).values():
        assert account.missing() == [], f"{account.device}: sealed and not stored"
        wrong = {key: count for key, count in account.stored.items()
                 if account.sealed.get(key, count) != count}  # fmt: skip
        assert wrong == {}, f"{account.device}: stored in another shape than sealed"
        unknown = [key for key in account.stored if key not in account.sealed]
        assert unknown == [], f"{account.device}: stored and never sealed"
        if account.device in own_time:
            account.believe_own_time()
        _assert_content(account)
        if wire is not None:
            _assert_as_said(account, wire)
        for stream, epoch in {key[:2] for key in account.stored}:
            _assert_without_gap(account, stream, epoch)
        for (stream, _, _), count in account.stored.items():
            counted[stream] += count
    if wire is not None:
        # And all of it, what the servers said about it too, is as docs/asyncapi.yaml has it.
        assert wire.kinds().keys() >= {"track", "event", "state", "live"}
    return counted


def _assert_content(account: Account) -> None:
    """What is stored is what was done to the device, and nothing else."""
    device = account.device
    wrong = [fix for fix in account.fixes if fix not in account.fed]
    assert wrong == [], f"{device}: fixes that were never fed"
    assert len(set(account.fixes)) == len(account.fixes), f"{device}: one fix in two records"
    never = [row for row in account.read if row[1] not in account.values.get(row[0], ())]
    assert never == [], f"{device}: values that were never measured"
    raised = account.of_kind("sos")
    assert len(raised) == len(account.sos_ms), f"{device}: presses of SOS and their records"
    for row, pressed_ms in zip(raised, account.sos_ms, strict=True):
        if row["clock"] in ("gnss", "server"):
            assert 0 <= row["at_ms"] - pressed_ms <= PRESS_MS_MAX, f"{device}: SOS at another time"
    if not account.dropped:
        by_hand = [row for row in account.of_kind("duty") if row["body"]["by"] == "button"]
        assert len(by_hand) == account.duty, f"{device}: presses of duty and their records"


def _assert_as_said(account: Account, wire: Wire) -> None:
    device = account.device
    assert [key for key in wire.changed if key[0] == device] == [], f"{device}: sealed anew"
    for (stream, epoch, seq), content in account.content.items():
        key: Key = (device, stream, epoch, seq)
        if key not in wire.said and account.sealed_ms[key[1:]] < wire.since_ms:
            continue
        assert key in wire.said, f"{key} is stored and was never sent"
        said: Any = wire.said[key]
        if stream == "event":
            said = json.loads(said)
            for name in UNKNOWN_NAMES:
                said.pop(name, None)
        elif stream == "result":
            record = json.loads(said)
            said = (record["command"], record["status"])
        assert content == said, f"{key} is stored otherwise: {content} than sent: {said}"


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


def longest_way_s(home: Path, device: str, since_ms: int, patience_s: float) -> float:
    """The longest way of a batch of fixes sealed since, from the journal to the store, in seconds.

    What was sealed less than `patience_s` ago and is on its way does not count yet; what has not
    arrived by then counts as infinitely long.
    """
    account, now_ms = accounts(home)[device], time.time_ns() // 1_000_000
    with sqlite3.connect(home / "telemetry.sqlite") as telemetry:
        rows = telemetry.execute(
            "SELECT epoch, seq, received_ms FROM track JOIN device ON device.no = device_no"
            " WHERE device.id = ?",
            (device,),
        )
        arrived_ms = {("track", epoch, seq): at_ms for epoch, seq, at_ms in rows}
    ways = [0.0]
    for key, sealed_ms in account.sealed_ms.items():
        if key[0] != "track" or sealed_ms < since_ms:
            continue
        if key in arrived_ms:
            ways.append((arrived_ms[key] - sealed_ms) / 1000)
        elif now_ms - sealed_ms > patience_s * 1000:
            ways.append(math.inf)
    return max(ways)
