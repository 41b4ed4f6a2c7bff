"""One thing that a terminal does, the power cut in each of its operations in every way.

    each_operation.py IMAGE NAME SEED [STEP [OPERATION HOW]]

NAME: a row of SCENES. After each cut the device starts again, half of the times with another cut
in its start and a third in that one's, and everything must be there. Every STEP-th operation;
OPERATION and HOW alone do one cut again. Prints {"cuts", "operations"}.
"""

import gc
import json
import sys

import simulated_chip
from chance import Chance
from nor_flash import CUTS, all_cuts

NESTED_REACH = 12
FULL_BLOCKS = 36  # As in lives.py.


def _new(session):
    """Nothing: the very first start is the scene."""
    session.cut_power()


def _on_duty(session):
    session.restart()
    session.do("duty")
    session.do("walk")
    session.cut_power()


def _in_sos(session):
    session.restart()
    for name in ("duty", "walk", "sos", "walk", "online", "wait"):
        session.do(name)
    session.cut_power()


def _much_held(session):
    session.restart()
    for name in ("duty", "reports", "reports", "long_walk", "long_walk", "sos", "cancel"):
        session.do(name)
    session.cut_power()


# Name -> (what was before, or "full", what is done).
SCENES = {
    "first_start": (None, ("wait",)),
    "duty_and_walk": (_on_duty, ("walk", "walk", "duty", "wait")),
    "sos": (_on_duty, ("sos", "walk", "sos", "wait")),
    "sos_online": (_on_duty, ("online", "sos", "walk", "people", "people", "people", "wait")),
    "cancel": (_in_sos, ("cancel", "wait", "sos", "walk")),
    "orders": (_on_duty, ("online", "command", "command", "ok", "commands_again", "command", "ok",
                          "wait", "wait")),
    "configure": (_on_duty, ("online", "configure", "start_again", "reboot", "start_again")),
    "rolled_back": (_on_duty, ("online", "configure", "offline", "start_again", "outage", "online",
                               "start_again")),
    "receipts": (_much_held, ("online", "wait", "wait", "walk", "wait", "reports", "wait")),
    "full": ("full", ("long_walk", "sos", "reports", "walk")),
    "dropped_named": ("full", ("online", "wait", "wait", "wait", "wait", "reports", "wait")),
}  # fmt: skip


def main():
    image, name, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
    step = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    chance = Chance(seed)
    prepare, scene = SCENES[name]
    simulated_chip.plug_in(image, chance, FULL_BLOCKS if prepare == "full" else None)
    import session as sessions

    if prepare == "full":
        before = sessions.filled(chance)
    else:
        before = sessions.Session(chance)
        (prepare or _new)(before)
    if prepare is None:
        before = None

    def play(cut):
        """Return (the session, whether its power was cut)."""
        chance.__init__(seed)
        session = sessions.Session(chance, before)
        survived = session.restart(cut)
        for word in scene:
            survived = survived and session.do(word)
        return session, not survived

    whole, was_cut = play(None)
    assert not was_cut
    operations = whole.device.operations + whole.device.flash.operations
    whole.settle(quiet=True)
    whole.device.off()
    cuts = 0
    chosen = [(int(sys.argv[5]), sys.argv[6])] if len(sys.argv) > 6 else None
    for operation, how in chosen or all_cuts(operations, step):
        session = None
        try:
            session, was_cut = play((operation, how))
            assert was_cut, "the same thing twice did not do the same"
            recover(session, chance)
            session.settle()
        except BaseException as error:
            print("FAILED:", name, seed, step, operation, repr(how), repr(error)[:300])
            print(session and session.log)
            raise
        session.device.off()
        cuts += session.device.torn
        gc.collect()
    print(json.dumps({"scene": name, "cuts": cuts, "operations": operations}))


def recover(session, chance):
    """Start again, up to twice with a cut in the start."""
    while session.device.cuts < 3 and chance.below(2):
        if session.restart((1 + chance.below(NESTED_REACH), chance.one_of(CUTS))):
            session.cut_power()


main()
