"""From a committed transaction to the live bus, out of any thread."""

import asyncio
from typing import Any

from fleet_api.live.bus import Bus
from fleet_api.live.follower import Follower
from fleet_api.live.hub import Hints


class Announcer:
    """Publishes the deltas of a transaction, and shows them on this process's own screens."""

    def __init__(self, loop: asyncio.AbstractEventLoop, bus: Bus, follower: Follower) -> None:
        self._loop = loop
        self._bus = bus
        self._follower = follower

    def __call__(self, deltas: list[dict[str, Any]]) -> None:
        """Announce from a worker's thread; does not wait."""
        self._loop.call_soon_threadsafe(self._announce, deltas)

    def _announce(self, deltas: list[dict[str, Any]]) -> None:
        self._bus.publish(deltas)
        # The bus brings it back too; without it, this process's own screens need not wait.
        hints = Hints()
        for delta in deltas:
            if delta["kind"] == "case":
                hints.cases.add(delta["case"]["id"])
            elif delta["kind"] == "command":
                hints.commands.add(delta["command"]["id"])
        self._follower.wake(hints)
