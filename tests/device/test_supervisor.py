"""When a task that crashes is started again, and when only a restart of the device is left."""

import json

import pytest

HOUR_MS = 3_600_000


@pytest.fixture
def supervise(micropython):
    def run(**given):
        whole = {"dies_ms": 0, "receipt_ms": 0, "sos_until_ms": 0, "until_ms": HOUR_MS // 4}
        [said] = micropython.run("run_supervisor.py", json.dumps(whole | given))
        return said

    return run


@pytest.mark.parametrize("task", ["link", "sender", "tick", "buttons"])
def test_a_task_that_crashes_again_and_again_ends_the_start(supervise, task):
    said = supervise(task=task)
    assert said["crashes"] == 5
    assert said["gave_up_ms"] < 30_000
    assert said["why"] == task + " crashes again and again"
    assert said["well"] == []


def test_a_task_that_lives_a_minute_each_time_is_started_again_for_ever(supervise):
    said = supervise(task="sender", dies_ms=60_000)
    assert said["gave_up_ms"] is None
    assert said["crashes"] > 12


def test_one_that_dies_sooner_is_not(supervise):
    assert supervise(task="sender", dies_ms=59_000)["crashes"] == 5


def test_receipts_in_between_say_that_the_sender_does_its_work(supervise):
    said = supervise(task="sender", receipt_ms=10_000)
    assert said["gave_up_ms"] is None


def test_receipts_say_nothing_about_buttons_and_the_start_is_not_well(supervise):
    said = supervise(task="buttons", receipt_ms=1_000)
    assert said["gave_up_ms"] < 30_000
    assert said["well"] == []


def test_a_start_that_is_heard_is_well_after_a_minute(supervise):
    said = supervise(task="none", receipt_ms=1_000, until_ms=200_000)
    assert said["gave_up_ms"] is None
    assert said["well"] == [60_000]


def test_a_start_without_a_link_is_well_after_five_minutes(supervise):
    assert supervise(task="none", until_ms=400_000)["well"] == [300_000]


def test_an_open_sos_that_is_served_is_not_interrupted_for_buttons(supervise):
    said = supervise(task="buttons", sos_until_ms=600_000)
    assert 600_000 <= said["gave_up_ms"] <= 605_000


@pytest.mark.parametrize("task", ["link", "sender", "tick"])
def test_an_open_sos_that_nobody_serves_needs_the_restart(supervise, task):
    assert supervise(task=task, sos_until_ms=HOUR_MS)["gave_up_ms"] < 30_000
