"""The screens tell the truth: late, undated, without a place, stale, unprotected, out of order."""

import re
import time

from playwright.sync_api import expect

from storage.registry import ingest
from tests.fleet_api.district import EPOCH, now_ms
from tests.fleet_api.live.watching import position
from tests.fleet_api.telemetry import Walk, fix
from wire_protocol import clock

RED = re.compile(r"rgb\((1[5-9]\d|2\d\d), [0-7]?\d, [0-7]?\d\)")
HOUR_MS = 3_600_000


def at_clock(at_ms: int) -> re.Pattern:
    """A moment as an operator reads it, with or without its date."""
    return re.compile(time.strftime("%H:%M:%S", time.localtime(at_ms / 1000)))


def test_a_late_sos_says_late_and_shows_both_times(console, district):
    console.sign_in_and_see()
    pressed_ms = now_ms() - 11 * 60_000
    place = {"lat": 25_040_123, "lon": 102_710_456, "at": pressed_ms, "accuracy_m": 5}
    stored = district.press(at_ms=pressed_ms, fix={**place, "alt_mm": None})
    banner = console.get("banner-case", device="t-east-1")
    expect(banner.locator("[data-test=late]")).to_have_text("LATE")
    expect(banner.locator("[data-test=happened]")).to_have_text(at_clock(pressed_ms))
    received_ms = stored.case["opened_received_ms"]
    expect(banner.locator("[data-test=received]")).to_have_text(at_clock(received_ms))
    expect(banner.locator("[data-test=no-fix]")).to_have_count(0)
    expect(console.get("sos-banner")).to_have_css("background-color", RED)


def test_a_silent_sos_without_clock_and_fix_is_an_sos_and_says_what_is_missing(console, district):
    console.sign_in_and_see()
    district.press(trigger="silent", clock="none", at_ms=1_000)
    banner = console.get("banner-case", device="t-east-1")
    expect(banner.locator("[data-test=trigger]")).to_have_text("SILENT: do not call")
    expect(banner.locator("[data-test=no-fix]")).to_have_text("NO POSITION")
    expect(banner.locator("[data-test=happened]")).to_have_text("time unknown")
    expect(banner).not_to_contain_text("1970")
    # A later press that knows the time changes nothing about the first.
    district.press(press=2)
    expect(banner).to_contain_text("pressed 2 times")
    expect(banner.locator("[data-test=happened]")).to_have_text("time unknown")
    expect(banner.locator("[data-test=late]")).to_have_count(0)


def test_a_cancelled_sos_still_rings_and_says_so(console, district):
    console.sign_in_and_see()
    incident = district.press(trigger="man_down").event["body"]["incident"]
    district.event("t-east-1", "sos_cancel", incident=incident)
    banner = console.get("banner-case", device="t-east-1")
    expect(banner).to_contain_text("The wearer cancelled")
    expect(banner.locator("[data-test=trigger]")).to_have_text("Man down")
    expect(banner.locator("[data-test=no-fix]")).to_be_visible()


def test_stale_and_unprotected_are_shown_as_such(console, district, registry):
    long_ago_ms = now_ms() - 301_000
    state = {
        "v": 1, "online": True, "epoch": EPOCH, "boot": 1, "connection": 1, "uptime_s": 5,
        "duty": True, "battery_percent": 80,
    }  # fmt: skip
    with registry.begin() as session:
        ingest.store_state(session, "t-west-1", state, long_ago_ms)
    district.state("t-east-1")
    district.state("t-east-2", faults=["no_fix"])
    console.sign_in_and_see()
    stale = console.row("t-west-1")
    expect(stale.locator("[data-flag=stale]")).to_be_visible()
    expect(stale).to_contain_text("5 min")
    expect(stale.locator("[data-flag=ok]")).to_have_count(0)
    # It is called online; an SOS pressed now may not get through all the same.
    expect(stale.locator("[data-flag=unprotected]")).to_be_visible()
    expect(console.row("t-east-2").locator("[data-flag=unprotected]")).to_be_visible()
    fresh = console.row("t-east-1")
    expect(fresh.locator("[data-flag=ok]")).to_be_visible()
    expect(fresh.locator("[data-flag=unprotected]")).to_have_count(0)
    expect(console.row("t-nowhere").locator("[data-flag=unseen]")).to_be_visible()
    # Its connection dies while it is on duty: an SOS pressed now may not get through.
    district.state("t-east-1", online=False)
    expect(fresh.locator("[data-flag=unprotected]")).to_be_visible()
    expect(fresh).to_have_attribute("data-online", "false")
    # Heard again.
    district.state("t-west-1", connection=2)
    expect(stale.locator("[data-flag=stale]")).to_have_count(0)
    expect(stale.locator("[data-flag=unprotected]")).to_have_count(0)


def test_a_terminal_whose_clock_is_put_right_goes_on_over_the_map(console, store, gateway):
    ahead_ms = now_ms() + 1024 * 7 * 24 * HOUR_MS
    Walk(store, "t-east-1").batch(fix(ahead_ms, lat_e6=25_000_001))
    console.sign_in_and_see()
    console.row("t-east-1").get_by_role("button").click()
    shown = console.get("position")
    expect(shown).to_contain_text("25.000001")
    right_ms = now_ms()
    gateway.publish(position("t-east-1", right_ms, epoch=EPOCH, seq=2, lat_e6=25_000_002))
    expect(shown).to_contain_text("25.000002")
    expect(shown).to_contain_text(at_clock(right_ms))
    # A batch of before the repair is sent again.
    gateway.publish(position("t-east-1", ahead_ms, epoch=EPOCH, seq=1, lat_e6=25_000_001))
    gateway.publish(position("t-east-1", right_ms, epoch=EPOCH, seq=3, lat_e6=25_000_003))
    expect(shown).to_contain_text("25.000003")


def test_a_position_without_a_clock_has_no_date(console, store):
    Walk(store, "t-east-1").batch(fix(1_000), quality=clock.NONE)
    console.sign_in_and_see()
    console.row("t-east-1").get_by_role("button").click()
    expect(console.get("position")).to_contain_text("undated")


def test_a_broker_that_is_away_is_said(console, district, broker):
    console.sign_in_and_see()
    broker.stop()
    expect(console.get("bus-away")).to_be_visible(timeout=20_000)
    district.press()
    expect(console.get("banner-case", device="t-east-1")).to_be_visible()


def test_a_server_that_is_gone_is_said_in_red(console, server):
    console.sign_in_and_see()
    server.stop()
    expect(console.get("not-live")).to_be_visible()
    expect(console.get("not-live")).to_have_css("background-color", RED)
    expect(console.get("live")).to_have_attribute("data-is-live", "false")
