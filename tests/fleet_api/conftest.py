"""A real installation for each test: certificates, registry, telemetry, and a small district."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from fleet_api.settings import Settings
from provisioning.authority import Authority
from storage.registry.models import Audit
from storage.registry.session import Registry, migrate, open_registry
from storage.telemetry.interface import Telemetry
from tests.fleet_api.broker import Broker, Producer
from tests.fleet_api.district import District
from tests.fleet_api.server import ApiProcess, ApiThread
from tests.fleet_api.telemetry import open_store


@pytest.fixture(scope="session")
def authority_home(tmp_path_factory) -> Path:
    """Keys and an empty registry, made once: that takes longer than most tests."""
    home = tmp_path_factory.mktemp("authority")
    authority = Authority.create(home)
    authority.issue_broker(["localhost"])
    for name in ("api-1", "api-2", "gateway-1", "gateway-2"):
        authority.issue_service(name)
    migrate(f"sqlite:///{home / 'registry.sqlite'}")
    return home


@pytest.fixture
def home(tmp_path, authority_home) -> Path:
    """An empty installation: its certificates and a migrated registry."""
    (tmp_path / "pki").symlink_to(authority_home / "pki")
    shutil.copy(authority_home / "registry.sqlite", tmp_path)
    return tmp_path


@pytest.fixture
def registry_url(home) -> str:
    """SQLite; a module that wants PostgreSQL has a fixture of this name."""
    return f"sqlite:///{home / 'registry.sqlite'}"


@pytest.fixture
def registry(registry_url) -> Iterator[Registry]:
    registry = open_registry(registry_url)
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
def start_api(home, registry_url) -> Iterator:
    """Start API processes; every one still running is ended with the test."""
    started: list[ApiProcess] = []

    def start(instance: str = "1", broker: Broker | None = None, **environment: str) -> ApiProcess:
        environment = {"XUNHU_REGISTRY_URL": registry_url, **environment}
        process = ApiProcess.start(home, instance, broker.port if broker else 1, environment)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def gateway(broker) -> Iterator[Producer]:
    """A gateway that speaks on the bus."""
    producer = Producer(broker)
    yield producer
    producer.close()


@pytest.fixture
def server(home, registry_url, broker, district) -> Iterator[ApiThread]:
    """One API in this process over the district, which hears the bus."""
    settings = Settings(home=home, registry_url=registry_url, api_port=0, broker_port=broker.port)
    thread = ApiThread(settings, district.tokens)
    thread.wait_for_bus()
    yield thread
    thread.stop()


@pytest.fixture
def api(home, registry_url, district) -> Iterator[ApiThread]:
    """One API in this process over the district, without a broker."""
    settings = Settings(
        home=home,
        registry_url=registry_url,
        api_port=0,
        broker_port=1,
        console_dir=home / "console",
    )
    thread = ApiThread(settings, district.tokens)
    yield thread
    thread.stop()


@pytest.fixture
def as_user(api):
    """Return a browser that is signed in as somebody."""
    return api.as_user


@pytest.fixture
def audited(registry):
    """Return the audit rows of one action, oldest first."""

    def rows(action: str) -> list[Audit]:
        with registry.read() as session:
            found = select(Audit).where(Audit.action == action).order_by(Audit.id)
            return list(session.scalars(found))

    return rows


@pytest.fixture
def store(home) -> Iterator[Telemetry]:
    """The installation's telemetry store, as the gateway has it open."""
    store = open_store(home)
    yield store
    store.close()
