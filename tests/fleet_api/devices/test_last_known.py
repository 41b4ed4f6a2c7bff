"""Last positions while the telemetry store hangs, fails, or comes back."""

import threading
import time

import pytest

from fleet_api.devices.last_known import LastKnownReader
from fleet_api.kit.bounded import BoundedReads
from storage.errors import StoreAway
from storage.telemetry.interface import Position, ReadingPoint


class Store:
    """A telemetry store that answers, fails or hangs as told."""

    def __init__(self) -> None:
        self.mood = "answers"
        self.let_go = threading.Event()

    def _act(self) -> None:
        if self.mood == "hangs":
            self.let_go.wait(10)
        if self.mood != "answers":
            raise StoreAway("told to")

    def last_positions(self, devices=None) -> list[Position]:
        self._act()
        position = Position("t-1", 100, 1, 2, None, None, None, "gnss", 101, 1, 1, False)
        return [position] if devices is None or "t-1" in devices else []

    def last_readings(self, devices=None) -> list[ReadingPoint]:
        del devices
        return [ReadingPoint("s-1", "smoke", 100, 7, "server", 101)]

    def check(self) -> None:
        self._act()


@pytest.fixture
def store():
    store = Store()
    yield store
    store.let_go.set()


@pytest.fixture
def reader(store):
    reader = LastKnownReader(store, wait_s=0.1)
    yield reader
    store.let_go.set()
    reader.close()


def position(at_ms: int, clock: str = "gnss", device: str = "t-1", **more) -> dict:
    return {
        "device": device,
        "at_ms": at_ms,
        "lat_e6": 1,
        "lon_e6": 2,
        "speed_cms": None,
        "course_deg": None,
        "accuracy_m": None,
        "clock": clock,
        "received_ms": at_ms,
        "late": False,
        **more,
    }


@pytest.mark.parametrize("mood", ["fails", "hangs"])
def test_what_was_known_stands_in_and_says_so(reader, store, mood):
    assert reader.read(None).fresh
    assert reader.hear(position(200))
    assert reader.hear_reading(
        {"device": "s-1", "sensor": "smoke", "value": 8, "at_ms": 200, "received_ms": 200}
    )
    store.mood = mood
    begin = time.monotonic()
    known = reader.read(None)
    assert time.monotonic() - begin < 2
    assert not known.fresh
    assert known.positions["t-1"]["at_ms"] == 200
    assert known.readings["s-1"]["smoke"]["value"] == 8
    assert reader.read(["s-1"]).positions == {}
    assert not reader.works()


def test_many_hanging_reads_cost_nobody_more_than_the_wait(reader, store):
    store.mood = "hangs"
    begin = time.monotonic()
    threads = [threading.Thread(target=reader.read, args=(None,)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begin < 3
    store.mood = "answers"
    store.let_go.set()
    for _ in range(100):
        if reader.read(None).fresh:
            return
        time.sleep(0.02)
    raise AssertionError("the store is back and nobody asks it")


@pytest.mark.parametrize(
    ("before", "then", "shown"),
    [
        (position(100), position(101), True),
        (position(100), position(100), True),
        (position(100), position(99), False),
        (position(100), position(500, "none"), False),
        (position(100, "none"), position(50, "rtc"), True),
        (position(100, "none"), position(99, "none"), False),
        (position(100), position(1, device="t-2"), True),
    ],
)
def test_what_is_shown_never_goes_back(reader, before, then, shown):
    assert reader.hear(before)
    assert reader.hear(then) is shown


IN_2079 = 3_439_756_800_000
NOW = 1_795_000_000_000


@pytest.mark.parametrize(
    ("before", "then", "shown"),
    [
        # One count: the clock has no say, neither when it was put right nor when it went wrong.
        (
            position(IN_2079, epoch=7, seq=10, received_ms=NOW),
            position(NOW, epoch=7, seq=11, received_ms=NOW + 1),
            True,
        ),
        (
            position(NOW, epoch=7, seq=11, received_ms=NOW),
            position(IN_2079, epoch=7, seq=10, received_ms=NOW + 1),
            False,
        ),
        (position(500, epoch=7, seq=10), position(400, epoch=7, seq=11), True),
        (position(500, epoch=7, seq=10), position(500, epoch=7, seq=10), True),
        # Another count: the time, but not one from the future.
        (position(500, epoch=7, seq=900), position(501, epoch=8, seq=1), True),
        (position(500, epoch=7, seq=1), position(499, epoch=8, seq=900), False),
        (
            position(IN_2079, epoch=7, seq=900, received_ms=NOW),
            position(NOW, epoch=8, seq=1, received_ms=NOW + 1),
            True,
        ),
        # A gateway that does not say the count: as of another count.
        (
            position(IN_2079, received_ms=NOW),
            position(NOW, received_ms=NOW + 1),
            True,
        ),
        (position(500, epoch=7, seq=10), position(499), False),
        (position(500), position(499, epoch=7, seq=10), False),
        # In 1970 the store files a record as undated.
        (position(NOW, "none", epoch=7, seq=10), position(NOW, epoch=7, seq=11), True),
    ],
)
def test_the_devices_own_count_decides_and_not_its_clock(reader, before, then, shown):
    assert reader.hear(before)
    assert reader.hear(then) is shown


def test_what_the_store_said_and_what_is_heard_are_compared_by_the_count(reader, store):
    assert reader.read(None).positions["t-1"]["at_ms"] == 100
    assert not reader.hear(position(900, epoch=1, seq=0))
    assert reader.hear(position(50, epoch=1, seq=2))
    # The store may have been read before the newer one was heard.
    reader.read(None)
    store.mood = "fails"
    assert reader.read(None).positions["t-1"]["at_ms"] == 50


def test_a_reading_of_a_clock_put_right_is_shown(reader):
    reading = {"device": "s-1", "sensor": "smoke", "value": 8, "at_ms": IN_2079}
    assert reader.hear_reading({**reading, "received_ms": NOW})
    assert reader.hear_reading({**reading, "at_ms": NOW, "received_ms": NOW + 1})
    assert not reader.hear_reading(
        {**reading, "at_ms": NOW + 9, "received_ms": NOW + 9, "clock": "none"}
    )


def test_an_older_reading_is_not_shown(reader):
    reading = {"device": "s-1", "sensor": "smoke", "value": 8, "at_ms": 200, "received_ms": 200}
    assert reader.hear_reading(reading)
    assert not reader.hear_reading({**reading, "at_ms": 199})
    assert reader.hear_reading({**reading, "at_ms": 199, "sensor": "door"})


def test_bounded_reads_refuse_what_cannot_wait():
    reads = BoundedReads("test", threads=1, waiting_max=0)
    let_go = threading.Event()
    with pytest.raises(StoreAway, match=r"0\.05"):
        reads.run(lambda: let_go.wait(10), 0.05)
    with pytest.raises(StoreAway, match="too many"):
        reads.run(lambda: 1, 1)
    let_go.set()
    for _ in range(100):
        try:
            assert reads.run(lambda: 1, 1) == 1
            break
        except StoreAway:
            time.sleep(0.01)
    reads.close()
    with pytest.raises(StoreAway, match="stops"):
        reads.run(lambda: 1, 1)
