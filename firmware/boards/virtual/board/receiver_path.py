"""A receiver carried along a path, over and over: a walk made from a seed, or a GPX recording.

The path is a file of straight pieces made when the device was; see `provisioning/paths.py`. Where
the device is depends on the time of day alone, so that whoever has the file can say where it was.
"""

import asyncio
import time

import rig

from board import sentences

_NANOSECONDS = 1_000_000  # In a millisecond.


class Path:
    """Reads the file piece by piece: a long recording takes no more memory than a short one."""

    def __init__(self, wired: dict) -> None:
        self._period_s = wired.get("period_s", 1)
        # Those that speak every few seconds do not all choose the same one.
        self._phase_s = wired.get("seed", 0) % self._period_s
        self._late_ms = wired.get("late_ms", 100)  # Receivers speak a while after the second.
        self._clock_off_s = wired.get("clock_off_s", 0)  # For a receiver that tells a wrong date.
        self._file = rig.open_file(wired.get("file", "path.txt"), "r")
        self._first_s, self._length_s = [int(word) for word in self._file.readline().split()]
        self._body = self._file.tell()
        self._begin_s = self._end_s = 0
        self._piece = None

    async def run(self, line) -> None:
        """Tell every position in its second; lives as long as the device."""
        unix_s = 0
        while True:
            now_ms = time.time_ns() // _NANOSECONDS - self._late_ms
            # Never the same second again, though the loop may wake a moment early.
            passed = (now_ms // 1000 - self._phase_s) // self._period_s
            next_s = (passed + 1) * self._period_s + self._phase_s
            unix_s = next_s + self._period_s if next_s == unix_s else next_s
            await asyncio.sleep_ms(unix_s * 1000 - now_ms)
            lat_e6, lon_e6, altitude_dm, speed_cms, course_deg = self.at(unix_s)
            clock = time.gmtime(unix_s + self._clock_off_s)
            if line.mode == "fix":
                data = sentences.fix(clock, lat_e6, lon_e6, altitude_dm, speed_cms, course_deg)
            else:
                data = sentences.no_fix(clock)
            line.put_position(data, unix_s * 1000, lat_e6, lon_e6)

    def at(self, unix_s: int) -> tuple:
        """(lat_e6, lon_e6, altitude_dm, speed_cms, course_deg) at a second."""
        along_s = (unix_s - self._first_s) % self._length_s
        if along_s < self._begin_s:
            self._file.seek(self._body)
            self._begin_s = self._end_s = 0
        while along_s >= self._end_s:
            self._piece = [int(word) for word in self._file.readline().split()]
            self._begin_s, self._end_s = self._end_s, self._end_s + self._piece[0]
        span_s, lat, lon, to_lat, to_lon, altitude_dm, speed_cms, course_deg = self._piece
        passed_s = along_s - self._begin_s
        return (
            lat + (to_lat - lat) * passed_s // span_s,
            lon + (to_lon - lon) * passed_s // span_s,
            altitude_dm,
            speed_cms,
            course_deg,
        )
