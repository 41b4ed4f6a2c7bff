"""Commands that seldom come, and the ways to raise an SOS without holding the button."""

from __future__ import annotations

import json
import time

import pytest

from tests.device.device_rig import wait_for
from tests.device.test_terminal import (  # noqa: F401 - fixtures
    DEVICE,
    command,
    gateway,
    status,
    terminal,
)
from wire_protocol import configure

RING = [[150, 150], [500, 0]]  # Short, long.


@pytest.fixture
def online(terminal, gateway):  # noqa: F811
    terminal.on()
    gateway.wait_state(lambda state: state["online"], "online")
    return terminal


def send(gateway, number, kind, body, **more) -> str:  # noqa: F811
    gateway.send(DEVICE, "command", command(number, kind, body, **more))
    return f"{number:016x}"


def starts_again(terminal) -> int:  # noqa: F811
    """Wait until it resets itself, and switch it on as the chip would; returns the boot."""
    terminal.micropython.wait(lambda said: said.get("reset"), "a reset")
    terminal.micropython.kill()
    return terminal.on()["started"]


def test_a_wearer_accepts_a_task_arrives_and_is_done(online, gateway):  # noqa: F811
    task = send(gateway, 1, "message", {"text": "去东桥看水位", "answers": True}, ttl_s=5)
    online.shows("OK = accept (1)")
    for says, shown in (("accept", "OK = arrived (1)"), ("arrived", "OK = done (1)")):
        online.push("ok")
        online.push("ok", "release")
        online.shows(shown)
        wait_for(
            lambda says=says: (
                [r["data"] for r in gateway.results(task)][-1:] == [{"answer": says}]
            ),
            says,
        )
    online.push("ok")
    online.push("ok", "release")
    assert gateway.wait_result(task, "done")["data"] == {"answer": "done"}


def test_a_task_that_was_accepted_goes_on_after_a_restart(online, gateway):  # noqa: F811
    def says(word):
        online.push("ok")
        online.push("ok", "release")
        wait_for(lambda: [r["data"] for r in gateway.results(task)][-1] == {"answer": word}, word)

    task = send(gateway, 1, "message", {"text": "去东桥看水位", "answers": True})
    gateway.wait_result(task, "accepted")
    online.shows("OK = accept (1)")
    says("accept")
    online.pull_battery()
    online.on()
    online.shows("OK = arrived (1)")
    assert "去东桥看水位" in online.ask("station.kind._lines()")
    says("arrived")
    # The power goes before the answer is sealed: the next start makes it.
    row = json.loads((online.journal / "tasks.json").read_text())[0]
    online.pull_battery()
    (online.journal / "tasks.json").write_text(json.dumps([[*row[:3], row[3] + 1]]))
    online.on()
    wait_for(lambda: len(gateway.results(task)) == 4, "arrived, again")
    says("done")
    assert gateway.wait_result(task, "done")["data"] == {"answer": "done"}
    online.pull_battery()
    online.on()
    gateway.wait_state(lambda state: state["online"] and state["boot"] == 4, "online again")
    assert online.ask("station.kind.messages") == []
    assert [r["status"] for r in gateway.results(task)] == ["accepted"] * 4 + ["done"]


def test_a_wearer_declines_by_holding(terminal, gateway):  # noqa: F811
    terminal.on(faster=10)
    gateway.wait_state(lambda state: state["online"], "online")
    task = send(gateway, 1, "message", {"text": "去东桥", "answers": True}, ttl_s=600)
    terminal.shows("hold OK = decline")
    terminal.hold("ok", 0.5)  # Five seconds of its clock.
    declined = gateway.wait_result(task, "refused")
    assert (declined["reason"], declined["data"]) == ("declined", {"answer": "decline"})


def test_it_rings_until_its_wearer_presses_ok(online, gateway):  # noqa: F811
    rung = send(gateway, 1, "ring", {"for_s": 60})
    gateway.wait_result(rung, "done")
    online.shown("tone", RING)
    seen = len(online.micropython.lines)
    online.shown("tone", RING)
    # It can be seen all the while, too: nothing else comes between on the light.
    said = [json.loads(line) for line in online.micropython.lines[seen:] if line[:1] == "{"]
    lights = [row["value"] for row in said if row.get("shown") == "light"]
    assert lights
    assert all(light == [[200, 200]] for light in lights), lights
    online.push("ok")
    assert online.ask("station.kind.ringing_ms") == 0


def test_a_reboot_is_answered_by_the_start_that_follows_and_done_once(online, gateway):  # noqa: F811
    asked = send(gateway, 1, "reboot", {})
    gateway.wait_result(asked, "accepted")
    assert starts_again(online) == 2
    gateway.wait_result(asked, "done")
    send(gateway, 1, "reboot", {})
    done = send(gateway, 2, "duty", {"on": True})
    gateway.wait_result(done, "done")
    assert [r["status"] for r in gateway.results(asked)] == ["accepted", "done"]


def test_nothing_restarts_a_terminal_with_an_open_sos(online, gateway):  # noqa: F811
    online.hold()
    gateway.wait_event("sos")
    for number, (kind, body) in enumerate(
        (("reboot", {}), ("configure", {"settings": {"batch_s": 5}})), 1
    ):
        asked = send(gateway, number, kind, body)
        assert gateway.wait_result(asked, "refused")["reason"] == "an SOS is open"


@pytest.mark.parametrize(
    ("kind", "body"), [("reboot", {}), ("configure", {"settings": {"batch_s": 5}})]
)
def test_an_sos_raised_before_a_restart_is_not_interrupted_by_it(online, gateway, kind, body):  # noqa: F811
    asked = send(gateway, 1, kind, body)
    gateway.wait_result(asked, "accepted")
    online.hold()
    assert gateway.wait_result(asked, "failed")["reason"] == "an SOS is open"
    sos = gateway.wait_event("sos")
    assert sos["boot"] == 1
    assert online.ask("station.logbook.boot") == 1
    # Nor does the next start do any of it.
    online.pull_battery()
    online.on()
    gateway.wait_state(lambda state: state["online"] and state["boot"] == 2, "online again")
    assert online.ask("station.settings.batch_s") == 60
    assert [r["status"] for r in gateway.results(asked)] == ["accepted", "failed"]


CONFIGURE = ("configure", {"settings": {"batch_fixes": 3}})
REBOOT = ("reboot", {})


@pytest.mark.parametrize("first", [REBOOT, CONFIGURE], ids=["reboot", "configure"])
@pytest.mark.parametrize("second", [REBOOT, CONFIGURE], ids=["reboot", "configure"])
def test_of_two_restarts_in_a_row_each_is_answered(online, gateway, first, second):  # noqa: F811
    one = send(gateway, 1, *first)
    two = send(gateway, 2, *second)
    assert gateway.wait_result(two, "refused")["reason"] == "busy"
    starts_again(online)
    gateway.wait_result(one, "done")
    assert online.ask("station.settings.batch_fixes") == (3 if first is CONFIGURE else 12)
    # With the first one answered another may come.
    three = send(gateway, 3, *second)
    gateway.wait_result(three, "accepted")


@pytest.mark.parametrize("second", [REBOOT, CONFIGURE], ids=["reboot", "configure"])
def test_nothing_else_restarts_a_terminal_during_a_trial(terminal, gateway, second):  # noqa: F811
    terminal.on()
    gateway.wait_state(lambda state: state["online"], "online")
    one = send(gateway, 1, *CONFIGURE)
    gateway.wait_result(one, "accepted")
    gateway.receipting = False
    starts_again(terminal)
    gateway.wait_state(lambda state: state["online"] and state["boot"] == 2, "online again")
    two = send(gateway, 2, *second)
    assert gateway.wait_result(two, "refused")["reason"] == "busy"
    gateway.receipting = True
    gateway.wait_result(one, "done")
    assert terminal.ask("station.logbook.boot") == 2


def test_settings_hold_once_the_link_came_back_with_them(online, gateway):  # noqa: F811
    asked = send(gateway, 1, "configure", {"settings": {"batch_fixes": 3, "silent": True}})
    gateway.wait_result(asked, "accepted")
    starts_again(online)
    gateway.wait_result(asked, "done")
    assert online.ask("station.settings.batch_fixes") == 3
    online.pull_battery()
    online.on()
    gateway.wait_state(lambda state: state["online"] and state["boot"] == 3, "online")
    assert online.ask("[station.settings.batch_fixes, station.settings.silent]") == [3, True]
    assert [r["status"] for r in gateway.results(asked)] == ["accepted", "done"]


def test_settings_that_cut_the_link_are_taken_back_in_time(terminal, gateway):  # noqa: F811
    terminal.on(faster=30)
    gateway.wait_state(lambda state: state["online"], "online")
    asked = send(gateway, 1, "configure", {"settings": {"broker_port": 9, "batch_fixes": 3}},
                 ttl_s=6_000)  # fmt: skip
    gateway.wait_result(asked, "accepted")
    starts_again(terminal)
    # Five minutes of its clock later it gives up, and comes back with what worked.
    starts_again(terminal)
    assert gateway.wait_result(asked, "failed")["reason"].startswith("rolled back")
    assert terminal.ask("station.settings.batch_fixes") == 12


def test_an_sos_ends_a_trial_that_has_no_link_and_goes_out_with_the_old_settings(online, gateway):  # noqa: F811
    asked = send(gateway, 1, "configure", {"settings": {"broker_port": 9}})
    gateway.wait_result(asked, "accepted")
    starts_again(online)
    online.hold()
    online.shows("SOS OPEN")
    assert starts_again(online) == 3
    sos = gateway.wait_event("sos")
    assert (sos["boot"], sos["press"]) == (2, 1)
    online.shows("SOS STORED")
    assert gateway.wait_result(asked, "failed")["reason"].startswith("rolled back")
    assert len(gateway.events("sos")) == 1


def test_an_sos_lets_a_trial_go_on_that_has_its_link(terminal, gateway):  # noqa: F811
    gateway.receipting = False
    terminal.on()
    gateway.wait_state(lambda state: state["online"], "online")
    asked = send(gateway, 1, "configure", {"settings": {"batch_fixes": 3}})
    gateway.wait_result(asked, "accepted")
    starts_again(terminal)
    gateway.wait_state(lambda state: state["online"] and state["boot"] == 2, "online again")
    terminal.hold()
    terminal.shows("SOS SENT")
    time.sleep(17)
    gateway.receipting = True
    gateway.wait_result(asked, "done")
    assert terminal.ask("station.logbook.boot") == 2


def test_a_battery_pulled_during_the_trial_takes_the_settings_back_too(terminal, gateway):  # noqa: F811
    terminal.on()
    gateway.wait_state(lambda state: state["online"], "online")
    asked = send(gateway, 1, "configure", {"settings": {"broker_port": 9}})
    gateway.wait_result(asked, "accepted")
    starts_again(terminal)
    terminal.pull_battery()
    terminal.on()
    assert gateway.wait_result(asked, "failed")["reason"].startswith("rolled back")


@pytest.mark.usefixtures("online")
def test_settings_out_of_their_limits_are_refused_by_name(gateway):  # noqa: F811
    wrong = command(1, "configure", {"settings": {"batch_s": 30}}).replace(b"30", b"9999")
    gateway.send(DEVICE, "command", wrong)
    refused = gateway.wait_result(f"{1:016x}", "refused")
    assert refused["reason"] == "batch_s is 9999, not 1..600"


BAD = [
    ({"v": 2}, "bad: v 1..1"),
    ({"kind": 5}, "bad: kind 0..20 bytes"),
    ({"ttl_s": 604_801}, "bad: ttl_s 1..604800"),
    ({"ttl_s": 0}, "bad: ttl_s 1..604800"),
    ({"issued": -1}, "bad: issued 0..4294967295999"),
    ({"body": []}, "bad: body {}"),
    ({"kind": "message", "body": {"text": "x" * 241}}, "bad: text 0..240 bytes"),
    ({"kind": "message", "body": {"text": "x", "answers": 1}}, "bad: answers true or false"),
    ({"kind": "ring", "body": {"for_s": 301}}, "bad: for_s 1..300"),
    ({"kind": "read_log", "body": {"first": -1}}, "bad: first 0..4294967295"),
    ({"kind": "duty", "body": {"on": 1}}, "bad: on true or false"),
    ({"kind": "configure", "body": {"settings": 1}}, "bad: settings {}"),
]


@pytest.mark.usefixtures("online")
def test_a_malformed_command_is_refused_by_field_and_limit(gateway):  # noqa: F811
    made = json.loads(command(1, "duty", {"on": True}))
    for number, (fields, _) in enumerate(BAD, 1):
        message = made | {"id": f"{number:016x}"} | fields
        gateway.send(DEVICE, "command", json.dumps(message).encode())
    for number, (_, reason) in enumerate(BAD, 1):
        assert gateway.wait_result(f"{number:016x}", "refused")["reason"] == reason
    for number, (fields, reason) in enumerate(
        (({"sensor": "cat"}, "bad: sensor unknown"), ({"for_s": -1}, "bad: for_s 0..86400")), 50
    ):
        message = {"v": 1, "id": f"{number:016x}", "sensor": "smoke", "for_s": 1} | fields
        gateway.send(DEVICE, "mute", json.dumps(message).encode())
        assert gateway.wait_result(f"{number:016x}", "refused")["reason"] == reason
    assert gateway.events("duty")[-1]["by"] == "boot"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "settings: an object of 1..12 names is wanted"),
        ({"sos_hold_ms": 10_001}, "sos_hold_ms is 10001, not 0..10000"),
        ({"batch_fixes": 0}, "batch_fixes is 0, not 1..60"),
        ({"batch_s": 601}, "batch_s is 601, not 1..600"),
        ({"state_s": 9}, "state_s is 9, not 10..86400"),
        ({"return_s": 301}, "return_s is 301, not 0..300"),
        ({"broker_port": 0}, "broker_port is 0, not 1..65535"),
        ({"silent": 1}, "silent is neither true nor false"),
        ({"broker_host": ""}, "broker_host is not text of 1..64 bytes"),
        ({"broker_name": "x" * 65}, "broker_name is not text of 1..64 bytes"),
        ({"broker_name": "\ud800"}, "broker_name is not text of 1..64 bytes"),
        ({"networks": []}, "networks: a list of 1..4 is wanted"),
        ({"networks": ["x"]}, "networks: [name, password] is wanted"),
        ({"networks": [["x" * 33, ""]]}, "network name is not text of 1..32 bytes"),
        ({"networks": [["x", "short"]]}, "network password is not text of 8..63 bytes"),
        ({"cat": 1}, "cat: no such setting"),
    ],
)
def test_each_setting_names_its_limit(settings, reason):
    assert configure.wrong(settings) == reason


@pytest.mark.usefixtures("online")
def test_a_self_test_names_each_part(gateway):  # noqa: F811
    asked = send(gateway, 1, "self_test", {})
    found = gateway.wait_result(asked, "done")["data"]
    assert (found["flash"], found["journal"], found["link"]) == ("ok", "ok", "ok")
    assert found["receiver"].startswith("no fix")


def test_the_log_tells_of_a_crash_in_pieces(online, gateway):  # noqa: F811
    online.ask("setattr(station.kind, 'parser', None)")
    online.stand()
    gateway.wait_state(lambda state: "crash_receiver" in state["faults"], "the crash")
    lines, first = [], 0
    while first is not None:
        asked = send(gateway, 10 + len(lines), "read_log", {"first": first})
        data = gateway.wait_result(asked, "done")["data"]
        lines += data["lines"]
        first = data["next"]
    assert any("receiver" in line for line in lines)


@pytest.mark.parametrize("trigger", ["man_down", "check_in"])
def test_what_watches_over_the_wearer_raises_an_sos(online, gateway, trigger):  # noqa: F811
    online.push(trigger)
    event = gateway.wait_event("sos")
    assert (event["trigger"], event["press"]) == (trigger, 1)
    online.shows("SOS STORED")


def test_three_short_presses_raise_it_without_light_or_tone(terminal, gateway):  # noqa: F811
    terminal.on(config={"sos_hold_ms": 2_000})
    gateway.wait_state(lambda state: state["online"], "online")
    for _ in range(3):
        terminal.hold(seconds=0.05)
    assert gateway.wait_event("sos")["trigger"] == "silent"
    assert "sos" not in str(terminal.ask("station.kind._lines()")).lower()


def test_the_wearer_reads_who_comes_and_how_far_it_is(online, gateway):  # noqa: F811
    online.hold()
    event = gateway.wait_event("sos")
    told = status(event["epoch"], event["incident"], "help").replace(
        b'"at":', b'"distance_m":850,"at":'
    )
    gateway.send(DEVICE, "sos_status", told)
    online.shows("Wang Fang 850 m")
