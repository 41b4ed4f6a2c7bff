"""What InfluxDB alone can do wrong: refuse, be away, overwrite, go backwards; with a real one."""

import json
import random
import threading
import time

import pytest

from storage.errors import RowsRefused, StorageError, StoreAway
from storage.settings import Settings
from storage.telemetry.influx import LINES_AT_ONCE_MAX, InfluxTelemetry
from storage.telemetry.influx_lines import FOREVER_NS
from storage.telemetry.influx_link import InfluxAddress
from storage.telemetry.open import open_telemetry
from tests.storage.batches import NOON_MS, fleet_rows, reading_row, state_row, track_row
from wire_protocol import clock

pytestmark = pytest.mark.influx

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def open_influx(influx):
    """Open stores over one bucket, each as another writer; all are closed with the test."""
    opened = []

    def open_one(url, instance="1"):
        settings = Settings(telemetry_url=url, telemetry_token=influx.token, instance=instance)
        opened.append(open_telemetry(settings))
        return opened[-1]

    yield open_one
    for telemetry in opened:
        telemetry.close()


def bucket_of(url):
    return url.split("bucket=")[1]


def test_rows_that_influxdb_will_never_take_are_named_and_all_others_stored(influx, open_influx):
    """Points older than the bucket keeps them, among others."""
    telemetry = open_influx(influx.new_bucket(retention_s=7 * DAY_MS // 1000))
    now_ms = time.time_ns() // 1_000_000
    good = fleet_rows(devices=30, batches=3, at_ms=now_ms - HOUR_MS)
    old = [track_row(f"t-{n:04d}", seq=5000, at_ms=now_ms - 30 * DAY_MS) for n in (3, 7, 40)]
    old_reading = reading_row(at_ms=now_ms - 30 * DAY_MS)
    rows = good + old
    random.Random(1).shuffle(rows)
    with pytest.raises(RowsRefused, match="retention") as refused:
        telemetry.write(rows, [old_reading, reading_row("s-0002", at_ms=now_ms)])
    assert {id(row) for row in refused.value.rows} == {id(row) for row in (*old, old_reading)}
    for number in range(30):
        found = telemetry.track(f"t-{number:04d}", now_ms - 40 * DAY_MS, now_ms + HOUR_MS)
        assert [place.seq for place in found] == list(range(1, 37))
    assert len(telemetry.last_positions()) == 30
    assert {place.seq for place in telemetry.last_positions()} == {36}
    assert [point.device for point in telemetry.last_readings()] == ["s-0002"] * 2


def test_a_field_of_another_type_refuses_no_more_than_its_own_rows(influx, open_influx):
    """Somebody else wrote a float where we write integers, in the same shard."""
    url = influx.new_bucket()
    influx.write(bucket_of(url), f"track,device=foreign lat_e6=1.5 {NOON_MS * 1_000_000}")
    telemetry = open_influx(url)
    later = track_row("t-0002", at_ms=NOON_MS + 30 * DAY_MS)
    with pytest.raises(RowsRefused, match="type") as refused:
        telemetry.write([track_row(), later])
    assert [row.device for row in refused.value.rows] == ["t-0001"]
    assert [place.device for place in telemetry.last_positions()] == ["t-0002"]


def test_undated_points_outlive_any_retention_of_the_bucket(influx, open_influx):
    telemetry = open_influx(influx.new_bucket(retention_s=3600))
    now_ms = time.time_ns() // 1_000_000
    row = track_row(at_ms=5000, quality=clock.NONE, received_ms=now_ms)
    telemetry.write([row])
    assert len(telemetry.track("t-0001", now_ms - HOUR_MS, now_ms)) == 12
    assert len(telemetry.last_positions()) == 1


def test_two_writers_never_take_each_others_newest_back(influx, open_influx):
    """Two gateways, each with half of the batches in an order of its own; both see everything."""
    url = influx.new_bucket()
    writers = [open_influx(url, instance) for instance in ("1", "2")]
    rows = fleet_rows(devices=10, batches=12)
    seen, failures = {}, []
    done = threading.Event()

    def work(number):
        mine = rows[number::2] + rows[:20]
        random.Random(number).shuffle(mine)
        try:
            for at in range(0, len(mine), 7):
                writers[number].write(mine[at : at + 7])
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    def look():
        while not done.is_set():
            for place in writers[0].last_positions():
                if place.seq < seen.get(place.device, 0):
                    failures.append(place)
                seen[place.device] = place.seq

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    watcher = threading.Thread(target=look)
    for thread in (*threads, watcher):
        thread.start()
    for thread in threads:
        thread.join(60)
    done.set()
    watcher.join(60)
    assert failures == []
    assert {place.seq for place in writers[1].last_positions()} == {144}


def test_a_writer_that_was_restarted_knows_its_last(influx, open_influx):
    url = influx.new_bucket()
    open_influx(url).write([track_row(seq=13, at_ms=NOON_MS + 60_000)])
    open_influx(url).write([track_row(seq=1)])
    assert [place.seq for place in open_influx(url).last_positions()] == [24]


def test_the_received_time_of_a_resent_batch_makes_no_second_point(influx, open_influx):
    telemetry = open_influx(influx.new_bucket())
    for received_ms in (NOON_MS + 70_000, NOON_MS + 900_000):
        telemetry.write([track_row(received_ms=received_ms)])
        telemetry.write(
            [track_row("t-0002", at_ms=9000, quality=clock.NONE, received_ms=received_ms)]
        )
    assert len(telemetry.track("t-0001", NOON_MS, NOON_MS + HOUR_MS)) == 12
    assert len(telemetry.track("t-0002", NOON_MS, NOON_MS + HOUR_MS)) == 12


def test_more_lines_than_one_request_takes_arrive_complete(influx, open_influx):
    telemetry = open_influx(influx.new_bucket())
    rows = fleet_rows(devices=100, batches=2, fixes=60, step_ms=1000)
    assert sum(row.records for row in rows) > LINES_AT_ONCE_MAX
    telemetry.write(rows)
    assert len(telemetry.track("t-0099", NOON_MS, NOON_MS + HOUR_MS)) == 120
    assert len(telemetry.last_positions()) == 100


def test_states_are_kept_as_they_were_said(influx, open_influx):
    telemetry = open_influx(influx.new_bucket())
    odd = 'quote " backslash \\ comma , newline \n 巡护'
    telemetry.write([], [], [state_row(), state_row(version=odd), state_row(version=odd)])
    rows = list(
        telemetry._link.query(f"""
        from(bucket: {telemetry._bucket}) |> range(start: 0, stop: 2100-01-01T00:00:00Z)
        |> filter(fn: (r) => r._measurement == "state" and r._field == "state")
    """)
    )
    assert sorted(json.loads(row["_value"]).get("version", "") for row in rows) == ["", odd]


def test_a_stopped_influxdb_is_away_and_loses_nothing(own_influx):
    telemetry = open_telemetry(
        Settings(telemetry_url=own_influx.new_bucket(), telemetry_token=own_influx.token)
    )
    telemetry.write([track_row(seq=1)])
    own_influx.stop()
    for call in (
        lambda: telemetry.write([track_row(seq=13, at_ms=NOON_MS + 60_000)]),
        telemetry.check,
        telemetry.last_positions,
        lambda: telemetry.track("t-0001", 0, NOON_MS),
        lambda: telemetry.retain(NOON_MS),
    ):
        with pytest.raises(StoreAway):
            call()
    own_influx.start()
    telemetry.write([track_row(seq=13, at_ms=NOON_MS + 60_000)])
    found = telemetry.track("t-0001", NOON_MS, NOON_MS + HOUR_MS)
    assert [place.seq for place in found] == list(range(1, 25))
    telemetry.close()


def test_a_frozen_influxdb_is_away_after_a_bounded_wait(own_influx):
    address = InfluxAddress.parse(own_influx.new_bucket(), own_influx.token)
    telemetry = InfluxTelemetry(address, "1", wait_s=3)
    telemetry.write([track_row(seq=1)])
    own_influx.freeze()
    started_s = time.monotonic()
    with pytest.raises(StoreAway):
        telemetry.write([track_row(seq=13, at_ms=NOON_MS + 60_000)])
    assert time.monotonic() - started_s < 10
    own_influx.thaw()
    telemetry.write([track_row(seq=13, at_ms=NOON_MS + 60_000)])
    assert len(telemetry.track("t-0001", NOON_MS, NOON_MS + HOUR_MS)) == 24
    telemetry.close()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("token", "401"),
        ("bucket", "404|not find bucket"),
        ("organisation", "404|organization"),
    ],
)
def test_a_wrong_address_loses_nothing_and_says_what_is_wrong(influx, wrong, said):
    url, token = influx.new_bucket(), influx.token
    if wrong == "token":
        token = "nobody"
    elif wrong == "bucket":
        url += "x"
    else:
        url = url.replace("?org=", "?org=x")
    telemetry = open_telemetry(Settings(telemetry_url=url, telemetry_token=token))
    for call in (telemetry.check, lambda: telemetry.write([track_row()])):
        with pytest.raises(StorageError, match=said) as refused:
            call()
        assert not isinstance(refused.value, RowsRefused)
    telemetry.close()


@pytest.mark.parametrize(
    "url",
    [
        "influxdb+http://127.0.0.1:8086?org=x",
        "influxdb+http://?org=x&bucket=y",
        "influxdb://127.0.0.1:8086?org=x&bucket=y",
        "postgresql://127.0.0.1/x",
        "",
    ],
)
def test_a_url_that_names_no_store_is_refused(url):
    with pytest.raises(StorageError):
        open_telemetry(Settings(telemetry_url=url))


@pytest.mark.parametrize("instance", ["", "a b", "a,b", 'a"', "x" * 41])
def test_an_instance_that_would_break_a_line_is_refused(instance):
    settings = Settings(telemetry_url="influxdb+http://h:1?org=x&bucket=y", instance=instance)
    with pytest.raises(StorageError, match="instance"):
        open_telemetry(settings)


def test_last_known_points_of_another_form_stop_receipts_and_lose_nothing(influx, open_influx):
    url = influx.new_bucket()
    influx.write(bucket_of(url), f"last,device=foreign row=1i {FOREVER_NS}")
    with pytest.raises(StoreAway, match="last known"):
        open_influx(url, "2").write([track_row()])


def test_closing_twice_and_unused_is_no_trouble(influx):
    address = InfluxAddress.parse(influx.new_bucket(), influx.token)
    telemetry = InfluxTelemetry(address, "1")
    telemetry.close()
    telemetry.close()
