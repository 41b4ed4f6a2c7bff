"""A device whose flash fails, and what must be true all the same."""

import gc

import simulated_chip as chip
from ill_flash import Illness
from nor_flash import SECTOR_BYTES
from rescued import Session as RescuedSession

TELL_S = 150  # The longest wait of an SOS, a result and a command that comes again, and more.
RESCUES_MAX = 4  # In that time: one, a trial of the application, and what commands ask for.
WORDS = (
    "walk", "walk", "wait", "sos", "sos", "cancel", "command", "command", "reports", "long_walk",
    "online", "online", "offline", "duty", "ok", "people", "commands_again",
)  # fmt: skip
AFTER_MAX = 24  # Operations until it fails: a press takes about ten.
WORDS_MAX = 8
_LOUD = ("flash", "journal", "journal_full", "journal_lost", "rescue")


class Session(RescuedSession):
    """What is done to it, and what must be true.

    Attributes:
        ill: What is wrong with the flash now.
        struck: What was, until it healed.
        taken: Presses that went with the memory in which they were.
        again: Starts, each of which may raise anew what was open.
    """

    ill = struck = None
    taken = again = _refused = 0

    def fall_ill(self, way):
        """Let the flash fail in one of its ways, soon."""
        first, size = chip.Partition.rom.place("journal")
        journal = first // SECTOR_BYTES, size // SECTOR_BYTES
        self.struck = self.ill = self.device.data.ill = Illness(
            way, 1 + self.chance.below(AFTER_MAX), journal, self.chance
        )

    def heal(self):
        """The flash is well from now on; what was lost with it is not there."""
        self.ill = self.device.data.ill = None

    def live(self, way):
        """A life: well, then ill, an SOS whatever happens, and another after the power was cut."""
        chance = self.chance
        assert self.restart()
        for word in ("duty", "walk", chance.one_of(("online", "wait")), "walk"):
            assert self.do(word)
        for word in [chance.one_of(WORDS) for _ in range(chance.below(4))]:
            assert self.do(word)
        self.fall_ill(way)
        self._suffer()
        self.sos_comes()
        # What is read wrongly makes littlefs take what was there before: nothing can be promised.
        cuts = () if way == "blurred_sector" else (False, chance.below(2))
        for heals in cuts:
            if chance.below(2):
                self._suffer()
            self.log.append("cut, heals" if heals else "cut")
            self._cut(heals)
            if chance.below(2):
                self._suffer()
            self.sos_comes()

    def sos_comes(self):
        """A press is shown, is told when there is a network, and so is all that must be."""
        self.log.append("a last press")
        came = len(self.gateway.incidents)
        assert self.do("sos")
        self.tell()
        self.check_ill(came)

    def tell(self):
        """There is a network: let all be told that can be."""
        gateway, device = self.gateway, self.device
        gateway.online = gateway.receipting = True
        rescues = device.rescues
        for second in range(TELL_S):
            if second % 8 == 0:
                gateway.repeat_commands()
                assert device.press("ok")
            assert device.walk(1)
            if second > 20 and self._is_told():
                break
        assert device.rescues - rescues <= RESCUES_MAX, ("a loop", device.rescues)

    def check_ill(self, came):
        """Hold what came, presses before this one among it, against what was seen from outside."""
        device, gateway = self.device, self.gateway
        presses = gateway.incidents
        # What a press is the how manyth of is latched beside its record. A flash that refuses the
        # latch and keeps the record makes the next power cycle count on from the press before, so
        # two presses have one number. They are two records all the same, and a case counts those.
        told = set(zip(presses, gateway.sealed_in))  # noqa: B905 - MicroPython
        assert len(told) == len(presses), ("the same press twice", presses)
        low, high = device.presses - self.taken, device.presses + device.maybes
        if self.struck.unread:
            # A press before this one may lie where nobody can read it.
            low = min(low, came + 1)
            # What failed when it was read again after its write may be there all the same.
            high += 1
        # An SOS that was open in memory only, or taken back there, is raised anew by a start.
        high += 2 * self.again
        assert low <= len(presses) <= high, ("presses", low, high, presses)
        waiting = [row["message"]["kind"] for row in gateway.commands.values() if not row["done"]]
        # An answer that nobody can read any more is not given twice.
        lost = [key for key in gateway.sealed if key[1] == "result" and key not in gateway.stored]
        assert len(waiting) <= (len(lost) if self.struck.unread else 0), ("no answer", waiting)
        if not self.struck.unread:
            missing = [key for key in gateway.missing() if not self._is_given_up(*key)]
            assert not missing, ("sealed, not stored, not named", missing[:6], len(missing))
        runs = device.station.supervisor
        assert not runs.crashed, ("crashed", runs.crashed)
        if self.ill and self.ill.stays and self.ill.refused > self._refused:
            self._check_told()

    def _check_told(self):
        """The command room and the wearer are told of a flash that has refused something."""
        faults = self.gateway.state["faults"]
        assert any(fault in _LOUD for fault in faults), ("silent", self.ill.way, faults)
        lines = self.device.board.lines
        assert any(line.startswith("! ") or "RESCUE" in line.upper() for line in lines), lines

    def do_long_walk(self):
        return bool(self.device.reason) or RescuedSession.do_long_walk(self)

    def do_reports(self):
        return bool(self.device.reason) or RescuedSession.do_reports(self)

    def people(self, word):
        return self.do_close() if self.device.reason else RescuedSession.people(self, word)

    def _is_given_up(self, epoch, stream, seq):
        """Say whether the flash has kept, before it failed, that a record is to be named."""
        old = not self.device.reason and self.device.station.logbook.old
        if not old or epoch != old.journal.epoch:
            return False
        return any(
            row[0] == stream and row[1] <= seq < row[1] + row[2] for row in old.journal.lost()
        )

    def _suffer(self):
        for _ in range(1 + self.chance.below(WORDS_MAX)):
            assert self.do(self.chance.one_of(WORDS))
            # Now, not years later: what is still open in littlefs is closed by the collector.
            gc.collect()

    def _cut(self, heals):
        device, gateway = self.device, self.gateway
        self.taken = max(0, device.presses - len(gateway.incidents))
        device.off()
        self.again += 1
        gateway.cycle += 1
        for key in gateway.missing():
            del gateway.sealed[key]
        self._refused = self.struck.refused
        if heals:
            self.heal()
        assert self.restart()

    def _is_told(self):
        device = self.device
        station = device.station
        if not all(row["done"] for row in self.gateway.commands.values()):
            return False
        if device.reason:
            return not station.outbox.waits_for_any()
        return not station.logbook.holds()
