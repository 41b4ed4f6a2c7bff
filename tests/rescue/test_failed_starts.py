"""What counts as a failed start, and what makes it forgotten."""

import importlib.util
from pathlib import Path

from provisioning.application import build_application
from provisioning.partitions import partition
from tests.gateway import stores
from tests.gateway.installation import wait_for
from tests.rescue.conftest import Bench
from tests.rescue.test_nvs import ROM

NVS = partition("nvs")
BROKEN = Path(__file__).parent / "stub" / "broken_task_start.py"
# What a release may have broken, and where it is in the stub.
SENDER = "device.services.sender import Sender"
PARTS = {
    "wheel": ("sender", SENDER, SENDER),
    "1.25-i386": ("link", SENDER, "device.adapters.mqtt_link import Link"),
}


def _nvs_pages():
    """Return the module by which the virtual chip reads and writes its NVS."""
    spec = importlib.util.spec_from_file_location("nvs_pages", ROM / "nvs_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _number(bench: Bench, key: str) -> int | None:
    with (bench.folder / "flash.bin").open("rb") as flash:
        return _nvs_pages().read(flash, NVS.address, NVS.size, "xunhu").get(key)


def test_a_receipt_forgets_the_starts_that_failed(bench: Bench, application):
    control = bench.make(application)
    bench.start()
    for failed in (1, 2):
        control.wait(lambda shown: "off duty" in shown["screen"][0], 30)
        control.reset()
        wait_for(lambda failed=failed: _number(bench, "boots") == failed, 30, f"{failed} failed")
    bench.installation.start_gateway().wait_until_connected()
    control.wait(lambda shown: "off duty online" in shown["screen"], 60)
    control.push("duty")
    wait_for(lambda: _number(bench, "boots") == -1, 90, "a receipt and a minute forgive")
    control.reset()
    wait_for(lambda: _number(bench, "boots") == 0, 30, "the start after a good one")
    # What ends with the power says nothing about the application.
    for _ in range(4):
        control.wait(lambda shown: "ON DUTY" in shown["screen"][0], 60)
        bench.cut_power()
        bench.start()
    control.wait(lambda shown: "ON DUTY online" in shown["screen"], 60)
    assert "rescue" not in bench.console()
    assert "duty" in {event.kind for event in stores.events(bench.installation)}


def test_a_trial_start_runs_the_application_once_whatever_was_wrong(bench: Bench, application):
    control = bench.make(application)
    # A journal that was in use, and holds a record that nobody has stored.
    bench.start()
    control.wait(lambda shown: "off duty online" in shown["screen"], 30)
    control.push("duty")
    control.wait(lambda shown: "ON DUTY online" in shown["screen"], 30)
    bench.cut_power()
    for block in (0, 1):
        bench.spoil("journal", b"\0" * 24, at=block * 4096)
    with (bench.folder / "flash.bin").open("r+b") as flash:
        _nvs_pages().set_i32(flash, (NVS.address, NVS.size), "xunhu", "trial", 1)
    before = bench.read("journal")
    bench.start()
    # It works from memory and says so; the journal is nobody's to touch.
    shown = control.wait(lambda shown: "! journal" in shown["screen"], 30)
    assert shown["journal"] == "failed"
    control.push("sos", hold_s=1)
    control.wait(lambda shown: "SOS SENT" in shown["screen"], 30)
    bench.cut_power()
    assert bench.read("journal") == before
    bench.start()
    control.wait(lambda shown: shown["screen"][0] == "RESCUE: no journal", 30)


def test_a_release_one_of_whose_tasks_always_raises_ends_in_rescue(
    bench: Bench, tmp_path, request
):
    # It takes three starts: one part for each MicroPython.
    part = PARTS[request.node.callspec.params["program"]]
    start = tmp_path / "start.py"
    start.write_text(BROKEN.read_text().replace(*part[1:]))
    bench.installation.start_gateway().wait_until_connected()
    control = bench.make(build_application("virtual", start=start))
    bench.start()
    control.wait(lambda shown: "off duty" in shown["screen"][0], 30)
    control.push("sos", hold_s=1)
    # Nobody would ever hear of it. Three starts, each with five crashes in 15 s and 10 s to read.
    control.wait(lambda shown: "SOS STORED" in shown["screen"], 180)
    bench.wait_for_state(lambda state: "rescue_boots" in state["faults"], "rescue")
    assert bench.console().count(f"{part[0]} crashed:") == 15
    assert [case.presses for case in stores.cases(bench.installation)] == [1]
    bench.wait_for_report(f"crash of {part[0]}")


def test_an_application_whose_loop_blocks_is_reset_and_in_the_end_rescued(bench: Bench):
    bench.installation.start_gateway().wait_until_connected()
    bench.make(build_application("virtual", start=BROKEN.with_name("blocking_start.py")))
    bench.start()
    state = bench.wait_for_state(lambda now: "rescue_boots" in now["faults"], "rescue")
    assert state["reset"] == "watchdog"
    assert _number(bench, "boots") == 3
