"""What is encoded comes back, whatever it is; and a second decoder reads the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire_protocol import reference
from wire_protocol import (
    clock,
    frames,
    messages,
    readings,
    records,
    sensors,
    topics,
    track,
    track_lone,
)
from wire_protocol.errors import WireError

U32 = st.integers(0, 0xFFFFFFFF)
SEQ = st.integers(1, 0xFFFFFFFF - 60)
AT = st.integers(0, 0xFFFFFFFF * 1000 + 999)
CLOCK = st.integers(0, 3)
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=40)


def unknown_or(strategy):
    return st.none() | strategy


@st.composite
def walks(draw):
    """Return 1..60 fixes: steps small or wild, times in s or ms, the odd jump."""
    count = draw(st.integers(1, 60))
    reach = draw(st.sampled_from((100, 5_000, 400_000_000)))
    unit = draw(st.sampled_from((1, 1000)))
    longest = draw(st.sampled_from((5, 300, 70_000_000)))
    at, lat, lon = draw(st.integers(0, 1 << 40)), 0, 0
    fixes = []
    for _ in range(count):
        at += unit * draw(st.integers(0, longest) if longest != 5 else st.just(5))
        lat = max(-90_000_000, min(90_000_000, lat + draw(st.integers(-reach, reach))))
        lon = max(-180_000_000, min(180_000_000, lon + draw(st.integers(-reach, reach))))
        fixes.append(
            track.Fix(
                at,
                lat,
                lon,
                draw(unknown_or(st.integers(0, 300) | st.integers(0, 65534))),
                draw(unknown_or(st.integers(0, 179).map(lambda half: half * 2))),
                draw(unknown_or(st.integers(0, 254))),
            )
        )
    return fixes


@given(U32, SEQ, CLOCK, walks())
@settings(max_examples=300, deadline=None)
def test_a_batch_of_fixes_comes_back(epoch, seq, quality, fixes):
    if fixes[-1].at_ms - fixes[0].at_ms > 0xFFFFFFFF:
        fixes = fixes[:1]

    record = track.encode(epoch, seq, quality, fixes)

    assert track.decode(record) == (epoch, seq, quality, fixes)
    assert track.check(record) == (frames.header(record), fixes[-1])
    assert reference.track(record) == (epoch, seq, quality, [tuple(fix) for fix in fixes])
    assert len(record) <= frames.RECORD_BYTES_MAX
    low, opened = frames.open_envelope(frames.envelope(seq, record))
    assert (low, opened) == (seq, record)


def around(*limits):
    """Return numbers at and beside limits, and others between them."""
    beside = [limit + off for limit in limits for off in (-1, 0, 1)]
    return st.sampled_from(beside) | st.integers(min(limits), max(limits))


def made_by(encode, *arguments):
    try:
        return encode(*arguments)
    except WireError:
        return WireError


FIELDS = st.tuples(
    around(-90_000_000, 90_000_000),
    around(-180_000_000, 180_000_000),
    unknown_or(around(0, 0xFE, 0xFFFE)),
    unknown_or(around(0, 359)),
    unknown_or(around(0, 254, 1000)),
)


@given(
    around(0, 0xFFFFFFFF),
    around(1, 0xFFFFFFFF),
    around(0, 3),
    around(0, 0xFFFFFFFF * 1000 + 999),
    FIELDS,
)
@settings(max_examples=2000, deadline=None)
def test_a_lone_fix_is_sealed_as_the_encoder_of_batches_does(epoch, seq, quality, at_ms, fields):
    batch = (epoch, seq, quality, [track.Fix(at_ms, *fields)])

    assert made_by(track_lone.encode_lone, *batch) == made_by(track.encode, *batch)


def test_each_field_of_a_lone_fix_is_refused_beyond_its_limit():
    fitting = [7, 1, 3, 1_790_000_000_000, 0, 0, 0, 0, 0]
    beyond = [
        (0, -1), (0, 1 << 32), (1, 0), (1, 1 << 32), (2, -1), (2, 4),
        (3, -1), (3, 0xFFFFFFFF * 1000 + 1000), (4, 90_000_001), (4, -90_000_001),
        (5, 180_000_001), (5, -180_000_001), (6, -1), (6, 0xFFFF), (7, -1), (7, 360), (8, -1),
    ]  # fmt: skip
    for place, value in beyond:
        epoch, seq, quality, *fix = [*fitting[:place], value, *fitting[place + 1 :]]
        with pytest.raises(WireError):
            track_lone.encode_lone(epoch, seq, quality, [track.Fix(*fix)])


@st.composite
def sensor_rows(draw):
    at = draw(st.integers(0, 1 << 40))
    rows = []
    for _ in range(draw(st.integers(1, 60))):
        at += draw(st.sampled_from((0, 1, 1000, 60_000)))
        code = draw(st.integers(1, len(sensors.TABLE)))
        _, _, low, high = sensors.TABLE[code - 1]
        rows.append(readings.Reading(at, code, draw(st.integers(low, high))))
    return rows


@given(U32, SEQ, CLOCK, sensor_rows())
@settings(max_examples=300, deadline=None)
def test_a_batch_of_readings_comes_back(epoch, seq, quality, rows):
    record = readings.encode(epoch, seq, quality, rows)

    assert readings.decode(record) == (epoch, seq, quality, rows)
    assert readings.check(record) == (frames.header(record), rows[-1])
    assert reference.reading(record) == (epoch, seq, quality, [tuple(row) for row in rows])
    assert len(record) <= frames.RECORD_BYTES_MAX


@given(U32, SEQ, AT, st.sampled_from(clock.NAMES), TEXT)
def test_a_report_comes_back(epoch, seq, at, quality, text):
    fields = {"epoch": epoch, "seq": seq, "kind": "report", "at": at, "clock": quality}
    fields |= {"uptime_s": 5, "boot": 2, "text": text}

    low, record = records.unwrap(records.wrap(seq, records.seal(fields)))

    assert (low, record) == (seq, {"v": 1, **fields})


@given(
    AT,
    U32,
    st.dictionaries(st.sampled_from(topics.STREAMS), st.lists(U32, min_size=1, max_size=33)),
)
def test_a_receipt_comes_back(at, epoch, streams):
    receipt = messages.parse_receipt(messages.make_receipt(at, epoch, streams))

    assert receipt == {"v": 1, "at": at, "epoch": epoch, "streams": streams}


@given(st.lists(SEQ, min_size=1, max_size=32))
def test_a_receipt_names_the_events_that_were_refused(seqs):
    receipt = messages.parse_receipt(messages.make_receipt(1, 2, {"event": [9]}, {"event": seqs}))

    assert receipt["refused"] == {"event": seqs}


@pytest.mark.parametrize(
    "refused", [{"event": []}, {"event": [0]}, {"track": [1]}, {"event": [1] * 33}], ids=str
)
def test_a_receipt_that_refuses_what_none_may_is_never_sent(refused):
    with pytest.raises(WireError):
        messages.make_receipt(1, 2, {"event": [9]}, refused)


@given(st.integers(0, (1 << 64) - 1), st.integers(1, 604_800), AT, TEXT)
def test_a_message_to_a_patroller_comes_back(number, ttl_s, issued, text):
    command_id = f"{number:016x}"

    payload = messages.make_command(command_id, "message", {"text": text}, ttl_s, issued)

    command = messages.parse_command(payload)
    assert (command["id"], command["ttl_s"], command["issued"]) == (command_id, ttl_s, issued)
    assert command["body"] == {"text": text}


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=30))
def test_a_topic_comes_back(name):
    for device in ("t-" + name, "s-" + name):
        for kind in topics.UP:
            assert topics.parse(topics.up(device, kind)) == (device, "up", kind)
        for kind in topics.DOWN:
            assert topics.parse(topics.down(device, kind)) == (device, "down", kind)
