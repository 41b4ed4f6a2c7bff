"""Whoever has an area sees that area: of everything else, not even that it exists."""

import pytest

from fleet_api.app import create_app
from fleet_api.settings import Settings
from tests.fleet_api.district import EAST, HEBIAN, SONGLING, WEST, now_ms

ALL = {"s-east-1", "s-west-1", "t-east-1", "t-east-2", "t-nowhere", "t-west-1"}
EASTERN = {"s-east-1", "t-east-1", "t-east-2"}
SEEN = {
    "admin": ALL,
    "viewer": ALL,
    "east.head": EASTERN,
    "east": EASTERN,
    "west": {"s-west-1", "t-west-1"},
    "songling": {"s-east-1", "t-east-1"},
}
PERIOD = f"from_ms={now_ms() - 3_600_000}&to_ms={now_ms()}"


def devices(browser, path: str, name: str = "device") -> set[str]:
    answer = browser.get(path)
    assert answer.status_code == 200, answer.text
    return {item[name] for item in answer.json()["items"]}


@pytest.mark.parametrize("who", SEEN)
def test_lists_show_the_area_alone(district, as_user, who):
    for device in ALL:
        if device.startswith("t-"):
            district.press(device)
            assert as_user("operator").post(f"/devices/{device}/locate").status_code == 201
        else:
            district.alarm(device)
    browser = as_user(who)
    assert devices(browser, "/devices", "id") == SEEN[who]
    assert devices(browser, "/events") == SEEN[who]
    assert devices(browser, "/cases") == SEEN[who]
    assert devices(browser, "/commands") == {d for d in SEEN[who] if d.startswith("t-")}


@pytest.mark.parametrize("who", ["west", "songling"])
def test_filters_do_not_reach_outside(district, as_user, who):
    district.press("t-east-2")
    as_user("operator").post("/devices/t-east-2/locate")
    browser = as_user(who)
    for path in (
        "/devices?q=t-east-2",
        f"/devices?area_code={HEBIAN}",
        "/events?device=t-east-2",
        "/events?case_id=1",
        "/cases?device=t-east-2",
        "/commands?device=t-east-2",
    ):
        assert browser.get(path).json()["items"] == [], path


def test_a_filter_narrows_within_the_area(as_user):
    assert devices(as_user("east"), f"/devices?area_code={SONGLING}", "id") == {
        "s-east-1",
        "t-east-1",
    }
    assert devices(as_user("admin"), f"/devices?area_code={WEST}", "id") == SEEN["west"]


def test_single_things_outside_look_as_if_they_did_not_exist(district, as_user, audited):
    case_id = district.press("t-east-1").case["id"]
    command = as_user("operator").post("/devices/t-east-1/locate").json()["id"]
    west = as_user("west")
    period = f"from_ms={now_ms() - 1000}&to_ms={now_ms()}"
    pairs = [
        ("GET", "/devices/t-east-1", "/devices/t-absent"),
        ("GET", f"/devices/t-east-1/track?{period}", f"/devices/t-absent/track?{period}"),
        ("GET", f"/devices/t-east-1/readings?{period}", f"/devices/t-absent/readings?{period}"),
        ("GET", f"/cases/{case_id}", "/cases/999"),
        ("GET", f"/commands/{command}", f"/commands/{'0' * 16}"),
        ("POST", f"/cases/{case_id}/take", "/cases/999/take"),
        ("POST", f"/cases/{case_id}/help", "/cases/999/help"),
        ("POST", f"/cases/{case_id}/close", "/cases/999/close"),
        ("POST", "/devices/t-east-1/messages", "/devices/t-absent/messages"),
        ("POST", "/devices/t-east-1/locate", "/devices/t-absent/locate"),
        ("POST", "/devices/t-east-1/duty", "/devices/t-absent/duty"),
        ("POST", "/devices/t-east-1/watch", "/devices/t-absent/watch"),
        ("POST", "/devices/t-east-1/mute", "/devices/t-absent/mute"),
    ]
    bodies = {
        "close": {"reason": "x"},
        "messages": {"text": "x"},
        "duty": {"on": True},
        "mute": {"sensor": "smoke", "for_s": 1},
    }
    for method, outside, absent in pairs:
        body = bodies.get(outside.rpartition("/")[2], {})
        more = {"json": body} if method == "POST" else {}
        hidden = west.request(method, outside, **more)
        nothing = west.request(method, absent, **more)
        assert hidden.status_code == nothing.status_code == 404, outside
        assert hidden.json()["error"]["code"] == nothing.json()["error"]["code"] == "not_found"
    assert as_user("operator").get(f"/cases/{case_id}").json()["status"] == "reported"
    # A look that was refused is no look.
    assert audited("track.read") == []


def test_areas_show_what_is_below_and_above_and_no_neighbour(as_user):
    assert devices(as_user("songling"), "/areas", "code") == {
        "530199000000",
        EAST,
        SONGLING,
    }
    assert len(devices(as_user("admin"), "/areas", "code")) == 7


def test_a_scoped_administrator_sees_the_audit_of_the_area(as_user):
    for device, who in (("t-east-1", "operator"), ("t-west-1", "operator"), ("t-west-1", "west")):
        assert as_user(who).post(f"/devices/{device}/locate").status_code == 201
    head = as_user("east.head")
    seen = head.get("/audit?action=locate.send").json()["items"]
    assert [row["device"] for row in seen] == ["t-east-1"]
    assert len(as_user("admin").get("/audit?action=locate.send").json()["items"]) == 3


@pytest.mark.parametrize("name", ["operator", "viewer", "east", "songling"])
@pytest.mark.parametrize("path", ["/audit", "/users"])
def test_only_administrators_see_audit_and_users(as_user, name, path):
    assert as_user(name).get(path).status_code == 403


def test_every_route_needs_a_session(api):
    """Nobody may add a route that answers strangers without naming it here."""
    open_routes = {("POST", "/api/v1/session"), ("GET", "/healthz"), ("GET", "/metrics")}
    schema = create_app(Settings()).openapi()
    nobody = api.browser(None)
    checked = 0
    for path, methods in schema["paths"].items():
        for method in methods:
            if (method.upper(), path) in open_routes:
                continue
            concrete = (
                path.removeprefix("/api/v1")
                .replace("{device_id}", "t-east-1")
                .replace("{case_id}", "1")
                .replace("{command_id}", "0" * 16)
                .replace("{user_id}", "1")
                .replace("{row_id}", "1")
            )
            answer = nobody.request(
                method.upper(), f"{concrete}?{PERIOD}" if method == "get" else concrete, json={}
            )
            # A wrong body may be refused before the caller is known; it tells nothing.
            assert answer.status_code in (401, 422), (method, path, answer.text)
            checked += 1
    assert checked > 25
