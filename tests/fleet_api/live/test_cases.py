"""Cases and commands on the live view: from the registry, whoever told of them."""

import json
import time

from storage.registry import outbox
from tests.fleet_api.broker import Producer
from tests.fleet_api.district import now_ms
from tests.fleet_api.live.watching import (
    viewing,
    wait_until_quiet,
)
from tests.fleet_api.server import wait_until


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
