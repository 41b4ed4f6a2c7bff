"""Bad days of the whole system, with the rigs of the real firmware as outside witnesses."""

import random
import signal
import time

import pytest

from tests.system.accounts import accounts, assert_nothing_lost_or_doubled
from tests.system.installation import Installation, started, wait_for
from xunhu.broker import answers

TERMINALS, SENSORS = 8, 2


@pytest.fixture
def bad_day(tmp_path):
    options = [
        "--terminals", str(TERMINALS), "--sensors", str(SENSORS), "--gateways", "2", "--witness",
    ]  # fmt: skip
    with started(tmp_path / "home", *options) as running:
        wait_for("all are online", lambda: running.online() == TERMINALS + SENSORS)
        yield running


def quiet(installation: Installation) -> bool:
    """Every terminal is off duty, every sealed record of it is stored, nothing more will come."""
    found = accounts(installation.home)
    return all(account.missing() == [] for account in found.values())


def come_to_rest(installation: Installation) -> None:
    """Take everybody off duty and wait until the journals are empty."""
    terminals = [row["id"] for row in installation.items("/devices") if row["kind"] == "terminal"]
    for device in terminals:
        installation.control(device).push("duty")
    # What a killed gateway had taken is sent again ten minutes later, or at the next connection.
    installation.kill("broker")
    wait_for("every sealed record is stored", lambda: quiet(installation), 180)
    # Sensor nodes go on measuring: stop them, so that the witness and the store can be compared.
    installation.kill("virtual-devices", signal.SIGTERM)
    wait_for("what the sensor nodes sealed last", lambda: quiet(installation), 60)


def test_kills_of_gateways_and_api_lose_and_double_nothing(bad_day):
    chance = random.Random(20)
    parts = ["gateway-1", "gateway-2", "api-1"]
    # Twenty kills at named points are in tests/gateway; these are of the whole system.
    for number in range(6):
        victim = parts[number % 3]
        if number == 2:
            bad_day.control("t-0003").push("sos", hold_s=1.5)
        if number == 4:
            bad_day.control("t-0005").push("sos", hold_s=1.5)
        pid = bad_day.pid(victim)
        bad_day.kill(victim)
        wait_for(
            f"{victim} is started again",
            lambda victim=victim, pid=pid: bad_day.pid(victim) != pid,
            60,
        )
        time.sleep(chance.random())  # Where in its work the next one dies is left to chance.
    wait_for("the API answers", lambda: answers("127.0.0.1", bad_day.api_port))
    wait_for("both SOS are cases", lambda: len(_cases(bad_day)) == 2, 60)
    come_to_rest(bad_day)
    assert assert_nothing_lost_or_doubled(bad_day.home)["track"] > 0
    presses = {(row["device"], row["presses"]) for row in _cases(bad_day)}
    assert presses == {("t-0003", 1), ("t-0005", 1)}


def test_a_frozen_gateway_and_a_killed_broker_hold_up_nobody(bad_day):
    bad_day.kill("gateway-2", signal.SIGSTOP)
    bad_day.kill("broker")
    wait_for("everybody is back", lambda: bad_day.online() == TERMINALS + SENSORS, 90)
    bad_day.control("t-0001").push("sos", hold_s=1.5)
    wait_for("the SOS is a case", lambda: len(_cases(bad_day)) == 1, 30)
    bad_day.kill("gateway-2", signal.SIGKILL)
    come_to_rest(bad_day)
    assert_nothing_lost_or_doubled(bad_day.home)


def test_an_sos_pressed_offline_arrives_late_with_both_times(bad_day):
    terminal = bad_day.control("t-0002")
    terminal.wait(lambda shown: shown.get("fed"), 30)
    terminal.link(up=False)
    pressed_ms = time.time_ns() // 1_000_000
    terminal.push("sos", hold_s=1.5)
    terminal.wait(lambda shown: any("SOS" in line for line in shown["screen"]), 10)
    assert not any("STORED" in line for line in terminal.show()["screen"])
    time.sleep(65)  # Late is more than a minute; nothing else tells an event that is late.
    assert _cases(bad_day) == []
    terminal.link(up=True)
    (case,) = wait_for("the SOS arrives", lambda: _cases(bad_day), 60)
    assert case["late"] is True
    assert abs(case["opened_at_ms"] - pressed_ms) < 10_000
    assert case["opened_received_ms"] - case["opened_at_ms"] > 60_000


def _cases(installation):
    return [row for row in installation.items("/cases") if row["kind"] == "sos"]
