"""What every telemetry store must do, over each of them."""

import random
from itertools import pairwise

import pytest

from storage.telemetry.interface import POSITION_LATE_AFTER_MS, Position, ReadingPoint, positions
from storage.telemetry.open import open_telemetry
from tests.storage.batches import EPOCH, NOON_MS, fleet_rows, reading_row, state_row, track_row
from wire_protocol import clock

HOUR_MS = 3_600_000
WIDE = {"south": -90_000_000, "west": -180_000_000, "north": 90_000_000, "east": 180_000_000}


def all_of(rows):
    """The positions in rows, as the device made them."""
    return sorted(
        (
            position
            for row in rows
            for position in positions(row.device, row.record, row.clock, row.received_ms)
        ),
        key=lambda position: (position.device, position.at_ms, position.seq),
    )


def test_what_was_written_is_read_as_it_was_made(telemetry):
    row = track_row()
    telemetry.write([row])
    found = telemetry.track("t-0001", NOON_MS, NOON_MS + HOUR_MS)
    assert found == all_of([row])
    assert found[3] == Position(
        "t-0001", NOON_MS + 15_000, 25_000_021, 101_999_967, None, 6, 7, "gnss",
        row.received_ms, EPOCH, 4, False,
    )  # fmt: skip
    assert (found[4].course_deg, found[5].accuracy_m) == (None, None)


def test_extreme_numbers_come_back_exactly(telemetry):
    rows = [
        track_row("t-south", fixes=1, lat_e6=-90_000_000, lon_e6=-180_000_000, epoch=0),
        track_row("t-north", fixes=1, lat_e6=90_000_000, lon_e6=180_000_000, epoch=2**32 - 1),
        track_row("t-last", fixes=2, seq=2**32 - 2, step_ms=1),
        track_row("t-first", fixes=1, at_ms=1_577_836_800_000),
    ]
    telemetry.write(rows)
    for row in rows:
        assert telemetry.track(row.device, row.first_ms, row.last_ms) == all_of([row])


@pytest.mark.parametrize("seed", range(3))
def test_any_order_with_duplicates_stores_each_fix_once(telemetry, seed):
    rows = fleet_rows(devices=5, batches=20)
    arrivals = rows + random.Random(seed).choices(rows, k=50)
    random.Random(seed).shuffle(arrivals)
    for at in range(0, len(arrivals), 40):
        telemetry.write(arrivals[at : at + 40])
    expected = all_of(rows)
    found = [
        position
        for device in range(5)
        for position in telemetry.track(f"t-{device:04d}", NOON_MS, NOON_MS + HOUR_MS)
    ]
    assert found == expected
    newest = {position.device: position for position in expected}
    assert telemetry.last_positions() == list(newest.values())


def test_points_of_one_moment_do_not_overwrite_each_other(telemetry):
    """The same time, told apart by device, epoch or seq alone."""
    rows = [
        track_row("t-0001", fixes=1),
        track_row("t-0002", fixes=1),
        track_row("t-0001", fixes=1, epoch=EPOCH + 1),
        track_row("t-0001", fixes=1, seq=2),
        track_row("t-0001", fixes=3, seq=3, step_ms=0),
        track_row("t-0001", fixes=1, seq=999_999),
    ]
    telemetry.write(rows)
    telemetry.write(rows)
    found = telemetry.track("t-0001", NOON_MS, NOON_MS)
    assert sorted((place.epoch, place.seq) for place in found) == [
        (7, 1), (7, 2), (7, 3), (7, 4), (7, 5), (7, 999_999), (8, 1),
    ]  # fmt: skip
    assert len(telemetry.track("t-0002", NOON_MS, NOON_MS)) == 1


def test_undated_points_are_kept_apart_from_dated_ones_and_from_each_other(telemetry):
    received_ms = NOON_MS + 7000
    rows = [
        track_row(at_ms=60_000, quality=clock.NONE, received_ms=received_ms),
        track_row(seq=13, at_ms=60_000, quality=clock.NONE, received_ms=received_ms),
        track_row(at_ms=60_000, quality=clock.NONE, received_ms=received_ms, epoch=8),
    ]
    telemetry.write(rows)
    telemetry.write(rows)
    found = telemetry.track("t-0001", NOON_MS - HOUR_MS, NOON_MS + HOUR_MS)
    assert len(found) == 36
    assert {place.clock for place in found} == {"none"}
    assert max(place.at_ms for place in found) == received_ms
    assert sorted((p.epoch, p.seq) for p in found) == sorted(
        (p.epoch, p.seq) for p in all_of(rows)
    )
    assert not any(place.late for place in found)


@pytest.mark.parametrize(
    "at_ms",
    [1000, 1_577_836_700_000, 4_070_908_800_000],
    ids=["1970", "2019", "2099"],
)
def test_an_impossible_date_is_filed_as_undated(telemetry, at_ms):
    telemetry.write(
        [track_row(at_ms=at_ms, received_ms=NOON_MS)],
        [reading_row(at_ms=at_ms, received_ms=NOON_MS)],
    )
    found = telemetry.track("t-0001", NOON_MS - HOUR_MS, NOON_MS)
    assert len(found) == 12
    assert {place.clock for place in found} == {"none"}
    assert found[-1].at_ms == NOON_MS
    assert [
        point.clock for point in telemetry.readings("s-0001", None, NOON_MS - HOUR_MS, NOON_MS)
    ] == ["none"] * 2


def test_a_period_includes_both_ends_and_nothing_else(telemetry):
    telemetry.write([track_row(fixes=12, step_ms=1000)])
    found = telemetry.track("t-0001", NOON_MS + 3000, NOON_MS + 6000)
    assert [place.at_ms - NOON_MS for place in found] == [3000, 4000, 5000, 6000]
    assert telemetry.track("t-0001", NOON_MS + 3001, NOON_MS + 3999) == []
    assert telemetry.track("t-0002", NOON_MS, NOON_MS + HOUR_MS) == []
    assert telemetry.track("t-0001", NOON_MS + HOUR_MS, NOON_MS) == []
    assert len(telemetry.track("t-0001", -1, 2**62)) == 12


def test_a_box_holds_what_lies_in_it_at_that_time(telemetry):
    rows = fleet_rows(devices=6, batches=30)
    telemetry.write(rows)
    box = {"south": 25_001_000, "west": 101_999_945, "north": 25_003_021, "east": 102_000_000}
    start, end = NOON_MS + 60_000, NOON_MS + 20 * 60_000
    expected = [
        place
        for place in all_of(rows)
        if start <= place.at_ms <= end
        and box["south"] <= place.lat_e6 <= box["north"]
        and box["west"] <= place.lon_e6 <= box["east"]
    ]
    assert expected
    found = sorted(telemetry.box(start, end, **box), key=lambda p: (p.device, p.at_ms, p.seq))
    assert found == expected


def test_a_box_around_the_whole_fleet_holds_all_of_it(telemetry):
    rows = fleet_rows(devices=60, batches=12)
    telemetry.write(rows)
    found = telemetry.box(NOON_MS, NOON_MS + HOUR_MS, **WIDE)
    assert sorted(found, key=lambda p: (p.device, p.at_ms, p.seq)) == all_of(rows)
    assert list(telemetry.box(NOON_MS + HOUR_MS, NOON_MS, **WIDE)) == []
    assert list(telemetry.box(NOON_MS, NOON_MS + HOUR_MS, **(WIDE | {"south": 80_000_000}))) == []


def test_a_box_shows_undated_fixes_by_the_time_received(telemetry):
    telemetry.write([track_row(at_ms=0, quality=clock.NONE, received_ms=NOON_MS)])
    assert len(list(telemetry.box(NOON_MS - HOUR_MS, NOON_MS, **WIDE))) == 12


def test_last_position_never_goes_backwards(telemetry):
    newer = track_row(seq=13, at_ms=NOON_MS + 60_000)
    telemetry.write([newer])
    telemetry.write([track_row(seq=1)])
    assert telemetry.last_positions() == [all_of([newer])[-1]]


def test_last_position_survives_a_clock_that_was_ahead(telemetry):
    """A receiver in 2050 once must not pin the marker to the map until then."""
    ahead = track_row(seq=1, at_ms=2_540_000_000_000, received_ms=NOON_MS)
    repaired = track_row(seq=13, at_ms=NOON_MS + 60_000)
    telemetry.write([ahead])
    telemetry.write([repaired])
    telemetry.write([ahead])
    assert telemetry.last_positions() == [all_of([repaired])[-1]]


def test_last_position_moves_on_in_a_new_epoch(telemetry):
    telemetry.write([track_row(seq=5000)])
    new = track_row(seq=1, at_ms=NOON_MS + HOUR_MS, epoch=3)
    telemetry.write([new])
    telemetry.write([track_row(seq=5012, at_ms=NOON_MS + 60_000)])
    assert telemetry.last_positions() == [all_of([new])[-1]]


def test_an_undated_position_never_replaces_a_dated_one(telemetry):
    dated = track_row(seq=1)
    undated = track_row(seq=13, at_ms=60_000, quality=clock.NONE, received_ms=NOON_MS + HOUR_MS)
    telemetry.write([undated])
    assert telemetry.last_positions()[0].clock == "none"
    telemetry.write([dated])
    telemetry.write([undated])
    assert telemetry.last_positions() == [all_of([dated])[-1]]


def test_last_positions_are_the_same_after_a_restart(telemetry, telemetry_settings):
    telemetry.write([track_row(seq=13, at_ms=NOON_MS + 60_000)], [reading_row(seq=3)])
    before = telemetry.last_positions(), telemetry.last_readings()
    again = open_telemetry(telemetry_settings)
    again.write([track_row(seq=1)], [reading_row(seq=1, at_ms=NOON_MS - HOUR_MS)])
    assert (again.last_positions(), again.last_readings()) == before
    again.close()


def test_last_positions_of_some_devices(telemetry):
    telemetry.write(fleet_rows(devices=60, batches=1))
    assert len(telemetry.last_positions()) == 60
    assert [p.device for p in telemetry.last_positions({"t-0003", "t-0007", "t-none"})] == [
        "t-0003",
        "t-0007",
    ]
    wanted = {f"t-{number:04d}" for number in range(55)}
    assert {place.device for place in telemetry.last_positions(wanted)} == wanted
    assert telemetry.last_positions([]) == []


def test_a_fix_that_waited_long_is_late_with_both_times(telemetry):
    late = track_row(fixes=1, received_ms=NOON_MS + POSITION_LATE_AFTER_MS + 1)
    telemetry.write(
        [late, track_row("t-0002", fixes=1, received_ms=NOON_MS + POSITION_LATE_AFTER_MS)]
    )
    (first,) = telemetry.track("t-0001", NOON_MS, NOON_MS)
    assert (first.at_ms, first.received_ms, first.late) == (NOON_MS, late.received_ms, True)
    assert [place.late for place in telemetry.last_positions()] == [True, False]


def test_readings_come_back_by_device_sensor_and_time(telemetry):
    row = reading_row(values=((1, 120), (5, -60_000), (1, 10_000), (5, 150_000)))
    telemetry.write([], [row])
    telemetry.write([], [row])
    point = ReadingPoint(
        "s-0001", "temperature", NOON_MS + 1000, -60_000, "server", row.received_ms
    )
    found = telemetry.readings("s-0001", None, NOON_MS, NOON_MS + HOUR_MS)
    assert [(p.sensor, p.value) for p in found] == [
        ("smoke", 120), ("temperature", -60_000), ("smoke", 10_000), ("temperature", 150_000),
    ]  # fmt: skip
    assert found[1] == point
    assert telemetry.readings("s-0001", "temperature", NOON_MS, NOON_MS + 2999) == [point]
    assert [(p.sensor, p.value) for p in telemetry.last_readings({"s-0001"})] == [
        ("smoke", 10_000), ("temperature", 150_000),
    ]  # fmt: skip


def test_readings_of_one_moment_do_not_overwrite_each_other(telemetry):
    rows = [reading_row(seq=1 + n, values=((1, n),)) for n in range(3)]
    telemetry.write([], rows)
    found = telemetry.readings("s-0001", "smoke", NOON_MS, NOON_MS)
    assert sorted(point.value for point in found) == [0, 1, 2]


def test_undated_readings_are_found_by_the_time_received(telemetry):
    row = reading_row(at_ms=5000, quality=clock.NONE, received_ms=NOON_MS)
    telemetry.write([], [row])
    found = telemetry.readings("s-0001", None, NOON_MS - HOUR_MS, NOON_MS)
    assert [(point.at_ms, point.clock) for point in found] == [
        (NOON_MS - 1000, "none"),
        (NOON_MS, "none"),
    ]


def test_last_reading_never_goes_backwards(telemetry):
    telemetry.write([], [reading_row(seq=10, values=((1, 500),))])
    telemetry.write([], [reading_row(seq=1, values=((1, 100),), at_ms=NOON_MS + HOUR_MS)])
    assert [point.value for point in telemetry.last_readings()] == [500]


def test_old_batches_are_removed_and_the_last_known_stay(telemetry):
    old, new = track_row(seq=1), track_row(seq=13, at_ms=NOON_MS + HOUR_MS)
    undated = track_row("t-0002", at_ms=1000, quality=clock.NONE, received_ms=NOON_MS)
    lately = track_row("t-0003", at_ms=1000, quality=clock.NONE, received_ms=NOON_MS + HOUR_MS)
    telemetry.write([old, new, undated, lately], [reading_row()], [state_row()])
    assert telemetry.retain(NOON_MS + HOUR_MS) > 0
    assert telemetry.track("t-0001", 0, NOON_MS + 2 * HOUR_MS) == all_of([new])
    assert telemetry.readings("s-0001", None, 0, NOON_MS + HOUR_MS) == []
    assert telemetry.track("t-0002", 0, NOON_MS + 2 * HOUR_MS) == []
    assert len(telemetry.track("t-0003", 0, NOON_MS + 2 * HOUR_MS)) == 12
    assert len(telemetry.last_positions()) == 3
    assert len(telemetry.last_readings()) == 2
    assert telemetry.retain(NOON_MS + HOUR_MS) == 0


def test_an_empty_store_answers(telemetry):
    telemetry.check()
    assert telemetry.last_positions() == []
    assert telemetry.last_readings() == []
    assert telemetry.track("t-0001", 0, NOON_MS) == []
    assert telemetry.readings("t-0001", "smoke", 0, NOON_MS) == []
    assert telemetry.retain(NOON_MS) == 0
    telemetry.write([])


def test_a_track_is_in_the_order_of_time(telemetry):
    rows = fleet_rows(devices=1, batches=30)
    random.Random(1).shuffle(rows)
    telemetry.write(rows)
    found = telemetry.track("t-0000", NOON_MS, NOON_MS + HOUR_MS)
    assert all(one.at_ms < two.at_ms for one, two in pairwise(found))
    assert len(found) == 360
