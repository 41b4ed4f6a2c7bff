"""Scenario files: what happens to a device, and what must be seen, when, with which tolerance.

A scenario knows no port and no board: the same file is played on the virtual rig and on a bench.
docs/hil.md describes every field.
"""

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hil_tests.errors import FileError
from hil_tests.faults import read_faults
from hil_tests.fields import Table
from hil_tests.stages import STAGES
from storage.registry.models import Case, Result
from wire_protocol import messages, records, sensors
from wire_protocol.configure import NETWORKS
from wire_protocol.errors import WireError

START = "start"
RIG_NETWORKS = "$rig"  # In a `configure`: the name that stands for the rig's own networks.
LIMIT_S_MAX = 3_600.0
ACTIONS_MAX, EXPECTATIONS_MAX, POINTS_MAX, VARIANTS_MAX = 100, 100, 1_000, 50
HOLD_S_MAX = 60.0
PUSH_S = 0.3  # A short press: a chip that makes a connection sees nothing of one of 0.1 s.
TTL_S_MAX = 7 * 86_400
BUTTONS = ("sos", "duty", "ok")
RECEIVER_MODES = ("fix", "no_fix", "silent", "garbage")
DEVICE_KINDS = ("terminal", "sensor_node")
PARTS = ("broker", "gateway")
CASE_STEPS = ("take", "help", "close")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_E6 = 1_000_000
_EXPECTATIONS = (
    "screen", "gone", "light", "vibrate", "event", "case", "result", "online", "fixes", "fault",
    "boot",
)  # fmt: skip
# What these can be; a word beyond it would be waited for in vain.
_WORDS = {
    "event": records.EVENT_KINDS,
    "case": ("sos", *(f"alarm:{name}" for name in sensors.NAMES)),
    "result": ("accepted", "done", "refused", "failed", "expired"),
    "boot": ("power", "software", "watchdog", "deep_sleep"),
}
# An event's columns depend on its kind.
_COLUMNS = {
    "case": frozenset(Case.__table__.columns.keys()),
    "result": frozenset((*Result.__table__.columns.keys(), "of")),
}


@dataclass(frozen=True)
class Trace:
    """Where the receiver is: straight lines between points, or a recorded log of a receiver.

    Attributes:
        points: (seconds since the start, lat_e6, lon_e6), rising; the last one is stayed at.
        log: Said byte for byte, a second's sentences each second, in place of the points.
        mode: What the receiver does at the start, one of RECEIVER_MODES.
    """

    points: tuple[tuple[float, int, int], ...]
    log: Path | None
    mode: str


@dataclass(frozen=True)
class Action:
    """Something done to the device or around it, `at_s` after `after` happened.

    Attributes:
        kind: Such as press, link, power.
        value: Checked; what it is depends on the kind.
        hold_s: Of a press.
    """

    name: str
    after: str
    at_s: float
    kind: str
    value: Any
    hold_s: float = 0.0


@dataclass(frozen=True)
class Expectation:
    """Something that must be seen from `from_s` to `within_s` after `after` happened.

    Attributes:
        kind: Such as screen, event, case.
        value: Checked; what it is depends on the kind.
        where: Columns of a row that must be equal.
        times: It must be seen exactly so often by the end; None: at least once.
        never: It must not be seen in that time.
    """

    name: str
    after: str
    from_s: float
    within_s: float
    kind: str
    value: Any
    where: Mapping[str, Any] = field(default_factory=dict)
    times: int | None = None
    never: bool = False


@dataclass(frozen=True)
class Scenario:
    """One file, with one value for each name in its [vary].

    Attributes:
        name: The file's, with the values: `sos_battery_pull[cut_s=0.2]`.
        start: The stage that is reached first.
        settings: Added to the device's configuration, where the rig can flash one.
        limit_s: Longer than the timeline can be.
    """

    name: str
    title: str
    why: str
    device: str
    start: str
    duty: bool
    seed: int
    limit_s: float
    settings: Mapping[str, Any]
    trace: Trace
    actions: tuple[Action, ...]
    expectations: tuple[Expectation, ...]

    def names_networks(self) -> bool:
        """Tell whether a command of it changes the networks that are known."""
        return any(_networks(action) for action in self.actions)

    def parts(self) -> set[str]:
        """Return which servers it disturbs; others must not share them meanwhile."""
        return {action.kind for action in self.actions if action.kind in PARTS}


def with_networks(action: Action, there: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Return a command with the rig's own networks where its settings name `$rig`."""
    command: dict[str, Any] = action.value
    known = _networks(action)
    if not known:
        return command
    found = []
    for pair in known:
        found += [list(own) for own in there] if pair[0] == RIG_NETWORKS else [pair]
    settings = command["body"]["settings"] | {NETWORKS: found}
    return command | {"body": command["body"] | {"settings": settings}}


def _networks(action: Action) -> list[list[str]]:
    """Return what a `configure` sets the networks to; empty when it does not."""
    if action.kind != "command" or action.value["kind"] != "configure":
        return []
    found: list[list[str]] = action.value["body"]["settings"].get(NETWORKS, [])
    return found


def load_scenarios(path: Path) -> list[Scenario]:
    """Return the scenarios of a file: one, or one for each value in [vary].

    Raises:
        FileError: It is malformed; file, field and limit are named.
    """
    varied = _vary(Table.load(path))
    return [
        _read(path, values, "".join(f"[{name}={value:g}]" for name, value in values.items()))
        for values in varied
    ]


def _vary(table: Table) -> list[dict[str, float]]:
    vary = table.table("vary", optional=True)
    names = vary.names()
    if not names:
        return [{}]
    if len(names) > 1:
        raise vary.wrong(names[1], "only one name can vary in a file")
    values = vary.any(names[0])
    if not isinstance(values, list) or not 1 <= len(values) <= VARIANTS_MAX:
        raise vary.wrong(names[0], f"is no list of 1 to {VARIANTS_MAX} numbers")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise vary.wrong(names[0], f"{value!r} is no number")
    return [{names[0]: value} for value in values]


def _read(path: Path, values: dict[str, float], suffix: str) -> Scenario:
    table = Table.load(path, values)
    table.table("vary", optional=True)
    limit_s = table.number("limit_s", 1, LIMIT_S_MAX, 120.0)
    settings = table.table("settings", optional=True)
    scenario = Scenario(
        name=path.stem + suffix,
        title=table.text("title"),
        why=table.text("why"),
        device=table.text("device", "terminal", among=DEVICE_KINDS),
        start=table.text("start", "online", among=STAGES),
        duty=table.flag("duty", default=True),
        seed=table.whole("seed", 0, 2**31, 1),
        limit_s=limit_s,
        settings={name: settings.any(name) for name in settings.names()},
        trace=_trace(table.table("trace", optional=True), path.parent),
        actions=tuple(
            _action(row, number, limit_s)
            for number, row in enumerate(table.tables("do", ACTIONS_MAX), 1)
        ),
        expectations=tuple(
            _expectation(row, number, limit_s)
            for number, row in enumerate(table.tables("expect", EXPECTATIONS_MAX, least=1), 1)
        ),
    )
    table.finish()
    _check_names(path, scenario)
    return scenario


def _trace(table: Table, folder: Path) -> Trace:
    mode = table.text("mode", "fix", among=RECEIVER_MODES)
    log = table.text("log", None)
    if log is not None:
        log = (folder / log).resolve()
        if not log.is_file():
            raise table.wrong("log", f"{log} is no file")
    points = table.any("points", [[0, 30.274085, 120.155070]])
    if not isinstance(points, list) or not 1 <= len(points) <= POINTS_MAX:
        raise table.wrong("points", f"is no list of 1 to {POINTS_MAX} points")
    found: list[tuple[float, int, int]] = []
    for number, point in enumerate(points, 1):
        name = f"points[{number}]"
        if not (
            isinstance(point, list)
            and len(point) == 3
            and all(isinstance(word, int | float) for word in point)
        ):
            raise table.wrong(name, f"{point!r} is not [seconds, latitude, longitude]")
        at_s, lat, lon = point
        if not (abs(lat) <= 90 and abs(lon) <= 180):
            raise table.wrong(name, f"{lat}, {lon}: latitude to 90, longitude to 180 degrees")
        if at_s < 0 or (found and at_s <= found[-1][0]):
            raise table.wrong(name, f"{at_s} s is not later than the point before")
        found.append((float(at_s), round(lat * _E6), round(lon * _E6)))
    table.finish()
    return Trace(tuple(found), log, mode)


def _action(table: Table, number: int, limit_s: float) -> Action:
    kind = table.one_of(_ACTIONS)
    hold_s = table.number("hold_s", 0, HOLD_S_MAX, PUSH_S) if kind == "press" else 0.0
    action = Action(
        name=_name(table, f"{kind}_{number}"),
        after=table.text("after", START),
        at_s=table.number("at_s", 0, limit_s, 0.0),
        kind=kind,
        value=_ACTIONS[kind](table),
        hold_s=hold_s,
    )
    table.finish()
    return action


def _reset(table: Table) -> bool:
    if not table.flag("reset"):
        raise table.wrong("reset", "can only be true")
    return True


def _sensor(table: Table) -> tuple[str, int]:
    name = table.text("name", among=sensors.NAMES)
    _, _, low, high = sensors.TABLE[sensors.code(name) - 1]
    value = table.whole("value", low, high)
    table.finish()
    return name, value


def _command(table: Table) -> dict[str, Any]:
    found = {
        "kind": table.text("kind", characters_max=20),
        "ttl_s": table.whole("ttl_s", 1, TTL_S_MAX, 600),
        "body": table.any("body", {}),
    }
    if not isinstance(found["body"], dict):
        raise table.wrong("body", f"{found['body']!r} is no table")
    try:
        messages.make_command("0" * 16, found["kind"], found["body"], found["ttl_s"], 0)
    except WireError as error:
        name = "body" if found["kind"] in messages.COMMAND_KINDS else "kind"
        raise table.wrong(name, str(error)) from error
    table.finish()
    return found


def _unix_s(table: Table, name: str) -> int:
    value = table.any(name)
    if not isinstance(value, datetime.datetime) or value.tzinfo is None:
        raise table.wrong(name, f"{value!r} is no time with its zone: 2000-01-01T00:00:00Z")
    unix_s = int(value.timestamp())
    if not 0 <= unix_s < 2**32:
        raise table.wrong(name, f"{value} is not from 1970 to 2105")
    return unix_s


def _expectation(table: Table, number: int, limit_s: float) -> Expectation:
    kind = table.one_of(_EXPECTATIONS)
    value: Any
    if kind in ("light", "vibrate"):
        value = _pattern(table, kind)
    elif kind == "online":
        value = table.flag(kind)
    elif kind == "fixes":
        value = table.whole(kind, 1, 100_000)
    else:
        value = table.text(kind, among=_WORDS.get(kind, ()), characters_max=120)
    where = table.table("where", optional=True)
    within_s = table.number("within_s", 0, limit_s)
    found = Expectation(
        name=_name(table, f"{kind}_seen_{number}"),
        after=table.text("after", START),
        from_s=table.number("from_s", 0, within_s, 0.0),
        within_s=within_s,
        kind=kind,
        value=value,
        where={name: where.any(name) for name in where.names()},
        times=table.whole("times", 0, 10_000, None),
        never=table.flag("never", default=False),
    )
    if found.never and found.times is not None:
        raise table.wrong("times", "what is never seen has no number of times")
    if found.times is not None and kind not in ("event", "case", "result"):
        raise table.wrong("times", f"{kind} cannot be counted; event, case and result can")
    if found.where and kind not in ("event", "case", "result"):
        raise table.wrong("where", f"{kind} has no columns; event, case and result have")
    for name in where.names():
        if name not in _COLUMNS.get(kind, (name,)):
            known = ", ".join(sorted(_COLUMNS[kind]))
            raise where.wrong(name, f"is no column of a {kind}; there are {known}")
    table.finish()
    return found


def _pattern(table: Table, name: str) -> list[list[int]]:
    value = table.any(name)
    whole = isinstance(value, list) and all(
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(ms, int) and 0 <= ms <= 60_000 for ms in pair)
        for pair in value
    )
    if not whole:
        raise table.wrong(name, f"{value!r} is no list of [on, off] in ms, 0 to 60000 each")
    return [list(pair) for pair in value]


def _name(table: Table, default: str) -> str:
    name: str = table.text("name", default)
    if not _NAME.fullmatch(name):
        raise table.wrong("name", f"{name!r}: a small letter, then up to 39 of a-z, 0-9, _")
    return name


def _check_names(path: Path, scenario: Scenario) -> None:
    """Every `after` must lead back to the start, and every name mean one thing."""
    rows: list[Action | Expectation] = [*scenario.actions, *scenario.expectations]
    after: dict[str, str] = {}
    for row in rows:
        if row.name in after or row.name == START:
            raise FileError(f"{path}: name: {row.name!r} is given twice")
        after[row.name] = row.after
    for row in rows:
        seen, at = {row.name}, row.after
        while at != START:
            if at not in after:
                known = ", ".join(sorted(after))
                raise FileError(f"{path}: after: {at!r} is no name here; there are start, {known}")
            if at in seen:
                raise FileError(f"{path}: after: {row.name!r} waits for itself")
            seen.add(at)
            at = after[at]
    commands = [action.name for action in scenario.actions if action.kind == "command"]
    for expectation in scenario.expectations:
        of = expectation.where.get("of")
        if of is not None and of not in commands:
            raise FileError(f"{path}: where.of: {of!r} is no name of a command here")


# What each kind of action holds; each needs what a board or the servers offer, see `runner`.
_ACTIONS: dict[str, Callable[[Table], Any]] = {
    "press": lambda table: table.text("press", among=BUTTONS),
    "link": lambda table: table.text("link", among=("up", "down")) == "up",
    "network": lambda table: read_faults(table.table("network")),
    "power": lambda table: table.text("power", among=("cut", "on")) == "on",
    "reset": _reset,
    "clock": lambda table: _unix_s(table, "clock"),
    "receiver": lambda table: table.text("receiver", among=RECEIVER_MODES),
    "motion": lambda table: table.text("motion", among=("still", "moving")) == "moving",
    "sensor": lambda table: _sensor(table.table("sensor")),
    "battery_mv": lambda table: table.whole("battery_mv", 0, 20_000),
    "broker": lambda table: table.text("broker", among=("kill", "start")),
    "gateway": lambda table: table.text("gateway", among=("kill", "start")),
    "command": lambda table: _command(table.table("command")),
    "case": lambda table: table.text("case", among=CASE_STEPS),
}
