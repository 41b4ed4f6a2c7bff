"""The terminal worn by a patroller: receiver, duty, SOS, messages."""

import asyncio

from device.domain.nmea import NmeaParser
from device.domain.recorder import Recorder
from device.domain.sos import IDLE, Sos
from device.late import forget, make_once
from device.services.station import position
from wire_protocol import clock as quality
from wire_protocol.fix import Fix

READ_BYTES = 128  # At 9600 baud an eighth of a second; the chip's own buffer holds the rest.
QUIET_MS = 120  # Receivers send an epoch in one go: after this silence it is over.
NO_FIX_MS = 120_000  # On duty without one for so long is a fault that the state names.
CLICKS = 3  # Short presses of SOS, one soon after the other, raise it without light or tone.
CLICK_MS = 700
SCREEN_TEXT_CHARS = 120
WAIT_S = 60  # Who waits for a button is woken once a second: so long without a turn, it hangs.


class Terminal:
    """One terminal; nothing of it runs before `start`.

    Attributes:
        duty: Whether the wearer is on duty.
        messages: [command, text, what OK says next], the one on the screen first.
        locating: Command -> uptime at which to give up.
        ringing_ms: Uptime until which it rings.
        fix, alt_mm, fix_ms: The last one, with a believable time; its height and its uptime.
        parser: Of the receiver's sentences.
    """

    def __init__(self, board, settings) -> None:
        self._board = board
        self._sos = make_once(Sos)
        self._recorder = make_once(Recorder, settings.batch_fixes, settings.batch_s)
        self.duty = False
        self.fix = self.alt_mm = self.fix_ms = None
        self._watched_until_ms = 0
        self.messages = []
        self.ringing_ms = 0
        self._call_ms = 0  # Uptime at which neighbours are asked again.
        self._trigger = None  # Of an SOS that is being raised.
        self._pressed_ms = 0  # Uptime of the last press; a restart counts as one.
        self._clicks = []  # Uptimes of short presses of SOS.
        self._ok_ms = 0
        self.locating = {}
        self._hold = None  # The task that waits while the SOS button is held.
        self.parser = make_once(NmeaParser)
        self._fed = asyncio.Event()
        self._light = None
        self._told_failing = False

    def start(self, station) -> None:
        """Take up what was before the restart and add the tasks."""
        self.station = station
        add = station.supervisor.add
        add("receiver", self._receive, None)
        add("epochs", self._end_epochs, None)
        add("buttons", self._listen, WAIT_S)
        if self._board.neighbours is not None:
            add("neighbours", self._hear, None)
        duty = station.kept.load("duty")
        if duty is None:
            self.set_duty(self.station.settings.duty, "boot")
        else:
            self.duty = duty is True
        for row in station.kept.load("tasks") or ():
            if row[0] in station.orders.waiting:
                self.messages.append(row[:3])
        sos = self._sos
        sos.restore(station.kept.load("sos"))
        if sos.is_open:
            self._seal_unsealed()
            station.link.set_urgent(True)
        self.show(again=False)

    # What the station asks of every kind.

    def state(self) -> dict:
        """Return this kind's fields of the state."""
        sos = None
        if self._sos.is_open:
            sos = self._sos
            sos = {"epoch": sos.epoch, "incident": sos.incident, "shown": sos.state}
        age_s = None
        if self.fix_ms is not None:
            age_s = (self.station.clock.uptime_ms() - self.fix_ms) // 1000
        return {"duty": self.duty, "sos": sos, "fix_age_s": age_s, "muted": {}}

    def faults(self) -> list:
        """Return the names of what is wrong with this kind's own parts."""
        now = self.station.clock.uptime_ms()
        if self.duty and now - (self.fix_ms or 0) >= NO_FIX_MS:
            return ["no_fix"]
        return []

    def order(self, kind: str, body: dict, command: str) -> tuple | None:
        """Run a command: (status, reason, data), or None when the answer comes later."""
        from device.services.terminal_orders import order

        try:
            return order(self, kind, body, command)
        finally:
            forget("device.services.terminal_orders")

    def self_test(self) -> dict:
        """Return part -> "ok" or what is wrong with it."""
        from device.services.terminal_orders import self_test

        return self_test(self)

    def on_watch(self, lease_s: int) -> None:
        """Somebody watches for so long: every fix at once."""
        self._watched_until_ms = self.station.clock.uptime_ms() + lease_s * 1000
        self._seal_if_due()

    def on_sos_status(self, status: dict) -> None:
        """Somebody has done something about an SOS, perhaps about ours."""
        if status["epoch"] == self._sos.epoch:
            from device.services.terminal_sos import on_status

            on_status(self, self._sos, status)
            forget("device.services.terminal_sos")

    def on_receipt(self, receipt: dict) -> None:
        """A receipt of our journal came: perhaps that of the last press."""
        # Told again only after one: without it a full journal has no more room than before.
        self._told_failing = self._told_failing and self._is_failing()
        sos = self._sos
        if sos.is_open and receipt["epoch"] == sos.epoch and not self.waits():
            refused = receipt.get("refused", {}).get("event", ())
            self.apply_sos("refused" if sos.last in refused else "receipt")

    def waits(self) -> bool:
        """Say whether the last press lacks its receipt."""
        journal = self._journal()
        return journal is None or journal.is_held("event", self._sos.last)

    def _journal(self):  # noqa: ANN202 - whichever it is
        """Return the journal in which the SOS counts, None if it is gone."""
        book = self.station.logbook
        for each in (book, book.old):
            if each and each.journal.epoch == self._sos.epoch:
                return each.journal
        return None

    def on_puback(self, token: tuple) -> None:
        """The broker has a record: perhaps the last press."""
        if token == ("event", self._sos.epoch, self._sos.last):
            self.apply_sos("puback")

    def on_tick(self) -> None:
        """A second has passed."""
        self._raise()
        self._seal_unsealed()
        self._seal_if_due()
        now = self.station.clock.uptime_ms()
        if self.locating and min(self.locating.values()) <= now:
            self._end_locating(False)
        if self._is_failing() and not self._told_failing:
            self._told_failing = True
            self.show(again=True, name="fault")
            self.station.changed()
        if now < self.ringing_ms:
            self.show(again=True, name="ring")
        else:
            self.show(again=False)
        self._tell_bench()
        if now >= self._call_ms and not self.station.link.up.is_set():
            self._call(now)

    def _tell_bench(self) -> None:
        """Say what a virtual board shows to whoever asks."""
        tell, state = self._board.status, self.state()
        tell("duty", state["duty"])
        tell("sos", state["sos"])
        tell("position", self.fix and position(self.fix, self.alt_mm))

    def on_expired(self, command: str) -> None:
        """A command that waited has been answered as expired."""
        self.locating.pop(command, None)
        self.messages = [row for row in self.messages if row[0] != command]

    def is_pressed(self) -> bool:
        """Say whether the SOS button is held, or an SOS is about to be latched."""
        return bool(self._trigger) or (self._hold is not None and not self._hold.done())

    # SOS.

    def raise_sos(self, trigger: str) -> None:
        """Raise it: by button, silent, man_down or check_in; should it fail, the tick does."""
        self._trigger = trigger
        self._raise()

    def _raise(self) -> None:
        trigger = self._trigger
        if trigger:
            silent = self.station.settings.silent and trigger == "button"
            self._press("silent" if silent else trigger)
            self._trigger = None

    def _call(self, now: int) -> None:
        """Without a link: ask whoever is near to carry what of an SOS, or its end, waits."""
        if self._board.neighbours is None:
            return
        books = self.station.logbook, self.station.logbook.old
        if not self._sos.is_open and not any(b and b.journal.entry("s", 1) for b in books):
            return
        from device.services.relay import call

        self._call_ms = now + call(self.station)
        forget("device.services.relay", "device.adapters.relay_seal", "wire_protocol.relay")

    def _press(self, trigger: str) -> None:
        station, sos = self.station, self._sos
        journal = station.logbook.journal
        station.relayed = None
        before = sos.as_row()
        sos.raise_(journal.epoch, journal.next_seq("event"), trigger)
        # Latched here: should the power go now, the record is made at the next start.
        station.kept.save("sos", sos.as_row())
        self._pressed_ms = station.clock.uptime_ms()
        if self._seal_press():
            self.show(again=True, name="open")
        else:
            # Memory is full of presses. What those before have come to is the truth of this one.
            sos.restore(before)
            self.show_sos(sos.state if sos.is_open else "fault")

    def _seal_press(self) -> bool:
        """Make the record of the last press; False if there was no room for it anywhere."""
        station, sos = self.station, self._sos
        fix = None if self.fix is None else position(self.fix, self.alt_mm)
        goes_on = sos.incident != sos.last and sos.epoch == station.logbook.journal.epoch
        fields = {
            "trigger": sos.trigger,
            # Of another epoch it means nothing.
            "incident": sos.incident if goes_on else 0,
            "press": sos.press,
            "fix": fix,
        }
        key = station.logbook.event("sos", fields, sos=True)
        if key and key != (sos.epoch, sos.last):
            # It went to the journal in memory, which counts anew.
            sos.epoch, sos.last = key
            sos.incident = fields["incident"] or sos.last
            station.kept.save("sos", sos.as_row())
        station.link.set_urgent(True)
        self._seal_if_due()
        station.changed()
        return key is not None

    def _seal_unsealed(self) -> None:
        """Make the record of an open SOS that was latched only, or one anew for what is lost."""
        sos, journal = self._sos, self._journal()
        if not sos.is_open:
            return
        if journal is None or journal.spoilt[0] <= sos.last < journal.spoilt[1]:
            trigger = sos.trigger
            sos.apply("closed") or sos.apply("cancel")
            self._press(trigger)
        elif journal.next_seq("event") <= sos.last:
            # Then the power went or something broke, before the record was made.
            self._seal_press()

    def apply_sos(self, event: str) -> None:
        """Go where the SOS goes with an event, keep that, and show it."""
        before = self._sos.state
        if not self._sos.apply(event):
            return
        state = self._sos.state
        if state == IDLE:
            self.station.relayed = None
            self.station.link.set_urgent(False)
            if not self.duty:
                self.seal()
        self.show_sos(None if state == before else "closed" if state == IDLE else state)

    def show_sos(self, name: str | None) -> None:
        """Keep the SOS; with a name, show that it is another now."""
        self.station.kept.save("sos", self._sos.as_row())
        if name:
            self.show(again=True, name=name)
            self.station.changed()

    def _cancel(self) -> None:
        from device.services.terminal_sos import cancel

        cancel(self, self._sos)
        forget("device.services.terminal_sos")

    def _silent(self) -> bool:
        return self._sos.is_open and self._sos.trigger == "silent"

    # Duty and fixes.

    def may_record(self) -> bool:
        """Say whether positions may be kept now."""
        return self.duty or self._sos.is_open

    def set_duty(self, on: bool, by: str) -> None:
        """Go on duty or off; `by`: button, command or boot."""
        from device.services.terminal_orders import set_duty

        set_duty(self, on, by)
        forget("device.services.terminal_orders")

    def _on_fix(self, found) -> None:
        clock = self.station.clock
        at_ms, quality_code = found.at_ms, quality.GNSS
        if clock.plausible(at_ms):
            clock.offer(quality.GNSS, at_ms)
        else:
            # A receiver that lost count of the weeks knows where it is all the same.
            quality_code = clock.quality
            at_ms = clock.now_ms() if quality_code else clock.uptime_ms()
        fix = Fix(
            at_ms, found.lat_e6, found.lon_e6, found.speed_cms, found.course_deg, found.accuracy_m
        )
        now = clock.uptime_ms()
        self.fix, self.fix_ms, self.alt_mm = fix, now, found.alt_mm
        if quality_code == quality.NONE:
            self.fix = Fix(clock.now_ms(), *fix[1:])
        if self.may_record():
            if self._recorder.must_seal(fix, quality_code):
                self.seal()
            sos_ms = now - self._pressed_ms if self._sos.is_open else None
            self._recorder.offer(fix, quality_code, now, sos_ms)
            self._seal_if_due()
        if self.locating:
            self._end_locating(True)

    def _end_locating(self, found: bool) -> None:
        from device.services.terminal_orders import end_locating

        end_locating(self, found)
        forget("device.services.terminal_orders")

    def _seal_if_due(self) -> None:
        if self._recorder.is_due(self.station.clock.uptime_ms(), self._is_live()):
            self.seal()

    def _is_live(self) -> bool:
        """Say whether every fix goes out at once."""
        return self._sos.is_open or self.station.clock.uptime_ms() < self._watched_until_ms

    def seal(self) -> None:
        """Make a batch of the fixes that wait."""
        quality_code, fixes = self._recorder.take()
        if len(fixes) == 1:
            from wire_protocol.track_lone import encode_lone

            self.station.logbook.batch("track", encode_lone, quality_code, fixes)
        elif fixes:
            from wire_protocol.track_encode import encode

            self.station.logbook.batch("track", encode, quality_code, fixes)
            forget("wire_protocol.track_encode", "wire_protocol.columns", "wire_protocol.frames")
        if not self._is_live():
            # While each fix is a batch of its own it stays: it would be loaded every second.
            forget("wire_protocol.track_lone")

    # What the wearer sees.

    def show(self, again: bool, name: str | None = None) -> None:
        """Set the light for what matters most, and play `name` once if it has just happened."""
        steady = "duty_on" if self.duty else "off"
        if self._sos.is_open:
            steady = self._sos.state
        elif self.station.clock.uptime_ms() < self.ringing_ms:
            steady = "ring"
        elif self.messages:
            steady = "message"
        elif self._is_failing():
            steady = "fault"
        if name or steady != self._light:
            self._light = steady
            self._play(name if again else None, steady)
        self._board.screen(self._lines())

    def _is_failing(self) -> bool:
        """Say whether records are kept in memory only, were lost, or find no room."""
        return bool(self.station.logbook.faults or self.station.kept.fault)

    def _play(self, once: str | None, steady: str) -> None:
        from device.domain.indications import show

        if once:
            show(self._board, once, self._silent())
        show(self._board, steady, self._silent(), again=False)
        forget("device.domain.indications")

    def _lines(self) -> tuple:
        # A lost network is told at once; the link itself may take minutes to be sure.
        is_up = self.station.link.up.is_set() and self._board.network_is_up()
        link = "online" if is_up else "OFFLINE"
        lines = [("ON DUTY " if self.duty else "off duty ") + link]
        if self._sos.is_open and not self._silent():
            lines.append("SOS " + self._sos.state.upper())
            if self._sos.by:
                lines.append(self._sos.by)
        if self.messages:
            _, text, says = self.messages[0]
            lines.append(text[:SCREEN_TEXT_CHARS])
            lines.append("OK = {} ({})".format(says, len(self.messages)))
            if says == "accept":
                lines.append("hold OK = decline")
        for fault in sorted(self.station.logbook.faults):
            lines.append("! " + fault)
        if self.station.kept.fault:
            lines.append("! flash")
        return tuple(lines)

    # Tasks: each lives as long as the device.

    async def _receive(self, _beat) -> None:
        buffer = bytearray(READ_BYTES)
        while True:
            count = await self._board.receiver.readinto(buffer)
            if not count:
                await asyncio.sleep_ms(QUIET_MS)
                continue
            parser = self.parser
            for found in parser.feed(buffer, count):
                self._on_fix(found)
            counts = (parser.sentences, parser.checksum_errors, parser.garbage_bytes)
            self._board.status("receiver", counts)
            self._fed.set()

    async def _end_epochs(self, _beat) -> None:
        while True:
            await self._fed.wait()
            self._fed.clear()
            await asyncio.sleep_ms(QUIET_MS)
            if not self._fed.is_set():
                found = self.parser.flush()
                if found:
                    self._on_fix(found)

    async def _hear(self, _beat) -> None:
        station = self.station
        while True:
            frame = await self._board.neighbours.receive()
            if station.relayed or station.link.up.is_set():
                self._take_relayed(frame)

    # Not in the task: its frame would keep what it has loaded while it waits for the next one.
    def _take_relayed(self, frame: bytes) -> None:
        from device.services.relay import take

        take(self.station, frame)
        forget("device.services.relay", "device.adapters.relay_seal", "wire_protocol.relay")

    async def _listen(self, beat) -> None:
        while True:
            beat()
            name, action = await self._board.next_input()
            down = action == "press"
            if name == "sos":
                self._on_sos_button(down)
            elif name == "ok" and down and self._hold is not None:
                # Both together: the wearer takes the SOS back.
                self._drop_hold()
                self._cancel()
            elif name == "ok":
                self._on_ok(down)
            elif name == "duty" and down:
                self.set_duty(not self.duty, "button")
            elif name in ("man_down", "check_in") and down:
                # What looks for a fall or a missed check-in says so like a button.
                self.raise_sos(name)

    def _on_ok(self, down: bool) -> None:
        now = self.station.clock.uptime_ms()
        if down:
            self._ok_ms, self.ringing_ms = now, 0
        if self.messages:
            from device.services.terminal_orders import on_ok

            on_ok(self, down, now - self._ok_ms)
            forget("device.services.terminal_orders")

    def _on_sos_button(self, down: bool) -> None:
        is_click = self._hold is not None and not self._hold.done()
        self._drop_hold()
        if down:
            self._hold = asyncio.create_task(self._press_after_hold())
        elif is_click:
            self._click(self.station.clock.uptime_ms())

    def _drop_hold(self) -> None:
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None

    def _click(self, now: int) -> None:
        clicks = [at for at in self._clicks if now - at < CLICK_MS * CLICKS]
        clicks.append(now)
        self._clicks = clicks
        if len(clicks) >= CLICKS:
            self._clicks = []
            self.raise_sos("silent")

    # Lives as long as the SOS button is held.
    async def _press_after_hold(self) -> None:
        await asyncio.sleep_ms(self.station.settings.sos_hold_ms)
        self.raise_sos("button")
