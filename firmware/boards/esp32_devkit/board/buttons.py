"""Buttons to ground: what a contact does is noted when it happens, with the time.

The loop may be busy for longer than a press lasts: with TLS, with the flash. Three short presses
of SOS are an alarm, and one held press too; neither may be missed for that. Only what begins and
ends within one call of MicroPython's own C code is not seen.
"""

import asyncio
import time

from machine import Pin

_QUIET_MS = 30  # Contacts of the buttons on devkits bounce for 5 to 20 ms.
_NOTES_MAX = 32  # A contact that never comes to rest fills no more.
_PLACE, _LEVEL, _AT = 0, 1, 2


class Buttons:
    """A queue of (name, "press" | "release").

    How a button stands at the start is taken as released: a contact that is stuck, or an input
    that is wired to nothing, must not raise an SOS at every start.
    """

    def __init__(self, numbers: dict) -> None:
        self._pins = [(name, Pin(numbers[name], Pin.IN, Pin.PULL_UP)) for name in numbers]
        self._levels = [pin.value() for _, pin in self._pins]
        self._pressed = {}  # place -> (when it was, when it was told)
        self._moved = asyncio.ThreadSafeFlag()
        self._notes = []
        self._waiting = []
        self._poked = False
        for _, pin in self._pins:
            pin.irq(self._note, Pin.IRQ_FALLING | Pin.IRQ_RISING)

    async def next(self) -> tuple:
        """Wait for a button to move, or for `poke`: then both are empty.

        A release comes no sooner behind its press than it was.
        """
        while not self._waiting:
            if self._poked:
                self._poked = False
                return "", ""
            await self._moved.wait()
            await self._settle()
        place, level, at = self._waiting.pop(0)
        if not level:
            self._pressed[place] = (at, time.ticks_ms())
        elif place in self._pressed:
            was, told = self._pressed[place]
            early_ms = time.ticks_diff(at, was) - time.ticks_diff(time.ticks_ms(), told)
            if early_ms > 0:
                await asyncio.sleep_ms(early_ms)
        return self._pins[place][0], "release" if level else "press"

    def poke(self) -> None:
        """Let whoever waits have a turn."""
        self._poked = True
        self._moved.set()

    # Runs between any two steps of Python code, also while the loop waits for one of them.
    def _note(self, _pin) -> None:
        now = time.ticks_ms()
        for place, (_, pin) in enumerate(self._pins):
            level = pin.value()
            if level != self._levels[place] and len(self._notes) < _NOTES_MAX:
                self._levels[place] = level
                self._notes.append((place, level, now))
        self._moved.set()

    async def _settle(self) -> None:
        """Wait for quiet, and take what then is no bounce."""
        while self._notes and time.ticks_diff(time.ticks_ms(), self._notes[-1][_AT]) < _QUIET_MS:
            await asyncio.sleep_ms(_QUIET_MS)
        notes, self._notes = self._notes, []
        taken, newest = [], {}  # place -> where its newest note is among those taken
        for note in notes:
            before = newest.pop(note[_PLACE], None)
            if before is not None and time.ticks_diff(note[_AT], taken[before][_AT]) < _QUIET_MS:
                taken[before] = None
            else:
                newest[note[_PLACE]] = len(taken)
                taken.append(note)
        self._waiting = [note for note in taken if note]
        if len(notes) >= _NOTES_MAX:
            self._note(None)  # Where it ended was not noted any more.
