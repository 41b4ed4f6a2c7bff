"""What both kinds of device are made of: clock, journal, link, sender, orders, state."""

import asyncio
import gc

from device.adapters.clock import Clock
from device.adapters.kept import Kept
from device.adapters.mqtt_link import Link
from device.services.logbook import Logbook
from device.services.orders import Orders
from device.services.sender import Sender
from device.supervisor import Supervisor
from wire_protocol import clock as quality
from wire_protocol import device_messages
from wire_protocol.errors import WireError

HOUSEKEEPING_MS = 5_000
STATE_RETRY_MS = 1_000
STATE_GAP_MS = 2_000  # Changes closer together than this are told together.
BATTERY_EMPTY_MV = 3_300
BATTERY_FULL_MV = 4_150
BATTERY_LOW_MV = 3_450


class Station:
    """One device. The kind (Terminal, SensorNode) adds its own to it:

    `state() -> dict` and `faults() -> list`, `order(kind, body, command)`, `on_message(kind,
    payload)` for topics of its own, `on_receipt()` and `on_puback(token)`.
    """

    def __init__(self, board, settings, build: dict, kind) -> None:
        self.board = board
        self.settings = settings
        self.kind = kind
        self.kept = Kept(board.journal_path)
        self.clock = Clock(board, self.kept, build["built_s"])
        self.logbook = Logbook(board, self.kept, self.clock)
        self.link = Link(board, self)
        self.sender = Sender(self.logbook, self.link, self.clock)
        self.logbook.on_sealed = self.sender.poke
        self.orders = Orders(kind, self.kept, self.clock, self.logbook)
        self.supervisor = Supervisor(board, self.kept, self.logbook.boot)
        self.refused = 0  # Messages for us that broke the protocol.
        self._version = build["version"]
        self._changed = asyncio.Event()
        self._told = None
        self.supervisor.add("link", self.link.run, 300)
        self.supervisor.add("sender", self.sender.run, 60)
        self.supervisor.add("state", self._tell_state, 60)
        self.supervisor.add("housekeeping", self._keep_house, 60)

    # The link's owner.

    def will(self, connection: int) -> bytes:
        """Return what the broker says for us when we are gone."""
        return device_messages.make_state(self._identity(connection, False))

    def on_up(self) -> None:
        """A connection is there."""
        self.logbook.name_lost()
        self.sender.restart()
        self._told = None
        self._changed.set()

    def on_room(self) -> None:
        """The link can take another message."""
        self.sender.poke()

    def on_puback(self, token) -> None:
        """The broker has an event or a result."""
        self.kind.on_puback(token)

    def on_message(self, topic: str, payload: bytes) -> None:
        """Take a message; one that breaks the protocol is counted and goes no further."""
        try:
            if topic == "receipt":
                self._on_receipt(device_messages.parse_receipt(payload))
            elif topic == "command":
                self.orders.on_command(payload)
            elif topic == "mute":
                self.orders.on_mute(payload)
            else:
                self.kind.on_message(topic, payload)
        except WireError as error:
            self.refused += 1
            print("refused", topic, error)

    def changed(self) -> None:
        """The state may be another: tell it soon."""
        self._changed.set()

    def faults(self) -> list:
        """Return the names of everything that is wrong, at most 16."""
        names = set(self.logbook.faults)
        if self.kept.fault:
            names.add("flash")
        for name in self.supervisor.crashed:
            names.add("crash_" + name)
        battery_mv = self.board.battery_mv()
        if battery_mv is not None and battery_mv < BATTERY_LOW_MV:
            names.add("battery_low")
        return sorted(names | set(self.kind.faults()))[:16]

    def _on_receipt(self, receipt: dict) -> None:
        self.clock.offer(quality.SERVER, receipt["at"])
        journal = self.logbook.journal
        if receipt["epoch"] != journal.epoch:
            return
        for stream, counts in receipt["streams"].items():
            journal.receive(stream, counts[0], counts[1:])
        self.sender.on_receipt(receipt["streams"])
        self.kind.on_receipt()

    def _identity(self, connection: int, online: bool) -> dict:
        return {
            "online": online,
            "epoch": self.logbook.journal.epoch,
            "boot": self.logbook.boot,
            "connection": connection,
        }

    def _state(self) -> dict:
        journal = self.logbook.journal
        battery_mv = self.board.battery_mv()
        gc.collect()
        state = self._identity(self.link.connection, True)
        state.update(self.clock.stamp())
        state.update({
            "device_kind": self.board.config["device_kind"],
            "version": self._version,
            "battery_mv": battery_mv,
            "battery_percent": _percent(battery_mv),
            "rssi_dbm": self.board.rssi_dbm(),
            "heap_free": gc.mem_free(),
            "reset": self.board.reset_reason(),
            "held": {s: journal.held(s) for s in ("track", "reading", "event", "result")},
            "dropped": journal.dropped,
            "faults": self.faults(),
        })  # fmt: skip
        state.update(self.kind.state())
        return state

    def _essence(self) -> tuple:
        """Return what of the state is told at once when it changes."""
        state = self.kind.state()
        return state["duty"], state["sos"], sorted(state["muted"]), self.faults()

    # Task: lives as long as the device.
    async def _tell_state(self, beat) -> None:
        told_ms = 0
        while True:
            beat()
            now = self.clock.uptime_ms()
            due = now - told_ms >= self.settings.state_s * 1000
            if self.link.up.is_set() and (self._told is None or due or self._changed.is_set()):
                self._changed.clear()
                essence = self._essence()
                if due or essence != self._told:
                    message = device_messages.make_state(self._state())
                    if self.link.publish("state", message, 1):
                        self._told, told_ms = essence, now
                        await asyncio.sleep_ms(STATE_GAP_MS)
                    else:
                        self._changed.set()
                        await asyncio.sleep_ms(STATE_RETRY_MS)
                    continue
            try:
                await asyncio.wait_for_ms(self._changed.wait(), 20_000)
            except asyncio.TimeoutError:
                self._changed.set()

    # Task: lives as long as the device.
    async def _keep_house(self, beat) -> None:
        while True:
            beat()
            self.clock.keep_if_due()
            if self.link.up.is_set():
                self.logbook.name_lost()
            self.kind.keep_house()
            self._changed.set()
            await asyncio.sleep_ms(HOUSEKEEPING_MS)


def _percent(battery_mv: int | None) -> int | None:
    if battery_mv is None:
        return None
    share = (battery_mv - BATTERY_EMPTY_MV) * 100 // (BATTERY_FULL_MV - BATTERY_EMPTY_MV)
    return max(0, min(100, share))


def position(fix, alt_mm: int | None) -> dict:
    """Return a fix as events and results carry it."""
    return {
        "lat": fix.lat_e6,
        "lon": fix.lon_e6,
        "at": fix.at_ms,
        "accuracy_m": fix.accuracy_m,
        "alt_mm": alt_mm,
    }
