"""The whole of Xunhu on InfluxDB and PostgreSQL, as a district runs it."""

import pytest

from tests.storage.conftest import influxd_program
from tests.storage.influx_server import InfluxProcess
from tests.storage.postgres_server import PostgresServer
from tests.system.accounts import rigs
from tests.system.installation import started, wait_for
from tests.system.rest import now_ms
from tests.system.witness import Screen, Wire

pytestmark = pytest.mark.influx
FIRST, SECOND = "t-0001", "t-0002"


@pytest.fixture(name="influx")
def fixture_influx(tmp_path):
    process = InfluxProcess(influxd_program(), tmp_path / "influxd")
    process.start()
    process.set_up()
    yield process
    process.stop()


@pytest.fixture(name="postgres")
def fixture_postgres():
    server = PostgresServer()
    server.create()
    server.start()
    yield server
    server.remove()


def stored_fixes(running, device, since_ms):
    """(Unix s, lat_e6, lon_e6) of a track, as the console reads it."""
    track = running.call("GET", f"/devices/{device}/track?from_ms={since_ms}&to_ms={now_ms()}")
    found = []
    for piece in track["features"]:
        places = piece["geometry"]["coordinates"]
        if piece["geometry"]["type"] == "Point":
            places = [places]
        for (lon, lat), at_ms in zip(places, piece["properties"]["times_ms"], strict=True):
            found.append((at_ms // 1000, round(lat * 1e6), round(lon * 1e6)))
    return found


def sealed_fixes(running, device):
    sealed = rigs(running.home)[device].sealed.items()
    return sum(count for (stream, _, _), count in sealed if stream == "track")


def test_a_dead_influxdb_and_gateway_lose_nothing_and_hold_up_no_sos(tmp_path, influx, postgres):
    since_ms = now_ms()
    environment = {
        "XUNHU_REGISTRY_URL": postgres.new_database(),
        "XUNHU_TELEMETRY_URL": influx.new_bucket(),
        "XUNHU_TELEMETRY_TOKEN": influx.token,
    }
    options = ["--terminals", "2", "--sensors", "1", "--witness"]
    with started(tmp_path / "home", *options, environment=environment) as running:
        wait_for("all are online", lambda: running.online() == 3)
        running.watch(running.terminals())
        with Wire(running) as wire, Screen(running) as screen:
            wait_for(
                "both walk on the map",
                lambda: all(
                    running.call("GET", f"/devices/{name}")["position"] for name in (FIRST, SECOND)
                ),
            )
            influx.stop()
            running.control(FIRST).push("sos", hold_s=1.5)
            wait_for("the SOS is on the screen", lambda: screen.shown() == {FIRST: 1}, 15)
            running.control(FIRST).wait(lambda shown: "SOS STORED" in shown["screen"], 15)
            pid = running.pid("gateway-1")
            running.kill("gateway-1")
            wait_for("the gateway is back", lambda: running.pid("gateway-1") != pid, 30)
            running.control(SECOND).push("sos", hold_s=1.5)
            pressed = {FIRST: 1, SECOND: 1}
            wait_for("both are on the screen", lambda: screen.shown() == pressed, 30)
            influx.start()
            running.close_cases()
            for name in (FIRST, SECOND):
                control = running.control(name)
                control.wait(lambda shown: not any("SOS" in row for row in shown["screen"]), 60)
                control.push("duty")
                control.wait(lambda shown: shown["screen"][0].startswith("off duty"), 20)
                # What the dead gateway had is sent again with the next connection.
                control.link(up=False)
                control.link(up=True)
            for name in (FIRST, SECOND):
                wait_for(
                    f"all of {name} is stored",
                    lambda name=name: (
                        len(stored_fixes(running, name, since_ms)) == sealed_fixes(running, name)
                    ),
                    90,
                )
                found = stored_fixes(running, name, since_ms)
                assert len(set(found)) == len(found) > 2  # How many depends on the machine.
                assert set(found) <= rigs(running.home)[name].fed
            assert len(running.items("/cases?kind=sos")) == 2
            events = [row["device"] for row in running.items("/events") if row["kind"] == "sos"]
            assert sorted(events) == [FIRST, SECOND]
            assert wire.kinds().keys() >= {"track", "event", "state", "live"}
        assert list(running.home.glob("*.sqlite")) == []
