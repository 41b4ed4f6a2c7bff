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
        config: The board's; `networks` are (ssid, password) pairs, password "" is an open network.
            Read at each try: a command may have changed them after the board was made.
    """

    def __init__(self, name: str, config: dict) -> None:
        network.hostname(name)
        self._station = network.WLAN(network.STA_IF)
        self._config = config
        self._at = 0

    async def up(self) -> None:
        """Return when there is an address; raises OSError after one network was tried in vain."""
        station = self._station
        if station.isconnected():
            return
        networks = self._config.get("networks")
        if not networks:
            raise OSError(_UNREACHABLE, "no network is configured")
        self._at %= len(networks)
        ssid, password = networks[self._at]
        station.active(True)
        before = station.status()  # The chip says what refused it last until something newer does.
        station.disconnect()  # The chip may still be trying the one before.
        station.connect(ssid, password or None)
        began = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), began) < TRY_MS_MAX:
            await asyncio.sleep_ms(_LOOK_MS)
            if station.isconnected():
                return
            status = station.status()
            if status != before:
                before = None
                if status in _REFUSED and len(networks) > 1:
                    break
        self._at += 1
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
