"""Who this device is and what it was told when it was provisioned: the NVS namespace `xunhu`."""

import json

from esp32 import NVS

_BLOB_BYTES = (512, 1024, 3072)


class Identity:
    """The device's id, its certificate and key, its authority (all DER), its settings (a dict).

    What only a new connection needs is read for each, and not kept: 1 KB of heap.

    Raises:
        OSError: The NVS holds no identity: the device must be flashed again.
    """

    def __init__(self) -> None:
        for key in ("cert", "key", "ca"):
            _blob(key)  # Says now, not at the first connection, that one is missing.
        self.device_id = _blob("id").decode()
        self.config = json.loads(_blob("config"))

    @property
    def certificate_der(self) -> bytes:
        """The device's certificate."""
        return _blob("cert")

    @property
    def key_der(self) -> bytes:
        """The device's private key."""
        return _blob("key")

    @property
    def relay_key(self) -> bytes:
        """What seals this device's SOS for its neighbours: 32 bytes."""
        return _blob("relay")

    @property
    def ca_der(self) -> bytes:
        """The authority that signed the broker's certificate."""
        return _blob("ca")


def _blob(key: str) -> bytes:
    store, reason = NVS("xunhu"), 0
    # In growing steps: 3 KB in one piece are not always there, and few blobs need them.
    for size in _BLOB_BYTES:
        buffer = bytearray(size)
        try:
            return bytes(memoryview(buffer)[: store.get_blob(key, buffer)])
        except OSError as error:
            reason = error.errno
    raise OSError(reason, "no " + key + " in NVS: flash this device again")
