"""Signs applications: a device installs only what was signed by its installation's release key.

The key is made at the first need, in HOME/pki; XUNHU_RELEASE_KEY names another place for it, so
that it can live where no server is. Devices hold the public half in NVS.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from provisioning.application import Application
from provisioning.errors import AuthorityBrokenError, ProvisioningError
from storage import applications
from wire_protocol import blocks

FILE_NAME = "release.key.pem"
VARIABLE = "XUNHU_RELEASE_KEY"
_NUMBER_BYTES = 32


class ReleaseKey:
    """The key pair: ECDSA over P-256, with SHA-256."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @classmethod
    def open(cls, home: Path, environment: Mapping[str, str] = os.environ) -> "ReleaseKey":
        """Return the key of an installation, made if there is none.

        Raises:
            AuthorityBrokenError: A file is there and is no such key.
            ProvisioningError: It cannot be made.
        """
        path = Path(environment.get(VARIABLE) or home / "pki" / FILE_NAME)
        if not path.exists():
            _make(path)
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise AuthorityBrokenError(f"cannot read the release key {path}: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise AuthorityBrokenError(f"{path} is no P-256 key")
        return cls(key)

    @property
    def public(self) -> bytes:
        """The public half as a device holds it: x and y, 32 bytes each, big-endian."""
        numbers = self._key.public_key().public_numbers()
        return _bytes(numbers.x) + _bytes(numbers.y)

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Tell whether this key made a signature; r and s as `sign` returns them."""
        r = int.from_bytes(signature[:_NUMBER_BYTES], "big")
        s = int.from_bytes(signature[_NUMBER_BYTES:], "big")
        try:
            self._key.public_key().verify(
                encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256())
            )
        except InvalidSignature:
            return False
        return True

    def sign(self, message: bytes) -> bytes:
        """Return r and s, 32 bytes each, big-endian."""
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(hashes.SHA256())))
        return _bytes(r) + _bytes(s)


def sign_application(application: Application, release: int, key: ReleaseKey) -> bytes:
    """Return an application as a signed file that `storage.applications` takes.

    Args:
        application: For one board.
        release: 1..2**31 - 1; a device never goes back below one that it has installed.
        key: Of the installation whose devices shall take it.

    Raises:
        ProvisioningError: The release is out of range.
    """
    if not 0 < release <= blocks.RELEASE_MAX:
        raise ProvisioningError(f"release {release}, 1 to {blocks.RELEASE_MAX} can be")
    slot = application.slot_image
    pieces = [slot[at : at + blocks.BLOCK_BYTES] for at in range(0, len(slot), blocks.BLOCK_BYTES)]
    manifest = blocks.Manifest(
        board=application.board,
        name=application.version,
        release=release,
        built_s=application.built_s,
        digest=hashlib.sha256(slot).digest(),
        digests=[hashlib.sha256(piece).digest() for piece in pieces],
    )
    signed = blocks.pack_manifest(manifest)
    return applications.pack(signed + key.sign(signed), slot)


def _make(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: of two that make it at once the first one's holds.
        os.link(unfinished, path)
    except FileExistsError:
        pass
    except OSError as error:
        raise ProvisioningError(f"cannot make the release key {path}: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _bytes(number: int) -> bytes:
    return number.to_bytes(_NUMBER_BYTES, "big")
