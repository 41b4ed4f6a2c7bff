"""The journal keeps what it sealed, in a process that is killed and in files that went bad.

What a power cut does to the flash beneath it is in tests/flash.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

KILLS = 6


@pytest.mark.parametrize("kind", ["folder", "littlefs"])
def test_killed_again_and_again_no_record_is_lost_and_no_seq_given_twice(
    micropython, tmp_path, kind
):
    place = tmp_path / "journal"
    if kind == "folder":
        place.mkdir()
    else:
        place.write_bytes(b"\xff" * (48 * 4096))
    witness = Witness()
    chance = random.Random(7)
    for turn in range(KILLS):
        micropython.start("journal_worker.py", "work", str(place), str(turn))
        witness.watch(micropython, chance.randrange(20, 300))
        micropython.kill()
        witness.rest(micropython)
        witness.compare(micropython.run("journal_worker.py", "dump", str(place), "0"))
    assert len(witness.sealed) > 400


class Witness:
    """What the worker said it had sealed, against what is there."""

    def __init__(self) -> None:
        self.sealed: dict[tuple[str, int], tuple[int, int]] = {}
        self.upto: dict[str, int] = {}
        self.lost: list[tuple[str, int, int]] = []
        self.epochs: set[int] = set()

    def watch(self, micropython, records: int) -> None:
        for _ in range(records):
            micropython.wait(self._take, "records")

    def rest(self, micropython) -> None:
        for line in micropython.drain():
            self._take(line)

    def compare(self, said) -> None:
        held = {}
        for word, *rest in said:
            if word == "epoch":
                self.epochs.add(rest[0])
            elif word == "held":
                held[rest[0], rest[1]] = (rest[2], rest[3])
            elif word == "lost":
                self.lost.append(tuple(rest))
            elif word == "next":
                assert all(s < rest[1] for stream, s in self.sealed if stream == rest[0])
        assert len(self.epochs) == 1
        for key, (count, check_sum) in self.sealed.items():
            stream, seq = key
            if key in held:
                assert held[key] == (count, check_sum)
            elif seq > self.upto.get(stream, 0):
                assert any(s == stream and f <= seq < f + c for s, f, c in self.lost), key

    def _take(self, line) -> bool:
        if line[0] == "sealed":
            key = (line[1], line[2])
            assert key not in self.sealed, f"{key} was given twice"
            self.sealed[key] = (line[3], line[4])
        elif line[0] == "receipted":
            self.upto[line[1]] = max(line[2], self.upto.get(line[1], 0))
        elif line[0] == "epoch":
            self.epochs.add(line[1])
        return line[0] == "sealed"


def test_a_torn_tail_is_ignored_and_its_seq_given_anew(micropython, tmp_path):
    place = tmp_path / "journal"
    place.mkdir()
    micropython.start("journal_worker.py", "work", str(place), "1")
    witness = Witness()
    witness.watch(micropython, 60)
    micropython.kill()
    witness.rest(micropython)
    newest = max(place.glob("t????????"), key=lambda path: path.name)
    whole = newest.read_bytes()
    for torn in (whole + whole[:5], whole + whole[:40], whole + b"\xff" * 30):
        newest.write_bytes(torn)
        witness.compare(micropython.run("journal_worker.py", "dump", str(place), "0"))
    micropython.start("journal_worker.py", "work", str(place), "2")
    witness.watch(micropython, 30)
    micropython.kill()
    witness.rest(micropython)
    witness.compare(micropython.run("journal_worker.py", "dump", str(place), "0"))


def test_a_record_that_went_bad_is_named_and_stops_nothing(micropython, tmp_path):
    place = tmp_path / "journal"
    place.mkdir()
    micropython.start("journal_worker.py", "work", str(place), "3")
    witness = Witness()
    witness.watch(micropython, 250)
    micropython.kill()
    witness.rest(micropython)
    segment = sorted(place.glob("t????????"), key=lambda path: path.name)[-2]
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0x10
    segment.write_bytes(data)
    said = micropython.run("journal_worker.py", "dump", str(place), "0")
    assert [row for row in said if row[0] == "lost"]
    witness.compare(said)


@pytest.mark.parametrize("stream", "trex")
def test_no_seq_is_given_again_when_the_newest_records_went_bad(micropython, tmp_path, stream):
    place = tmp_path / "journal"
    place.mkdir()
    witness = Witness()
    whole = b""
    seed = 5
    while not whole:
        micropython.start("journal_worker.py", "work", str(place), str(seed))
        witness.watch(micropython, 120)
        micropython.kill()
        witness.rest(micropython)
        newest = max(place.glob(f"{stream}????????"), key=lambda path: path.name)
        whole = newest.read_bytes()
        seed += 1
    # In a record, in a length, in a seq, in a count: of the file's first entry.
    for bad in (30, 1, 6, 2):
        data = bytearray(whole)
        data[bad] ^= 0x40
        newest.write_bytes(data)
        witness.compare(micropython.run("journal_worker.py", "dump", str(place), "0"))
    micropython.start("journal_worker.py", "work", str(place), str(seed))
    witness.watch(micropython, 30)
    micropython.kill()
    witness.rest(micropython)
    witness.compare(micropython.run("journal_worker.py", "dump", str(place), "0"))


def test_a_folder_without_its_epoch_begins_a_new_one_with_nothing_in_it(micropython, tmp_path):
    place = Path(tmp_path / "journal")
    place.mkdir()
    micropython.start("journal_worker.py", "work", str(place), "4")
    witness = Witness()
    witness.watch(micropython, 30)
    micropython.kill()
    (place / "epoch.json").unlink()
    said = micropython.run("journal_worker.py", "dump", str(place), "0")
    assert said[0][1] not in witness.epochs
    assert not [row for row in said if row[0] == "held"]
    assert {row[2] for row in said if row[0] == "next"} == {1}
