"""Sensors of a node: contacts, and voltages that a scale from the settings turns into values.

`scale` of a sensor is [multiplier, divisor, offset]: value = mV * multiplier // divisor + offset,
in the unit of the wire's sensor table.
"""

from machine import Pin

from board import pins
from board.voltage import Voltage

_SCALE = (1, 1, 0)


class Sensors:
    """The sensors that the settings name and the board has."""

    def __init__(self, settings: dict) -> None:
        self._switches, self._analog = {}, {}
        for name, setting in settings.items():
            if name in pins.SWITCHES:
                self._switches[name] = Pin(pins.SWITCHES[name], Pin.IN, Pin.PULL_UP)
            elif name in pins.ANALOG:
                voltage = Voltage(pins.ANALOG[name])
                self._analog[name] = (voltage, setting.get("scale", _SCALE))

    def read(self, name: str) -> int | None:
        """A value, or None for what is not wired."""
        if name in self._switches:
            return self._switches[name].value()
        if name in self._analog:
            voltage, (multiplier, divisor, offset) = self._analog[name]
            return voltage.read_mv() * multiplier // divisor + offset
        return None
