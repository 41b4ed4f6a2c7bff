"""When a broker accepted each connection, read from its packets on loopback.

A connection is accepted by TCP when its client sends its first bytes, and by MQTT when the broker
sends its first record of application data: the CONNACK (TLS 1.2, as MicroPython speaks it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.capture import Flow

_APPLICATION_DATA = 23  # Content type of a TLS record.


class Arrivals(NamedTuple):
    """Times, in time.monotonic(), in order."""

    tcp_s: list[float]
    connack_s: list[float]


def arrivals(flows: Iterable[Flow]) -> Arrivals:
    """Return when each of these connections was accepted; those refused are left out."""
    tcp_s, connack_s = [], []
    for flow in flows:
        pieces = list(flow.pieces)  # Its thread may be adding.
        said_s = [piece.at_s for piece in pieces if piece.up and piece.data_bytes]
        answered_s = [
            piece.at_s
            for piece in pieces
            if not piece.up and any(kind == _APPLICATION_DATA for kind, _ in piece.records)
        ]
        tcp_s += said_s[:1]
        connack_s += answered_s[:1]
    return Arrivals(sorted(tcp_s), sorted(connack_s))


def most_within(times_s: list[float], seconds: float = 1.0) -> int:
    """Return how many of these, which are in order, lie in the fullest stretch of so long."""
    most = first = 0
    for place, at_s in enumerate(times_s):
        while at_s - times_s[first] >= seconds:
            first += 1
        most = max(most, place - first + 1)
    return most
