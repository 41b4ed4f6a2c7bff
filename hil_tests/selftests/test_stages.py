"""The way between stages, with steps that only note themselves."""

import pytest

from hil_tests.errors import StageError
from hil_tests.stages import STAGES, TRANSITIONS, Strategy, path


class Steps:
    def __init__(self):
        self.done = []

    def __getattr__(self, name):
        return lambda: self.done.append(name)


def test_every_stage_can_be_reached_from_every_stage():
    for start in STAGES:
        for goal in STAGES:
            assert len(path(start, goal)) <= 4
    assert path("sos", "bootloader") == ["off", "bootloader"]


def test_an_unknown_stage_is_left_by_the_power_switch():
    steps = Steps()
    strategy = Strategy(steps)
    strategy.reach("sos")
    assert steps.done == ["switch_off", "boot", "join", "raise_sos"]
    strategy.reach("sos")
    assert len(steps.done) == 4
    strategy.forget()
    strategy.reach("booted")
    assert steps.done[4:] == ["switch_off", "boot"]


def test_after_a_step_that_failed_nobody_knows_the_stage():
    class Stuck(Steps):
        def join(self):
            raise StageError("no broker")

    strategy = Strategy(Stuck())
    with pytest.raises(StageError, match="no broker"):
        strategy.reach("online")
    assert strategy.stage is None


def test_what_is_no_stage_is_refused():
    with pytest.raises(StageError, match="'asleep' is no stage; there are off, bootloader"):
        Strategy(Steps()).reach("asleep")


def test_every_transition_has_its_step():
    from hil_tests.place import Place

    for step in TRANSITIONS.values():
        assert callable(getattr(Place, step))
