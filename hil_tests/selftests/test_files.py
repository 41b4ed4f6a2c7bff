"""Malformed rig and scenario files: each is refused with an error that names field and limit."""

from pathlib import Path

import pytest

from hil_tests.errors import FileError
from hil_tests.rig_file import Wire, load_rig
from hil_tests.scenario_file import load_scenarios
from hil_tests.scenario_folder import all_scenarios

RIGS = Path(__file__).parents[1] / "rigs"
SCENARIO = """
title = "t"
why = "w"
{more}

[[expect]]
event = "sos"
within_s = 5
{expect}
"""
RIG = """
name = "r"
{network}

[[relay]]
name = "main"
port = "/dev/ttyUSB0"
{relay}

[[board]]
name = "left"
backend = "bench"
device = "t-0001"
console = "/dev/ttyUSB1"
{board}
"""


def write(tmp_path, text):
    path = tmp_path / "file.toml"
    path.write_text(text)
    return path


def test_every_scenario_that_comes_with_xunhu_can_be_read():
    names = {scenario.name for scenario in all_scenarios(None)}
    assert len(names) >= 12
    assert "sos_battery_pull[pull_s=0.02]" in names


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("colour = 'red'", r"colour: is no field here; there are "),
        ("limit_s = 4000", r"limit_s: 4000 is not from 1 to 3600"),
        ("limit_s = 'long'", r"limit_s: 'long' is no number"),
        ("limit_s = '$pull'", r"limit_s: '\$pull' is no name of \[vary\]; there are none"),
        ("device = 'drone'", r"device: 'drone' is none of sensor_node, terminal"),
        ("start = 'asleep'", r"start: 'asleep' is none of booted, bootloader, off, online, sos"),
        ("seed = -1", r"seed: -1 is no whole number from 0 to 2147483648"),
        ("seed = true", r"seed: True is no whole number"),
        ("duty = 1", r"duty: 1 is neither true nor false"),
        ("title2 = ''", r"title2: is no field"),
        ("[vary]\na = [1]\nb = [2]", r"vary\.b: only one name can vary"),
        ("[vary]\na = []", r"vary\.a: is no list of 1 to 50 numbers"),
        ("[vary]\na = ['x']", r"vary\.a: 'x' is no number"),
        ("[trace]\nmode = 'loud'", r"trace\.mode: 'loud' is none of fix, garbage, no_fix, silent"),
        ("[trace]\nlog = 'nothing.nmea'", r"trace\.log: .*nothing\.nmea is no file"),
        ("[trace]\npoints = [[0, 91, 0]]", r"trace\.points\[1\]: 91, 0: latitude to 90"),
        ("[trace]\npoints = [[0, 1, 1], [0, 1, 1]]", r"points\[2\]: 0 s is not later"),
        ("[trace]\npoints = [[0, 1]]", r"points\[1\]: \[0, 1\] is not \[seconds, latitude"),
        ("[[do]]\npress = 'sos'\nlink = 'up'", r"do\[1\]: needs exactly one of .*; has press and"),
        ("[[do]]\nat_s = 1", r"do\[1\]: needs exactly one of .*; has none"),
        ("[[do]]\npress = 'fire'", r"do\[1\]\.press: 'fire' is none of duty, ok, sos"),
        ("[[do]]\npress = 'sos'\nhold_s = 61", r"do\[1\]\.hold_s: 61 is not from 0 to 60"),
        ("[[do]]\nlink = 'up'\nhold_s = 1", r"do\[1\]\.hold_s: is no field here"),
        ("[[do]]\nlink = 'up'\nat_s = 121", r"do\[1\]\.at_s: 121 is not from 0 to 120"),
        ("[[do]]\nlink = 'up'\nafter = 'nothing'", r"after: 'nothing' is no name here"),
        ("[[do]]\nreset = false", r"do\[1\]\.reset: can only be true"),
        ("[[do]]\nclock = '2000'", r"do\[1\]\.clock: '2000' is no time with its zone"),
        ("[[do]]\nclock = 2000-01-01T00:00:00", r"clock: .* is no time with its zone"),
        ("[[do]]\nclock = 2200-01-01T00:00:00Z", r"clock: .* is not from 1970 to 2105"),
        ("[[do]]\nbattery_mv = 20001", r"battery_mv: 20001 is no whole number from 0 to 20000"),
        ("[[do]]\nnetwork = { latency_ms = 60001 }", r"network\.latency_ms: 60001 is no whole"),
        ("[[do]]\nnetwork = { loss = 1.1 }", r"network\.loss: 1\.1 is not from 0 to 1"),
        ("[[do]]\nnetwork = { bandwidth_bytes_s = 99 }", r"99 is no whole number from 100 to"),
        ("[[do]]\nnetwork = { smell = 1 }", r"network\.smell: is no field here"),
        ("[[do]]\nnetwork = 3", r"network: 3 is no table"),
        ("[[do]]\nsensor = { name = 'nose', value = 1 }", r"sensor\.name: 'nose' is none of"),
        ("[[do]]\nsensor = { name = 'smoke', value = 10001 }", r"from 0 to 10000"),
        ("[[do]]\nmotion = 'dancing'", r"motion: 'dancing' is none of moving, still"),
        ("[[do]]\ncommand = { kind = 'ring', ttl_s = 0 }", r"command\.ttl_s: 0 is no whole"),
        ("[[do]]\ncommand = { kind = 'ring', body = 1 }", r"command\.body: 1 is no table"),
        (
            "[[do]]\ncommand = { kind = 'sing' }",
            r"command\.kind: command kind 'sing', not message",
        ),
        ("[[do]]\ncommand = { kind = 'ring' }", r"command\.body: command ring has a body of \["),
        (
            "[[do]]\ncommand = { kind = 'ring', body = { for_s = 301 } }",
            r"command\.body: .*for_s.*300",
        ),
        (
            "[[do]]\ncommand = { kind = 'configure', body = { settings = { batch_s = 601 } } }",
            r"command\.body: batch_s is 601, not 1\.\.600",
        ),
        (
            f"[[do]]\ncommand = {{ kind = 'message', body = {{ text = '{'x' * 241}' }} }}",
            r"command\.body: .*text.*240",
        ),
        ("[[do]]\nname = 'X'\nlink = 'up'", r"do\[1\]\.name: 'X': a small letter"),
        ("do = 3", r"do: is no array of tables"),
    ],
)
def test_a_malformed_scenario_is_refused(tmp_path, more, says):
    with pytest.raises(FileError, match=says) as error:
        load_scenarios(write(tmp_path, SCENARIO.format(more=more, expect="")))
    assert "file.toml" in str(error.value)


@pytest.mark.parametrize(
    ("expect", "says"),
    [
        ("from_s = 6", r"expect\[1\]\.from_s: 6 is not from 0 to 5"),
        ("never = true\ntimes = 1", r"expect\[1\]\.times: what is never seen has no number"),
        ("times = 10001", r"times: 10001 is no whole number from 0 to 10000"),
        ("where = 1", r"where: 1 is no table"),
        ("where = { of = 'nothing' }", r"where\.of: 'nothing' is no name of a command here"),
        ("name = 'start'", r"name: 'start' is given twice"),
        ("name = 'a'\nafter = 'a'", r"after: 'a' waits for itself"),
        ("[[expect]]\nevent = 'party'\nwithin_s = 1", r"event: 'party' is none of alarm, dropped"),
        ("[[expect]]\ncase = 'alarm:nose'\nwithin_s = 1", r"case: 'alarm:nose' is none of alarm:"),
        ("[[expect]]\nresult = 'ok'\nwithin_s = 1", r"result: 'ok' is none of accepted, done"),
        ("[[expect]]\nboot = 'kick'\nwithin_s = 1", r"boot: 'kick' is none of deep_sleep, power"),
        (
            "[[expect]]\ncase = 'sos'\nwithin_s = 1\nwhere = { colour = 1 }",
            r"where\.colour: is no column of a case; there are acknowledged_presses",
        ),
        (
            "[[expect]]\nresult = 'done'\nwithin_s = 1\nwhere = { answer = 'done' }",
            r"where\.answer: is no column of a result; there are .*data",
        ),
        ("[[expect]]\ngone = ''\nwithin_s = 1", r"gone: 0 characters, 1 to 120 can be"),
        (
            "[[expect]]\nfixes = 0\nwithin_s = 1",
            r"expect\[2\]\.fixes: 0 is no whole number from 1",
        ),
        ("[[expect]]\nscreen = 'x'", r"expect\[2\]\.within_s: is missing"),
        ("[[expect]]\nlight = [[1]]\nwithin_s = 1", r"light: .* is no list of \[on, off\] in ms"),
        ("[[expect]]\nscreen = 'x'\nwithin_s = 1\ntimes = 2", r"times: screen cannot be counted"),
        (
            "[[expect]]\nscreen = 'x'\nwithin_s = 1\nwhere = {a = 1}",
            r"where: screen has no columns",
        ),
    ],
)
def test_a_malformed_expectation_is_refused(tmp_path, expect, says):
    with pytest.raises(FileError, match=says):
        load_scenarios(write(tmp_path, SCENARIO.format(more="", expect=expect)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("title = ", "file.toml: Invalid"),
        ("", "title: is missing"),
        ("title = 't'\nwhy = 'w'", r"expect: 0 of them, 1 to 100 can be"),
        (f"title = '{'t' * 501}'", r"title: 501 characters, 1 to 500 can be"),
        ("#" * 1_000_001, "more than 1000000 bytes"),
    ],
)
def test_what_is_no_scenario_at_all_is_refused(tmp_path, text, says):
    with pytest.raises(FileError, match=says):
        load_scenarios(write(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileError, match=r"nothing\.toml"):
        load_scenarios(tmp_path / "nothing.toml")


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"board": "backend2 = 'x'"}, r"board\[1\]\.backend2: is no field here"),
        ({"board": "kind = 'drone'"}, r"board\[1\]\.kind: 'drone' is none of"),
        ({"board": "kind = 'sensor_node'"}, r"device: 't-0001': a sensor_node begins with s-"),
        ({"board": "console_baud = 1200"}, r"console_baud: 1200 is no whole number from 9600"),
        ({"board": "console_baud = 9601"}, r"console_baud: 9601 is none of 9600"),
        ({"board": "esptool = 'x'"}, r"esptool: 'x' is no list of texts"),
        ({"board": "bootloader = 'button'"}, r"bootloader: 'button' needs \[board\.power\]"),
        ({"board": "power = { relay = 'x', channel = 1 }"}, r"power\.relay: 'x' is no \[\[relay"),
        ({"board": "power = { relay = 'main', channel = 17 }"}, r"channel: 17 is no whole number"),
        (
            {"board": "buttons = { nose = { relay = 'main', channel = 1 } }"},
            r"nose: is none of sos",
        ),
        ({"board": "receiver = '/dev/ttyUSB0'"}, r"port: '/dev/ttyUSB0' is given twice"),
        (
            {
                "board": "power = {relay='main', channel=1}\n"
                "buttons.sos = {relay='main', channel=1}"
            },
            r"relay channel: 'main 1' is given twice",
        ),
        ({"relay": "protocol = 'x10'"}, r"relay\[1\]\.protocol: 'x10' is none of lcus"),
        ({"relay": "[[relay]]\nname = 'main'\nport = 'p'"}, r"relay\[2\]\.name: 'main' is given"),
        ({"network": "[network]\nfirst_port = 70000"}, r"network\.first_port: 70000 is no whole"),
        ({"network": "[network]\nfaults = { loss = 2 }"}, r"network\.faults\.loss: 2 is not from"),
        ({"network": "[network]\nwifi = [{ ssid = '' }]"}, r"wifi\[1\]\.ssid: 0 characters, 1 to"),
    ],
)
def test_a_malformed_rig_is_refused(tmp_path, where, says):
    parts = {"network": "", "relay": "", "board": ""} | where
    with pytest.raises(FileError, match=says):
        load_rig(write(tmp_path, RIG.format(**parts)))


def test_the_rigs_that_come_with_xunhu_can_be_read():
    bench = load_rig(RIGS / "bench.toml")
    assert [board.backend for board in bench.boards] == ["bench", "bench"]
    assert bench.boards[0].buttons["sos"] == Wire("main", 2)
    assert load_rig(RIGS / "virtual.toml").boards[0].copies > 1


def test_a_recorded_log_is_found_beside_its_scenario(tmp_path):
    (tmp_path / "log.nmea").write_bytes(b"$GPRMC\r\n")
    text = SCENARIO.format(more="[trace]\nlog = 'log.nmea'", expect="")
    (scenario,) = load_scenarios(write(tmp_path, text))
    assert scenario.trace.log == tmp_path / "log.nmea"
