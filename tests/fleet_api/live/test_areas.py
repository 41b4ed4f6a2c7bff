"""A live view shows its area, and not that there is more."""

from tests.fleet_api.district import EAST, now_ms
from tests.fleet_api.live.watching import device_of, position, viewing, wait_until_quiet


def test_a_view_shows_its_area_alone(server, district, gateway):
    operator = server.browser(district.tokens["operator"])
    with viewing(server, district, "east") as east, viewing(server, district, "west") as west:
        assert {d["id"] for d in east.snapshot()["devices"]} == {
            "s-east-1",
            "t-east-1",
            "t-east-2",
        }
        snapshot = west.snapshot()
        assert {d["id"] for d in snapshot["devices"]} == {"s-west-1", "t-west-1"}
        assert EAST not in {area["code"] for area in snapshot["areas"]}
        everywhere = ("t-east-1", "t-west-1", "t-nowhere")
        at = now_ms()
        for device in everywhere:
            stored = district.press(device)
            district.state(device)
            operator.post(f"/devices/{device}/locate")
            gateway.publish(
                position(device, at),
                {"kind": "event", "event": stored.event},
                {"kind": "case", "case": stored.case},
                {"kind": "state", "device": device, "online": True},
                {"kind": "reading", "device": device, "sensor": "battery", "value": 1,
                 "at_ms": at, "received_ms": at},
            )  # fmt: skip
        for view, device in ((east, "t-east-1"), (west, "t-west-1")):
            wait_until_quiet(view)
            kinds = {delta["kind"] for delta in view.deltas}
            assert kinds >= {"position", "event", "case", "state", "reading", "command"}
            assert {device_of(delta) for delta in view.deltas} == {device}


def test_a_snapshot_of_an_area_holds_nothing_else(server, district):
    for device in ("t-east-1", "t-west-1"):
        district.press(device)
        server.browser(district.tokens["operator"]).post(f"/devices/{device}/locate")
    with viewing(server, district, "west") as view:
        snapshot = view.snapshot()
    for name in ("cases", "events", "commands"):
        assert {row["device"] for row in snapshot[name]} == {"t-west-1"}, name
    assert "east" not in str({**snapshot, "areas": []})


def test_a_device_that_moves_leaves_the_screens_of_its_old_area(server, district, gateway):
    with viewing(server, district, "east") as view:
        view.snapshot()
        district.change_device("t-east-1", area_code="530199002201")
        gateway.publish({"kind": "device", "device": {"id": "t-east-1"}})
        assert "t-east-1" not in {d["id"] for d in view.snapshot()["devices"]}
        gateway.publish(position("t-east-1", now_ms()), position("t-east-2", now_ms()))
        assert view.wait_for("position")["device"] == "t-east-2"
        assert "t-east-1" not in {device_of(delta) for delta in view.deltas}


def test_a_new_device_appears_without_a_word_on_the_bus(server, district, gateway):
    with viewing(server, district, "east") as view:
        view.snapshot()
        district.add_device("t-new", area=EAST)
        district.add_device("t-elsewhere")
        assert view.wait_for("device")["id"] == "t-new"
        gateway.publish(position("t-new", now_ms()))
        assert view.wait_for("position")["device"] == "t-new"
