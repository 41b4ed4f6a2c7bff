"""Follows the registry: new events, open cases, commands under way, states, devices.

It looks at once at what the bus says has changed, and every POLL_S at everything without being
told: a gateway that died between its commit and its publish has told nobody, and its SOS shows
all the same. What was shown before is not shown again (shown.py).

Runs in one task with one thread and connections of its own, so that no slow request delays it.
"""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from fleet_api.cases import repository as cases
from fleet_api.cases import service as cases_service
from fleet_api.commands import repository as commands
from fleet_api.commands.ledger import command_json
from fleet_api.kit.scope import Scope
from fleet_api.live import repository
from fleet_api.live.hub import Hints, Hub
from fleet_api.live.metrics import LiveMetrics
from fleet_api.live.shown import Reading, Shown
from fleet_api.quarantine import repository as quarantine
from fleet_api.quarantine.service import refused_json
from storage.errors import StorageError
from storage.registry.session import Registry

logger = logging.getLogger(__name__)

POLL_S = 1.0
DIRECTORY_POLLS = 5  # Devices and states seldom change unannounced: every fifth time.
_RETRY_S = 0.1
_RETRY_S_MAX = 5.0


class Follower:
    """Keeps the hub equal to the registry."""

    def __init__(self, registry: Registry, hub: Hub, metrics: LiveMetrics) -> None:
        self._registry = registry
        self._hub = hub
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="follower")
        self._wake = asyncio.Event()
        self._hints = Hints()
        self._shown = Shown()
        self._polls = 0

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
        loop = asyncio.get_running_loop()
        reading = await loop.run_in_executor(self._thread, self._begin)
        self._hub.update_directory(reading.directory or {})

    async def run(self) -> None:
        """Follow until cancelled; a registry that cannot be read is asked again."""
        loop = asyncio.get_running_loop()
        poll_at = loop.time() + POLL_S
        retry_s = _RETRY_S
        while True:
            try:
                async with asyncio.timeout_at(poll_at):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            hints, self._hints = self._hints, Hints()
            try:
                # What somebody told us of comes first: an SOS does not wait for a poll.
                if hints.any():
                    self._show(await loop.run_in_executor(self._thread, self._look, hints))
                if loop.time() >= poll_at:
                    self._show(await loop.run_in_executor(self._thread, self._poll))
                    poll_at = loop.time() + POLL_S
            except (StorageError, SQLAlchemyError) as error:
                logger.warning("the registry cannot be read: %s", error)
                self._hints.merge(hints)
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, _RETRY_S_MAX)
                poll_at = loop.time()
                continue
            retry_s = _RETRY_S

    def close(self) -> None:
        """Wait for what is being read, and let the thread go."""
        self._thread.shutdown(cancel_futures=True)

    def _show(self, reading: Reading) -> None:
        if reading.directory is not None:
            self._hub.update_directory(reading.directory)
        for state in reading.states:
            self._hub.show_state(state)
        for kind, rows in (
            ("event", reading.events),
            ("case", reading.cases),
            ("command", reading.commands),
        ):
            self._metrics.followed.inc(len(rows))
            for row in rows:
                self._hub.show(row["device"], {"kind": kind, kind: row})
        for row in reading.refused:
            self._hub.show_refused(row)

    # From here on: in the follower's thread.

    def _begin(self) -> Reading:
        reading = Reading()
        with self._registry.read() as session:
            last_event_id = repository.last_event_id(session)
            reading.directory, reading.stamps = repository.directory(session)
            rows = cases.open_or_among(session, ())
            reading.cases = [cases_service.case_json(row) for row in rows]
            self._read_refused(session, reading)
        self._shown.begin(reading, last_event_id)
        return reading

    def _look(self, hints: Hints) -> Reading:
        """Look at what was named, and at new events and their cases."""
        reading = Reading()
        with self._registry.read() as session:
            self._read_events(session, reading)
            named = {event["case_id"] for event in reading.events} - {None}
            wanted = self._shown.cases_to_read(hints.cases | named)
            if wanted:
                rows = cases.among(session, wanted)
                reading.cases = [cases_service.case_json(row) for row in rows]
            self._read_commands(session, reading, hints.commands)
            self._read_devices(session, reading, hints.states, directory=hints.devices)
        return self._shown.fold(reading, time.monotonic())

    def _poll(self) -> Reading:
        """Look at everything that may have changed without a word."""
        reading = Reading()
        with self._registry.read() as session:
            self._read_events(session, reading)
            rows = cases.open_or_among(session, self._shown.followed_cases())
            reading.cases = [cases_service.case_json(row) for row in rows]
            self._read_commands(session, reading, set(self._shown.followed_commands()))
            self._read_refused(session, reading)
            due = self._polls % DIRECTORY_POLLS == 0
            self._read_devices(session, reading, set(), directory=due)
        self._polls += 1
        return self._shown.fold(reading, time.monotonic())

    def _read_events(self, session: Session, reading: Reading) -> None:
        holes = list(self._shown.holes)
        events = repository.events_since(session, self._shown.last_event_id, holes)
        reading.events = [event.as_dict() for event in events]

    def _read_commands(self, session: Session, reading: Reading, wanted: set[str]) -> None:
        if wanted:
            rows = commands.among(session, wanted)
            reading.commands = [command_json(row) for row in rows]

    def _read_refused(self, session: Session, reading: Reading) -> None:
        rows = quarantine.open_soses(session, Scope())
        known = self._shown.followed_refused() - {row.refused.id for row in rows}
        if known:
            rows += quarantine.among(session, known)
        reading.refused = [refused_json(row) for row in rows]

    def _read_devices(
        self, session: Session, reading: Reading, wanted: set[str], *, directory: bool
    ) -> None:
        named = {row["device"] for row in (*reading.events, *reading.cases, *reading.commands)}
        # The hub shows nothing of a device whose area it does not know.
        if directory or not all(map(self._shown.knows, named | wanted)):
            reading.directory, reading.stamps = repository.directory(session)
            wanted = wanted | self._shown.changed_devices(reading.stamps)
        if wanted:
            reading.states = repository.states(session, wanted)
