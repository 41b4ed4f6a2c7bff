"""Cases of the device's decisions; no pytest in here, so that MicroPython runs them too."""

from device.domain import mqtt_greetings, mqtt_packets
from device.domain.alarm import Alarm
from device.domain.backoff import STABLE_MS, Backoff
from device.domain.clock import TRUST_MS, YEARS_20_S, ClockLadder
from device.domain.indications import PATTERNS, pattern
from device.domain.recorder import Recorder
from device.domain.sos import EVENTS, STATES, Sos
from device.errors import PeerError
from device.services.terminal_sos import outlive
from device.settings import SettingsError, read

from wire_protocol import clock as quality
from wire_protocol.track_encode import Fix

BUILT_S = 1_780_000_000
CONFIG = {"broker_host": "127.0.0.1", "broker_port": 8883, "broker_name": "b"}


def refuses(error, call, *arguments):
    try:
        call(*arguments)
    except error:
        return True
    return False


# SOS: the table.


STEPS = {"open": (), "sent": ("puback",), "stored": ("receipt",), "not stored": ("refused",)}


def sos_in(state):
    sos = Sos()
    sos.raise_(7, 5, "button")
    for event in STEPS.get(state, (state,)):
        assert sos.apply(event)
    return sos


def case_sos_goes_from_press_to_help_step_by_step():
    sos = Sos()
    shown = []
    sos.raise_(7, 5, "button")
    for event in ("puback", "receipt", "taken", "help"):
        shown.append(sos.state)
        assert sos.apply(event)
    shown.append(sos.state)
    assert shown == ["open", "sent", "stored", "taken", "help"]


# Where each event leads from each state; one that is not here changes nothing.
ROWS = {
    "idle": {"press": "open"},
    "open": {
        "press": "open", "puback": "sent", "receipt": "stored", "refused": "not stored",
        "taken": "taken", "help": "help", "closed": "idle", "cancel": "idle",
    },
    "sent": {
        "press": "open", "receipt": "stored", "refused": "not stored",
        "taken": "taken", "help": "help", "closed": "idle", "cancel": "idle",
    },
    "stored": {
        "press": "open", "taken": "taken", "help": "help", "closed": "idle", "cancel": "idle",
    },
    "not stored": {
        "press": "open", "taken": "taken", "help": "help", "closed": "idle", "cancel": "idle",
    },
    "taken": {"press": "taken", "help": "help", "closed": "idle", "cancel": "idle"},
    "help": {"press": "help", "closed": "idle", "cancel": "idle"},
}  # fmt: skip


def case_sos_goes_where_the_table_says_and_nowhere_else():
    assert sorted(ROWS) == sorted(STATES)
    assert not Sos().apply("unheard of")
    for state in STATES:
        row = ROWS[state]
        for event in EVENTS:
            sos = Sos() if state == "idle" else sos_in(state)
            assert sos.apply(event) == (event in row), (state, event)
            assert sos.state == row.get(event, state), (state, event)


def case_sos_never_goes_back_from_what_a_person_confirmed():
    for state in ("taken", "help"):
        sos = sos_in(state)
        for event in ("press", "puback", "receipt"):
            sos.apply(event)
        assert sos.state == state
    sos = sos_in("help")
    assert not sos.apply("taken")


def case_sos_that_was_refused_is_never_stored_by_a_later_receipt():
    sos = sos_in("not stored")
    again = Sos()
    # As the rescue agent knows it, which has no word for this.
    assert sos.as_row()[0] == "sent"
    again.restore(sos.as_row())
    for one in (sos, again):
        assert one.state == "not stored"
        assert not one.by
        assert not one.apply("receipt")
        one.raise_(7, 9, "button")
        assert one.apply("receipt")
        assert one.state == "stored"


def case_sos_press_in_an_open_one_adds_to_it():
    sos = sos_in("stored")
    sos.raise_(7, 9, "button")
    assert (sos.state, sos.incident, sos.press, sos.last) == ("open", 5, 2, 9)


def case_sos_survives_a_restart_and_closed_it_is_idle():
    for state in STATES:
        if state == "idle":
            continue
        sos = sos_in(state)
        again = Sos()
        again.restore(sos.as_row())
        assert again.as_row() == sos.as_row()
        assert again.apply("closed")
        assert not again.is_open
        assert again.incident == 0


def case_sos_whose_last_press_outlives_the_case_is_one_of_its_own():
    sos = sos_in("help")
    sos.by = "Wang Fang"
    sos.raise_(7, 9, "button")
    outlive(sos, 1000)
    assert sos.as_row() == ["open", 9, 1, 9, 7, "button", ""]
    assert sos.former == (5, 1000)
    assert sos.apply("closed")
    assert sos.former == (0, 0)


def case_sos_restored_from_rubbish_is_idle():
    for row in (None, 5, [], ["open"], ["lost", 1, 1, 1, 1, "button"], ["open", 0, 0, 0, 0, ""]):
        sos = Sos()
        sos.restore(row)
        assert not sos.is_open, row


# Clock: the ladder.


def case_clock_without_any_source_is_the_build_date_and_knows_nothing():
    ladder = ClockLadder(BUILT_S)
    assert ladder.quality == quality.NONE
    assert ladder.now_ms(5000) == BUILT_S * 1000 + 5000


def case_clock_sources_outrank_each_other():
    ladder = ClockLadder(BUILT_S)
    now = BUILT_S * 1000 + 10**9
    assert ladder.offer(quality.SERVER, now, 1000)
    assert ladder.quality == quality.SERVER
    assert ladder.offer(quality.GNSS, now + 60_000, 1000)
    assert ladder.now_ms(2000) == now + 61_000
    assert not ladder.offer(quality.SERVER, now - 86_400_000, 3000)
    assert ladder.quality == quality.GNSS
    # A day after the satellites fell silent the server may speak again.
    assert ladder.offer(quality.SERVER, now, 1000 + TRUST_MS)
    assert ladder.quality == quality.SERVER


def case_clock_kept_over_a_power_cut_serves_certificates_but_dates_nothing():
    ladder = ClockLadder(BUILT_S)
    ladder.start_at(BUILT_S + 500, False, 0)
    assert ladder.now_ms(0) == (BUILT_S + 500) * 1000
    assert ladder.quality == quality.NONE
    ladder.start_at(BUILT_S + 900, True, 0)
    assert ladder.quality == quality.RTC


def case_clock_believes_nothing_before_the_build_or_20_years_after_it():
    for unix_s in (0, BUILT_S - 1, BUILT_S + YEARS_20_S + 1, 4_070_908_800):
        ladder = ClockLadder(BUILT_S)
        assert not ladder.offer(quality.GNSS, unix_s * 1000, 0), unix_s
        ladder.start_at(unix_s, True, 0)
        assert ladder.quality == quality.NONE
        assert ladder.now_ms(0) == BUILT_S * 1000


def case_clock_is_not_moved_by_jitter_of_the_satellites():
    ladder = ClockLadder(BUILT_S)
    ladder.offer(quality.GNSS, BUILT_S * 1000 + 10_000, 0)
    assert not ladder.offer(quality.GNSS, BUILT_S * 1000 + 11_500, 500)
    assert ladder.steps == 1
    assert ladder.offer(quality.GNSS, BUILT_S * 1000 + 20_000, 500)
    assert ladder.steps == 2


def case_clock_is_not_set_back_by_a_receipt_that_came_late():
    ladder = ClockLadder(BUILT_S)
    now = BUILT_S * 1000 + 100_000
    # The first one had travelled for four seconds, the next one for none: it knows better.
    ladder.offer(quality.SERVER, now - 4_000, 0)
    assert ladder.offer(quality.SERVER, now, 0)
    assert not ladder.offer(quality.SERVER, now - 59_000, 0)
    assert not ladder.offer(quality.SERVER, now + 200, 0)
    assert ladder.now_ms(0) == now
    # No receipt travels so long: the server's own clock was set.
    assert ladder.offer(quality.SERVER, now - 61_000, 0)


# Recorder.


def fix_at(second, lat=30_000_000, speed=120):
    return Fix(BUILT_S * 1000 + second * 1000, lat, 120_000_000, speed, 90, 5)


def kept_seconds(seconds, sos=False, speed=120, step=14):
    recorder = Recorder(60, 600)
    kept = []
    for second in range(seconds):
        fix = fix_at(second, 30_000_000 + second * step, speed)
        if recorder.offer(fix, quality.GNSS, second * 1000, second * 1000 if sos else None):
            kept.append(second)
    return kept


def case_recorder_keeps_one_fix_in_5_s_while_walking():
    assert kept_seconds(31) == [0, 5, 10, 15, 20, 25, 30]


def case_recorder_keeps_one_fix_a_minute_at_rest():
    kept = kept_seconds(300, speed=10, step=0)
    assert [second for second in kept if second > 35] == [85, 145, 205, 265]


def case_recorder_keeps_every_second_in_an_sos():
    assert kept_seconds(20, sos=True, speed=0, step=0) == list(range(20))


def case_recorder_keeps_one_fix_in_5_s_in_an_sos_that_nobody_closes():
    kept = kept_seconds(960, sos=True, speed=0, step=0)
    assert kept[:900] == list(range(900))
    assert kept[900:] == list(range(904, 960, 5))


def case_recorder_notices_movement_that_the_speed_does_not_say():
    # 2 m/s by position, and a receiver without VTG and RMC speed.
    assert len(kept_seconds(60, speed=None, step=18)) > 8


def case_recorder_seals_after_12_fixes_or_60_s_or_at_once_when_live():
    recorder = Recorder(12, 60)
    for second in range(0, 56, 5):
        assert not recorder.is_due(second * 1000, False)
        recorder.offer(fix_at(second, 30_000_000 + second * 20), quality.GNSS, second * 1000, None)
    assert recorder.is_due(55_000, False)
    code, fixes = recorder.take()
    assert (code, len(fixes)) == (quality.GNSS, 12)
    assert not recorder.is_due(99_000, True)
    recorder.offer(fix_at(100, 31_000_000), quality.GNSS, 100_000, None)
    assert not recorder.is_due(100_000, False)
    assert recorder.is_due(100_000, True)
    assert recorder.is_due(160_000, False)


def case_recorder_returns_what_it_was_given():
    given = [
        Fix(BUILT_S * 1000, 30_000_000, 120_000_000, 120, 90, 5),
        Fix(BUILT_S * 1000 + 5_001, -90_000_000, -180_000_000, None, None, None),
        Fix(BUILT_S * 1000 + 5_001, 0, 90_000_000, 0, 0, 0),
        Fix(BUILT_S * 1000 + 3_600_000, 90_000_000, 0, 65_488, 359, 450),
    ]
    recorder = Recorder(12, 60)
    for number, fix in enumerate(given):
        assert recorder.offer(fix, quality.GNSS, number * 5_000, None)
    assert recorder.take() == (quality.GNSS, given)
    assert recorder.take() == (quality.GNSS, [])


def case_recorder_ends_a_batch_where_the_clock_changes_goes_back_or_leaps():
    recorder = Recorder(12, 60)
    assert not recorder.must_seal(fix_at(9), quality.GNSS)
    recorder.offer(fix_at(9), quality.GNSS, 0, 0)
    assert not recorder.must_seal(fix_at(9), quality.GNSS)
    assert recorder.must_seal(fix_at(8), quality.GNSS)
    assert recorder.must_seal(fix_at(10), quality.SERVER)
    assert not recorder.must_seal(fix_at(9 + 3_600), quality.GNSS)
    assert recorder.must_seal(fix_at(9 + 3_601), quality.GNSS)


# Back-off.


def case_backoff_doubles_to_its_end_with_half_of_it_chance():
    backoff = Backoff(lambda n: n - 1)
    waits = [backoff.after(0, False) for _ in range(10)]
    assert waits[:4] == [1000, 2000, 4000, 8000]
    assert waits[-1] == 60_000
    backoff = Backoff(lambda _n: 0)
    assert [backoff.after(0, False) for _ in range(3)] == [500, 1000, 2000]


def case_backoff_counts_a_kick_right_after_connack():
    backoff = Backoff(lambda n: n - 1)
    waits = [backoff.after(STABLE_MS - 1, False) for _ in range(5)]
    assert waits == [1000, 2000, 4000, 8000, 16_000]
    assert backoff.after(STABLE_MS, False) == 1000


def case_backoff_asks_again_soon_while_an_sos_is_open():
    backoff = Backoff(lambda n: n - 1)
    waits = [backoff.after(0, True) for _ in range(7)]
    assert waits == [250, 500, 1000, 2000, 4000, 8000, 8000]
    # A bad network loses it again and again; a broker that throws out at once is another thing.
    assert backoff.after(2_999, True) == 8000
    assert backoff.after(3_000, True) == 250


def case_backoff_spreads_the_return_of_those_whose_broker_was_lost():
    latest, soonest = Backoff(lambda n: n - 1, 25), Backoff(lambda _n: 0, 25)
    assert latest.after(STABLE_MS, False, True) == 24_999
    assert soonest.after(STABLE_MS, False, True) == 0
    # Still away: not all at once either, and soon enough.
    assert [latest.after(0, False, True) for _ in range(4)] == [12_500, 25_000, 50_000, 60_000]
    assert soonest.after(0, False, True) == 6_250
    assert latest.after(STABLE_MS, False, True) == 24_999


def case_backoff_does_not_spread_an_sos_or_a_lost_network():
    assert Backoff(lambda n: n - 1, 25).after(STABLE_MS, True, True) == 250
    assert Backoff(lambda n: n - 1, 25).after(STABLE_MS, False, False) == 1000


def case_backoff_is_short_while_an_sos_is_open():
    backoff = Backoff(lambda n: n - 1)
    assert max([backoff.after(0, True) for _ in range(20)]) == 8000


# Alarm.


def case_alarm_has_threshold_and_hysteresis():
    alarm = Alarm(300, 50, False)
    said = []
    for value in (299, 300, 400, 251, 300, 250, 299, 300):
        if alarm.look(value, 0):
            said.append((value, alarm.raised))
    assert said == [(300, True), (250, False), (300, True)]


def case_alarm_can_look_downwards():
    alarm = Alarm(11_000, 500, True)
    assert not alarm.look(12_000, 0)
    assert alarm.look(11_000, 0)
    assert not alarm.look(11_499, 0)
    assert alarm.look(11_500, 0)


def case_alarm_muted_raises_when_the_silence_ends():
    alarm = Alarm(300, 50, False)
    alarm.mute(10, 0)
    assert alarm.muted_s(1) == 10
    assert not alarm.look(500, 9_999)
    assert alarm.muted_s(10_000) == 0
    assert alarm.look(500, 10_000)


def case_alarm_muted_still_tells_its_end():
    alarm = Alarm(300, 50, False)
    assert alarm.look(500, 0)
    alarm.mute(10, 0)
    assert alarm.look(100, 1)
    assert not alarm.raised


# Indications.


def case_indications_of_an_sos_differ_for_each_sense():
    steps = ("open", "sent", "stored", "taken", "help", "closed")
    for sense in (0, 1):
        shown = [PATTERNS[step][sense] for step in steps]
        assert len(set(shown)) == len(steps)
    assert pattern("3 3 12 0") == ((150, 150), (600, 0))
    assert pattern("") == ()


# MQTT packets.


def case_packets_have_the_standards_bytes():
    assert mqtt_packets.publish("a/b", b"hi", 0, 0, False) == b"\x30\x07\x00\x03a/bhi"
    assert mqtt_packets.publish("a/b", b"hi", 1, 10, True) == b"\x33\x09\x00\x03a/b\x00\x0ahi"
    assert mqtt_greetings.subscribe(1, "a/+") == b"\x82\x08\x00\x01\x00\x03a/+\x01"
    connect = mqtt_greetings.connect("t-1", 120, "w", b"x")
    assert connect == b"\x10\x15\x00\x04MQTT\x04\x2e\x00\x78\x00\x03t-1\x00\x01w\x00\x01x"
    packet = mqtt_packets.publish("a", b"", 1, 1, False)
    mqtt_packets.mark_duplicate(packet)
    assert packet[0] == 0x3A


def case_packets_lengths_take_one_byte_or_two():
    assert mqtt_packets.publish("a", bytes(124), 0, 0, False)[:2] == b"\x30\x7f"
    assert mqtt_packets.publish("a", bytes(125), 0, 0, False)[:3] == b"\x30\x80\x01"
    assert mqtt_packets.publish("a", bytes(2000), 0, 0, False)[:3] == b"\x30\xd3\x0f"


def case_packets_from_the_broker_are_split():
    body = memoryview(b"\x00\x03a/b\x00\x07hello")
    assert mqtt_packets.split_publish(0x32, body) == (b"a/b", 7, b"hello")
    assert mqtt_packets.split_publish(0x30, memoryview(b"\x00\x01abc")) == (b"a", 0, b"bc")


def case_packets_that_break_the_standard_are_refused():
    split = mqtt_packets.split_publish
    for first, body in (
        (0x34, b"\x00\x01a\x00\x01"),  # QoS 2
        (0x36, b"\x00\x01a\x00\x01"),  # QoS 3
        (0x30, b""),
        (0x30, b"\x00"),
        (0x30, b"\x00\x00"),  # no topic
        (0x30, b"\x00\x05abc"),  # a topic longer than the packet
        (0x30, b"\xff\xffabc"),
        (0x32, b"\x00\x01a\x00"),  # no room for a packet id
        (0x32, b"\x00\x01a\x00\x00"),  # packet id 0
        (0x30, b"\x00\x61" + b"a" * 97),  # a topic over our limit
    ):
        assert refuses(PeerError, split, first, memoryview(body)), (first, body)
    for body in (b"", b"\x00", b"\x01\x00", b"\x00\x05", b"\x00\x00\x00", b"\x00\x63"):
        assert refuses(PeerError, mqtt_greetings.check_connack, body), body
    for body in (b"", b"\x00\x01", b"\x00\x01\x80", b"\x00\x02\x01", b"\x00\x01\x02"):
        assert refuses(PeerError, mqtt_greetings.check_suback, body, 1), body
    mqtt_greetings.check_connack(b"\x00\x00")
    mqtt_greetings.check_suback(b"\x00\x01\x01", 1)
    assert refuses(PeerError, mqtt_packets.acknowledged, b"\x00")
    assert mqtt_packets.acknowledged(b"\x01\x02") == 258


# Settings.


def case_settings_have_defaults():
    settings = read(CONFIG)
    assert (settings.sos_hold_ms, settings.batch_fixes, settings.batch_s) == (800, 12, 60)
    assert (settings.duty, settings.silent, settings.sensors) == (False, False, [])


def case_settings_out_of_range_are_refused():
    for name, value in (
        ("broker_host", None),
        ("broker_name", 5),
        ("broker_port", 0),
        ("broker_port", "8883"),
        ("batch_fixes", 61),
        ("batch_fixes", 0),
        ("batch_s", 0),
        ("sensors", {"smoke": {"threshold": "high"}}),
        ("sensors", {"smoke": {"period_s": 0}}),
    ):
        config = dict(CONFIG)
        config[name] = value
        assert refuses(SettingsError, read, config), (name, value)


CASES = sorted([name for name in globals() if name.startswith("case_")])
