"""What dates a record over restarts, and what steps of the clock do to records: nothing."""

from __future__ import annotations

import time

import pytest

from tests.device import nmea_lines
from tests.device.conftest import BUILT_S
from tests.device.device_rig import wait_for
from tests.device.gateway_sim import SERVER_MS
from tests.device.test_terminal import (  # noqa: F401 - fixtures
    DEVICE,
    LAT,
    LON,
    NOW_S,
    Terminal,
    gateway,
    terminal,
)
from wire_protocol import clock as quality
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


def _epoch(at_ms: int, lat: int) -> str:
    return nmea_lines.epoch(at_ms // 1000, lat, LON, ms=at_ms % 1000)


# What the receiver says at each fix, in ms off NOW_S: milliseconds differ, and times leap.
YEAR_MS = 365 * DAY_S * 1000
ROLLOVER_MS = 1024 * 7 * DAY_S * 1000
WALKS = {
    "a year ahead and back": (0, 5_120, YEAR_MS + 10_040, YEAR_MS + 15_370, 20_010, 25_130),
    "back and ahead again": (YEAR_MS, YEAR_MS + 5_310, 10_070, 15_240, YEAR_MS + 20_180),
    "the weeks roll over": (0, 5_120, 10_230 - ROLLOVER_MS, 15_340 - ROLLOVER_MS, 20_450),
    "two months in one batch": (0, 5_120, 60 * DAY_S * 1000 + 10_040, 60 * DAY_S * 1000 + 15_330),
    "the same second thrice": (0, 40, 80, 120),
}


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("server_first", [True, False])
def test_steps_of_the_clock_lose_double_and_reorder_no_fix(
    terminal,  # noqa: F811
    gateway,  # noqa: F811
    walk,
    server_first,
):
    """Every fix is accounted for by its key and its content, from receiver to store."""
    gateway.receipting = server_first
    terminal.on(config={"duty": True, "batch_s": 600}, faster=20)
    gateway.wait_state(lambda state: state["online"], "online")
    if server_first:
        terminal.wait_delivered()
    said = []
    for number, off_ms in enumerate(WALKS[walk]):
        if number == 3:
            gateway.receipting = True  # The server's time comes between two of the satellites'.
        said.append((NOW_S * 1000 + off_ms, LAT + 1000 * number))
        terminal.feed(_epoch(*said[-1]))
        time.sleep(0.4)  # Eight seconds of its clock: each of them is kept.
    terminal.feed(nmea_lines.void(NOW_S + 90))
    time.sleep(0.3)
    terminal.push("duty")
    gateway.receipting = True
    wait_for(lambda: not terminal.ask("station.kind.duty"), "the end of duty")
    terminal.wait_delivered()
    assert terminal.ask("sorted(station.supervisor.crashed)") == []
    fixes = [(fix, batch.clock) for batch in gateway.batches() for fix in batch.fixes]
    assert [fix.lat_e6 for fix, _ in fixes] == [lat for _, lat in said]
    for (fix, clock), (at_ms, _) in zip(fixes, said, strict=True):
        if at_ms >= BUILT_S * 1000:
            assert (fix.at_ms, clock) == (at_ms, quality.GNSS)
        else:
            # A receiver that lost count of the weeks is believed its place; we tell the time.
            assert abs(fix.at_ms - NOW_S * 1000) < 120_000
    epoch = terminal.ask("station.logbook.journal.epoch")
    last = terminal.ask("station.logbook.journal.next_seq('track')") - 1
    assert last == len(said)
    keys = [key for key in sorted(gateway.stored) if key[1] == "track"]
    assert {key[0] for key in keys} == {epoch}
    seqs = [key[2] + place for key in keys for place in range(gateway._counts[key])]
    assert seqs == list(range(1, last + 1))
