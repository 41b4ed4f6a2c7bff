"""Deltas, gaps and slow readers, through a real process, broker and WebSocket."""

import time

import pytest

from tests.fleet_api.district import EPOCH, now_ms
from tests.fleet_api.live.watching import position, viewing, wait_for_status
from tests.fleet_api.telemetry import Walk, fix


def test_deltas_of_the_bus_arrive_numbered_without_holes(server, district, gateway):
    with viewing(server, district) as view:
        view.snapshot()
        at = now_ms()
        for step in range(50):
            gateway.publish(position("t-east-1", at + step), position("t-west-1", at + step))
        while sum(delta["kind"] == "position" for delta in view.deltas) < 100:
            view.next()
        assert view.seq >= 1
        times = [d["at_ms"] for d in view.deltas if d.get("device") == "t-east-1"]
        assert times == [at + step for step in range(50)]


def test_a_position_never_goes_back(server, district, gateway):
    with viewing(server, district) as view:
        view.snapshot()
        at = now_ms()
        gateway.publish(position("t-east-1", at))
        gateway.publish(position("t-east-1", at - 1))
        gateway.publish(position("t-east-1", at + 5_000, clock="none"))
        gateway.publish(position("t-east-1", at + 1))
        view.wait_for("position", at_ms=at + 1)
        assert [d["at_ms"] for d in view.deltas] == [at, at + 1]


def test_a_clock_put_right_neither_freezes_the_marker_nor_throws_it_back(
    server, district, gateway, store
):
    """Its receiver's week counter had rolled over; the device counts on all the same."""
    walk = Walk(store, "t-east-1")
    ahead = now_ms() + 1024 * 7 * 24 * 3600 * 1000
    walk.batch(fix(ahead, lat_e6=25_000_001))
    with viewing(server, district) as view:
        devices = {device["id"]: device for device in view.snapshot()["devices"]}
        assert devices["t-east-1"]["position"]["at_ms"] == ahead
        right = now_ms()
        gateway.publish(position("t-east-1", right, epoch=EPOCH, seq=3, lat_e6=25_000_003))
        gateway.publish(position("t-east-1", ahead + 5_000, epoch=EPOCH, seq=2, lat_e6=25_000_002))
        gateway.publish(position("t-east-1", right + 5_000, epoch=EPOCH, seq=4, lat_e6=25_000_004))
        view.wait_for("position", lat_e6=25_000_004)
        assert [delta["lat_e6"] for delta in view.deltas] == [25_000_003, 25_000_004]
        # The count is between the services; browsers compare nothing.
        assert "seq" not in view.deltas[0]


def test_a_sensor_reading_arrives(server, district, gateway):
    reading = {"device": "s-east-1", "sensor": "smoke", "value": 7, "at_ms": 5, "received_ms": 6}
    with viewing(server, district) as view:
        view.snapshot()
        gateway.publish({"kind": "reading", **reading})
        assert view.wait_for("reading") == {"kind": "reading", **reading}


def test_a_state_arrives_with_its_flags(server, district, gateway):
    with viewing(server, district) as view:
        view.snapshot()
        district.state("t-east-1")
        gateway.publish({"kind": "state", "device": "t-east-1", "online": True})
        assert view.wait_for("state")["flags"] == []
        district.state("t-east-1", online=False)
        gateway.publish({"kind": "state", "device": "t-east-1", "online": False})
        assert view.wait_for("state")["flags"] == ["offline", "unprotected"]


def test_a_delta_of_another_version_costs_a_snapshot_and_nothing_else(server, district, gateway):
    with viewing(server, district) as view:
        view.snapshot()
        gateway.publish({"kind": "position", "device": "t-east-1"})
        assert view.snapshot()["seq"] == 0
        gateway.publish({"kind": "weather", "rain": True}, position("t-east-1", now_ms()))
        assert view.wait_for("position")["device"] == "t-east-1"
    assert server.browser().get("/healthz").json()["status"] == "ok"


def test_a_gap_on_the_bus_brings_a_snapshot(server, district, gateway):
    gateway.publish(position("t-east-1", now_ms()))
    with viewing(server, district) as view:
        view.snapshot()
        gateway.publish(position("t-east-1", now_ms()))
        view.wait_for("position")
        gateway.publish(position("t-east-1", now_ms()), number=9)
        assert view.snapshot()["seq"] == 0
        gateway.publish(position("t-east-1", now_ms()), number=10)
        view.wait_for("position")
        assert view.seq == 1


def test_a_gateway_that_starts_again_brings_a_snapshot(server, district, gateway):
    with viewing(server, district) as view:
        view.snapshot()
        for _ in range(3):
            gateway.publish(position("t-east-1", now_ms()))
        view.wait_for("position")
        gateway.publish(position("t-east-1", now_ms()), number=1)
        view.snapshot()


def test_a_broker_that_was_away_brings_a_snapshot_and_is_said(server, district, broker, gateway):
    with viewing(server, district) as view:
        view.snapshot()
        broker.stop()
        wait_for_status(view, bus=False)
        # An SOS meanwhile: the registry knows.
        district.press()
        assert view.wait_for("case")["status"] == "reported"
        broker = broker.restart()
        try:
            assert view.snapshot(30)["bus"] is True
        finally:
            broker.stop()
    gateway.close()


def test_a_browser_that_stops_reading_blocks_nobody_and_catches_up(server, district, gateway):
    """The sleeping one gets the truth when it wakes up; the other one gets every message."""
    with viewing(server, district, "admin") as awake, viewing(server, district) as asleep:
        asleep.snapshot()
        awake.snapshot()
        first = now_ms()
        # Far more than the buffers of both sockets hold.
        rounds, each = 400, 100
        for number in range(rounds):
            at = first + number * each
            gateway.publish(*(position("t-east-1", at + i) for i in range(each)))
            awake.wait_for("position", seconds=60, at_ms=at + each - 1)
        last = first + rounds * each - 1
        assert [d["at_ms"] for d in awake.deltas] == list(range(first, last + 1))
        assert len(awake.snapshots) == 1
        case_id = district.press().case["id"]
        awake.wait_for("case", id=case_id)
        # Now the other one reads again: old deltas, then a snapshot, and nothing is missing.
        while not any(case["id"] == case_id for case in asleep.snapshots[-1]["cases"]):
            asleep.next(30)
        assert len(asleep.snapshots) >= 2
        gateway.publish(position("t-east-1", last + 1))
        asleep.wait_for("position", seconds=30, at_ms=last + 1)


@pytest.fixture
def store_away(home):
    (home / "telemetry.sqlite").mkdir()


@pytest.mark.usefixtures("store_away")
def test_with_the_telemetry_store_away_an_sos_shows_as_ever(server, district, home, gateway):
    with viewing(server, district) as view:
        assert view.snapshot()["telemetry"] is False
        stored = district.press()
        begin = time.monotonic()
        gateway.publish({"kind": "case", "case": stored.case})
        assert view.wait_for("case")["status"] == "reported"
        assert time.monotonic() - begin < 2
        # What the bus brings is remembered: the next view sees where everybody is.
        gateway.publish(position("t-east-1", now_ms()))
        view.wait_for("position")
        with viewing(server, district) as other:
            devices = {device["id"]: device for device in other.snapshot()["devices"]}
            assert devices["t-east-1"]["position"]["lat_e6"] == 25_040_123
        (home / "telemetry.sqlite").rmdir()
        assert view.snapshot(15)["telemetry"] is True
