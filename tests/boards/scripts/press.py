"""Presses the buttons of boards/esp32_devkit while the loop is busy, in real MicroPython."""

import asyncio
import json
import sys
import time

wired = {}


class Pin:
    """An input that calls its interrupt as the chip does: between two steps of Python code."""

    IN = PULL_UP = IRQ_FALLING = IRQ_RISING = 1

    def __init__(self, number, *_options):
        self.level = 0 if number == 9 else 1  # 9 is stuck from the start.
        wired[number] = self

    def value(self):
        return self.level

    def irq(self, handler, _edges):
        self.handler = handler

    def set(self, level):
        self.level = level
        self.handler(self)


class machine:  # noqa: N801 - the module's name
    pass


machine.Pin = Pin
sys.modules["machine"] = machine
from buttons import Buttons  # noqa: E402 - it asks for the module above

SOS, OK, STUCK = 27, 0, 9


def push(number, for_ms):
    """Press and release without giving the loop a turn."""
    wired[number].set(0)
    time.sleep_ms(for_ms)
    wired[number].set(1)


def click():
    push(OK, 60)


def hold():
    push(SOS, 400)


def clicks():
    for _ in range(3):
        push(SOS, 50)
        time.sleep_ms(50)


def both():
    wired[SOS].set(0)
    time.sleep_ms(40)
    push(OK, 40)
    time.sleep_ms(40)
    wired[SOS].set(1)


def bounce():
    for level in (0, 1, 0, 1, 0):
        wired[OK].set(level)
        time.sleep_ms(2)
    time.sleep_ms(60)
    for level in (1, 0, 1):
        wired[OK].set(level)
        time.sleep_ms(2)


def spark():
    push(SOS, 1)
    click()  # So that there is something to wait for.


def noise():
    for _ in range(100):
        push(OK, 0)
    wired[OK].set(0)


def poke():
    """A turn without a button in between, and one while a press waits."""
    buttons.poke()


def stuck():
    wired[STUCK].set(1)
    click()


async def main(what, count):
    global buttons  # noqa: PLW0603 - what is pressed may poke them
    buttons = Buttons({"sos": SOS, "ok": OK, "stuck": STUCK})
    globals()[what]()
    seen = []
    for _ in range(count):
        name, action = await asyncio.wait_for(buttons.next(), 5)
        seen.append((name, action, time.ticks_ms()))
    first = seen[0][2]
    try:
        name, action = await asyncio.wait_for(buttons.next(), 0.2)
        seen.append((name, action, first))
    except asyncio.TimeoutError:  # noqa: UP041 - not TimeoutError in MicroPython
        pass
    print(json.dumps([[name, action, at - first] for name, action, at in seen]))


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
