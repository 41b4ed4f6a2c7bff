"""Gateways side by side: each hears every event, one of them gets each batch."""

import json
import sqlite3
import time
from pathlib import Path

from storage.registry import outbox
from storage.registry.models import DeviceState
from tests.gateway import stores
from tests.gateway.bus import Witness
from tests.gateway.fake_device import FakeDevice, now_ms
from tests.gateway.installation import GatewayProcess, Installation, wait_for
from tests.gateway.load import Fleet


def test_sos_heard_by_three_gateways_opens_and_shows_once(installation: Installation) -> None:
    names = [f"t-{number:04}" for number in range(10)]
    installation.add_devices(names)
    gateways = [installation.start_gateway(str(number)) for number in (1, 2, 3)]
    for gateway in gateways:
        gateway.wait_until_connected()
    with Witness(installation) as witness:
        devices = [FakeDevice(installation, name).connect() for name in names]
        for device in devices:
            device.press_sos()
            device.event("report", text="help")
        for device in devices:
            device.wait_until_empty()
            witness.wait_for_delta("event", device=device.device, kind="report")
        for gateway in gateways:
            wait_for(
                lambda gateway=gateway: (
                    gateway.metric(
                        'xunhu_gateway_messages_total{outcome="duplicate",stream="event"'
                    )
                    + gateway.metric(
                        'xunhu_gateway_messages_total{outcome="stored",stream="event"'
                    )
                    >= 20
                ),
                10,
                "every gateway has heard every event",
            )
        shown = [(d["event"]["device"], d["event"]["kind"]) for d in witness.deltas("event")]
        opened = [d["case"]["device"] for d in witness.deltas("case")]
        states = [(d["device"], d["state"]["connection"]) for d in witness.deltas("state")]
    assert sorted(shown) == sorted((name, kind) for name in names for kind in ("report", "sos"))
    assert sorted(opened) == names
    assert sorted(states) == [(name, 1) for name in names]
    assert sorted(case.device for case in stores.cases(installation)) == names
    stores.assert_stored_exactly_once(installation, devices)
    for device in devices:
        device.disconnect()


def test_batches_are_shared_and_each_is_stored_once(installation: Installation) -> None:
    gateways = [installation.start_gateway(str(number)) for number in (1, 2)]
    with Fleet(installation) as fleet:
        for gateway in gateways:
            gateway.wait_until_connected()
        stored = 'xunhu_gateway_messages_total{outcome="stored",stream="track"'
        wait_for(lambda: all(gateway.metric(stored) > 20 for gateway in gateways), 60, "both work")
        fleet.be_quiet()
        fleet.wait_until_empty()
    stores.assert_stored_exactly_once(installation, fleet.devices)


def test_receipt_of_one_gateway_covers_what_the_other_has_stored(
    installation: Installation,
) -> None:
    """A device takes what a receipt leaves out for lost, and sends it again."""
    installation.add_devices(["t-0001"])
    gateways = [installation.start_gateway(str(number)) for number in (1, 2)]
    for gateway in gateways:
        gateway.wait_until_connected()
    device = FakeDevice(installation, "t-0001", resend_s=600).connect()
    holes = []
    for number in range(24):
        device.fixes()
        device.tick()
        wait_for(lambda number=number: len(_batches(installation)) > number, 10, "it is stored")
        time.sleep(1.2 if number % 3 == 0 else 0.05)
        holes += [r for r in device.heard_on("receipt") if len(r["streams"].get("track", [])) > 1]
        device.heard.clear()
    stored = 'xunhu_gateway_messages_total{outcome="stored",stream="track"'
    assert min(gateway.metric(stored) for gateway in gateways) > 0
    # Those of the last second may be missing, no older one.
    for receipt in holes:
        upto, *singles = receipt["streams"]["track"]
        assert singles[-1] - upto <= 3 * 12 + 1
    assert len(holes) <= 8
    device.disconnect()


def _batches(installation: Installation) -> list[tuple]:
    return stores.stored_batches(installation, "track")


def test_one_killed_and_one_frozen_gateway_hold_up_nobody(installation: Installation) -> None:
    """The third one does it all; what the frozen one was sent is sent again by its device."""
    first, second, third = [installation.start_gateway(str(number)) for number in (1, 2, 3)]
    with Fleet(installation) as fleet, Witness(installation) as witness:
        for gateway in (first, second, third):
            gateway.wait_until_connected()
        wait_for(lambda: second.metric("xunhu_gateway_receipts_total") > 20, 30, "it works")
        first.process.kill()
        first.process.wait()
        _freeze(installation, second, locked=False)
        started_s = time.monotonic()
        sos = fleet.devices[0].press_sos()
        witness.wait_for_delta("case", device=fleet.devices[0].device)
        assert time.monotonic() - started_s < 10
        assert sos.sendings >= 1
        time.sleep(3)  # The fleet goes on with one gateway.
        fleet.be_quiet()
        fleet.wait_until_empty()
        stores.assert_stored_exactly_once(installation, fleet.devices)
        # Thawed, it finds itself thrown off, stores what it still holds once more, and is back.
        second.thaw()
        second.wait_until_connected()
        fleet.devices[1].event("report", text="after the thaw")
        fleet.wait_until_empty()
        stores.assert_stored_exactly_once(installation, fleet.devices)
    assert len(stores.cases(installation)) == 1


def test_gateway_frozen_with_a_store_in_its_hand_is_killed_and_nothing_is_lost(
    installation: Installation,
) -> None:
    """What `xunhu up` does after ten seconds (ADR 0025): SQLite's lock goes with the process."""
    first, second = [installation.start_gateway(str(number)) for number in (1, 2)]
    with Fleet(installation, period_s=0.005) as fleet, Witness(installation) as witness:
        for gateway in (first, second):
            gateway.wait_until_connected()
        _freeze(installation, second, locked=True)
        time.sleep(1)
        second.process.kill()
        fleet.devices[0].press_sos()
        witness.wait_for_delta("case", 20, device=fleet.devices[0].device)
        fleet.be_quiet()
        fleet.wait_until_empty()
    stores.assert_stored_exactly_once(installation, fleet.devices)


def _freeze(installation: Installation, gateway: GatewayProcess, *, locked: bool) -> None:
    """Freeze it while it holds a lock of SQLite, or none."""
    for _ in range(2_000):
        gateway.freeze()
        time.sleep(0.02)  # Until every thread of it stands.
        files = [installation.home / name for name in ("registry.sqlite", "telemetry.sqlite")]
        if any(map(_is_locked, files)) == locked:
            return
        gateway.thaw()
        time.sleep(0.003)
    raise AssertionError(f"it never stood with locked={locked}")


def _is_locked(path: Path) -> bool:
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return True
    finally:
        connection.close()
    return False


def test_command_is_claimed_by_one_gateway(installation: Installation) -> None:
    installation.add_devices(["t-0001"])
    gateways = [installation.start_gateway(str(number)) for number in (1, 2)]
    for gateway in gateways:
        gateway.wait_until_connected()
    device = FakeDevice(installation, "t-0001").connect()
    wait_for(lambda: stores.rows(installation, DeviceState), 10, "it is known to be there")
    ids = []
    for number in range(20):
        with installation.registry.begin() as session:
            row = outbox.enqueue(
                session, device="t-0001", topic="command", kind="message",
                body={"text": str(number)}, ttl_s=60, created_by="li", now_ms=now_ms(),
            )  # fmt: skip
        ids.append(row["id"])
    wait_for(lambda: len(device.heard_on("command")) >= 20, 20, "all commands arrive")
    time.sleep(0.5)
    assert sorted(heard["id"] for heard in device.heard_on("command")) == sorted(ids)
    wait_for(
        lambda: {row.status for row in stores.commands(installation).values()} == {"sent"}, 10
    )
    device.disconnect()


def test_history_of_states_is_kept_once(installation: Installation) -> None:
    installation.add_devices(["t-0001"])
    gateways = [installation.start_gateway(str(number)) for number in (1, 2)]
    for gateway in gateways:
        gateway.wait_until_connected()
    device = FakeDevice(installation, "t-0001").connect()
    for battery_mv in (3900, 3800, 3700):
        device.say_state(battery_mv=battery_mv)
    wait_for(lambda: len(_history(installation)) >= 4, 10, "four states")
    # Whoever comes back hears the kept one again, and it is no news.
    gateways[0].stop()
    installation.start_gateway("1").wait_until_connected()
    wait_for(
        lambda: installation.gateways[-1].metric(
            'xunhu_gateway_messages_total{outcome="known",stream="state"'
        ),
        10, "the kept state is heard again",
    )  # fmt: skip
    device.fixes()
    device.wait_until_empty()
    assert sorted(state["battery_mv"] for state in _history(installation)) == [
        3700, 3800, 3900, 3900,
    ]  # fmt: skip
    device.disconnect()


def _history(installation: Installation) -> list[dict]:
    return [
        json.loads(row[0]) for row in stores.telemetry(installation, "SELECT state FROM state")
    ]
