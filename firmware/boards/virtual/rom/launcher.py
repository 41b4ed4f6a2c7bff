"""Plays what surrounds a flash image: the chip's ROM and MicroPython's own boot code.

    micropython launcher.py FOLDER [WATCHDOG]

FOLDER holds `flash.bin`, a whole 4 MB image, and `rig.json`, what is wired to the chip; WATCHDOG
is as `rig.attach` has it. The launcher offers modules under the chip's names (`esp32`, `machine`,
`socket`) and one of its own (`rig`), mounts the image's partition `vfs` in place of the host's
file system, and runs boot.py and main.py from it. From then on every module comes from the image.

Exit codes: 0 switched off, 3 reset (start it again), 4 the image does not boot.
"""

import gc
import sys

import access_points  # noqa: F401 - the board finds it loaded
import chip_machine
import esp32
import radio
import rig
import vfs

_EXIT_NO_BOOT = 4


def _attach(folder: str, watchdog: str = "") -> None:
    """Connect the folder to the chip and put its flash in place of the host's files."""
    host = vfs.VfsPosix(folder)
    rig.attach(host, watchdog)
    esp32.attach(host.open("flash.bin", "r+b"))
    sys.modules["machine"] = chip_machine
    sys.modules["socket"] = radio
    found = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")
    if not found:
        raise OSError(19, "no partition vfs")
    vfs.umount("/")
    vfs.mount(found[0], "/")
    sys.path[:] = ["", ".frozen", "/lib"]  # As the chip has it.


def _run(name: str) -> None:
    with open(name) as file:
        code = compile(file.read(), name, "exec")
    # The text is not held any more, as on the chip.
    exec(code, {"__name__": "__main__"})  # noqa: S102 - that is booting


try:
    _attach(*sys.argv[1:])
except (OSError, TypeError, ValueError, KeyError) as error:
    print("launcher: this image does not boot:", repr(error))
    sys.exit(_EXIT_NO_BOOT)
gc.collect()
_run("boot.py")
gc.collect()
_run("main.py")
# The chip would wait at its prompt now; nobody sits at this one.
sys.exit(_EXIT_NO_BOOT)
