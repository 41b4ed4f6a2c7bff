"""Several known networks, step by step, against the chip's own `network` as its names have it."""

import ast
import json
import subprocess
import sys

import pytest

from tests.boards.conftest import PROGRAMS
from tests.wire_protocol.interpreters import REPOSITORY

SCRIPT = REPOSITORY / "tests" / "boards" / "scripts" / "join.py"
BOARD = REPOSITORY / "firmware" / "boards" / "esp32_devkit" / "board"
NAMES = REPOSITORY / "firmware" / "esp32_names.json"
RUNS = {"cpython": (sys.executable, ()), **PROGRAMS}


@pytest.fixture(params=sorted(RUNS))
def join(request):
    program, options = RUNS[request.param]

    def run(case):
        done = subprocess.run(
            [program, *options, str(SCRIPT), case],
            env={"MICROPYPATH": f"{BOARD}:.frozen", "PYTHONPATH": str(BOARD)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    return run


def test_one_is_tried_at_a_time_and_the_last_good_one_first(join):
    assert join("rotation") == [
        "first no network village None 1000",
        # What refused the one before is no word about this one: it has all its time.
        "second no network station None 20000",
        "third up open -55 1000",
        "again up open -55 1000",
        "gone no network open None 20000",
        "round up village -55 1000",
    ]


def test_a_wrong_password_gives_way_to_the_next(join):
    said = join("password")
    assert said[0] == "first no network village None 1000"
    assert said[1].startswith("second no network station None")
    assert said[2] == "third up post -55 1000"


def test_networks_that_a_command_changed_are_the_ones_that_are_tried(join):
    assert join("alone") == [
        "none no network is configured None 0",
        # There is no other to go to.
        "wrong no network village None 20000",
        "changed up village -55 1000",
        "joined up village -55 0",
        "fewer up village -55 1000",
    ]


def test_what_stands_for_the_chip_has_no_name_that_the_chip_has_not():
    chip = json.loads(NAMES.read_text())["network"]
    classes = {
        node.name: [item.name for item in node.body if isinstance(item, ast.FunctionDef)]
        for node in ast.parse(SCRIPT.read_text()).body
        if isinstance(node, ast.ClassDef)
    }
    ours = {"__init__", "settle"}
    assert set(classes["WLAN"]) - ours <= set(chip["WLAN"])
    assert set(classes["Network"]) | {"STA_IF", "STAT_NO_AP_FOUND", "STAT_WRONG_PASSWORD"} <= set(
        chip
    )
