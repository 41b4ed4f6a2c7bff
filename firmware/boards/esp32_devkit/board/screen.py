"""A 128x64 OLED with an SSD1306 on I2C, if one answers.

Commands: Solomon Systech, SSD1306 data sheet revision 1.1, chapter 9. The built-in font is ASCII;
other letters show as the font's box until a screen with a font of its own is chosen.
"""

import framebuf
from machine import I2C, Pin

from board import pins

_ADDRESS = 0x3C
_WIDTH, _HEIGHT = 128, 64
_LINE_PIXELS = 10
_START = (
    b"\xae"  # Display off while it is set up.
    b"\x20\x00"  # Horizontal addressing: one transfer fills it.
    b"\x40\xa1\xc8\xa8\x3f\xd3\x00\xda\x12"  # 64 lines, upright.
    b"\xd5\x80\xd9\xf1\xdb\x30"  # Clock, precharge and level of the usual modules.
    b"\x81\xff\xa4\xa6\x8d\x14\xaf"  # Bright, not inverted, charge pump on, display on.
)
_WHOLE = b"\x21\x00\x7f\x22\x00\x07"


def open_screen() -> "Screen | None":
    """Return the screen, or None when nothing answers at its address."""
    bus = I2C(0, scl=Pin(pins.SCREEN_SCL), sda=Pin(pins.SCREEN_SDA), freq=400_000)
    try:
        bus.writeto(_ADDRESS, b"\x00" + _START)
    except OSError:
        return None
    return Screen(bus)


class Screen:
    """Six lines of sixteen letters."""

    def __init__(self, bus) -> None:
        self._bus = bus
        self._bytes = bytearray(_WIDTH * _HEIGHT // 8)
        self._frame = framebuf.FrameBuffer(self._bytes, _WIDTH, _HEIGHT, framebuf.MONO_VLSB)

    def show(self, lines: tuple) -> None:
        """Show lines of text; what is longer or lower is cut."""
        self._frame.fill(0)
        for number, line in enumerate(lines):
            self._frame.text(line, 0, number * _LINE_PIXELS)
        try:
            self._bus.writeto(_ADDRESS, b"\x00" + _WHOLE)
            self._bus.writevto(_ADDRESS, (b"\x40", self._bytes))
        except OSError as error:
            print("screen:", error, lines)
