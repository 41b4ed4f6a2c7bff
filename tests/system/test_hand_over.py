"""From Wi-Fi to the modem and back, while the terminal walks: real firmware, nothing lost."""

import json

import pytest

from tests.system.accounts import accounts
from tests.system.installation import started, wait_for

DEVICE = "t-0001"


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with started(home, "--terminals", "1", "--sensors", "0") as running:
        wait_for("it is online", lambda: running.online() == 1)
        path = running.home / "devices" / DEVICE / "rig.json"
        path.write_text(
            json.dumps(json.loads(path.read_text()) | {"modem": True, "witness": True})
        )
        running.control(DEVICE).reset()
        wait_for("it is online again", lambda: running.online() == 1)
        yield running


def test_a_hand_over_costs_no_record(installation):
    control = installation.control(DEVICE)

    def screen(text):
        control.wait(lambda shown: any(text in line for line in shown["screen"]), 60)

    def state():
        return installation.call("GET", f"/devices/{DEVICE}")["state"]

    screen("ON DUTY online")
    control.press("duty")
    control.press("duty")
    control.link(up=False)
    screen("OFFLINE")
    screen("online")  # By the modem.
    wait_for("the modem's signal", lambda: state()["rssi_dbm"] == -95)
    control.press("duty")
    control.press("duty")
    control.link(up=True)
    control.link(up=False, bearer="modem")
    screen("OFFLINE")
    screen("online")  # By Wi-Fi.
    wait_for("the Wi-Fi's signal", lambda: state()["rssi_dbm"] == -60)
    wait_for("all of it is stored", lambda: not accounts(installation.home)[DEVICE].missing(), 90)
    assert (
        sum(event["kind"] == "duty" for event in accounts(installation.home)[DEVICE].events) >= 5
    )
