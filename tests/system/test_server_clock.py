"""The server's clock a year off: broker, gateway and API live in it, the terminals do not."""

import json
import re
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect

from provisioning.fleet import micropython_program
from tests.gateway.test_bad_days import FAKETIME
from tests.system import console
from tests.system.accounts import assert_nothing_lost_or_doubled
from tests.system.installation import started, wait_for
from tests.system.rest import come_to_rest, now_ms
from tests.system.witness import Screen, Wire

TERMINALS, SENSORS = 3, 1
YEAR_MS = 365 * 86_400_000
HOUR_MS = 3_600_000
BEFORE, AFTER = "t-0001", "t-0002"


def clock_of_servers(file: Path) -> dict[str, str]:
    """Let every process but the chips read how far its clock is off, again each second."""
    found = [*FAKETIME.rglob("libfaketime.so.1"), *Path("/usr/lib").rglob("libfaketime.so.1")]
    assert found, "missing: python3 tools/debs.py test"
    chip = file.with_name("chip")
    chip.write_text(f'#!/bin/sh\nunset LD_PRELOAD\nexec {micropython_program()} "$@"\n')
    chip.chmod(0o755)
    return {
        "LD_PRELOAD": str(found[0]), "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1", "XUNHU_MICROPYTHON": str(chip),
        "PYTHONPATH": str(Path(__file__).parent / "faked_time"),
    }  # fmt: skip


@pytest.mark.parametrize("sign", [1, -1], ids=["ahead", "behind"])
def test_a_server_whose_clock_is_a_year_off_loses_nothing_and_says_so(tmp_path, sign):
    set_to = tmp_path / "clock"
    set_to.write_text(f"{'+' if sign > 0 else '-'}365d\n")
    off_ms = sign * YEAR_MS
    options = ["--terminals", str(TERMINALS), "--sensors", str(SENSORS), "--witness"]
    environment = clock_of_servers(set_to)
    with started(tmp_path / "home", *options, environment=environment) as running:
        wait_for("all are online", lambda: running.online() == TERMINALS + SENSORS)
        running.watch(running.terminals())
        with Wire(running) as wire, Screen(running) as screen:
            running.control(BEFORE).push("sos", hold_s=1.5)
            wait_for("the SOS is on the screen", lambda: screen.shown() == {BEFORE: 1}, 30)
            [case] = running.cases()
            # The terminal knows better when it happened; the server says what it believes.
            assert abs(case["opened_at_ms"] - now_ms()) < HOUR_MS
            assert abs(case["opened_received_ms"] - now_ms() - off_ms) < HOUR_MS
            assert case["late"] is (sign > 0)
            # What a person does about it reaches the wearer all the same.
            running.control(BEFORE).wait(lambda shown: "SOS STORED" in shown["screen"], 30)
            running.call("POST", f"/cases/{case['id']}/take", {})
            running.control(BEFORE).wait(lambda shown: "SOS TAKEN" in shown["screen"], 30)

            # An order given a year ago is not carried out, and that is what is said of it.
            assert located(running, BEFORE) == ("done" if sign > 0 else "expired")

            with console.opened(running) as page:
                expect(page.locator("[data-test=server-clock]")).to_contain_text(
                    # Whole days are rounded down.
                    re.compile("36[45] d ahead" if sign > 0 else "36[45] d behind"),
                    timeout=30_000,
                )
                row = page.locator(f"[data-test=case][data-device={BEFORE}]")
                expect(row.locator("[data-test=late]")).to_have_count(int(sign > 0))

            set_to.write_text("+0\n")
            wait_for("the servers have the right time", lambda: is_right(running), 60)
            # A session of last year is over, one of next year is not.
            running.sign_in()
            running.watch(running.terminals())
            running.control(AFTER).push("sos", hold_s=1.5)
            wait_for("both are on the screen", lambda: screen.shown() == {BEFORE: 1, AFTER: 1}, 30)
            [case] = (row for row in running.cases() if row["device"] == AFTER)
            assert abs(case["opened_received_ms"] - now_ms()) < HOUR_MS
            assert case["late"] is False
            assert located(running, AFTER) == "done"
            wait_for("fixes are dated right again", lambda: received_today(running), 60)
            with console.opened(running) as page:
                expect(page.locator("[data-test=server-clock]")).to_have_count(0)
                assert console.cases_shown(page) == {BEFORE: 1, AFTER: 1}
            come_to_rest(running)
            assert_nothing_lost_or_doubled(running.home, wire)
            assert set(screen.rung.values()) == {1}


def is_right(running) -> bool:
    try:
        with urllib.request.urlopen(f"{running.url}/healthz", timeout=10) as answer:
            return abs(json.load(answer)["at_ms"] - now_ms()) < HOUR_MS
    except OSError:
        return False


def located(running, device) -> str:
    """What became of the question where somebody is."""
    command = running.call("POST", f"/devices/{device}/locate", {})

    def ended():
        row = running.call("GET", f"/commands/{command['id']}")
        return row["status"] in ("done", "refused", "failed", "expired") and row["status"]

    return wait_for("locate is answered", ended, 30)


def received_today(running) -> bool:
    rows = [running.call("GET", f"/devices/{name}")["position"] for name in running.terminals()]
    return all(row and abs(row["received_ms"] - now_ms()) < HOUR_MS for row in rows)
