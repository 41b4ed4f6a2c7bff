"""The same claims on PostgreSQL, where two transactions write at once; and what only it does."""

from collections.abc import Iterator

import pytest

from storage.registry import ingest
from storage.registry.session import migrate
from tests.fleet_api.cases.test_cases import (
    test_a_step_that_is_not_in_the_table_changes_nothing,
    test_help_and_close_are_told_in_order,
    test_of_twenty_operators_at_once_one_gets_the_case,
    test_taking_a_taken_case_says_who_has_it,
)
from tests.fleet_api.commands.test_commands import (
    test_lists_are_filtered_and_paged,
    test_the_same_key_at_the_same_time_sends_once,
    test_the_same_key_sends_once,
)
from tests.fleet_api.devices.test_devices import test_lists_are_filtered_and_paged as devices_paged
from tests.fleet_api.district import EPOCH, now_ms
from tests.fleet_api.sessions.test_sessions import (
    test_guessing_is_throttled_even_with_the_right_password,
    test_refusals_elsewhere_do_not_lock_a_name,
    test_the_oldest_of_too_many_sessions_ends,
)
from tests.fleet_api.test_scoping import (
    test_a_scoped_administrator_sees_the_audit_of_the_area,
    test_areas_show_what_is_below_and_above_and_no_neighbour,
    test_filters_do_not_reach_outside,
    test_lists_show_the_area_alone,
)
from tests.fleet_api.users.test_users import test_the_last_administrator_of_everything_stays
from tests.storage.postgres_server import PostgresServer

__all__ = [
    "devices_paged",
    "test_a_scoped_administrator_sees_the_audit_of_the_area",
    "test_a_step_that_is_not_in_the_table_changes_nothing",
    "test_areas_show_what_is_below_and_above_and_no_neighbour",
    "test_filters_do_not_reach_outside",
    "test_guessing_is_throttled_even_with_the_right_password",
    "test_help_and_close_are_told_in_order",
    "test_lists_are_filtered_and_paged",
    "test_lists_show_the_area_alone",
    "test_of_twenty_operators_at_once_one_gets_the_case",
    "test_refusals_elsewhere_do_not_lock_a_name",
    "test_taking_a_taken_case_says_who_has_it",
    "test_the_last_administrator_of_everything_stays",
    "test_the_oldest_of_too_many_sessions_ends",
    "test_the_same_key_at_the_same_time_sends_once",
    "test_the_same_key_sends_once",
]
test_devices_are_filtered_and_paged = devices_paged


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.create()
    server.start()
    migrate(server.url("template1"))
    yield server
    server.remove()


@pytest.fixture
def registry_url(postgres) -> str:
    return postgres.new_database(template="template1")


def test_an_event_that_commits_after_a_younger_one_shows(start_api, broker, district, registry):
    """A gateway's transaction may take long: its event has the smaller number and comes later."""
    api = start_api("1", broker)
    api.wait_for_bus()

    def store(session, device: str) -> dict:
        record = {
            "v": 1, "epoch": EPOCH, "seq": 1, "kind": "sos", "at": now_ms(), "clock": "gnss",
            "uptime_s": 1, "boot": 1, "trigger": "button", "incident": 1, "press": 1, "fix": None,
        }  # fmt: skip
        return ingest.store_event(session, device, record, now_ms()).event

    with api.browser(district.tokens["operator"]).live() as view:
        view.snapshot()
        with registry.begin() as slow:
            first = store(slow, "t-east-1")
            with registry.begin() as quick:
                second = store(quick, "t-west-1")
            assert first["id"] < second["id"]
            assert view.wait_for("event")["id"] == second["id"]
        assert view.wait_for("event")["id"] == first["id"]
        while {d["case"]["device"] for d in view.deltas if d["kind"] == "case"} != {
            "t-east-1",
            "t-west-1",
        }:
            view.next()
