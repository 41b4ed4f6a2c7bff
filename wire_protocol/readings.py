"""Batches of sensor readings, both halves; a device imports `readings_encode` alone."""

from wire_protocol.readings_decode import ReadingBatch, check, decode
from wire_protocol.readings_encode import Reading, encode

__all__ = ["Reading", "ReadingBatch", "check", "decode", "encode"]
