"""The board and the link of the simulated device: buttons, receiver, lights, a gateway."""

import asyncio

from chip.identity import Identity
from device.domain import indications

LATENCY_MS = 250
SOS_HOLD_MS = 900
FLYING_MAX = 4  # As in device.adapters.mqtt_link.


class Reset(BaseException):
    """The device starts again by itself."""


class Receiver:
    """Says what it is fed."""

    def __init__(self):
        self._bytes = b""
        self._came = asyncio.Event()

    def feed(self, content):
        self._bytes += content
        self._came.set()

    async def readinto(self, buffer):
        while not self._bytes:
            self._came.clear()
            await self._came.wait()
        size = min(len(buffer), len(self._bytes))
        buffer[:size] = self._bytes[:size]
        self._bytes = self._bytes[size:]
        return size


class Watchdog:
    """Bites nobody."""

    def feed(self):
        pass


class Board(Identity):
    """One power cycle's board; who it is comes from the flash.

    Attributes:
        shown_open: How often the wearer was told that the SOS is latched.
        lines: What the screen shows.
    """

    journal_path = "/journal"
    neighbours = None

    def __init__(self, boot, gateway):
        super().__init__()
        self.journal_state, self.journal_lost = boot.journal, boot.journal_lost
        self.gateway = gateway
        self._boot = boot
        self.receiver = Receiver()
        self.sensors = {}
        self.shown_open = 0
        self.lines = ()
        self._open = indications.pattern(indications.PATTERNS["open"][1])
        self._began_ms = asyncio.now_ms
        self._rtc_s = 0
        self._inputs = []
        self._came = asyncio.Event()

    def put_input(self, name, action):
        self._inputs.append((name, action))
        self._came.set()

    async def next_input(self):
        if not self._inputs:
            self._came.clear()
            await self._came.wait()
        return self._inputs.pop(0) if self._inputs else ("", "")

    def light(self, pattern):
        pass

    def vibrate(self, pattern):
        if pattern == self._open:
            self.shown_open += 1

    def tone(self, pattern):
        pass

    def screen(self, lines):
        self.lines = lines

    def status(self, name, value):
        if name == "sealed":
            stream, epoch, seq, count = value
            self.gateway.witness(epoch, stream, seq, count)

    def battery_mv(self):
        return 3900

    def sensor_read(self, name):
        return self.sensors.get(name)

    def rtc_s(self):
        return self._rtc_s

    def set_rtc(self, unix_s):
        self._rtc_s = unix_s

    def uptime_ms(self):
        return asyncio.now_ms - self._began_ms

    def settle(self):
        self._boot.settle()
        self._came.set()

    def well(self):
        self._boot.well()

    def reset(self):
        raise Reset

    def reset_reason(self):
        return "power"

    def rssi_dbm(self):
        return -60 if self.gateway.online else None

    def network_is_up(self):
        return self.gateway.online

    def watchdog(self, _timeout_ms):
        return Watchdog()


class Link:
    """The interface of `device.adapters.mqtt_link`, with the gateway at its other end."""

    def __init__(self, board, owner):
        self.up = asyncio.Event()
        self.connection = 0
        self.trouble = ""
        self._gateway = board.gateway
        self._owner = owner
        self._pubacks = []

    def set_urgent(self, urgent):
        pass

    def poke(self):
        pass

    def publish(self, kind, payload, qos, token=None, is_sos=False):
        if not self.up.is_set() or len(self._pubacks) >= FLYING_MAX - (not is_sos):
            return False
        self._gateway.take(kind, payload)
        if qos:
            self._pubacks.append(token)
        return True

    def is_flying(self, token):
        return token in self._pubacks

    async def run(self, beat):
        gateway = self._gateway
        while True:
            beat()
            await asyncio.sleep_ms(LATENCY_MS)
            if gateway.online and not self.up.is_set():
                self.connection += 1
                # What was on its way when the connection before ended is lost.
                gateway.down = []
                self._pubacks = []
                self.up.set()
                self._owner.on_up()
            elif not gateway.online:
                self.up.clear()
            if self.up.is_set():
                self._deliver()

    def _deliver(self):
        pubacks, self._pubacks = self._pubacks, []
        for token in pubacks:
            if token is not None:
                self._owner.on_puback(token)
        down, self._gateway.down = self._gateway.down, []
        for topic, payload in down:
            self._owner.on_message(topic, payload)
        self._owner.on_room()


def link_module():
    """Return what stands in for the module of the device's link, new in each power cycle."""

    class OneLink(Link):
        # The device drops the constructor when it has its link.
        def __init__(self, board, owner):
            Link.__init__(self, board, owner)

    class Module:
        Link = OneLink

    return Module
