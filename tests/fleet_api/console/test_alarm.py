"""Nobody in the command room can miss an SOS: banner, sound, notification, red where mute."""

import re

from playwright.sync_api import expect

from tests.fleet_api.console.browser import Console

RED = re.compile(r"rgb\((1[5-9]\d|2\d\d), [0-7]?\d, [0-7]?\d\)")


def test_an_sos_rings_until_somebody_takes_it(console, district, server):
    console.sign_in_and_see()
    expect(console.get("sound-blocked")).to_have_count(0)
    assert console.page.evaluate("window.heard") == 0
    case_id = district.press(trigger="silent").case["id"]
    banner = console.get("banner-case", device="t-east-1")
    expect(banner).to_be_visible()
    console.wait_for_sound()
    # It repeats: after every tone that was heard comes another.
    for _ in range(2):
        console.page.wait_for_timeout(400)
        console.page.evaluate("window.heard = 0")
        console.wait_for_sound()
    # Somebody takes it at another screen.
    taken = server.as_user("east").post(f"/cases/{case_id}/take")
    assert taken.status_code == 200
    expect(banner).to_have_count(0)
    expect(console.get("case", case=str(case_id))).to_contain_text("Taken by east")
    console.page.wait_for_timeout(1_000)  # The last tone ends.
    console.page.evaluate("window.heard = 0")
    console.page.wait_for_timeout(1_500)  # Longer than the pause between two.
    assert console.page.evaluate("window.heard") == 0


def test_a_further_press_alerts_again(console, district):
    console.sign_in_and_see()
    district.press()
    expect(console.get("banner-case", device="t-east-1")).to_be_visible()
    console.notified(1)
    district.press(press=2)
    first, again = console.notified(2)
    assert first == again == ["SOS: Li Wei", "Songling. Open the console and take it."]


def test_a_press_in_a_taken_case_alerts_again_until_it_is_acknowledged(console, district, server):
    console.sign_in_and_see()
    case_id = district.press().case["id"]
    banner = console.get("banner-case", device="t-east-1")
    expect(banner).to_be_visible()
    assert server.as_user("east").post(f"/cases/{case_id}/take").status_code == 200
    expect(banner).to_have_count(0)
    console.page.wait_for_timeout(1_000)  # The last tone ends.
    console.page.evaluate("window.heard = 0")
    district.press(press=2, incident=1)
    expect(banner).to_contain_text("Taken by east")
    expect(banner).to_contain_text("PRESSED AGAIN")
    for _ in range(2):
        console.wait_for_sound()
        console.page.wait_for_timeout(400)
        console.page.evaluate("window.heard = 0")
    told = "Songling. Once more, taken by east. Open the console and take it again."
    assert console.notified(2)[1] == ["SOS: Li Wei", told]
    # It can neither be helped nor closed before somebody has looked.
    case = console.get("case", case=str(case_id))
    expect(case.locator("[data-test=close-case]")).to_have_count(0)
    banner.locator("[data-test=take]").click()
    expect(banner).to_have_count(0)
    expect(case).to_contain_text("Taken by operator")
    expect(case.locator("[data-test=close-case]")).to_be_visible()
    console.page.wait_for_timeout(1_000)
    console.page.evaluate("window.heard = 0")
    console.page.wait_for_timeout(1_500)
    assert console.page.evaluate("window.heard") == 0


def test_an_alarm_of_a_sensor_is_named_as_one(console, district):
    console.sign_in_and_see()
    district.alarm(value=500)
    banner = console.get("banner-case", device="s-east-1")
    expect(banner).to_contain_text("Alarm: Smoke")
    expect(banner).to_contain_text("500 ppm (limit 300 ppm)")
    console.wait_for_sound()
    assert console.notified(1)[0][0] == "Alarm: Smoke: Device s-east-1"


def test_without_a_gesture_the_console_says_in_red_that_it_is_mute(browser, server, district):
    """A page that is opened signed in, as after a restart of the browser: nobody has clicked."""
    console = Console.open(browser, server)
    cookie = {"name": "xunhu_session", "value": district.tokens["operator"]}
    console.page.context.add_cookies([{**cookie, "url": server.address}])
    console.page.goto(server.address)
    bar = console.get("sound-blocked")
    expect(bar).to_contain_text("NO SOUND")
    expect(bar).to_have_css("background-color", RED)
    district.press()
    expect(console.get("banner-case", device="t-east-1")).to_be_visible()
    assert console.page.evaluate("window.heard") == 0
    bar.click()
    expect(bar).to_have_count(0)
    console.wait_for_sound()
    console.close()


def test_a_refused_sos_alerts_until_somebody_has_seen_it(console, district):
    console.sign_in_and_see()
    district.refuse(code="unknown_device", reason="no such device, or it is retired")
    refused = console.get("refused-sos", device="t-east-1")
    expect(refused).to_contain_text("AN SOS WAS REFUSED")
    expect(refused).to_contain_text("Li Wei · t-east-1")
    expect(refused).to_contain_text("the device is not registered, or retired")
    console.wait_for_sound()
    told = "Li Wei. The server could not store it. Call the wearer."
    assert console.notified(1) == [["AN SOS WAS REFUSED", told]]
    refused.locator("[data-test=refused-seen]").click()
    expect(refused).to_have_count(0)
    console.page.wait_for_timeout(1_000)
    console.page.evaluate("window.heard = 0")
    console.page.wait_for_timeout(1_500)
    assert console.page.evaluate("window.heard") == 0
