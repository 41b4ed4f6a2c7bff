"""Installations for the gateway's tests: a real broker, real stores, real gateway processes."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.authority import Authority
from tests.gateway.installation import Installation
from tests.gateway.telemetry_stores import InfluxStore, SqliteStore, TelemetryStore
from tests.storage.conftest import influxd_program
from tests.storage.influx_server import InfluxProcess


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


@pytest.fixture(params=["sqlite", pytest.param("influxdb", marks=pytest.mark.influx)])
def telemetry(request, installation: Installation, tmp_path: Path) -> Iterator[TelemetryStore]:
    """The telemetry store of gateways that are started from now on."""
    if request.param == "sqlite":
        yield SqliteStore(installation)
        return
    process = InfluxProcess(influxd_program(), tmp_path / "influxd")
    process.start()
    process.set_up()
    yield InfluxStore(installation, process)
    process.stop()


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
