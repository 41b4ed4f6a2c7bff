"""A real installation for each test: certificates, registry, telemetry, and a small district."""

import json
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from provisioning.authority import Authority
from storage.registry.session import Registry, migrate, open_registry

from tests.fleet_api.broker import Broker
from tests.fleet_api.district import District
from tests.fleet_api.server import ApiProcess


@pytest.fixture(scope="session")
def authority_home(tmp_path_factory) -> Path:
    """One authority for all tests: making keys takes longer than the tests that use them."""
    home = tmp_path_factory.mktemp("authority")
    authority = Authority.create(home)
    authority.issue_broker(["localhost"])
    for name in ("api-1", "api-2", "gateway-1", "gateway-2"):
        authority.issue_service(name)
    return home


@pytest.fixture
def home(tmp_path, authority_home) -> Path:
    """An empty installation: its certificates and a migrated registry."""
    (tmp_path / "pki").symlink_to(authority_home / "pki")
    migrate(f"sqlite:///{tmp_path / 'registry.sqlite'}")
    return tmp_path


@pytest.fixture
def registry(home) -> Iterator[Registry]:
    registry = open_registry(f"sqlite:///{home / 'registry.sqlite'}")
    yield registry
    registry.close()


@pytest.fixture
def district(registry) -> District:
    """Two townships with two villages each, a terminal in every village, users of every role."""
    return District.build(registry)


@pytest.fixture
def broker(tmp_path, authority_home) -> Iterator[Broker]:
    with Broker.start(tmp_path / "mosquitto", authority_home / "pki") as broker:
        yield broker


@pytest.fixture
def start_api(home) -> Iterator:
    """Start API processes; every one still running is ended with the test."""
    started: list[ApiProcess] = []

    def start(instance: str = "1", broker: Broker | None = None, **environment: str) -> ApiProcess:
        process = ApiProcess.start(home, instance, broker.port if broker else 1, environment)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
