"""Follows the registry: new events, every open case, commands under way, states, devices.

It looks at once when the bus says that something changed, and every POLL_S without that: a
gateway that died between its commit and its publish has told nobody, and its SOS shows all the
same. What was shown before is not shown again.

Runs in one task with one thread of its own, so that no slow query of somebody else delays it.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from fleet_api.cases import repository as cases
from fleet_api.cases import service as cases_service
from fleet_api.commands import repository as commands
from fleet_api.commands.ledger import command_json
from fleet_api.live import repository
from fleet_api.live.directory import Entry
from fleet_api.live.hub import Hints, Hub
from fleet_api.live.metrics import LiveMetrics
from fleet_api.live.repository import FINISHED, NO_STATE, StateStamp
from storage.errors import StorageError
from storage.registry.models import DeviceState
from storage.registry.session import Registry

logger = logging.getLogger(__name__)

POLL_S = 1.0
DIRECTORY_LOOKS = 5  # Devices and states change rarely unannounced: every fifth look.
# Ids below the highest one that were not there yet: on PostgreSQL a transaction may commit after
# one with a higher id. After so many looks the id was rolled back and never comes.
HOLE_LOOKS_MAX = 60
HOLES_MAX = 1_000
COMMANDS_FOLLOWED_MAX = 2_000
CLOSED_REMEMBERED_MAX = 1_000  # Late words on the bus about them come within seconds.
_FIRST_WAIT_S = 0.1
_WAIT_S_MAX = 5.0


@dataclass
class Look:
    """What one look at the registry found, in the order in which it is shown."""

    directory: dict[str, Entry] | None = None
    states: list[DeviceState] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    cases: list[dict[str, Any]] = field(default_factory=list)
    commands: list[dict[str, Any]] = field(default_factory=list)


class Follower:
    """Keeps the hub equal to the registry."""

    def __init__(self, registry: Registry, hub: Hub, metrics: LiveMetrics) -> None:
        self._registry = registry
        self._hub = hub
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="follower")
        self._wake = asyncio.Event()
        self._hints = Hints()
        self._looks = 0
        self._last_event_id: int | None = None
        self._holes: dict[int, int] = {}
        self._cases: dict[int, dict[str, Any]] = {}
        self._closed: dict[int, None] = {}
        self._commands: dict[str, dict[str, Any] | None] = {}
        self._stamps: dict[str, StateStamp] = {}  # Of every device; what was shown last.
        self._states: dict[str, dict[str, Any]] = {}

    def wake(self, hints: Hints) -> None:
        """Look now. Called in the event loop."""
        self._hints.merge(hints)
        self._wake.set()

    async def start(self) -> None:
        """Take the registry as it is: what is there now is for snapshots.

        Raises:
            StorageError: The registry cannot be read.
        """
        self._hub.wake_follower = self.wake
        hints = Hints(devices=True)
        look = await asyncio.get_running_loop().run_in_executor(self._thread, self._look, hints)
        self._hub.update_directory(look.directory or {})

    async def run(self) -> None:
        """Follow until cancelled; a registry that cannot be read is asked again."""
        loop = asyncio.get_running_loop()
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            hints, self._hints = self._hints, Hints()
            try:
                look = await loop.run_in_executor(self._thread, self._look, hints)
            except (StorageError, SQLAlchemyError) as error:
                logger.warning("the registry cannot be read: %s", error)
                self._hints.merge(hints)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _WAIT_S_MAX)
                continue
            wait_s = _FIRST_WAIT_S
            self._show(look)

    def close(self) -> None:
        """Let the thread go."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _show(self, look: Look) -> None:
        if look.directory is not None:
            self._hub.update_directory(look.directory)
        for state in look.states:
            self._hub.show_state(state)
        for kind, rows in (
            ("event", look.events),
            ("case", look.cases),
            ("command", look.commands),
        ):
            self._metrics.followed.inc(len(rows))
            for row in rows:
                self._hub.show(row["device"], {"kind": kind, kind: row})

    # From here on: in the follower's thread.

    def _look(self, hints: Hints) -> Look:
        look = Look()
        with self._registry.read() as session:
            look.events = self._new_events(session)
            look.cases = self._changed_cases(session, hints.cases)
            look.commands = self._changed_commands(session, hints.commands)
            named = {row["device"] for row in (*look.events, *look.cases, *look.commands)}
            strangers = (named | hints.states) - self._stamps.keys()
            asked = set(hints.states)
            # The hub shows nothing of a device whose area it does not know.
            if strangers or hints.devices or self._looks % DIRECTORY_LOOKS == 0:
                look.directory, stamps = repository.directory(session)
                asked |= self._compare(stamps)
            look.states = self._changed_states(session, asked)
        self._looks += 1
        return look

    def _compare(self, stamps: dict[str, StateStamp]) -> set[str]:
        """Return the devices whose state is another than the one shown."""
        if not self._looks:
            self._stamps = stamps
            return set()
        changed = {device for device, stamp in stamps.items() if self._stamps.get(device) != stamp}
        for device in changed:
            self._stamps.setdefault(device, NO_STATE)
        return {device for device in changed if stamps[device] != NO_STATE}

    def _changed_states(self, session: Session, devices: set[str]) -> list[DeviceState]:
        if not devices:
            return []
        changed = []
        for state in repository.states(session, devices):
            stamp = _stamp(state)
            before = self._states.get(state.device, state.state)
            # Two states within a millisecond differ in their words alone.
            if self._stamps.get(state.device) != stamp or before != state.state:
                changed.append(state)
            self._stamps[state.device] = stamp
            self._states[state.device] = state.state
        return changed

    def _new_events(self, session: Session) -> list[dict[str, Any]]:
        if self._last_event_id is None:
            self._last_event_id = repository.last_event_id(session)
            return []
        events = repository.events_since(session, self._last_event_id, list(self._holes))
        self._holes = {
            hole: looks + 1 for hole, looks in self._holes.items() if looks < HOLE_LOOKS_MAX
        }
        for event in events:
            self._holes.pop(event.id, None)
            for hole in range(self._last_event_id + 1, event.id):
                if len(self._holes) < HOLES_MAX:
                    self._holes[hole] = 0
            self._last_event_id = max(self._last_event_id, event.id)
        return [event.as_dict() for event in events]

    def _changed_cases(self, session: Session, hinted: set[int]) -> list[dict[str, Any]]:
        first = not self._looks
        rows = cases.open_or_among(session, (hinted | self._cases.keys()) - self._closed.keys())
        changed = []
        for row in rows:
            case = cases_service.case_json(row)
            if self._cases.get(case["id"]) != case:
                changed.append(case)
            self._cases[case["id"]] = case
            if case["closed_ms"] is not None:
                del self._cases[case["id"]]  # Shown closed once; nothing changes it any more.
                self._closed[case["id"]] = None
        while len(self._closed) > CLOSED_REMEMBERED_MAX:
            self._closed.pop(next(iter(self._closed)))
        return [] if first else changed

    def _changed_commands(self, session: Session, hinted: set[str]) -> list[dict[str, Any]]:
        for command_id in hinted:
            self._commands.setdefault(command_id, None)
        if not self._commands:
            return []
        changed = []
        for row in commands.among(session, list(self._commands)):
            command = command_json(row)
            if self._commands[command["id"]] != command:
                changed.append(command)
            self._commands[command["id"]] = command
            if command["status"] in FINISHED:
                del self._commands[command["id"]]
        while len(self._commands) > COMMANDS_FOLLOWED_MAX:
            self._commands.pop(next(iter(self._commands)))
        return changed


def _stamp(state: DeviceState) -> StateStamp:
    return (state.epoch, state.boot, state.connection, state.online, state.received_ms)
