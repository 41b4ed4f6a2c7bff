"""Which network carries the link, step by step, in real MicroPython."""

import subprocess

import pytest

from tests.boards.conftest import PROGRAMS
from tests.wire_protocol.interpreters import REPOSITORY

SCRIPT = REPOSITORY / "tests" / "boards" / "scripts" / "carry.py"
CHIP = REPOSITORY / "firmware" / "boards" / "chip"


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_wifi_first_then_the_modem_and_back_again(name):
    program, options = PROGRAMS[name]
    done = subprocess.run(
        [program, *options, str(SCRIPT)], env={"MICROPYPATH": f"{CHIP}:.frozen"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "nothing no modem",
        "a cell True -95",
        "soon -95",
        "found True -60 False",
        # A cold modem goes on dialling while the link gives up a try.
        "the link gives up",
        "still dialling, then True -95",
        "alone no wifi",
    ]
