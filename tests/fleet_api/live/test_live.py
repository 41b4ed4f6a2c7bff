"""The live view through real processes, a real broker and real WebSockets."""

import json
import time

import pytest
from sqlalchemy import update
from websockets.exceptions import InvalidStatus

from storage.registry import outbox
from storage.registry.models import User
from tests.fleet_api.broker import Producer
from tests.fleet_api.district import EAST, now_ms
from tests.fleet_api.server import wait_until
from tests.fleet_api.telemetry import Walk, fix


def position(device: str, at_ms: int, **more) -> dict:
    return {
        "kind": "position",
        "device": device,
        "at_ms": at_ms,
        "lat_e6": 25_040_123,
        "lon_e6": 102_710_456,
        "speed_cms": 120,
        "course_deg": 44,
        "accuracy_m": 5,
        "clock": "gnss",
        "received_ms": now_ms(),
        **more,
    }


@pytest.fixture
def gateway(broker):
    producer = Producer(broker)
    yield producer
    producer.close()


@pytest.fixture
def server(start_api, broker, district):
    """One API process that hears the bus, over the district."""
    del district
    process = start_api("1", broker)
    process.wait_for_bus()
    return process


def viewing(process, district, who: str = "operator"):
    return process.browser(district.tokens[who]).live()


# What a view begins with.


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


# Deltas.


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
    assert server.process.poll() is None


# Cases: from the registry, whoever told of them.


def test_an_sos_shows_once_though_everybody_tells_of_it(server, district, gateway):
    with viewing(server, district) as view:
        view.snapshot()
        stored = district.press()
        for _ in range(3):
            gateway.publish(
                {"kind": "event", "event": stored.event}, {"kind": "case", "case": stored.case}
            )
        assert view.wait_for("case")["status"] == "reported"
        wait_until_quiet(view)
        assert [d["kind"] for d in view.deltas] == ["event", "case"]


def test_an_sos_shows_though_the_gateway_died_before_it_told(server, district):
    with viewing(server, district) as view:
        view.snapshot()
        begin = time.monotonic()
        district.press()
        assert view.wait_for("event")["kind"] == "sos"
        assert view.wait_for("case")["status"] == "reported"
        assert time.monotonic() - begin < 5
        wait_until_quiet(view)
        assert [d["kind"] for d in view.deltas] == ["event", "case"]


def test_an_old_word_about_a_case_is_not_believed(server, district, gateway):
    operator = server.browser(district.tokens["operator"])
    with viewing(server, district) as view:
        view.snapshot()
        stored = district.press()
        operator.post(f"/cases/{stored.case['id']}/take")
        view.wait_for("case", status="taken")
        # A slow gateway publishes what it committed before the take.
        gateway.publish({"kind": "case", "case": stored.case})
        district.press(press=2, incident=1)
        assert view.wait_for("case", presses=2)["status"] == "taken"
        statuses = [d["case"]["status"] for d in view.deltas if d["kind"] == "case"]
        assert statuses in (["reported", "taken", "taken"], ["taken", "taken"])


def test_a_case_is_shown_closed_once(server, district):
    operator = server.browser(district.tokens["operator"])
    with viewing(server, district) as view:
        view.snapshot()
        case_id = district.press().case["id"]
        operator.post(f"/cases/{case_id}/take")
        operator.post(f"/cases/{case_id}/close", {"reason": "x"})
        view.wait_for("case", status="closed")
        wait_until_quiet(view)
        closed = [d for d in view.deltas if d.get("case", {}).get("status") == "closed"]
        assert len(closed) == 1
    with viewing(server, district) as view:
        assert view.snapshot()["cases"] == []


def test_a_command_is_followed_to_its_end(server, district, gateway, registry):
    operator = server.browser(district.tokens["operator"])
    with viewing(server, district) as view:
        view.snapshot()
        command = operator.post("/devices/t-east-1/messages", {"text": "x"}).json()
        assert view.wait_for("command", id=command["id"])["status"] == "queued"
        with registry.begin() as session:
            sent = outbox.mark_sent(session, command["id"], now_ms())
        gateway.publish({"kind": "command", "command": sent})
        assert view.wait_for("command", id=command["id"])["status"] == "sent"
        # And the gateway dies before it tells of the next step.
        with registry.begin() as session:
            outbox.expire_commands(session, now_ms() + 10**7)
        assert view.wait_for("command", id=command["id"])["status"] == "expired"


def test_what_the_api_commits_is_published(server, district, broker):
    listener = Producer(broker, "gateway-2")
    listener.listen()
    operator = server.browser(district.tokens["operator"])
    case_id = district.press().case["id"]
    operator.post(f"/cases/{case_id}/take")
    operator.post(f"/cases/{case_id}/take")  # Refused: nothing is published.
    operator.post("/devices/t-east-1/locate")

    def messages():
        return [
            json.loads(m.payload) for m in list(listener.heard) if m.topic == "xh/1/live/api-1"
        ]

    wait_until(lambda: len(messages()) >= 2)
    first, second = messages()
    assert (first["producer"], first["n"], second["n"]) == ("api-1", 1, 2)
    assert [d["kind"] for d in first["deltas"]] == ["command", "case"]
    assert first["deltas"][0]["command"]["topic"] == "sos_status"
    assert first["deltas"][1]["case"]["taken_by"] == "operator"
    assert second["deltas"][0]["command"]["kind"] == "locate"
    listener.close()


# Gaps and slow readers.


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
        last = first + rounds * each - 1
        awake.wait_for("position", seconds=60, at_ms=last)
        seen = [d["at_ms"] for d in awake.deltas]
        if len(awake.snapshots) == 1:
            assert seen == list(range(first, last + 1))
        case_id = district.press().case["id"]
        awake.wait_for("case", id=case_id)
        # Now the other one reads again: old deltas, then a snapshot, and nothing is missing.
        while not any(case["id"] == case_id for case in asleep.snapshots[-1]["cases"]):
            asleep.next(30)
        assert len(asleep.snapshots) >= 2
        gateway.publish(position("t-east-1", last + 1))
        asleep.wait_for("position", seconds=30, at_ms=last + 1)


def test_with_the_telemetry_store_away_an_sos_shows_as_ever(
    start_api, broker, district, home, gateway
):
    (home / "telemetry.sqlite").mkdir()
    api = start_api("1", broker)
    api.wait_for_bus()
    with viewing(api, district) as view:
        assert view.snapshot()["telemetry"] is False
        stored = district.press()
        begin = time.monotonic()
        gateway.publish({"kind": "case", "case": stored.case})
        assert view.wait_for("case")["status"] == "reported"
        assert time.monotonic() - begin < 2
        # What the bus brings is remembered: the next view sees where everybody is.
        gateway.publish(position("t-east-1", now_ms()))
        view.wait_for("position")
        with viewing(api, district) as other:
            devices = {device["id"]: device for device in other.snapshot()["devices"]}
            assert devices["t-east-1"]["position"]["lat_e6"] == 25_040_123
        (home / "telemetry.sqlite").rmdir()
        assert view.snapshot(15)["telemetry"] is True


# Areas.


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


# Sessions of views.


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


# Processes.


def test_two_processes_show_the_same_case(server, start_api, broker, district):
    other = start_api("2", broker)
    other.wait_for_bus()
    with viewing(server, district) as one, viewing(other, district, "east") as two:
        one.snapshot()
        two.snapshot()
        case_id = district.press().case["id"]
        assert one.wait_for("case", id=case_id) == two.wait_for("case", id=case_id)
        taken = other.browser(district.tokens["east"]).post(f"/cases/{case_id}/take").json()
        assert one.wait_for("case", status="taken") == taken
        assert two.wait_for("case", status="taken") == taken
        refused = server.browser(district.tokens["operator"]).post(f"/cases/{case_id}/take")
        assert refused.status_code == 409
        assert refused.json()["error"]["details"]["taken_by"] == "east"


def test_a_killed_api_comes_back_with_everything(server, start_api, broker, district, audited):
    browser = server.browser(district.tokens["operator"])
    with browser.live() as view:
        view.snapshot()
        case_id = district.press().case["id"]
        browser.post(f"/cases/{case_id}/take")
        view.wait_for("case", status="taken")
        server.kill()
        assert view.closed() == 1006
    assert audited("live.end") == []
    district.press("t-west-1")  # While nobody watches.
    again = start_api("1", broker)
    # The end that the killed process could not write down is known now.
    [end] = audited("live.end")
    assert end.details["view"] == audited("live.start")[0].details["view"]
    assert end.details["reason"] == "the server was stopped"
    with viewing(again, district) as view:
        cases = {case["device"]: case["status"] for case in view.snapshot()["cases"]}
    assert cases == {"t-east-1": "taken", "t-west-1": "reported"}


def test_a_stopped_api_closes_its_views_and_writes_it_down(server, district, audited):
    with viewing(server, district) as view:
        view.snapshot()
        begin = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - begin < 15
        assert view.closed() == 1012
    assert len(audited("live.end")) == 1


def test_a_hundred_presses_on_two_processes_show_once_each(server, start_api, broker, district):
    other = start_api("2", broker)
    other.wait_for_bus()
    gateways = Producer(broker, "gateway-1"), Producer(broker, "gateway-2")
    for number in range(100):
        district.add_device(f"t-p-{number}", area=EAST)
    with viewing(server, district) as one, viewing(other, district) as two:
        one.snapshot()
        two.snapshot()
        for number in range(100):
            stored = district.press(f"t-p-{number}")
            if number % 3:  # Every third time the gateway dies before it tells.
                gateways[number % 2].publish(
                    {"kind": "event", "event": stored.event},
                    {"kind": "case", "case": stored.case},
                )
        for view in (one, two):
            shown = set()
            while len(shown) < 100:
                view.next()
                shown = {d["case"]["device"] for d in view.deltas if d["kind"] == "case"} | {
                    case["device"] for case in view.snapshots[-1]["cases"]
                }
            wait_until_quiet(view)
            cases = [d["case"]["id"] for d in view.deltas if d["kind"] == "case"]
            events = [d["event"]["id"] for d in view.deltas if d["kind"] == "event"]
            assert len(cases) == len(set(cases))
            assert len(events) == len(set(events))
    for producer in gateways:
        producer.close()


def wait_until_quiet(view, seconds: float = 2.5) -> None:
    """Read until nothing came for longer than two looks of the follower."""
    while True:
        try:
            view.next(seconds)
        except TimeoutError:
            return


def wait_for_status(view, **fields: object) -> None:
    while True:
        message = view.next(20)
        if message["type"] == "status" and fields.items() <= message.items():
            return


def device_of(delta: dict) -> str:
    if delta["kind"] in ("event", "case", "command"):
        return delta[delta["kind"]]["device"]
    return delta["device"]["id"] if delta["kind"] == "device" else delta["device"]
