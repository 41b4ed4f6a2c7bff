"""Lanes, room, quarantine, newest fixes, what is said again: small rules, each a table."""

import json

import pytest

from gateway.domain import outbound
from gateway.domain.inbound import Batch, Claim, Record, Refused, State, read_bulk, read_urgent
from gateway.domain.newest import NewestPositions
from gateway.domain.quarantine import BURST_ROWS, ROWS_AN_HOUR, QuarantineBudget
from gateway.domain.room import MESSAGE_BYTES, Room
from gateway.domain.urgency import EVENT, OTHER, SOS, lane
from storage.telemetry.interface import TrackRow
from wire_protocol import clock, frames, messages, records, track
from wire_protocol.errors import WireError

NOW_MS = 1_767_225_600_000


def event(kind: str = "report", **more) -> bytes:
    fields = {
        "epoch": 1, "seq": 4, "kind": kind, "at": NOW_MS, "clock": "server", "uptime_s": 1,
        "boot": 1, **(more or {"text": "fine"}),
    }  # fmt: skip
    return records.wrap(2, records.seal(fields))


def sos(**more) -> bytes:
    return event("sos", **{"trigger": "button", "incident": 4, "press": 1, "fix": None, **more})


@pytest.mark.parametrize(
    ("topic", "payload", "expected"),
    [
        ("xh/1/t-0001/up/event", sos(), SOS),
        ("xh/1/t-0001/up/event", event("sos_cancel", incident=4), SOS),
        ("xh/1/t-0001/up/event", event(), EVENT),
        ("xh/1/t-0001/up/event", event(text='say "kind":"sos" loudly'), EVENT),
        ("xh/1/t-0001/up/event", b"", EVENT),
        ("xh/1/t-0001/up/state", b'{"sos":{"kind":"sos"}}', OTHER),
        ("xh/1/t-0001/up/result", b"", OTHER),
    ],
)
def test_lane(topic, payload, expected):
    assert lane(topic, payload) == expected


def test_room_is_bounded_in_messages_and_bytes():
    room = Room(messages_max=10, bytes_max=100_000)
    assert all(room.bring(100) for _ in range(10))
    assert not room.bring(1)
    assert room.is_crowded
    assert not room.is_roomy
    for _ in range(6):
        room.take_away(100)
    assert (room.messages, room.bytes) == (4, 4 * (100 + MESSAGE_BYTES))
    assert room.is_roomy
    assert room.bring(200_000)  # The last one may be large; then it is full.
    assert not room.bring(1)


def test_last_part_of_the_room_is_for_what_matters_most():
    room = Room(messages_max=10, bytes_max=1_000_000)
    taken = {share: sum(room.bring(1, share) for _ in range(20)) for share in (0.6, 0.9, 1.0)}
    assert taken == {0.6: 6, 0.9: 3, 1.0: 1}


def test_quarantine_budget_is_spent_and_returns():
    budget = QuarantineBudget()
    assert budget.room("t-1", 0.0) == BURST_ROWS
    budget.charge("t-1", BURST_ROWS, 0.0)
    assert budget.room("t-1", 0.0) == 0
    assert budget.room("t-2", 0.0) == BURST_ROWS
    assert budget.room("t-1", 3600 / ROWS_AN_HOUR) == 1
    assert budget.room("t-1", 3600 * 24) == BURST_ROWS


def row(seq: int, at_ms: int, epoch: int = 1, quality: int = clock.GNSS) -> TrackRow:
    record = track.encode(epoch, seq, quality, [track.Fix(at_ms, 1, 1, None, None, None)])
    return TrackRow.from_record("t-1", record, NOW_MS)


def test_older_fix_is_not_shown():
    newest = NewestPositions()
    assert newest.admit(row(10, NOW_MS))
    assert not newest.admit(row(9, NOW_MS + 1))  # The device's own count decides.
    assert not newest.admit(row(10, NOW_MS))
    assert newest.admit(row(11, NOW_MS - 5))
    assert not newest.admit(row(1, NOW_MS - 60_000, epoch=2))
    assert newest.admit(row(2, NOW_MS + 1, epoch=2))
    assert not newest.admit(row(3, 0, epoch=2, quality=clock.NONE))


def case(status: str) -> dict:
    who = {"taken_by": None, "taken_ms": None, "closed_by": None, "closed_ms": None}
    if status != "reported":
        who |= {"taken_by": "li", "taken_ms": 5}
    if status == "closed":
        who |= {"closed_by": "wang", "closed_ms": 9}
    presses = {"presses": 2, "acknowledged_presses": 0 if status == "reported" else 2}
    return {"status": status, **who, **presses}


def said(status: str, at_ms: int = 1) -> dict:
    return {"epoch": 1, "incident": 4, "status": status, "by": "li", "at": at_ms}


@pytest.mark.parametrize(
    ("shown", "status", "bodies", "expected"),
    [
        (None, "taken", [said("taken")], None),
        ("sent", "reported", [], None),
        ("stored", "taken", [said("taken")], ("taken", "li")),
        ("stored", "taken", [], ("taken", "li")),
        ("taken", "taken", [said("taken")], None),
        ("taken", "taken", [said("taken"), said("help")], ("help", "li")),
        ("help", "taken", [said("taken"), said("help")], None),
        ("stored", "taken", [said("help"), said("taken")], ("help", "li")),
        ("help", "closed", [said("help")], ("closed", "wang")),
        ("help", "closed", [said("help"), said("closed")], ("closed", "li")),
        ("open", "closed", [], ("closed", "wang")),
    ],
)
def test_status_to_repeat(shown, status, bodies, expected):
    state = {"epoch": 1, "sos": None if shown is None else {"incident": 4, "shown": shown}}
    found = outbound.status_to_repeat(state, case(status), bodies)
    assert (found and (found["status"], found["by"])) == expected
    if found:
        fields = (found["epoch"], found["incident"], found["status"], found["by"], found["at"])
        messages.parse_sos_status(messages.make_sos_status(*fields))


@pytest.mark.parametrize("bodies", [[], [said("taken")], [said("taken"), said("help")]], ids=len)
def test_a_press_that_nobody_acknowledged_is_not_told_taken(bodies):
    state = {"epoch": 1, "sos": {"incident": 4, "shown": "stored"}}
    pressed_again = case("taken") | {"presses": 3}
    assert outbound.status_to_repeat(state, pressed_again, bodies) is None
    acknowledged = pressed_again | {"acknowledged_presses": 3}
    assert outbound.status_to_repeat(state, acknowledged, bodies) is not None


def test_sos_of_a_flash_that_failed_is_known_by_the_epoch_in_which_it_was_opened():
    state = {"epoch": 9, "sos": {"epoch": 1, "incident": 4, "shown": "stored"}}
    assert outbound.shows(state | {"sos": {**state["sos"], "shown": "taken"}}, said("taken"))
    assert not outbound.shows(state, said("taken"))
    assert outbound.status_to_repeat(state, case("taken"), [said("taken")]) == said("taken")


def test_sos_without_a_case_is_not_spoken_of():
    state = {"epoch": 1, "sos": {"incident": 4, "shown": "sent"}}
    assert outbound.status_to_repeat(state, None, [said("taken")]) is None


@pytest.mark.parametrize(
    ("sos_shown", "status", "expected"),
    [
        (None, "closed", True),
        (None, "taken", False),
        ({"incident": 5, "shown": "sent"}, "closed", True),
        ({"incident": 4, "shown": "stored"}, "taken", False),
        ({"incident": 4, "shown": "taken"}, "taken", True),
        ({"incident": 4, "shown": "help"}, "taken", True),
        ({"incident": 4, "shown": "help"}, "closed", False),
        ({"incident": 4, "shown": "help", "epoch": 9}, "taken", False),
        ({"incident": 4, "shown": "help", "epoch": 9}, "closed", True),
    ],
)
def test_what_a_state_shows(sos_shown, status, expected):
    assert outbound.shows({"epoch": 1, "sos": sos_shown}, said(status)) is expected


COMMANDS = {
    "message": ("command", "message", {"text": "回来"}),
    "locate": ("command", "locate", {}),
    "duty": ("command", "duty", {"on": True}),
    "mute": ("mute", "mute", {"sensor": "smoke", "for_s": 600}),
    "watch": ("watch", "watch", {"lease_s": 60}),
    "sos_status": ("sos_status", "sos_status", said("taken")),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_ledger_row_becomes_its_message(name):
    topic, kind, body = COMMANDS[name]
    command = {
        "id": "0123456789abcdef", "device": "t-0001", "topic": topic, "kind": kind, "body": body,
        "ttl_s": 60, "created_ms": NOW_MS,
    }  # fmt: skip
    where, payload = outbound.message_of(command, NOW_MS)
    assert where == f"xh/1/t-0001/down/{topic}"
    parsed = getattr(messages, f"parse_{topic}")(payload)
    inner = parsed["body"] if topic == "command" else parsed
    assert {key: inner[key] for key in body} == body


@pytest.mark.parametrize(
    ("topic", "kind", "body"),
    [
        ("command", "message", {"text": "x" * 241}),
        ("command", "dance", {}),
        ("mute", "mute", {"sensor": "no such", "for_s": 1}),
        ("watch", "watch", {"lease_s": 100_000}),
    ],
)
def test_row_that_does_not_fit_the_wire_is_refused(topic, kind, body):
    command = {"id": "0" * 16, "device": "t-0001", "topic": topic, "kind": kind, "body": body,
               "ttl_s": 60, "created_ms": NOW_MS}  # fmt: skip
    with pytest.raises(WireError):
        outbound.message_of(command, NOW_MS)


@pytest.mark.parametrize(
    ("age_ms", "left_s"),
    [
        (0, 60),
        (1, 59),
        (30_000, 30),
        (58_001, 1),
        (59_999, 1),
        (60_000, 0),
        (90_000, 0),
        (-5_000, 60),
    ],
)
def test_each_sending_says_what_is_left_of_the_time_to_live(age_ms, left_s):
    command = {"id": "0" * 16, "device": "t-0001", "topic": "command", "kind": "locate",
               "body": {}, "ttl_s": 60, "created_ms": NOW_MS}  # fmt: skip
    now_ms = NOW_MS + age_ms
    assert outbound.left_s(command, now_ms) == left_s
    if left_s:
        sent = messages.parse_command(outbound.message_of(command, now_ms)[1])
        # With a clock or without one, a device counts to the same end.
        assert (sent["ttl_s"], sent["issued"]) == (left_s, now_ms)


def test_event_becomes_a_record_with_its_place():
    item = read_urgent("xh/1/t-0001/up/event", sos(), 7)
    assert isinstance(item, Record)
    assert item.is_sos
    assert item.claim == Claim("t-0001", 1, "event", 4, 4, 2)


@pytest.mark.parametrize(
    ("stream", "payload", "expected"),
    [
        ("event", sos().replace(b'"press":1', b'"press":1.5'), True),
        ("event", sos().replace(b'"press":1', b'"press": 1.5, "x" : "y"'), True),
        ("event", sos()[:-20], True),
        ("event", event("sos_cancel", incident=4)[:-5], False),
        ("event", event(text='say "kind":"sos" loudly')[:-5], False),
        ("event", b"[1,2]", False),
        ("result", sos(), False),
    ],
)
def test_refused_message_tells_whether_it_was_an_sos(stream, payload, expected):
    item = read_urgent(f"xh/1/t-0001/up/{stream}", payload, 7)
    assert isinstance(item, Refused)
    assert item.is_sos is expected


def test_batch_keeps_the_sealed_bytes():
    record = track.encode(1, 5, clock.GNSS, [track.Fix(NOW_MS, 1, 2, None, None, None)] * 3)
    item = read_bulk("xh/1/t-0001/up/track", frames.envelope(2, record), 7)
    assert isinstance(item, Batch)
    assert item.row.record == record
    assert item.claim == Claim("t-0001", 1, "track", 5, 7, 2)


@pytest.mark.parametrize(
    "topic",
    ["xh/1/T-1/up/event", "xh/1/t-0001/down/receipt", "xh/2/t-0001/up/event", "", "\ufffd"],
)
def test_topic_that_is_none_is_refused_without_a_claim(topic):
    for read in (read_urgent, read_bulk):
        item = read(topic, sos(), 7)
        assert isinstance(item, Refused)
        assert (item.code, item.claim, item.device) == ("bad_topic", None, "?")


@pytest.mark.parametrize(
    ("quality", "at_ms", "heard_ms"),
    [
        ("server", NOW_MS - 90_000, NOW_MS - 90_000),
        ("gnss", NOW_MS + 90_000, NOW_MS),
        ("rtc", NOW_MS - 90_000, NOW_MS),
        ("none", 5, NOW_MS),
    ],
)
def test_state_that_the_broker_had_kept_was_not_said_just_now(quality, at_ms, heard_ms):
    state = {
        "online": True, "epoch": 1, "boot": 1, "connection": 1, "at": at_ms, "clock": quality,
        "uptime_s": 1, "device_kind": "terminal", "version": "1", "battery_mv": None,
        "battery_percent": None, "rssi_dbm": None, "heap_free": 1, "reset": "power",
        "duty": None, "sos": None, "fix_age_s": None, "held": {}, "dropped": 0, "faults": [],
        "muted": {},
    }  # fmt: skip
    payload = messages.make_state(state)
    kept = read_urgent("xh/1/t-0001/up/state", payload, NOW_MS, retained=True)
    new = read_urgent("xh/1/t-0001/up/state", payload, NOW_MS)
    assert isinstance(kept, State)
    assert isinstance(new, State)
    assert (kept.received_ms, new.received_ms) == (heard_ms, NOW_MS)
    will = json.dumps({"v": 1, "online": False, "epoch": 1, "boot": 1, "connection": 1}).encode()
    gone = read_urgent("xh/1/t-0001/up/state", will, NOW_MS, retained=True)
    assert isinstance(gone, State)
    assert gone.received_ms == NOW_MS
