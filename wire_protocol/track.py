"""Batches of fixes, both halves; a device imports `track_encode` alone."""

from wire_protocol.track_decode import TrackBatch, check, decode
from wire_protocol.track_encode import (
    ACCURACY_M_MAX,
    LAT_E6_MAX,
    LON_E6_MAX,
    SPEED_CMS_MAX,
    Fix,
    encode,
)

__all__ = [
    "ACCURACY_M_MAX",
    "LAT_E6_MAX",
    "LON_E6_MAX",
    "SPEED_CMS_MAX",
    "Fix",
    "TrackBatch",
    "check",
    "decode",
    "encode",
]
