"""Virtual boards with the memory of the chip: 32-bit MicroPython and a heap in small pieces.

Objects of the 32-bit unix port have the chip's size. Its heap is what the chip leaves to an
application; the modules that play the chip, which are C on a real one, get their share on top,
measured here. On request no piece of that heap is larger than 8 KB (hil_tests/small_pieces.py).
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hil_tests.errors import RigError
from provisioning.application import FIRMWARE
from provisioning.authority import DeviceIdentity
from provisioning.configuration import DeviceConfig
from provisioning.virtual import Feed, Rig, device_folder, make_virtual_device
from tests.wire_protocol.interpreters import micropythons

HEAP_BYTES = 120 * 1024
FREE_BYTES_MIN = 48 * 1024  # In every state with the link up, of every scenario.
ROM = FIRMWARE / "boards" / "virtual" / "rom"
PIECES_MORE_BYTES = 8 * 1024
SMALL_PIECES = Path(__file__).with_name("small_pieces.py")
_RUN_WAIT_S = 60
_SHARE_BYTES = 18_000


@dataclass(frozen=True)
class SmallChip:
    """How a virtual board is started so that it has no more memory than the chip.

    Attributes:
        rom_bytes: What of its heap the modules take that play the chip.
    """

    program: str
    options: tuple[str, ...]
    launcher: Path
    rom_bytes: int


def small_chip(
    folder: Path, *, in_pieces: bool = False, launcher: Path = ROM / "launcher.py"
) -> SmallChip:
    """Make one in a folder of its own.

    Args:
        folder: Where a copy of what plays the chip is put.
        in_pieces: No piece of its heap is larger than 8 KB. MicroPython finds less room then than
            there is, by some KB: such a heap is PIECES_MORE_BYTES larger, and what it has free
            is no measure.
        launcher: Another one, which imports the module `launcher` when it has done its own.

    Raises:
        RigError: There is no 32-bit MicroPython.
    """
    program = micropythons().get("1.25-i386")
    if program is None:
        raise RigError("no 32-bit MicroPython 1.25: run `make setup`")
    first = SMALL_PIECES if in_pieces else launcher
    # Names of the same length: MicroPython keeps the path of each module, and both copies pay it.
    share = _rom_share(program, _copy(first, folder / "rom-0"), folder)
    heap = HEAP_BYTES + share + (PIECES_MORE_BYTES if in_pieces else 0)
    begin = _copy(first, folder / "rom-1")
    return SmallChip(program, ("-X", f"heapsize={heap}"), begin, share)


def _copy(launcher: Path, rom: Path) -> Path:
    """Copy what plays the chip, with a launcher beside it; return that one."""
    shutil.copytree(ROM, rom, ignore=shutil.ignore_patterns("__pycache__"))
    return Path(shutil.copy(launcher, rom))


def _rom_share(program: str, launcher: Path, folder: Path) -> int:
    """Return the bytes of heap that a launcher takes, and the modules which play the chip."""
    last = launcher.with_name("launcher.py")
    source = last.read_text()
    boot = '_run("boot.py")'
    assert source.count(boot) == 1
    last.write_text(source.replace(boot, "print('taken', gc.mem_alloc())\nsys.exit(0)\n"))
    device = make_virtual_device(
        device_folder(folder, "t-rom"),
        identity=DeviceIdentity(b"certificate", b"key", b"relay"),
        ca_der=b"ca",
        config=DeviceConfig("127.0.0.1", 1, "b", device_kind="terminal"),
        rig=Rig(receiver=Feed(), sensors={"smoke": 20}),
    )
    # About as large as it will be: the more heap, the more of it keeps the pieces small.
    heap = ("-X", f"heapsize={HEAP_BYTES + _SHARE_BYTES}")
    # With the line to a watchdog, as a fleet gives it; what is said there goes to stderr.
    said = ask(program, [*heap, str(launcher), str(device), "2:1"], cwd=device)
    bare = ask(program, [*heap, "-c", "import gc; gc.collect(); print('taken', gc.mem_alloc())"])
    return taken(said)[0] - taken(bare)[0]


def ask(program: str, arguments: list[str], cwd: Path | None = None) -> str:
    """Run MicroPython and return what it printed."""
    done = subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        timeout=_RUN_WAIT_S,
        check=False,
        cwd=cwd,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def taken(said: str) -> list[int]:
    """Return the numbers behind `taken` in what was printed."""
    return [int(line.split()[1]) for line in said.splitlines() if line.startswith("taken")]
