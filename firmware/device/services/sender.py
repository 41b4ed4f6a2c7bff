"""Sends what the journal holds until its receipt is here.

Per lane (SOS, events, results, tracks, readings) a window of messages is in the air at most. On
every connection everything held goes out again from the lowest; within one, a message without its
receipt goes again when its time is up. A lane is looked at only when those before it have nothing
to do: an SOS overtakes everything.
"""

import asyncio

from device.adapters.segments import STREAM_OF

WINDOW_MAX = 16
LANES = "sexrt"  # Families of the journal, the most urgent first.
# First and longest wait in ms for a receipt; doubling. The gateway joins the receipts of tracks
# and readings for up to 540 s, and events are receipted at once.
_SOS_MS, _SOS_MAX_MS = 2_000, 60_000
_EVENT_MS, _EVENT_MAX_MS = 10_000, 300_000
_TRACK_MS = 600_000
# So the first of a connection goes alone, which the gateway receipts at once, until it has been;
# and a receipt that leaves one out while it names a later one says that it was lost.
_FIRST_MS = 10_000
_HOLE_MS = 10_000
_SEQ, _DUE, _TRIES = 0, 1, 2


class Sender:
    """The one that feeds the link from the journal.

    Attributes:
        old: Another, for the journal in flash once that has failed; it sends when this one has
            nothing to do.
    """

    def __init__(self, logbook, link, clock) -> None:
        self._logbook = logbook
        self._link = link
        self._clock = clock
        self._poke = asyncio.Event()
        self._windows = {}
        self._cursors = {}
        self.old = None
        self._answered = set()  # Lanes that had a receipt in this connection.
        self.restart()

    def restart(self) -> None:
        """A new connection (or a new journal): everything held is to be sent again."""
        for lane in LANES:
            self._windows[lane] = []
            self._cursors[lane] = 1
        self._answered.clear()
        if self.old:
            self.old.restart()
        self._poke.set()

    def poke(self) -> None:
        """There may be something to do: a record, a receipt, room in the link."""
        self._poke.set()

    def on_receipt(self, streams: dict) -> None:
        """Forget what is receipted; the journal has taken the receipt already."""
        journal = self._logbook.journal
        hole_due = self._clock.uptime_ms() + _HOLE_MS
        for lane in LANES:
            stream = STREAM_OF[lane]
            if stream in streams:
                self._answered.add(lane)
                window = [e for e in self._windows[lane] if journal.is_held(stream, e[_SEQ])]
                self._windows[lane] = window
                for entry in window:
                    if entry[_SEQ] < max(streams[stream]):
                        entry[_DUE] = min(entry[_DUE], hole_due)
        self._poke.set()

    # Started by the supervisor; lives as long as the device. Somebody pokes it once a second.
    async def run(self, beat) -> None:
        """Send what is due, for ever."""
        while True:
            beat()
            if self._link.up.is_set() and (self.send_one() or (self.old and self.old.send_one())):
                await asyncio.sleep_ms(0)
            else:
                self._poke.clear()
                await self._poke.wait()

    def send_one(self) -> bool:
        """Post the most urgent message that is due; False if there is none, or no room for it."""
        if self._logbook.old and self.old is None:
            # The flash has failed: the journal in memory counts anew.
            self.old = Sender(self._logbook.old, self._link, self._clock)
            self.restart()
        now = self._clock.uptime_ms()
        for lane in LANES:
            window = self._windows[lane]
            for entry in window:
                if entry[_DUE] <= now:
                    return self._send(lane, entry, now)
            width = 1 if self._is_first(lane) else WINDOW_MAX
            if len(window) < width and self._cursors[lane] < self._logbook.journal.tip(lane):
                return self._send(lane, None, now)
        return False

    def _send(self, lane: str, entry: list | None, now: int) -> bool:
        """Post one message, again (`entry`) or for the first time; False: the link has no room."""
        stream = STREAM_OF[lane]
        wanted = entry[_SEQ] if entry else self._cursors[lane]
        found = self._logbook.message(lane, stream, wanted)
        if entry and (found is None or found[0] != wanted):
            # Receipted or dropped meanwhile.
            self._windows[lane].remove(entry)
            return True
        if found is None:
            self._cursors[lane] = self._logbook.journal.tip(lane)
            return True
        seq, count, message = found
        qos = 1 if lane in "sex" else 0
        token = (stream, self._logbook.journal.epoch, seq)
        if not self._link.publish(stream, message, qos, token, lane == "s"):
            return False
        if entry is None:
            entry = [seq, 0, 0]
            self._windows[lane].append(entry)
            self._cursors[lane] = seq + count
        first_ms, longest_ms = _EVENT_MS, _EVENT_MAX_MS
        if lane == "s":
            first_ms, longest_ms = _SOS_MS, _SOS_MAX_MS
        elif lane in "tr":
            first_ms = _FIRST_MS if self._is_first(lane) else _TRACK_MS
            longest_ms = _TRACK_MS
        entry[_DUE] = now + min(first_ms << min(entry[_TRIES], 10), longest_ms)
        entry[_TRIES] += 1
        return True

    def _is_first(self, lane: str) -> bool:
        return lane in "tr" and lane not in self._answered
