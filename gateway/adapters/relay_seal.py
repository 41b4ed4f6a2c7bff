"""Seals and opens relay frames with the key of one device; see wire_protocol.relay."""

import hashlib
import hmac
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from wire_protocol import relay
from wire_protocol.errors import WireError


class Sealer:
    """The keys that follow from one relay key of 32 bytes.

    Attributes:
        address: The pseudonym that stands on the device's frames, 8 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher_key = _hmac(key, b"xunhu relay cipher")[: relay.BLOCK_BYTES]
        self._iv_key = _hmac(key, b"xunhu relay iv")
        self.address = address_of(key)

    def seal(self, kind: int, body: bytes) -> bytes:
        """Return the frame that carries a body."""
        head = relay.header(kind, self.address)
        iv = _hmac(self._iv_key, head + body)[: relay.IV_BYTES]
        padder = PKCS7(8 * relay.BLOCK_BYTES).padder()
        encryptor = self._cipher(iv).encryptor()
        sealed = encryptor.update(padder.update(body) + padder.finalize()) + encryptor.finalize()
        return head + iv + sealed

    def open(self, frame: bytes) -> tuple[int, bytes]:
        """Return (kind, body) of a frame that carries this address.

        Raises:
            WireError: It is no relay frame, or it was not sealed with this key.
        """
        kind, _ = relay.parse_header(frame)
        head = frame[: relay.HEADER_BYTES]
        iv = frame[relay.HEADER_BYTES : relay.HEADER_BYTES + relay.IV_BYTES]
        decryptor = self._cipher(iv).decryptor()
        sealed = frame[relay.HEADER_BYTES + relay.IV_BYTES :]
        padded = decryptor.update(sealed) + decryptor.finalize()
        unpadder = PKCS7(8 * relay.BLOCK_BYTES).unpadder()
        try:
            body = unpadder.update(padded) + unpadder.finalize()
        except ValueError:
            raise WireError("relay frame does not open") from None
        if not hmac.compare_digest(_hmac(self._iv_key, head + body)[: relay.IV_BYTES], iv):
            raise WireError("relay frame does not open")
        return kind, body

    def _cipher(self, iv: bytes) -> Cipher[Any]:
        return Cipher(AES(self._cipher_key), CBC(iv))


def address_of(key: bytes) -> bytes:
    """Return the pseudonym that follows from a relay key."""
    return _hmac(key, b"xunhu relay address")[:8]


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()
