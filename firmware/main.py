"""Runs the application for ever, or the rescue agent; what ends is written down and started again.

The rescue agent runs when no slot holds an application, when the journal cannot be mounted, and
when three starts failed one after the other. What this file is made of stays in the heap of the
application, so all but the application itself is in `boots`.
"""

import time

import flash
import machine

# What fails at once must not wear out the flash, and a wearer must have time to read.
_RESTART_DELAY_S = 10
_START_MS = 120_000  # From here to the watchdog of the part that runs.


def _run() -> Exception:
    try:
        from board import open_board

        # First, because a board may hold memory for what the application needs later.
        board = open_board()
        from device.start import run

        run(board)
        return RuntimeError("the application ended by itself")
    except Exception as error:  # noqa: BLE001 - the outermost loop: anything is better than a dead terminal
        return error


machine.WDT(timeout=_START_MS)
_reason = flash.boots().begin(flash)
if _reason:
    flash.boots().run_rescue(_reason)
else:
    flash.boots().write_down(_run())
time.sleep(_RESTART_DELAY_S)
machine.reset()
