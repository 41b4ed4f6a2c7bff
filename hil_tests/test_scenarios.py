"""The scenario files that leave the servers alone, on whatever rig there is."""

from pathlib import Path

import pytest

from hil_tests.conftest import Runs
from hil_tests.scenario_file import Scenario
from hil_tests.scenario_folder import all_scenarios


def scenarios(own: Path | None) -> list[Scenario]:
    """Those that can share broker and gateway with others."""
    return [scenario for scenario in all_scenarios(own) if not scenario.parts()]


def test_scenario(scenario: Scenario, runs: Runs, request: pytest.FixtureRequest) -> None:
    runs.judge(scenario, request)
