"""Dials as the ESP32's modem adapter does: `dial.py PORT`, a modem's UART as a TCP connection.

`network.PPP` stands for the chip's own; it connects as soon as the line carries PPP's first flag.
"""

import asyncio
import socket
import sys


class PPP:
    def __init__(self, uart):
        self.uart = uart
        self.up = False

    def active(self, on):
        self.up = self.up and on

    def connect(self):
        self.uart.write(b"\x7e")
        self.up = True

    def isconnected(self):
        return self.up

    def disconnect(self):
        self.up = False


class Network:
    PPP = PPP


sys.modules["network"] = Network
from modem import Modem  # noqa: E402 - after what stands for the chip

line = socket.socket()
line.connect(socket.getaddrinfo("127.0.0.1", int(sys.argv[1]))[0][-1])
line.setblocking(False)
modem = Modem(line, "internet")
try:
    asyncio.run(modem.up())
    print("up", modem.is_up(), modem.rssi_dbm())
    modem.down()
    print("down", modem.is_up(), modem.rssi_dbm())
except OSError as error:
    print("refused", error)
