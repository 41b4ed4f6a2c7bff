"""The bytes around every binary batch: envelope and record header.

Little-endian. Envelope: `low u32`, then the sealed record. Record header, 12 bytes, readable in
all versions: `version u8 | kind u8 | epoch u32 | seq u32 | count u8 | clock u8`. A seq is
1..2**32 - 1; 0 is no seq.
"""

import struct
from collections import namedtuple

from wire_protocol.envelope import U32_MAX, envelope
from wire_protocol.errors import WireError

VERSION = 1
TRACK = 1
READING = 2
HEADER_BYTES = 12
ENVELOPE_BYTES = 4
COUNT_MAX = 60  # Records of one batch: at one a second, a minute, the longest wait unsealed.
RECORD_BYTES_MAX = 1200  # 60 fixes with every column at its widest take 976.

__all__ = [
    "COUNT_MAX",
    "ENVELOPE_BYTES",
    "HEADER_BYTES",
    "READING",
    "RECORD_BYTES_MAX",
    "TRACK",
    "U32_MAX",
    "VERSION",
    "Header",
    "check_body",
    "envelope",
    "header",
    "open_envelope",
    "pack_header",
]

_HEADER = "<BBIIBB"

Header = namedtuple("Header", ("version", "kind", "epoch", "seq", "count", "clock"))


def pack_header(kind: int, epoch: int, seq: int, count: int, clock: int) -> bytes:
    """Return the 12 bytes of a header of this version; WireError if a field is out of range."""
    # Checked by hand: struct.pack on MicroPython wraps what does not fit.
    if not 1 <= count <= COUNT_MAX:
        raise WireError(f"{count} records, not 1..{COUNT_MAX}")
    if not 0 <= epoch <= U32_MAX or not 0 <= clock <= 3:
        raise WireError(f"epoch {epoch}, not 0..{U32_MAX}, or clock {clock}, not 0..3")
    _check_range(seq, count)
    return struct.pack(_HEADER, VERSION, kind, epoch, seq, count, clock)


def header(record: bytes) -> Header:
    """Return the header of a record of any version.

    Version, kind, the most records and the clock are left to the decoders, so that a batch which
    they refuse can still be named and receipted.

    Raises:
        WireError: Too short, no seq, or no record in it.
    """
    if len(record) < HEADER_BYTES:
        raise WireError(f"record of {len(record)} bytes, its header alone has {HEADER_BYTES}")
    found = Header(*struct.unpack_from(_HEADER, record, 0))
    _check_range(found.seq, found.count)
    return found


def check_body(header: Header, kind: int) -> None:
    """Raise WireError unless this version can read the body behind a header.

    Args:
        header: As `header` returned it, or read with the body.
        kind: The kind that the topic promised, TRACK or READING.
    """
    if header.version != VERSION:
        raise WireError(f"version {header.version}, only {VERSION} can be read here")
    if header.kind != kind:
        raise WireError(f"kind {header.kind}, not {kind}")
    if header.count > COUNT_MAX:
        raise WireError(f"{header.count} records, not 1..{COUNT_MAX}")
    if header.clock > 3:
        raise WireError(f"clock quality {header.clock}, not 0..3")
    _check_range(header.seq, header.count)


def open_envelope(message: bytes) -> tuple[int, bytes]:
    """Return (low, record) of a message; WireError if its low or its length cannot be."""
    size = len(message) - ENVELOPE_BYTES
    if not HEADER_BYTES <= size <= RECORD_BYTES_MAX:
        raise WireError(
            f"record of {size} bytes, not {HEADER_BYTES}..{RECORD_BYTES_MAX}, in its envelope"
        )
    # The seq stands 6 bytes into the record.
    low, seq = struct.unpack("<I6xI", message[:14])
    if not 1 <= low <= seq:
        raise WireError(f"low {low}, not 1..{seq}, the seq of the record")
    return low, message[ENVELOPE_BYTES:]


def _check_range(seq: int, count: int) -> None:
    if count < 1:
        raise WireError("count 0, a batch has at least one record")
    if seq < 1 or seq + count - 1 > U32_MAX:
        raise WireError(f"seq {seq} with {count} records, not within 1..{U32_MAX}")
