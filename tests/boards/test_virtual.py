"""The virtual board, booted from its flash image by real MicroPythons."""

import json
import os
import socket
import time
from pathlib import Path

import pytest

from provisioning.control import ControlError
from provisioning.errors import ProvisioningError
from provisioning.nvs import read_nvs
from provisioning.partitions import partition
from provisioning.virtual import Feed, Log, Rig, Walk, track_of

HERE = (29_900_000, 119_400_000)


def _ready(shown: dict) -> bool:
    return shown["screen"] == ["ready"]


def _console(folder: Path) -> str:
    return (folder / "console.log").read_text()


def _witness(folder: Path, kind: str) -> list[list]:
    lines = [json.loads(line) for line in (folder / "witness.jsonl").read_text().splitlines()]
    return [line for line in lines if line[1] == kind]


def test_it_boots_from_its_image_alone(fleet, make):
    control = make()
    fleet.start(control.folder)
    shown = control.wait(_ready)
    assert shown["paths"] == [".frozen", "/app"]
    with (control.folder / "flash.bin").open("rb") as file:
        file.seek(partition("nvs").address)
        held = read_nvs(file.read(partition("nvs").size))
    assert shown["identity"] == [
        "t-0001", held["cert"].hex(), held["key"].hex(), held["ca"].hex(),
    ]  # fmt: skip
    assert shown["config"]["broker_name"] == "localhost"
    control.press("look")
    assert control.wait(lambda now: "files" in now)["files"] is False


def test_the_journal_is_made_once_and_kept_over_everything(fleet, make):
    control = make()
    fleet.start(control.folder)
    shown = control.wait(_ready)
    assert (shown["journal"], shown["journal_lost"], shown["count"]) == ("formatted", False, 1)
    assert "journal was blank" in _console(control.folder)
    control.reset()
    shown = control.wait(lambda now: _ready(now) and now["count"] == 2)
    assert (shown["journal"], shown["reset_reason"]) == ("kept", "software")
    fleet.kill("t-0001")
    fleet.start(control.folder)
    shown = control.wait(lambda now: _ready(now) and now["count"] == 3)
    assert (shown["journal"], shown["reset_reason"]) == ("kept", "power")


def test_a_journal_of_garbage_is_made_anew_by_the_rescue_agent_and_said_to_be_lost(fleet, make):
    control = make()
    place = partition("journal")
    with (control.folder / "flash.bin").open("r+b") as file:
        os.pwrite(file.fileno(), b"garbage!" * 1024, place.address)
    fleet.start(control.folder)
    shown = control.wait(_ready)
    assert (shown["journal"], shown["journal_lost"]) == ("formatted", True)
    assert "rescue, because of: journal" in _console(control.folder)


def test_a_broken_slot_gives_way_to_the_other_one(fleet, make, stub):
    control = make()
    with (control.folder / "flash.bin").open("r+b") as file:
        os.pwrite(file.fileno(), stub.slot_image, partition("app_b").address)
        os.pwrite(file.fileno(), b"\xff" * 4096, partition("app_a").address)
    fleet.start(control.folder)
    control.wait(_ready)
    assert "app_a holds no application" in _console(control.folder)


def test_without_any_application_the_rescue_agent_runs_and_says_so(fleet, make):
    control = make()
    with (control.folder / "flash.bin").open("r+b") as file:
        os.pwrite(file.fileno(), b"\xff" * 4096, partition("app_a").address)
    fleet.start(control.folder)
    shown = control.wait(lambda now: now["screen"][:1] == ["RESCUE: no application"])
    assert shown["screen"][1] == "OFFLINE"


def test_a_blank_flash_does_not_boot_and_says_so(fleet, make):
    control = make()
    with (control.folder / "flash.bin").open("r+b") as file:
        os.pwrite(file.fileno(), b"\xff" * 8192, partition("vfs").address)
    fleet.start(control.folder)
    _until(lambda: not fleet.running("t-0001"))
    assert "this image does not boot" in _console(control.folder)


def test_buttons_sensors_and_battery_reach_the_application(fleet, make):
    control = make(rig=Rig(sensors={"smoke": 12}, battery_mv=3700))
    fleet.start(control.folder)
    control.wait(_ready)
    control.push("sos")
    control.wait(lambda now: now["screen"] == ["sos", "release"])
    control.push("look")
    shown = control.wait(lambda now: "battery" in now)
    assert (shown["smoke"], shown["battery"], shown["rssi"]) == (12, 3700, -60)
    assert shown["light"] == [[1, 2]]
    control.set_sensor("smoke", 500)
    control.battery(3300)
    control.push("look")
    control.wait(lambda now: (now["smoke"], now["battery"]) == (500, 3300))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"do": "set", "sensor": "smoke", "value": 1.5}, "whole number"),
        ({"do": "explode"}, "explode"),
        ({"do": "press"}, "input"),
        ({"do": "receiver", "mode": "upside down"}, "mode"),
        ({"do": "battery", "mv": "full"}, "ValueError"),
    ],
)
def test_a_wrong_wish_is_refused_and_harms_nothing(fleet, make, asked, says):
    control = make(rig=Rig(receiver=Feed()))
    fleet.start(control.folder)
    control.wait(_ready)
    with pytest.raises(ControlError, match=says):
        control._ask(**asked)
    assert _ready(control.show())


def test_a_foreign_port_is_noticed(fleet, make):
    first, second = make("t-0001"), make("t-0002")
    for control in (first, second):
        fleet.start(control.folder)
        control.wait(_ready)
    (second.folder / "control.port").write_text((first.folder / "control.port").read_text())
    with pytest.raises(ControlError, match="this is t-0001"):
        second.press("sos")


def test_a_device_that_is_off_cannot_be_pressed(make):
    with pytest.raises(ControlError, match="does not run"):
        make().press("sos")


def test_switching_off_is_for_good(fleet, make):
    control = make()
    fleet.start(control.folder)
    control.wait(_ready)
    control.power_off()
    _until(lambda: not fleet.running("t-0001"))
    fleet.start(control.folder)
    assert control.wait(_ready)["reset_reason"] == "power"


def test_an_application_that_fails_is_started_again(fleet, make):
    control = make()
    fleet.start(control.folder)
    control.wait(_ready)
    control.press("crash")
    shown = control.wait(lambda now: now["count"] == 2, timeout_s=25)
    assert shown["reset_reason"] == "software"
    assert "as asked" in _console(control.folder)


def test_a_process_that_dies_is_started_again(fleet, make):
    control = make()
    fleet.start(control.folder)
    control.wait(_ready)
    os.kill(fleet.pid("t-0001"), 11)
    shown = control.wait(lambda now: now["count"] == 2)
    assert shown["reset_reason"] == "unknown"


def test_the_watchdog_bites(fleet, make):
    control = make()
    fleet.start(control.folder)
    control.wait(_ready)
    control.press("dog")
    assert control.wait(lambda now: now["count"] == 2)["reset_reason"] == "watchdog"


def test_the_clock_runs_on_over_a_reset_and_stops_without_power(fleet, make):
    control = make()
    fleet.start(control.folder)
    assert control.wait(_ready)["rtc_s"] == 0
    control.clock(4_070_908_800)
    control.reset()
    shown = control.wait(lambda now: now["count"] == 2)
    assert 0 <= shown["rtc_s"] - 4_070_908_800 < 30
    fleet.kill("t-0001")
    fleet.start(control.folder)
    assert control.wait(lambda now: now["count"] == 3)["rtc_s"] == 0


def test_a_lost_network_cuts_and_refuses(fleet, make):
    with socket.create_server(("127.0.0.1", 0)) as server:
        control = make(port=server.getsockname()[1])
        fleet.start(control.folder)
        control.wait(_ready)
        control.press("connect")
        connection, _ = server.accept()
        with connection:
            control.wait(lambda now: now.get("connected") == "yes")
            control.link(up=False)
            # Both ends notice: the far one at once, the device at its next look.
            connection.settimeout(10)
            assert connection.recv(1) == b""
            shown = control.wait(lambda now: now["connected"] not in ("yes", "up"))
            assert shown["link"] is False
            control.press("connect")
            control.link(up=True)
            again, _ = server.accept()
            again.close()
            control.wait(lambda now: now["connected"] == "closed")


def test_a_device_that_starts_without_a_network_waits_for_it(fleet, make):
    with socket.create_server(("127.0.0.1", 0)) as server:
        control = make(rig=Rig(link_up=False), port=server.getsockname()[1])
        fleet.start(control.folder)
        control.wait(_ready)
        control.press("connect")
        control.press("look")
        assert control.wait(lambda now: "battery" in now)["rssi"] is None
        control.link(up=True)
        connection, _ = server.accept()
        connection.close()


def test_a_network_that_is_not_there_gives_way_to_the_next_and_so_does_a_wrong_password(
    fleet, make
):
    with socket.create_server(("127.0.0.1", 0)) as server:
        known = (("far", ""), ("near", "not this one"), ("near", "this one"))
        rig = Rig(access_points=[("other", ""), ("near", "this one")])
        control = make(rig=rig, port=server.getsockname()[1], networks=known)
        fleet.start(control.folder)
        control.wait(_ready)
        for refused in ("far", "near"):
            control.press("connect")
            shown = control.wait(lambda now, name=refused: now.get("refusal", "").endswith(name))
            assert (shown["refusal"], shown["link"]) == (f"no network {refused}", False)
        control.press("look")
        assert control.wait(lambda now: "battery" in now)["rssi"] is None
        control.press("connect")
        connection, _ = server.accept()
        connection.close()
        assert control.wait(lambda now: now["connected"] == "closed")["link"] is True


def test_where_networks_have_names_a_device_that_knows_none_joins_none(fleet, make):
    control = make(rig=Rig(access_points=[("near", "")]))
    fleet.start(control.folder)
    control.wait(_ready)
    control.press("connect")
    shown = control.wait(lambda now: "refusal" in now)
    assert shown["refusal"] == "no network is configured"


def test_a_walk_says_where_it_is(fleet, make):
    control = make(rig=Rig(receiver=Walk(7, *HERE), witness=True))
    fleet.start(control.folder)
    shown = control.wait(lambda now: len(now.get("pieces", ())) >= 30)
    track = track_of(control.folder)
    positions = _witness(control.folder, "fed")
    assert len(positions) >= 3
    for _, _, at_ms, lat_e6, lon_e6 in positions:
        assert at_ms % 1000 == 0
        point = track.at(at_ms // 1000)
        assert (lat_e6, lon_e6) == (point.lat_e6, point.lon_e6)
    assert len({at_ms for _, _, at_ms, _, _ in positions}) == len(positions)
    assert max(shown["pieces"]) <= 64
    assert len(set(shown["pieces"])) > 5
    sentences = bytes.fromhex(shown["tail"]).split(b"\r\n")[1:-1]
    assert {line[3:6] for line in sentences} == {b"RMC", b"GGA", b"GSA", b"VTG"}
    for line in sentences:
        body, _, checksum = line[1:].partition(b"*")
        assert _exclusive_or(body) == int(checksum, 16)


def test_a_receiver_without_a_view_tells_time_and_no_place(fleet, make):
    control = make(rig=Rig(receiver=Walk(7, *HERE)))
    fleet.start(control.folder)
    control.wait(_ready)
    control.receiver("no_fix")
    shown = control.wait(lambda now: b",V,,,,,,," in bytes.fromhex(now.get("tail", "")))
    fed = shown["fed"]
    time.sleep(1.2)
    assert control.show()["fed"] == fed


def test_a_cut_wire_is_silent(fleet, make):
    control = make(rig=Rig(receiver=Walk(7, *HERE)))
    fleet.start(control.folder)
    control.wait(_ready)
    control.receiver("silent")
    before = control.show().get("received")
    time.sleep(1.2)
    assert control.show().get("received") == before


def test_a_log_is_played_byte_for_byte(fleet, make, tmp_path):
    log = tmp_path / "receiver.nmea"
    log.write_bytes(b"$GPRMC,garbage\r\nno line\x00\xff end" + b"$GPGGA,120000,,,,,0*40\r\n")
    control = make(rig=Rig(receiver=Log(log, now=False, loop=False)))
    fleet.start(control.folder)
    shown = control.wait(lambda now: now.get("received") == log.stat().st_size)
    assert bytes.fromhex(shown["tail"]) == log.read_bytes()


def test_a_log_can_be_played_as_if_it_were_now(fleet, make, tmp_path):
    log = tmp_path / "receiver.nmea"
    body = b"GPRMC,010203.50,A,2954.00000,N,11924.00000,E,1.0,90.0,010120,,,A"
    log.write_bytes(b"$%s*%02X\r\n" % (body, _exclusive_or(body)))
    control = make(rig=Rig(receiver=Log(log)))
    fleet.start(control.folder)
    shown = control.wait(lambda now: now.get("received", 0) >= 3 * log.stat().st_size)
    line = bytes.fromhex(shown["tail"]).split(b"\r\n")[-2]
    body, _, checksum = line[1:].partition(b"*")
    assert _exclusive_or(body) == int(checksum, 16)
    words = body.split(b",")
    today = time.strftime("%d%m%y", time.gmtime()).encode()
    assert words[9] == today
    assert words[3:7] == [b"2954.00000", b"N", b"11924.00000", b"E"]


def test_64_kib_of_garbage_arrive(fleet, make):
    control = make(rig=Rig(receiver=Feed()))
    fleet.start(control.folder)
    control.wait(_ready)
    garbage = bytes(range(256)) * 256
    control.feed(garbage)
    shown = control.wait(lambda now: now.get("received") == len(garbage))
    assert bytes.fromhex(shown["tail"]) == garbage[-2000:]


def test_a_running_device_is_not_started_twice(fleet, make):
    control = make()
    fleet.start(control.folder)
    with pytest.raises(ProvisioningError, match="runs already"):
        fleet.start(control.folder)


def _exclusive_or(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
    return value


def _until(done, timeout_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
