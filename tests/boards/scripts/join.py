"""Joins networks as the ESP32's Wi-Fi adapter does, on CPython and MicroPython: `join.py CASE`.

`network` stands for the chip's own module, with its names and its ways: a status is what the last
try came to until a newer one says something else. The clock is the script's.
"""

import asyncio
import sys

STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP = 1000, 1001, 1010
STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD = 201, 202
ANSWER_MS = 1_000  # Until an access point has answered.

now_ms = 0
air = {}  # name -> password of the access points that are there
tried = []


class WLAN:
    def __init__(self, interface):
        assert interface == Network.STA_IF
        self.on = self.joined = False
        self.last = STAT_IDLE
        self.due_ms = self.wanted = None

    def active(self, on):
        self.on = on

    def connect(self, ssid, key):
        assert self.on
        assert key != ""
        tried.append(ssid)
        self.wanted, self.due_ms = (ssid, key), now_ms + ANSWER_MS

    def disconnect(self):
        self.joined, self.wanted = False, None

    def isconnected(self):
        self.settle()
        return self.joined

    def status(self, what=None):
        self.settle()
        if what == "rssi":
            return -55
        return STAT_GOT_IP if self.joined else self.last

    def settle(self):
        if self.wanted and now_ms >= self.due_ms:
            ssid, key = self.wanted
            if ssid not in air:
                self.last = STAT_NO_AP_FOUND
            elif air[ssid] != (key or ""):
                self.last = STAT_WRONG_PASSWORD
            else:
                self.joined = True


class Network:
    STA_IF = 0
    STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD = STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD
    WLAN = WLAN

    @staticmethod
    def hostname(name):
        assert name == "t-0001"


class Time:
    @staticmethod
    def ticks_ms():
        return now_ms

    @staticmethod
    def ticks_diff(later, earlier):
        return later - earlier


async def sleep_ms(wait_ms):
    global now_ms  # noqa: PLW0603 - the script's one clock
    now_ms += wait_ms


# What CPython lacks, and the script's clock for both.
asyncio.sleep_ms = sleep_ms
sys.modules["time"] = Time
sys.modules["network"] = Network
from wifi import Wifi  # noqa: E402 - after what stands for the chip


async def step(wifi, what):
    began = now_ms
    try:
        await wifi.up()
        print(what, "up", tried[-1] if tried else None, wifi.rssi_dbm(), now_ms - began)
    except OSError as error:
        print(what, error.args[1], wifi.rssi_dbm(), now_ms - began)


async def rotation(wifi, config):
    config["networks"] = [["village", "12345678"], ["station", "87654321"], ["open", ""]]
    air["open"] = ""
    for what in ("first", "second", "third"):
        await step(wifi, what)
    # The last good one first, although others are there now.
    wifi.down()
    air["village"] = "12345678"
    await step(wifi, "again")
    wifi.down()
    del air["open"]
    await step(wifi, "gone")
    await step(wifi, "round")


async def password(wifi, config):
    config["networks"] = [
        ["village", "wrong one"],
        ["station", "also wrong"],
        ["post", "87654321"],
    ]
    air.update({"village": "12345678", "station": "12345678", "post": "87654321"})
    for what in ("first", "second", "third"):
        await step(wifi, what)


async def alone(wifi, config):
    await step(wifi, "none")
    config["networks"] = [["village", "wrong one"]]
    air["village"] = "12345678"
    await step(wifi, "wrong")
    # Settings of a command, put over the board's own after it was made; and fewer than before.
    config["networks"] = [["other", ""], ["village", "12345678"]]
    await step(wifi, "changed")
    await step(wifi, "joined")
    wifi.down()
    config["networks"] = [["village", "12345678"]]
    await step(wifi, "fewer")


config = {}
cases = {"rotation": rotation, "password": password, "alone": alone}
asyncio.run(cases[sys.argv[1]](Wifi("t-0001", config), config))
