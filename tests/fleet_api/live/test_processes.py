"""Several API processes, killed ones and stopped ones."""

import time

import pytest

from tests.fleet_api.broker import Producer
from tests.fleet_api.district import EAST
from tests.fleet_api.live.watching import viewing, wait_until_quiet


@pytest.fixture
def server(start_api, broker, district):
    """A process of its own: it is killed, and shares nothing with the other one."""
    del district
    process = start_api("1", broker)
    process.wait_for_bus()
    return process


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
