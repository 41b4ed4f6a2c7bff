"""How many boots failed one after the other, and which part runs now; loaded for the moment.

Kept as numbers in NVS, which survives everything but a cable and writes safely: `boots` is -1
after a start that went well, else how many failed in a row. A start that went well and ends with
the power costs two entries of 32 bytes, a page of NVS in 63 starts. `trial` asks for the
application once, whatever was wrong; `lost` says that the rescue agent had to make the journal
anew. The agent keeps its own here: `release`, the newest that was installed, and `sos`,
`sos_epoch`, `sos_first`.

Nothing here raises: a device whose NVS cannot be written boots all the same.
"""

import machine
from esp32 import NVS

FAILED_MAX = 3
# The power came, or the device slept: how the run before ended says nothing about its code.
_NO_FAULT = (machine.PWRON_RESET, machine.DEEPSLEEP_RESET)


def begin(flash) -> str:
    """Count this start; return why the rescue agent must run: "" if the application may."""
    before = number("boots")
    failed = max(before, 0) if machine.reset_cause() in _NO_FAULT else before + 1
    if failed != before:
        keep(("boots", failed))
    if number("lost") and flash.journal != "failed":
        flash.journal, flash.journal_lost = "formatted", True
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
