"""The urgent worker with a store that misbehaves: order, patience, and one bad message."""

import threading
import time
from collections.abc import Sequence

import pytest

from gateway.adapters.crash_points import CrashPoints
from gateway.adapters.metrics import Metrics
from gateway.adapters.mqtt_connection import Incoming
from gateway.adapters.pulse import Pulse
from gateway.adapters.urgent import MESSAGES_MAX, SOS_TOGETHER_MAX, TOGETHER_MAX, UrgentPath
from gateway.adapters.urgent_commit import Item, Outcome
from gateway.domain import inbound
from storage.errors import StoreAway
from tests.gateway.installation import wait_for
from wire_protocol import records

NOW_MS = 1_767_225_600_000


class Store:
    """Takes groups as UrgentCommit does; does what a test tells it to."""

    def __init__(self) -> None:
        self.groups: list[list[Item]] = []
        self.gate = threading.Event()
        self.away = 0
        self.hates = b""

    def store(self, items: Sequence[Item]) -> Outcome:
        self.gate.wait()
        if self.away:
            self.away -= 1
            raise StoreAway("away for a test")
        outcome = Outcome()
        for item in items:
            if isinstance(item, inbound.Record):
                if self.hates and self.hates in repr(item.record).encode():
                    raise OverflowError("nobody expected this")
                outcome.receipts[item.device, item.claim.epoch] = {"event": [item.claim.last]}
        self.groups.append(list(items))
        return outcome

    @property
    def stored(self) -> list[tuple[str, int]]:
        return [
            (type(item).__name__, item.claim.first if item.claim else 0)
            for group in self.groups
            for item in group
        ]


class Link:
    """A connection that remembers what is sent and acknowledged."""

    def __init__(self) -> None:
        self.published: list[str] = []
        self.acknowledged: list[int] = []

    def publish(self, topic: str, _payload: bytes) -> bool:
        self.published.append(topic)
        return True

    def acknowledge(self, message: Incoming) -> None:
        self.acknowledged.append(message.mid)


class Bus:
    def publish(self, _deltas: list) -> None:
        pass


class Rig:
    def __init__(self) -> None:
        self.store = Store()
        self.link = Link()
        self.metrics = Metrics()
        self.path = UrgentPath(
            self.store, None, self.metrics, CrashPoints(""), Pulse(), lambda *_: None
        )  # type: ignore[arg-type]
        self.thread = threading.Thread(target=self.path.run, args=(self.link, Bus()))
        self._mid = 0

    def bring(self, kind: str, seq: int = 1, text: str = "fine") -> bool:
        self._mid += 1
        more = {
            "report": {"text": text},
            "sos": {"trigger": "button", "incident": seq, "press": 1, "fix": None},
        }[kind]
        fields = {"epoch": 1, "seq": seq, "kind": kind, "at": NOW_MS, "clock": "server",
                  "uptime_s": 1, "boot": 1, **more}  # fmt: skip
        payload = records.wrap(1, records.seal(fields))
        return self.path.receive(Incoming("xh/1/t-0001/up/event", payload, False, self._mid))

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"xunhu_gateway_{name}", labels) or 0.0


@pytest.fixture
def rig():
    made = Rig()
    made.thread.start()
    yield made
    made.store.gate.set()
    made.path.stop()
    made.thread.join(10)
    assert not made.thread.is_alive()


def test_sos_passes_everything_that_waits(rig):
    rig.bring("report", 1)
    time.sleep(0.1)  # The worker has taken it and stands in the store.
    for seq in range(2, 500):
        rig.bring("report", seq)
    rig.bring("sos", 500)
    rig.bring("report", 501)
    rig.store.gate.set()
    wait_for(lambda: len(rig.store.stored) == 501, 10)
    assert rig.store.stored[:2] == [("Record", 1), ("Record", 500)]
    assert [seq for _, seq in rig.store.stored[2:]] == [*range(2, 500), 501]
    assert max(map(len, rig.store.groups)) <= TOGETHER_MAX
    # Acknowledged in the order of arrival all the same (MQTT 3.1.1, section 4.6).
    wait_for(lambda: len(rig.link.acknowledged) == 501, 10)
    assert rig.link.acknowledged == list(range(1, 502))


def test_first_sos_does_not_wait_for_a_second(rig):
    rig.bring("sos", 1)
    time.sleep(0.1)
    for seq in range(2, 40):
        rig.bring("sos", seq)
    rig.store.gate.set()
    wait_for(lambda: len(rig.store.stored) == 39, 10)
    assert len(rig.store.groups[0]) == 1
    assert max(map(len, rig.store.groups)) <= SOS_TOGETHER_MAX
    wait_for(lambda: rig.value("sos_seconds_count") == 39, 10)


def test_message_that_fails_is_singled_out_and_refused(rig):
    rig.store.hates = b"poison"
    rig.bring("report", 1)
    time.sleep(0.1)
    rig.bring("report", 2, "poison")
    rig.bring("report", 3)
    rig.store.gate.set()
    wait_for(lambda: len(rig.store.stored) == 3, 10)
    assert sorted(rig.store.stored) == [("Record", 1), ("Record", 3), ("Refused", 2)]
    wait_for(lambda: rig.link.acknowledged == [1, 2, 3], 10)
    assert rig.value("failures_total", path="urgent") == 1


def test_store_that_is_away_gets_the_same_again(rig):
    rig.store.away = 3
    rig.store.gate.set()
    rig.bring("sos", 1)
    wait_for(lambda: rig.store.stored == [("Record", 1)], 10)
    assert rig.link.published == ["xh/1/t-0001/down/receipt"]
    assert rig.value("store_away_seconds_total", store="registry") > 0.5


def test_full_room_lets_reports_go_and_still_takes_an_sos(rig):
    time.sleep(0.1)
    taken = sum(rig.bring("report", seq) for seq in range(1, MESSAGES_MAX + 2))
    assert taken == MESSAGES_MAX * 9 // 10
    assert rig.bring("sos", MESSAGES_MAX + 2)
    assert rig.value("let_go_messages_total", path="urgent") == MESSAGES_MAX + 1 - taken
    rig.store.gate.set()
    wait_for(lambda: rig.store.groups, 10)


def test_stopping_receipts_and_acknowledges_nothing_that_is_not_stored(rig):
    rig.store.away = 1_000_000
    rig.store.gate.set()
    rig.bring("sos", 1)
    time.sleep(0.1)
    rig.path.stop()
    rig.thread.join(5)
    assert not rig.thread.is_alive()
    assert (rig.link.published, rig.link.acknowledged) == ([], [])
