"""A journal that cannot be mounted is saved record by record, and only then made anew."""

import json

from provisioning.virtual import Rig, Walk
from tests.gateway import stores
from tests.gateway.installation import wait_for
from tests.rescue.conftest import DEVICE, Bench

WALK = Rig(receiver=Walk(7, 29_900_000, 119_400_000), witness=["sealed"])


def test_what_a_broken_journal_holds_is_sent_before_it_is_made_anew(bench: Bench, application):
    control = bench.make(application, WALK)
    bench.start()
    # There is a broker and no gateway: everything is sent, and nothing is receipted.
    control.wait(lambda shown: "off duty online" in shown["screen"], 30)
    control.push("duty")
    wait_for(lambda: any(row[0] == "track" for row in _sealed(bench)), 180, "a sealed batch")
    control.push("sos", hold_s=1)
    control.wait(lambda shown: "SOS SENT" in shown["screen"], 20)
    bench.cut_power()
    sealed = _sealed(bench)
    _break_superblocks(bench)
    bench.start()
    control.wait(
        lambda shown: shown["screen"] == ["RESCUE: no journal", "online", "only SOS works"]
    )
    # Nobody has receipted a thing: it must not be touched.
    before = bench.read("journal")
    bench.cut_power()
    assert bench.read("journal") == before
    bench.installation.start_gateway().wait_until_connected()
    bench.start()
    state = bench.wait_for_state(lambda now: "journal_lost" in now["faults"], "the application")
    assert "rescue" not in state["faults"]
    held = {("event", e.epoch, e.seq) for e in stores.events(bench.installation)}
    for stream in ("track", "reading"):
        held |= {
            (stream, row[1], row[2]) for row in stores.stored_batches(bench.installation, stream)
        }
    assert {(stream, epoch, seq) for stream, epoch, seq, _ in sealed} <= held
    assert [case.presses for case in stores.cases(bench.installation)] == [1]


def test_an_application_that_cannot_start_does_not_silence_an_sos(bench: Bench, application):
    control = bench.make(application)
    bench.start()
    control.wait(lambda shown: "off duty online" in shown["screen"], 30)
    control.push("sos", hold_s=1)
    control.wait(lambda shown: "SOS SENT" in shown["screen"], 20)
    bench.cut_power()
    bench.spoil("app_a", b"\xff" * 4096)
    bench.installation.start_gateway().wait_until_connected()
    bench.start()
    control.wait(lambda shown: "SOS STORED" in shown["screen"], 60)
    assert [case.presses for case in stores.cases(bench.installation)] == [1]
    assert bench.state().get("sos", {}).get("incident", 0) > 0, DEVICE


def _sealed(bench: Bench) -> list[list]:
    """Return [stream, epoch, seq, count] of every record that the device has sealed."""
    path = bench.folder / "witness.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)[2:] for line in lines if line.endswith("]")]


def _break_superblocks(bench: Bench) -> None:
    """Damage the beginning of both superblocks, as cells that lost their charge do."""
    for block in (0, 1):
        bench.spoil("journal", b"\0" * 24, at=block * 4096)
