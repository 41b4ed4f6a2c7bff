"""A USB relay of the LCUS family: a serial line at 9600 baud, four bytes a contact, no answer.

    A0 | channel 1..16 | 1 closed, 0 open | sum of the three, low byte

LCUS-1 has one channel: A0 01 01 A2 closes it, A0 01 00 A1 opens it. LCUS-2, -4 and -8 are the same
with more. The relay says nothing back: whether a contact moved is seen at the board alone.
"""

import threading
import time

import serial

from hil_tests.errors import RigError

_BAUD = 9_600
_START = 0xA0
_GAP_S = 0.02  # Its controller (an STC15) loses commands that follow each other at once.


def frame(channel: int, *, closed: bool) -> bytes:
    """Return the four bytes that move a contact."""
    body = bytes([_START, channel, int(closed)])
    return body + bytes([sum(body) & 0xFF])


class Relay:
    """One relay board; several boards may hang on it."""

    def __init__(self, port: str) -> None:
        """Open it and open every contact that is named later.

        Raises:
            RigError: The port cannot be opened.
        """
        self._port = port
        self._lock = threading.Lock()
        self._closed: set[int] = set()
        try:
            self._serial = serial.Serial(port, _BAUD, write_timeout=2)
        except (OSError, serial.SerialException) as error:
            raise RigError(f"relay {port}: {error}") from error

    def set(self, channel: int, *, closed: bool) -> None:
        """Move one contact.

        Raises:
            RigError: The relay is gone.
        """
        with self._lock:
            try:
                self._serial.write(frame(channel, closed=closed))
                self._serial.flush()
            except (OSError, serial.SerialException) as error:
                raise RigError(f"relay {self._port}: {error}") from error
            (self._closed.add if closed else self._closed.discard)(channel)
            time.sleep(_GAP_S)

    def close(self) -> None:
        """Open every contact that we closed, and let go of the port."""
        for channel in sorted(self._closed):
            self.set(channel, closed=False)
        self._serial.close()
