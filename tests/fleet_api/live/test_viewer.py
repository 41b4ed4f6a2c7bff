"""One browser's outlet, and its life, with a wire that does what a test wants."""

import asyncio
import json

import pytest
from prometheus_client import CollectorRegistry

from fleet_api.devices.last_known import LastKnownReader
from fleet_api.kit.unit import Caller
from fleet_api.live.hub import VIEWERS_MAX, Hub
from fleet_api.live.metrics import LiveMetrics
from fleet_api.live.service import LiveViews
from fleet_api.live.viewer import Viewer

CALLER = Caller(1, "li", "viewer", None, 2**60, "00")


class Wire:
    """A browser that reads only while `reading` is set."""

    def __init__(self) -> None:
        self.sent: list[dict] = []
        self.code: int | None = None
        self.reading = asyncio.Event()
        self.reading.set()
        self.arrived = asyncio.Event()

    async def send_text(self, data: str) -> None:
        await self.reading.wait()
        self.sent.append(json.loads(data))
        self.arrived.set()

    async def close(self, code: int) -> None:
        self.code = code

    async def wait_for(self, number: int) -> None:
        async with asyncio.timeout(5):
            while len(self.sent) < number:
                self.arrived.clear()
                await self.arrived.wait()


class Snapshots:
    """Counts; the moment of reading is the moment of asking."""

    def __init__(self) -> None:
        self.built = 0

    async def get(self, _scope) -> str:
        self.built += 1
        await asyncio.sleep(0)
        return json.dumps({"type": "snapshot", "seq": 0, "number": self.built})


def views(**more) -> LiveViews:
    metrics = LiveMetrics(CollectorRegistry())
    last_known = LastKnownReader(None)
    return LiveViews(
        registry=None,
        hub=Hub(last_known, metrics),
        snapshots=Snapshots(),
        last_known=last_known,
        metrics=metrics,
        instance="1",
        now_ms=lambda: 0,
        **more,
    )


def test_a_slow_viewer_holds_a_bounded_number_and_gets_a_snapshot():
    async def story() -> None:
        live, wire = views(snapshot_s_min=0.0), Wire()
        viewer = Viewer(CALLER, "view", pending_max=10)
        feeding = asyncio.create_task(live.feed(viewer, wire))
        await wire.wait_for(1)
        wire.reading.clear()
        viewer.offer('{"n":0}')
        await asyncio.sleep(0.01)  # That one is on the wire, which takes no more.
        for number in range(1, 12):
            viewer.offer(f'{{"n":{number}}}')
        assert viewer.needs_snapshot
        assert viewer.resyncs == 1
        wire.reading.set()
        await wire.wait_for(3)
        assert [message["type"] for message in wire.sent] == ["snapshot", "delta", "snapshot"]
        viewer.offer('{"n":12}')
        await wire.wait_for(4)
        assert wire.sent[3]["seq"] == 1
        assert wire.sent[3]["deltas"] == [{"n": 12}]
        feeding.cancel()

    asyncio.run(story())


def test_deltas_that_wait_travel_together_and_numbers_have_no_holes():
    async def story() -> None:
        live, wire = views(), Wire()
        viewer = Viewer(CALLER, "view")
        feeding = asyncio.create_task(live.feed(viewer, wire))
        await wire.wait_for(1)
        for number in range(100):
            viewer.offer(f'{{"n":{number}}}')
            if number % 7 == 0:
                await asyncio.sleep(0)
        while sum(len(m.get("deltas", ())) for m in wire.sent) < 100:
            await wire.wait_for(len(wire.sent) + 1)
        numbered = [message for message in wire.sent if message["type"] == "delta"]
        assert [message["seq"] for message in numbered] == list(range(1, len(numbered) + 1))
        assert [d["n"] for m in numbered for d in m["deltas"]] == list(range(100))
        feeding.cancel()

    asyncio.run(story())


def test_a_delta_offered_while_the_snapshot_is_read_comes_after_it():
    async def story() -> None:
        live, wire = views(), Wire()
        viewer = Viewer(CALLER, "view")
        get = live.snapshots.get

        async def slow_get(scope) -> str:
            viewer.offer('{"n":1}')
            return await get(scope)

        live.snapshots.get = slow_get
        feeding = asyncio.create_task(live.feed(viewer, wire))
        await wire.wait_for(2)
        assert [message["type"] for message in wire.sent] == ["snapshot", "delta"]
        feeding.cancel()

    asyncio.run(story())


def test_who_does_not_read_at_all_is_closed():
    async def story() -> None:
        live, wire = views(send_s_max=0.05), Wire()
        wire.reading.clear()
        with pytest.raises(TimeoutError):
            await live.feed(Viewer(CALLER, "view"), wire)

    asyncio.run(story())


def test_silence_is_broken_by_a_ping_with_the_servers_time():
    async def story() -> None:
        live, wire = views(ping_s=0.01), Wire()
        feeding = asyncio.create_task(live.feed(Viewer(CALLER, "view"), wire))
        await wire.wait_for(3)
        assert wire.sent[1] == {"type": "ping", "at_ms": 0}
        feeding.cancel()

    asyncio.run(story())


def test_snapshots_of_one_view_keep_a_distance():
    async def story() -> None:
        live, wire = views(snapshot_s_min=0.2), Wire()
        viewer = Viewer(CALLER, "view")
        feeding = asyncio.create_task(live.feed(viewer, wire))
        begin = asyncio.get_running_loop().time()
        for number in range(3):
            await wire.wait_for(number + 1)
            viewer.resync()
        assert asyncio.get_running_loop().time() - begin > 0.35
        feeding.cancel()

    asyncio.run(story())


def test_an_ended_view_is_closed_with_its_code():
    async def story() -> None:
        live, wire = views(), Wire()
        viewer = Viewer(CALLER, "view")
        feeding = asyncio.create_task(live.feed(viewer, wire))
        await wire.wait_for(1)
        viewer.end(4401)
        assert await feeding == "the session is over"
        assert wire.code == 4401

    asyncio.run(story())


def test_a_status_is_told_even_between_deltas():
    async def story() -> None:
        live, wire = views(), Wire()
        viewer = Viewer(CALLER, "view")
        live.hub.join(viewer)
        feeding = asyncio.create_task(live.feed(viewer, wire))
        await wire.wait_for(1)
        live.hub.telemetry_changed(up=False)
        await wire.wait_for(2)
        assert wire.sent[1] == {"type": "status", "bus": False, "telemetry": False}
        feeding.cancel()

    asyncio.run(story())


def test_viewers_are_bounded():
    live = views()
    joined = [Viewer(CALLER, str(number)) for number in range(VIEWERS_MAX)]
    assert all(live.hub.join(viewer) for viewer in joined)
    assert not live.hub.join(Viewer(CALLER, "one too many"))
    live.hub.leave(joined[0])
    assert live.hub.join(Viewer(CALLER, "the next"))
