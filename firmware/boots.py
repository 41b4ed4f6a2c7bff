"""All of the boot code that is needed for a moment only: which part runs, and what if it ends.

Kept as numbers in NVS, which survives everything but a cable and writes safely: `boots` is -1
after a start that went well, else how many failed in a row. A start that went well and ends with
the power costs two entries of 32 bytes, a page of NVS in 63 starts. `trial` asks for the
application once, whatever was wrong; `lost` says that the rescue agent has begun to send what lies
in a journal that must not be gone on with, or had to make it anew. The agent keeps its own here:
`release`, the newest that was installed, and `sos`, `sos_epoch`, `sos_first`.

A device whose NVS cannot be written boots all the same. If the rescue agent fails itself, the
application gets a trial, so that a device which has either of them never only starts again and
again.
"""

import sys

import machine
from esp32 import NVS

FAILED_MAX = 3
ANEW, SENT = 1, 2  # `lost`: made anew; what lies there was sent, and it is not made anew yet.
_FLASH_BLOCK_BYTES = 4096
_FORMAT_BLOCKS, _FORMAT_BYTES = 2, 256
_BLOCK_COUNT = 4  # Request of MicroPython's block device protocol.
# The power came, or the device slept: how the run before ended says nothing about its code.
_NO_FAULT = (machine.PWRON_RESET, machine.DEEPSLEEP_RESET)


def begin(flash) -> str:
    """Count this start; return why the rescue agent must run: "" if the application may."""
    before = number("boots")
    failed = max(before, 0) if machine.reset_cause() in _NO_FAULT else before + 1
    if failed != before:
        keep(("boots", failed))
    lost = number("lost")
    if lost == SENT:
        # It can be mounted today, and must not be gone on with: a record that lies in the flash
        # need not be one for littlefs, which a power cut or a fault kept from being sealed. Its
        # number would be given again, and nobody would store the record that has it then.
        flash.journal = "failed"
    elif lost and flash.journal != "failed":
        flash.journal, flash.journal_lost = "formatted", True
        _forget_epoch()
        keep(("lost", None))
    trial = number("trial")
    if trial:
        keep(("trial", None))
    if flash.slot is None:
        return "application"
    if not trial:
        if failed >= FAILED_MAX:
            return "boots"
        if flash.journal == "failed":
            return "journal"
    return ""


def _forget_epoch() -> None:
    """Let the journal begin anew: one that was made anew in part may be an older one.

    Numbers that were given since would be given twice, and nobody would store what has them.
    """
    import os

    try:
        os.remove("/journal/epoch.json")
    except OSError:
        pass  # ENOENT: as it should be.


def run_rescue(reason: str) -> None:
    """Run the rescue agent; returns when it has failed, too."""
    print("main: rescue, because of:", reason)
    try:
        _find_rescue()
        from rescue.start import run

        run(reason)
    except Exception as error:  # noqa: BLE001 - nothing is left to raise it to
        sys.print_exception(error)
    keep(("trial", 1))


def write_down(error: Exception) -> None:
    """Keep why the application ended, beside the crashes of its tasks."""
    sys.print_exception(error)
    try:
        _find_rescue()
        from rescue.last_words import keep

        keep("main", error)
    except Exception as fault:  # noqa: BLE001 - what cannot be kept was printed
        print("main: not kept:", fault)


def _find_rescue() -> None:
    """Let nothing be found but the rescue agent and boot code: the application may be broken."""
    sys.path[:] = [".frozen", "/"]
    import packed

    sys.path.append(packed.mount())


def is_unused(partition) -> bool:
    """Tell whether no journal ever was here: blank, or a format that was cut short.

    A format writes the beginning of the first two blocks and nothing else; the first file of a
    journal goes beyond that.
    """
    buffer = bytearray(_FLASH_BLOCK_BYTES)
    for number in range(partition.ioctl(_BLOCK_COUNT, 0)):
        partition.readblocks(number, buffer)
        written = memoryview(buffer)[_FORMAT_BYTES if number < _FORMAT_BLOCKS else 0 :]
        # Zeros: never written, in the sparse file that plays a flash.
        if bytes(written).strip(b"\xff\0"):
            return False
    return True


def number(key: str) -> int:
    """Return a number kept in NVS, 0 if there is none."""
    try:
        return NVS("xunhu").get_i32(key)
    except OSError:
        return 0


def keep(*pairs) -> bool:
    """Keep (key, number) pairs, one after the other; None takes one away. False if NVS refused.

    Signed or not, 32 bits: NVS gives back what is above 2**31 as a negative number.
    """
    try:
        store = NVS("xunhu")
        for key, value in pairs:
            if value is None:
                if number(key):
                    store.erase_key(key)
            elif number(key) != value:
                store.set_i32(key, value - (1 << 32) if value >> 31 > 0 else value)
        store.commit()
    except OSError as error:
        print("boot: NVS refuses:", error)
        return False
    return True
