"""One bearer of the virtual board: an access point or a cell that can go away.

All bearers share the host's sockets; what is connected is cut when the one that is used goes.
"""

import asyncio


class Air:
    """A network that is there or not.

    Args:
        radio: The launcher's sockets.
        dbm: How strong it is.
        wait_s: How long it is waited for.
    """

    in_use = None  # The one bearer that carries now.

    def __init__(self, radio, dbm: int, wait_s: int) -> None:
        self._radio = radio
        self._dbm = dbm
        self._wait_s = wait_s
        self.there = True

    async def up(self) -> None:
        """Return when it carries; raises OSError if it is not there."""
        for _ in range(self._wait_s):
            if self.there:
                Air.in_use = self
                self._radio.switch(True)
                return
            await asyncio.sleep(1)
        raise OSError(101, "no network")

    def is_up(self) -> bool:
        """Tell whether it is there."""
        return self.there

    def down(self) -> None:
        """Hang up: what is connected over it is cut."""
        self._radio.switch(False)
        self._radio.switch(True)

    def switch(self, there: bool) -> None:
        """It goes away, or comes back."""
        self.there = there
        if not there and Air.in_use in (None, self):
            self._radio.switch(False)
        elif there and Air.in_use in (None, self):
            self._radio.switch(True)

    def rssi_dbm(self) -> int | None:
        """Signal strength, or None while it is away."""
        return self._dbm if self.there else None
