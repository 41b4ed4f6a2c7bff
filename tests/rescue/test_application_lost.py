"""A device without an application that works fetches one, and takes none that is not its own."""

import hashlib
from dataclasses import replace

import pytest

from provisioning.partitions import BLOCK_BYTES
from provisioning.releases import ReleaseKey, sign_application
from tests.gateway.installation import wait_for
from tests.rescue.conftest import Bench

READY = ["ready"]


def _ready(shown: dict) -> bool:
    return shown["screen"] == READY


def _blocks(image: bytes) -> list[bytes]:
    return [image[at : at + BLOCK_BYTES] for at in range(0, len(image), BLOCK_BYTES)]


def test_an_application_that_is_lost_is_fetched_and_runs_again(bench: Bench, stub):
    bench.installation.start_gateway().wait_until_connected()
    bench.publish(stub, release=7)
    control = bench.make(stub)
    bench.spoil("app_a", b"\xff" * 4 * BLOCK_BYTES)
    bench.start()
    bench.wait_for_state(lambda state: "rescue_application" in state["faults"], "rescue")
    control.wait(_ready, 60)
    assert bench.read("app_a") == stub.slot_image
    # Only what was lost crossed the air.
    lost = [block for block in _blocks(stub.slot_image)[:4] if block != b"\xff" * BLOCK_BYTES]
    assert f"rescue: {len(lost)} blocks fetched" in bench.console()
    assert any("reason: application" in report for report in bench.reports())


def test_three_failed_starts_end_in_rescue_and_a_better_release_runs(bench: Bench, stub, crashing):
    gateway = bench.installation.start_gateway().wait_until_connected()
    control = bench.make(crashing)
    bench.start()
    state = bench.wait_for_state(lambda now: "rescue_boots" in now["faults"], "rescue")
    assert state["reset"] == "software"
    assert bench.console().count("main crashed:") == 3
    bench.wait_for_report("this release is broken")
    # And it stays there: a loop would show here as another start of the application.
    bench.publish(crashing, release=1)
    bench.cut_power()
    bench.start()
    bench.wait_for_report("release 1 is installed")
    assert bench.console().count("main crashed:") == 3
    bench.cut_power()
    bench.publish(stub, release=2)
    bench.start()
    control.wait(_ready, 60)
    assert bench.read("app_b") == stub.slot_image
    assert bench.read("app_a") == crashing.slot_image
    assert gateway.metric("xunhu_gateway_block_bytes_total") > 0


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("forged", "signature of release 9 is wrong"),
        ("other board", "it is for esp32_devkit, not virtual"),
        ("older", "release 3 is older than 5"),
        ("spoilt", "block 0 of release 9 is wrong"),
        ("spoilt manifest", "signature of release 9 is wrong"),
    ],
)
def test_what_must_not_run_is_refused_and_named(bench: Bench, stub, tmp_path, kind, says):
    bench.installation.start_gateway().wait_until_connected()
    control = bench.make(stub)
    if kind == "older":
        bench.publish(stub, release=5)
        bench.spoil("app_a", b"\xff" * BLOCK_BYTES)
        bench.start()
        control.wait(_ready, 60)
        bench.cut_power()
        (bench.installation.home / "applications" / "virtual" / "5.app").unlink()
        bench.publish(stub, release=3)
    elif kind == "forged":
        bench.publish(stub, release=9, key=ReleaseKey.open(tmp_path / "thief"))
    elif kind == "other board":
        # As somebody would who can write into the store and cannot sign.
        content = sign_application(replace(stub, board="esp32_devkit"), 9, bench.key)
        place = bench.installation.home / "applications" / "virtual"
        place.mkdir(parents=True)
        (place / "9.app").write_bytes(content)
    else:
        path = bench.publish(stub, release=9)
        content = bytearray(path.read_bytes())
        if kind == "spoilt":
            content[len(content) - len(stub.slot_image) + 17] ^= 1
        else:
            content[60] ^= 1
        path.write_bytes(content)
    bench.spoil("app_a", b"\xff" * 4 * BLOCK_BYTES)
    before = hashlib.sha256(bench.read("app_a")).digest()
    bench.start()
    bench.wait_for_report("application refused: " + says)
    bench.cut_power()
    if kind == "spoilt":
        # What came wrong was never written.
        assert _blocks(bench.read("app_a"))[0] == b"\xff" * BLOCK_BYTES
    else:
        assert hashlib.sha256(bench.read("app_a")).digest() == before
    assert "leaves for release 9" not in bench.console()
    assert "leaves for release 3" not in bench.console()


def test_a_fetch_that_is_cut_short_carries_on_where_it_was(bench: Bench, application):
    # So slow that the power can be cut in the middle: eight blocks, then a while nothing.
    slow = {"XUNHU_GATEWAY_BLOCK_BYTES_PER_S": "16384"}
    gateway = bench.installation.start_gateway(**slow).wait_until_connected()
    bench.publish(application)
    bench.make(application)
    wanted = _blocks(application.slot_image)
    full = [block for block in wanted if block != b"\xff" * BLOCK_BYTES]
    bench.spoil("app_a", b"\xff" * len(application.slot_image))
    bench.start()

    def fetched() -> int:
        pairs = zip(_blocks(bench.read("app_a")), wanted, strict=True)
        return sum(held == block for held, block in pairs) - (len(wanted) - len(full))

    wait_for(lambda: fetched() >= 5, 60, "five blocks")
    bench.cut_power()
    there = fetched()
    assert there < len(full)
    gateway.stop()
    bench.installation.start_gateway("2").wait_until_connected()
    bench.start()
    bench.wait_for_state(lambda state: "rescue" not in state["faults"], "the application")
    assert bench.read("app_a") == application.slot_image
    assert f"rescue: {len(full) - there} blocks fetched" in bench.console()


def test_without_a_release_it_says_so_and_waits(bench: Bench, stub):
    bench.installation.start_gateway().wait_until_connected()
    bench.make(stub)
    bench.spoil("app_a", b"\xff" * BLOCK_BYTES)
    bench.start()
    bench.wait_for_report("no application for virtual")
