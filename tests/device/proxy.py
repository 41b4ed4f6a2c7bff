"""Passes bytes between a device and its broker until it is told to cut the line."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from typing import Self


class Proxy:
    """One connection at a time, cut after a number of bytes.

    Attributes:
        port: Where the device connects.
        cuts: How often the line was cut.
    """

    def __init__(self, broker_port: int) -> None:
        self.cuts = 0
        self._broker_port = broker_port
        self._left: int | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left = 0
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def cut_after(self, size: int | None) -> None:
        """Cut the line once so many more bytes have passed; None: never."""
        self._left = size

    def _accept(self) -> None:
        while True:
            try:
                device, _ = self._listener.accept()
            except OSError:
                return
            with device, contextlib.suppress(OSError):
                self._join(device)

    def _join(self, device: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._broker_port)) as broker:
            self._pass(device, broker)

    def _pass(self, device: socket.socket, broker: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(device, selectors.EVENT_READ, broker)
            selector.register(broker, selectors.EVENT_READ, device)
            while True:
                for key, _ in selector.select(0.2):
                    data = key.fileobj.recv(2048)
                    if not data:
                        return
                    if self._left is not None:
                        data = data[: max(0, self._left)]
                        self._left -= len(data)
                    key.data.sendall(data)
                if self._left is not None and self._left <= 0:
                    self.cuts += 1
                    self._left = 1500  # The next one lives a little.
                    return
