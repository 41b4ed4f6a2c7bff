"""Whoever carries a device without an application is heard all the same."""

import pytest

from provisioning.partitions import BLOCK_BYTES
from storage.registry import outbox
from tests.gateway import stores
from tests.gateway.bus import HEARS_DEVICES, Witness
from tests.gateway.fake_device import now_ms
from tests.gateway.installation import wait_for
from tests.rescue.conftest import DEVICE, Bench
from wire_protocol import messages, topics


@pytest.fixture
def rescued(bench: Bench, stub) -> Bench:
    """A device without an application, switched off."""
    bench.make(stub)
    bench.spoil("app_a", b"\xff" * BLOCK_BYTES)
    return bench


def _screen(text: str):
    return lambda shown: text in shown["screen"]


def test_an_sos_opens_a_case_and_the_wearer_sees_that_it_is_stored(rescued: Bench):
    rescued.installation.start_gateway().wait_until_connected()
    rescued.start()
    rescued.control.wait(_screen("online"), 30)
    rescued.control.push("sos", hold_s=1)
    shown = rescued.control.wait(_screen("SOS STORED"), 30)
    assert len(shown["light"]) == 3
    case = stores.cases(rescued.installation)[0]
    assert (case.device, case.kind, case.status, case.presses) == (DEVICE, "sos", "reported", 1)
    # A second press is another record of the same incident, and the wearer takes both back.
    rescued.control.push("sos", hold_s=1)
    wait_for(lambda: stores.cases(rescued.installation)[0].presses == 2, 20, "two presses")
    rescued.control.wait(_screen("SOS STORED"), 30)
    rescued.control.press("sos")
    rescued.control.push("ok")
    rescued.control.release("sos")
    rescued.control.wait(_screen("only SOS works"), 20)
    kinds = [event.kind for event in stores.events(rescued.installation) if "sos" in event.kind]
    wait_for(
        lambda: [e.kind for e in stores.events(rescued.installation)].count("sos_cancel") == 1,
        20,
        f"the cancel, so far {kinds}",
    )
    found = {e.kind: e for e in stores.events(rescued.installation) if "sos" in e.kind}
    assert found["sos_cancel"].body["incident"] == found["sos"].body["incident"]


def test_an_sos_of_the_application_is_taken_back_under_its_own_number(bench: Bench, application):
    bench.installation.start_gateway().wait_until_connected()
    control = bench.make(application)
    bench.start()
    control.wait(_screen("off duty online"), 30)
    control.push("duty")
    control.push("sos", hold_s=1)
    control.wait(_screen("SOS STORED"), 30)
    bench.cut_power()
    whole = bench.read("app_a")[:BLOCK_BYTES]
    bench.spoil("app_a", b"\xff" * BLOCK_BYTES)
    bench.start()
    control.wait(_screen("online"), 30)
    control.wait(_screen("SOS STORED"), 30)
    control.press("sos")
    control.push("ok")
    control.release("sos")
    control.wait(_screen("only SOS works"), 20)
    wait_for(lambda: stores.cases(bench.installation)[0].cancelled_ms, 30, "the case is cancelled")
    found = {e.kind: e for e in stores.events(bench.installation) if "sos" in e.kind}
    assert found["sos_cancel"].body["incident"] == found["sos"].seq > 1
    # The application does not find it open again.
    bench.cut_power()
    bench.spoil("app_a", whole)
    bench.start()
    shown = control.wait(_screen("ON DUTY online"), 30)
    assert shown["sos"] is None
    assert [case.presses for case in stores.cases(bench.installation)] == [1]


def test_three_short_presses_raise_it_without_light_or_tone(rescued: Bench):
    rescued.installation.start_gateway().wait_until_connected()
    rescued.start()
    rescued.control.wait(_screen("online"), 30)
    for _ in range(3):
        rescued.control.push("sos", hold_s=0.1)
    wait_for(lambda: stores.cases(rescued.installation), 30, "a case")
    [event] = [e for e in stores.events(rescued.installation) if e.kind == "sos"]
    assert event.body["trigger"] == "silent"
    for _ in range(2):
        shown = rescued.control.wait(lambda now: now["vibrate"] or now["light"] == [], 20)
        assert (shown["light"], shown["tone"]) == ([], [])
        assert not any(line.startswith("SOS") for line in shown["screen"])
        # A battery pulled does not make it loud.
        wait_for(lambda: rescued.state().get("sos"), 30, "the SOS in its state")
        rescued.cut_power()
        rescued.start()
        rescued.control.wait(_screen("online"), 30)
    assert stores.cases(rescued.installation)[0].presses == 1


def test_a_short_touch_raises_nothing(rescued: Bench):
    rescued.installation.start_gateway().wait_until_connected()
    rescued.start()
    rescued.control.wait(_screen("online"), 30)
    rescued.control.push("sos", hold_s=0.1)
    rescued.control.push("sos", hold_s=1)
    rescued.control.wait(_screen("SOS STORED"), 30)
    assert stores.cases(rescued.installation)[0].presses == 1


def test_a_battery_pulled_before_anybody_heard_takes_nothing_away(rescued: Bench):
    rescued.start()
    rescued.control.wait(_screen("RESCUE: no application"), 30)
    rescued.control.push("sos", hold_s=1)
    rescued.control.wait(_screen("SOS OPEN"), 10)
    rescued.cut_power()
    rescued.installation.start_gateway().wait_until_connected()
    rescued.start()
    rescued.control.wait(_screen("SOS STORED"), 60)
    assert len(stores.cases(rescued.installation)) == 1
    # Stored, it is not raised again by the next power cut.
    rescued.cut_power()
    rescued.start()
    rescued.control.wait(_screen("SOS STORED"), 30)
    rescued.control.wait(_screen("online"), 30)
    assert stores.cases(rescued.installation)[0].presses == 1


def test_nothing_is_installed_before_the_sos_is_closed(rescued: Bench, stub):
    rescued.installation.start_gateway().wait_until_connected()
    rescued.start()
    rescued.control.wait(_screen("online"), 30)
    rescued.control.push("sos", hold_s=1)
    rescued.control.wait(_screen("SOS STORED"), 30)
    rescued.publish(stub)
    rescued.cut_power()
    rescued.start()
    rescued.wait_for_console("blocks fetched")
    rescued.control.wait(_screen("SOS STORED"), 30)
    event = next(e for e in stores.events(rescued.installation) if e.kind == "sos")
    gone = messages.make_sos_status(event.epoch, event.seq, "closed", "li", now_ms())
    with Witness(rescued.installation, "xh/1/+/up/state", HEARS_DEVICES) as speaker:
        speaker.client.publish(topics.down(DEVICE, "sos_status"), gone, 1)
        rescued.control.wait(lambda shown: shown["screen"] == ["ready"], 60)


def test_a_command_is_refused_with_the_reason(rescued: Bench):
    installation = rescued.installation
    installation.start_gateway().wait_until_connected()
    rescued.start()
    rescued.wait_for_state(lambda state: "rescue" in state["faults"], "rescue")
    with installation.registry.begin() as session:
        queued = outbox.enqueue(
            session, device=DEVICE, topic="command", kind="locate", body={}, ttl_s=60,
            created_by="li", now_ms=now_ms(),
        )  # fmt: skip
    wait_for(lambda: stores.commands(installation)[queued["id"]].status == "refused", 30)
    assert stores.commands(installation)[queued["id"]].reason == "rescue"
