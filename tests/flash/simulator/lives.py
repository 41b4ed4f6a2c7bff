"""Devices that live through power cuts: `lives.py IMAGE usual|full SEED [CUTS]`.

Seed after seed, a life of some forty cuts each, until there were so many; `full` ones begin with a
journal that is full. Prints {"cuts", "operations", "lives", "dropped"}. What fails says the seed;
without CUTS that life alone is lived again, and what happened in it is told.
"""

import gc
import json
import sys

import simulated_chip
from chance import Chance

CUTS_A_LIFE = 40
FULL_BLOCKS = 36  # Half of the segments that a terminal has: they are full, and told, sooner.


def main():
    image, kind, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
    wanted = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    chance = Chance(0)
    is_full = kind == "full"
    simulated_chip.plug_in(image, chance, FULL_BLOCKS if is_full else None)
    from session import FULL, USUAL, Session, filled, live

    full = filled(chance) if is_full else None
    cuts = operations = lives = dropped = 0
    while cuts < wanted:
        chance.__init__(seed)
        session = Session(chance, full)
        session.gateway.receipting = not is_full
        try:
            live(session, CUTS_A_LIFE, FULL if is_full else USUAL)
            session.settle(quiet=seed % 8 == 0)
        except BaseException as error:
            print("FAILED:", kind, seed, "after cut", session.device.cuts, repr(error)[:400])
            if len(sys.argv) == 4:
                print("\n".join(session.log))
            raise
        session.device.off()
        cuts += session.device.torn
        operations += session.device.operations
        lives += 1
        dropped += sum([row[3] for row in session.gateway.named])
        seed += 1
        gc.collect()
    said = {"cuts": cuts, "operations": operations, "lives": lives, "dropped": dropped}
    print(json.dumps(said))


main()
