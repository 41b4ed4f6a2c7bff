"""Everything that can be seen of one run, on one line of time, and what it is compared with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hil_tests.place import Place
from hil_tests.scenario_file import Expectation

ROWS = ("event", "case", "result")
LEVELS = ("screen", "light", "vibrate", "state", "fixes")


@dataclass(frozen=True)
class Seen:
    """One thing that was seen.

    Attributes:
        at_s: After the start of the timeline.
        kind: One of ROWS or LEVELS.
        value: A row, or what the level is from now on.
    """

    at_s: float
    kind: str
    value: Any

    def __str__(self) -> str:
        value = self.value
        if self.kind == "state":
            names = ("online", "boot", "duty", "sos", "faults")
            value = {name: value.get(name) for name in names}
        elif self.kind in ROWS:
            hidden = ("id", "device", "body", "v", "epoch", "received_ms", "uptime_s")
            value = {name: value[name] for name in value if name not in hidden}
        return f"{self.kind} {value}"


@dataclass
class Watch:
    """Looks at a place; `poll` takes in what is new.

    Attributes:
        now_s: Tells the seconds since the timeline began.
        seen: Everything, oldest first.
        levels: What the board shows and the gateway believes now.
        heap_low: The fewest bytes of heap that a state said are free; None before the first one.
    """

    place: Place
    now_s: Callable[[], float]
    seen: list[Seen] = field(default_factory=list)
    levels: dict[str, Any] = field(default_factory=dict)
    heap_low: int | None = None

    def __post_init__(self) -> None:
        servers, device = self.place.servers, self.place.device
        self._version: tuple[int, int] | None = None
        self._first_boot = self._boot()
        self._rows = {
            "event": len(servers.events(device)),
            "result": len(servers.results(device)),
        }
        self._cases: dict[int, Any] = {row["id"]: row for row in servers.cases(device)}
        self._old_cases = set(self._cases)
        self._first_fixes = len(servers.fixes(device))
        self.place.listen(self._level)
        self._level("screen", self.place.screen)
        self.poll()

    def poll(self) -> None:
        """Look at everything."""
        now_s = self.now_s()
        self.place.look()
        servers, device = self.place.servers, self.place.device
        version = servers.version()
        if version == self._version:
            return
        self._version = version
        for kind, rows in (("event", servers.events(device)), ("result", servers.results(device))):
            for row in rows[self._rows[kind] :]:
                self.seen.append(Seen(now_s, kind, row))
            self._rows[kind] = len(rows)
        for row in servers.cases(device):
            if self._cases.get(row["id"]) != row:
                self._cases[row["id"]] = row
                self.seen.append(Seen(now_s, "case", row))
        self._level("fixes", len(servers.fixes(device)) - self._first_fixes)
        state = servers.state(device)
        if state is not None:
            newer = {"restarted": state["boot"] > self._first_boot}
            self._mark(state["state"])
            self._level("state", state["state"] | {"online": bool(state["online"])} | newer)

    def matches(self, expectation: Expectation, commands: dict[str, str]) -> list[Seen]:
        """Return what was seen so far that is what is expected, whenever it was."""
        kind = expectation.kind
        if kind in ROWS:
            found = [
                seen
                for seen in self.seen
                if seen.kind == kind and self._is_row(seen.value, expectation, commands)
            ]
            if kind == "case":
                # A case that changes is the same case.
                return list({seen.value["id"]: seen for seen in reversed(found)}.values())[::-1]
            return found
        return [
            seen
            for seen in self.seen
            if seen.kind == _level_of(kind) and self.is_level(expectation, seen.value)
        ]

    def is_level(self, expectation: Expectation, value: Any) -> bool:
        """Tell whether a level is what is expected."""
        return value is not None and _IS_LEVEL[expectation.kind](value, expectation.value)

    def was_level(self, expectation: Expectation, at_s: float) -> bool:
        """Tell whether a level was what is expected at a time; never true of rows."""
        if expectation.kind in ROWS:
            return False
        before = [
            seen.value
            for seen in self.seen
            if seen.kind == _level_of(expectation.kind) and seen.at_s <= at_s
        ]
        return bool(before) and self.is_level(expectation, before[-1])

    def _is_row(
        self, row: dict[str, Any], expectation: Expectation, commands: dict[str, str]
    ) -> bool:
        if expectation.kind == "case" and row["id"] in self._old_cases:
            return False
        name = "status" if expectation.kind == "result" else "kind"
        if row[name] != expectation.value:
            return False
        for column, wanted in expectation.where.items():
            if column == "of":
                if row["command_id"] != commands.get(wanted):
                    return False
            elif row.get(column) != wanted:
                return False
        return True

    def _level(self, kind: str, value: Any) -> None:
        if self.levels.get(kind) != value:
            self.levels[kind] = value
            self.seen.append(Seen(self.now_s(), kind, value))

    def _mark(self, state: dict[str, Any]) -> None:
        free = state.get("heap_free")
        if isinstance(free, int):  # What the broker says of one that is gone has none.
            self.heap_low = free if self.heap_low is None else min(self.heap_low, free)

    def _boot(self) -> int:
        state = self.place.servers.state(self.place.device)
        return 0 if state is None else int(state["boot"])


# Each level beside what is wanted of it.
_IS_LEVEL: dict[str, Callable[[Any, Any], bool]] = {
    "screen": lambda value, wanted: any(wanted in line for line in value),
    # A screen that is off is not read at all.
    "gone": lambda value, wanted: bool(value) and not any(wanted in line for line in value),
    "fixes": lambda value, wanted: value >= wanted,
    "online": lambda value, wanted: value["online"] == wanted,
    "fault": lambda value, wanted: wanted in value.get("faults", ()),
    "boot": lambda value, wanted: (
        value["online"] and value["restarted"] and value.get("reset") == wanted
    ),
    "light": lambda value, wanted: [list(pair) for pair in value] == wanted,
    "vibrate": lambda value, wanted: [list(pair) for pair in value] == wanted,
}


def _level_of(kind: str) -> str:
    if kind == "gone":
        return "screen"
    return "state" if kind in ("online", "fault", "boot") else kind
