"""What carries the link: Wi-Fi where there is one, a modem where there is none.

One of them is used at a time. On the modem the known Wi-Fi networks are looked for now and then;
one that is found ends the modem's connection, the link comes back over it, and the journal has
what was under way: a hand-over costs some seconds and no record.
"""

import asyncio

_LOOK_MS = 100
WIFI_AGAIN_MS = 300_000  # A search of all channels takes the radio two seconds and some charge.


class Bearers:
    """Both have `up()` (a coroutine that raises OSError), `is_up()`, `down()` and `rssi_dbm()`."""

    def __init__(self, wifi, modem, uptime_ms) -> None:
        """Take what the board has; `modem` None: it has none."""
        self._wifi = wifi
        self._modem = modem
        self._uptime_ms = uptime_ms
        self._in_use = wifi
        self._looking = None
        self._dialling = None
        self._refusal = OSError()

    async def up(self) -> None:
        """Return when there is a network; raises OSError after each was tried in vain."""
        while self._looking is not None:
            await asyncio.sleep_ms(_LOOK_MS)  # The one radio is busy with the search.
        if self._in_use is self._modem and self._modem is not None and self._modem.is_up():
            return
        if self._dialling is None:
            try:
                await self._wifi.up()
            except OSError:
                if self._modem is None:
                    raise
            else:
                self._in_use = self._wifi
                return
            # A task, because a cold modem takes longer than the link gives to one try.
            self._dialling = asyncio.create_task(self._dial())
        while self._dialling is not None:
            await asyncio.sleep_ms(_LOOK_MS)
        if not self._modem.is_up():
            raise self._refusal
        self._in_use = self._modem
        self._since_ms = self._uptime_ms()

    def is_up(self) -> bool:
        """Tell whether what is in use works; asked once a second, it also begins a search."""
        in_use = self._in_use
        if in_use is self._modem and in_use is not None and self._looking is None:
            now = self._uptime_ms()
            if now - self._since_ms >= WIFI_AGAIN_MS:
                self._since_ms = now
                self._looking = asyncio.create_task(self._look_for_wifi())
        return in_use.is_up()

    def rssi_dbm(self) -> int | None:
        """Signal strength of what is in use, or None without a network."""
        return self._in_use.rssi_dbm()

    # Lives until the modem has an address, or refuses.
    async def _dial(self) -> None:
        try:
            await self._modem.up()
        except OSError as error:
            self._refusal = error
        finally:
            self._dialling = None

    # Lives as long as one search.
    async def _look_for_wifi(self) -> None:
        try:
            await self._wifi.up()
        except OSError:
            pass
        else:
            self._in_use = self._wifi
            self._modem.down()
        finally:
            self._looking = None
