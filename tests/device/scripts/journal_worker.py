"""Works on a journal until it is killed: `journal_worker.py work|dump PLACE SEED`.

PLACE is a folder, or a file that is a flash of 48 blocks. `work` prints ["sealed", stream, seq,
count, check sum] after each record and ["receipted", stream, upto] before each receipt; `dump`
prints ["held", stream, seq, count, check sum], ["lost", stream, first, count] and ["next", stream,
seq]; both begin with ["epoch", n].
"""

import binascii
import json
import os
import random
import sys

import vfs
from device.adapters.journal import Journal
from device.adapters.kept import Kept
from device.adapters.segments import FAMILIES, STREAM_OF
from device.errors import JournalFull
from flash_sim import FileFlash

BLOCKS = 48


def say(*words):
    print(json.dumps(words))


def open_journal(place):
    if os.stat(place)[0] & 0x4000:
        return Journal(place, Kept(place))
    flash = FileFlash(place, BLOCKS)
    try:
        vfs.mount(vfs.VfsLfs2(flash), "/flash")
    except OSError:
        vfs.VfsLfs2.mkfs(flash)
        vfs.mount(vfs.VfsLfs2(flash), "/flash")
    return Journal("/flash", Kept("/flash"))


def work(journal):
    while True:
        stream = random.choice(("track", "track", "track", "reading", "event", "result"))
        sos = stream == "event" and random.randrange(4) == 0
        count = random.randrange(1, 13) if stream in ("track", "reading") else 1
        seq = journal.next_seq(stream)
        kind = "sos" if sos else "duty"
        head = json.dumps({"kind": kind, "seq": seq, "x": random.getrandbits(30)})
        record = head.encode() + b" " * random.randrange(600)
        try:
            journal.append(stream, record, count, sos)
        except JournalFull:
            # Refused, loudly: the gateway was away for too long. It comes back.
            for stream in FAMILIES:
                say("receipted", stream, journal.next_seq(stream) - 1)
                journal.receive(stream, journal.next_seq(stream) - 1, [])
            continue
        say("sealed", stream, seq, count, binascii.crc32(record))
        if random.randrange(12) == 0:
            stream = random.choice(("track", "event", "result", "reading"))
            upto = journal.low(stream) + random.randrange(20) - 1
            if upto < journal.next_seq(stream):
                say("receipted", stream, upto)
                journal.receive(stream, upto, [])


def dump(journal):
    for family in STREAM_OF:
        seq = 1
        while True:
            entry = journal.entry(family, seq)
            if entry is None:
                break
            say("held", STREAM_OF[family], entry[0], entry[1], binascii.crc32(entry[2]))
            seq = entry[0] + entry[1]
    for row in journal.lost():
        say("lost", *row[:3])
    for stream in FAMILIES:
        say("next", stream, journal.next_seq(stream))


random.seed(int(sys.argv[3]))
opened = open_journal(sys.argv[2])
say("epoch", opened.epoch)
if sys.argv[1] == "work":
    work(opened)
else:
    dump(opened)
