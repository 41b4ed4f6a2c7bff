"""Sealed batches and event records as devices make them, for tests of the stores."""

from itertools import count

from storage.telemetry.interface import ReadingRow, StateRow, TrackRow
from wire_protocol import clock, readings, track

NOON_MS = 1_790_000_000_000  # A day in September 2026.
EPOCH = 7


def track_row(
    device="t-0001",
    *,
    seq=1,
    at_ms=NOON_MS,
    fixes=12,
    epoch=EPOCH,
    quality=clock.GNSS,
    received_ms=None,
    step_ms=5000,
    lat_e6=25_000_000,
    lon_e6=102_000_000,
):
    made = [
        track.Fix(
            at_ms + number * step_ms,
            lat_e6 + 7 * number,
            lon_e6 - 11 * number,
            None if number == 3 else 120 + number,
            None if number == 4 else 2 * number,
            None if number == 5 else 4 + number,
        )
        for number in range(fixes)
    ]
    received_ms = made[-1].at_ms + 500 if received_ms is None else received_ms
    return TrackRow.from_record(device, track.encode(epoch, seq, quality, made), received_ms)


def reading_row(
    device="s-0001",
    *,
    seq=1,
    at_ms=NOON_MS,
    values=((1, 120), (2, -40)),
    epoch=EPOCH,
    quality=clock.SERVER,
    received_ms=None,
):
    made = [
        readings.Reading(at_ms + number * 1000, kind, value)
        for number, (kind, value) in enumerate(values)
    ]
    received_ms = made[-1].at_ms + 500 if received_ms is None else received_ms
    return ReadingRow.from_record(device, readings.encode(epoch, seq, quality, made), received_ms)


def state_row(device="t-0001", received_ms=NOON_MS, **state):
    return StateRow(device, received_ms, {"v": 1, "online": True, "battery_mv": 3900, **state})


def fleet_rows(devices, batches, *, fixes=12, step_ms=5000, at_ms=NOON_MS):
    """Every device's batches, device by device, in the order in which they were made."""
    return [
        track_row(
            f"t-{device:04d}",
            seq=1 + batch * fixes,
            at_ms=at_ms + batch * fixes * step_ms + device,
            fixes=fixes,
            step_ms=step_ms,
            lat_e6=25_000_000 + 1000 * device,
        )
        for device in range(devices)
        for batch in range(batches)
    ]


def sos_record(seq=1, *, epoch=EPOCH, incident=None, press=1, at=NOON_MS, quality="gnss"):
    return {
        "v": 1, "epoch": epoch, "seq": seq, "kind": "sos", "at": at, "clock": quality,
        "uptime_s": 600, "boot": 3, "trigger": "button",
        "incident": seq if incident is None else incident, "press": press,
        "fix": {"lat": 25_000_000, "lon": 102_000_000, "at": at, "accuracy_m": 5, "alt_mm": None},
    }  # fmt: skip


def cancel_record(seq, incident, *, epoch=EPOCH, at=NOON_MS):
    return {
        "v": 1, "epoch": epoch, "seq": seq, "kind": "sos_cancel", "at": at, "clock": "gnss",
        "uptime_s": 600, "boot": 3, "incident": incident,
    }  # fmt: skip


def alarm_record(seq, *, raised=True, sensor="smoke", epoch=EPOCH, at=NOON_MS):
    return {
        "v": 1, "epoch": epoch, "seq": seq, "kind": "alarm", "at": at, "clock": "server",
        "uptime_s": 600, "boot": 3, "sensor": sensor, "value": 500, "threshold": 400,
        "raised": raised,
    }  # fmt: skip


_seqs = count(1)


def result_record(command, status, *, seq=None, epoch=EPOCH, at=NOON_MS, reason=""):
    return {
        "v": 1, "epoch": epoch, "seq": next(_seqs) if seq is None else seq, "kind": "result",
        "at": at, "clock": "gnss", "uptime_s": 600, "boot": 3, "command": command,
        "status": status, "reason": reason, "data": None,
    }  # fmt: skip
