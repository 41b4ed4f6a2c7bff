"""Mutated frames: whatever the bytes, a parser returns a value or raises WireError.

Seeded, and the same on both Pythons: `python mutated.py FOLDER COUNT SEED` prints how many were
refused, and ends with a traceback and the guilty bytes at anything else.
"""

import sys

from wire_protocol import frames, messages, readings, records, topics, track
from wire_protocol.errors import WireError

try:
    from tests.wire_protocol import run_vectors
except ImportError:  # As a script, run_vectors is a neighbour.
    import run_vectors

TEXT_PARSERS = (
    messages.parse_state,
    messages.parse_receipt,
    messages.parse_command,
    messages.parse_sos_status,
    messages.parse_watch,
    messages.parse_mute,
    records.unwrap,
)
# What mutations like to put into JSON: what breaks parsers that trust.
MORSELS = (
    b"-1",
    b"1.5",
    b"1e999",
    b"99999999999999999999999999",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'"',
    b'"\\ud800"',
    b"\\u0000",
    b"\xff",
    b"\0",
    b"[" * 200,
)


class Dice:
    """xorshift32: small, seeded, and equal on every Python."""

    def __init__(self, seed):
        self.state = seed or 1

    def roll(self, sides):
        state = self.state
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        self.state = state
        return state % sides


def mutate(dice, frame, others):
    """Return a frame with one to four changes."""
    frame = bytearray(frame)
    for _ in range(dice.roll(4) + 1):
        at = dice.roll(len(frame) + 1)
        what = dice.roll(8)
        if what == 0:
            frame = frame[:at]
        elif what == 1:
            frame = frame[:at] + bytes([dice.roll(256)]) + frame[at:]
        elif what == 2:
            frame = frame[:at] + MORSELS[dice.roll(len(MORSELS))] + frame[at + dice.roll(4) :]
        elif what == 3:
            other = others[dice.roll(len(others))]
            frame = frame[:at] + other[dice.roll(len(other)) :]
        elif what == 4:
            frame = frame[:at] + frame[at + dice.roll(20) :]
        elif frame:
            at = at % len(frame)
            if what == 5:
                frame[at] ^= 1 << dice.roll(8)
            else:
                frame[at] = (0, 0x7F, 0x80, 0xFF, dice.roll(256))[dice.roll(5)]
    return bytes(frame)


def parse_all(frame):
    """Give a frame to every parser; return how many took it."""
    taken = 0
    accepts(frames.header, frame)  # Not counted: it takes nearly all that is long enough.
    for parse in TEXT_PARSERS:
        taken += accepts(parse, frame)
    for parse in (track.decode, readings.decode, readings.check):
        taken += accepts(parse, frame)
    if accepts(track.check, frame) != accepts(track.decode, frame):
        raise AssertionError("track.check and track.decode disagree")
    if accepts(frames.open_envelope, frame):
        _, record = frames.open_envelope(frame)
        for parse in (track.decode, readings.decode):
            taken += accepts(parse, record)
        if accepts(track.check, record) != accepts(track.decode, record):
            raise AssertionError("track.check and track.decode disagree")
    try:
        text = str(frame, "utf-8")
    except (ValueError, RuntimeError):
        return taken
    for parse in (topics.parse, topics.parse_live, topics.check_device_id):
        taken += accepts(parse, text)
    return taken


def accepts(parse, frame):
    try:
        parse(frame)
    except WireError:
        return 0
    return 1


def frames_of(folder):
    """Return the good frames of the golden vectors, as bytes."""
    found = []
    for kind in ("track", "reading"):
        for case in run_vectors.load(folder, kind + ".json")["good"]:
            found.append(bytes.fromhex(case["hex"]))
    for case in run_vectors.load(folder, "envelope.json")["good"]:
        found.append(bytes.fromhex(case["hex"]))
    for case in run_vectors.load(folder, "messages.json")["good"]:
        found.append(case["payload"].encode())
    for case in run_vectors.load(folder, "topics.json")["good"]:
        found.append(case["topic"].encode())
    return found


def run(folder, count, seed):
    """Mutate `count` frames; return how many no parser took."""
    dice = Dice(seed)
    good = frames_of(folder)
    refused = 0
    for number in range(count):
        frame = mutate(dice, good[dice.roll(len(good))], good)
        try:
            refused += parse_all(frame) == 0
        except Exception:
            print("seed", seed, "frame", number, "hex", frame.hex())
            raise
    return refused


if __name__ == "__main__":
    folder, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    print(f"{run(folder, count, seed)} of {count} mutated frames refused, seed {seed}")
