"""The buttons of boards/esp32_devkit: no press is missed because the loop is busy."""

import json
import subprocess

import pytest

from tests.boards.conftest import PROGRAMS
from tests.wire_protocol.interpreters import REPOSITORY

SCRIPT = REPOSITORY / "tests" / "boards" / "scripts" / "press.py"
BOARD = REPOSITORY / "firmware" / "boards" / "esp32_devkit" / "board"
OK = [["ok", "press"], ["ok", "release"]]
SOS = [["sos", "press"], ["sos", "release"]]


@pytest.fixture(params=sorted(PROGRAMS))
def seen(request):
    """Return what the application sees of something done to the buttons in one busy moment."""
    program, options = PROGRAMS[request.param]

    def run(what, count):
        done = subprocess.run(
            [program, *options, str(SCRIPT), what, str(count)],
            env={"MICROPYPATH": f"{BOARD}:.frozen"}, capture_output=True, text=True,
            timeout=60, check=True,
        )  # fmt: skip
        rows = json.loads(done.stdout)
        return [row[:2] for row in rows], [row[2] for row in rows]

    return run


def test_a_click_while_the_loop_is_busy_is_seen(seen):
    assert seen("click", 2)[0] == OK


def test_a_held_press_lasts_as_long_as_it_did(seen):
    moves, at_ms = seen("hold", 2)
    assert moves == SOS
    assert at_ms[1] >= 400


def test_three_clicks_are_three(seen):
    assert seen("clicks", 6)[0] == 3 * SOS


def test_two_buttons_at_a_time_keep_their_order(seen):
    assert seen("both", 4)[0] == [SOS[0], *OK, SOS[1]]


def test_a_bouncing_contact_is_one_press(seen):
    assert seen("bounce", 2)[0] == OK


def test_a_poke_gives_whoever_waits_a_turn(seen):
    assert seen("poke", 1)[0] == [["", ""]]


def test_a_spark_is_no_press(seen):
    assert seen("spark", 2)[0] == OK


def test_endless_noise_ends_with_how_the_button_stands(seen):
    assert seen("noise", 1)[0] == [OK[0]]


def test_a_button_that_was_stuck_at_the_start_was_not_pressed(seen):
    assert seen("stuck", 3)[0] == [["stuck", "release"], *OK]
