"""Feeds a receiver's log to the firmware's parser, as a serial line would: in slices of any size.

Runs in MicroPython and on CPython: `micropython nmea_feed.py LOG SEED GARBAGE` prints a JSON list
for each fix and on its last line the parser's counters. GARBAGE random bytes are put between
sentences in three places.
"""

import json
import random
import sys
import time

from device.domain.nmea import NmeaParser

SLICE_BYTES_MAX = 300


def slices(data, garbage):
    """Yield a log in slices, with `garbage` random bytes behind three of its line ends."""
    ends = [at + 1 for at in range(len(data)) if data[at] == 0x0A]
    places = [ends[random.getrandbits(30) % len(ends)] for _ in range(3)] if garbage else []
    begin = 0
    for place in sorted(places):
        yield from sliced(data, begin, place)
        left = garbage
        while left:
            size = min(slice_size(), left)
            yield bytes([random.getrandbits(8) for _ in range(size)])
            left -= size
        begin = place
    yield from sliced(data, begin, len(data))


def sliced(data, begin, end):
    while begin < end:
        size = min(slice_size(), end - begin)
        yield data[begin : begin + size]
        begin += size


def slice_size():
    return random.getrandbits(30) % SLICE_BYTES_MAX + 1


def fixes_of(parser, parts):
    """Yield the fixes of a log; the line goes quiet only at its end."""
    for part in parts:
        yield from parser.feed(part, len(part))
    last = parser.flush()
    if last:
        yield last


def main(log, seed, garbage):
    with open(log, "rb") as file:  # noqa: PTH123 - MicroPython has no pathlib
        data = file.read()
    random.seed(int(seed))
    parser = NmeaParser()
    begin = time.time()
    for fix in fixes_of(parser, slices(data, int(garbage))):
        print(json.dumps([fix.at_ms, fix.lat_e6, fix.lon_e6, fix.alt_mm, fix.speed_mms]))
    counters = {}
    for name in COUNTERS:
        counters[name] = getattr(parser, name)
    counters["bytes"] = len(data)
    counters["seconds"] = time.time() - begin
    print(json.dumps(counters))


COUNTERS = (
    "sentences",
    "checksum_errors",
    "malformed",
    "overlong",
    "broken",
    "garbage_bytes",
    "repeated",
)

if __name__ == "__main__":
    main(*sys.argv[1:4])
