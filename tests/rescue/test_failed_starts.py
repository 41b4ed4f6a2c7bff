"""What counts as a failed start, and what makes it forgotten."""

import importlib.util

from provisioning.partitions import partition
from tests.gateway import stores
from tests.gateway.installation import wait_for
from tests.rescue.conftest import Bench
from tests.rescue.test_nvs import ROM


def _number(bench: Bench, key: str) -> int | None:
    """Return a number in the device's NVS, read as the virtual chip reads it."""
    spec = importlib.util.spec_from_file_location("nvs_pages", ROM / "nvs_pages.py")
    nvs_pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(nvs_pages)
    place = partition("nvs")
    with (bench.folder / "flash.bin").open("rb") as flash:
        return nvs_pages.read(flash, place.address, place.size, "xunhu").get(key)


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
