"""What a device puts around a sealed batch to publish it; a part of `frames`."""

import struct

from wire_protocol.errors import WireError

U32_MAX = 0xFFFFFFFF


def envelope(low: int, record: bytes) -> bytes:
    """Return the message that carries a sealed record.

    Args:
        low: The lowest seq of this stream that the device still holds, 1..seq of the record.
        record: What an encoder returned, unchanged.
    """
    if not 1 <= low <= U32_MAX:
        raise WireError(f"low {low}, not 1..{U32_MAX}")
    return struct.pack("<I", low) + record
