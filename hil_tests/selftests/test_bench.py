"""The backend `bench`, really used: its own code, mpremote, pyserial and esptool over wires."""

import dataclasses
import os

import pytest

from hil_tests.bench_board import CHIP_START_S
from hil_tests.errors import NotOnThisRigError, RigError
from hil_tests.relay import Relay, frame
from hil_tests.rig import OpenRig
from hil_tests.rig_file import load_rig
from hil_tests.scenario_file import load_scenarios
from hil_tests.scenario_folder import FOLDER
from hil_tests.selftests.fake_bench import POWER, FakeBench, Wire

RIG = """
name = "a bench of wires"

[[relay]]
name = "main"
port = "{relay}"

[[board]]
name = "left"
backend = "bench"
device = "t-bench-1"
console = "{console}"
receiver = "{receiver}"
bootloader = "button"
esptool = ["--no-stub"]
target = "virtual"
power = {{ relay = "main", channel = 1 }}

[board.buttons]
sos = {{ relay = "main", channel = 2 }}
duty = {{ relay = "main", channel = 3 }}
ok = {{ relay = "main", channel = 4 }}
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with FakeBench(tmp_path_factory.mktemp("chip"), "t-bench-1") as fake:
        yield fake


@pytest.fixture(scope="module")
def rig(bench, tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "bench.toml"
    path.write_text(
        RIG.format(
            relay=bench.relay.path, console=bench.console.path, receiver=bench.receiver.path
        )
    )
    with OpenRig(load_rig(path), path.parent / "home") as opened:
        yield opened


def scenario(name):
    return load_scenarios(FOLDER / f"{name}.toml")[0]


def test_a_scenario_is_flashed_played_and_accounted_for(rig, bench):
    record = rig.run(scenario("sos_without_link"))
    assert record.problems() == [], record.timeline()
    # esptool wrote the flash over the wire, the chip booted from it, and said itself what it is.
    assert bench.starts[:3] == ["rom", "run", "run"]
    assert bench.rom.written > 200_000
    assert record.firmware.board == "virtual"
    assert record.device == "t-bench-1"
    noted = bench.witness()
    assert ["input", "sos", "press"] in [row[1:] for row in noted]
    # The witness inside the chip, which a real bench does not have, agrees with the account.
    sealed = {tuple(row[2:5]) for row in noted if row[1] == "sealed"}
    stored = {("event", row["epoch"], row["seq"]) for row in rig.servers.events("t-bench-1")}
    assert {key for key in sealed if key[0] == "event"} == stored


def test_only_what_changed_is_flashed_again(rig, bench):
    before = bench.rom.written
    record = rig.run(dataclasses.replace(scenario("sos_without_link"), settings={"state_s": 11}))
    assert record.problems() == [], record.timeline()
    assert 0 < bench.rom.written - before <= 0x4000


def test_a_battery_pull_by_the_relay(rig, bench):
    starts = len(bench.starts)
    record = rig.run(load_scenarios(FOLDER / "sos_battery_pull.toml")[2])
    assert record.problems() == [], record.timeline()
    # To be asked what it runs, to be played with, after the pull.
    assert bench.starts[starts:][-3:] == ["run", "run", "run"]


def test_every_stage_is_reached_by_wires_alone(rig, bench):
    with rig.place("terminal") as place:
        place.prepare(scenario("quiet_patrol"), "t-bench-1")
        for stage in ("bootloader", "booted", "online", "sos", "online", "off"):
            place.strategy.reach(stage)
        assert bench.starts[-2:] == ["rom", "run"]
        assert bench.frames[-1] == frame(POWER, closed=False)


def test_what_an_aborted_run_left_open_is_closed_first_and_the_report_says_so(rig):
    with rig.place("terminal") as place:
        place.prepare(scenario("quiet_patrol"), "t-bench-1")
        place.strategy.reach("sos")
        place.power(on=False)  # Whoever watched has gone.
    record = rig.run(scenario("sos_without_link"))
    assert record.problems() == [], record.timeline()
    assert record.notes == ["an earlier run left a case open: sos; closed"]
    assert "left a case open" in record.timeline()
    assert [row["closed_ms"] is None for row in rig.servers.cases("t-bench-1")].count(True) == 0


def test_the_repl_resets_the_board_and_a_power_cut_its_clock(rig, bench):
    with rig.place("terminal") as place:
        place.prepare(scenario("quiet_patrol"), "t-bench-1")
        place.strategy.reach("booted")
        starts, screens = len(bench.starts), _screens(bench)
        place.board.reset()
        place.wait("it shows itself again", place.board.is_running)
        assert _screens(bench) > screens
        assert len(bench.starts) == starts  # The power stayed.
        place.board.clock(CHIP_START_S)
        place.wait("it shows itself again", place.board.is_running)
        assert len(bench.starts) == starts + 1
        with pytest.raises(RigError, match="RTC"):
            # The unix port has no RTC to set to anything else; the chip's own traceback says so.
            place.board._console.ask("import machine\nmachine.RTC()")
        place.strategy.forget()
        place.strategy.reach("off")


def test_what_a_command_changed_for_good_is_not_there_for_the_next_scenario(rig):
    with rig.place("terminal") as place:
        place.prepare(scenario("quiet_patrol"), "t-bench-1")
        place.strategy.reach("booted")
        kept = '[{"batch_s": 77}, null, null]'
        place.board._console.ask(f"open('/journal/changes.json', 'w').write('{kept}')")
        place.strategy.forget()
        place.prepare(scenario("quiet_patrol"), "t-bench-1")
        place.strategy.reach("booted")
        names = place.board._console.ask("import os\nprint(os.listdir('/journal'))")
        assert "'boot.json'" in names
        assert "'changes.json'" not in names


def _screens(bench):
    return len([row for row in bench.witness() if row[1] == "screen"])


def test_what_is_not_wired_is_said(rig):
    wanted = dataclasses.replace(scenario("quiet_patrol").expectations[0], kind="vibrate")
    with pytest.raises(NotOnThisRigError, match="left has no vibrate"):
        rig.run(dataclasses.replace(scenario("quiet_patrol"), expectations=(wanted,)))
    with pytest.raises(NotOnThisRigError, match="no sensor_node"):
        rig.run(scenario("motion_alarm"))


def test_the_relay_says_what_lcus_boards_understand():
    wire = Wire()
    relay = Relay(wire.path)
    relay.set(1, closed=True)
    relay.set(1, closed=False)
    relay.set(16, closed=True)
    relay.close()  # Opens what it closed.
    assert os.read(wire.master, 100).hex() == "a00101a2a00100a1a01001b1a01000b0"
    wire.close()


def test_a_port_that_is_not_there_is_named():
    with pytest.raises(RigError, match="relay /dev/nowhere"):
        Relay("/dev/nowhere")


def test_esptool_that_finds_no_chip_says_so(rig):
    with rig.place("terminal") as place:
        place.strategy.reach("off")
        place.board._flashed = {}
        place.board._spec = dataclasses.replace(
            place.board._spec, esptool=("--no-stub", "--connect-attempts", "1")
        )
        place.board.bootloader = lambda: None
        with pytest.raises(RigError, match="esptool on"):
            place.prepare(scenario("quiet_patrol"), "t-bench-1")
        del place.board.bootloader
