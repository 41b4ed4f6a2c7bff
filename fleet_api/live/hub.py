"""Deltas in, browsers out. Runs in the event loop alone; nothing in here waits.

Positions and readings are passed on from the bus. Events, cases, commands, states and devices
are not: a message about one only wakes the follower, which reads them from the registry and
tells the hub. So each is shown as it is, in one order, once, whoever published it first.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet_api.devices.flags import flags
from fleet_api.devices.last_known import POSITION_FIELDS, LastKnownReader
from fleet_api.live.directory import Change, Entry, compare
from fleet_api.live.gaps import Gaps
from fleet_api.live.metrics import LiveMetrics
from fleet_api.live.viewer import Viewer
from storage.registry.models import DeviceState

logger = logging.getLogger(__name__)

VIEWERS_MAX = 200  # Screens on one process; more are served by another.
_READING_FIELDS = ("device", "sensor", "value", "at_ms", "received_ms")


@dataclass
class Hints:
    """What the registry should be asked about now, instead of at the next look."""

    cases: set[int] = field(default_factory=set)
    commands: set[str] = field(default_factory=set)
    states: set[str] = field(default_factory=set)
    events: bool = False
    devices: bool = False

    def any(self) -> bool:
        """Tell whether there is anything to ask."""
        return bool(self.cases or self.commands or self.states or self.events or self.devices)

    def merge(self, other: "Hints") -> None:
        """Add what `other` asks."""
        self.cases |= other.cases
        self.commands |= other.commands
        self.states |= other.states
        self.events |= other.events
        self.devices |= other.devices


class Hub:
    """All live views of this process."""

    def __init__(self, last_known: LastKnownReader, metrics: LiveMetrics) -> None:
        self.viewers: set[Viewer] = set()
        self.directory: dict[str, Entry] = {}
        self.bus_up = False
        self.telemetry_up = True
        self.wake_follower: Callable[[Hints], None] = lambda _: None
        self._last_known = last_known
        self._metrics = metrics
        self._gaps = Gaps()

    def join(self, viewer: Viewer) -> bool:
        """Let a viewer hear everything from now on; False when there are too many."""
        if len(self.viewers) >= VIEWERS_MAX:
            return False
        self.viewers.add(viewer)
        self._metrics.viewers.set(len(self.viewers))
        return True

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        self.viewers.discard(viewer)
        self._metrics.viewers.set(len(self.viewers))

    def bus_changed(self, *, up: bool) -> None:
        """Note that the bus came or went; after a time without it nobody knows what was missed."""
        if up == self.bus_up:
            return
        self.bus_up = up
        self._metrics.bus_up.set(up)
        self._gaps.forget()
        if up:
            self.resync_all("the bus is back")
        self._status()

    def telemetry_changed(self, *, up: bool) -> None:
        """Note whether the telemetry store answered."""
        if up == self.telemetry_up:
            return
        self.telemetry_up = up
        if up:
            self.resync_all("the telemetry store is back")
        self._status()

    def resync_all(self, why: str) -> None:
        """Send everybody a fresh snapshot."""
        if self.viewers:
            logger.info("snapshot for %d viewers: %s", len(self.viewers), why)
        for viewer in self.viewers:
            viewer.resync()

    def hear(self, producer: str, number: int, deltas: Iterable[Mapping[str, Any]]) -> None:
        """Take one message of the bus."""
        if not self._gaps.complete(producer, number):
            self._metrics.gaps.inc()
            self.resync_all(f"{producer} skipped to {number}")
        hints = Hints()
        for delta in deltas:
            try:
                self._hear(producer, delta, hints)
            except (KeyError, TypeError) as error:
                # A service of another version: what it said is lost, the next is not.
                logger.warning("%s: not a delta of ours: %r", producer, error)
                self.resync_all(f"{producer} said something unknown")
        if hints.any():
            self.wake_follower(hints)

    def show(self, device: str, delta: Mapping[str, Any]) -> None:
        """Offer a delta about `device` to everybody who may see that device."""
        entry = self.directory.get(device)
        if entry is None or not self.viewers:
            return
        text: str | None = None
        for viewer in self.viewers:
            if viewer.scope.covers(entry.area_code):
                text = text or dump(delta)
                viewer.offer(text)

    def show_refused(self, row: Mapping[str, Any]) -> None:
        """Offer a refused SOS to whoever may see its device; a stranger has no area."""
        delta = dump({"kind": "refused", "refused": row})
        for viewer in self.viewers:
            if viewer.scope.covers(row["area_code"]):
                viewer.offer(delta)

    def show_state(self, state: DeviceState) -> None:
        """Show a device's state as the registry has it."""
        entry = self.directory.get(state.device)
        if entry is None:
            return
        delta = {
            "kind": "state",
            "device": state.device,
            "online": state.online,
            "received_ms": state.received_ms,
            "state": state.state,
            "flags": flags(entry.kind, state.online, state.state),
        }
        self.show(state.device, delta)

    def update_directory(self, directory: dict[str, Entry]) -> None:
        """Take a fresh reading of the devices' rows."""
        first = not self.directory
        change: Change = compare(self.directory, directory)
        self.directory = directory
        if first:
            return
        if change.moved:
            # Who saw a device yesterday may not see it today: every screen is drawn anew.
            self.resync_all("devices changed their areas")
        for entry in change.added_or_renamed:
            self.show(entry.id, {"kind": "device", "device": entry.as_json()})

    def _hear(self, producer: str, delta: Mapping[str, Any], hints: Hints) -> None:
        match delta.get("kind"):
            case "position":
                self._position(delta, hints)
            case "reading":
                self._reading(delta, hints)
            case "case":
                hints.cases.add(delta["case"]["id"])
            case "command":
                hints.commands.add(delta["command"]["id"])
            case "state":
                hints.states.add(delta["device"])
            case "event":
                hints.events = True
            case "device":
                hints.devices = True
            case other:
                logger.warning("%s: delta of unknown kind %.40r", producer, other)

    def _position(self, delta: Mapping[str, Any], hints: Hints) -> None:
        position = {"late": False, **delta}
        if position["device"] not in self.directory:
            hints.devices = True  # Perhaps one added this second.
        elif self._last_known.hear(position):
            shown = {name: position[name] for name in POSITION_FIELDS}
            self.show(position["device"], {"kind": "position", **shown})

    def _reading(self, delta: Mapping[str, Any], hints: Hints) -> None:
        if delta["device"] not in self.directory:
            hints.devices = True
        elif self._last_known.hear_reading(delta):
            shown = {name: delta[name] for name in _READING_FIELDS}
            self.show(delta["device"], {"kind": "reading", **shown})

    def _status(self) -> None:
        notice = dump({"type": "status", "bus": self.bus_up, "telemetry": self.telemetry_up})
        for viewer in self.viewers:
            viewer.notify(notice)


def dump(value: Mapping[str, Any]) -> str:
    """Return compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
