"""Light, vibration and buzzer: anything that is on or off in a rhythm."""

import asyncio

from machine import PWM, Pin

_TONE_HZ = 2700  # Where the usual small piezo is loudest.
_DUTY_HALF = 32768


class Buzzer:
    """A piezo that sounds while it is switched on."""

    def __init__(self, number: int) -> None:
        self._pin = Pin(number, Pin.OUT, value=0)
        self._pwm = None

    def on(self) -> None:
        """Sound."""
        self._pwm = PWM(self._pin, freq=_TONE_HZ, duty_u16=_DUTY_HALF)

    def off(self) -> None:
        """Be silent."""
        if self._pwm:
            self._pwm.deinit()
            self._pwm = None
            self._pin.init(Pin.OUT, value=0)


class Signal:
    """Plays patterns on something with `on` and `off`; a new pattern ends the one before."""

    def __init__(self, target) -> None:
        self._target = target
        self._task = None

    def play(self, pattern: tuple, again: bool) -> None:
        """Play (on_ms, off_ms) pairs, once or on and on; () is off."""
        if self._task:
            self._task.cancel()
            self._task = None
        self._target.off()
        if pattern:
            self._task = asyncio.create_task(self._play(pattern, again))

    # Lives until the pattern is through or another one is played.
    async def _play(self, pattern: tuple, again: bool) -> None:
        try:
            while True:
                for on_ms, off_ms in pattern:
                    self._target.on()
                    await asyncio.sleep_ms(on_ms)
                    self._target.off()
                    await asyncio.sleep_ms(off_ms)
                if not again:
                    return
        finally:
            self._target.off()
