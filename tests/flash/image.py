"""The flash image of the simulated terminal, as provisioning composes it for any device."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

from provisioning import application
from provisioning.application import FIRMWARE, build_application
from provisioning.authority import Authority
from provisioning.configuration import DeviceConfig
from provisioning.image import device_parts
from provisioning.partitions import FLASH_BYTES
from provisioning.releases import ReleaseKey, sign_application
from storage import applications

REPOSITORY = Path(__file__).resolve().parents[2]
SIMULATOR = Path(__file__).parent / "simulator"
DEVICE = "t-0001"
BUILT_S = 1_780_000_000


def compose(folder: Path) -> Path:
    """Write `flash.bin`, 4 MB with boot code, application and identity; the journal is blank.

    Beside it lies the application's source, which runs in the place of the linked one, that of the
    rescue agent, and releases that it may fetch: `same` as the slot, and `other`.
    """
    application_ = build_application("virtual")
    with tempfile.TemporaryDirectory() as keys:
        authority = Authority.create(Path(keys))
        key = ReleaseKey.open(Path(keys), {})
        parts = device_parts(
            DEVICE,
            authority.issue_device(DEVICE),
            authority.devices_ca_der,
            DeviceConfig("127.0.0.1", 8883, "localhost"),
            application_,
            key.public,
        )
    flash = bytearray(b"\xff") * FLASH_BYTES
    for address, content in parts.items():
        flash[address : address + len(content)] = content
    for path, bytecode in _bytecode().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(bytecode)
    (folder / "build.json").write_text(json.dumps({"version": "0.0.0-test", "built_s": BUILT_S}))
    # The other one differs in its last byte, which belongs to no file.
    other = replace(application_, slot_image=application_.slot_image[:-1] + b"\0")
    for release, (name, built) in enumerate((("same", application_), ("other", other)), 1):
        _, manifest, slot = applications.unpack(sign_application(built, release, key))
        (folder / f"{name}.manifest").write_bytes(manifest)
        (folder / f"{name}.slot").write_bytes(slot)
    flash_file = folder / "flash.bin"
    flash_file.write_bytes(flash)
    return flash_file


def _bytecode() -> dict[str, bytes]:
    """Return the application's modules one by one: linked they could have no other link."""
    places = {
        "device": FIRMWARE,
        "rescue": FIRMWARE,
        "chip": FIRMWARE / "boards",
        "wire_protocol": REPOSITORY,
    }
    sources = {}
    for package, place in places.items():
        for path in sorted((place / package).rglob("*.py")):
            name = ".".join(path.relative_to(place).with_suffix("").parts)
            sources[name.removesuffix(".__init__")] = path.read_text()
    return application._compile(sources)


# Three times what lives at once. In a large heap MicroPython looks longer for a free place than
# the device's code runs.
_HEAP = "heapsize=3M"


def command(program: str, image: Path, script: str, *arguments: str) -> list[str]:
    """Return how a script of the simulator is run on an image."""
    return [program, "-X", _HEAP, str(SIMULATOR / script), str(image), *arguments]


def environment(image: Path) -> dict[str, str]:
    """Return where the simulator finds its own parts, the device's and the boot code's."""
    rom = FIRMWARE / "boards" / "virtual" / "rom"
    return {"MICROPYPATH": f"{SIMULATOR}:{image.parent}:{rom}:.frozen"}
