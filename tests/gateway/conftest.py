"""Installations for the gateway's tests: a real broker, real stores, real gateway processes."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.authority import Authority
from tests.gateway.installation import Installation


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> Authority:
    """Made once: keys take longer than most tests."""
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def installation(tmp_path: Path, authority: Authority) -> Iterator[Installation]:
    """A broker that runs, an empty registry, no gateway yet."""
    made = Installation(tmp_path / "home", authority)
    made.start_broker()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
