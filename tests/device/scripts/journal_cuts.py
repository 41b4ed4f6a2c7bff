"""Cuts the power in the middle of every write of a working journal: `journal_cuts.py STEP [SEED]`.

Prints {"cuts": n, "writes": m}; an assertion that fails says at which write.
"""

import gc
import json
import random
import sys

import vfs
from device.adapters.journal import Journal
from device.adapters.kept import Kept
from device.adapters.segments import FAMILIES, STREAM_OF
from device.errors import DeviceError
from flash_sim import BLOCK_BYTES, MemoryFlash, PowerCut

BLOCKS = 36
PATH = "/flash"
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 0


class Witness:
    """What an outsider knows: what was sealed, begun, receipted, named as dropped."""

    def __init__(self):
        self.sealed = {}
        self.begun = {}
        self.receipted = {}
        self.named = []

    def append(self, journal, stream, size, sos=False):
        seq = journal.next_seq(stream)
        count = 12 if stream == "track" else 1
        kind = "sos" if sos else "duty"
        head = json.dumps({"kind": kind, "seq": seq, "stream": stream})
        record = head.encode() + b" " * (size - len(head))
        self.begun[stream, seq] = record
        assert journal.append(stream, record, count, sos) == seq
        assert (stream, seq) not in self.sealed, (seq, stream, "given twice")
        self.sealed[stream, seq] = record, count

    def receive(self, journal, stream, upto, singles):
        for key in self.sealed:
            if key[0] == stream and (key[1] <= upto or key[1] in singles):
                self.receipted[key] = True
        journal.receive(stream, upto, singles)

    def check(self, journal):
        held = {}
        for family in STREAM_OF:
            stream = STREAM_OF[family]
            seq = 1
            while True:
                entry = journal.entry(family, seq)
                if entry is None:
                    break
                assert entry[0] >= seq
                assert self.begun.get((stream, entry[0])) == entry[2], (stream, entry[:2])
                held[stream, entry[0]] = True
                seq = entry[0] + entry[1]
        for row in journal.lost():
            self.named.append(tuple(row[:3]))
        for key in self.sealed:
            assert journal.next_seq(key[0]) > key[1], key
            if key not in held and key not in self.receipted:
                assert self._is_named(key), (key, self.named, journal.low(key[0]))

    def _is_named(self, key):
        return any(s == key[0] and f <= key[1] < f + c for s, f, c in self.named)


def work(witness):
    """A busy day: every stream, receipts in order and out of order, a journal that gets full."""
    journal = Journal(PATH, Kept(PATH))
    for turn in range(9):
        for _ in range(5):
            witness.append(journal, "track", random.randrange(500, 900))
        witness.append(journal, "event", 180)
        witness.append(journal, "event", 200, sos=turn % 3 == 0)
        witness.append(journal, "result", 300)
        if turn == 1:
            witness.receive(journal, "track", 24, [37])
        if turn == 2:
            witness.receive(journal, "event", 3, [5])
            witness.receive(journal, "result", 3, [])
        for row in journal.lost():
            witness.named.append(tuple(row[:3]))
        if turn == 7 and journal.lost():
            journal.lost_named()


def one(blank, cut_at):
    """Run until the power is cut, then start again on what is left; returns the writes done."""
    random.seed(SEED)
    flash = MemoryFlash(bytearray(blank), cut_at)
    vfs.mount(vfs.VfsLfs2(flash), PATH)
    witness = Witness()
    cut = False
    try:
        work(witness)
    except (PowerCut, OSError, DeviceError):
        cut = True
    vfs.umount(PATH)
    assert cut == (cut_at is not None), cut_at
    after = MemoryFlash(flash.data, None)
    vfs.mount(vfs.VfsLfs2(after), PATH)
    journal = Journal(PATH, Kept(PATH))
    witness.check(journal)
    for stream in FAMILIES:
        witness.append(journal, stream, 200)
    witness.check(journal)
    vfs.umount(PATH)
    return flash.writes


def main():
    step = int(sys.argv[1])
    blank = MemoryFlash(bytearray(b"\xff" * (BLOCKS * BLOCK_BYTES)), None)
    vfs.VfsLfs2.mkfs(blank)
    writes = one(blank.data, None)
    cuts = 0
    for cut_at in range(1, writes + 1, step):
        try:
            one(blank.data, cut_at)
        except Exception:
            print("power cut in write", cut_at, "of", writes)
            raise
        gc.collect()
        cuts += 1
    print(json.dumps({"cuts": cuts, "writes": writes}))


main()
