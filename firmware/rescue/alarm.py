"""The SOS of the rescue agent: raised by the button, latched in NVS, sent until its receipt.

No position and no other trigger than the button, held or pressed shortly three times (silent);
everything that the wearer feels is the same. An SOS that the application had open stays open here,
under its own numbers, and is taken back under them.
"""

import asyncio

from boots import keep, number
from device.late import forget

HOLD_MS = 800
LATCHED, STORED, SILENT = 1, 2, 4  # In NVS: one of the first two, and the last with a silent one.
CLICKS, CLICK_MS = 3, 700  # As in the application.
_U32 = 0xFFFFFFFF
_STATES = ("open", "sent", "stored", "taken", "help")
_OF_STATUS = {"taken": "taken", "help": "help"}


class Alarm:
    """One SOS at a time."""

    def __init__(self, agent) -> None:
        self._agent = agent
        self._state = ""  # One of _STATES; empty: there is no SOS.
        self._epoch = self._first = self._last = self._presses = 0
        self._theirs = None  # What the application kept about an SOS of its own.
        self._saved = False  # Whether the SOS records of the journal have been looked for.
        self._silent = self._always_silent = agent.board.config.get("silent") is True
        self._hold = None
        self._clicks = []  # Uptimes of short presses.
        self._light = None

    @property
    def is_open(self) -> bool:
        """Whether an SOS goes on."""
        return bool(self._state)

    @property
    def is_pressed(self) -> bool:
        """Whether the SOS button is held, and not yet long enough."""
        return self._hold is not None and not self._hold.done()

    def state(self) -> dict | None:
        """Return what the device's state says of it."""
        if not self._state:
            return None
        state = {"incident": self._first, "shown": self._state}
        if self._epoch != self._agent.outbox.epoch:
            state["epoch"] = self._epoch  # The application has opened it.
        return state

    def restore(self) -> None:
        """Take up what was open before this start."""
        latched = number("sos")
        if latched:
            self._epoch, self._first = number("sos_epoch") & _U32, number("sos_first") & _U32
            self._state = "stored"
            self._silent = self._always_silent or latched & SILENT > 0
            if not latched & STORED or not self._first:
                # Its record was in memory only: it is raised anew, rather twice than not at all.
                self._press()
        row = self._agent.kept.load("sos")
        if isinstance(row, list) and len(row) > 5 and row[0] in _STATES:
            self._theirs = row
            if not self._state:
                self._state, self._first, self._last, self._epoch = row[0], row[1], row[3], row[4]
                self._silent = self._always_silent or row[5] == "silent"
        self._agent.link.set_urgent(self.is_open)

    def on_saved(self, saw) -> None:
        """All SOS records of the journal were found: was one latched and never made?"""
        self._saved = True
        if self._theirs and not saw("event", self._theirs[4], self._theirs[3]):
            self._press()
        self.on_receipt()  # Of those that came while it was looked.

    def on_bad(self, stream: str, epoch: int, seq: int) -> None:
        """A record that was found went bad before it was stored."""
        if self._state and (stream, epoch, seq) == ("event", self._epoch, self._last):
            self._press()

    def on_puback(self, token) -> None:
        """The broker has a record."""
        if token == ("event", self._epoch, self._last) and self._state == "open":
            self._set("sent")

    def on_receipt(self) -> None:
        """The gateway has stored records."""
        if not self._saved and self._epoch != self._agent.outbox.epoch:
            return  # The application's own may not have been found yet.
        waits = self._agent.outbox.waits("event", self._epoch, self._last)
        if self._state in ("open", "sent") and self._last and not waits:
            if self._epoch == self._agent.outbox.epoch:
                self._latch(STORED)
            self._set("stored")

    def on_status(self, status: dict) -> None:
        """A person has done something about it."""
        if self._state and (status["epoch"], status["incident"]) == (self._epoch, self._first):
            if status["status"] == "closed":
                self._clear()
            else:
                self._set(_OF_STATUS[status["status"]])

    async def listen(self, beat) -> None:
        """Take the buttons; lives as long as the agent."""
        while True:
            beat()
            name, action = await self._agent.board.next_input()
            down = action == "press"
            if name == "sos":
                was_short = self._drop_hold()
                if down:
                    self._hold = asyncio.create_task(self._press_after_hold())
                elif was_short:
                    self._click(self._agent.board.uptime_ms())
            elif name == "ok" and down and self._state and self._drop_hold():
                # Both together: the wearer takes the SOS back. A record, never an erasure.
                self._agent.outbox.seal("event", "sos_cancel", {"incident": self._first}, sos=True)
                self._clear()

    def _drop_hold(self) -> bool:
        """Forget that the SOS button is held; False if it was not, or long enough already."""
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.cancel()
        return hold is not None

    def _click(self, now: int) -> None:
        self._clicks = [at for at in self._clicks if now - at < CLICK_MS * CLICKS]
        self._clicks.append(now)
        if len(self._clicks) >= CLICKS:
            self._clicks = []
            self._press(silent=True)

    def show(self) -> None:
        """Show what this device is, on screen and light."""
        agent = self._agent
        lines = ["RESCUE: no " + agent.reason if agent.reason != "boots" else "RESCUE: crashes"]
        lines.append("online" if agent.link.up.is_set() else "OFFLINE")
        if self._state and not self._silent:
            lines.append("SOS " + self._state.upper())
        else:
            lines.append("only SOS works")
        agent.board.screen(tuple(lines))
        self._play(None)

    # Lives as long as the SOS button is held.
    async def _press_after_hold(self) -> None:
        await asyncio.sleep_ms(self._agent.board.config.get("sos_hold_ms", HOLD_MS))
        self._hold = None
        self._press()

    def _latch(self, value: int) -> None:
        keep(("sos", value | (SILENT if self._silent else 0)))

    def _press(self, silent: bool = False) -> None:
        outbox = self._agent.outbox
        if not self._state:
            self._silent = self._always_silent or silent
        self._latch(LATCHED)  # Before the first send: a battery pulled now raises it again.
        self._presses += 1
        again = self._presses > 1 and self._epoch == outbox.epoch
        fields = {
            "trigger": "silent" if self._silent else "button",
            "incident": self._first if again else 0,
            "press": self._presses,
            "fix": None,
        }
        self._last = outbox.seal("event", "sos", fields, sos=True)
        if not again:
            self._epoch, self._first = outbox.epoch, self._last
            keep(("sos_epoch", self._epoch), ("sos_first", self._first))
        if self._state not in ("taken", "help"):
            self._state = ""
            self._set("open")
        self._agent.link.set_urgent(True)

    def _set(self, state: str) -> None:
        if state != self._state:
            self._state = state
            self._play(state)
            self._agent.changed()

    def _clear(self) -> None:
        self._state = ""
        self._presses = self._first = self._last = 0
        self._silent = self._always_silent
        keep(("sos", None))
        if self._theirs:
            # What the application kept: it must not find open what was closed here.
            self._theirs = None
            self._agent.kept.save("sos", None)
        self._agent.link.set_urgent(False)
        self._play("closed")
        self._agent.changed()

    def _play(self, once: str | None) -> None:
        steady = self._state or "fault"
        if once or steady != self._light:
            from device.domain.indications import show

            self._light = steady
            if once:
                show(self._agent.board, once, self._silent)
            show(self._agent.board, steady, self._silent, again=False)
            forget("device.domain.indications")
