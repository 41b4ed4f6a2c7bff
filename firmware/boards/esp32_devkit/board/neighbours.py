"""The radio between neighbours: ESP-NOW, broadcast, on the channel of the Wi-Fi station.

Never run on a chip yet (docs/flashing.md). Without an access point the station stays on the
channel of the last one, which neighbours of one village share.
"""

import network
from aioespnow import AIOESPNow

_EVERYBODY = b"\xff" * 6


class Neighbours:
    """`send` reaches whoever is near; `receive` waits for the next frame heard."""

    def __init__(self) -> None:
        self._radio = None

    def send(self, frame: bytes) -> None:
        """Say it once to whoever listens; nobody acknowledges a broadcast."""
        try:
            self._open().send(_EVERYBODY, frame, False)
        except OSError as error:
            print("neighbours:", error)

    async def receive(self) -> bytes:
        """Return the next frame heard."""
        while True:
            _, frame = await self._open().airecv()
            if frame:
                return bytes(frame)

    def _open(self) -> AIOESPNow:
        if self._radio is None:
            network.WLAN(network.STA_IF).active(True)
            radio = AIOESPNow()
            radio.active(True)
            try:
                radio.add_peer(_EVERYBODY)
            except OSError as error:
                if error.args[-1] != "ESP_ERR_ESPNOW_EXIST":
                    raise
            self._radio = radio
        return self._radio
