import pytest

from tests.system.installation import started, wait_for


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """The demo with four terminals and two sensor nodes, all of them heard."""
    home = tmp_path_factory.mktemp("home")
    with started(home, "--terminals", "4", "--sensors", "2", "--witness") as running:
        wait_for("all six devices are online", lambda: running.online() == 6)
        yield running
