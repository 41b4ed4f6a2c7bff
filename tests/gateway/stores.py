"""Reads both stores from outside, and compares them with what devices made."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable

from sqlalchemy import select

from storage.registry.models import Case, Command, Cursor, Event, Quarantine, Result
from tests.gateway.fake_device import FakeDevice
from tests.gateway.installation import Installation

_TRACKS = "SELECT device.id, epoch, seq, record FROM {} JOIN device ON device.no = device_no"
_COMMON = ("v", "epoch", "seq", "kind", "at", "clock")


def stored_batches(installation: Installation, stream: str) -> list[tuple[str, int, int, bytes]]:
    return telemetry(installation, _TRACKS.format(stream))


def telemetry(installation: Installation, query: str) -> list[tuple]:
    path = installation.home / "telemetry.sqlite"
    if not path.exists():
        return []
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    except sqlite3.OperationalError:  # No table yet.
        return []
    finally:
        connection.close()


def rows(installation: Installation, model: type) -> list:
    with installation.registry.read() as session:
        return list(session.scalars(select(model)))


def events(installation: Installation) -> list[Event]:
    return rows(installation, Event)


def cases(installation: Installation) -> list[Case]:
    return rows(installation, Case)


def commands(installation: Installation) -> dict[str, Command]:
    return {row.id: row for row in rows(installation, Command)}


def quarantined(installation: Installation) -> list[Quarantine]:
    return rows(installation, Quarantine)


def cursors(installation: Installation) -> dict[tuple[str, int, str], tuple[int, list]]:
    return {(r.device, r.epoch, r.stream): (r.upto, r.above) for r in rows(installation, Cursor)}


def assert_stored_exactly_once(installation: Installation, devices: Iterable[FakeDevice]) -> None:
    """Every sealed record is in its store once, byte for byte, and nothing else is."""
    devices = list(devices)
    for stream in ("track", "reading"):
        made = Counter(
            (device.device, device.epoch, sealed.first, sealed.record)
            for device in devices
            for sealed in device.made
            if sealed.stream == stream
        )
        if made:
            assert Counter(stored_batches(installation, stream)) == made
    assert_registry_holds(installation, devices)


def assert_registry_holds(installation: Installation, devices: list[FakeDevice]) -> None:
    """Every sealed event and result is in the registry once, and nothing else is."""
    made_events = Counter(
        (device.device, canonical(json.loads(sealed.record)))
        for device in devices
        for sealed in device.made
        if sealed.stream == "event"
    )
    assert Counter((row.device, canonical(_record(row))) for row in events(installation)) == (
        made_events
    )
    made_results = Counter(
        (device.device, device.epoch, sealed.first, json.loads(sealed.record)["command"])
        for device in devices
        for sealed in device.made
        if sealed.stream == "result"
    )
    found = Counter((r.device, r.epoch, r.seq, r.command_id) for r in rows(installation, Result))
    assert found == made_results


def canonical(record: dict) -> str:
    return json.dumps(record, sort_keys=True)


def _record(row: Event) -> dict:
    fields = dict(
        zip(_COMMON, (1, row.epoch, row.seq, row.kind, row.at_ms, row.clock), strict=True)
    )
    return {**fields, **row.body}
