"""The life of one live view: audited start, snapshot, deltas, pings, audited end."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from fleet_api.devices.last_known import LastKnownReader
from fleet_api.kit.unit import Caller, write_audit
from fleet_api.live import repository
from fleet_api.live.hub import Hub, dump
from fleet_api.live.metrics import LiveMetrics
from fleet_api.live.snapshots import Snapshots
from fleet_api.live.viewer import Viewer
from fleet_api.sessions import repository as sessions
from fleet_api.sessions.service import identify
from storage.registry.session import Registry

logger = logging.getLogger(__name__)

PING_S = 15.0
# A browser that takes nothing for a minute is asleep or gone; it comes back with a new view.
SEND_S_MAX = 60.0
SNAPSHOT_S_MIN = 1.0  # Between two snapshots of one view: a bad bus must not eat the machine.
CHECK_S = 5.0  # How long a view may outlive its session, counted on another API process.
_OPEN_VIEWS_LOOK_BACK_MS = 30 * 24 * 3600 * 1000  # The longest session.

SESSION_OVER = 4401
TOO_MANY = 1013
GOING_AWAY = 1012
TOO_SLOW = 1008


class Wire(Protocol):
    """The browser's end of a WebSocket."""

    async def send_text(self, data: str) -> None:
        """Send one message; waits while the browser does not read."""

    async def close(self, code: int) -> None:
        """Close."""


@dataclass(frozen=True)
class LiveViews:
    """Opens, feeds and ends live views; built once."""

    registry: Registry
    hub: Hub
    snapshots: Snapshots
    last_known: LastKnownReader
    metrics: LiveMetrics
    instance: str
    now_ms: Callable[[], int]
    ping_s: float = PING_S
    send_s_max: float = SEND_S_MAX
    snapshot_s_min: float = SNAPSHOT_S_MIN

    def open(self, token: str | None) -> Viewer:
        """Write down that somebody looks, and return the view.

        Raises:
            FleetError: There is no living session.
        """
        now_ms = self.now_ms()
        view_id = secrets.token_hex(8)
        with self.registry.begin() as session:
            caller = identify(session, token, now_ms)
            details = {"view": view_id, "instance": self.instance, "area": caller.area_code}
            write_audit(
                session,
                at_ms=now_ms,
                user_name=caller.name,
                action="live.start",
                details=details,
            )
        return Viewer(caller, view_id)

    def note_end(self, user: str, view_id: str, reason: str) -> None:
        """Write down that somebody no longer looks."""
        with self.registry.begin() as session:
            write_audit(
                session,
                at_ms=self.now_ms(),
                user_name=user,
                action="live.end",
                details={"view": view_id, "instance": self.instance, "reason": reason},
            )

    def end_lost(self) -> int:
        """Write down the end of views that a killed process of this instance left open.

        Returns:
            How many there were.
        """
        with self.registry.read() as session:
            since_ms = self.now_ms() - _OPEN_VIEWS_LOOK_BACK_MS
            lost = repository.open_views(session, self.instance, since_ms)
        for user, view_id in lost:
            self.note_end(user, view_id, "the server was stopped")
        return len(lost)

    async def feed(self, viewer: Viewer, wire: Wire) -> str:
        """Send snapshot, deltas and pings until the view ends; returns why it ended."""
        loop = asyncio.get_running_loop()
        snapshot_at = loop.time() - self.snapshot_s_min
        while True:
            if viewer.end_code is not None:
                await wire.close(viewer.end_code)
                return "the session is over"
            if viewer.needs_snapshot:
                await asyncio.sleep(max(0.0, snapshot_at + self.snapshot_s_min - loop.time()))
                snapshot_at = loop.time()
                viewer.begin_snapshot()
                await self._send(wire, await self.snapshots.get(viewer.scope))
                continue
            for notice in viewer.take_notices():
                await self._send(wire, notice)
            batch = viewer.take()
            if batch is not None:
                await self._send(wire, _delta(batch.seq, self.now_ms(), batch.deltas))
            elif not await viewer.wait(self.ping_s):
                await self._send(wire, dump({"type": "ping", "at_ms": self.now_ms()}))

    async def check(self) -> None:
        """Look whether telemetry answers, and end views whose session is over."""
        # A screen must say so when positions stand still, not only at the next snapshot.
        self.hub.telemetry_changed(up=await asyncio.to_thread(self.last_known.works))
        await self._end_the_over()

    async def _end_the_over(self) -> None:
        """End views whose session is over, or whose user's role or area changed."""
        viewers = list(self.hub.viewers)
        if not viewers:
            return
        tokens = [viewer.caller.token_sha256 for viewer in viewers]
        living = await asyncio.to_thread(self._living, tokens)
        for viewer in viewers:
            if living.get(viewer.caller.token_sha256) != viewer.caller:
                viewer.end(SESSION_OVER)

    async def keep_checking(self, poke: asyncio.Event) -> None:
        """Check every CHECK_S and when poked, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(CHECK_S):
                    await poke.wait()
            except TimeoutError:
                pass
            poke.clear()
            try:
                await self.check()
            except Exception:
                # The task's outermost loop: views go on, and the next check tries again.
                logger.exception("the sessions of live views cannot be checked")

    def _living(self, tokens: Iterable[str]) -> dict[str, Caller]:
        with self.registry.read() as session:
            return sessions.living_tokens(session, list(set(tokens)), self.now_ms())

    async def _send(self, wire: Wire, text: str) -> None:
        async with asyncio.timeout(self.send_s_max):
            await wire.send_text(text)


def _delta(seq: int, at_ms: int, deltas: list[str]) -> str:
    # Each delta is JSON already, made once for all viewers.
    return f'{{"type":"delta","seq":{seq},"at_ms":{at_ms},"deltas":[{",".join(deltas)}]}}'
