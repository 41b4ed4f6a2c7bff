"""What is shown again, what is not, and what is waited for."""

from fleet_api.live.gaps import PRODUCERS_MAX, Gaps
from fleet_api.live.shown import (
    CLOSED_REMEMBERED_MAX,
    COMMANDS_FOLLOWED_MAX,
    HOLE_S_MAX,
    HOLES_MAX,
    Reading,
    Shown,
)


def shown_up_to(last_event_id: int) -> Shown:
    shown = Shown()
    shown.begin(Reading(), last_event_id)
    return shown


def events(*ids: int) -> Reading:
    return Reading(events=[{"id": number} for number in ids])


def ids(reading: Reading) -> list[int]:
    return [event["id"] for event in reading.events]


def test_an_event_shows_once():
    shown = shown_up_to(5)
    assert ids(shown.fold(events(6, 7), 0.0)) == [6, 7]
    assert ids(shown.fold(events(7, 8), 0.0)) == [8]
    assert ids(shown.fold(events(5), 0.0)) == []


def test_a_hole_is_waited_for_and_filled_once():
    shown = shown_up_to(5)
    assert ids(shown.fold(events(8), 0.0)) == [8]
    assert sorted(shown.holes) == [6, 7]
    assert ids(shown.fold(events(7), 1.0)) == [7]
    assert ids(shown.fold(events(7), 1.0)) == []
    assert sorted(shown.holes) == [6]


def test_a_hole_that_was_rolled_back_is_forgotten():
    shown = shown_up_to(5)
    shown.fold(events(7), 0.0)
    shown.fold(events(), HOLE_S_MAX - 0.1)
    assert list(shown.holes) == [6]
    shown.fold(events(), HOLE_S_MAX)
    assert not shown.holes


def test_holes_are_bounded():
    shown = shown_up_to(0)
    assert ids(shown.fold(events(10**5), 0.0)) == [10**5]
    assert len(shown.holes) == HOLES_MAX


def case(number: int, status: str = "reported", presses: int = 1) -> dict:
    closed = 5 if status == "closed" else None
    return {"id": number, "status": status, "presses": presses, "closed_ms": closed}


def test_a_case_shows_when_it_differs():
    shown = Shown()
    shown.begin(Reading(cases=[case(1)]), 0)
    assert shown.fold(Reading(cases=[case(1)]), 0.0).cases == []
    assert shown.fold(Reading(cases=[case(1, presses=2)]), 0.0).cases == [case(1, presses=2)]
    assert shown.followed_cases() == {1}
    closed = case(1, "closed", 2)
    assert shown.fold(Reading(cases=[closed]), 0.0).cases == [closed]
    assert shown.fold(Reading(cases=[closed]), 0.0).cases == []
    assert shown.followed_cases() == set()
    assert shown.cases_to_read({1, 2}) == {2}


def test_closed_cases_are_remembered_up_to_a_limit():
    shown = Shown()
    for number in range(CLOSED_REMEMBERED_MAX + 10):
        shown.fold(Reading(cases=[case(number, "closed")]), 0.0)
    assert len(shown.cases_to_read(set(range(CLOSED_REMEMBERED_MAX + 10)))) == 10


def command(number: int, status: str = "queued") -> dict:
    finished = 5 if status == "done" else None
    return {"id": f"{number:016x}", "status": status, "finished_ms": finished}


def test_a_command_is_followed_until_it_ends():
    shown = Shown()
    assert len(shown.fold(Reading(commands=[command(1)]), 0.0).commands) == 1
    assert shown.fold(Reading(commands=[command(1)]), 0.0).commands == []
    assert len(shown.followed_commands()) == 1
    assert len(shown.fold(Reading(commands=[command(1, "done")]), 0.0).commands) == 1
    assert shown.followed_commands() == []


def test_followed_commands_are_bounded():
    shown = Shown()
    for number in range(COMMANDS_FOLLOWED_MAX + 10):
        shown.fold(Reading(commands=[command(number)]), 0.0)
    assert len(shown.followed_commands()) == COMMANDS_FOLLOWED_MAX
    assert command(0)["id"] not in shown.followed_commands()


def test_gaps():
    gaps = Gaps()
    assert gaps.complete("gateway-1", 1)
    assert gaps.complete("gateway-1", 2)
    assert not gaps.complete("gateway-1", 4)
    assert gaps.complete("gateway-1", 5)
    assert not gaps.complete("gateway-1", 1)  # Started again.
    assert gaps.complete("gateway-1", 2)
    assert not gaps.complete("gateway-2", 7)  # Heard for the first time, in the middle.
    assert gaps.complete("gateway-2", 8)
    assert not gaps.complete("gateway-2", 8)
    gaps.forget()
    assert gaps.complete("gateway-1", 1)


def test_gaps_remember_a_bounded_number_of_producers():
    gaps = Gaps()
    for number in range(PRODUCERS_MAX + 50):
        gaps.complete(f"gateway-{number}", 1)
    assert gaps.complete(f"gateway-{PRODUCERS_MAX + 49}", 2)
    assert gaps.complete("gateway-0", 1)
