"""Real MicroPythons, a real broker with mutual TLS, keys made for the occasion."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.device.device_rig import Broker, Keys, Listener, MicroPython
from tests.wire_protocol.interpreters import micropythons

REPOSITORY = Path(__file__).resolve().parents[2]
BUILT_S = 1_780_000_000  # The build date of the application under test: 2026-05-28.


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder from which MicroPython imports the device's own source."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "device").symlink_to(REPOSITORY / "firmware" / "device")
    (folder / "wire_protocol").symlink_to(REPOSITORY / "wire_protocol")
    (folder / "build.json").write_text(json.dumps({"version": "0.0.0-test", "built_s": BUILT_S}))
    return folder


@pytest.fixture(params=["wheel", "1.25"])
def micropython(request: pytest.FixtureRequest, application: Path, tmp_path: Path) -> MicroPython:
    """Return each real MicroPython in turn."""
    programs = micropythons()
    assert request.param in programs, "no MicroPython 1.25: run `make setup`"
    rig = MicroPython(programs[request.param], application, tmp_path)
    yield rig
    rig.kill()


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Return test keys: an authority, a broker, devices."""
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def broker(keys: Keys, tmp_path: Path) -> Broker:
    """Return a running mosquitto that asks devices for their certificate."""
    broker = Broker(keys, tmp_path)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def listener(broker: Broker) -> Listener:
    """Return a client that hears everything on the broker."""
    listener = Listener(broker.plain_port)
    yield listener
    listener.close()
