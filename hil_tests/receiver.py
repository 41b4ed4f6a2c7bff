"""What the receiver of a rig says: NMEA 0183, made here second by second from a scenario's trace.

Written apart from the virtual board's sentences and from the parser under test: three readings of
the same standard (NMEA 0183, RMC and GGA).
"""

import random
import threading
import time
from collections.abc import Callable

from hil_tests.scenario_file import Trace

Fix = tuple[int, int, int]  # Unix s, lat_e6, lon_e6.
_GARBAGE_BYTES_MAX = 400


class ReceiverFeed:
    """Says each second where the device is; a thread of its own, until it is stopped.

    Attributes:
        fed: Every position that was said.
        since_s: Unix time of its first word.
    """

    def __init__(self, trace: Trace, seed: int, say: Callable[[bytes], None]) -> None:
        self.fed: set[Fix] = set()
        self._trace, self._say = trace, say
        self._mode = trace.mode
        self._random = random.Random(seed)
        self._began_s = self.since_s = int(time.time())
        self._stopping = threading.Event()
        self._log = trace.log.read_bytes().splitlines(keepends=True) if trace.log else []
        self._thread = threading.Thread(target=self._run, name="receiver", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """The trace begins now."""
        self._began_s = int(time.time())

    def set_mode(self, mode: str) -> None:
        """Choose what it does: fix, no_fix, silent, garbage."""
        self._mode = mode

    def stop(self) -> None:
        """Fall silent for good."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            now_s = time.time()
            if self._stopping.wait(int(now_s) + 1 - now_s):
                return
            second = int(time.time() + 0.5)
            data = self._second(second)
            if data:
                self._say(data)

    def _second(self, unix_s: int) -> bytes:
        if self._mode == "silent":
            return b""
        if self._mode == "garbage":
            return garbage(self._random)
        if self._mode == "no_fix":
            return no_fix(unix_s)
        if self._log:
            return self._next_of_log()
        here, ahead = (position(self._trace, unix_s - self._began_s + k) for k in (0, 1))
        self.fed.add((unix_s, *here))
        moving = here != ahead
        return fix(unix_s, *here, speed_cms=120 if moving else 0)

    def _next_of_log(self) -> bytes:
        """Return the log's next second: up to and without the second RMC."""
        found: list[bytes] = []
        while self._log:
            line = self._log[0]
            if line[3:6] == b"RMC" and any(row[3:6] == b"RMC" for row in found):
                break
            found.append(self._log.pop(0))
        return b"".join(found)


def position(trace: Trace, at_s: float) -> tuple[int, int]:
    """Return (lat_e6, lon_e6) so many seconds after the start."""
    before = trace.points[0]
    for point in trace.points:
        if point[0] > at_s:
            span_s = point[0] - before[0]
            share = (at_s - before[0]) / span_s if span_s and at_s > before[0] else 0.0
            return (
                round(before[1] + (point[1] - before[1]) * share),
                round(before[2] + (point[2] - before[2]) * share),
            )
        before = point
    return before[1], before[2]


def fix(unix_s: int, lat_e6: int, lon_e6: int, *, speed_cms: int = 0) -> bytes:
    """Return RMC and GGA of one second with a position."""
    at, date = _clock(unix_s)
    where = f"{_angle(lat_e6, 2, 'NS')},{_angle(lon_e6, 3, 'EW')}"
    knots = f"{speed_cms / 51.4444:.3f}"
    return sentence(f"GNRMC,{at},A,{where},{knots},90.0,{date},,,A") + sentence(
        f"GNGGA,{at},{where},1,11,0.90,52.0,M,8.0,M,,"
    )


def no_fix(unix_s: int) -> bytes:
    """Return what a receiver in a tunnel says: the time, and no place."""
    at, date = _clock(unix_s)
    return sentence(f"GNRMC,{at},V,,,,,,,{date},,,N") + sentence(
        f"GNGGA,{at},,,,,0,00,99.99,,,,,,"
    )


def garbage(chance: random.Random) -> bytes:
    """Return a second of a broken line: noise, cut and damaged sentences, no line end."""
    whole = fix(
        chance.randrange(2**31), chance.randrange(90_000_000), chance.randrange(180_000_000)
    )
    damaged = bytearray(whole)
    damaged[chance.randrange(8, 40)] ^= 1 << chance.randrange(7)
    kinds = (
        chance.randbytes(chance.randrange(1, _GARBAGE_BYTES_MAX)),
        whole[: chance.randrange(1, 60)],
        bytes(damaged[: damaged.index(b"\n") + 1]),
        b"$" * chance.randrange(1, _GARBAGE_BYTES_MAX),
        b"$GNRMC," + b"9" * chance.randrange(1, _GARBAGE_BYTES_MAX) + b"\r\n",
    )
    return chance.choice(kinds)


def sentence(body: str) -> bytes:
    """Put `$`, checksum and line end around a sentence."""
    checksum = 0
    for byte in body.encode():
        checksum ^= byte
    return f"${body}*{checksum:02X}\r\n".encode()


def _clock(unix_s: int) -> tuple[str, str]:
    clock = time.gmtime(unix_s)
    return time.strftime("%H%M%S.00", clock), time.strftime("%d%m%y", clock)


def _angle(value_e6: int, digits: int, sides: str) -> str:
    degrees, rest_e6 = divmod(abs(value_e6), 1_000_000)
    minutes_e5 = rest_e6 * 6  # 1e-6 degree is exactly 6e-5 minute.
    side = sides[value_e6 < 0]
    return f"{degrees:0{digits}d}{minutes_e5 // 100_000:02d}.{minutes_e5 % 100_000:05d},{side}"
