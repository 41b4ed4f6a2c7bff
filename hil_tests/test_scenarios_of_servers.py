"""The scenario files that kill broker or gateway: one after the other, on whatever rig."""

from pathlib import Path

import pytest

from hil_tests.conftest import Runs
from hil_tests.scenario_file import Scenario
from hil_tests.scenario_folder import all_scenarios


def scenarios(own: Path | None) -> list[Scenario]:
    """Those that nobody else's run should have to live with."""
    return [scenario for scenario in all_scenarios(own) if scenario.parts()]


def test_scenario(scenario: Scenario, runs: Runs, request: pytest.FixtureRequest) -> None:
    runs.judge(scenario, request)
