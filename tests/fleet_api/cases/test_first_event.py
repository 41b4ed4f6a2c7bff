"""What the press that opened a case says about its time: shown as a date only if it was one."""

from tests.fleet_api.district import now_ms


def test_a_case_opened_without_a_clock_says_so_after_a_press_with_one(district, as_user):
    district.press(clock="none", at_ms=1_000)
    district.press(press=2)
    (case,) = as_user("viewer").get("/cases").json()["items"]
    assert case["presses"] == 2
    assert (case["first_event"]["clock"], case["first_event"]["at_ms"]) == ("none", 1_000)
    assert case["last_event"]["clock"] == "gnss"


def test_a_cancel_does_not_hide_what_the_press_said(district, as_user):
    fix = {"lat": 25_040_123, "lon": 102_710_456, "at": now_ms(), "accuracy_m": 5, "alt_mm": None}
    stored = district.press(trigger="silent", fix=fix)
    district.event("t-east-1", "sos_cancel", incident=stored.event["body"]["incident"])
    (case,) = as_user("viewer").get("/cases").json()["items"]
    assert case["first_event"]["body"]["trigger"] == "silent"
    assert case["first_event"]["body"]["fix"] == fix
    assert case["last_event"]["kind"] == "sos_cancel"


def test_an_alarm_has_what_raised_it(district, as_user):
    district.alarm(value=500)
    district.event("s-east-1", "alarm", sensor="smoke", value=20, threshold=300, raised=False)
    (case,) = as_user("viewer").get("/cases").json()["items"]
    assert case["first_event"]["body"]["value"] == 500
    assert case["cleared_ms"] is not None


def test_a_case_whose_first_press_is_still_on_its_way_has_none(district, as_user):
    district.press(press=2, incident=77)
    (case,) = as_user("viewer").get("/cases").json()["items"]
    assert case["first_event"] is None
    assert case["last_event"]["body"]["press"] == 2
