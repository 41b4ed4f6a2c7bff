"""The main job as its users see it: real firmware, broker, gateway, API and browser."""

import json

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.system import console
from tests.system.accounts import accounts, assert_nothing_lost_or_doubled
from tests.system.console import BROWSER, PROGRAM, sign_in
from tests.system.installation import wait_for
from tests.system.rest import come_to_rest
from tests.system.witness import Screen, Wire

# Measures what the page plays at the edge of the browser: every connection to the speakers also
# goes through an analyser of ours.
LISTEN = """
(() => {
  window.heard = 0;
  window.heardAt = 0;
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) {
      const analyser = this.context.createAnalyser();
      connect.call(this, analyser);
      const samples = new Float32Array(analyser.fftSize);
      const listen = () => {
        analyser.getFloatTimeDomainData(samples);
        window.heard = Math.max(window.heard, ...samples.map(Math.abs));
        if (window.heard > 0.05 && window.heardAt === 0) window.heardAt = Date.now();
      };
      const timer = setInterval(listen, 20);
      setTimeout(() => clearInterval(timer), 3000);
    }
    return connect.call(this, target, ...rest);
  };
})();
"""


# What the command room is promised, and on how many presses it may show: other tests share this
# machine. A press that takes MS_MAX is a failure however busy it is.
RINGS_MS, PRESSES, MS_MAX = 1_000, 5, 10_000


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=PROGRAM, args=BROWSER)
        yield running
        running.close()


@pytest.fixture
def page(browser, installation):
    """The console in English, signed in, on the map; nothing but our server may be asked."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1400, "height": 850})
    page = context.new_page()
    page.add_init_script(LISTEN)
    elsewhere = []
    page.on(
        "request",
        lambda request: (
            elsewhere.append(request.url)
            if not request.url.startswith((installation.url, "data:", "blob:"))
            else None
        ),
    )
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    sign_in(page, installation)
    yield page
    assert elsewhere == []
    assert problems == []
    context.close()


def test_sos_rings_in_the_console_and_the_wearer_reads_who_took_it(installation, page, tmp_path):
    terminal = installation.control("t-0001")
    wait_for("t-0001 has a fix", lambda: terminal.show().get("fed"))
    terminal.press("sos")
    banner = page.locator("[data-test=banner-case][data-device=t-0001]")
    expect(banner).to_be_visible(timeout=10_000)
    terminal.release("sos")
    terminal.wait(lambda shown: "SOS STORED" in shown["screen"], 10)
    wait_for("the alarm is heard", lambda: page.evaluate("window.heard") > 0.05, 5)
    expect(page.locator("[data-test=late]")).to_have_count(0)
    page.screenshot(path=tmp_path / "sos.png")

    banner.locator("[data-test=take]").click()
    expect(banner).to_have_count(0)
    terminal.wait(lambda shown: any("TAKEN" in line for line in shown["screen"]), 10)
    assert any("demo" in line for line in terminal.show()["screen"])
    page.wait_for_timeout(1500)  # One tone may still be sounding.
    page.evaluate("window.heard = 0")
    page.wait_for_timeout(2000)
    assert page.evaluate("window.heard") == 0

    row = page.locator("[data-test=case][data-device=t-0001]")
    row.locator("[data-test=close-case]").click()
    row.locator("[data-test=close-reason] textarea, textarea").first.fill("called back: all well")
    row.locator("[data-test=confirm-close]").click()
    expect(row).to_have_count(0)
    terminal.wait(lambda shown: not any("SOS" in line for line in shown["screen"]), 15)


def test_an_sos_is_on_the_live_stream_and_rings_within_a_second(installation, page):
    """From the sealed record, which is when the button was held long enough, to the two."""
    terminal = installation.control("t-0001")
    took: list[tuple[int, int]] = []
    with Screen(installation) as screen:
        for _ in range(PRESSES):
            known = set(screen.first_s)
            page.evaluate("window.heard = window.heardAt = 0")
            terminal.push("sos", hold_s=1.0)
            [case] = wait_for("it is shown", lambda k=known: set(screen.first_s) - k, 10)
            rang_ms = wait_for("it rings", lambda: page.evaluate("window.heardAt"), 10)
            sealed_ms = max(
                at_ms
                for key, at_ms in accounts(installation.home)["t-0001"].sealed_ms.items()
                if key[0] == "event"
            )
            took.append((round(screen.first_s[case] * 1000) - sealed_ms, rang_ms - sealed_ms))
            installation.close_cases()
            terminal.wait(lambda shown: not any("SOS" in line for line in shown["screen"]), 15)
            wait_for("no case is shown", lambda: not screen.cases, 30)
            expect(page.locator("[data-test=banner-case]")).to_have_count(0, timeout=30_000)
            if max(took[-1]) < RINGS_MS:
                break
            # One tone may still be sounding.
            page.wait_for_timeout(1500)
    assert min(max(both) for both in took) < RINGS_MS, took
    assert max(max(both) for both in took) < MS_MAX, took


def test_smoke_over_its_threshold_raises_an_alarm(installation, page):
    installation.xunhu("set", "s-0001", "smoke", "600")
    banner = page.locator("[data-test=banner-case][data-device=s-0001]")
    expect(banner).to_be_visible(timeout=15_000)
    expect(banner).to_contain_text("Smoke")
    expect(banner).to_contain_text("600")
    installation.xunhu("set", "s-0001", "smoke", "20")
    installation.close_cases()


def test_a_message_is_shown_to_the_wearer_and_the_ledger_says_so(installation, page):
    page.locator("[data-test=device-list] li[data-device=t-0002] button").click()
    page.locator("[data-test=message-text] input, input[data-test=message-text]").first.fill(
        "Come back to the bridge"
    )
    page.locator("[data-test=message-send]").click()
    terminal = installation.control("t-0002")
    terminal.wait(lambda shown: any("bridge" in line for line in shown["screen"]), 10)
    row = page.locator("[data-test=ledger] li[data-kind=message]").first
    expect(row).to_have_attribute("data-status", "accepted", timeout=10_000)
    terminal.push("ok")
    expect(row).to_have_attribute("data-status", "done", timeout=10_000)


def test_locate_is_answered_with_the_position_that_was_fed(installation):
    terminal = installation.control("t-0003")
    wait_for("t-0003 has a fix", lambda: terminal.show().get("fed"))
    command = installation.call("POST", "/devices/t-0003/locate", {})

    def done():
        row = installation.call("GET", f"/commands/{command['id']}")
        return row if row["status"] == "done" else None

    fix = wait_for("locate is done", done, 15)["data"]["fix"]
    account = accounts(installation.home)["t-0003"]
    assert (fix["at"] // 1000, fix["lat"], fix["lon"]) in account.fed
    # It is where the terminal is now, not where it once was.
    assert max(at_s for at_s, *_ in account.fed) - fix["at"] // 1000 < 30


def test_the_map_shows_where_people_are_and_their_track_can_be_played(installation, page):
    terminal = installation.control("t-0002")
    page.locator("[data-test=device-list] li[data-device=t-0002] button").click()
    wait_for(
        "t-0002 is on the map",
        lambda: installation.call("GET", "/devices/t-0002")["position"],
        90,
    )
    fed = terminal.show()["fed"]
    position = installation.call("GET", "/devices/t-0002")["position"]
    # A walker is at most 120 cm/s * 65 s away from the last fix that was sealed.
    assert abs(position["lat_e6"] - fed[1]) < 1000
    assert abs(position["lon_e6"] - fed[2]) < 1000
    page.locator("[data-test=track-1]").click()
    expect(page.locator("[data-test=track-time]")).to_be_visible()
    rows = [row["action"] for row in _audit(installation)]
    assert "track.read" in rows


def _audit(installation):
    """The audit log as the registry holds it: the demo's operator may not read it."""
    import sqlite3

    with sqlite3.connect(installation.home / "registry.sqlite") as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute("SELECT * FROM audit").fetchall()


def test_without_sound_the_console_says_so_in_red(browser, installation):
    context = browser.new_context(locale="en-GB", storage_state=None)
    page = context.new_page()
    page.add_init_script(
        "Object.defineProperty(AudioContext.prototype, 'state', {get: () => 'suspended'})"
    )
    page.goto(installation.url)
    page.fill("input[name=name]", "demo")
    page.fill("input[name=password]", installation.password)
    page.click("button[type=submit]")
    bar = page.locator("[data-test=sound-blocked]")
    expect(bar).to_be_visible()
    colour = bar.evaluate("element => getComputedStyle(element).backgroundColor")
    red, green, blue = json.loads(colour.replace("rgb(", "[").replace(")", "]"))
    assert red > 150
    assert max(green, blue) < 80
    context.close()


def test_a_terminal_on_duty_without_a_link_is_shown_unprotected(installation, page):
    row = page.locator("[data-test=device-list] li[data-device=t-0003]")
    expect(row.locator("[data-flag=unprotected]")).to_have_count(0)
    installation.xunhu("link", "t-0003", "down")
    expect(row.locator("[data-flag=unprotected]")).to_be_visible(timeout=20_000)
    expect(row).to_have_attribute("data-online", "false")
    installation.xunhu("link", "t-0003", "up")
    expect(row.locator("[data-flag=unprotected]")).to_have_count(0, timeout=60_000)


def test_everything_is_there_in_chinese_too(page):
    page.locator("[data-test=language]").click()
    expect(page.locator("[data-test=live]")).to_have_text("实时")
    expect(page.locator("[data-test=sign-out]")).to_have_text("退出登录")
    page.locator("[data-test=device-list] li[data-device=t-0001] button").click()
    expect(page.locator("[data-test=device-panel]")).to_contain_text("电池")
    page.locator("[data-test=language]").click()
    expect(page.locator("[data-test=live]")).to_have_text("Live")


# Notes which warnings stood on the page, however short they were there.
WATCH = """
window.warned = new Set();
new MutationObserver(() => {
  for (const name of ["not-live", "bus-away"])
    if (document.querySelector(`[data-test=${name}]`)) window.warned.add(name);
}).observe(document.body, {childList: true, subtree: true});
"""


def test_a_dead_gateway_and_broker_are_said_and_nothing_is_missing_or_double(installation, page):
    page.evaluate(WATCH)
    pids = {part: installation.pid(part) for part in ("gateway-1", "broker")}
    with Wire(installation) as wire, Screen(installation) as screen:
        for part in pids:
            installation.kill(part)
        terminal = installation.control("t-0002")
        terminal.push("sos", hold_s=1.5)
        wait_for(
            "both are started again",
            lambda: all(installation.pid(part) != pid for part, pid in pids.items()),
        )
        # The console says that it hears nothing more, whoever runs the servers which part died.
        wait_for(
            "the console has said so", lambda: page.evaluate("window.warned.has('bus-away')"), 30
        )
        said = installation.output()
        assert "gateway-1 ended with -9; again in 1 s" in said
        assert "broker ended with -9; again in 1 s" in said
        expect(page.locator("[data-test=banner-case][data-device=t-0002]")).to_be_visible(
            timeout=30_000
        )
        wait_for("everybody is back", lambda: installation.online() == 6)
        expect(page.locator("[data-test=bus-away]")).to_have_count(0)
        assert screen.shown() == {"t-0002": 1}
        assert console.cases_shown(page) == {"t-0002": 1}
        come_to_rest(installation)
        assert_nothing_lost_or_doubled(installation.home, wire)
        assert {n for key, n in screen.rung.items() if key[0] == "t-0002"} <= {1}
    assert [row["device"] for row in installation.items("/cases")].count("t-0002") == 1
