"""Which files of this repository run on the chip; for the checks in this folder."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FIRMWARE = REPOSITORY / "firmware"
BOARDS = FIRMWARE / "boards"
# Reads as MicroPython's manifest language, on the machine that builds an image.
_MANIFEST = FIRMWARE / "manifest.py"


def wire_files() -> list[Path]:
    """Return the files that both sides share."""
    return sorted((REPOSITORY / "wire_protocol").rglob("*.py"))


def chip_files() -> list[Path]:
    """Return the files that run on an ESP32; the virtual board plays one and may use more."""
    return [path for path in micropython_files() if not path.is_relative_to(BOARDS / "virtual")]


def micropython_files() -> list[Path]:
    """Return every file that MicroPython runs, the shared ones among them."""
    return [*wire_files(), *(path for path in sorted(FIRMWARE.rglob("*.py")) if path != _MANIFEST)]


def shown(path: Path) -> str:
    """Return a path as messages name it."""
    return str(path.relative_to(REPOSITORY))
