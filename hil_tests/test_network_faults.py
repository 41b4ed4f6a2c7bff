"""Each fault of the network against SOS, command, track and TLS handshake, on whatever rig."""

from pathlib import Path

import pytest

from hil_tests.conftest import Runs
from hil_tests.network_cells import FAULTS, FLOWS, cell
from hil_tests.scenario_file import Scenario

VIRTUAL_RIG = "small_pieces"  # Its boards ask for no block above 8 KB, or fail.


def scenarios(_own: Path | None) -> list[Scenario]:
    """Every cell of the matrix."""
    # The slow ones first, so that they are not waited for at the end.
    order = sorted(FAULTS, key=lambda fault: fault != "half_open")
    return [cell(flow, fault) for fault in order for flow in FLOWS]


def test_fault(scenario: Scenario, runs: Runs, request: pytest.FixtureRequest) -> None:
    runs.judge(scenario, request)
