"""Both registries and both telemetry stores, real ones, for every test that names them."""

import os
from collections.abc import Iterator

import pytest

from storage.registry.session import Registry, migrate, open_registry
from storage.settings import Settings
from storage.telemetry.interface import Telemetry
from storage.telemetry.open import open_telemetry
from tests.storage import influx_server
from tests.storage.influx_server import InfluxProcess, InfluxServer
from tests.storage.postgres_server import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.create()
    server.start()
    migrate(server.url("template1"))
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def registry_url(request, tmp_path) -> str:
    """An empty, migrated registry."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres").new_database(template="template1")
    url = f"sqlite:///{tmp_path / 'registry.sqlite'}"
    migrate(url)
    return url


@pytest.fixture
def registry(registry_url) -> Iterator[Registry]:
    registry = open_registry(registry_url)
    yield registry
    registry.close()


@pytest.fixture(scope="session")
def influx(tmp_path_factory) -> Iterator[InfluxServer]:
    """An InfluxDB that is there for all tests."""
    url = os.environ.get("XUNHU_TEST_INFLUX_URL")
    if url:
        token = os.environ.get("XUNHU_TEST_INFLUX_TOKEN", "")
        server = InfluxServer(url, token, os.environ.get("XUNHU_TEST_INFLUX_ORG", "xunhu"))
        if not token:
            server.set_up()
        yield server
        return
    process = InfluxProcess(influxd_program(), tmp_path_factory.mktemp("influxd"))
    process.start()
    process.set_up()
    yield process
    process.stop()


@pytest.fixture
def own_influx(tmp_path) -> Iterator[InfluxProcess]:
    """An InfluxDB of this test alone, to be stopped and frozen."""
    process = InfluxProcess(influxd_program(), tmp_path / "influxd")
    process.start()
    process.set_up()
    yield process
    process.stop()


def influxd_program() -> str:
    program = influx_server.find_program()
    if program is None:
        said = "InfluxDB was not tested: no influxd on the path and none in XUNHU_TEST_INFLUXD"
        if os.environ.get("XUNHU_DEMAND_INFLUX"):
            pytest.fail(said)
        pytest.skip(said)
    return program


@pytest.fixture(params=["sqlite", pytest.param("influxdb", marks=pytest.mark.influx)])
def telemetry_settings(request, tmp_path) -> Settings:
    """An empty telemetry store."""
    if request.param == "influxdb":
        influx = request.getfixturevalue("influx")
        return Settings(telemetry_url=influx.new_bucket(), telemetry_token=influx.token)
    return Settings(telemetry_url=f"sqlite:///{tmp_path / 'telemetry.sqlite'}")


@pytest.fixture
def telemetry(telemetry_settings) -> Iterator[Telemetry]:
    telemetry = open_telemetry(telemetry_settings)
    yield telemetry
    telemetry.close()
