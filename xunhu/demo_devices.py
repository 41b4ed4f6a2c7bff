"""Puts the demo's devices into the registry and onto flash: real firmware, real certificates."""

import time
from functools import cache
from pathlib import Path

from provisioning.application import Application, build_application
from provisioning.authority import Issuer
from provisioning.configuration import DeviceConfig
from provisioning.devices import NewDevice, ensure_device, issue_identity
from provisioning.releases import ReleaseKey
from provisioning.virtual import (
    Rig,
    Walk,
    device_folder,
    make_virtual_device,
    refresh_virtual_device,
)
from storage.registry import Registry
from storage.registry.models import Area as AreaRow
from xunhu.demo import DemoDevice
from xunhu.district import District
from xunhu.home import Home

BY = "demo"
# Rounds of half a kilometre at walking pace: everybody visibly moves on a map of the township.
_RADIUS_M = 500
_SENSORS = {
    # First value, and what the node does with it: limits of common detectors and gauges.
    "smoke": (20, {"threshold": 300, "hysteresis": 50, "period_s": 5}),
    "water_level": (800, {"threshold": 3000, "hysteresis": 200, "period_s": 5}),
    "door": (0, {"threshold": 1, "hysteresis": 0, "period_s": 5}),
}


def store_areas(registry: Registry, district: District) -> None:
    """Add the district's areas, or bring their names up to date."""
    with registry.begin() as session:
        for area in district.areas():
            session.merge(AreaRow(**vars(area)))


def flash_demo_device(
    home: Home,
    registry: Registry,
    issuer: Issuer,
    device: DemoDevice,
    broker: tuple[str, int, str],
    *,
    witness: bool = False,
) -> None:
    """Register a device and flash it; one that exists gets today's firmware and keeps its journal.

    Args:
        home: Where its flash image lives.
        registry: Where its row lives.
        issuer: Signs its certificate at the first time.
        device: Which one.
        broker: (host, port, name) as the device reaches it.
        witness: It notes what is done to it in witness.jsonl.
    """
    now_ms = time.time_ns() // 1_000_000
    row = NewDevice(device.device_id, device.name, device.village.area.code, device.wearer)
    ensure_device(registry, row, by=BY, now_ms=now_ms)
    folder = device_folder(home.folder, device.device_id)
    config, rig = _config(device, broker), _rig(device, witness=witness)
    release_key = _release_key(home.folder)
    if (folder / "flash.bin").exists():
        refresh_virtual_device(folder, config=config, rig=rig, release_key=release_key)
        return
    identity = issue_identity(registry, issuer, device.device_id, by=BY, now_ms=now_ms)
    make_virtual_device(
        folder,
        identity=identity,
        ca_der=issuer.devices_ca_der,
        config=config,
        rig=rig,
        application=_application(),
        release_key=release_key,
    )


@cache
def _release_key(home: Path) -> bytes:
    return ReleaseKey.open(home).public


@cache
def _application() -> Application:
    return build_application("virtual")


def _config(device: DemoDevice, broker: tuple[str, int, str]) -> DeviceConfig:
    host, port, name = broker
    sensors = {} if device.sensor is None else {device.sensor: _SENSORS[device.sensor][1]}
    return DeviceConfig(
        broker_host=host,
        broker_port=port,
        broker_name=name,
        device_kind=device.kind,
        duty=device.kind == "terminal",
        return_s=2,  # Two dozen devices are no storm.
        sensors=sensors,
    )


def _rig(device: DemoDevice, *, witness: bool) -> Rig:
    if device.sensor is not None:
        return Rig(sensors={device.sensor: _SENSORS[device.sensor][0]}, witness=witness)
    area = device.village.area
    seed = int(device.device_id.split("-")[1])
    walk = Walk(seed, area.lat_e6, area.lon_e6, radius_m=_RADIUS_M)
    return Rig(receiver=walk, witness=witness)
