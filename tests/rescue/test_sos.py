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
