"""Keys of the SOS relay: derived from one secret of the installation, never stored a device.

Whoever flashes a device puts its key into its NVS; whoever runs a gateway reads the secret and
derives the same. The key holds for one certificate: a device flashed anew has a new one.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from storage.errors import StorageError

SECRET_BYTES = 32
FILE_NAME = "relay.key"


def make_secret(path: Path) -> bytes:
    """Return the secret in a file, made at the first call; the file appears whole.

    Raises:
        StorageError: The file cannot be made, or is not ours.
    """
    if not path.exists():
        unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(SECRET_BYTES))
            # A link, not a rename: of two that make it at once the first one's holds.
            os.link(unfinished, path)
        except FileExistsError:
            pass
        except OSError as error:
            raise StorageError(f"cannot make {path}: {error}") from error
        finally:
            unfinished.unlink(missing_ok=True)
    return read_secret(path)


def read_secret(path: Path) -> bytes:
    """Return the secret in a file.

    Raises:
        StorageError: There is none, or it has not 32 bytes.
    """
    try:
        secret = path.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read the relay secret: {error}") from error
    if len(secret) != SECRET_BYTES:
        raise StorageError(f"{path} has {len(secret)} bytes, not {SECRET_BYTES}")
    return secret


def device_key(secret: bytes, device: str, certificate_serial: str) -> bytes:
    """Return the relay key of a device, 32 bytes."""
    text = f"xunhu relay device\0{device}\0{certificate_serial}"
    return hmac.new(secret, text.encode(), hashlib.sha256).digest()
