"""What both kinds of device are made of: clock, journal, link, sender, orders, state."""

import asyncio

from device.adapters.clock import Clock
from device.adapters.kept import Kept
from device.adapters.mqtt_link import Link
from device.late import forget, make_once
from device.services.logbook import Logbook
from device.services.orders import Orders
from device.services.sender import Sender
from device.supervisor import Supervisor
from wire_protocol import clock as quality
from wire_protocol import lean
from wire_protocol.errors import WireError

TICK_MS = 1_000
STATE_GAP_MS = 2_000  # Changes closer together than this are told together.
LOOK_TICKS = 5  # What changes by itself (battery, faults) is looked at this often.
BATTERY_LOW_MV = 3_450


class Station:
    """One device; the kind (Terminal, SensorNode) adds its own to it.

    A kind has `state() -> dict`, `faults() -> list`, `order(kind, body, command)`,
    `on_sos_status(status)`, `on_watch(lease_s)`, `on_receipt(receipt)`, `on_puback(token)`,
    `on_tick()`, `on_expired(command)` and `is_pressed()`: an SOS button is held, or was just now.
    """

    def __init__(self, board, settings, build: dict, kind) -> None:
        self.board = board
        self.settings = settings
        self.kind = kind
        self.kept = make_once(Kept, board.journal_path)
        self.clock = make_once(Clock, board, self.kept, build["built_s"])
        self.logbook = make_once(Logbook, board, self.kept, self.clock)
        self.link = make_once(Link, board, self)
        self.sender = Sender(self.logbook, self.link, self.clock)
        self.logbook.on_sealed = self.sender.poke
        self.orders = make_once(Orders, self.kept, self.clock, self.logbook)
        self.supervisor = make_once(Supervisor, board, self.kept, self.logbook.boot)
        self.supervisor.on_well = board.well
        self.supervisor.on_crash = self._report
        self.refused = 0  # Messages for us that broke the protocol.
        self.version = build["version"]
        self.relayed = None  # The frame of our SOS that neighbours carried last.
        # What of a neighbour's we carried last, when, and until when all that was is paid for.
        self.carried = (None, 0, 0)
        self.trial = False  # Settings are on trial until the first receipt.
        self.reset_ms = None  # Uptime at which to start again, as a command wants it.
        self.calm_ms = 0  # Uptime at which no SOS was open; counted while settings are on trial.
        self._changed = True
        self._told = None  # What of the state the broker was told last.
        self._told_ms = 0
        self._told_held = False  # Records waited when it was told.
        self.supervisor.add("link", self.link.run, 300)
        self.supervisor.add("sender", self.sender.run, 60)
        self.supervisor.add("tick", self._tick, 30)

    # The link's owner.

    def will(self, connection: int) -> bytes:
        """Return what the broker says for us when we are gone."""
        return lean.dump(self.identity(connection, False))

    def on_up(self) -> None:
        """A connection is there."""
        self.logbook.name_lost()
        self.sender.restart()
        self._told = None
        self._changed = True

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
                from wire_protocol.lean_parse import parse_receipt

                self.on_receipt(parse_receipt(payload))
                if self.trial:
                    from device.services.changes import end_trial

                    end_trial(self, True)
                    forget("device.services.changes")
            elif topic == "relay":
                self.board.neighbours.send(payload)
            else:
                from device.services.told import take

                take(self, topic, payload)
        except WireError as error:
            self.refused += 1
            print("refused", topic, error)
        finally:
            forget("device.services.told", "wire_protocol.lean_told", "wire_protocol.lean_parse")

    def deed(self, kind: str, body: dict, command: str) -> tuple:
        """Run a command that both kinds of device know: (status, reason, data)."""
        from device.services.deeds import do

        try:
            return do(self, kind, body, command)
        finally:
            forget("device.services.deeds")

    def changed(self) -> None:
        """The state may be another: tell it soon."""
        self._changed = True

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

    def _report(self, text: str) -> None:
        self.logbook.event("report", {"text": text})

    def on_receipt(self, receipt: dict) -> None:
        """Take a receipt, from the broker or as neighbours brought it."""
        self.clock.offer(quality.SERVER, receipt["at"])
        journal, sender = self.logbook.journal, self.sender
        if receipt["epoch"] != journal.epoch and sender.old:
            sender = sender.old
            journal = self.logbook.old.journal  # pyright: ignore[reportAttributeAccessIssue]
        if receipt["epoch"] != journal.epoch:
            return
        for stream, counts in receipt["streams"].items():
            journal.receive(stream, counts[0], counts[1:])
        forget("device.adapters.journal_receipt")
        sender.on_receipt(receipt["streams"])
        self.sender.poke()
        self.supervisor.well()
        self.kind.on_receipt(receipt)

    def identity(self, connection: int, online: bool) -> dict:
        """Return what every state begins with."""
        return {
            "online": online,
            "epoch": self.logbook.journal.epoch,
            "boot": self.logbook.boot,
            "connection": connection,
        }

    def _compose(self) -> bytes:
        import gc

        # Before the part that composes takes its share.
        gc.collect()
        heap_free = gc.mem_free()
        from device.services.state import compose

        try:
            return compose(self, heap_free)
        finally:
            forget("device.services.state")

    # Task: lives as long as the device. One task for all that looks at the clock: each task of
    # its own would cost half a kilobyte.
    async def _tick(self, beat) -> None:
        ticks = 0
        while True:
            beat()
            ticks += 1
            self.board.settle()
            self.clock.keep_if_due()
            for command in self.orders.expire():
                self.kind.on_expired(command)
            self.kind.on_tick()
            if self.trial or self.reset_ms is not None:
                self._watch_over()
            self.link.poke()
            self.sender.poke()
            if self.link.up.is_set():
                self.logbook.name_lost()
                self._tell_state(ticks % LOOK_TICKS == 0)
            await asyncio.sleep_ms(TICK_MS)

    # Not in the task: its frame would keep what it has loaded.
    def _watch_over(self) -> None:
        from device.services.changes import watch_over

        watch_over(self)
        forget("device.services.changes")

    def _tell_state(self, look: bool) -> None:
        """Publish the state if it is due, or if it changed and the last one was not just now."""
        since_ms = self.clock.uptime_ms() - self._told_ms
        due = self._told is None or since_ms >= self.settings.state_s * 1000
        if not due and (since_ms < STATE_GAP_MS or not (look or self._changed)):
            return
        self._changed = False
        state = self.kind.state()
        # What of it is told at once when it changes.
        essence = state["duty"], state["sos"], sorted(state["muted"]), self.faults()
        drained = self._told_held and not self.logbook.holds()
        if due or drained or essence != self._told:
            held = self.logbook.holds()
            if self.link.publish("state", self._compose(), 1):
                self._told, self._told_ms = essence, self.clock.uptime_ms()
                self._told_held = held
            else:
                self._changed = True


def position(fix, alt_mm: int | None) -> dict:
    """Return a fix as events and results carry it."""
    return {
        "lat": fix.lat_e6,
        "lon": fix.lon_e6,
        "at": fix.at_ms,
        "accuracy_m": fix.accuracy_m,
        "alt_mm": alt_mm,
    }
