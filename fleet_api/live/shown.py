"""What this process showed last, and what of a fresh reading differs from it. No I/O.

Folding a reading in cannot fail half-way: what was read is shown, or read again.
"""

from dataclasses import dataclass, field
from typing import Any

from fleet_api.live.directory import Entry
from storage.registry.models import DeviceState

StateStamp = tuple[Any, ...]  # epoch, boot, connection, online, received_ms
NO_STATE: StateStamp = (None,) * 5

# Ids below the highest one that were not there yet: on PostgreSQL a transaction may commit after
# one with a higher id. After so long it was rolled back and never comes.
HOLE_S_MAX = 60.0
HOLES_MAX = 1_000
COMMANDS_FOLLOWED_MAX = 2_000
CLOSED_REMEMBERED_MAX = 1_000  # Late words on the bus about them come within seconds.

Json = dict[str, Any]


@dataclass
class Reading:
    """Rows of one look at the registry, as JSON shows them."""

    events: list[Json] = field(default_factory=list)
    cases: list[Json] = field(default_factory=list)
    commands: list[Json] = field(default_factory=list)
    refused: list[Json] = field(default_factory=list)
    states: list[DeviceState] = field(default_factory=list)
    directory: dict[str, Entry] | None = None
    stamps: dict[str, StateStamp] | None = None


class Shown:
    """Everything shown so far that may still change, bounded."""

    def __init__(self) -> None:
        self.last_event_id = 0
        self.holes: dict[int, float] = {}  # id: when it was found missing, monotonic s
        self._cases: dict[int, Json] = {}
        self._closed: dict[int, None] = {}
        self._commands: dict[str, Json | None] = {}
        self._refused: dict[int, Json] = {}
        self._stamps: dict[str, StateStamp] = {}  # of every device that there is
        self._states: dict[str, Json] = {}

    def begin(self, reading: Reading, last_event_id: int) -> None:
        """Take everything that is there as shown: snapshots show it."""
        self.last_event_id = last_event_id
        self._stamps = reading.stamps or {}
        self._cases = {case["id"]: case for case in reading.cases}
        self._refused = {row["id"]: row for row in reading.refused}

    def knows(self, device: str) -> bool:
        """Tell whether the device was there at the last reading of the directory."""
        return device in self._stamps

    def changed_devices(self, stamps: dict[str, StateStamp]) -> set[str]:
        """Return the devices whose last state is another than the one shown."""
        return {
            device
            for device, stamp in stamps.items()
            if stamp not in (NO_STATE, self._stamps.get(device))
        }

    def cases_to_read(self, hinted: set[int]) -> set[int]:
        """Return the hinted cases that may still change."""
        return hinted - self._closed.keys()

    def followed_cases(self) -> set[int]:
        """Return the cases that were open when they were shown."""
        return set(self._cases)

    def followed_refused(self) -> set[int]:
        """Return the refused SOSes that nobody had seen when they were shown."""
        return set(self._refused)

    def followed_commands(self) -> list[str]:
        """Return the commands that were under way when they were shown."""
        return list(self._commands)

    def fold(self, reading: Reading, now_s: float) -> Reading:
        """Note a reading, and return what of it is to be shown."""
        if reading.stamps is not None:
            known = self._stamps
            self._stamps = {device: known.get(device, NO_STATE) for device in reading.stamps}
        return Reading(
            events=self._events(reading.events, now_s),
            cases=[case for case in reading.cases if self._case(case)],
            commands=self._fold_commands(reading.commands),
            refused=[row for row in reading.refused if self._refuse(row)],
            states=[state for state in reading.states if self._state(state)],
            directory=reading.directory,
        )

    def _events(self, events: list[Json], now_s: float) -> list[Json]:
        new = []
        for event in events:
            number = event["id"]
            if number <= self.last_event_id and self.holes.pop(number, None) is None:
                continue
            for hole in range(self.last_event_id + 1, number):
                if len(self.holes) < HOLES_MAX:
                    self.holes[hole] = now_s
            self.last_event_id = max(self.last_event_id, number)
            new.append(event)
        self.holes = {
            hole: since for hole, since in self.holes.items() if now_s - since < HOLE_S_MAX
        }
        return new

    def _case(self, case: Json) -> bool:
        number = case["id"]
        if number in self._closed or self._cases.get(number) == case:
            return False
        if case["closed_ms"] is None:
            self._cases[number] = case
        else:
            self._cases.pop(number, None)
            self._closed[number] = None  # Shown closed once; nothing changes it any more.
            _keep_newest(self._closed, CLOSED_REMEMBERED_MAX)
        return True

    def _refuse(self, row: Json) -> bool:
        if self._refused.get(row["id"]) == row:
            return False
        if row["acknowledged_ms"] is None:
            self._refused[row["id"]] = row
        else:
            self._refused.pop(row["id"], None)
        return True

    def _fold_commands(self, rows: list[Json]) -> list[Json]:
        changed = [row for row in rows if self._commands.get(row["id"]) != row]
        for row in rows:
            if row["finished_ms"] is not None:
                self._commands.pop(row["id"], None)
            else:
                self._commands[row["id"]] = row
        _keep_newest(self._commands, COMMANDS_FOLLOWED_MAX)
        return changed

    def _state(self, state: DeviceState) -> bool:
        stamp = state_stamp(state)
        # Two states within a millisecond differ in their words alone.
        said_before = self._states.get(state.device, state.state)
        changed = self._stamps.get(state.device) != stamp or said_before != state.state
        self._stamps[state.device] = stamp
        self._states[state.device] = state.state
        return changed


def state_stamp(state: DeviceState) -> StateStamp:
    """Return what tells one state of a device from another."""
    return (state.epoch, state.boot, state.connection, state.online, state.received_ms)


def _keep_newest(remembered: dict[Any, Any], maximum: int) -> None:
    while len(remembered) > maximum:
        remembered.pop(next(iter(remembered)))
