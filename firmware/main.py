"""Runs the application for ever, or the rescue agent; what ends is written down and started again.

The rescue agent runs when no slot holds an application, when the journal cannot be mounted, and
when three starts failed one after the other. If it fails itself, the application gets a trial, so
that a device which has either of them never only starts again and again.
"""

import sys
import time

import flash
import machine

# What fails at once must not wear out the flash, and a wearer must have time to read.
_RESTART_DELAY_S = 10
_START_MS = 120_000  # From here to the watchdog of the part that runs.


def _find_rescue() -> None:
    """Let nothing be found but the rescue agent and boot code: the application may be broken."""
    sys.path[:] = [".frozen", "/"]
    import packed

    sys.path.append(packed.mount())


def _run_application() -> None:
    try:
        from board import open_board

        # First, because a board may hold memory for what the application needs later.
        board = open_board()
        from device.start import run

        run(board)
        raise RuntimeError("the application ended by itself")  # noqa: TRY301 - it is a fault
    except Exception as error:  # noqa: BLE001 - the outermost loop: anything is better than a dead terminal
        sys.print_exception(error)
        _write_down(error)


def _write_down(error: Exception) -> None:
    try:
        _find_rescue()
        from rescue.last_words import keep

        keep("main", error)
    except Exception as fault:  # noqa: BLE001 - what cannot be kept was printed
        print("main: not kept:", fault)


def _run_rescue(reason: str) -> None:
    print("main: rescue, because of:", reason)
    try:
        _find_rescue()
        from rescue.start import run

        run(reason)
        raise RuntimeError("the rescue agent ended by itself")  # noqa: TRY301 - as above
    except Exception as error:  # noqa: BLE001 - as above
        sys.print_exception(error)
        flash.boots().keep(("trial", 1))


machine.WDT(timeout=_START_MS)
_reason = flash.boots().begin(flash)
if _reason:
    _run_rescue(_reason)
else:
    _run_application()
time.sleep(_RESTART_DELAY_S)
machine.reset()
