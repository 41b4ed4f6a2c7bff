"""What no honest device says, and what it says twice: refused, kept, counted, receipted."""

import json
import struct
from collections import Counter
from collections.abc import Iterator

import pytest

from storage.registry.models import Device
from tests.gateway import stores
from tests.gateway.bus import Witness
from tests.gateway.fake_device import FakeDevice, message, now_ms
from tests.gateway.installation import GatewayProcess, Installation, wait_for
from wire_protocol import clock, frames, records, topics, track

HUGE = 10**30
ID = "0123456789abcdef"


@pytest.fixture
def gateway(installation: Installation) -> GatewayProcess:
    installation.add_devices(["t-0001", "t-0002"])
    return installation.start_gateway().wait_until_connected()


@pytest.fixture
def device(installation: Installation, gateway: GatewayProcess) -> Iterator[FakeDevice]:
    assert gateway.process.poll() is None
    made = FakeDevice(installation, "t-0001", epoch=5).connect()
    yield made
    made.disconnect()


def batch(seq: int = 1, epoch: int = 5, version: int = 1, kind: int = 1) -> bytes:
    fixes = [track.Fix(now_ms() + n, 30_000_000, 120_000_000, 1, 0, 1) for n in range(3)]
    record = bytearray(track.encode(epoch, seq, clock.GNSS, fixes))
    record[0], record[1] = version, kind
    return bytes(record)


def sos(seq: int = 1, epoch: int = 5, **more) -> dict:
    return {
        "v": 1, "epoch": epoch, "seq": seq, "kind": "sos", "at": now_ms(), "clock": "server",
        "uptime_s": 1, "boot": 1, "trigger": "button", "incident": seq, "press": 1, "fix": None,
        **more,
    }  # fmt: skip


def wrapped(record: dict, low: object = 1) -> bytes:
    return json.dumps({"low": low, "record": record}).encode()


def damaged(raw: bytes, at: int, value: int) -> bytes:
    changed = bytearray(raw)
    changed[at] = value
    return bytes(changed)


# name: (stream, payload, (upto of the receipt that must come) or None, reason as counted)
REFUSED = {
    "a newer version": ("track", frames.envelope(1, batch(version=9)), 3, "bad_frame"),
    "readings on the track topic": ("track", frames.envelope(1, batch(kind=2)), 3, "bad_frame"),
    "cut short": ("track", frames.envelope(1, batch())[:-1], 3, "bad_frame"),
    "something left over": ("track", frames.envelope(1, batch()) + b"x", 3, "bad_frame"),
    "not on the Earth": ("track", frames.envelope(1, damaged(batch(), 21, 127)), 3, "bad_frame"),
    "low above seq": ("track", struct.pack("<I", 9) + batch(), 3, "bad_frame"),
    "low of nothing": ("track", struct.pack("<I", 0) + batch(), 3, "bad_frame"),
    "1,300 bytes too many": ("track", frames.envelope(1, batch()) + bytes(1300), 3, "bad_frame"),
    "seq 0": ("track", struct.pack("<I", 1) + batch(1)[:6] + bytes(4) + batch()[10:], None,
              "bad_frame"),
    "header alone": ("track", frames.envelope(1, batch())[:16], 3, "bad_frame"),
    "half a header": ("track", frames.envelope(1, batch())[:15], None, "bad_frame"),
    "nothing": ("track", b"", None, "bad_frame"),
    "track on the reading topic": ("reading", frames.envelope(1, batch()), 3, "bad_frame"),
    "text on the track topic": ("track", b"hello, this is no batch of fixes", None, "bad_frame"),
    "event that is a result": (
        "event", wrapped(sos(kind="result", command=ID, status="done", reason="", data=None)),
        1, "wrong_kind",
    ),
    "result that is an event": ("result", wrapped(sos()), 1, "wrong_kind"),
    "event without a kind": ("event", wrapped({"epoch": 5, "seq": 1}), 1, "bad_frame"),
    "unknown kind": ("event", wrapped(sos(kind="party")), 1, "bad_frame"),
    "float for an integer": ("event", wrapped(sos(press=1.5)), 1, "bad_frame"),
    "number of thirty digits": ("event", wrapped(sos(at=HUGE)), 1, "bad_frame"),
    "low that is text": ("event", wrapped(sos(), low="1"), 1, "bad_frame"),
    "no low": ("event", json.dumps({"record": sos()}).encode(), 1, "bad_frame"),
    "seq of thirty digits": ("event", wrapped(sos(HUGE)), None, "bad_frame"),
    "seq that is true": ("event", wrapped(sos(seq=True)), None, "bad_frame"),
    "half of an event": ("event", wrapped(sos())[:40], None, "bad_frame"),
    "a list": ("event", b"[1,2,3]", None, "bad_frame"),
    "a tower of brackets": ("event", b"[" * 60_000, None, "bad_frame"),
    "not UTF-8": ("event", b'{"low":1,"record":{"epoch":5,"seq":1,"kind":"\xff"}}', None,
                  "bad_frame"),
    "state that is none": ("state", b'{"online":"perhaps"}', None, "bad_frame"),
}  # fmt: skip


def test_refused_frames_are_kept_counted_and_receipted(installation, gateway, device):
    """One by one: each refusal must not depend on the one before."""
    streams = Counter()
    for name, (stream, payload, upto, reason) in REFUSED.items():
        before = gateway.metric("xunhu_gateway_quarantined_total{")
        receipts = device.receipts
        device.raw(stream, payload)
        wait_for(
            lambda before=before: gateway.metric("xunhu_gateway_quarantined_total{") > before,
            10, f"{name}: refused",
        )  # fmt: skip
        counted = f'xunhu_gateway_quarantined_total{{reason="{reason}",stream="{stream}"'
        streams[counted] += 1
        assert gateway.metric(counted) == streams[counted], name
        if upto is None:
            assert device.receipts == receipts, name
        else:
            wait_for(lambda receipts=receipts: device.receipts > receipts, 10, f"{name}: receipt")
            receipt = device.heard_on("receipt")[-1]
            assert receipt["epoch"] == 5, name
            assert receipt["streams"][stream][0] >= upto, name
            assert receipt.get("refused") == ({"event": [1]} if stream == "event" else None), name
    kept = stores.quarantined(installation)
    assert len(kept) == len(REFUSED)
    assert all(row.device == "t-0001" and row.reason and row.received_ms for row in kept)
    assert kept[0].payload == REFUSED["a newer version"][1]
    assert stores.events(installation) == []
    assert stores.cases(installation) == []
    # After all that the gateway still works.
    device.epoch = 6
    device.fixes()
    device.press_sos()
    device.wait_until_empty()
    stores.assert_stored_exactly_once(installation, [device])


def test_an_event_that_is_stored_is_not_named_as_refused(device):
    """A device gone mad sends the same seq once more, broken: its wearer's SOS is stored."""
    device.raw("event", wrapped(sos(1)))
    wait_for(lambda: device.receipts == 1, 10)
    assert "refused" not in device.heard_on("receipt")[-1]
    device.raw("event", wrapped(sos(1, press=1.5)))
    wait_for(lambda: device.receipts == 2, 10)
    assert "refused" not in device.heard_on("receipt")[-1]
    device.raw("event", wrapped(sos(2, press=1.5)))
    wait_for(lambda: device.receipts == 3, 10)
    assert device.heard_on("receipt")[-1]["refused"] == {"event": [2]}


@pytest.mark.parametrize("retired", [False, True])
def test_unknown_and_retired_devices_are_receipted_and_not_stored(installation, gateway, retired):
    name = "t-0009"
    if retired:
        with installation.registry.begin() as session:
            session.add(
                Device(id=name, kind="terminal", name=name, created_ms=0, retired_ms=now_ms())
            )
    stranger = FakeDevice(installation, name).connect()
    with Witness(installation) as witness:
        stranger.fixes()
        stranger.press_sos()
        stranger.result("0" * 16)
        stranger.wait_until_empty()
        known = FakeDevice(installation, "t-0001").connect()
        known.press_sos()
        known.wait_until_empty()
        witness.wait_for_delta("case", device="t-0001")
        assert {case["case"]["device"] for case in witness.deltas("case")} == {"t-0001"}
        assert all(state["device"] == "t-0001" for state in witness.deltas("state"))
    assert [row.device for row in stores.events(installation)] == ["t-0001"]
    assert gateway.metric('xunhu_gateway_quarantined_total{reason="unknown_device"') == 4
    rows = {row.topic: row for row in stores.quarantined(installation)}
    assert rows.keys() == {topics.up(name, kind) for kind in ("state", "track", "event", "result")}
    assert {row.code for row in rows.values()} == {"unknown_device"}
    # The command room hears of an SOS all the same.
    assert [row.kind for row in rows.values() if row.kind] == ["sos"]
    assert rows[topics.up(name, "event")].kind == "sos"
    stranger.disconnect()
    known.disconnect()


def test_device_added_while_the_gateway_runs_is_heard_within_seconds(installation, gateway):
    device = FakeDevice(installation, "t-0003").connect()
    device.fixes()
    device.wait_until_empty()
    assert stores.quarantined(installation)
    installation.add_devices(["t-0003"])

    def stored() -> bool:
        device.fixes()
        device.wait_until_empty()
        return gateway.metric('xunhu_gateway_messages_total{outcome="stored",stream="track"') > 0

    wait_for(stored, 10)
    device.disconnect()


def test_flood_of_garbage_fills_neither_disk_nor_log_and_holds_up_nobody(
    installation, gateway, device
):
    for number in range(500):
        device.raw("track", b"garbage %d" % number)
        device.raw("event", b"garbage %d" % number)
    other = FakeDevice(installation, "t-0002").connect()
    other.press_sos()
    other.wait_until_empty()
    wait_for(lambda: gateway.metric("xunhu_gateway_quarantined_total{") == 1000, 30)
    assert len(stores.quarantined(installation)) == 40  # Twenty of each path.
    assert gateway.log.read_text().count("refused on") == 40
    # A broken SOS has a share of its own: it alerts the command room.
    device.raw("event", wrapped(sos(press=1.5)))
    wait_for(lambda: len(stores.quarantined(installation)) == 41, 10)
    assert [row.kind for row in stores.quarantined(installation) if row.kind] == ["sos"]
    other.disconnect()


def test_records_sent_many_times_and_in_any_order_are_stored_once(installation, device):
    sealed = [device.fixes(12) for _ in range(14)] + [device.fixes(1)]
    sealed += [device.event("report", text=str(number)) for number in range(10)]
    sealed += [device.reading("smoke", number) for number in range(10)]
    with Witness(installation) as witness:
        for _ in range(4):
            # Shuffled by their bytes; `low` says that everything is still held.
            for one in sorted(sealed, key=lambda one: hash(one.record)):
                device.raw(one.stream, message(1, one))
        wait_for(device.is_empty, 20, "all receipted")
        device.event("report", text="the end")
        device.wait_until_empty()
        witness.wait_for_delta("event", seq=11)
        seqs = [delta["event"]["seq"] for delta in witness.deltas("event")]
    assert sorted(seqs) == list(range(1, 12))  # Each was shown once.
    stores.assert_stored_exactly_once(installation, [device])
    assert stores.cursors(installation)["t-0001", 5, "track"] == (14 * 12 + 1, [])


def test_batch_sent_again_does_not_move_the_marker_back(installation, device):
    with Witness(installation) as witness:
        old = device.fixes()
        device.wait_until_empty()
        new = device.fixes()
        device.wait_until_empty()
        witness.wait_for_delta("position", lat_e6=30_274_085 + new.last)
        shown = len(witness.deltas("position"))
        receipts = device.receipts
        device.raw("track", message(1, old))
        # What was sent again is receipted at once: its receipt was lost.
        wait_for(lambda: device.receipts > receipts, 10)
        device.event("duty", on=True, by="boot")
        device.wait_until_empty()
        witness.wait_for_delta("event")
        assert len(witness.deltas("position")) == shown


def test_gap_that_the_device_no_longer_holds_is_closed_by_low(installation, device):
    lost = [device.fixes() for _ in range(3)]
    for one in lost:
        del device.journal[one.stream, one.first]
        device.made.remove(one)
    device.event("dropped", stream="track", first=1, count=36)
    device.fixes()
    device.wait_until_empty()
    assert stores.cursors(installation)["t-0001", 5, "track"] == (48, [])
    stores.assert_stored_exactly_once(installation, [device])


def test_receipts_wait_for_four_batches_and_not_for_an_sos(gateway, device):
    device.resend_s = 600.0
    # The gateway knows of its connection, however busy it is.
    states = 'xunhu_gateway_messages_total{outcome="stored",stream="st'
    wait_for(lambda: gateway.metric(states) == 1, 10, "its state is stored")
    device.fixes()
    device.wait_until_empty()  # The first of a connection is receipted at once.
    before = device.receipts
    for _ in range(3):
        device.fixes()
    device.tick()
    stored = 'xunhu_gateway_messages_total{outcome="stored",stream="track"'
    wait_for(lambda: gateway.metric(stored) == 4, 10, "three more are stored")
    assert device.receipts == before
    device.fixes()
    device.tick()
    wait_for(device.is_empty, 10, "one receipt for all four")
    assert device.receipts == before + 1
    device.fixes()
    device.tick()
    device.press_sos()
    device.tick()
    wait_for(device.is_empty, 10, "nothing waits during an SOS")


def test_new_connection_is_receipted_at_once(gateway, device):
    device.resend_s = 600.0
    for _ in range(2):
        device.fixes()
        device.wait_until_empty(10)
        device.disconnect()
        device.connect()
        # Its state must be known before the batch, as it is sent before it.
        wait_for(
            lambda: gateway.metric('xunhu_gateway_messages_total{outcome="stored",stream="st')
        )


def test_records_wrap_refuses_nothing_that_is_sealed() -> None:
    """The tests' own witness: what a device seals, the gateway's parser takes."""
    low, record = records.unwrap(records.wrap(1, records.seal(sos())))
    assert (low, record["kind"]) == (1, "sos")
