"""An SOS of a terminal without a link: sealed in real MicroPython, carried by a neighbour."""

import json
import subprocess
import threading
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from gateway.adapters.relay_seal import Sealer
from provisioning.authority import certificate_serial
from storage import relay_keys
from storage.registry.models import Case, Device, Event, Quarantine
from tests.gateway.bus import Witness
from tests.gateway.fake_device import FakeDevice, now_ms
from tests.gateway.installation import Installation, wait_for
from tests.wire_protocol.interpreters import REPOSITORY, micropythons
from wire_protocol import relay
from wire_protocol.errors import WireError

SCRIPT = REPOSITORY / "tests" / "device" / "scripts" / "relay_frames.py"
MICROPYTHONS = micropythons()
ALONE, CARRIER = "t-0001", "t-0002"
FIX = {
    "lat": 30_274_085,
    "lon": 120_155_070,
    "at": 1_700_000_000_123,
    "accuracy_m": 7,
    "alt_mm": -5,
}


def device_says(*orders: list[Any], micropython: str = "wheel") -> list[Any]:
    """What a device answers to each order of the script."""
    done = subprocess.run(
        [MICROPYTHONS[micropython], str(SCRIPT)],
        input="".join(json.dumps(order) + "\n" for order in orders),
        env={"MICROPYPATH": f"{REPOSITORY}:{REPOSITORY / 'firmware'}:.frozen"},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def sos(seq: int = 5, **more: Any) -> dict[str, Any]:
    record = {
        "v": 1, "epoch": 77, "seq": seq, "kind": "sos", "at": now_ms() - 4_000, "clock": "gnss",
        "uptime_s": 1_000, "boot": 3, "trigger": "man_down", "incident": 5, "press": 1, "fix": FIX,
    }  # fmt: skip
    return record | more


class Relaying:
    """A gateway, one terminal alone (only its key), and a neighbour with a link."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        installation.add_devices([ALONE, CARRIER])
        self.key = self._key(ALONE)
        self.gateway = installation.start_gateway().wait_until_connected()
        self.carrier = FakeDevice(installation, CARRIER).connect()
        self.answers: list[bytes] = []
        self._lock = threading.Lock()
        client = self.carrier._client
        assert client is not None
        heard = client.on_message

        def hear(*message: Any) -> None:
            if message[2].topic == f"xh/1/{CARRIER}/down/relay":
                with self._lock:
                    self.answers.append(message[2].payload)
            else:
                heard(*message)

        client.on_message = hear

    def _key(self, device: str) -> bytes:
        path, _ = self.installation.device_files(device)
        found = x509.load_pem_x509_certificate(path.read_bytes())
        serial = certificate_serial(found.public_bytes(Encoding.DER))
        with self.installation.registry.begin() as session:
            session.get_one(Device, device).certificate_serial = serial
        secret = relay_keys.read_secret(self.installation.authority.folder / "relay.key")
        return relay_keys.device_key(secret, device, serial)

    def sealed(self, record: dict[str, Any], low: int = 1) -> bytes:
        [frame] = device_says(["seal", self.key.hex(), low, record])
        return bytes.fromhex(frame)

    def carry(self, frame: bytes) -> None:
        self.carrier.raw("relay", frame)

    def answered(self, count: int) -> list[Any]:
        """What the terminal makes of the answers, once there are so many."""
        wait_for(lambda: len(self.answers) >= count, 20, f"{count} answers")
        return device_says(*(["open", self.key.hex(), frame.hex()] for frame in self.answers))

    def rows(self, model: type) -> list[Any]:
        with self.installation.registry.read() as session:
            found = session.scalars(select(model)).all()
            session.expunge_all()
        return list(found)

    def refused(self, count: int) -> list[Any]:
        return wait_for(  # type: ignore[return-value]
            lambda: len(rows := self.rows(Quarantine)) >= count and rows, 20, "refused"
        )


@pytest.fixture
def relaying(installation: Installation):
    made = Relaying(installation)
    yield made
    made.carrier.disconnect()


def test_a_relayed_sos_opens_its_case_shows_at_once_and_is_receipted_the_same_way(relaying):
    record = sos()
    with Witness(relaying.installation) as bus:
        relaying.carry(relaying.sealed(record))
        shown = bus.wait_for_delta("case", device=ALONE)
    assert shown["case"]["opened_at_ms"] == record["at"]
    [receipt] = relaying.answered(1)
    assert receipt["epoch"] == 77
    assert receipt["streams"]["event"][0] == 0  # Records 1 to 4 are still to come.
    assert 5 in receipt["streams"]["event"]
    [event] = relaying.rows(Event)
    assert (event.device, event.epoch, event.seq, event.kind) == (ALONE, 77, 5, "sos")
    assert event.body["via"] == CARRIER
    assert {name: event.body[name] for name in ("fix", "trigger", "press", "incident")} == {
        name: record[name] for name in ("fix", "trigger", "press", "incident")
    }


def test_however_often_and_by_whichever_way_it_comes_it_is_one_event_in_one_case(relaying):
    record = sos(seq=1, incident=1)
    frame = relaying.sealed(record)
    for _ in range(3):
        relaying.carry(frame)
    relaying.answered(3)
    itself = FakeDevice(relaying.installation, ALONE, epoch=77).connect()
    itself.event(
        "sos", record["at"], record["clock"],
        **{name: record[name] for name in ("trigger", "incident", "press", "fix")},
    )  # fmt: skip
    itself.wait_until_empty()
    itself.disconnect()
    [event] = relaying.rows(Event)
    [case] = relaying.rows(Case)
    assert (event.case_id, case.presses) == (case.id, 1)


def test_by_repeating_it_the_terminal_learns_who_has_taken_it(relaying):
    record = sos(seq=1, incident=1)
    frame = relaying.sealed(record)
    relaying.carry(frame)
    relaying.answered(1)
    with relaying.installation.registry.begin() as session:
        case = session.scalars(select(Case)).one()
        case.status, case.taken_by, case.taken_ms = "taken", "林小雨", now_ms()
        case.acknowledged_presses = case.presses
    relaying.carry(frame)
    status = relaying.answered(3)[-1]
    assert (status["status"], status["by"], status["incident"]) == ("taken", "林小雨", 1)


def test_a_cancel_is_relayed_too(relaying):
    cancel = {name: value for name, value in sos(seq=2, incident=1).items()
              if name not in ("trigger", "press", "fix")}  # fmt: skip
    relaying.carry(relaying.sealed(sos(seq=1, incident=1)))
    relaying.carry(relaying.sealed(cancel | {"kind": "sos_cancel"}))
    relaying.answered(2)
    [case] = relaying.rows(Case)
    assert case.cancelled_ms == cancel["at"]


def test_what_is_forged_changed_or_cut_is_refused_and_named(relaying):
    frame = relaying.sealed(sos())
    forged = Sealer(bytes(32)).seal(*relay.encode_record(1, sos()))
    changed = frame[:-1] + bytes([frame[-1] ^ 1])
    another_version, another_kind = b"\x02" + frame[1:], frame[:1] + b"\x81" + frame[2:]
    bad = [forged, changed, another_version, another_kind, frame[:-1], b"", frame + bytes(240)]
    for number, payload in enumerate(bad, 1):
        relaying.carry(payload)
        relaying.refused(number)
    assert all("relay" in row.reason for row in relaying.rows(Quarantine))
    assert not relaying.rows(Event)
    relaying.carry(frame)
    relaying.answered(1)
    assert len(relaying.rows(Event)) == 1


def test_a_retired_terminal_is_not_relayed(relaying):
    with relaying.installation.registry.begin() as session:
        session.get_one(Device, ALONE).retired_ms = 1
    relaying.carry(relaying.sealed(sos()))
    [row] = relaying.refused(1)
    assert "retired" in row.reason
    assert row.device == CARRIER


@pytest.mark.parametrize("micropython", sorted(MICROPYTHONS))
def test_device_and_gateway_seal_alike(micropython):
    key = bytes(range(32))
    records = [
        sos(fix=None), sos(clock="none"),
        sos(at=0xFFFFFFFF * 1000 + 999, seq=0xFFFFFFFF, epoch=0xFFFFFFFF, boot=0xFFFFFFFF,
            incident=0xFFFFFFFF, press=0xFFFFFFFF, uptime_s=0xFFFFFFFF,
            fix=FIX | {"lat": -90_000_000, "lon": -180_000_000, "accuracy_m": None,
                       "alt_mm": None}),
    ]  # fmt: skip
    frames = device_says(
        *(["seal", key.hex(), 1, record] for record in records), micropython=micropython
    )
    sealer = Sealer(key)
    for record, frame in zip(records, frames, strict=True):
        kind, body = relay.encode_record(1, record)
        assert sealer.seal(kind, body).hex() == frame
        assert len(frame) // 2 <= relay.FRAME_BYTES_MAX
        assert relay.decode_record(*sealer.open(bytes.fromhex(frame))) == (1, record)
    status = {
        "epoch": 1, "incident": 2, "status": "help", "by": "巡护员王大山", "at": 1_700_000_000_001,
        "distance_m": 850,
    }  # fmt: skip
    answers = [relay.encode_status(status), relay.encode_receipt(5, 1, [7, *range(9, 20)])]
    mine = [sealer.seal(*answer) for answer in answers]
    other = Sealer(bytes(32)).seal(*answers[0])
    changed = mine[0][:-1] + bytes([mine[0][-1] ^ 1])
    found = device_says(
        *(["open", key.hex(), frame.hex()] for frame in (*mine, other, changed, b"")),
        micropython=micropython,
    )
    assert found[0] == status
    assert found[1] == {"at": 5, "epoch": 1, "streams": {"event": [7, *range(9, 17)]}}
    assert found[2] is None  # For another device.
    assert "refused" in found[3]
    assert "refused" in found[4]


def test_nothing_of_the_record_is_readable():
    record = sos(fix=FIX)
    frame = Sealer(bytes(range(32))).seal(*relay.encode_record(1, record))
    assert ALONE.encode() not in frame
    assert FIX["lat"].to_bytes(4, "little") not in frame
    with pytest.raises(WireError):
        Sealer(bytes(32)).open(frame)
