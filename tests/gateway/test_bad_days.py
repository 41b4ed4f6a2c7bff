"""Bad days beside crashes and full disks: the broker gone, clocks far off, an SOS of any kind."""

import os
import time
from pathlib import Path

import pytest

from tests.gateway import stores
from tests.gateway.bus import Witness
from tests.gateway.fake_device import FakeDevice, now_ms
from tests.gateway.installation import GatewayProcess, Installation, wait_for
from tests.gateway.load import Fleet
from wire_protocol import clock

YEAR_MS = 365 * 24 * 3600 * 1000
HOUR_MS = 3_600_000
FAKETIME = Path(__file__).parents[2] / ".tools" / "faketime"


def faked(shift: str) -> dict[str, str]:
    """What makes a process believe in another time; its waits stay true."""
    found = [*FAKETIME.rglob("libfaketime.so.1"), *Path("/usr/lib").rglob("libfaketime.so.1")]
    assert found, "missing: python3 tools/debs.py test"
    return {
        "LD_PRELOAD": str(found[0]), "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip


def test_broker_killed_again_and_again_loses_and_doubles_nothing(
    installation: Installation,
) -> None:
    gateways = [installation.start_gateway(str(number)) for number in (1, 2)]
    with Fleet(installation) as fleet:
        for number in range(4):
            for gateway in gateways:
                gateway.wait_until_connected()
            wait_for(lambda: fleet.held < 50, 30, "the fleet is back")
            if number == 2:
                fleet.devices[0].press_sos()
            time.sleep(0.5)
            installation.kill_broker()
            fleet.devices[1].event("report", text="made while the broker was away")
            installation.start_broker()
        fleet.be_quiet()
        fleet.wait_until_empty()
    stores.assert_stored_exactly_once(installation, fleet.devices)
    assert [case.device for case in stores.cases(installation)] == [fleet.devices[0].device]


def test_frozen_broker_is_left_and_found_again(installation: Installation) -> None:
    installation.add_devices(["t-0001"])
    gateway = installation.start_gateway().wait_until_connected()
    assert installation.broker is not None
    os.kill(installation.broker.pid, 19)
    wait_for(lambda: gateway.metric("xunhu_gateway_connected") == 0, 40, "noticed")
    os.kill(installation.broker.pid, 18)
    gateway.wait_until_connected()
    device = FakeDevice(installation, "t-0001").connect()
    device.press_sos()
    device.wait_until_empty()
    device.disconnect()


@pytest.mark.parametrize("shift", ["+365d", "-365d"])
def test_server_clock_a_year_off_loses_and_reorders_nothing(
    installation: Installation, shift: str
) -> None:
    """The whole server's: the broker checks certificates against it, too."""
    installation.add_devices(["t-0001"])
    installation.kill_broker()
    installation.start_broker(**faked(shift))
    # It has the right time, and must find the server's certificate valid as well.
    device = FakeDevice(installation, "t-0001").connect()
    first = installation.start_gateway(**faked(shift)).wait_until_connected()
    with Witness(installation) as witness:
        for _ in range(2):
            device.fixes()
        device.event("report", text="wrong time")
        device.wait_until_empty()
        receipt = device.heard_on("receipt")[-1]
        assert abs(receipt["at"] - now_ms()) > YEAR_MS - HOUR_MS  # It was off indeed.
        # The history of states is written behind; what kills the gateway before would cost it one.
        wait_for(lambda: _states(installation) == [(1,)], 10, "its first state in the history")
        # Somebody sets the clock right: the gateway is started again, the broker goes on.
        first.kill()
        installation.start_gateway().wait_until_connected()
        device.say_state(battery_mv=3600)
        last = device.fixes()
        device.press_sos()
        device.event("report", text="right time")
        device.wait_until_empty()
        witness.wait_for_delta("position", lat_e6=30_274_085 + last.last)
        witness.wait_for_delta("state", device="t-0001", battery_mv=3600)
    stores.assert_stored_exactly_once(installation, [device])
    events = stores.events(installation)
    assert [event.seq for event in events] == [1, 2, 3]
    assert [case.late for case in stores.cases(installation)] == [False]
    positions = stores.telemetry(installation, "SELECT seq, lat_e6 FROM last_position")
    assert positions == [(last.last, 30_274_085 + last.last)]
    wait_for(lambda: _states(installation) == [(2,)], 10, "the history of states")
    device.disconnect()


def _states(installation: Installation) -> list[tuple]:
    return stores.telemetry(installation, "SELECT count(*) FROM state")


@pytest.fixture
def gateway(installation: Installation) -> GatewayProcess:
    installation.add_devices(["t-0001"])
    return installation.start_gateway().wait_until_connected()


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize(
    ("name", "at_ms", "quality", "late"),
    [
        ("now", 0, "gnss", False),
        ("an hour ago", -HOUR_MS, "gnss", True),
        ("61 s ago", -61_000, "server", True),
        ("in 1970", None, "rtc", True),
        ("in 2099", 75 * YEAR_MS, "gnss", False),
        ("no clock", None, "none", False),
    ],
)  # fmt: skip
def test_sos_with_any_clock_opens_its_case(installation, name, at_ms, quality, late):
    device = FakeDevice(installation, "t-0001").connect()
    with Witness(installation) as witness:
        happened_ms = 5_000 if at_ms is None else now_ms() + at_ms
        before_ms = now_ms()
        device.press_sos(at_ms=happened_ms, quality=quality)
        device.wait_until_empty()
        case = witness.wait_for_delta("case")["case"]
        event = witness.wait_for_delta("event")["event"]
    assert (case["opened_at_ms"], case["late"]) == (happened_ms, late), name
    assert (event["at_ms"], event["clock"]) == (happened_ms, quality)
    assert before_ms <= case["opened_received_ms"] <= now_ms()
    device.disconnect()


@pytest.mark.usefixtures("gateway")
def test_sos_made_offline_arrives_late_after_newer_tracks(installation):
    device = FakeDevice(installation, "t-0001", resend_s=600)
    fix = {"lat": 30_000_000, "lon": 120_000_000, "at": now_ms() - HOUR_MS, "accuracy_m": None,
           "alt_mm": None}  # fmt: skip
    sos = device.press_sos(at_ms=now_ms() - HOUR_MS, fix=fix)
    held = device.journal.pop((sos.stream, sos.first))
    device.connect()
    newer = device.fixes()
    device.wait_until_empty()
    with Witness(installation) as witness:
        device.journal[sos.stream, sos.first] = held
        device.wait_until_empty()
        event = witness.wait_for_delta("event", late=True)["event"]
    assert event["body"]["fix"] == fix
    positions = stores.telemetry(installation, "SELECT seq FROM last_position")
    assert positions == [(newer.last,)]
    device.disconnect()


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("trigger", ["button", "silent", "man_down", "check_in"])
def test_every_kind_of_sos_opens_a_case_and_a_cancel_erases_nothing(installation, trigger):
    device = FakeDevice(installation, "t-0001").connect()
    first = device.press_sos(trigger=trigger)
    device.wait_until_empty()
    device.press_sos(incident=first.first, press=2, trigger=trigger)
    device.event("sos_cancel", incident=first.first)
    device.wait_until_empty()
    (case,) = stores.cases(installation)
    assert (case.status, case.presses) == ("reported", 2)
    assert case.cancelled_ms is not None
    device.disconnect()


@pytest.mark.usefixtures("gateway")
def test_device_that_counts_from_one_again_after_a_new_journal_loses_nothing(installation):
    device = FakeDevice(installation, "t-0001", epoch=1).connect()
    for _ in range(3):
        device.fixes()
    device.event("report", text="old journal")
    device.wait_until_empty()
    again = FakeDevice(installation, "t-0001", epoch=2, boot=1)
    device.disconnect()
    again.connect()
    last = again.fixes()
    again.event("report", text="new journal")
    again.wait_until_empty()
    stores.assert_stored_exactly_once(installation, [device, again])
    newest = stores.telemetry(installation, "SELECT epoch, seq FROM last_position")
    assert newest == [(2, last.last)]
    again.disconnect()


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("at_ms", [1_000, 75 * YEAR_MS + now_ms()], ids=["1970", "far ahead"])
def test_fixes_of_a_wrong_clock_are_stored_and_receipted(installation, at_ms):
    device = FakeDevice(installation, "t-0001").connect()
    device.fixes(at_ms=at_ms + 60_000, quality=clock.RTC)
    device.wait_until_empty()
    stores.assert_stored_exactly_once(installation, [device])
    device.disconnect()


def test_will_shows_who_vanished(installation: Installation, gateway: GatewayProcess) -> None:
    device = FakeDevice(installation, "t-0001").connect()
    with Witness(installation) as witness:
        wait_for(
            lambda: gateway.metric('xunhu_gateway_messages_total{outcome="stored",stream="state"'),
            10,
        )
        device.vanish()
        state = witness.wait_for_delta("state", online=False)
    assert state["state"]["battery_mv"] == 3900  # What was known stays known.


def test_gateway_that_is_asked_to_end_receipts_what_it_has_stored(
    installation: Installation, gateway: GatewayProcess
) -> None:
    device = FakeDevice(installation, "t-0001", resend_s=600).connect()
    # A connection's first batch is receipted at once, and it begins where its state was heard.
    wait_for(lambda: _states(installation) == [(1,)], 10, "its state in the history")
    device.fixes()
    device.wait_until_empty()
    device.fixes()
    device.tick()
    stored = 'xunhu_gateway_messages_total{outcome="stored",stream="track"'
    wait_for(lambda: gateway.metric(stored) == 2, 10, "stored")
    assert not device.is_empty()
    assert gateway.stop() == 0
    wait_for(device.is_empty, 5, "receipted at the end")
    device.disconnect()
