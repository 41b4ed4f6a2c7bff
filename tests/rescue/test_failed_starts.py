"""What counts as a failed start, and what makes it forgotten."""

import importlib.util

from provisioning.partitions import partition
from tests.gateway import stores
from tests.gateway.installation import wait_for
from tests.rescue.conftest import Bench
from tests.rescue.test_nvs import ROM

NVS = partition("nvs")


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
    wait_for(lambda: _number(bench, "boots") == -1, 30, "a receipt forgives")
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
