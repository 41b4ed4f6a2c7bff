"""The last state of a device, and what else the gateway keeps of it."""

import pytest
from sqlalchemy import func, insert, select

from storage.registry import ingest
from storage.registry.ingest import known_devices, quarantine, store_state
from storage.registry.models import Device, DeviceState, Quarantine
from tests.storage.batches import NOON_MS
from tests.storage.test_cases import together


def state(epoch=7, boot=3, connection=5, *, online=True, **values):
    made = {"v": 1, "online": online, "epoch": epoch, "boot": boot, "connection": connection}
    return made | ({"uptime_s": 100, "at": 1_000, "duty": True} if online else {}) | values


def put(registry, value, received_ms=NOON_MS):
    with registry.begin() as session:
        return store_state(session, "t-0001", value, received_ms)


@pytest.mark.parametrize(
    ("name", "second", "taken"),
    [
        ("later boot", state(boot=4, connection=1), True),
        ("later connection", state(connection=6), True),
        ("later in this connection", state(uptime_s=101), True),
        ("the same again", state(), False),
        ("another word within the same second", state(duty=False, at=1_001), True),
        ("a word before it within the same second", state(duty=False, at=999), False),
        ("the will of this connection", state(online=False), True),
        ("another epoch", state(epoch=2, boot=1, connection=1), True),
        ("earlier boot", state(boot=2, connection=99), False),
        ("earlier connection", state(connection=4), False),
        ("the will of the connection before", state(connection=4, online=False), False),
        ("earlier in this connection", state(uptime_s=99), False),
    ],
)  # fmt: skip
def test_a_state_never_goes_backwards(registry, name, second, taken):
    put(registry, state())
    merged = put(registry, second, NOON_MS + 1)
    assert (merged is not None) == taken, name
    with registry.read() as session:
        row = session.get_one(DeviceState, "t-0001")
        assert row.received_ms == NOON_MS + taken
        assert row.online == (second["online"] if taken else True)
        assert row.state["connection"] == row.connection


def test_a_will_keeps_what_was_known(registry):
    put(registry, state(battery_mv=3700))
    merged = put(registry, state(online=False))
    assert (merged["online"], merged["battery_mv"], merged["duty"]) == (False, 3700, True)


def test_of_two_gateways_one_stores_the_first_state_of_a_device(registry):
    for number in range(20):
        device = f"t-{number:04d}"

        def work(_, device=device):
            with registry.begin() as session:
                return store_state(session, device, state(), NOON_MS)

        assert together(2, work).count(None) == 1


def test_quarantine_keeps_the_newest_rows(registry):
    old = {"received_ms": 1, "device": "t-0001", "topic": "t", "reason": "old", "payload": b""}
    with registry.begin() as session:
        session.execute(insert(Quarantine), [old] * ingest.QUARANTINE_ROWS_MAX)
    for number in range(3):
        with registry.begin() as session:
            quarantine(session, "t-0001", "topic", f"new {number}", b"x" * 9000, NOON_MS)
    with registry.read() as session:
        assert (
            session.scalar(select(func.count()).select_from(Quarantine))
            == ingest.QUARANTINE_ROWS_MAX
        )
        newest = list(session.scalars(select(Quarantine).where(Quarantine.reason != "old")))
    assert [row.reason for row in newest] == ["new 0", "new 1", "new 2"]
    assert {len(row.payload) for row in newest} == {ingest.QUARANTINE_PAYLOAD_BYTES_MAX}


def test_quarantine_takes_any_text_and_any_bytes(registry):
    with registry.begin() as session:
        quarantine(
            session, "x" * 99, "t" * 999, "nul \0 and half \ud800", bytes(range(256)), NOON_MS
        )
    with registry.read() as session:
        (row,) = session.scalars(select(Quarantine))
        assert row.payload == bytes(range(256))
        assert session.scalar(select(func.count()).select_from(Quarantine)) == 1


def test_retired_devices_are_not_known(registry):
    with registry.begin() as session:
        for device, kind, retired_ms in (
            ("t-1", "terminal", None),
            ("s-1", "sensor_node", None),
            ("t-2", "terminal", 5),
        ):
            session.add(
                Device(id=device, kind=kind, name=device, created_ms=1, retired_ms=retired_ms)
            )
    with registry.read() as session:
        assert known_devices(session) == {"t-1": "terminal", "s-1": "sensor_node"}
