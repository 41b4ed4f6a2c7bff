"""In Chinese everything is Chinese, refusals too."""

import re

import pytest
from playwright.sync_api import expect

from tests.fleet_api.console.browser import Console
from tests.fleet_api.district import now_ms
from tests.fleet_api.telemetry import Walk, fix

# What is no word of ours: ids and names of the district, users, units and the language switch.
ALLOWED = re.compile(
    r"[ts]-[a-z0-9-]+|Device|Li Wei|Zhang Min|Chen Jie|operator|English|"
    r"(?<![A-Za-z])(ppm|mm|mV|dBm|km|h|m)(?![A-Za-z])"
)


@pytest.fixture
def console(browser, server):
    console = Console.open(browser, server, locale="zh-CN")
    yield console
    console.close()


def test_no_english_is_left_on_the_screen(console, district, store, server):
    walk = Walk(store, "t-east-1")
    walk.batch(fix(now_ms()))
    Walk(store, "s-east-1").readings(("smoke", now_ms(), 20), ("water_level", now_ms(), 5))
    district.state("t-east-1", faults=["no_fix", "crash_link"], held={"track": 3}, dropped=2)
    district.state("s-east-1", muted={"smoke": 60})
    district.press("t-east-2", trigger="silent")
    district.alarm()
    district.refuse("t-east-2")
    district.event("t-east-1", "dropped", stream="track", first=3, count=4)
    server.as_user("operator").post("/devices/t-east-1/locate")
    console.sign_in_and_see()
    expect(console.get("banner-case", device="t-east-2")).to_contain_text("静默求救")
    seen = []
    for tab in ("警情", "事件", "设备"):
        console.page.get_by_role("tab", name=re.compile(tab)).click()
        seen.append(console.page.inner_text("body"))
    for device in ("t-east-1", "s-east-1"):
        console.row(device).get_by_role("button").click()
        expect(console.get("device-panel", device=device)).to_be_visible()
        seen.append(console.page.inner_text("body"))
    words = re.findall(r"[A-Za-z]{2,}", ALLOWED.sub("", "\n".join(seen)))
    assert set(words) <= {"link"}  # The name of a task, in the fault that a developer reads.


def test_a_refusal_is_said_in_chinese(console):
    console.sign_in("operator", "not the password")
    expect(console.page.get_by_role("alert")).to_have_text("用户名或密码错误")
