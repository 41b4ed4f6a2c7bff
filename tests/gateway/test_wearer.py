"""What an SOS's wearer is told: taken, help, closed, again and again until the screen shows it."""

from collections.abc import Iterator

import pytest
from sqlalchemy import update

from storage.registry import outbox
from storage.registry.models import Case
from tests.gateway import stores
from tests.gateway.fake_device import FakeDevice, now_ms
from tests.gateway.installation import Installation, wait_for


@pytest.fixture
def device(installation: Installation) -> Iterator[FakeDevice]:
    """A terminal with an open SOS that a gateway has stored."""
    installation.add_devices(["t-0001"])
    installation.start_gateway().wait_until_connected()
    made = FakeDevice(installation, "t-0001").connect()
    made.press_sos()
    made.wait_until_empty()
    made.sos = {"incident": 1, "shown": "stored"}
    yield made
    made.disconnect()


def say(installation: Installation, status: str, *, move_case: bool = True) -> str:
    """Do what the fleet API does when an operator takes, helps or closes; the row's id."""
    at_ms = now_ms()
    with installation.registry.begin() as session:
        if move_case:
            values = {
                "taken": {
                    "status": "taken", "taken_by": "li", "taken_ms": at_ms,
                    "acknowledged_presses": Case.presses,
                },
                "help": {},
                "closed": {"status": "closed", "closed_by": "li", "closed_ms": at_ms},
            }[status]  # fmt: skip
            if values:
                session.execute(update(Case).values(**values))
        body = {"epoch": 1, "incident": 1, "status": status, "by": "li", "at": at_ms}
        row = outbox.enqueue(
            session, device="t-0001", topic="sos_status", kind="sos_status", body=body,
            ttl_s=604_800, created_by="li", now_ms=at_ms,
        )  # fmt: skip
    return row["id"]


def status_of(installation: Installation, command_id: str) -> str:
    return stores.commands(installation)[command_id].status


def heard(device: FakeDevice) -> list[str]:
    return [content["status"] for content in device.heard_on("sos_status")]


def test_taken_reaches_the_wearer_and_counts_as_delivered_when_shown(installation, device):
    row = say(installation, "taken")
    wait_for(lambda: heard(device) == ["taken"], 10)
    wait_for(lambda: status_of(installation, row) == "sent", 10)
    device.sos = {"incident": 1, "shown": "taken"}
    device.say_state()
    wait_for(lambda: status_of(installation, row) == "delivered", 10)
    assert heard(device) == ["taken"]


@pytest.mark.parametrize("status", ["taken", "help", "closed"])
def test_wearer_who_does_not_show_it_is_told_again(installation, device, status):
    say(installation, "taken")
    wait_for(lambda: heard(device) == ["taken"], 10)
    if status != "taken":
        say(installation, status)
        wait_for(lambda: heard(device)[-1:] == [status], 10)
    before = len(heard(device))
    device.say_state()  # Still "stored": a battery was pulled, or a broker died with it.
    wait_for(lambda: len(heard(device)) > before, 10)
    assert heard(device)[-1] == status
    assert device.heard_on("sos_status")[-1]["by"] == "li"


def take_silently(installation: Installation) -> None:
    """Take the case, with a word to the wearer that is lost."""
    with installation.registry.begin() as session:
        values = {"taken_ms": now_ms(), "acknowledged_presses": Case.presses}
        session.execute(update(Case).values(status="taken", taken_by="li", **values))


def test_case_that_was_taken_without_a_word_is_told_all_the_same(installation, device):
    take_silently(installation)
    device.say_state()
    wait_for(lambda: heard(device) == ["taken"], 10)


def test_taken_is_not_said_of_a_press_that_nobody_looked_at(installation, device):
    """A further press opens a new incident in a case that somebody has taken long ago."""
    take_silently(installation)
    device.event("sos_cancel", incident=1)
    device.press_sos()
    device.wait_until_empty()
    device.sos = {"incident": 3, "shown": "stored"}
    device.say_state()
    device.event("report", text="after the state")
    device.wait_until_empty()
    assert heard(device) == []
    take_silently(installation)
    device.say_state()
    wait_for(lambda: heard(device) == ["taken"], 10)
    assert device.heard_on("sos_status")[-1]["incident"] == 3


def test_case_that_nobody_took_is_not_spoken_of(installation, device):
    device.say_state()
    device.event("report", text="after the state")
    device.wait_until_empty()
    assert heard(device) == []
    assert [case.status for case in stores.cases(installation)] == ["reported"]


def test_closed_counts_as_delivered_when_the_sos_is_gone(installation, device):
    say(installation, "taken")
    row = say(installation, "closed")
    wait_for(lambda: status_of(installation, row) == "sent", 10)
    device.sos = None
    device.say_state()
    wait_for(lambda: status_of(installation, row) == "delivered", 10)
    device.say_state()
    assert heard(device).count("closed") == 1


def test_who_comes_back_is_told_what_was_said_meanwhile(installation, device):
    device.disconnect()
    row = say(installation, "taken")
    device.connect(state=False)
    device.say_state()
    wait_for(lambda: "taken" in heard(device), 10)
    wait_for(lambda: status_of(installation, row) == "sent", 10)
