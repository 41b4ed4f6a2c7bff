"""Builds everything of one API process, once, and runs its background tasks."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from fleet_api.devices.last_known import LastKnownReader
from fleet_api.kit.bounded import BoundedReads
from fleet_api.kit.clock import wall_clock_ms
from fleet_api.kit.metrics import RequestMetrics
from fleet_api.live.announcer import Announcer
from fleet_api.live.bus import Bus
from fleet_api.live.follower import Follower
from fleet_api.live.hub import Hub
from fleet_api.live.metrics import LiveMetrics
from fleet_api.live.service import LiveViews
from fleet_api.live.snapshots import Snapshots
from fleet_api.sessions.passwords import Passwords
from fleet_api.sessions.service import Desk
from fleet_api.settings import Settings
from storage.registry.session import Registry, open_registry
from storage.settings import Settings as StorageSettings
from storage.telemetry.interface import Telemetry
from storage.telemetry.open import open_telemetry

logger = logging.getLogger(__name__)

HISTORY_WAIT_S = 30.0  # A week of one terminal takes some 100 ms; InfluxDB may be slower.
_HISTORY_THREADS = 4
_HISTORY_WAITING_MAX = 16


@dataclass(frozen=True)
class Parts:
    """What the endpoints work with."""

    settings: Settings
    registry: Registry
    telemetry: Telemetry
    last_known: LastKnownReader
    history: BoundedReads
    desk: Desk
    hub: Hub
    live: LiveViews
    collector: CollectorRegistry
    requests: RequestMetrics
    now_ms: Callable[[], int]
    announce: Callable[[list[dict[str, Any]]], None]
    check_viewers: Callable[[], None]


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Parts]:
    """Open the stores, start the live view's tasks, and take it all down again.

    Raises:
        StorageError: The registry cannot be opened.
    """
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        registry, followed = _open_registries(settings, stack)
        telemetry = open_telemetry(
            StorageSettings(
                telemetry_url=settings.telemetry,
                telemetry_token=settings.telemetry_token.get_secret_value(),
            )
        )
        stack.callback(telemetry.close)
        # What is being read ends before its store is closed: a connection in use would leak.
        stack.push_async_callback(loop.shutdown_default_executor)
        collector = CollectorRegistry()
        live = _live_views(settings, registry, telemetry, LiveMetrics(collector), stack)
        follower = Follower(followed, live.hub, live.metrics)
        stack.push_async_callback(asyncio.to_thread, follower.close)
        history = BoundedReads(
            "history", threads=_HISTORY_THREADS, waiting_max=_HISTORY_WAITING_MAX
        )
        stack.callback(history.close)
        bus = Bus(
            settings.producer,
            (settings.broker_host, settings.broker_port),
            settings.broker_files,
            live.metrics,
        )
        poke = asyncio.Event()
        await _start(stack, follower, live, bus, poke)
        yield Parts(
            settings=settings,
            registry=registry,
            telemetry=telemetry,
            last_known=live.last_known,
            history=history,
            desk=Desk(registry, Passwords(), settings.session_hours * 3_600_000),
            hub=live.hub,
            live=live,
            collector=collector,
            requests=RequestMetrics(collector),
            now_ms=wall_clock_ms,
            announce=Announcer(loop, bus, follower),
            check_viewers=lambda: _call_soon(loop, poke.set),
        )


def _open_registries(settings: Settings, stack: AsyncExitStack) -> tuple[Registry, Registry]:
    registry = open_registry(settings.registry)
    stack.callback(registry.close)
    # The follower's own: requests that wait for a lock must not keep it waiting for a connection.
    followed = open_registry(settings.registry)
    stack.callback(followed.close)
    return registry, followed


def _live_views(
    settings: Settings,
    registry: Registry,
    telemetry: Telemetry,
    metrics: LiveMetrics,
    stack: AsyncExitStack,
) -> LiveViews:
    last_known = LastKnownReader(telemetry)
    stack.callback(last_known.close)
    hub = Hub(last_known, metrics)
    snapshots = Snapshots(
        registry,
        last_known,
        hub,
        metrics,
        now_ms=wall_clock_ms,
        stale_after_s=settings.stale_after_s,
    )
    stack.push_async_callback(asyncio.to_thread, snapshots.close)
    return LiveViews(
        registry=registry,
        hub=hub,
        snapshots=snapshots,
        last_known=last_known,
        metrics=metrics,
        instance=settings.instance,
        now_ms=wall_clock_ms,
    )


async def _start(
    stack: AsyncExitStack, follower: Follower, live: LiveViews, bus: Bus, poke: asyncio.Event
) -> None:
    lost = await asyncio.to_thread(live.end_lost)
    if lost:
        logger.warning("api-%s: %d live views had no end in the audit log", live.instance, lost)
    await follower.start()
    tasks = [
        asyncio.create_task(follower.run(), name="follower"),
        asyncio.create_task(
            bus.run(live.hub.hear, lambda up: live.hub.bus_changed(up=up)), name="live-bus"
        ),
        asyncio.create_task(live.keep_checking(poke), name="check-viewers"),
    ]
    for task in tasks:
        task.add_done_callback(_died)
    stack.push_async_callback(_stop, tasks)


async def _stop(tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.remove_done_callback(_died)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _call_soon(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(work)


def _died(task: "asyncio.Task[None]") -> None:
    # Without its background tasks a process shows an old picture and looks healthy: it must go.
    logger.critical("the task %s ended", task.get_name(), exc_info=task.exception())
    asyncio.get_running_loop().stop()
