"""Connections that a broker accepted, counted from packets."""

from bench import arrivals
from bench.capture import Flow


def test_the_fullest_second_begins_anywhere():
    times_s = [0.9, 0.95, 1.0, 1.85, 1.92, 5.0]
    assert arrivals.most_within(times_s) == 4
    assert arrivals.most_within([]) == 0


def test_a_refused_connection_is_no_arrival():
    hello = bytes((22, 3, 3, 0, 1, 0))
    answer = bytes((23, 3, 3, 0, 1, 0))
    refused, shaken, accepted = Flow(), Flow(), Flow()
    for flow in (refused, shaken, accepted):
        flow.add(up=True, wire_bytes=60, data=b"", sequence=1)
    for flow in (shaken, accepted):
        flow.add(up=True, wire_bytes=66, data=hello, sequence=2)
    accepted.add(up=False, wire_bytes=66, data=answer, sequence=1)
    found = arrivals.arrivals((refused, shaken, accepted))
    assert len(found.tcp_s) == 2
    assert len(found.connack_s) == 1
