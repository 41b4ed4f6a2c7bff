"""Working days of a terminal without a power cut: `wear.py IMAGE DAYS SEED`; which sectors wear.

A day: charged and on for 24 h, the network there. A start; duty for 8 h, walking, a fix kept every
5 s, in batches of 12, each receipted at once; a message that is read; every tenth day an SOS that
is open for 10 min, with a fix a second; then 16 h off duty. Prints {"days", "nvs": erases of each
sector, "journal": the same}.
"""

import gc
import json
import sys

import simulated_chip as chip
from chance import Chance
from nor_flash import SECTOR_BYTES

SHIFT_S, FIX_S, NIGHT_S = 28_800, 5, 57_600
SOS_DAYS, SOS_S = 10, 600
FORGET_S, SOS_FORGET_S = 600, 60
IDLE_S = 600  # Asleep but for one second in so many: nothing is written in between.


def main():
    image, days, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    chance = Chance(seed)
    chip.plug_in(image, chance)
    import virtual_time
    from session import Session

    session = Session(chance)
    device = session.device
    session.gateway.online = True
    for day in range(days):
        assert session.restart()
        _work(session, day % SOS_DAYS == SOS_DAYS // 2)
        for _ in range(0, NIGHT_S, IDLE_S):
            virtual_time.leap((IDLE_S - 1) * 1000)
            assert device.run(1000)
        _forget(session)
        device.off()
    first = chip.Partition.rom.place("journal")[0] // SECTOR_BYTES
    sectors = (chip.Partition.rom.place("journal")[1]) // SECTOR_BYTES
    counts = [device.erases.get(number, 0) for number in range(first + sectors)]
    print(json.dumps({"days": days, "nvs": counts[:first], "journal": counts[first:]}))


def _work(session, with_sos):
    device = session.device
    assert session.do("duty")
    for second in range(0, SHIFT_S, FIX_S):
        if with_sos and second == SHIFT_S // 2:
            _sos(session)
        if second % FORGET_S == 0:
            _forget(session)
        if second == SHIFT_S // 4:
            assert session.message()
            assert device.press("ok")
        device.feed()
        assert device.run(FIX_S * 1000)
    assert session.do("duty")


def _forget(session):
    """Days of records have no room: what has come is not needed any more."""
    gateway = session.gateway
    assert len(gateway.missing()) < FORGET_S, "nothing comes"
    for key in [key for key in gateway.sealed if key in gateway.stored]:
        del gateway.sealed[key]
    gateway.stored.clear()
    gc.collect()


def _sos(session):
    assert session.do("sos")
    for _ in range(0, SOS_S, SOS_FORGET_S):
        assert session.device.walk(SOS_FORGET_S)
        _forget(session)
    for word in ("taken", "help", "closed"):
        assert session.people(word)


main()
