"""The rescue agent under power cuts: `rescues.py IMAGE NAME SEED [STEP [OPERATION HOW]]`.

NAME: a row of SCENES. As in each_operation.py the power goes in each operation in every way: while
the agent keeps its numbers, takes a press, makes a journal anew, writes an application to a slot.
After each cut the device boots, knows who it is, and comes back to an application that runs; what
the application had sealed is stored, and every SOS that was shown as latched has come. Prints
{"scene", "cuts", "operations"}.
"""

import gc
import json
import sys

import simulated_chip as chip
from chance import Chance
from nor_flash import SECTOR_BYTES, all_cuts

NESTED_REACH = 12
SETTLE_S = 900  # A fetch that was not answered is tried again after a minute.
PLAYED = 1 << 32  # Other chance than what was before: no epoch is made twice.


def main():
    image, name, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
    step = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    chance = Chance(seed)
    chip.plug_in(image, chance)
    import rescued

    prepare, release, scene = SCENES[name]
    slot = rescued.published(image, "same")[1]
    before = rescued.Session(chance, slot, rescued.published(image, release))
    prepare(before)

    def play(cut):
        chance.__init__(seed + PLAYED)
        session = before.copy()
        survived = session.restart(cut)
        for word in scene:
            survived = survived and session.do(word)
        return session, not survived

    whole, was_cut = play(None)
    assert not was_cut
    operations = whole.device.operations + whole.device.flash.operations
    whole.settle(SETTLE_S)
    whole.check(rounds=0)
    whole.device.off()
    cuts = 0
    chosen = [(int(sys.argv[5]), sys.argv[6])] if len(sys.argv) > 6 else None
    for operation, how in chosen or all_cuts(operations, step):
        session = None
        try:
            session, was_cut = play((operation, how))
            assert was_cut, "the same thing twice did not do the same"
            while session.device.cuts < 3 and chance.below(2):
                if session.restart((1 + chance.below(NESTED_REACH), chance.one_of(rescued.CUTS))):
                    session.device.off()
            session.settle(SETTLE_S)
            session.check(rounds=session.device.cuts)
        except BaseException as error:
            print("FAILED:", name, seed, step, operation, repr(how), repr(error)[:300])
            print(session and session.log)
            raise
        session.device.off()
        cuts += session.device.torn
        gc.collect()
    print(json.dumps({"scene": name, "cuts": cuts, "operations": operations}))


def _spoiled_journal(session):
    """An SOS and tracks that nobody has, in a journal that cannot be mounted any more."""
    session.restart()
    for word in ("duty", "walk", "sos", "walk", "reports"):
        session.do(word)
    session.device.off()
    first = chip.Partition.rom.place("journal")[0] // SECTOR_BYTES
    session.superblocks = []
    for number in (first, first + 1):
        # The superblock of littlefs, and no more: 64 bytes of each copy.
        sector = bytearray(session.device.data.sectors[number])
        session.superblocks.append(bytes(sector))
        sector[:64] = bytes(64)
        session.device.data.put(number, bytes(sector))


def _mounts_again(session):
    """The same; the agent has sent what it found, and the journal can be mounted again."""
    _spoiled_journal(session)
    first = chip.Partition.rom.place("journal")[0] // SECTOR_BYTES
    session.gateway.receipting = False
    assert session.restart()
    for word in ("online", "work"):
        assert session.do(word)
    session.device.off()
    session.gateway.receipting = True
    for number, sector in enumerate(session.superblocks, first):
        session.device.data.put(number, sector)
    assert session.restart()
    # What lies there need not have been sealed: the journal gives no number any more.
    assert session.device.reason == "journal", session.device.reason
    session.device.off()


def _no_application(session):
    """A slot that lost its application, an SOS open."""
    session.restart()
    for word in ("duty", "walk", "sos"):
        session.do(word)
    session.device.off()
    _lose_application(session)


def _unsealed(session):
    """The same; of the last press all but one operation was done: littlefs has no record of it."""
    session.restart()
    for word in ("duty", "sos", "sos"):
        session.do(word)
    session.device.off()
    operations = 1
    while True:
        other = session.copy()
        if other.restart((operations, "before")) and other.do("sos"):
            break
        operations += 1
    other.device.off()
    del other
    gc.collect()
    assert not session.restart((operations - 1, "before")) or not session.do("sos")
    _lose_application(session)


def _lose_application(session):
    first, size = chip.Partition.rom.place("app_a")
    session.device.data.put(first // SECTOR_BYTES, b"\xff" * size)


def _failed_starts(session):
    """An application that started three times and never came to a receipt."""
    session.restart()
    session.do("duty")
    for _ in range(3):
        session.device.off()
        session.device.power_on(None, chip.Machine.WDT_RESET)
    session.device.off()


# Name -> (what was before, what release there is, what is done).
SCENES = {
    "spoiled_journal": (_spoiled_journal, "same", ("wait", "online", "work", "close", "work")),
    "mounts_again": (_mounts_again, "same", ("wait", "online", "work", "close", "work")),
    "no_application": (_no_application, "same", ("sos", "online", "work", "close", "work")),
    "unsealed": (_unsealed, "same", ("online", "work", "close", "work", "sos", "work")),
    "failed_starts": (_failed_starts, "other", ("sos", "wait", "online", "work", "close", "work")),
}


main()
