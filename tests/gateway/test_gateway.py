"""The main job: what devices say is stored, receipted and shown; what is asked of them arrives."""

from storage.registry import outbox
from tests.gateway import stores
from tests.gateway.bus import Witness
from tests.gateway.fake_device import FakeDevice, now_ms
from tests.gateway.installation import Installation, wait_for


def test_records_of_all_streams_are_stored_receipted_and_shown(installation: Installation) -> None:
    installation.add_devices(["t-0001", "s-0001"])
    gateway = installation.start_gateway().wait_until_connected()
    terminal = FakeDevice(installation, "t-0001")
    node = FakeDevice(installation, "s-0001", epoch=9)
    with Witness(installation) as witness:
        terminal.connect()
        node.connect()
        fixes = [terminal.fixes() for _ in range(5)]
        node.reading("smoke", 120, 130)
        terminal.event("duty", on=True, by="button")
        terminal.press_sos()
        terminal.result("0123456789abcdef")
        terminal.wait_until_empty()
        node.wait_until_empty()
        case = witness.wait_for_delta("case", device="t-0001")["case"]
        witness.wait_for_delta("event", device="t-0001")
        witness.wait_for_delta("state", device="t-0001", online=True)
        witness.wait_for_delta("reading", device="s-0001", sensor="smoke", value=130)
        last_lat_e6 = 30_274_085 + fixes[-1].last
        witness.wait_for_delta("position", device="t-0001", lat_e6=last_lat_e6)
    assert (case["status"], case["presses"], case["late"]) == ("reported", 1, False)
    assert [row.id for row in stores.cases(installation)] == [case["id"]]
    stores.assert_stored_exactly_once(installation, [terminal, node])
    assert stores.cursors(installation)["t-0001", 1, "track"] == (60, [])
    assert gateway.metric('xunhu_gateway_messages_total{outcome="stored",stream="track"}') == 5
    terminal.disconnect()
    node.disconnect()
    assert gateway.stop() == 0


def test_command_travels_through_the_ledger(installation: Installation) -> None:
    installation.add_devices(["t-0001"])
    installation.start_gateway().wait_until_connected()
    with installation.registry.begin() as session:
        queued = outbox.enqueue(
            session, device="t-0001", topic="command", kind="message", body={"text": "回来"},
            ttl_s=60, created_by="li", now_ms=now_ms(),
        )  # fmt: skip
    with Witness(installation) as witness:
        device = FakeDevice(installation, "t-0001").connect()
        heard = wait_for(lambda: device.heard_on("command"), what="the command")[0]
        assert (heard["id"], heard["body"]) == (queued["id"], {"text": "回来"})
        witness.wait_for_delta("command", id=queued["id"], status="sent")
        device.result(queued["id"], "accepted")
        device.result(queued["id"], "done")
        device.wait_until_empty()
        witness.wait_for_delta("command", id=queued["id"], status="done")
    device.disconnect()


def test_command_that_waited_carries_what_is_left_of_its_time(installation: Installation) -> None:
    installation.add_devices(["t-0001"])
    installation.start_gateway().wait_until_connected()
    device = FakeDevice(installation, "t-0001").connect()
    with installation.registry.begin() as session:
        outbox.enqueue(
            session, device="t-0001", topic="command", kind="locate", body={}, ttl_s=60,
            created_by="li", now_ms=now_ms() - 40_000,
        )  # fmt: skip
    wait_for(lambda: device.heard_on("command"), 10)
    [command] = device.heard_on("command")
    assert 1 <= command["ttl_s"] <= 20
    assert 0 <= now_ms() - command["issued"] < 15_000
    device.disconnect()


def test_command_for_a_device_that_is_away_waits_and_expires(installation: Installation) -> None:
    installation.add_devices(["t-0001"])
    installation.start_gateway().wait_until_connected()
    with installation.registry.begin() as session:
        row = outbox.enqueue(
            session, device="t-0001", topic="command", kind="locate", body={}, ttl_s=2,
            created_by="li", now_ms=now_ms(),
        )  # fmt: skip
    wait_for(
        lambda: stores.commands(installation)[row["id"]].status == "expired", 10, "it expired"
    )
    assert stores.commands(installation)[row["id"]].sent_ms is None


def test_a_device_added_this_moment_is_believed(installation: Installation) -> None:
    installation.add_devices(["t-0001"])
    installation.device_files("t-0002")
    installation.start_gateway().wait_until_connected()
    first = FakeDevice(installation, "t-0001").connect()
    first.press_sos()
    first.wait_until_empty()  # The gateway has just looked who there is.
    installation.add_devices(["t-0002"])
    second = FakeDevice(installation, "t-0002").connect()
    second.press_sos()
    second.wait_until_empty()
    stores.assert_stored_exactly_once(installation, [first, second])
    for device in (first, second):
        device.disconnect()
