"""mosquitto's own C client, called from here: a source that costs next to nothing.

Debian's package libmosquitto1, which mosquitto-clients depends on; no compiler is needed. Its
network thread and all of its work on a message are C; a call from here takes about 1 us.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_SUCCESS = 0


def _load() -> ctypes.CDLL:
    unpacked = sorted((ROOT / ".tools").glob("mosquitto*/root/usr/lib/*/libmosquitto.so.1"))
    name = str(unpacked[0]) if unpacked else ctypes.util.find_library("mosquitto")
    library = ctypes.CDLL(name or "libmosquitto.so.1")
    library.mosquitto_new.restype = ctypes.c_void_p
    library.mosquitto_lib_init()
    return library


class Source:
    """Publishes with QoS 0."""

    def __init__(self, name: str, port: int, ca: Path, certificate: Path, key: Path) -> None:
        self._c = _load()
        self._handle = ctypes.c_void_p(self._c.mosquitto_new(name.encode(), True, None))
        files = (str(ca).encode(), None, str(certificate).encode(), str(key).encode(), None)
        self._check(self._c.mosquitto_tls_set(self._handle, *files))
        self._check(self._c.mosquitto_connect(self._handle, b"127.0.0.1", port, 60))
        self._check(self._c.mosquitto_loop_start(self._handle))
        publish = self._c.mosquitto_publish
        publish.argtypes = (
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p,
            ctypes.c_int, ctypes.c_bool,
        )  # fmt: skip
        self._publish = publish

    def publish(self, topic: bytes, payload: bytes) -> None:
        result = self._publish(self._handle, None, topic, len(payload), payload, 0, False)
        self._check(result)

    def close(self) -> None:
        self._c.mosquitto_disconnect(self._handle)
        self._c.mosquitto_loop_stop(self._handle, False)
        self._c.mosquitto_destroy(self._handle)

    def _check(self, result: int) -> None:
        if result != _SUCCESS:
            self._c.mosquitto_strerror.restype = ctypes.c_char_p
            raise OSError(self._c.mosquitto_strerror(result).decode())
