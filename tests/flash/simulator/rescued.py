"""A device that may come to its rescue agent, and what must be true of it in the end."""

import simulated_chip as chip
import virtual_time
from gateway_witness import NOW_MS, Gateway
from nor_flash import CUTS, SECTOR_BYTES
from session import Session as UsualSession
from worn_device import Device, load

from wire_protocol import blocks, lean

__all__ = ("CUTS", "Session")
WORK_S = 60  # To save, to fetch, to hand over: the network here has no delay worth naming.
_GAP_S = 3  # Between two times that people close what they see.


class BlockGateway(Gateway):
    """Has a release for whoever asks, as docs/wire_protocol.md says."""

    release = None  # (manifest, slot)

    def copy(self):
        other = BlockGateway()
        usual = Gateway.copy(self)
        for name in usual.__dict__:
            setattr(other, name, getattr(usual, name))
        other.release = self.release
        return other

    def take(self, kind, payload):
        if kind != "block_request":
            Gateway.take(self, kind, payload)
            return
        wanted = blocks.parse_request(payload)
        manifest, slot = self.release
        release, block = blocks.parse_manifest(manifest)[0].release, wanted["block"]
        whole = manifest
        if block != blocks.MANIFEST:
            assert wanted["release"] == release, wanted
            whole = slot[block * SECTOR_BYTES : (block + 1) * SECTOR_BYTES]
        for piece in range((len(whole) + blocks.PIECE_BYTES - 1) // blocks.PIECE_BYTES):
            if wanted["pieces"] >> piece & 1:
                self.down.append(("block", blocks.make_piece(release, block, piece, whole)))


class RescuedDevice(Device):
    """One that starts what its boot code says.

    Attributes:
        reason: Why the rescue agent runs; empty: the application does.
        rescues: How often the agent has started.
    """

    reason = ""
    rescues = 0

    def _start(self, reason):
        self.reason = reason
        if not reason:
            assert self.boot.slot in ("app_a", "app_b"), "no application can be mounted"
            self.station = load("device.start").make(self.board)
            virtual_time.create_task(self.station.supervisor.run())
            return
        self.rescues += 1
        chip.Partition.in_rescue = True
        # As boot code has it: the agent imports `boots` from there.
        chip.sys.path.append("/")
        self.station = load("rescue.agent").Agent(self.board, reason)
        self.station.run()


class Session(UsualSession):
    """What is done to it, and what must be true."""

    def __init__(self, chance, slot, release):
        """Begin with a new device; `slot` is what it holds, `release` what a gateway offers."""
        UsualSession.__init__(self, chance)
        self.slot = slot
        self.gateway = BlockGateway()
        self.gateway.release = release
        self.device = RescuedDevice(self.gateway, chance)

    def copy(self):
        """Return another one, from where this one is now: off."""
        other = Session(self.chance, self.slot, self.gateway.release)
        other.gateway = self.gateway.copy()
        other.device = RescuedDevice(other.gateway, self.chance, self.device.data.copy())
        other.device.presses, other.device.maybes = self.device.presses, self.device.maybes
        return other

    def restart(self, cut=None):
        """Power on; True if the power stayed."""
        return self.device.power_on(cut)

    def do_work(self):
        return self.device.run(WORK_S * 1000)

    def do_close(self):
        """Whatever SOS people see, they close."""
        for epoch, incident in {row[:2] for row in self.gateway.incidents}:
            status = {"epoch": epoch, "incident": incident, "status": "closed", "by": "Li",
                      "at": NOW_MS}  # fmt: skip
            self.gateway.down.append(("sos_status", lean.dump(status)))
        return self.device.run(500)

    def settle(self, seconds):
        """Online, and people close what they see: the application runs in the end, all is told."""
        device = self.device
        if device.station is None:
            assert self.restart(), "cut without a cut"
        self.gateway.online = True
        for second in range(seconds):
            assert device.run(1000), "cut without a cut"
            if second % _GAP_S == 0:
                assert self.do_close()
            if second > 2 * _GAP_S and self._is_over():
                return
        raise AssertionError(("no end", device.reason, self.gateway.state))

    def check(self, rounds):
        """What was sealed is stored, every SOS has come; `rounds`: how often the power went.

        Each may make the agent raise anew what was in its memory only: rather twice than not.
        """
        device, gateway = self.device, self.gateway
        missing = gateway.missing()
        assert not missing, ("sealed, not stored", missing)
        presses = gateway.incidents
        assert len(set(presses)) == len(presses), ("the same press twice", presses)
        most = device.presses + device.maybes + rounds
        assert device.presses <= len(presses) <= most, (device.presses, most, presses)
        first = chip.Partition.rom.place(device.boot.slot)[0] // SECTOR_BYTES
        strange = []
        for number in range(len(self.slot) // SECTOR_BYTES):
            sector = device.data.sectors[first + number]
            known = [_sector(slot, number) for slot in (self.slot, self.gateway.release[1])]
            if sector not in known:
                strange.append(number)
        # The superblock is there twice, and the second one is written when all else is there: the
        # power may go while it is, and littlefs takes the other.
        assert strange in ([], [0]), ("a slot that nobody published", strange)

    def _is_over(self):
        device = self.device
        if device.reason or device.station.kind.state()["sos"]:
            return False
        return self._is_all_told()


def _sector(content, number):
    return content[number * SECTOR_BYTES : (number + 1) * SECTOR_BYTES]


def published(image, name):
    """Return (manifest, slot) of a release that lies beside an image."""
    folder = chip.HOST + image.rsplit("/", 1)[0] + "/"
    contents = []
    for part in (".manifest", ".slot"):
        with open(folder + name + part, "rb") as file:  # noqa: PTH123 - MicroPython
            contents.append(file.read())
    return tuple(contents)
