"""A terminal without a network, and a neighbour that has one: real firmware, radio on loopback."""

import json

import pytest

from tests.system.installation import free_ports, started, wait_for

ALONE, NEIGHBOUR = "t-0001", "t-0002"


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with started(home, "--terminals", "2", "--sensors", "0") as running:
        wait_for("both are online", lambda: running.online() == 2)
        ports = free_ports(2)
        for device, own, other in ((ALONE, *ports), (NEIGHBOUR, *reversed(ports))):
            path = running.home / "devices" / device / "rig.json"
            rig = json.loads(path.read_text()) | {"radio": [own, [other]]}
            path.write_text(json.dumps(rig))
            running.control(device).reset()
        wait_for("both are online again", lambda: running.online() == 2)
        yield running


def screen(installation, device, text):
    control = installation.control(device)
    return control.wait(lambda shown: any(text in line for line in shown["screen"]), 40)


def test_an_sos_without_a_network_is_stored_taken_and_helped_through_a_neighbour(installation):
    for device in (ALONE, NEIGHBOUR):
        screen(installation, device, "online")
    installation.call("POST", f"/devices/{NEIGHBOUR}/watch", {"lease_s": 60})
    wait_for(
        "where the neighbour is",
        lambda: installation.call("GET", f"/devices/{NEIGHBOUR}")["position"],
    )
    alone = installation.control(ALONE)
    alone.link(up=False)
    screen(installation, ALONE, "OFFLINE")
    alone.press("sos")
    screen(installation, ALONE, "SOS STORED")
    alone.release("sos")
    [case] = wait_for("one case", lambda: installation.items("/cases?open=1"))
    assert case["device"] == ALONE
    assert case["last_event"]["body"]["via"] == NEIGHBOUR
    installation.call("POST", f"/cases/{case['id']}/take", {})
    screen(installation, ALONE, "SOS TAKEN")
    installation.call("POST", f"/cases/{case['id']}/help", {"device": NEIGHBOUR})
    shown = screen(installation, ALONE, "SOS HELP")
    assert any(line.endswith(" m") for line in shown["screen"])  # Who comes, and how far it is.
    assert not any("online" in line for line in shown["screen"])
    # Its own link is back: nothing is double, and it hears of the end.
    alone.link(up=True)
    screen(installation, ALONE, "online")
    installation.call("POST", f"/cases/{case['id']}/close", {"reason": "brought home"})
    alone.wait(lambda shown: not any("SOS" in line for line in shown["screen"]), 40)
    events = [row for row in installation.items(f"/events?device={ALONE}") if row["kind"] == "sos"]
    assert len(events) == 1
    assert len(installation.items("/cases")) == 1
