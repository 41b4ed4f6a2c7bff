"""The migrations make exactly what the models say, on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from storage.errors import StorageError, StoreAway
from storage.registry.models import Row
from storage.registry.session import migrate, open_registry


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path) -> str:
    if request.param == "postgresql":
        return request.getfixturevalue("postgres").new_database()
    return f"sqlite:///{tmp_path / 'new' / 'registry.sqlite'}"


def test_models_and_migrations_agree(registry):
    with registry.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Row.metadata) == []


def test_one_open_case_is_held_by_a_partial_index(registry):
    indexes = {index["name"]: index for index in inspect(registry.engine).get_indexes("case")}
    index = indexes["case_one_open"]
    assert index["unique"]
    assert index["column_names"] == ["device", "kind"]
    (condition,) = [v for k, v in index["dialect_options"].items() if k.endswith("_where")]
    assert "closed_ms IS NULL" in str(condition)


def test_migrating_again_changes_nothing(empty_url):
    migrate(empty_url)
    migrate(empty_url)


def test_cases_that_were_taken_before_count_as_acknowledged(empty_url):
    migrate(empty_url, "0001")
    engine = create_engine(empty_url)
    columns = (
        "device, kind, epoch, incident, status, opened_at_ms, opened_received_ms, late, presses, "
        "last_event_id"
    )
    with engine.begin() as connection:
        for number, status in enumerate(("reported", "taken", "closed")):
            values = f"'t-{number}', 'sos', 1, 1, '{status}', 0, 0, false, 3, 1"
            connection.execute(text(f'INSERT INTO "case" ({columns}) VALUES ({values})'))
    migrate(empty_url)
    with engine.begin() as connection:
        found = connection.execute(
            text('SELECT status, acknowledged_presses FROM "case" ORDER BY device')
        )
        assert [tuple(row) for row in found] == [("reported", 0), ("taken", 3), ("closed", 3)]
    engine.dispose()


def test_two_that_migrate_at_once_both_succeed(empty_url):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(migrate, [empty_url, empty_url]))


def test_a_version_from_the_future_is_refused(empty_url):
    migrate(empty_url)
    engine = create_engine(empty_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StorageError, match="9999") as refused:
        migrate(empty_url)
    assert not isinstance(refused.value, StoreAway)


def test_a_registry_that_was_never_migrated_is_no_passing_trouble(empty_url, tmp_path):
    (tmp_path / "new").mkdir()
    registry = open_registry(empty_url)
    with pytest.raises(StorageError) as refused, registry.read() as session:
        session.execute(text("SELECT * FROM device"))
    assert not isinstance(refused.value, StoreAway)
    registry.close()


@pytest.mark.parametrize("url", ["mysql://localhost/xunhu", "nonsense"])
def test_another_database_is_refused(url):
    with pytest.raises(StorageError):
        migrate(url)
