"""Stands in for `device.start`: an application whose loop blocks, with an impatient watchdog."""

import time


def run(board):
    board.screen(("about to hang",))
    board.watchdog(1500)
    while True:
        time.sleep_ms(50)
