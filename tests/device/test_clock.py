"""What dates a record over restarts, and what steps of the clock do to records: nothing."""

from __future__ import annotations

from tests.device.device_rig import wait_for
from tests.device.gateway_sim import SERVER_MS
from tests.device.test_terminal import (  # noqa: F401 - fixtures
    DEVICE,
    NOW_S,
    Terminal,
    gateway,
    terminal,
)
from wire_protocol import messages

DAY_S = 86_400


def _reset(terminal: Terminal, after_s: int = 60) -> None:  # noqa: F811
    """A watchdog's reset, so long after what the chip's clock said: that runs on, no RAM does."""
    at_s = terminal.ask("board.rtc_s()")
    terminal.pull_battery()
    terminal.on(rtc_s=at_s + after_s)


def test_a_guess_stays_one_over_every_reset(terminal, gateway):  # noqa: F811
    gateway.receipting = False
    terminal.on()
    for _ in range(2):
        _reset(terminal)
        assert terminal.ask("station.clock.quality") == 0
    terminal.hold()
    assert gateway.wait_event("sos")["clock"] == "none"


def test_the_last_time_known_is_a_guess_after_a_power_cut_and_the_reset_behind_it(
    terminal,  # noqa: F811
    gateway,  # noqa: F811
):
    gateway.receipting = False
    terminal.on()
    terminal.stand(NOW_S)
    wait_for(lambda: terminal.ask("station.clock.quality") == 3, "the satellites' time")
    terminal.pull_battery()
    terminal.on(rtc_s=0)
    assert terminal.ask("board.rtc_s()") >= NOW_S  # For certificates.
    _reset(terminal)
    assert terminal.ask("station.clock.quality") == 0
    assert terminal.ask("station.clock.now_ms()") // 1000 >= NOW_S + 60


def test_the_servers_time_dates_records_after_a_reset(terminal, gateway):  # noqa: F811
    gateway.receipting = False
    terminal.on()
    state = gateway.wait_state(lambda state: state["online"], "online")
    gateway.send(DEVICE, "receipt", messages.make_receipt(SERVER_MS, state["epoch"], {}))
    wait_for(lambda: terminal.ask("station.clock.quality") == 2, "the server's time")
    _reset(terminal)
    assert terminal.ask("station.clock.quality") == 1
    terminal.hold()
    event = gateway.wait_event("sos")
    assert event["clock"] == "rtc"
    assert 60 <= event["at"] // 1000 - SERVER_MS // 1000 <= 90


def test_the_satellites_time_does_so_even_if_it_was_a_year_ahead_before(terminal, gateway):  # noqa: F811
    gateway.receipting = False
    terminal.on()
    terminal.stand(NOW_S + 365 * DAY_S)
    wait_for(lambda: terminal.ask("station.clock.quality") == 3, "the satellites' time")
    terminal.stand(NOW_S)
    wait_for(lambda: terminal.ask("board.rtc_s()") < NOW_S + DAY_S, "the clock set back")
    _reset(terminal)
    assert terminal.ask("station.clock.quality") == 1
    assert terminal.ask("station.clock.now_ms()") // 1000 < NOW_S + DAY_S


def test_a_clock_whose_worth_nobody_wrote_down_is_worth_nothing(terminal, gateway):  # noqa: F811
    gateway.receipting = False
    terminal.on(rtc_s=NOW_S)
    assert terminal.ask("station.clock.quality") == 0
