"""Commands from the command room: each run once, each answered by results.

A command's id is in the ledger in flash before it is run; one that is there already is not run
again, its result is in the journal or was receipted. What takes time (a message that must be
read, a position that must be found) waits here until its deadline.
"""

import binascii

from wire_protocol import clock as quality
from wire_protocol import lean

LEDGER_MAX = 64  # Ids remembered; the gateway repeats a command until its result, not after it.
WAITING_MAX = 4  # Commands that take time; more are refused as busy.
MUTE_TTL_S = 60
_ID_BYTES = 8


class Orders:
    """The commands of one device. `owner.order(kind, body, command)` runs one.

    It returns (status, reason, data), or None when the answer comes later through `finish`.
    """

    def __init__(self, owner, kept, clock, logbook) -> None:
        self._owner = owner
        self._kept = kept
        self._clock = clock
        self._logbook = logbook
        self._ledger = binascii.unhexlify(kept.load("ledger", ""))
        self.waiting = {}  # id -> deadline, uptime in ms
        # What waited when the power went is not known any more, and that is the answer.
        for command in kept.load("waiting", []):
            logbook.result(command, "failed", "restarted")
        self._keep_waiting()

    def on_command(self, payload: bytes) -> None:
        """Take a message of the topic `command`; WireError if it is none."""
        command = lean.parse_command(payload)
        left_s = command["ttl_s"]
        if self._clock.quality >= quality.SERVER:
            # A clock that is a little behind must not lengthen the time to live.
            left_s = min(left_s, left_s - (self._clock.now_ms() - command["issued"]) // 1000)
        self._run(command["id"], command["kind"], command["body"], left_s)

    def on_mute(self, mute: dict) -> None:
        """Take a message of the topic `mute`: a command that is always in time."""
        self._run(mute["id"], "mute", mute, MUTE_TTL_S)

    def finish(self, command: str, status: str, reason: str = "", data=None) -> None:
        """Answer a command that waited."""
        if self.waiting.pop(command, None) is not None:
            self._keep_waiting()
            self._logbook.result(command, status, reason, data)

    def expire(self) -> list:
        """Answer what waited too long; returns the ids."""
        now = self._clock.uptime_ms()
        late = [command for command in self.waiting if self.waiting[command] <= now]
        for command in late:
            self.finish(command, "expired", "time to live")
        return late

    def _run(self, command: str, kind: str, body: dict | None, left_s: int) -> None:
        key = binascii.unhexlify(command)
        ledger = self._ledger
        if any(ledger[i : i + _ID_BYTES] == key for i in range(0, len(ledger), _ID_BYTES)):
            return
        self._ledger = (ledger + key)[-LEDGER_MAX * _ID_BYTES :]
        if not self._kept.save("ledger", binascii.hexlify(self._ledger).decode()):
            self._logbook.result(command, "refused", "ledger cannot be written")
            return
        if left_s <= 0:
            self._logbook.result(command, "expired", "time to live")
            return
        if body is None:
            self._logbook.result(command, "refused", "unknown kind")
            return
        if len(self.waiting) >= WAITING_MAX:
            self._logbook.result(command, "refused", "busy")
            return
        self.waiting[command] = self._clock.uptime_ms() + left_s * 1000
        answer = self._owner.order(kind, body, command)
        if answer is None:
            self._logbook.result(command, "accepted")
            self._keep_waiting()
        else:
            del self.waiting[command]
            self._logbook.result(command, *answer)

    def _keep_waiting(self) -> None:
        self._kept.save("waiting", list(self.waiting))
