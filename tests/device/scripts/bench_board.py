"""A board made of a JSON file, standard input and printed lines: for tests alone.

Orders on standard input, a JSON object a line: {"do": "input", "name", "action"}, {"do": "feed",
"nmea"}, {"do": "set", "sensor", "value"}, {"do": "network", "up"}, {"do": "frame", "hex"},
{"do": "eval", "code"}.
"""

import asyncio
import binascii
import json
import sys
import time


def say(**fields):
    print(json.dumps(fields))


class Receiver:
    def __init__(self):
        self._bytes = b""
        self._came = asyncio.Event()

    def feed(self, data):
        self._bytes += data
        self._came.set()

    async def readinto(self, buffer):
        while not self._bytes:
            self._came.clear()
            await self._came.wait()
        size = min(len(buffer), len(self._bytes))
        buffer[:size] = self._bytes[:size]
        self._bytes = self._bytes[size:]
        return size


class Radio:
    """Neighbours: what they say is fed, what they hear is told."""

    def __init__(self):
        self._frames = []
        self._came = asyncio.Event()

    def hear(self, frame):
        self._frames.append(frame)
        self._came.set()

    def send(self, frame):
        say(shown="radio", value=frame.hex())

    async def receive(self):
        while not self._frames:
            self._came.clear()
            await self._came.wait()
        await asyncio.sleep_ms(0)
        return self._frames.pop(0)


class Watchdog:
    def __init__(self):
        self.fed = 0

    def feed(self):
        self.fed += 1


class Board:
    journal_state = "kept"
    journal_lost = False

    def __init__(self, path):
        with open(path) as file:
            made = json.load(file)
        self.device_id = made["device_id"]
        self.certificate_der = binascii.unhexlify(made["certificate"])
        self.key_der = binascii.unhexlify(made["key"])
        self.ca_der = binascii.unhexlify(made["ca"])
        self.config = made["config"]
        self.journal_path = made["journal_path"]
        self.journal_state = made.get("journal_state", "kept")
        self.journal_lost = made.get("journal_lost", False)
        self.receiver = Receiver()
        has_radio = made.get("neighbours") or made["config"].get("relay")
        self.neighbours = Radio() if has_radio else None
        self.relay_key = bytes(32)
        self.sensors = made.get("sensors", {})
        self.shown = {}
        self._rtc_s = made.get("rtc_s", 0)
        self._network = made.get("network", True)
        self._inputs = []
        self._came = asyncio.Event()
        self._started = time.ticks_ms()
        self._faster = made.get("faster", 1)  # Its clock runs so many times as fast.
        self.station = None

    async def network_up(self):
        for _ in range(200):
            if self._network:
                return
            await asyncio.sleep_ms(100)
        raise OSError("no network")

    def settle(self):
        self._came.set()

    def network_is_up(self):
        return self._network

    def rssi_dbm(self):
        return -60

    def _input(self, name, action):
        self._inputs.append((name, action))
        self._came.set()

    async def next_input(self):
        if not self._inputs:
            self._came.clear()
            await self._came.wait()
        return self._inputs.pop(0) if self._inputs else ("", "")

    def light(self, pattern):
        self._show("light", pattern)

    def vibrate(self, pattern):
        self._show("vibrate", pattern)

    def tone(self, pattern):
        self._show("tone", pattern)

    def screen(self, lines):
        if self.shown.get("screen") != lines:
            self._show("screen", lines)

    def status(self, name, value):
        if self.shown.get(name) != value:
            self._show(name, value)

    def battery_mv(self):
        return 3900

    def sensor_read(self, name):
        return self.sensors.get(name)

    def rtc_s(self):
        return self._rtc_s

    def set_rtc(self, unix_s):
        self._rtc_s = unix_s
        say(rtc_s=unix_s)

    def uptime_ms(self):
        return time.ticks_diff(time.ticks_ms(), self._started) * self._faster

    def reset(self):
        say(reset=True)
        raise SystemExit(3)

    def reset_reason(self):
        return "power"

    def well(self):
        self._show("well", True)

    def watchdog(self, _timeout_ms):
        return Watchdog()

    def _show(self, name, value):
        self.shown[name] = value
        say(shown=name, value=value)

    async def obey(self):
        """Take orders for ever."""
        lines = asyncio.StreamReader(sys.stdin)
        while True:
            line = await lines.readline()
            if not line:
                return
            order = json.loads(line)
            if order["do"] == "input":
                self._input(order["name"], order["action"])
            elif order["do"] == "hold":
                # Timed here: on a busy machine press and release may arrive together.
                self._input(order["name"], "press")
                await asyncio.sleep_ms(order["ms"])
                self._input(order["name"], "release")
            elif order["do"] == "feed":
                self.receiver.feed(order["nmea"].encode())
            elif order["do"] == "frame":
                self.neighbours.hear(binascii.unhexlify(order["hex"]))
            elif order["do"] == "set":
                self.sensors[order["sensor"]] = order["value"]
            elif order["do"] == "network":
                self._network = order["up"]
            elif order["do"] == "eval":
                say(answer=eval(order["code"], {"station": self.station, "board": self}))
