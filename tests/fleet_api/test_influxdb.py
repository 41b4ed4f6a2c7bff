"""The API over a real InfluxDB answers as over SQLite, to the last figure."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_api.settings import Settings
from storage.settings import Settings as StorageSettings
from storage.telemetry.interface import Telemetry
from storage.telemetry.open import open_telemetry
from tests.fleet_api.district import now_ms
from tests.fleet_api.live.watching import position, viewing, wait_for_status
from tests.fleet_api.server import ApiThread, Browser
from tests.fleet_api.telemetry import Walk, fix
from tests.storage.conftest import influx, own_influx  # noqa: F401 - fixtures
from wire_protocol import clock

pytestmark = pytest.mark.influx

MINUTE = 60_000
DEVICE = "t-east-1"


def settings(home: Path, server, **more) -> Settings:
    return Settings(
        home=home,
        telemetry_url=server.new_bucket(),
        telemetry_token=server.token,
        api_port=0,
        console_dir=home / "console",
        **more,
    )


def open_influx(chosen: Settings) -> Telemetry:
    """The same store as a gateway has it open."""
    token = chosen.telemetry_token.get_secret_value()
    return open_telemetry(StorageSettings("", chosen.telemetry, token, "gateway-1"))


@pytest.fixture
def over_influx(home, district, influx) -> Iterator[tuple[Browser, Telemetry]]:  # noqa: F811
    chosen = settings(home, influx, broker_port=1)
    thread = ApiThread(chosen, district.tokens)
    store = open_influx(chosen)
    yield thread.as_user("operator"), store
    store.close()
    thread.stop()


@pytest.fixture
def walked(over_influx, as_user, store) -> tuple[Browser, Browser, int]:
    """Two APIs over the same walks: on InfluxDB and on SQLite; and when they began."""
    began = now_ms() // 1000 * 1000 - 30 * MINUTE
    browser, influx_store = over_influx
    for target in (influx_store, store):
        walk = Walk(target, DEVICE)
        walk.batch(
            fix(began),
            fix(began + 5_000, 25_040_180, 102_710_512, speed_cms=None, accuracy_m=None),
        )
        walk.batch(fix(began + 15 * MINUTE, -25_000_001, -102_000_001, course_deg=None))
        # The clock was lost and found: what came meanwhile has no date.
        walk.batch(fix(1_000), quality=clock.NONE)
        walk.batch(fix(began + 20 * MINUTE, 25_040_999))
        Walk(target, "t-west-1").batch(fix(began))
        Walk(target, "s-east-1").readings(
            ("smoke", began, 7), ("temperature", began, -500), ("smoke", began + 1_000, 350)
        )
    return browser, as_user("operator"), began


def told(answer) -> object:
    """What an answer says, without the moments at which each of two stores received a batch."""
    assert answer.status_code == 200, answer.text
    return _without(answer.json(), {"received_ms"})


def _without(value: object, names: set[str]) -> object:
    if isinstance(value, dict):
        return {key: _without(inner, names) for key, inner in value.items() if key not in names}
    if isinstance(value, list):
        return [_without(inner, names) for inner in value]
    return value


def test_last_positions_are_the_same(walked):
    on_influx, on_sqlite, began = walked
    features = {
        feature["id"]: feature for feature in on_influx.get("/positions").json()["features"]
    }
    assert features.keys() == {DEVICE, "t-west-1"}
    assert features[DEVICE]["geometry"]["coordinates"] == [102.710456, 25.040999]
    assert features[DEVICE]["properties"]["at_ms"] == began + 20 * MINUTE
    answers = [told(browser.get("/positions")) for browser in (on_influx, on_sqlite)]
    assert answers[0]["features"] == answers[1]["features"]
    devices = [told(browser.get("/devices"))["items"] for browser in (on_influx, on_sqlite)]
    assert devices[0] == devices[1]


@pytest.mark.parametrize("form", ["geojson", "gpx", "csv"])
def test_a_track_of_a_period_is_the_same(walked, form, audited):
    on_influx, on_sqlite, began = walked
    # Up to before the batch without a clock, which each store files at the time it came.
    period = f"from_ms={began}&to_ms={began + 21 * MINUTE}&format={form}"
    path = f"/devices/{DEVICE}/track?{period}"
    ours, theirs = on_influx.get(path), on_sqlite.get(path)
    assert ours.headers["content-type"] == theirs.headers["content-type"]
    if form == "geojson":
        assert ours.json()["count"] == 4
        assert [piece["geometry"]["type"] for piece in ours.json()["features"]] == [
            "LineString",
            "LineString",
        ]
        assert _without(ours.json(), {"received_ms"}) == _without(theirs.json(), {"received_ms"})
    elif form == "gpx":
        texts = [re.sub(r"received_ms>\d+<", "", answer.text) for answer in (ours, theirs)]
        assert texts[0].count("<trkpt") == 4
        assert texts[0] == texts[1]
    else:
        rows = [
            [line.split(",")[:9] for line in answer.text.splitlines()] for answer in (ours, theirs)
        ]
        assert len(rows[0]) == 5
        assert rows[0] == rows[1]
    assert len(audited("track.read")) == 2


def test_readings_are_the_same(walked):
    on_influx, on_sqlite, began = walked
    for query in ("", "sensor=smoke&"):
        path = f"/devices/s-east-1/readings?{query}from_ms={began}&to_ms={began + MINUTE}"
        answers = [told(browser.get(path))["items"] for browser in (on_influx, on_sqlite)]
        assert answers[0] == answers[1]
    assert [(row["value"], row["unit"]) for row in answers[0]] == [(7, "ppm"), (350, "ppm")]


def test_influxdb_gone_and_back_is_said_and_an_sos_shows(
    home,
    district,
    broker,
    gateway,
    own_influx,  # noqa: F811
):
    chosen = settings(home, own_influx, broker_port=broker.port)
    store = open_influx(chosen)
    Walk(store, DEVICE).batch(fix(now_ms()))
    store.close()
    thread = ApiThread(chosen, district.tokens)
    thread.wait_for_bus()
    try:
        with viewing(thread, district) as view:
            assert view.snapshot()["telemetry"] is True
            own_influx.stop()
            wait_for_status(view, telemetry=False)
            district.press()
            assert view.wait_for("case")["status"] == "reported"
            answer = thread.as_user("viewer").get("/positions").json()
            assert answer["telemetry"] is False
            assert [feature["id"] for feature in answer["features"]] == [DEVICE]
            gateway.publish(position("t-west-1", now_ms()))
            view.wait_for("position", device="t-west-1")
            period = f"from_ms={now_ms() - MINUTE}&to_ms={now_ms()}"
            track = thread.as_user("operator").get(f"/devices/{DEVICE}/track?{period}")
            assert track.status_code == 503
            assert track.json()["error"]["code"] == "store_away"
            own_influx.start()
            assert view.snapshot(30)["telemetry"] is True
    finally:
        thread.stop()
