"""A store that cannot store says so, and nothing of the transaction is there afterwards."""

import sqlite3
import threading
import time

import pytest
from sqlalchemy import event, select, text

from storage.errors import StorageError, StoreAway
from storage.registry.ingest import quarantine, store_event
from storage.registry.models import Event
from storage.registry.session import POSTGRESQL_CONNECT_WAIT_S, migrate, open_registry
from storage.telemetry.sqlite import SqliteTelemetry
from tests.storage.batches import NOON_MS, fleet_rows, sos_record, track_row
from tests.storage.postgres_server import PostgresServer
from tests.storage.test_cases import together

WAIT_S = 1


def press(registry, seq=1):
    with registry.begin() as session:
        return store_event(session, "t-0001", sos_record(seq=seq), NOON_MS)


def seqs(registry):
    with registry.read() as session:
        return list(session.scalars(select(Event.seq).order_by(Event.seq)))


@pytest.fixture
def sqlite_url(tmp_path):
    url = f"sqlite:///{tmp_path / 'registry.sqlite'}"
    migrate(url)
    return url


@pytest.fixture
def own_postgres():
    server = PostgresServer()
    server.create()
    server.start()
    yield server
    server.thaw()
    server.remove()


def test_a_locked_registry_is_away_and_then_back(sqlite_url, tmp_path):
    registry = open_registry(sqlite_url, wait_s=WAIT_S)
    press(registry, 1)
    other = sqlite3.connect(tmp_path / "registry.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreAway, match="locked"):
        press(registry, 2)
    assert seqs(registry) == [1], "screens still read"
    other.execute("ROLLBACK")
    other.close()
    assert not press(registry, 2).duplicate
    registry.close()


def test_a_reading_transaction_makes_no_writer_wait(sqlite_url):
    registry = open_registry(sqlite_url, wait_s=WAIT_S)
    with registry.read() as session:
        assert session.scalar(select(Event.seq)) is None
        press(registry, 1)
        assert session.scalar(select(Event.seq)) is None, "it sees one moment throughout"
    assert seqs(registry) == [1]
    registry.close()


def test_a_reading_transaction_sees_one_moment_on_postgresql(postgres):
    registry = open_registry(postgres.new_database(template="template1"))
    with registry.read() as session:
        assert session.scalar(select(Event.seq)) is None
        press(registry, 1)
        assert session.scalar(select(Event.seq)) is None
    assert seqs(registry) == [1]
    registry.close()


def test_a_full_disk_is_away_and_keeps_what_was_there(sqlite_url):
    registry = open_registry(sqlite_url, wait_s=WAIT_S)
    pages = []

    def limit(connection, _record):
        if pages:
            connection.execute(f"PRAGMA max_page_count={pages[0]}")

    event.listen(registry.engine, "connect", limit)
    press(registry, 1)
    with registry.read() as session:
        pages.append(session.scalar(text("PRAGMA page_count")) + 4)
    registry.engine.dispose()

    def fill():
        for _ in range(50):
            with registry.begin() as session:
                quarantine(session, "t-0001", "t", "r", bytes(4000), NOON_MS)

    with pytest.raises(StoreAway, match="full"):
        fill()
    assert seqs(registry) == [1]
    pages.clear()
    registry.engine.dispose()
    assert not press(registry, 2).duplicate
    assert seqs(registry) == [1, 2]
    registry.close()


def test_a_file_that_is_no_database_is_no_passing_trouble(tmp_path):
    (tmp_path / "registry.sqlite").write_bytes(b"not a database " * 1000)
    registry = open_registry(f"sqlite:///{tmp_path / 'registry.sqlite'}")
    with pytest.raises(StorageError, match="not a database"):
        press(registry)
    registry.close()


def test_a_stopped_postgresql_is_away_and_then_back(own_postgres):
    url = own_postgres.new_database()
    migrate(url)
    registry = open_registry(url, wait_s=WAIT_S)
    press(registry, 1)
    own_postgres.stop()
    for _ in range(2):
        with pytest.raises(StoreAway):
            press(registry, 2)
    own_postgres.start()
    assert not press(registry, 2).duplicate
    assert seqs(registry) == [1, 2]
    registry.close()


def test_postgresql_that_goes_in_the_middle_stores_nothing_of_it(own_postgres):
    url = own_postgres.new_database()
    migrate(url)
    registry = open_registry(url, wait_s=WAIT_S)

    def stop_before_the_commit():
        with registry.begin() as session:
            store_event(session, "t-0001", sos_record(), NOON_MS)
            own_postgres.stop()

    with pytest.raises(StoreAway):
        stop_before_the_commit()
    own_postgres.start()
    assert seqs(registry) == []
    assert press(registry).case_opened
    registry.close()


def test_a_frozen_postgresql_is_away_after_a_bounded_wait(own_postgres):
    url = own_postgres.new_database()
    migrate(url)
    registry = open_registry(url, wait_s=WAIT_S)
    press(registry, 1)
    own_postgres.freeze()
    started_s = time.monotonic()
    with pytest.raises(StoreAway, match=r"no answer|timeout"):
        press(registry, 2)
    assert time.monotonic() - started_s < 2 * WAIT_S + POSTGRESQL_CONNECT_WAIT_S + 3
    own_postgres.thaw()
    press(registry, 3)
    assert 3 in seqs(registry)
    assert 2 not in seqs(registry)
    registry.close()


def test_postgresql_that_freezes_in_the_middle_is_away_too(own_postgres):
    url = own_postgres.new_database()
    migrate(url)
    registry = open_registry(url, wait_s=WAIT_S)

    def freeze_before_the_commit():
        with registry.begin() as session:
            store_event(session, "t-0001", sos_record(), NOON_MS)
            own_postgres.freeze()

    with pytest.raises(StoreAway, match="no answer"):
        freeze_before_the_commit()
    own_postgres.thaw()
    # Whether the commit went through nobody can tell; sent again, it is there once.
    press(registry)
    assert seqs(registry) == [1]
    registry.close()


def test_a_row_that_somebody_holds_makes_postgresql_away(postgres):
    registry = open_registry(postgres.new_database(template="template1"), wait_s=WAIT_S)
    held, done = threading.Event(), threading.Event()

    def hold():
        with registry.begin() as session:
            store_event(session, "t-0001", sos_record(seq=1), NOON_MS)
            held.set()
            done.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    started_s = time.monotonic()
    with pytest.raises(StoreAway, match="timeout"):
        press(registry, 2)
    assert time.monotonic() - started_s < WAIT_S + 5
    done.set()
    holder.join(20)
    press(registry, 2)
    assert seqs(registry) in ([1, 2], [2]), "the holder may have been cut off for idling"
    registry.close()


def test_a_standby_is_away(postgres):
    url = postgres.new_database(template="template1")
    name = url.split("/@/")[-1].split("@/")[-1].split("?")[0]
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    registry = open_registry(url)
    with pytest.raises(StoreAway, match="read-only"):
        press(registry)
    registry.close()


def test_a_locked_telemetry_file_is_away_and_loses_nothing(tmp_path):
    telemetry = SqliteTelemetry(tmp_path / "telemetry.sqlite", wait_s=WAIT_S)
    telemetry.check()
    other = sqlite3.connect(tmp_path / "telemetry.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreAway, match="locked"):
        telemetry.write([track_row()])
    assert telemetry.last_positions() == []
    other.execute("ROLLBACK")
    other.close()
    telemetry.write([track_row()])
    assert len(telemetry.track("t-0001", NOON_MS, NOON_MS + 60_000)) == 12
    telemetry.close()


def test_a_full_disk_under_telemetry_keeps_whole_writes_only(tmp_path):
    telemetry = SqliteTelemetry(tmp_path / "telemetry.sqlite", wait_s=WAIT_S)
    rows = fleet_rows(devices=50, batches=40)
    telemetry.write(rows[:40])
    with telemetry._file.transaction() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 5}")
    with pytest.raises(StoreAway, match="full"):
        telemetry.write(rows[40:])
    assert [position.device for position in telemetry.last_positions()] == ["t-0000"]
    with telemetry._file.transaction() as connection:
        connection.execute("PRAGMA max_page_count=1000000")
    telemetry.write(rows[40:])
    assert len(telemetry.last_positions()) == 50
    assert all(
        len(telemetry.track(f"t-{n:04d}", NOON_MS, NOON_MS + 3_600_000)) == 480 for n in range(50)
    )
    telemetry.close()


def test_two_gateways_write_one_telemetry_file(tmp_path):
    rows = fleet_rows(devices=20, batches=30)
    failures = []

    def work(mine):
        telemetry = SqliteTelemetry(tmp_path / "telemetry.sqlite")
        try:
            for at in range(0, len(mine), 13):
                telemetry.write(mine[at : at + 13])
        except Exception as error:  # noqa: BLE001
            failures.append(error)
        telemetry.close()

    # Every second row comes to both.
    threads = [threading.Thread(target=work, args=(rows[::step],)) for step in (1, -2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    telemetry = SqliteTelemetry(tmp_path / "telemetry.sqlite")
    for number in range(20):
        assert len(telemetry.track(f"t-{number:04d}", NOON_MS, NOON_MS + 3_600_000)) == 360
    assert {position.seq for position in telemetry.last_positions()} == {360}
    telemetry.close()


def test_many_that_open_a_new_file_at_once_all_find_it(tmp_path):
    """SQLite itself does not wait when several switch to the write-ahead log."""
    for number in range(20):
        path = tmp_path / f"{number}.sqlite"

        def look(_, path=path):
            telemetry = SqliteTelemetry(path)
            telemetry.check()
            telemetry.close()
            return True

        assert together(4, look) == [True] * 4


def test_a_telemetry_file_of_another_version_is_refused(tmp_path):
    path = tmp_path / "telemetry.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    telemetry = SqliteTelemetry(path)
    with pytest.raises(StorageError, match="version 99"):
        telemetry.check()
    telemetry.close()


def test_a_telemetry_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "telemetry.sqlite").write_bytes(b"not a database " * 1000)
    telemetry = SqliteTelemetry(tmp_path / "telemetry.sqlite")
    with pytest.raises(StorageError, match="not a database"):
        telemetry.check()
    telemetry.close()


def test_a_folder_that_is_gone_is_away(tmp_path):
    telemetry = SqliteTelemetry(tmp_path / "there" / "telemetry.sqlite")
    (tmp_path / "there").rmdir()
    with pytest.raises(StoreAway):
        telemetry.write([track_row()])
    telemetry.close()
