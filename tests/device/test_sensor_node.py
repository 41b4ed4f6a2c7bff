"""A whole sensor node in real MicroPython: readings, alarms, mute."""

from __future__ import annotations

import json

import pytest

from tests.device.device_rig import BROKER_NAME
from tests.device.gateway_sim import SERVER_MS, Gateway
from wire_protocol import messages

DEVICE = "s-0001"
SMOKE = {"smoke": {"threshold": 300, "hysteresis": 50, "period_s": 1}}


@pytest.fixture
def gateway(broker):
    gateway = Gateway(broker.plain_port)
    yield gateway
    gateway.close()


@pytest.fixture
def node(micropython, keys, broker, tmp_path):
    def run(sensors, values, **made):
        certificate, key = keys.issue(DEVICE, DEVICE)
        (tmp_path / "journal").mkdir(exist_ok=True)
        board = {
            "device_id": DEVICE,
            "certificate": certificate.hex(),
            "key": key.hex(),
            "ca": keys.ca_der.hex(),
            "journal_path": str(tmp_path / "journal"),
            "sensors": values,
            "config": {
                "broker_host": "127.0.0.1",
                "broker_port": broker.port,
                "broker_name": BROKER_NAME,
                "return_s": 0,
                "device_kind": "sensor_node",
                "sensors": sensors,
            },
        } | made
        path = tmp_path / "board.json"
        path.write_text(json.dumps(board))
        micropython.start("run_device.py", str(path))
        micropython.wait(lambda said: "started" in said, "its start")
        return micropython

    return run


def test_readings_come_in_batches_of_12(node, gateway):
    node({"smoke": {"period_s": 1}, "temperature": {"period_s": 2}},
         {"smoke": 20, "temperature": 21_500}, faster=10)  # fmt: skip
    batches = gateway.wait(lambda: gateway.batches("reading"), "a batch")
    assert len(batches[0].readings) == 12
    values = {(reading.kind, reading.value) for reading in batches[0].readings}
    assert values == {(1, 20), (5, 21_500)}
    times = [reading.at_ms for reading in batches[0].readings]
    assert times == sorted(times)


def test_an_alarm_is_raised_at_the_threshold_and_lowered_below_its_hysteresis(node, gateway):
    rig = node(SMOKE, {"smoke": 20})
    gateway.wait_state(lambda state: state["online"], "online")
    for value, raised, count in ((500, True, 1), (249, False, 2)):
        rig.tell(do="set", sensor="smoke", value=value)
        event = gateway.wait_event("alarm", count)
        assert (event["sensor"], event["value"], event["raised"]) == ("smoke", value, raised)
    rig.tell(do="set", sensor="smoke", value=260)
    gateway.wait(lambda: gateway.batches("reading"), "readings")
    assert len(gateway.events("alarm")) == 2


def test_a_muted_alarm_is_silent_says_so_and_speaks_when_that_is_over(node, gateway):
    rig = node(SMOKE, {"smoke": 20}, faster=10)
    gateway.wait_state(lambda state: state["online"], "online")
    gateway.send(DEVICE, "mute", messages.make_mute(f"{1:016x}", "smoke", 86_400))
    gateway.wait_result(f"{1:016x}", "done")
    gateway.wait_state(lambda state: "smoke" in state["muted"], "muted")
    rig.tell(do="set", sensor="smoke", value=500)
    readings = len(gateway.batches("reading"))
    gateway.wait(lambda: len(gateway.batches("reading")) > readings + 1, "readings over it")
    assert gateway.events("alarm") == []
    gateway.send(DEVICE, "mute", messages.make_mute(f"{4:016x}", "smoke", 0))
    assert gateway.wait_event("alarm")["raised"] is True
    gateway.send(DEVICE, "mute", messages.make_mute(f"{2:016x}", "door", 60))
    assert gateway.wait_result(f"{2:016x}", "refused")["reason"] == "no alarm on this sensor"


def test_a_sensor_that_cannot_be_read_is_a_fault_and_nothing_is_made_up(node, gateway):
    rig = node({"smoke": {"period_s": 1}, "door": {"period_s": 1}}, {"smoke": 99_999}, faster=10)
    faults = gateway.wait_state(lambda s: len(s.get("faults", ())) == 2, "both faults")["faults"]
    assert faults == ["sensor_door", "sensor_smoke"]
    rig.tell(do="set", sensor="smoke", value=30)
    rig.tell(do="set", sensor="door", value=1)
    gateway.wait_state(lambda state: state["online"] and state["faults"] == [], "no fault")
    batch = gateway.wait(lambda: gateway.batches("reading"), "readings")[0]
    assert {reading.value for reading in batch.readings} == {30, 1}


def test_a_sensor_node_has_no_duty_and_no_place(node, gateway):
    node(SMOKE, {"smoke": 20})
    state = gateway.wait_state(lambda state: state["online"], "online")
    assert (state["duty"], state["sos"], state["fix_age_s"]) == (None, None, None)
    gateway.send(
        DEVICE, "command", messages.make_command(f"{3:016x}", "locate", {}, 60, SERVER_MS)
    )
    gateway.wait_result(f"{3:016x}", "refused")
