"""Virtual devices: their folders, made from the same parts as a flash image for a real board.

HOME/devices/<id>/ holds `flash.bin` (4 MB, sparse: without MicroPython's own image, which the
process that plays the chip is), `rig.json` (what is wired to the chip), what the receiver plays,
and while the device runs `control.port` and `console.log`.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provisioning.application import Application, build_application
from provisioning.authority import DeviceIdentity
from provisioning.configuration import DeviceConfig
from provisioning.errors import ImageError, ProvisioningError
from provisioning.image import device_parts
from provisioning.nvs import read_nvs
from provisioning.partitions import BLOCK_BYTES, FLASH_BYTES, partition
from provisioning.paths import Track, read_gpx, walk

_ERASED = b"\xff" * BLOCK_BYTES
# Where littlefs begins. Elsewhere the sparse file reads as zeros, which littlefs never looks at
# before it has erased a block.
_JOURNAL_START_BYTES = 2 * BLOCK_BYTES


@dataclass(frozen=True)
class Walk:
    """A receiver carried on foot about a place, always the same way for a seed."""

    seed: int
    lat_e6: int
    lon_e6: int
    radius_m: int = 500
    speed_cms: int = 120

    def track(self) -> Track:
        """Return the round that is walked."""
        return walk(
            seed=self.seed, lat_e6=self.lat_e6, lon_e6=self.lon_e6,
            radius_m=self.radius_m, speed_cms=self.speed_cms,
        )  # fmt: skip


@dataclass(frozen=True)
class Gpx:
    """A receiver carried along a recording."""

    path: Path

    def track(self) -> Track:
        """Return the recording as a round."""
        return read_gpx(self.path)


@dataclass(frozen=True)
class Log:
    """A receiver that says again what a real one said.

    Attributes:
        path: The recorded bytes.
        now: Put today's times in the place of the recorded ones.
        loop: Begin again at the end.
    """

    path: Path
    now: bool = True
    loop: bool = True


@dataclass(frozen=True)
class Feed:
    """A receiver that says only what `Control.feed` gives it."""


@dataclass(frozen=True)
class Rig:
    """What is wired to a virtual device.

    Attributes:
        receiver: None on a sensor node.
        sensors: First values by name.
        battery_mv: First voltage.
        link_up: Whether there is a network at the start.
        period_s: How often the receiver speaks.
        late_ms: How long after its second it does; None: 50 to 500, by the device's name.
        slice_bytes: Its bytes arrive in random pieces up to this long.
        witness: Note presses, positions, screens and sealed records in witness.jsonl, for a test
            to compare; or only those named: input, fed, screen, sealed, link, receiver, sensor.
        modem: It also has a modem, for where there is no Wi-Fi.
        access_points: Name and password ("" when open) of each Wi-Fi network that is there; it
            joins those that its configuration knows. None: whatever it wants to join is there.
        radio: UDP port of its radio to neighbours, and those of who hears it; None: it has none.
    """

    receiver: Walk | Gpx | Log | Feed | None = None
    sensors: Mapping[str, int] = field(default_factory=dict)
    battery_mv: int = 3900
    link_up: bool = True
    period_s: int = 1
    late_ms: int | None = None
    slice_bytes: int = 64
    witness: bool | Sequence[str] = False
    modem: bool = False
    access_points: Sequence[tuple[str, str]] | None = None
    radio: tuple[int, Sequence[int]] | None = None


def device_folder(home: Path, device_id: str) -> Path:
    """Return where a virtual device lives."""
    return home / "devices" / device_id


def make_virtual_device(  # noqa: PLR0913 - all that a device is made of
    folder: Path,
    *,
    identity: DeviceIdentity,
    ca_der: bytes,
    config: DeviceConfig,
    rig: Rig,
    application: Application | None = None,
    release_key: bytes | None = None,
) -> Path:
    """Flash a new virtual device and return its folder.

    Args:
        folder: `device_folder(home, id)`; its name is the device's id.
        identity: Of this device alone.
        ca_der: What it trusts its broker by.
        config: Its settings.
        rig: What is wired to it.
        application: Another one than this checkout's.
        release_key: Public key of the applications that it may fetch.

    Raises:
        ProvisioningError: There is such a device already; see `refresh_virtual_device`.
        ImageError: Something does not fit.
    """
    if (folder / "flash.bin").exists():
        raise ProvisioningError(f"{folder} holds a device already")
    folder.mkdir(parents=True, exist_ok=True)
    application = application or build_application("virtual")
    parts = device_parts(folder.name, identity, ca_der, config, application, release_key)
    parts[partition("journal").address] = _ERASED * (_JOURNAL_START_BYTES // BLOCK_BYTES)
    _write_rig(folder, rig)
    unfinished = folder / "flash.bin.unfinished"
    with os.fdopen(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.truncate(FLASH_BYTES)
        for address, content in parts.items():
            _write_sparse(file.fileno(), address, content)
    unfinished.replace(folder / "flash.bin")
    return folder


def refresh_virtual_device(
    folder: Path, *, config: DeviceConfig, rig: Rig, release_key: bytes | None = None
) -> Path:
    """Flash today's application and settings; identity, journal and with it its records stay.

    The device must not run. Raises ImageError when its NVS holds no identity.
    """
    nvs = partition("nvs")
    try:
        with (folder / "flash.bin").open("r+b") as file:
            file.seek(nvs.address)
            held = read_nvs(file.read(nvs.size))
            identity = DeviceIdentity(held["cert"], held["key"], held["relay"])
            application = build_application("virtual")
            release_key = release_key or held.get("release_key")
            parts = device_parts(
                folder.name, identity, held["ca"], config, application, release_key
            )
            for label in ("app_a", "vfs", "nvs"):
                place = partition(label)
                os.pwrite(file.fileno(), parts[place.address], place.address)
    except (OSError, KeyError) as error:
        raise ImageError(f"{folder} holds no device that can be refreshed: {error!r}") from error
    _write_rig(folder, rig)
    return folder


def remove_virtual_device(folder: Path) -> None:
    """Throw a virtual device away, with every record that it still holds."""
    shutil.rmtree(folder, ignore_errors=True)


def track_of(folder: Path) -> Track:
    """Return the path that a device made with Walk or Gpx is carried along."""
    # Kept as text beside the flash; the text is the whole truth about it.
    return Track.parse((folder / "path.txt").read_text())


def _write_rig(folder: Path, rig: Rig) -> None:
    content: dict[str, Any] = {
        "sensors": dict(rig.sensors),
        "battery_mv": rig.battery_mv,
        "link_up": rig.link_up,
        "witness": rig.witness,
        "modem": rig.modem,
        "radio": rig.radio,
        "receiver": None,
    }
    if rig.access_points is not None:
        content["access_points"] = rig.access_points
    if rig.receiver is not None:
        # Another seed for each device, so that a fleet does not speak in one moment.
        seed = sum((place + 1) * ord(letter) for place, letter in enumerate(folder.name))
        wired = {
            "kind": "feed",
            "seed": seed,
            "period_s": rig.period_s,
            "slice_bytes": rig.slice_bytes,
            "late_ms": 50 + seed * 37 % 450 if rig.late_ms is None else rig.late_ms,
        }
        content["receiver"] = wired | _write_receiver(folder, rig.receiver)
    (folder / "rig.json").write_text(json.dumps(content))


def _write_receiver(folder: Path, receiver: Walk | Gpx | Log | Feed) -> dict[str, Any]:
    if isinstance(receiver, Walk | Gpx):
        (folder / "path.txt").write_text(receiver.track().text())
        return {"kind": "path"}
    if isinstance(receiver, Log):
        try:
            shutil.copyfile(receiver.path, folder / "receiver.nmea")
        except OSError as error:
            raise ProvisioningError(f"cannot read the receiver's log: {error}") from error
        return {"kind": "log", "now": receiver.now, "loop": receiver.loop}
    return {"kind": "feed"}


def _write_sparse(descriptor: int, address: int, content: bytes) -> None:
    """Write a part without its erased blocks, where nobody reads them.

    The journal's first two are read, and all of the application's, which its digest covers.
    """
    whole = (partition("journal").address, partition("app_a").address)
    for at in range(0, len(content), BLOCK_BYTES):
        block = content[at : at + BLOCK_BYTES]
        if block != _ERASED or address in whole:
            os.pwrite(descriptor, block, address + at)
