"""Who this device is and what it was told when it was provisioned: the NVS namespace `xunhu`."""

import json

from esp32 import NVS

# Identity and settings are read once, each blob through the same buffer.
_BLOB_BYTES_MAX = 3072


class Identity:
    """The device's id, its certificate and key, its authority (all DER), its settings (a dict).

    Raises:
        OSError: The NVS holds no identity: the device must be flashed again.
    """

    def __init__(self) -> None:
        store, buffer = NVS("xunhu"), bytearray(_BLOB_BYTES_MAX)
        self.device_id = _blob(store, "id", buffer).decode()
        self.certificate_der = _blob(store, "cert", buffer)
        self.key_der = _blob(store, "key", buffer)
        self.ca_der = _blob(store, "ca", buffer)
        self.config = json.loads(_blob(store, "config", buffer))


def _blob(store, key: str, buffer: bytearray) -> bytes:
    try:
        length = store.get_blob(key, buffer)
    except OSError as error:
        raise OSError(error.errno, "no " + key + " in NVS: flash this device again")
    return bytes(memoryview(buffer)[:length])
