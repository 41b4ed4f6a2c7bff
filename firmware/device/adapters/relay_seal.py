"""Seals and opens relay frames with a key of this device's own; see wire_protocol.relay.

Loaded while an SOS has no link, or while frames are heard for this device; dropped after that.
"""

import hashlib

from cryptolib import aes

from wire_protocol import relay
from wire_protocol.errors import WireError

_SHA256_BLOCK_BYTES = 64
_CBC = 2


class Sealer:
    """The keys that follow from one relay key of 32 bytes.

    Attributes:
        address: The pseudonym under which the gateway knows this device.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher_key = _hmac(key, b"xunhu relay cipher")[: relay.BLOCK_BYTES]
        self._iv_key = _hmac(key, b"xunhu relay iv")
        self.address = _hmac(key, b"xunhu relay address")[:8]

    def seal(self, kind: int, body: bytes) -> bytes:
        """Return the frame that carries a body."""
        head = relay.header(kind, self.address)
        iv = _hmac(self._iv_key, head + body)[: relay.IV_BYTES]
        fill = relay.BLOCK_BYTES - len(body) % relay.BLOCK_BYTES
        return head + iv + aes(self._cipher_key, _CBC, iv).encrypt(body + bytes([fill]) * fill)

    def open(self, frame: bytes) -> tuple | None:
        """Return (kind, body) of a frame for this device; None of one for another.

        Raises:
            WireError: It is no relay frame, or it was not sealed with this device's key.
        """
        kind, address = relay.parse_header(frame)
        if address != self.address:
            return None
        head = frame[: relay.HEADER_BYTES]
        iv = frame[relay.HEADER_BYTES : relay.HEADER_BYTES + relay.IV_BYTES]
        sealed = frame[relay.HEADER_BYTES + relay.IV_BYTES :]
        body = aes(self._cipher_key, _CBC, iv).decrypt(sealed)
        body = body[: max(0, len(body) - body[-1])]
        # No constant time needed: who listens to the radio learns nothing by a try a second.
        if _hmac(self._iv_key, head + body)[: relay.IV_BYTES] != iv:
            raise WireError("relay frame does not open")
        return kind, body


def _hmac(key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA256 (RFC 2104); MicroPython on the chip has no module for it."""
    key = key + bytes(_SHA256_BLOCK_BYTES - len(key))
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).digest()
