"""Runs the application for ever; if it ends, says why and starts the device again.

Without an application there is nothing to start again for: the device stays at its prompt, where
a cable can help. The rescue agent, which fetches an application, will be called from here.
"""

import sys
import time

import flash
import machine

_RESTART_DELAY_S = 10  # An application that fails at once must not wear out the flash.


def _run() -> None:
    try:
        from board import open_board

        # First, because a board may hold memory for what the application needs later.
        board = open_board()
        from device.start import run

        run(board)
        print("main: the application ended by itself")
    except Exception as error:  # noqa: BLE001 - the outermost loop: anything is better than a dead terminal
        sys.print_exception(error)


if flash.slot is None:
    print("main: there is no application on this device; flash it again")
else:
    _run()
    time.sleep(_RESTART_DELAY_S)
    machine.reset()
