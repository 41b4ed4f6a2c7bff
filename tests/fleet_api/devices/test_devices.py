import pytest

from fleet_api.devices.flags import flags
from storage.registry import ingest
from tests.fleet_api.district import EPOCH, HEBIAN, SONGLING, now_ms
from tests.fleet_api.telemetry import Walk, fix


def test_a_device_never_heard_of_says_so(as_user):
    device = as_user("viewer").get("/devices/t-east-1").json()
    assert device["online"] is None
    assert device["state"] is None
    assert device["position"] is None
    assert device["flags"] == ["unseen"]
    assert (device["wearer"], device["area_code"]) == ("Li Wei", SONGLING)


def test_a_device_shows_state_position_and_readings(district, store, as_user):
    at = now_ms()
    district.state("s-east-1", held={"event": 0})
    walk = Walk(store, "s-east-1")
    walk.batch(fix(at - 5_000), fix(at))
    walk.readings(("smoke", at - 1000, 110), ("smoke", at, 120), ("temperature", at, -5_000))
    device = as_user("viewer").get("/devices/s-east-1").json()
    assert device["online"] is True
    assert device["state"]["battery_percent"] == 80
    assert device["position"]["at_ms"] == at
    assert device["position"]["lat_e6"] == 25_040_123
    assert device["readings"]["smoke"]["value"] == 120
    assert device["readings"]["temperature"]["value"] == -5_000
    assert device["flags"] == []


def test_the_will_keeps_what_was_known(district, as_user):
    district.state("t-east-1", battery_percent=15)
    district.state("t-east-1", online=False)
    device = as_user("viewer").get("/devices/t-east-1").json()
    assert device["online"] is False
    assert device["state"]["battery_percent"] == 15
    assert device["flags"] == ["offline", "unprotected", "low_battery"]


@pytest.mark.parametrize(
    ("kind", "online", "state", "expected"),
    [
        ("terminal", None, None, ["unseen"]),
        ("terminal", True, {"duty": True}, []),
        ("terminal", True, {"duty": False}, ["off_duty"]),
        ("terminal", True, {"duty": None}, []),
        ("terminal", False, {"duty": False}, ["offline", "off_duty"]),
        ("terminal", False, {"duty": True}, ["offline", "unprotected"]),
        ("terminal", False, {}, ["offline"]),
        ("terminal", True, {"duty": True, "faults": ["journal"]}, ["unprotected", "faulty"]),
        ("sensor_node", False, {"duty": None}, ["offline"]),
        ("sensor_node", True, {"faults": ["smoke"]}, ["faulty"]),
        ("sensor_node", True, {"muted": {"smoke": 60}}, ["muted"]),
        ("sensor_node", True, {"muted": {"smoke": 0}}, []),
        ("terminal", True, {"dropped": 1}, ["dropped"]),
        ("terminal", True, {"battery_percent": 19}, ["low_battery"]),
        ("terminal", True, {"battery_percent": 20}, []),
        ("terminal", True, {"battery_percent": 0}, ["low_battery"]),
        ("terminal", True, {"battery_percent": None}, []),
    ],
    ids=str,
)
def test_flags(kind, online, state, expected):
    assert flags(kind, online, state) == expected


def test_a_terminal_on_duty_that_fell_silent_is_unprotected(district, registry, store, as_user):
    """A will that was lost, a gateway that is down: it is called online, and nobody hears it."""
    silent_ms = now_ms() - 301_000
    state = {
        "v": 1, "online": True, "epoch": EPOCH, "boot": 1, "connection": 1, "uptime_s": 5,
    }  # fmt: skip
    with registry.begin() as session:
        for device, duty in (("t-east-1", True), ("t-east-2", False), ("t-west-1", True)):
            ingest.store_state(session, device, {**state, "duty": duty}, silent_ms)
    Walk(store, "t-west-1").batch(fix(now_ms()))
    viewer = as_user("viewer")
    listed = {row["id"]: row["flags"] for row in viewer.get("/devices").json()["items"]}
    assert listed["t-east-1"] == ["unprotected"]
    assert listed["t-east-2"] == ["off_duty"]
    assert listed["t-west-1"] == []  # Its position came just now.
    assert viewer.get("/devices/t-east-1").json()["flags"] == ["unprotected"]
    district.state("t-east-1", connection=2)
    assert viewer.get("/devices/t-east-1").json()["flags"] == []


def test_lists_are_filtered_and_paged(district, as_user):
    viewer = as_user("viewer")

    def ids(query: str) -> list[str]:
        return [item["id"] for item in viewer.get(f"/devices?{query}").json()["items"]]

    assert ids("kind=sensor_node") == ["s-east-1", "s-west-1"]
    assert ids("q=li%20wei") == ["t-east-1"]
    assert ids("q=WEST") == ["s-west-1", "t-west-1"]
    assert ids("q=%25") == []
    assert ids("q=_") == []
    assert ids(f"area_code={HEBIAN}") == ["t-east-2"]
    district.change_device("t-east-2", retired_ms=1)
    assert "t-east-2" not in ids("")
    assert "t-east-2" in ids("include_retired=1")
    first = viewer.get("/devices?limit=3").json()
    second = viewer.get(f"/devices?limit=3&after={first['next']}").json()
    assert [item["id"] for item in first["items"] + second["items"]] == ids("")
    assert second["next"] is None


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=20001", "kind=phone", "area_code=53", "nonsense=1", "q=%00"]
)
def test_a_wrong_query_is_refused(as_user, query):
    answer = as_user("viewer").get(f"/devices?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == query.partition("=")[0]


def test_with_the_telemetry_store_away_devices_still_show(district, home, as_user):
    (home / "telemetry.sqlite").mkdir()
    district.state("t-east-1")
    page = as_user("viewer").get("/devices").json()
    assert page["telemetry"] is False
    assert len(page["items"]) == 6
    assert all(item["position"] is None for item in page["items"])


def test_positions_are_geojson_points(store, as_user):
    at = now_ms()
    Walk(store, "t-east-1").batch(fix(at))
    Walk(store, "t-west-1").batch(fix(at, -1, -2))
    everything = as_user("viewer").get("/positions").json()
    assert everything["type"] == "FeatureCollection"
    assert everything["telemetry"] is True
    east, west = everything["features"]
    assert east["geometry"] == {"type": "Point", "coordinates": [102.710456, 25.040123]}
    assert west["geometry"]["coordinates"] == [-0.000002, -0.000001]
    assert east["properties"]["at_ms"] == at
    # Whoever sees the east alone.
    features = as_user("east").get("/positions").json()["features"]
    assert [feature["id"] for feature in features] == ["t-east-1"]


def test_readings_of_a_period(store, as_user):
    at = now_ms()
    walk = Walk(store, "s-east-1")
    walk.readings(("smoke", at - 2000, 1), ("temperature", at - 1500, 20_000), ("smoke", at, 2))
    viewer = as_user("viewer")
    period = f"from_ms={at - 2000}&to_ms={at}"
    items = viewer.get(f"/devices/s-east-1/readings?{period}").json()["items"]
    assert [(item["sensor"], item["unit"], item["value"]) for item in items] == [
        ("smoke", "ppm", 1),
        ("temperature", "mC", 20_000),
        ("smoke", "ppm", 2),
    ]
    items = viewer.get(f"/devices/s-east-1/readings?{period}&sensor=smoke").json()["items"]
    assert [item["value"] for item in items] == [1, 2]
    answer = viewer.get(f"/devices/s-east-1/readings?{period}&sensor=fire")
    assert answer.status_code == 422
    assert answer.json()["error"]["details"] == {"field": "sensor"}


def test_events_are_filtered_and_newest_first(district, as_user):
    at = now_ms()
    district.event("t-east-1", "report", at, text="first")
    district.event("t-east-1", "report", at + 10, text="second")
    district.press("t-east-2")
    viewer = as_user("viewer")

    def seen(query: str) -> list[tuple[str, str]]:
        items = viewer.get(f"/events?{query}").json()["items"]
        return [(item["device"], item["body"].get("text", item["kind"])) for item in items]

    assert seen("") == [("t-east-2", "sos"), ("t-east-1", "second"), ("t-east-1", "first")]
    assert seen("kind=sos") == [("t-east-2", "sos")]
    assert seen(f"device=t-east-1&from_ms={at + 1}&to_ms={at + 10}") == [("t-east-1", "second")]
    assert seen(f"to_ms={at}&kind=report") == [("t-east-1", "first")]
    assert seen("case_id=1") == [("t-east-2", "sos")]


def test_a_late_event_shows_both_times(district, as_user):
    at = now_ms() - 7_200_000
    district.press(at_ms=at)
    [event] = as_user("viewer").get("/events").json()["items"]
    assert event["late"] is True
    assert event["at_ms"] == at
    assert event["received_ms"] > at + 7_000_000
    [case] = as_user("viewer").get("/cases").json()["items"]
    assert (case["late"], case["opened_at_ms"]) == (True, at)
