"""A lone fix becomes a sealed record: byte for byte what `track_encode` makes of it, and small.

A device with an open SOS, or one that is watched, seals a fix a second, each alone. There are no
deltas then and nothing to choose, so that it need not hold the encoder of batches all that time:
of that one only constants are used, which linking puts where they stand.
"""

import struct

from wire_protocol.errors import WireError
from wire_protocol.fix import Fix
from wire_protocol.frames import TRACK, VERSION
from wire_protocol.track_encode import (
    ACCURACY_M_MAX,
    FAST,
    LAT_E6_MAX,
    LON_E6_MAX,
    SPEED_CMS_MAX,
    UNKNOWN,
)

_IN_A_BYTE, _IN_TWO = 0x40, 0x80  # Codes of a speed, where the widths have them.


def encode_lone(epoch: int, seq: int, clock: int, fixes: list[Fix]) -> bytes:
    """Return the sealed record of a batch of one fix; all else is as in `track_encode`."""
    at_ms, lat, lon, speed, course, accuracy = fixes[0]
    at_s = at_ms // 1000
    # A shift leaves something of what is negative, too.
    if (epoch | seq | at_s) >> 32 or not seq or clock >> 2:
        raise WireError(f"epoch {epoch}, seq {seq}, clock {clock} or time {at_ms} ms out of range")
    if abs(lat) > LAT_E6_MAX or abs(lon) > LON_E6_MAX:
        raise WireError(f"position {lat} {lon} e-6 is not on the Earth")
    if (
        not 0 <= (speed or 0) <= SPEED_CMS_MAX
        or not 0 <= (course or 0) < 360
        or (accuracy or 0) < 0
    ):
        raise WireError(f"speed {speed} cm/s, course {course} or accuracy {accuracy} m, too far")
    width, letter = _IN_A_BYTE, "B"
    if speed is None:
        speed = UNKNOWN
    elif speed >= FAST:
        width, letter = _IN_TWO, "H"
    course = UNKNOWN if course is None else (course + 1) // 2 % 180
    radius = UNKNOWN if accuracy is None else min(accuracy, ACCURACY_M_MAX)
    head = (VERSION, TRACK, epoch, seq, 1, clock, at_s, at_ms % 1000, lat, lon, width)
    return struct.pack("<BBIIBBIHiiH" + letter + "BB", *head, speed, course, radius)
