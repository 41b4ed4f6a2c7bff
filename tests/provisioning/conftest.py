"""An authority, settings and an official image that is not the real one."""

from pathlib import Path

import pytest

from provisioning.authority import Authority
from provisioning.configuration import DeviceConfig


@pytest.fixture(name="authority")
def fixture_authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path)


@pytest.fixture(name="config")
def fixture_config() -> DeviceConfig:
    return DeviceConfig("192.0.2.1", 8883, "broker.example", networks=(("巡护", "12345678"),))
