"""Buttons to ground: an interrupt wakes the task, which looks again when the contact is quiet."""

import asyncio

from machine import Pin

_QUIET_MS = 30  # Contacts of the buttons on devkits bounce for 5 to 20 ms.
_WAITING_MAX = 16


class Buttons:
    """A queue of (name, "press" | "release").

    How a button stands at the start is taken as released: a contact that is stuck, or an input
    that is wired to nothing, must not raise an SOS at every start.
    """

    def __init__(self, numbers: dict) -> None:
        self._pins = [(name, Pin(numbers[name], Pin.IN, Pin.PULL_UP)) for name in numbers]
        self._levels = [pin.value() for _, pin in self._pins]
        self._moved = asyncio.ThreadSafeFlag()
        self._waiting = []
        for _, pin in self._pins:
            pin.irq(self._wake, Pin.IRQ_FALLING | Pin.IRQ_RISING)

    async def next(self) -> tuple:
        """Wait for a button to move."""
        while not self._waiting:
            await self._moved.wait()
            await asyncio.sleep_ms(_QUIET_MS)
            self._look()
        return self._waiting.pop(0)

    def _wake(self, _pin) -> None:
        self._moved.set()

    def _look(self) -> None:
        for place, (name, pin) in enumerate(self._pins):
            level = pin.value()
            if level != self._levels[place] and len(self._waiting) < _WAITING_MAX:
                self._levels[place] = level
                self._waiting.append((name, "release" if level else "press"))
