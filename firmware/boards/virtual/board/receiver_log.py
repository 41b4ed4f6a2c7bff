"""A receiver that says again what a real one said, from a recorded log of its line."""

import asyncio
import time

import rig

from board.sentences import sentence

_LINE_BYTES_MAX = 512  # Garbage without a line end is passed on in pieces of this size.
# Where a sentence holds its time, and where its date.
_TIME_FIELDS = {"RMC": (1, 9), "GGA": (1, None), "GNS": (1, None), "GLL": (5, None)}


class Log:
    """Plays the log second by second; each new time in it waits for the next second."""

    def __init__(self, wired: dict) -> None:
        self._file = rig.open_file(wired.get("file", "receiver.nmea"), "rb")
        self._loop = wired.get("loop", True)
        self._now = wired.get("now", False)  # True: today's times in place of the recorded ones.
        self._second = None

    async def run(self, line) -> None:
        """Play to the end, or for ever; lives as long as the device at most."""
        while True:
            data = self._file.readline(_LINE_BYTES_MAX)
            if not data:
                if not self._loop:
                    return
                self._file.seek(0)
                await asyncio.sleep(1)
                continue
            words = _words(data)
            places = _TIME_FIELDS.get(words[0][-3:])
            if places and len(words) > max(places[0], places[1] or 0):
                second = words[places[0]][:6]
                if second != self._second:
                    self._second = second
                    await asyncio.sleep_ms(1000 - time.time_ns() // 1_000_000 % 1000)
                if self._now and second:
                    data = _retimed(words, places)
            if line.mode != "silent":
                line.put(data)


def _words(data: bytes) -> list:
    """The fields of a sound sentence, without `$` and checksum; [""] for anything else."""
    body = data.strip()
    if body[:1] != b"$" or body[-3:-2] != b"*":
        return [""]
    try:
        text = body[1:-3].decode()
    except UnicodeError:
        return [""]
    if sentence(text)[-4:-2].lower() != body[-2:].lower():
        return [""]
    return text.split(",")


def _retimed(words: list, places: tuple) -> bytes:
    clock = time.gmtime()
    words[places[0]] = "%02d%02d%02d.00" % (clock[3], clock[4], clock[5])
    if places[1] is not None:
        words[places[1]] = "%02d%02d%02d" % (clock[2], clock[1], clock[0] % 100)
    return sentence(",".join(words))
