"""Wi-Fi with several known networks: one of them is tried at a time, the last good one first."""

import asyncio
import time

import network

TRY_MS_MAX = 20_000
_LOOK_MS = 200
_REFUSED = (network.STAT_WRONG_PASSWORD, network.STAT_NO_AP_FOUND)
_UNREACHABLE = 118  # EHOSTUNREACH of this port's network stack.


class Wifi:
    """The station interface.

    Args:
        name: How the device calls itself on the network.
        networks: (ssid, password) pairs; password "" is an open network.
    """

    def __init__(self, name: str, networks) -> None:
        network.hostname(name)
        self._station = network.WLAN(network.STA_IF)
        self._networks = networks
        self._at = 0

    async def up(self) -> None:
        """Return when there is an address; raises OSError after one network was tried in vain."""
        station = self._station
        if station.isconnected():
            return
        if not self._networks:
            raise OSError(_UNREACHABLE, "no network is configured")
        ssid, password = self._networks[self._at]
        station.active(True)
        station.disconnect()  # The chip may still be trying the one before.
        station.connect(ssid, password or None)
        began = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), began) < TRY_MS_MAX:
            await asyncio.sleep_ms(_LOOK_MS)
            if station.isconnected():
                return
            if station.status() in _REFUSED and len(self._networks) > 1:
                break
        self._at = (self._at + 1) % len(self._networks)
        raise OSError(_UNREACHABLE, "no network " + ssid)

    def is_up(self) -> bool:
        """Tell whether there is an address now."""
        return self._station.isconnected()

    def down(self) -> None:
        """Leave the network."""
        self._station.disconnect()

    def rssi_dbm(self) -> int | None:
        """Strength of the access point, or None without one."""
        if not self._station.isconnected():
            return None
        try:
            return self._station.status("rssi")
        except (OSError, RuntimeError):
            return None  # Lost between the two questions.
