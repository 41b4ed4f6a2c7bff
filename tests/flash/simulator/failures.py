"""A flash that fails under the whole firmware: `failures.py IMAGE SEED [LIVES [WAY]]`.

Life after life, each with the next seed and the next way of `ill_flash`: see failing.py. A life
that goes wrong says its seed and its way; with LIVES 1 and WAY that life alone is lived again.
Prints {"failing", "refused", "unread", "rescues"}.
"""

import gc
import json
import sys

import simulated_chip as chip
from chance import Chance
from ill_flash import WAYS


def main():
    image, seed = sys.argv[1], int(sys.argv[2])
    lives = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    ways = sys.argv[4:] or sorted(WAYS)
    chance = Chance(seed)
    chip.plug_in(image, chance)
    import failing
    from rescued import published

    slot, release = published(image, "same")[1], published(image, "same")
    refused = unread = rescues = 0
    for number in range(lives):
        way = ways[(seed + number) % len(ways)]
        chance.__init__(seed + number)
        session = failing.Session(chance, slot, release)
        try:
            session.live(way)
        except BaseException as error:
            print("FAILED:", seed + number, way, repr(error)[:400])
            print(session.log)
            raise
        session.device.off()
        refused += session.struck.refused
        unread += session.struck.unread
        rescues += session.device.rescues
        gc.collect()
    said = {"failing": lives, "refused": refused, "unread": unread, "rescues": rescues}
    print(json.dumps(said))


main()
