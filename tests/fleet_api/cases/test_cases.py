import threading

import pytest
from sqlalchemy import select, update

from fleet_api.cases import repository, service
from storage.registry.models import Case, Command
from tests.fleet_api.district import EPOCH, now_ms
from tests.fleet_api.telemetry import Walk, fix
from wire_protocol import messages


def commands(registry, topic: str = "sos_status") -> list[Command]:
    with registry.read() as session:
        found = select(Command).where(Command.topic == topic).order_by(Command.created_ms)
        return list(session.scalars(found))


def test_a_case_names_device_wearer_and_last_event(district, as_user):
    fix = {"lat": 25_040_123, "lon": 102_710_456, "at": now_ms(), "accuracy_m": 5, "alt_mm": None}
    district.press(fix=fix)
    [case] = as_user("operator").get("/cases?open=1").json()["items"]
    assert case["kind"] == "sos"
    assert case["status"] == "reported"
    assert case["wearer"] == "Li Wei"
    assert case["device_name"] == "Device t-east-1"
    assert case["last_event"]["body"]["fix"] == fix
    assert as_user("operator").get(f"/cases/{case['id']}").json() == case


def test_taking_names_the_operator_and_tells_the_wearer(district, registry, as_user, audited):
    case_id = district.press().case["id"]
    before = now_ms()
    answer = as_user("east").post(f"/cases/{case_id}/take")
    assert answer.status_code == 200
    case = answer.json()
    assert (case["status"], case["taken_by"]) == ("taken", "east")
    assert before <= case["taken_ms"] <= now_ms()
    [command] = commands(registry)
    assert (command.device, command.status, command.created_by) == ("t-east-1", "queued", "east")
    assert command.body == {
        "epoch": EPOCH,
        "incident": 1,
        "status": "taken",
        "by": "east",
        "at": case["taken_ms"],
    }
    assert messages.make_sos_status(
        command.body["epoch"], command.body["incident"], "taken", "east", command.body["at"]
    )
    [row] = audited("case.take")
    assert (row.user_name, row.device) == ("east", "t-east-1")
    assert row.details == {"case": case_id, "presses": 1}


def test_taking_a_taken_case_says_who_has_it(district, registry, as_user, audited):
    case_id = district.press().case["id"]
    taken = as_user("east").post(f"/cases/{case_id}/take").json()
    for who in ("operator", "east"):
        answer = as_user(who).post(f"/cases/{case_id}/take")
        assert answer.status_code == 409
        error = answer.json()["error"]
        assert error["code"] == "case_taken"
        assert "taken by east at 20" in error["message"]
        assert error["details"] == {"taken_by": "east", "taken_ms": taken["taken_ms"]}
    assert len(commands(registry)) == 1
    assert len(audited("case.take")) == 1


def test_a_case_that_was_pressed_again_is_taken_again(district, registry, as_user, audited):
    case_id = district.press().case["id"]
    as_user("east").post(f"/cases/{case_id}/take")
    district.event("t-east-1", "sos_cancel", incident=1)
    district.press()
    pressed = as_user("east").get(f"/cases/{case_id}").json()
    assert (pressed["status"], pressed["taken_by"]) == ("taken", "east")
    assert (pressed["presses"], pressed["acknowledged_presses"]) == (2, 1)
    # A screen that does not show the press acknowledges nothing.
    stale = as_user("operator").post(f"/cases/{case_id}/take", {"presses": 1})
    assert stale.json()["error"]["code"] == "pressed_again"
    again = as_user("operator").post(f"/cases/{case_id}/take", {"presses": 2}).json()
    assert (again["taken_by"], again["acknowledged_presses"]) == ("operator", 2)
    assert as_user("east").post(f"/cases/{case_id}/take").status_code == 409
    assert [row.details for row in audited("case.take")] == [
        {"case": case_id, "presses": 1},
        {"case": case_id, "presses": 2, "taken_before_by": "east"},
    ]
    told = commands(registry)[-1].body
    assert (told["status"], told["by"], told["incident"]) == ("taken", "operator", 3)


def test_a_press_behind_the_take_is_not_taken_with_it(district, registry, as_user):
    case_id = district.press().case["id"]
    district.press(press=2, incident=1)
    taken = as_user("east").post(f"/cases/{case_id}/take", {"presses": 1}).json()
    assert (taken["status"], taken["acknowledged_presses"]) == ("taken", 1)
    assert commands(registry) == []  # "Taken" would speak of both.
    as_user("east").post(f"/cases/{case_id}/take", {"presses": 9})
    assert as_user("east").get(f"/cases/{case_id}").json()["acknowledged_presses"] == 2
    assert [command.body["status"] for command in commands(registry)] == ["taken"]


@pytest.mark.parametrize("step", ["help", "close"])
def test_nothing_goes_past_a_press_that_nobody_has_seen(
    district, registry, as_user, audited, step
):
    case_id = district.press().case["id"]
    operator = as_user("operator")
    operator.post(f"/cases/{case_id}/take")
    pressed = district.press(press=2, incident=1)  # On no screen yet.
    before = operator.get(f"/cases/{case_id}").json(), len(commands(registry))
    body = {"reason": "home"} if step == "close" else {}
    answer = operator.post(f"/cases/{case_id}/{step}", body)
    assert answer.status_code == 409
    error = answer.json()["error"]
    assert error["code"] == "pressed_again"
    assert error["details"] == {
        "presses": 2, "acknowledged_presses": 1, "last_event_id": pressed.event["id"],
    }  # fmt: skip
    assert before == (operator.get(f"/cases/{case_id}").json(), len(commands(registry)))
    assert audited(f"case.{step}") == []
    assert operator.post(f"/cases/{case_id}/take", {"presses": 2}).status_code == 200
    assert operator.post(f"/cases/{case_id}/{step}", body).status_code == 200


def test_a_press_between_the_look_and_the_close_is_not_closed(district, registry, as_user):
    """The update itself asks: on PostgreSQL a gateway may commit between the two."""
    case_id = district.press().case["id"]
    as_user("operator").post(f"/cases/{case_id}/take")
    with registry.begin() as session:
        case = session.get_one(Case, case_id)
        session.execute(
            update(Case).values(presses=2).execution_options(synchronize_session=False)
        )
        assert case.presses == 1
        closed = {"status": "closed", "closed_ms": 1}
        assert not repository.move(session, case, closed, acknowledged=True)
        assert repository.move(session, case, {"acknowledged_presses": 2})


def test_taking_again_does_not_take_help_back(district, registry, as_user):
    case_id = district.press().case["id"]
    operator = as_user("operator")
    operator.post(f"/cases/{case_id}/take")
    operator.post(f"/cases/{case_id}/help")
    district.press(press=2, incident=1)
    operator.post(f"/cases/{case_id}/take")
    told = [(command.body["status"], command.status) for command in commands(registry)]
    assert told == [("taken", "superseded"), ("help", "queued")]


def test_of_twenty_operators_at_once_one_gets_the_case(district, registry, as_user, audited):
    case_id = district.press().case["id"]
    answers: list[int] = []
    barrier = threading.Barrier(20)

    def take(name: str) -> None:
        browser = as_user(name)
        barrier.wait()
        answers.append(browser.post(f"/cases/{case_id}/take").status_code)

    threads = [
        threading.Thread(target=take, args=("operator" if number % 2 else "east",))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [409] * 19
    assert len(commands(registry)) == 1
    assert len(audited("case.take")) == 1


def test_help_and_close_are_told_in_order(district, registry, as_user, audited):
    case_id = district.press().case["id"]
    operator = as_user("operator")
    operator.post(f"/cases/{case_id}/take")
    assert operator.post(f"/cases/{case_id}/help").json()["status"] == "taken"
    closed = operator.post(f"/cases/{case_id}/close", {"reason": " Brought home. "}).json()
    assert (closed["status"], closed["closed_by"]) == ("closed", "operator")
    assert closed["close_reason"] == "Brought home."
    assert [command.body["status"] for command in commands(registry)] == [
        "taken",
        "help",
        "closed",
    ]
    # Nothing reached the terminal in between: only the newest word still counts.
    assert [command.status for command in commands(registry)] == [
        "superseded",
        "superseded",
        "queued",
    ]
    [row] = audited("case.close")
    assert row.details == {"case": case_id, "reason": "Brought home."}
    assert operator.get("/cases?open=1").json()["items"] == []
    assert [case["id"] for case in operator.get("/cases?open=0").json()["items"]] == [case_id]


@pytest.mark.parametrize(
    ("steps", "refused", "code"),
    [
        ([], "close", "case_not_taken"),
        ([], "help", "case_not_taken"),
        (["take"], "take", "case_taken"),
        (["take", "close"], "take", "case_closed"),
        (["take", "close"], "help", "case_closed"),
        (["take", "close"], "close", "case_closed"),
    ],
    ids=str,
)
def test_a_step_that_is_not_in_the_table_changes_nothing(
    district, registry, as_user, steps, refused, code
):
    case_id = district.press().case["id"]
    operator = as_user("operator")

    def step(name: str):
        body = {"reason": "done"} if name == "close" else {}
        return operator.post(f"/cases/{case_id}/{name}", body)

    for name in steps:
        assert step(name).status_code == 200
    before = operator.get(f"/cases/{case_id}").json(), len(commands(registry))
    answer = step(refused)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == code
    assert before == (operator.get(f"/cases/{case_id}").json(), len(commands(registry)))


def test_an_alarm_is_taken_and_closed_but_nobody_wears_it(district, registry, as_user):
    case_id = district.alarm().case["id"]
    operator = as_user("operator")
    assert operator.post(f"/cases/{case_id}/take").json()["kind"] == "alarm:smoke"
    answer = operator.post(f"/cases/{case_id}/help")
    assert answer.json()["error"]["code"] == "not_an_sos"
    assert operator.post(f"/cases/{case_id}/close", {"reason": "x"}).json()["status"] == "closed"
    assert commands(registry) == []


def test_the_wearer_is_told_about_the_sos_that_the_terminal_shows_now(district, registry, as_user):
    case_id = district.press().case["id"]
    district.event("t-east-1", "sos_cancel", incident=1)
    district.press()  # A new incident within the same open case.
    as_user("operator").post(f"/cases/{case_id}/take")
    assert commands(registry)[0].body["incident"] == 3


def test_a_case_of_a_retired_device_can_be_ended(district, registry, as_user):
    case_id = district.press().case["id"]
    district.change_device("t-east-1", retired_ms=1)
    assert as_user("operator").post(f"/cases/{case_id}/take").status_code == 200
    assert commands(registry) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "reason"),
        ({"reason": ""}, "reason"),
        ({"reason": " \t "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "nul\0"}, "reason"),
        ({"reason": 5}, "reason"),
        ({"reason": "x", "because": "y"}, "because"),
    ],
    ids=str,
)
def test_a_close_needs_a_reason(district, as_user, body, field):
    case_id = district.press().case["id"]
    operator = as_user("operator")
    operator.post(f"/cases/{case_id}/take")
    answer = operator.post(f"/cases/{case_id}/close", body)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"] == {"field": field}
    assert operator.get(f"/cases/{case_id}").json()["status"] == "taken"


def test_the_longest_reason_fits(district, as_user):
    case_id = district.press().case["id"]
    operator = as_user("operator")
    operator.post(f"/cases/{case_id}/take")
    closed = operator.post(f"/cases/{case_id}/close", {"reason": "火" * 500}).json()
    assert closed["close_reason"] == "火" * 500


@pytest.mark.parametrize("step", ["take", "help", "close"])
def test_a_viewer_changes_nothing(district, as_user, step):
    case_id = district.press().case["id"]
    body = {"reason": "x"} if step == "close" else {}
    answer = as_user("viewer").post(f"/cases/{case_id}/{step}", body)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "role_too_low"
    assert as_user("viewer").get(f"/cases/{case_id}").json()["status"] == "reported"


@pytest.mark.parametrize("case_id", ["0", "-1", "x", str(2**63), "1.5"])
def test_an_impossible_number_is_named(as_user, case_id):
    answer = as_user("operator").post(f"/cases/{case_id}/take")
    assert answer.status_code == 422
    assert answer.json()["error"]["details"] == {"field": "case_id"}


def test_pages_hold_every_case_once(district, as_user):
    operator = as_user("operator")
    for number in range(5):
        district.add_device(f"t-more-{number}")
        district.press(f"t-more-{number}")
    seen: list[int] = []
    after = ""
    for _ in range(3):
        page = operator.get(f"/cases?limit=2{after}").json()
        seen += [case["id"] for case in page["items"]]
        after = f"&after={page['next']}"
    assert page["next"] is None
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 5


@pytest.mark.parametrize("query", ["after=x", "after=-1", "limit=0", "limit=1001", "opened=1"])
def test_a_wrong_query_is_refused(as_user, query):
    answer = as_user("operator").get(f"/cases?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == query.partition("=")[0]


def test_the_wearer_reads_who_comes_and_how_far_it_is(district, registry, store, as_user):
    # Its track is elsewhere, and older than the press that says where it is.
    Walk(store, "t-east-1").batch(fix(now_ms(), 25_030_000, 102_700_000))
    pressed = {"lat": 25_040_000, "lon": 102_710_000, "at": 1, "accuracy_m": 5, "alt_mm": None}
    case_id = district.press("t-east-1", fix=pressed).case["id"]
    Walk(store, "t-west-1").batch(fix(now_ms(), 25_050_000, 102_720_000))
    operator = as_user("operator")
    operator.post(f"/cases/{case_id}/take")
    assert operator.post(f"/cases/{case_id}/help", {"device": "t-west-1"}).status_code == 200
    told = commands(registry)[-1].body
    assert (told["status"], told["by"]) == ("help", "Chen Jie")
    assert told["distance_m"] == pytest.approx(1_500, abs=10)


def test_a_distance_is_only_told_of_positions_that_are_fresh():
    def at(lat_e6, lon_e6, received_ms=1_000_000):
        return {"lat_e6": lat_e6, "lon_e6": lon_e6, "received_ms": received_ms}

    here, there = at(25_040_000, 102_710_000), at(25_050_000, 102_720_000)
    # One hundredth of a degree each way: 1,109 m north and 1,008 m east.
    assert service.distance_m(here, there, 1_000_000) == pytest.approx(1_500, abs=10)
    assert service.distance_m(here, here, 1_000_000) == 0
    assert service.distance_m(here, None, 1_000_000) is None
    assert service.distance_m(here, there, 1_900_001) is None


def test_who_goes_must_be_a_terminal_of_the_caller_s_area(district, as_user):
    case_id = district.press("t-east-1").case["id"]
    east = as_user("east")
    east.post(f"/cases/{case_id}/take")
    assert east.post(f"/cases/{case_id}/help", {"device": "t-west-1"}).status_code == 404
    assert east.post(f"/cases/{case_id}/help", {"device": "Tür"}).status_code == 422


def test_a_long_name_is_cut_between_letters_as_the_terminal_takes_it():
    assert service.name_on_screen("巡" * 20) == "巡" * 13
