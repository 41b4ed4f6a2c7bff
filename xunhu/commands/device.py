"""`xunhu device`: the rows of devices in the registry."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from provisioning import devices
from storage.registry import Registry, migrate, open_registry
from wire_protocol.topics import check_device_id
from xunhu.errors import XunhuError
from xunhu.home import Home

BY = "command line"


def checked_id(_context: click.Context, _parameter: click.Parameter, device_id: str) -> str:
    """Return a device id; raises WireError, before any path is made of it, when it is none."""
    return check_device_id(device_id)


@click.group()
def device() -> None:
    """Add, import, list and retire devices. 设备管理."""


@device.command()
@click.argument("device_id", callback=checked_id)
@click.option("--name", default="", help="What people call it.")
@click.option("--area", "area_code", help="12-digit code of its village.")
@click.option("--wearer", help="Who wears it.")
def add(device_id: str, name: str, area_code: str | None, wearer: str | None) -> None:
    """Add DEVICE_ID: t-... is a terminal, s-... a sensor node. 添加设备."""
    new = devices.NewDevice(device_id, name, area_code, wearer)
    with opened_registry() as registry:
        row = devices.add_device(registry, new, by=BY, now_ms=now_ms())
    click.echo(f"{row['id']} added ({row['kind']})")


@device.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_csv(file: Path) -> None:
    """Add the devices of a CSV FILE with the columns id, name, area_code, wearer. 批量导入."""
    with opened_registry() as registry:
        report = devices.import_devices(registry, file.read_bytes(), by=BY, now_ms=now_ms())
    for refused in report.refused:
        click.echo(f"line {refused.line}: {refused.reason}", err=True)
    click.echo(f"{len(report.added)} added, {len(report.refused)} refused")
    if report.refused:
        raise XunhuError(f"{len(report.refused)} lines of {file} were refused")


@device.command(name="list")
@click.option("--retired", is_flag=True, help="Retired devices too.")
def list_all(retired: bool) -> None:
    """List devices. 列出设备."""
    with opened_registry() as registry:
        rows = devices.list_devices(registry, retired=retired)
    for row in rows:
        state = "retired" if row["retired_ms"] else ""
        parts = [row["id"], row["kind"], row["name"], row["area_code"], row["wearer"], state]
        click.echo("\t".join(part or "" for part in parts))


@device.command()
@click.argument("device_id", callback=checked_id)
def retire(device_id: str) -> None:
    """Retire DEVICE_ID for good: what it sends is refused from now on. 停用设备."""
    with opened_registry() as registry:
        devices.retire_device(registry, device_id, by=BY, now_ms=now_ms())
    click.echo(f"{device_id} retired")


@contextmanager
def opened_registry() -> Iterator[Registry]:
    """Open the home's registry, migrated."""
    home = Home.from_environment()
    home.make()
    url = home.registry_url
    migrate(url)
    registry = open_registry(url)
    try:
        yield registry
    finally:
        registry.close()


def now_ms() -> int:
    """Unix time, ms."""
    return time.time_ns() // 1_000_000
