"""`explain` has words for every frame, good or bad, in both languages."""

from __future__ import annotations

import pytest

from tests.wire_protocol import mutated, run_vectors
from tests.wire_protocol.interpreters import VECTORS
from wire_protocol import frames, messages, records, topics, track, words
from wire_protocol.explain import LINES_MAX, explain
from wire_protocol.sensors import NAMES

AT = 1_767_225_600_000
RECORD = track.encode(7, 1441, 3, [track.Fix(AT, 30_274_085, -120_155_070, 118, None, 254)])


def test_a_batch_of_fixes_is_told_a_line_a_fix():
    told = explain("xh/1/t-lin/up/track", frames.envelope(1400, RECORD))

    assert "t-lin sends fixes · t-lin 上报定位轨迹" in told
    assert "all from seq 1400 on · 设备仍保存序号 1400 起的记录" in told
    assert "seq 1441..1441: 1 records" in told
    assert (
        "1441  2026-01-01 00:00:00.000Z  30.274085 -120.155070  1.18 m/s  -  within 254 m or more"
        in told
    )


def test_a_bare_record_is_told_without_a_topic():
    told = explain(None, RECORD)

    assert "it looks like fixes · 无主题,疑为定位轨迹" in told
    assert "30.274085" in told


def test_uptimes_are_told_as_such():
    record = track.encode(7, 1, 0, [track.Fix(81_234, 1, 2, None, None, None)])

    assert "uptime 81.234 s" in explain(None, record)


@pytest.mark.parametrize(
    ("at_ms", "told"),
    [
        (0, "1970-01-01 00:00:00.000Z"),
        (951_782_399_999, "2000-02-28 23:59:59.999Z"),
        (951_868_799_000, "2000-02-29 23:59:59.000Z"),
        (951_868_800_001, "2000-03-01 00:00:00.001Z"),
        (4_102_444_800_000, "2100-01-01 00:00:00.000Z"),
        (4_107_542_400_000, "2100-03-01 00:00:00.000Z"),
        (4_294_967_295_999, "2106-02-07 06:28:15.999Z"),
    ],
)
def test_times_are_told_as_dates(at_ms, told):
    assert told in explain(None, messages.make_receipt(at_ms, 1, {}))


def test_a_bad_frame_is_told_with_the_reason_and_what_can_be_read():
    told = explain("xh/1/t-lin/up/track", frames.envelope(1400, RECORD[:-1]))

    assert "seq 1441..1441" in told
    assert "BAD: track record of 30 bytes, not 31 · 不符合协议" in told
    assert "78 05 00 00 01 01" in told


def test_a_bad_topic_is_told():
    assert "BAD: topic 'xh/1/nobody'" in explain("xh/1/nobody", RECORD)


def test_control_characters_of_a_stranger_do_not_reach_the_terminal():
    told = explain("xh/1/t-lin/up/event", b'{"low":1,"record":"\x1b[2J\x07"}')

    assert "BAD" in told
    assert "\x1b" not in told


def test_every_good_frame_is_told_without_complaint_in_both_languages():
    for what, frame in good_frames():
        told = explain(f"xh/1/t-1/{what}", frame)
        assert "BAD" not in told
        assert told.isprintable() or "\n" in told
        assert any("一" <= letter <= "鿿" for letter in told)


def good_frames():
    for kind in ("track", "reading"):
        for case in run_vectors.load(str(VECTORS), kind + ".json")["good"]:
            yield f"up/{kind}", frames.envelope(1, bytes.fromhex(case["hex"]))
    for case in run_vectors.load(str(VECTORS), "messages.json")["good"]:
        what = {"record": "event"}.get(case["what"], case["what"])
        yield ("up/" if what in topics.UP else "down/") + what, case["payload"].encode()


def test_mutated_frames_are_told_whatever_they_are():
    dice = mutated.Dice(11)
    good = mutated.frames_of(str(VECTORS))
    for _ in range(3000):
        frame = mutated.mutate(dice, good[dice.roll(len(good))], good)
        kind = topics.UP[dice.roll(len(topics.UP))]
        for topic in (None, f"xh/1/t-1/up/{kind}", "xh/1/t-1/down/command"):
            assert 1 <= explain(topic, frame).count("\n") <= LINES_MAX


def test_every_name_of_the_protocol_has_words():
    assert set(words.KINDS) == set(topics.UP) | set(topics.DOWN)
    assert set(words.EVENTS) == set(records.KINDS)
    assert set(words.SENSORS) == set(NAMES)
    assert set(words.CLOCKS) == {"none", "rtc", "server", "gnss"}
    named = set(messages.STATE[1]) | set(messages.STATE_ONLINE[1]) | set(records.COMMON)
    for fields in records.KINDS.values():
        named |= set(fields)
    assert named <= set(words.FIELDS)
