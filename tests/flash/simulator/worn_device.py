"""One device on one flash: power on, wear it, cut its power, power on again.

A hand for `Session` and the tests: what a wearer, a village and a command room do to a terminal.
"""

import sys

import simulated_chip as chip
import virtual_time
from nor_flash import PowerCut
from terminal_board import SOS_HOLD_MS, Board, Reset, link_module

_LAT_E4, _LON_E4 = 301_234, 125_678  # Minutes x 10,000, of 30 and 120 degrees.
_OF_DEVICE = ("device", "rescue", "boots")


class Device:
    """A device, on or off.

    Attributes:
        data: The flash with NVS and journal.
        gateway: Whom it may reach.
        flash: Of this power cycle.
        station: Of this power cycle, None while off.
        erases: Sector -> erases since the beginning.
        presses: SOS presses that the wearer was shown as latched.
        maybes: Presses in which the power went before that.
        cuts: Power cuts.
        torn: Those of them that hit an operation, in one of the ways of CUTS.
        operations: Programs and erases of the power cycles that are over.
    """

    def __init__(self, gateway, chance, data=None):
        self.gateway = gateway
        self.chance = chance
        self.data = data
        if data is None:
            self.data = chip.Partition.rom.writable()
        self.flash = self.station = self.board = self.boot = None
        self.erases = {}
        self.presses = self.maybes = self.cuts = self.torn = self.operations = 0
        self._second = 0
        self._cut = None

    def power_on(self, cut=None, cause=chip.Machine.PWRON_RESET):
        """Boot and start; True if the power did not go in it.

        A later cut of `cut` hits whatever runs then.
        """
        self._cut = cut
        try:
            self.flash, self.boot, reason = chip.boot(self.data, self.chance, cut, cause)
            self.board = Board(self.boot, self.gateway)
            assert self.board.device_id == "t-0001", "the identity cannot be read"
            self._start(reason)
        except PowerCut:
            self.off()
            return False
        return True

    def _start(self, reason):
        assert not reason, ("the rescue agent is wanted", reason)
        assert self.boot.slot == "app_a", "the application cannot be mounted"
        self.station = load("device.start").make(self.board)
        virtual_time.create_task(self.station.supervisor.run())

    def off(self):
        """The battery is out: nothing of the device is left but its flash."""
        flash = chip.Partition.flash
        if flash:
            for sector, count in flash.erases.items():
                self.erases[sector] = self.erases.get(sector, 0) + count
            self.operations += flash.operations
            self.torn += flash.dead
        self.cuts += 1
        self.station = self.board = self.boot = self.flash = None
        virtual_time.restart()
        chip.switch_off()

    def run(self, ms):
        """Let time pass; False if the power went in it, and the device is off then."""
        try:
            virtual_time.advance(ms)
        except PowerCut:
            self.off()
            return False
        except Reset:
            at, how = self._cut or (0, "")
            at -= self.flash.operations
            self.off()
            self.cuts -= 1
            return self.power_on((at, how) if at > 0 else None, chip.Machine.HARD_RESET)
        return True

    # What is done to it. Each returns what `run` does.

    def press_sos(self):
        """Hold the SOS button long enough."""
        board, before, cuts = self.board, self.board.shown_open, self.cuts
        board.put_input("sos", "press")
        survived = self.run(SOS_HOLD_MS)
        if survived:
            board.put_input("sos", "release")
            survived = self.run(10)
        if board.shown_open > before:
            self.presses += 1
        else:
            assert self.cuts > cuts, "a press was not shown"
            self.maybes += 1
        return survived

    def cancel_sos(self):
        """SOS and OK together."""
        self.board.put_input("sos", "press")
        self.board.put_input("ok", "press")
        return self.run(50)

    def press(self, name):
        """Press a button for a moment."""
        self.board.put_input(name, "press")
        self.board.put_input(name, "release")
        return self.run(50)

    def walk(self, seconds):
        """Walk for so long, the receiver telling a fix a second."""
        for _ in range(seconds):
            self.feed()
            if not self.run(1000):
                return False
        return True

    def feed(self):
        """The receiver tells one fix."""
        self.board.receiver.feed(self._sentences())

    def _sentences(self):
        self._second += 1
        second = virtual_time.now_ms // 1000
        when = b"%02d%02d%02d.00" % (second // 3600 % 24, second // 60 % 60, second % 60)
        lat, lon = _LAT_E4 + 7 * self._second % 5000, _LON_E4 + 5 * self._second % 4000
        place = b"30%02d.%04d,N,120%02d.%04d,E" % (
            lat // 10_000, lat % 10_000, lon // 10_000, lon % 10_000
        )  # fmt: skip
        day = 1 + second // 86_400 % 28
        rmc = b"GNRMC,%s,A,%s,2.50,45.0,%02d1026,,,A" % (when, place, day)
        gga = b"GNGGA,%s,%s,1,09,1.0,12.0,M,8.0,M,," % (when, place)
        return _sentence(rmc) + _sentence(gga)


def load(name):
    """Load a module of the device anew, its link replaced: it drops parts of itself on its way."""
    for loaded in [loaded for loaded in sys.modules if loaded.split(".")[0] in _OF_DEVICE]:
        del sys.modules[loaded]
    sys.modules["device.adapters.mqtt_link"] = link_module()
    module = __import__(name)
    for part in name.split(".")[1:]:
        module = getattr(module, part)
    return module


def _sentence(body):
    check = 0
    for byte in body:
        check ^= byte
    return b"$%s*%02X\r\n" % (body, check)
