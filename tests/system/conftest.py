import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from installation import Installation, started, wait_for  # noqa: E402


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """The demo with four terminals and two sensor nodes, all of them heard."""
    for running in started(tmp_path_factory.mktemp("home"), "--terminals", "4", "--sensors", "2"):
        wait_for("all six devices are online", lambda: all_online(running, 6))
        yield running


def all_online(running: Installation, count: int) -> bool:
    devices = running.items("/devices")
    return len([device for device in devices if device["online"]]) == count
