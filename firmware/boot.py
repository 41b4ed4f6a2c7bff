"""Runs first at every start, from the partition `vfs`; MicroPython then runs main.py."""

import flash

flash.mount()
