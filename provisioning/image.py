"""Composes the whole 4 MB flash image of one device.

The same image is written by the flash station, boots on an emulated chip and, its file systems
and its NVS, on the virtual board; only there the MicroPython image may be left out.
"""

import hashlib
import subprocess
import sys
import tempfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from provisioning.application import FIRMWARE, Application
from provisioning.authority import DeviceIdentity
from provisioning.configuration import DeviceConfig
from provisioning.errors import ImageError
from provisioning.file_system import make_file_system
from provisioning.nvs import compose_nvs
from provisioning.partitions import (
    BLOCK_BYTES,
    FLASH_BYTES,
    TABLE_ADDRESS,
    partition,
    table_bytes,
)
from provisioning.rescue import rescue_files

# The official images we take, by SHA-256: what an image may do to a device's identity is decided
# here and not by the name of a file.
OFFICIAL_IMAGES = {
    "6b5272b6edd15fc4d1627ec559a27a5d5a7b86e5ea7f8013941eb10c877edd4e": (
        "ESP32_GENERIC-20250911-v1.26.1.bin"
    ),
}
_OFFICIAL_ADDRESS = 0x1000  # The merged file begins with the boot loader.
_OFFICIAL_TABLE = TABLE_ADDRESS - _OFFICIAL_ADDRESS
_IMAGE_MAGIC = 0xE9
_ESPTOOL_SECONDS_MAX = 60
# What MicroPython runs at boot. Source and not bytecode: see firmware/flash.py.
_VFS_FILES = ("boot.py", "boots.py", "main.py", "flash.py", "packed.py")
_OTA_VALID = 2  # ESP_OTA_IMG_VALID: not on trial, so never rolled back.


@dataclass(frozen=True)
class Official:
    """An official MicroPython image that was checked: its boot loader and its application."""

    name: str
    boot_loader: bytes
    application: bytes


def load_official(path: Path) -> Official:
    """Check and take apart an official MicroPython image.

    Raises:
        ImageError: It cannot be read, is none of the images we know, or esptool refuses it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read the MicroPython image: {error}") from error
    digest = hashlib.sha256(content).hexdigest()
    name = OFFICIAL_IMAGES.get(digest)
    if name is None:
        raise ImageError(
            f"{path} has SHA-256 {digest} and is none of the images that may be flashed: "
            f"{', '.join(OFFICIAL_IMAGES.values())}. Download it again."
        )
    application = content[partition("ota_0").address - _OFFICIAL_ADDRESS :]
    if application[0] != _IMAGE_MAGIC or len(application) > partition("ota_0").size:
        raise ImageError(f"{path}: {len(application)} bytes at 0x10000 are no image for ota_0")
    boot_loader = content[:_OFFICIAL_TABLE].rstrip(b"\xff")
    for part in (boot_loader, application):
        _ask_esptool(part)
    return Official(name, boot_loader, application)


def compose_image(  # noqa: PLR0913 - all that a device is made of
    *,
    device_id: str,
    identity: DeviceIdentity,
    ca_der: bytes,
    config: DeviceConfig,
    application: Application,
    official: Official,
    release_key: bytes | None = None,
) -> bytes:
    """Return 4 MB for `esptool write-flash 0 FILE`; the journal is blank, the device makes it.

    Args:
        device_id: Whose image it is.
        identity: Its certificate and keys.
        ca_der: What it trusts its broker by.
        config: Its settings.
        application: For its board.
        official: MicroPython itself.
        release_key: Public key of the installation's releases; without it the device can never
            fetch an application by itself.

    Raises:
        ImageError: Something does not fit its partition.
    """
    parts = device_parts(device_id, identity, ca_der, config, application, release_key)
    parts[_OFFICIAL_ADDRESS] = official.boot_loader
    parts[partition("ota_0").address] = official.application
    flash = bytearray(b"\xff") * FLASH_BYTES
    for address, content in parts.items():
        flash[address : address + len(content)] = content
    return bytes(flash)


def device_parts(
    device_id: str,
    identity: DeviceIdentity,
    ca_der: bytes,
    config: DeviceConfig,
    application: Application,
    release_key: bytes | None = None,
) -> dict[int, bytes]:
    """Return everything but MicroPython itself, by its address on the flash."""
    blobs = {
        "id": device_id.encode(),
        "cert": identity.certificate_der,
        "key": identity.key_der,
        "relay": identity.relay_key,
        "ca": ca_der,
        "config": config.as_bytes(),
    }
    if release_key:
        blobs["release_key"] = release_key
    return {
        TABLE_ADDRESS: table_bytes(),
        partition("nvs").address: compose_nvs(blobs),
        partition("otadata").address: _ota_data(),
        partition("vfs").address: vfs_image(application.board),
        partition("app_a").address: application.slot_image,
    }


@lru_cache(maxsize=8)
def vfs_image(board: str) -> bytes:
    """Return the partition `vfs`: boot code, the same on every board, and the rescue agent."""
    files = {name: (FIRMWARE / name).read_bytes() for name in _VFS_FILES}
    files |= rescue_files(board)
    return make_file_system(files, partition("vfs").size, BLOCK_BYTES)


def _ota_data() -> bytes:
    """Return the boot loader's choice: ota_0, and no update on trial.

    `esp_ota_select_entry_t` of ESP-IDF: `sequence u32 | label 20 bytes | state u32 | crc u32`,
    the CRC over the sequence alone; one entry at the start of each of two sectors. Sequence 1
    is ota_0, 2 would be ota_1.
    """
    sequence = (1).to_bytes(4, "little")
    checksum = zlib.crc32(sequence, 0xFFFFFFFF)
    entry = sequence + b"\xff" * 20 + _OTA_VALID.to_bytes(4, "little")
    return (entry + checksum.to_bytes(4, "little")).ljust(partition("otadata").size, b"\xff")


def _ask_esptool(image: bytes) -> None:
    """Have esptool check an image's checksum and its appended hash.

    A process of its own: esptool is GPL, and a process can be bounded.
    """
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(image)
        file.flush()
        command = [sys.executable, "-m", "esptool", "--chip", "esp32", "image-info", file.name]
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter, our own file
                command, capture_output=True, text=True, timeout=_ESPTOOL_SECONDS_MAX, check=False
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ImageError(f"esptool cannot be run: {error}") from error
    said = done.stdout + done.stderr
    if done.returncode or "invalid" in said.lower():
        raise ImageError(f"esptool refuses the MicroPython image: {said.strip()[-400:]}")
