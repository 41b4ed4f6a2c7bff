"""The chip's Wi-Fi where networks have names: used when rig.json lists some.

As boards/esp32_devkit/board/wifi.py has it: one of the known networks is tried at a time, the
last good one first; one that is not there, or has another password, gives way to the next. On a
chip that is C for the most part, so it is here and takes nothing of the board's own memory.
"""

import asyncio

_SEARCH_S = 2  # What a chip takes to see that a name is not on the air.


class Wifi:
    """Networks that are joined by name.

    Args:
        air: What carries.
        wait_s: How long a chip tries that knows no other network.
        points: [name, password] of each access point that is there.
        config: The board's; `networks` are the known ones.
    """

    def __init__(self, air, wait_s: int, points: list, config: dict) -> None:
        self._air = air
        self._wait_s = wait_s
        self._points = points
        self._config = config
        self._at = 0
        self._joined = False

    async def up(self) -> None:
        """Return when it carries; raises OSError after one network was tried in vain."""
        if self.is_up():
            return
        networks = self._config.get("networks")
        if not networks:
            raise OSError(118, "no network is configured")
        self._at %= len(networks)
        known = networks[self._at]
        self._at += 1  # For the next try, if this one is in vain.
        if known not in self._points:
            await asyncio.sleep(_SEARCH_S if len(networks) > 1 else self._wait_s)
            raise OSError(118, "no network " + known[0])
        await self._air.up()
        self._joined = True
        self._at -= 1

    def is_up(self) -> bool:
        """Tell whether one is joined that is there."""
        return self._joined and self._air.is_up()

    def down(self) -> None:
        """Leave it."""
        self._joined = False
        self._air.down()

    def switch(self, there: bool) -> None:
        """All of them go away, or come back."""
        self._joined = self._joined and there
        self._air.switch(there)

    def rssi_dbm(self) -> int | None:
        """Signal strength, or None while none is joined."""
        return self._air.rssi_dbm() if self._joined else None
