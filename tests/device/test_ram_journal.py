"""The journal in memory: what it forgets is named, and an SOS finds room."""

from __future__ import annotations

import json

import pytest
from device.adapters.ram_journal import ENTRIES_MAX, FIRSTS_MAX, RamJournal
from device.errors import JournalFull


def add(journal: RamJournal, family: str, kind: str, seqs: int = 1, **more) -> int:
    record = {"kind": kind, "seq": journal.next_seq(family), **more}
    sealed = json.dumps(record).encode()
    return journal.append(family, sealed, seqs, kind.startswith("sos"))


def named(journal: RamJournal) -> list:
    return sorted([stream, first, count, kinds] for stream, first, count, kinds in journal.lost())


def test_what_is_forgotten_is_named_once_there_is_room_again():
    journal = RamJournal(0)
    for _ in range(ENTRIES_MAX + 2):
        add(journal, "track", "fixes", 12)
    assert journal.dropped == 24
    assert journal.lost() == [], "a record about it would drop another"
    journal.receive("track", 36, [])
    assert named(journal) == [["track", 1, 24, []]]
    journal.named("track", 1, 24)
    assert journal.lost() == []


def test_events_are_named_with_their_kinds_and_what_they_named_is_named_again():
    journal = RamJournal(0)
    add(journal, "event", "duty")
    add(journal, "event", "dropped", stream="reading", first=4, count=3)
    for _ in range(ENTRIES_MAX):
        add(journal, "event", "sos", incident=1)
    journal.receive("event", 4, [])
    assert named(journal) == [["event", 1, 2, ["duty", "dropped"]], ["reading", 4, 3, []]]


def test_a_first_press_finds_room_where_a_further_one_does_not():
    journal = RamJournal(0)
    for press in range(ENTRIES_MAX):
        add(journal, "event", "sos", incident=1, press=press + 1)
    with pytest.raises(JournalFull):
        add(journal, "event", "sos", incident=1, press=25)
    for _ in range(FIRSTS_MAX):
        add(journal, "event", "sos", incident=journal.next_seq("event"), press=1)
    with pytest.raises(JournalFull):
        add(journal, "event", "sos", incident=journal.next_seq("event"), press=1)
    assert journal.held("event") == ENTRIES_MAX + FIRSTS_MAX
    assert journal.dropped == 0
