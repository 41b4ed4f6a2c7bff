"""Where a live view begins and ends: snapshot, session, origin, audit."""

import pytest
from sqlalchemy import update
from websockets.exceptions import InvalidStatus

from storage.registry.models import User
from tests.fleet_api.district import EAST, now_ms
from tests.fleet_api.live.watching import position, viewing
from tests.fleet_api.server import wait_until
from tests.fleet_api.telemetry import Walk, fix


def test_a_view_begins_with_a_snapshot(server, district, store):
    at = now_ms()
    Walk(store, "t-east-1").batch(fix(at))
    district.state("t-east-1")
    district.press("t-east-2")
    server.browser(district.tokens["operator"]).post("/devices/t-east-1/locate")
    with viewing(server, district) as view:
        snapshot = view.next()
        assert snapshot["type"] == "snapshot"
        assert snapshot["seq"] == 0
        assert abs(snapshot["at_ms"] - now_ms()) < 5_000
        assert snapshot["bus"] is True
        assert snapshot["telemetry"] is True
        assert snapshot["stale_after_s"] == 300
        devices = {device["id"]: device for device in snapshot["devices"]}
        assert len(devices) == 6
        assert devices["t-east-1"]["position"]["at_ms"] == at
        assert devices["t-east-1"]["state"]["duty"] is True
        assert devices["t-west-1"]["flags"] == ["unseen"]
        assert [case["device"] for case in snapshot["cases"]] == ["t-east-2"]
        assert [event["kind"] for event in snapshot["events"]] == ["sos"]
        assert [command["kind"] for command in snapshot["commands"]] == ["locate"]
        assert len(snapshot["areas"]) == 7


@pytest.mark.parametrize("token", [None, "x" * 43])
def test_without_a_session_there_is_no_view(server, token, audited):
    with server.browser(token).live() as view:
        assert view.closed() == 4401
    assert audited("live.start") == []


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://127.0.0.1:1", "null", "http://localhost", ""]
)
def test_a_page_of_another_origin_gets_no_view(server, district, origin, audited):
    browser = server.browser(district.tokens["operator"])
    with pytest.raises(InvalidStatus) as refused:
        browser.live(headers={"Origin": origin}).__enter__()
    assert refused.value.response.status_code == 403
    assert audited("live.start") == []


def test_start_and_end_of_a_view_are_in_the_audit_log(server, district, audited):
    with viewing(server, district, "east") as view:
        view.snapshot()
        [start] = audited("live.start")
        assert start.user_name == "east"
        assert (start.details["instance"], start.details["area"]) == ("1", EAST)
        assert audited("live.end") == []
    wait_until(lambda: audited("live.end"))
    [end] = audited("live.end")
    assert end.details["view"] == start.details["view"]
    assert end.details["reason"] == "the browser left"


def test_a_view_ends_with_its_session(server, district, audited):
    browser = server.browser(district.tokens["operator"])
    with browser.live() as view:
        view.snapshot()
        assert browser.delete("/session").status_code == 204
        assert view.closed() == 4401
    wait_until(lambda: audited("live.end"))
    assert audited("live.end")[0].details["reason"] == "the session is over"


def test_a_view_ends_when_its_user_gets_another_area(server, district, registry):

    with viewing(server, district, "east") as view:
        view.snapshot()
        with registry.begin() as session:
            session.execute(update(User).where(User.name == "east").values(area_code=None))
        assert view.closed(15) == 4401


def test_what_a_browser_says_is_ignored_and_bounded(server, district, gateway):
    with viewing(server, district) as view:
        view.snapshot()
        view.connection.send("hello")
        view.connection.send(b"\x00\xff")
        gateway.publish(position("t-east-1", now_ms()))
        view.wait_for("position")
        view.connection.send("x" * 2_000)
        assert view.closed() == 1009
