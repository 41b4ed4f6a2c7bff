"""Snapshots: everything a screen needs, read after the viewer began to collect deltas.

Many viewers may need one at once, after a gap on the bus: those with the same area share it. A
request is answered only by a snapshot whose reading began after the request.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fleet_api.areas.service import area_out
from fleet_api.cases import repository as cases
from fleet_api.cases import service as cases_service
from fleet_api.cases.schemas import CaseQuery
from fleet_api.commands.ledger import command_json
from fleet_api.devices import repository as devices
from fleet_api.devices import service as devices_service
from fleet_api.devices.last_known import LastKnown, LastKnownReader
from fleet_api.devices.schemas import DeviceQuery
from fleet_api.events import repository as events
from fleet_api.events.schemas import EventQuery
from fleet_api.kit.schemas import FLEET_LIMIT_MAX
from fleet_api.kit.scope import Scope
from fleet_api.live import repository
from fleet_api.live.hub import Hub, dump
from fleet_api.live.metrics import LiveMetrics
from fleet_api.quarantine import repository as quarantine
from fleet_api.quarantine.service import refused_json
from storage.registry.session import Registry

_THREADS = 2  # Built at once: each takes a core for some 100 ms with 1,436 devices.
_LEFT_OUT = ("created_ms", "retired_ms")


class Snapshots:
    """Builds snapshots, each for everybody who waits for one of that area."""

    def __init__(  # its parts
        self,
        registry: Registry,
        last_known: LastKnownReader,
        hub: Hub,
        metrics: LiveMetrics,
        *,
        now_ms: Callable[[], int],
        stale_after_s: int,
    ) -> None:
        self._registry = registry
        self._last_known = last_known
        self._hub = hub
        self._metrics = metrics
        self._now_ms = now_ms
        self._stale_after_s = stale_after_s
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="snapshot")
        self._running: dict[Scope, asyncio.Task[str]] = {}
        self._next: dict[Scope, asyncio.Task[str]] = {}

    async def get(self, scope: Scope) -> str:
        """Return a snapshot message as JSON, read after this call."""
        if scope not in self._running:
            self._running[scope] = self._begin(scope, None)
            return await asyncio.shield(self._running[scope])
        # The one that runs may have read already what changed since: the next one is for us.
        if scope not in self._next:
            self._next[scope] = self._begin(scope, self._running[scope])
        return await asyncio.shield(self._next[scope])

    def close(self) -> None:
        """Wait for what is being read, and let the threads go."""
        self._threads.shutdown(cancel_futures=True)

    def _begin(self, scope: Scope, before: "asyncio.Task[str] | None") -> "asyncio.Task[str]":
        return asyncio.create_task(self._build(scope, before), name=f"snapshot-{scope.prefix}")

    async def _build(self, scope: Scope, before: "asyncio.Task[str] | None") -> str:
        if before is not None:
            await asyncio.wait([before])
            self._running[scope] = self._next.pop(scope)
        try:
            loop = asyncio.get_running_loop()
            message, known = await loop.run_in_executor(self._threads, self._read, scope)
            self._hub.telemetry_changed(up=known.fresh)
            message["bus"] = self._hub.bus_up
            message["telemetry"] = known.fresh
            self._metrics.snapshots.inc()
            return await loop.run_in_executor(self._threads, dump, message)
        finally:
            if self._running.get(scope) is asyncio.current_task():
                del self._running[scope]

    def _read(self, scope: Scope) -> tuple[dict[str, Any], LastKnown]:
        now_ms = self._now_ms()
        with self._registry.read() as session:
            rows = devices.with_state(session, scope, DeviceQuery(), FLEET_LIMIT_MAX)
            shown = [devices_service.device_json(device, state) for device, state in rows]
            open_cases = cases.cases(session, scope, CaseQuery(open=True), FLEET_LIMIT_MAX)
            newest = events.events(session, scope, EventQuery(), repository.SNAPSHOT_EVENTS_MAX)
            message: dict[str, Any] = {
                "type": "snapshot",
                "seq": 0,
                "at_ms": now_ms,
                "stale_after_s": self._stale_after_s,
                "devices": shown,
                "cases": [cases_service.case_json(row) for row in open_cases],
                "events": [event.as_dict() for event in newest],
                "refused": [refused_json(row) for row in quarantine.open_soses(session, scope)],
                "commands": [
                    command_json(command)
                    for command in repository.live_commands(session, scope, now_ms)
                ],
                "areas": [
                    area_out(area).model_dump() for area in repository.all_areas(session, scope)
                ],
            }
        wanted = None if scope.everything else [device["id"] for device in shown]
        known = self._last_known.read(wanted)
        devices_service.add_known(shown, known)
        for device in shown:
            for name in _LEFT_OUT:
                del device[name]
        return message, known
