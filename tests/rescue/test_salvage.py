"""What the rescue agent finds in raw flash, what it hands over, and what it makes of faults."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from device.adapters.kept import Kept
from device.adapters.segments import pack_entry
from rescue.outbox import Outbox
from rescue.salvage import BLOCK_BYTES, FREE, GIVEN, OTHER, Salvage, holder

EPOCH = 77
AT = 512  # Somewhere in a block.


def sealed(kind: str, seq: int, boot: int = 1) -> bytes:
    record = {"epoch": EPOCH, "seq": seq, "kind": kind, "boot": boot, "incident": seq}
    return json.dumps(record, separators=(",", ":")).encode()


class Partition:
    """Flash of a few blocks, each with one entry; a chip's `Partition` at its interface."""

    def __init__(self, *entries: bytes) -> None:
        self.blocks = [
            (b"\xff" * AT + entry).ljust(BLOCK_BYTES, b"\xff") for entry in (*entries, b"")
        ]
        self.faults = 0  # So many reads fail.

    def ioctl(self, _request: int, _argument: int) -> int:
        return len(self.blocks)

    def readblocks(self, number: int, buffer: bytearray, offset: int = 0) -> None:
        if self.faults:
            self.faults -= 1
            raise OSError(5)
        buffer[:] = self.blocks[number][offset : offset + len(buffer)]


class Found:
    """Takes what is found."""

    def __init__(self) -> None:
        self.rows: list[tuple] = []

    def add(self, *row) -> bool:
        self.rows.append(row)
        return True


def look(partition: Partition, is_others=None) -> tuple[Salvage, list[tuple]]:
    found = Found()
    salvage = Salvage(partition, bytearray(BLOCK_BYTES), found, is_others, lambda _: None)
    while salvage.step():
        pass
    return salvage, found.rows


def test_an_sos_goes_before_a_cancel_that_was_never_sealed_under_its_number():
    cancel, press = sealed("sos_cancel", 9), sealed("sos", 9)
    salvage, rows = look(Partition(pack_entry(9, 1, cancel), pack_entry(9, 1, press)))
    assert [(row[:4], salvage.read(row[4])) for row in rows] == [
        (("event", EPOCH, 9, True), press)
    ]


def test_the_alarm_learns_what_was_found_of_an_sos_before_all_else_is_looked_for():
    fillers = [pack_entry(seq, 1, sealed("report", seq)) for seq in range(10, 300)]
    partition = Partition(pack_entry(9, 1, sealed("sos", 9)), *fillers)
    found, asked = Found(), []

    def on_sos_found(saw):
        asked.append((saw("event", EPOCH, 9), len(found.rows)))

    salvage = Salvage(partition, bytearray(BLOCK_BYTES), found, None, on_sos_found)
    while salvage.step():
        pass
    assert asked == [(True, 1)]
    assert len(found.rows) == 1 + len(fillers)


def test_a_record_whose_number_is_another_ones_is_left_to_the_application():
    partition = Partition(
        pack_entry(9, 1, sealed("sos", 9, boot=1)), pack_entry(9, 1, sealed("sos", 9, boot=2))
    )
    salvage, rows = look(partition, lambda record: record == sealed("sos", 9, boot=1))
    assert [salvage.read(row[4]) for row in rows] == [sealed("sos", 9, boot=2)]


def test_a_read_that_fails_is_tried_again():
    partition = Partition(pack_entry(9, 1, sealed("sos", 9)))
    salvage, rows = look(partition)
    partition.faults = 2
    assert salvage.read(rows[0][4]) == sealed("sos", 9)
    partition.faults = 3
    with pytest.raises(OSError, match="5"):
        salvage.read(rows[0][4])


@pytest.fixture
def journal(tmp_path, monkeypatch):
    """A mounted journal: event 8 in one file, SOS 9 in the other."""
    monkeypatch.setattr(
        os, "ilistdir", lambda folder: [(p.name,) for p in Path(folder).iterdir()], raising=False
    )
    kept = Kept(str(tmp_path))
    kept.save("epoch", EPOCH)
    (tmp_path / "e00000008").write_bytes(pack_entry(8, 1, sealed("report", 8)))
    (tmp_path / "s00000009").write_bytes(pack_entry(9, 1, sealed("sos", 9)))
    return str(tmp_path), kept


@pytest.mark.parametrize(
    ("record", "is_held_by"),
    [
        (sealed("sos", 9), GIVEN),
        (sealed("sos", 9, boot=2), OTHER),
        (sealed("sos", 8), OTHER),
        (sealed("sos", 7), GIVEN),
        (sealed("sos", 10), FREE),
        (sealed("sos", 10).replace(b"77", b"78"), GIVEN),
    ],
)
def test_it_is_known_whose_number_it_is(journal, record, is_held_by):
    assert holder(record, *journal) == is_held_by


class Link:
    """Takes what is posted."""

    def __init__(self) -> None:
        self.posted: list[tuple] = []

    def publish(self, *message) -> bool:
        self.posted.append(message)
        return True


def outbox(read, on_bad) -> Outbox:
    stamp = {"at": 1, "clock": 0, "uptime_s": 1}
    clock = SimpleNamespace(stamp=stamp.copy, uptime_ms=lambda: 1)
    return Outbox(Link(), clock, 1, read, on_bad)


def test_an_sos_may_take_the_place_that_is_kept_for_it_and_the_state_has_one_too():
    box = outbox(None, None)
    for _ in range(5):
        box.seal("event", "report", {"text": "x"})
    box.seal("event", "sos", {"incident": 0}, sos=True)
    box.send_due()
    assert [message[4] for message in box._link.posted] == [True, False]


@pytest.fixture
def alarm(monkeypatch):
    """The agent's alarm with an SOS of the application's, latched as event 9."""
    numbers: dict[str, int] = {}
    boots = SimpleNamespace(
        keep=lambda *pairs: numbers.update({k: v or 0 for k, v in pairs}) or True,
        number=lambda key: numbers.get(key, 0),
    )
    monkeypatch.setitem(sys.modules, "boots", boots)
    monkeypatch.delitem(sys.modules, "rescue.alarm", raising=False)  # It may have another's.
    from rescue.alarm import Alarm

    agent = SimpleNamespace(
        board=SimpleNamespace(config={}),
        kept=SimpleNamespace(load=lambda _: ["open", 9, 1, 9, EPOCH, "button"]),
        link=SimpleNamespace(set_urgent=lambda _: None),
        changed=lambda: None,
    )

    def unread(_place):
        raise OSError(5)

    made = Alarm(agent)
    monkeypatch.setattr(made, "_play", lambda _: None)
    agent.outbox = outbox(unread, made.on_bad)
    made.restore()
    return made


def test_a_receipt_for_something_else_is_none_for_an_sos_that_was_not_found_yet(alarm):
    alarm.on_receipt()
    assert alarm.state()["shown"] == "open"
    alarm.on_saved(lambda *_: True)  # Found, and receipted meanwhile.
    assert alarm.state() == {"epoch": EPOCH, "incident": 9, "shown": "stored"}


def test_an_sos_that_cannot_be_read_any_more_is_pressed_anew_and_not_shown_as_stored(alarm):
    box = alarm._agent.outbox
    box.add("event", EPOCH, 9, True, (0, AT, 10))
    alarm.on_saved(lambda *_: True)
    box.send_due()
    alarm.on_receipt()
    assert alarm.state() == {"incident": 1, "shown": "open"}
    assert box.waits("event", box.epoch, 1)


def test_where_nvs_cannot_keep_that_it_is_made_anew_a_journal_is_not_touched(monkeypatch):
    """Else the next start would find it to be made anew once more, and so on for ever."""
    touched, left = [], []
    boots = SimpleNamespace(keep=lambda *_: False, number=lambda _: 0, ANEW=1, SENT=2)
    vfs = SimpleNamespace(
        VfsLfs2=SimpleNamespace(mkfs=touched.append), mount=touched.append, umount=touched.append
    )
    for name, module in (
        ("boots", boots),
        ("vfs", vfs),
        ("packed", SimpleNamespace(NoJournal=object)),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    for name in ("rescue.alarm", "rescue.agent"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    from rescue.agent import Agent

    agent = SimpleNamespace(busy=False, leave=lambda *why: left.append(why))
    Agent._make_journal(agent)
    assert (touched, [why[1:] for why in left]) == ([], [(("trial", 1),)])
