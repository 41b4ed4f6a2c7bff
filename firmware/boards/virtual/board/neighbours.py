"""The radio between neighbours, here datagrams on loopback: who hears whom stands in rig.json.

`"radio": [own port, [ports of who is near]]`. A frame goes to each of them, with or without a
network, and may be lost like one of ESP-NOW.
"""

import sys
from asyncio import core

FRAME_BYTES_MAX = 250  # ESP-NOW's ESP_NOW_MAX_DATA_LEN


class Neighbours:
    """`send` reaches whoever is near; `receive` waits for the next frame heard."""

    def __init__(self, wired: list) -> None:
        port, near = wired
        radio = sys.modules["socket"]
        radio.spare_next()
        self._socket = radio.socket(radio.AF_INET, radio.SOCK_DGRAM)
        self._socket.setsockopt(radio.SOL_SOCKET, radio.SO_REUSEADDR, 1)
        self._socket.setblocking(False)
        self._socket.bind(radio.getaddrinfo("127.0.0.1", port)[0][-1])
        self._near = [radio.getaddrinfo("127.0.0.1", other)[0][-1] for other in near]

    def send(self, frame: bytes) -> None:
        """Say it once to whoever listens."""
        for address in self._near:
            try:
                self._socket.sendto(frame, address)
            except OSError:
                pass  # Nobody is there.

    # A generator is what MicroPython awaits; its asyncio has datagrams nowhere else.
    def receive(self) -> object:
        """Return the next frame heard; to be awaited."""
        while True:
            yield core._io_queue.queue_read(self._socket)  # noqa: SLF001
            try:
                return self._socket.recv(FRAME_BYTES_MAX)
            except OSError:
                pass  # What came was not for us, or a neighbour's port is closed.
