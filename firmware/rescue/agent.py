"""The rescue agent: a link, an SOS, the reason why, and the way back to an application.

It never loops and never gives up: what it can do by itself it does (fetch an application, save
what a broken journal holds and make it anew), and every half an hour the application gets a trial,
since whatever broke it may be gone.
"""

import asyncio
import gc
import json

from boots import ANEW, SENT, keep
from device.adapters.clock import Clock
from device.adapters.kept import Kept
from device.adapters.mqtt_link import Link
from device.late import forget
from device.supervisor import Supervisor

from rescue.alarm import Alarm
from rescue.outbox import Outbox
from wire_protocol import clock as quality
from wire_protocol import lean
from wire_protocol.errors import WireError

JOURNAL = "/journal"
TRIAL_MS = 1_800_000
STATE_MS = 600_000
TICK_MS = 500
HAND_OVER_MS = 15_000  # Without a link nobody is waited for any longer.
COMMANDS_MAX = 16  # Ids remembered, so that a command sent twice is refused once.
CRASHES_TOLD_MAX = 3


class Agent:
    """All that runs when the application does not.

    Attributes:
        busy: Something is being written that a reset would only delay: no trial now.
    """

    def __init__(self, board, reason: str) -> None:
        with open("/rescue.json") as file:
            build = json.load(file)
        self.board, self.reason = board, reason
        self.build = build
        self.kept = Kept(JOURNAL)
        boot = self.kept.load("boot")
        self._boot = boot if isinstance(boot, int) else 0
        self.clock = Clock(board, self.kept, build["built_s"])
        self.link = Link(board, self)
        self.alarm = Alarm(self)
        read, on_bad = self._read_found, self.alarm.on_bad
        self.outbox = Outbox(self.link, self.clock, self._boot, read, on_bad)
        self.supervisor = Supervisor(board, self.kept, self._boot)
        self.supervisor.on_crash = self.report
        self.supervisor.is_needed = self.alarm.state
        self.buffer = bytearray(4096)  # The one for all that handles blocks of flash.
        self.busy = False
        self.journal_broken = False
        self._salvage = None
        self._fetch = None
        self._commands = []
        self._told_ms = None
        self.supervisor.add("link", self.link.run, 300)
        self.supervisor.add("tick", self._tick, 30)
        self.supervisor.add("buttons", self.alarm.listen, 60)
        self.supervisor.add("work", self._work, None)

    def run(self) -> None:
        """Run for ever."""
        self.report("rescue agent runs, reason: " + self.reason)
        from device.crashes import read, report

        for row in read(self.kept)[-CRASHES_TOLD_MAX:]:
            self.report(report(row))
        forget("device.crashes")
        self.alarm.restore()
        gc.collect()
        asyncio.run(self.supervisor.run())

    def report(self, text: str) -> None:
        """Say something to the command room, for good: it is an event."""
        print("rescue:", text)
        self.outbox.seal("event", "report", {"text": text})

    def changed(self) -> None:
        """The state is another: tell it soon."""
        self._told_ms = None

    # The link's owner.

    def will(self, connection: int) -> bytes:
        """Return what the broker says for us when we are gone."""
        return lean.dump(self._identity(connection, False))

    def on_up(self) -> None:
        """A connection is there."""
        self.outbox.restart()
        self.changed()

    def on_room(self) -> None:
        """The link can take another message: the next tick sees to it."""

    def on_puback(self, token) -> None:
        """The broker has an event or a result."""
        self.alarm.on_puback(token)

    def on_message(self, topic: str, payload: bytes) -> None:
        """Take a message; one that breaks the protocol goes no further."""
        try:
            if topic == "receipt":
                from wire_protocol.lean_parse import parse_receipt

                receipt = parse_receipt(payload)
                self.clock.offer(quality.SERVER, receipt["at"])
                self.outbox.receive(receipt)
                self.alarm.on_receipt()
            elif topic == "block":
                if self._fetch:
                    self._fetch.on_block(payload)
            elif topic in ("sos_status", "command"):
                self._told(topic, payload)
        except WireError as error:
            print("refused", topic, error)
        finally:
            forget("wire_protocol.lean_parse")

    def _told(self, topic: str, payload: bytes) -> None:
        from wire_protocol.lean_told import parse_command, parse_sos_status

        try:
            if topic == "sos_status":
                self.alarm.on_status(parse_sos_status(payload))
                return
            command = parse_command(payload)["id"]
        finally:
            forget("wire_protocol.lean_told")
        if command not in self._commands:
            self._commands = (self._commands + [command])[-COMMANDS_MAX:]
            answer = {"command": command, "status": "refused", "reason": "rescue", "data": None}
            self.outbox.seal("result", "result", answer)

    # Tasks: each lives as long as the agent.

    async def _tick(self, beat) -> None:
        while True:
            beat()
            self.link.poke()
            self.board.settle()
            if self.link.up.is_set():
                self.outbox.send_due()
                self._tell_state()
            self.alarm.show()
            idle = not (self.busy or self.alarm.is_open or self.alarm.is_pressed)
            if idle and self.board.uptime_ms() >= TRIAL_MS and self._has_application():
                self.leave("a trial of the application", ("trial", 1))
            await asyncio.sleep_ms(TICK_MS)

    async def _work(self, _beat) -> None:
        """Save what a journal holds that cannot wait; then do what the reason asks for."""
        await self._save_records()
        if self.reason == "journal":
            while self.outbox.found_wait():
                await asyncio.sleep_ms(TICK_MS)
            await self.hand_over()
            self._make_journal()
        from rescue.fetch import Fetch

        self._fetch = Fetch(self)
        while True:
            await self._fetch.run()

    async def _save_records(self) -> None:
        from rescue.salvage import Salvage

        partition = _partition("journal")
        others = None if self.reason == "journal" else self._is_others
        found = self.alarm.on_saved
        self._salvage = Salvage(partition, self.buffer, self.outbox, others, found)
        while self._salvage.step():
            await asyncio.sleep_ms(0 if self.outbox.found_wait() == 0 else TICK_MS)
        if self._salvage.found:
            self.report("{} records found in the journal, sent".format(self._salvage.found))

    def _is_others(self, record: bytes) -> bool:
        from rescue.salvage import OTHER, holder

        return holder(record, JOURNAL, self.kept) == OTHER

    def _read_found(self, place: tuple) -> bytes:
        from rescue.salvage import FREE, holder

        record = self._salvage.read(place)
        if self.reason == "journal" or holder(record, JOURNAL, self.kept) == FREE:
            # Before it is sent: that journal may not give its number to another record.
            keep(("lost", SENT))
        return record

    def _make_journal(self) -> None:
        from packed import NoJournal
        from vfs import VfsLfs2, mount, umount

        self.busy = True
        # Said first: a format that is cut short leaves a journal that cannot be mounted.
        if not keep(("lost", ANEW)):
            # SENT as it would stay, the next start would make it anew again, and so on for ever.
            self.leave("an NVS that refuses", ("trial", 1))
            return
        try:
            # The old one may be mounted after all; nothing may write into the new one through it.
            umount(JOURNAL)
            mount(NoJournal(), JOURNAL)  # pyright: ignore[reportArgumentType]
            VfsLfs2.mkfs(_partition("journal"))
        except OSError as error:
            # The application works without one, and says so.
            self.leave("no journal, it cannot be made: {}".format(error), ("trial", 1))
            return
        self.leave("a journal made anew")

    async def hand_over(self) -> None:
        """Return when a reset takes nothing away: no SOS is open, and what was said was heard."""
        self.busy = True
        until_ms = self.board.uptime_ms() + HAND_OVER_MS
        while True:
            now = self.board.uptime_ms()
            if self.alarm.is_open or self.alarm.is_pressed:
                # Whoever calls for help keeps the light that says who heard it.
                until_ms = now + HAND_OVER_MS
            elif now >= until_ms or not self.outbox.waits_for_any():
                return
            await asyncio.sleep_ms(TICK_MS)

    def leave(self, why: str, *numbers) -> None:
        """Keep numbers in NVS and start again; returns if they cannot be kept, for good."""
        print("rescue: leaves for", why)
        if keep(*numbers):
            self.board.reset()
        # The next start would come to this point again, and so on for ever.
        self.busy = True

    def _has_application(self) -> bool:
        import flash

        return flash.slot is not None

    # The state.

    def _identity(self, connection: int, online: bool) -> dict:
        return {
            "online": online,
            "epoch": self.outbox.epoch,
            "boot": self._boot,
            "connection": connection,
        }

    def _tell_state(self) -> None:
        now = self.board.uptime_ms()
        if self._told_ms is not None and now - self._told_ms < STATE_MS:
            return
        gc.collect()
        board = self.board
        state = self._identity(self.link.connection, True)
        state.update(self.clock.stamp())
        faults = {"rescue", "rescue_" + self.reason}
        for name in self.supervisor.crashed:
            faults.add("crash_" + name)
        state.update({
            "device_kind": board.config.get("device_kind"),
            "version": self.build["version"],
            "battery_mv": board.battery_mv(),
            "battery_percent": None,
            "rssi_dbm": board.rssi_dbm(),
            "heap_free": gc.mem_free(),
            "reset": board.reset_reason(),
            "duty": False if board.config.get("device_kind") == "terminal" else None,
            "sos": self.alarm.state(),
            "fix_age_s": None,
            "held": self.outbox.held(),
            "dropped": self.outbox.dropped,
            "faults": sorted(faults),
            "muted": {},
        })  # fmt: skip
        if self.link.publish("state", lean.dump(state), 1):
            self._told_ms = now


def _partition(label: str):  # noqa: ANN202 - the chip's own class
    from esp32 import Partition

    return Partition.find(Partition.TYPE_DATA, label=label)[0]
