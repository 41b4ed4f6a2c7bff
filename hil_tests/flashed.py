"""The configuration that boards of a rig are flashed with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hil_tests.board import Flashing
from provisioning.configuration import DeviceConfig

BROKER_NAME = "localhost"  # In the broker's certificate; boards find it by address.
# Told often, so that a run sees soon what became of a device: a state every 10 s.
SETTINGS: dict[str, Any] = {"state_s": 10, "batch_s": 5, "batch_fixes": 5}


@dataclass(frozen=True)
class RigConfig(DeviceConfig):
    """A device's configuration with whatever else a scenario sets."""

    more: Mapping[str, Any] = field(default_factory=dict)

    def as_bytes(self) -> bytes:
        """Return compact JSON, as the device reads it."""
        content = json.loads(super().as_bytes()) | dict(self.more)
        return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


def configuration(flashing: Flashing, wifi: tuple[tuple[str, str], ...] = ()) -> RigConfig:
    """Return what a board is flashed with for a run."""
    host, port = flashing.broker
    return RigConfig(
        broker_host=host,
        broker_port=port,
        broker_name=BROKER_NAME,
        device_kind=flashing.kind,
        networks=wifi,
        duty=flashing.duty,
        more=SETTINGS | dict(flashing.settings),
    )
