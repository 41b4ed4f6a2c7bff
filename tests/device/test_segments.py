"""Where the records of a family end: what lies between belongs to the stream's other family."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from device.adapters.journal import Journal
from device.adapters.kept import Kept

BLOCKS = 32


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Return what opens the journal in a folder, again and again."""
    monkeypatch.setattr(
        os, "ilistdir", lambda folder: [(p.name,) for p in Path(folder).iterdir()], raising=False
    )
    monkeypatch.setattr(os, "statvfs", lambda _: (4096, 4096, BLOCKS, 30, 30, 0, 0, 0, 0, 255))
    return lambda: Journal(str(tmp_path), Kept(str(tmp_path)))


def event(journal: Journal, *, sos: bool = False) -> int:
    seq = journal.next_seq("event")
    kind = "sos" if sos else "report"
    record = json.dumps({"kind": kind, "seq": seq, "text": "x" * 700}).encode()
    journal.append("event", record, 1, sos)
    return seq


def seqs(journal: Journal, family: str) -> list[int]:
    found, seq = [], 1
    while entry := journal.entry(family, seq):
        found.append(entry[0])
        seq = entry[0] + entry[1]
    return found


def test_an_sos_between_two_files_of_reports_is_not_named_as_given_up(start):
    journal = start()
    reports = [event(journal) for _ in range(5)]
    pressed = [event(journal, sos=True) for _ in range(2)]
    for _ in range(5):
        event(journal)
    journal = start()
    while not journal.ranges:
        event(journal)
    assert [row[:3] for row in journal.ranges] == [["event", reports[0], len(reports)]]
    assert journal.dropped == len(reports)
    assert seqs(journal, "s") == pressed


def test_a_walk_over_all_files_finds_nothing_bad_where_nothing_is(start):
    journal = start()
    reports = [event(journal) for _ in range(5)]
    pressed = [event(journal, sos=True) for _ in range(2)]
    reports += [event(journal) for _ in range(5)]
    journal = start()
    assert (seqs(journal, "e"), seqs(journal, "s")) == (reports, pressed)
    assert (journal.dropped, journal.ranges, journal.spoilt) == (0, [], (0, 0))


def test_what_was_given_up_is_named_once_however_often_it_starts(start):
    journal = start()
    pressed = [event(journal, sos=True) for _ in range(5)]
    while not journal.ranges:
        event(journal)
    pressed.append(event(journal, sos=True))
    before = journal.dropped, [list(row) for row in journal.ranges]
    for _ in range(2):
        journal = start()
        assert seqs(journal, "s") == pressed
        assert (journal.dropped, [list(row) for row in journal.ranges]) == before
        assert journal.spoilt == (0, 0)


def test_a_file_that_lost_its_last_entry_in_a_running_journal_is_found_out(start, tmp_path):
    journal = start()
    pressed = [event(journal, sos=True) for _ in range(2)]
    path = next(tmp_path.glob("s*"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert seqs(journal, "s") == pressed[:1]
    assert journal.ranges == [["event", pressed[1], 1, []]]
