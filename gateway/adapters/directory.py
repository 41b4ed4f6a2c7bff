"""Which devices exist, asked of the registry seldom: every message must be checked against it."""

import threading
import time

from storage.errors import StoreAway
from storage.registry import Registry
from storage.registry.ingest import known_devices

REFRESH_S = 5.0  # A retired device is heard this long at most.


class Directory:
    """The ids of all devices that are not retired."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._kinds: dict[str, str] | None = None
        self._read_s = 0.0

    def knows(self, device: str) -> bool:
        """Tell whether a device is registered.

        Raises:
            StoreAway: The registry was never reached; with it away later, the last answer holds.
        """
        age_s = time.monotonic() - self._read_s
        kinds = self._kinds
        # Looked up anew before anything is refused: what is refused is receipted, and would be
        # lost to a device that was added a moment ago. Strangers cannot ask for it: whoever is
        # heard has a certificate of ours.
        if kinds is None or age_s > REFRESH_S or device not in kinds:
            kinds = self._refresh()
        return device in kinds

    def _refresh(self) -> dict[str, str]:
        with self._lock:
            try:
                with self._registry.read() as session:
                    self._kinds = known_devices(session)
            except StoreAway:
                if self._kinds is None:
                    raise
            self._read_s = time.monotonic()
            return self._kinds or {}
