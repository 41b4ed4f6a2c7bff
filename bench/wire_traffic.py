"""Sorts the packets of one terminal's connection into what they were for.

Packets closer together than GAP_S belong to one exchange. What the broker says in it tells what it
was: PINGRESP has 2 bytes, PUBACK 4; with neither it is a batch, a receipt, or both. Only the
broker's records are looked at: MicroPython pads its own.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from bench.capture import Piece

GAP_S = 0.3
APPLICATION = 23  # TLS content type.
CONNACK_BYTES, PINGRESP_BYTES, PUBACK_BYTES = 4, 2, 4
KINDS = ("track", "ping", "state")


@dataclass
class Traffic:
    """Bytes on the wire by purpose; `connection` is all before the first fix."""

    connection: int = 0
    seconds: float = 0.0
    bytes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    exchanges: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    receipts: int = 0
    receipt_bytes: int = 0


def sort_out(pieces: list[Piece], begun_s: float, ended_s: float) -> Traffic:
    """Return the traffic of a connection that took fixes from `begun_s` to `ended_s`.

    Receipts that are still to come are waited for and counted, pings and states are not.
    """
    traffic = Traffic(seconds=ended_s - begun_s)
    overhead = _overhead(pieces)
    exchange: list[Piece] = []
    for piece in pieces:
        if piece.at_s < begun_s:
            traffic.connection += piece.wire_bytes
            continue
        if exchange and piece.at_s - exchange[-1].at_s > GAP_S:
            _count(traffic, exchange, overhead, ended_s)
            exchange = []
        exchange.append(piece)
    if exchange:
        _count(traffic, exchange, overhead, ended_s)
    return traffic


def _heard(pieces: list[Piece]) -> list[int]:
    return [size for p in pieces if not p.up for kind, size in p.records if kind == APPLICATION]


def _overhead(pieces: list[Piece]) -> int:
    """Return what TLS adds to a packet of the broker's: CONNACK has 4 bytes, SUBACK 5."""
    sizes = set(_heard(pieces))
    return min(size for size in sizes if size + 1 in sizes) - CONNACK_BYTES


def _count(traffic: Traffic, exchange: list[Piece], overhead: int, ended_s: float) -> None:
    sizes = [size - overhead for size in _heard(exchange)]
    kind = "ping" if sizes == [PINGRESP_BYTES] else "track"
    if PUBACK_BYTES in sizes:
        kind = "state"
    if kind != "track" and exchange[0].at_s > ended_s:
        return
    traffic.bytes[kind] += sum(piece.wire_bytes for piece in exchange)
    traffic.exchanges[kind] += 1
    receipts = [size + overhead for size in sizes if size > PUBACK_BYTES]
    traffic.receipts += len(receipts)
    traffic.receipt_bytes += sum(receipts)


def record_bytes(telemetry: Path, device: str) -> tuple[int, int]:
    """Return (records, bytes of them) that the store holds of a device's track."""
    connection = sqlite3.connect(telemetry)
    try:
        return connection.execute(
            "SELECT count(*), sum(length(record)) FROM track JOIN device ON no = device_no "
            "WHERE device.id = ?", (device,),
        ).fetchone()  # fmt: skip
    finally:
        connection.close()


def figures(
    traffic: Traffic, fixes: int, records: tuple[int, int], speed: float, month: tuple[int, int]
) -> dict[str, Any]:
    """Return what is reported of one terminal; a month is (hours a shift, shifts)."""
    hours, shifts = month
    everything = sum(traffic.bytes.values())
    a_shift = traffic.connection + everything * hours * 3600 / (traffic.seconds * speed)
    return {
        "bytes_a_fix": round(traffic.bytes["track"] / fixes, 2),
        "bytes_a_fix_with_pings_and_states": round(everything / fixes, 2),
        "payload_bytes_a_fix": round(records[1] / fixes, 2),
        "fixes": fixes,
        "batches": records[0],
        "receipts": traffic.receipts,
        "batches_a_receipt": round(records[0] / max(1, traffic.receipts), 2),
        "receipt_record_bytes": round(traffic.receipt_bytes / max(1, traffic.receipts)),
        "pings": traffic.exchanges["ping"],
        "ping_bytes": round(traffic.bytes["ping"] / max(1, traffic.exchanges["ping"])),
        "states": traffic.exchanges["state"],
        "state_bytes": round(traffic.bytes["state"] / max(1, traffic.exchanges["state"])),
        "connection_bytes": traffic.connection,
        "mb_a_month": round(a_shift * shifts / 1e6, 2),
    }


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    print(result["how"])
    print(f"clocks of the devices {result['speed']:g} times as fast")
    row = f"{'':22}{'a fix':>8}{'batch':>7}{'payload':>9}{'+pings, states':>16}{'MB a month':>12}"
    print(row + f"{'a connection':>14}")
    for name, case in result["cases"].items():
        print(
            f"{name:22}{case['bytes_a_fix']:8.2f}{case['batch']:7}{case['payload_bytes_a_fix']:9.2f}"
            f"{case['bytes_a_fix_with_pings_and_states']:16.2f}{case['mb_a_month']:12.2f}"
            f"{case['connection_bytes']:14}"
        )
