"""What happens to a device between power cuts, and what must be true after each of them."""

import virtual_time
from gateway_witness import NOW_MS, Gateway
from nor_flash import CUTS, PowerCut
from worn_device import Device

from wire_protocol import lean
from wire_protocol.track_encode import Fix, encode

SETTLE_MS = 240_000  # Longer than any back-off of an event, command or batch that waits.
STEP_MS = 1_000
QUIET_MS = 1_300_000  # Twice the longest wait before a message goes again.
LEAPS = 2
TRIAL_MS = 300_000  # As in device.services.station.
GNSS = 3
SETTINGS = ((600, 60), (60, 30), (90, 45))  # (state_s, batch_s): the default's, and as commanded.


class Session:
    """One device, its gateway, and what is known about both from outside.

    Attributes:
        open: Whether an SOS must be open: True, False, or None when a cut left it undecided.
    """

    def __init__(self, chance, before=None):
        """Begin with a new device, or go on from a `before` that is off, which stays as it is."""
        self.chance = chance
        self.gateway = before.gateway.copy() if before else Gateway()
        self.device = Device(self.gateway, chance, before and before.device.data.copy())
        self.open = False
        if before:
            self.open, self.device.presses = before.open, before.device.presses
        self.log = []

    def restart(self, cut=None):
        """Power on; True if the power stayed. The journal must be there as it was left."""
        device = self.device
        is_new = not self.gateway.sealed
        if not device.power_on(cut):
            return False
        assert is_new or device.boot.journal == "kept", device.boot.journal
        settings = device.station.settings
        pair = settings.state_s, settings.batch_s
        assert pair in SETTINGS, ("settings that nobody asked for", pair)
        if self.open is not None:
            sos = device.station.kind.state()["sos"]
            assert (sos is not None) == self.open, ("SOS after the restart", sos, self.open)
        return True

    def cut_power(self):
        """Between two operations."""
        self.device.off()

    def settle(self, quiet=False):
        """Everything can be told now: all that was sealed must arrive, once."""
        gateway, device = self.gateway, self.device
        if device.station is None:
            assert self.restart(), "cut without a cut"
        gateway.online = gateway.receipting = True
        self._tell_all()
        self._check_quiet(slow=quiet)
        # Nor does the next start tell anything that it must not.
        device.off()
        assert self.restart(), "cut without a cut"
        self._tell_all()

    def _tell_all(self):
        gateway, device = self.gateway, self.device
        for turn in range(SETTLE_MS // STEP_MS):
            if turn % 4 == 0:
                gateway.repeat_commands()
                # A command may wait for a fix, or for the wearer.
                assert device.press("ok")
                assert device.walk(1)
            assert device.run(STEP_MS), "cut without a cut"
            if turn > 1 and self._is_all_told():
                break
        self.check()

    def _check_quiet(self, slow):
        """Nothing receipted is sent again, however long one waits; `slow`: second by second."""
        gateway, device = self.gateway, self.device
        again = gateway.again
        if slow:
            assert device.run(QUIET_MS)
        for _ in range(LEAPS):
            # Whatever waits to be sent again is overdue then.
            virtual_time.leap(QUIET_MS)
            assert device.run(2 * STEP_MS)
        assert gateway.again == again, (
            gateway.again - again,
            "messages again after their receipts",
        )

    def check(self):
        """Hold what the gateway has against what was seen from outside."""
        device, gateway = self.device, self.gateway
        gateway.check()
        waiting = [name for name, row in gateway.commands.items() if not row["done"]]
        assert not waiting, ("commands without a last result", waiting)
        epochs = {key[0] for key in gateway.stored}
        assert len(epochs) <= 1, ("epochs", epochs)
        presses = gateway.incidents
        assert len(set(presses)) == len(presses), ("the same press twice", presses)
        assert device.presses <= len(presses) <= device.presses + device.maybes, (
            "SOS presses", device.presses, device.maybes, presses,
        )  # fmt: skip
        settings = device.station.settings
        wanted = gateway.configured() or SETTINGS[0]
        assert (settings.state_s, settings.batch_s) == wanted, (
            "settings",
            settings.state_s,
            wanted,
        )
        held = device.station.logbook.journal
        for stream in lean.STREAMS:
            assert held.held(stream) == 0, (stream, held.held(stream), "still held")
        faults = [fault for fault in device.station.faults() if fault != "no_fix"]
        assert not faults, faults

    def _is_all_told(self):
        journal = self.device.station.logbook.journal
        return (
            not any(journal.held(stream) for stream in lean.STREAMS)
            and not journal.lost()
            and all(row["done"] for row in self.gateway.commands.values())
        )

    # What can happen. Each returns False when the power went in it.

    def do(self, name):
        self.log.append(name)
        return getattr(self, "do_" + name)()

    def do_wait(self):
        return self.device.run(STEP_MS * (1 + self.chance.below(4)))

    def do_walk(self):
        return self.device.walk(1 + self.chance.below(4))

    def do_duty(self):
        return self.device.press("duty")

    def do_ok(self):
        return self.device.press("ok")

    def do_sos(self):
        device = self.device
        presses = device.presses
        before, self.open = self.open, None
        survived = device.press_sos()
        if device.presses > presses or before:
            self.open = True
        return survived

    def do_cancel(self):
        self.open = self.open and None
        survived = self.device.cancel_sos()
        if survived:
            self.open = False
        return survived

    def do_people(self):
        """The command room does the next thing about the SOS that it knows."""
        if not self.gateway.incidents or not self.gateway.online:
            return True
        return self.people(self.chance.one_of(("taken", "help", "closed")))

    def people(self, word):
        """Somebody takes the newest SOS, is on the way, or closes it."""
        epoch, incident, _ = self.gateway.incidents[-1]
        status = {"epoch": epoch, "incident": incident, "status": word, "by": "Li", "at": NOW_MS}
        self.gateway.down.append(("sos_status", lean.dump(status)))
        if word == "closed":
            self.open = self.open and None
        survived = self.device.run(500)
        if survived:
            self.open = self.device.station.kind.state()["sos"] is not None
        return survived

    def message(self):
        """A text that the wearer is to read."""
        return self.command("message", {"text": "Go to the bridge."})

    def do_command(self):
        kind, body = self.chance.one_of(
            (
                ("message", {"text": "Go to the bridge."}),
                ("duty", {"on": True}),
                ("duty", {"on": False}),
                ("locate", {}),
                ("no such kind", {}),
                ("ring", {"for_s": 5}),
                ("self_test", {}),
                ("reboot", {}),
                ("configure", {"settings": {"state_s": 60, "batch_s": 30}}),
                ("configure", {"settings": {"state_s": 90, "batch_s": 45}}),
                ("configure", {"settings": {"state_s": 5}}),
            )
        )
        return self.command(kind, body)

    def command(self, kind, body):
        """The command room wants something."""
        name = f"{self.chance.bits(64):016x}"
        self.gateway.command(
            {"id": name, "kind": kind, "ttl_s": 60, "issued": NOW_MS, "body": body}
        )
        return self.device.run(600)

    def do_configure(self):
        """Settings to be tried: the device starts again with them in three seconds."""
        settings = self.chance.one_of(SETTINGS[1:])
        body = {"settings": {"state_s": settings[0], "batch_s": settings[1]}}
        return self.command("configure", body)

    def do_reboot(self):
        return self.command("reboot", {})

    def do_start_again(self):
        """As long as a start that was commanded takes."""
        return self.device.run(5_000)

    def do_outage(self):
        """Longer than settings on trial wait for a receipt."""
        return self.device.run(TRIAL_MS + 1_000)

    def do_commands_again(self):
        self.gateway.repeat_commands()
        self.gateway.repeat_commands()
        return self.device.run(600)

    def do_online(self):
        self.gateway.online = True
        return self.device.run(500)

    def do_offline(self):
        self.gateway.online = False
        return self.device.run(500)

    def do_deaf(self):
        self.gateway.receipting = False
        return self.device.run(100)

    def do_receipts(self):
        self.gateway.receipting = True
        return self.device.run(1500)

    def do_long_walk(self):
        """Batches as an hour makes them, as wide as they get."""
        try:
            for _ in range(6):
                fixes = [
                    Fix(NOW_MS + 1000 * at, self.chance.below(80_000_000), 120_000_000,
                        self.chance.below(60_000), 10, 5)
                    for at in range(60)
                ]  # fmt: skip
                self.device.station.logbook.batch("track", encode, GNSS, fixes)
        except PowerCut:
            self.device.off()
            return False
        return True

    def do_reports(self):
        """Events that belong to no SOS."""
        try:
            for _ in range(12):
                self.device.station.logbook.event("duty", {"on": True, "by": "command"})
        except PowerCut:
            self.device.off()
            return False
        return True


USUAL = (
    "wait", "walk", "duty", "ok", "sos", "sos", "cancel", "people", "people", "command", "command",
    "commands_again", "online", "online", "offline", "deaf", "receipts", "receipts", "long_walk",
    "reports",
)  # fmt: skip
FULL = (
    "long_walk", "long_walk", "reports", "reports", "wait", "sos", "duty", "offline", "offline",
    "offline", "online", "deaf", "walk", "cancel",
)  # fmt: skip


def live(session, cuts, usual):
    """Let a device live through so many power cuts, some of them while it recovers."""
    chance, device = session.chance, session.device
    while device.cuts < cuts:
        # Few operations until the cut: many hit the recovery from the cut before.
        reach = chance.one_of((3, 6, 12, 48))
        if not session.restart((1 + chance.below(reach), chance.one_of(CUTS))):
            session.log.append("cut at boot")
            continue
        for _ in range(40):
            if not session.do(chance.one_of(usual)):
                session.log.append("cut")
                break
        else:
            session.cut_power()


def filled(chance):
    """Return a session, switched off, whose journal is full after days without a network."""
    session = Session(chance)
    assert session.restart()
    journal = session.device.station.logbook.journal
    session.do("sos")
    session.do("cancel")
    while not journal.dropped:
        assert session.do("long_walk")
        assert session.do(chance.one_of(("reports", "wait", "duty")))
    session.cut_power()
    session.device.cuts = session.device.torn = 0
    return session
