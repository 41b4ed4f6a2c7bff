"""Plays a scenario on a place: does what is due, looks, compares, and settles the account."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hil_tests import account
from hil_tests.faults import NONE
from hil_tests.place import Place
from hil_tests.receiver import ReceiverFeed
from hil_tests.record import Record, Row
from hil_tests.scenario_file import (
    PUSH_S,
    START,
    Action,
    Expectation,
    Scenario,
    with_networks,
)
from hil_tests.watch import ROWS, Watch

LOOK_S = 0.05
# Records of QoS 0 that a dying gateway took with it go again with the next connection: soon
# when it is asked for, ten minutes later otherwise. A slow chip needs its time between two.
REST_WAITS_S = 15.0, 30.0, 60.0


@dataclass
class _Judged:
    """What has become of an expectation."""

    expectation: Expectation
    seen_s: float | None = None
    problem: str = ""
    decided: bool = False


@dataclass
class Play:
    """One run of one scenario; `run` is called once."""

    scenario: Scenario
    place: Place
    _happened: dict[str, float] = field(default_factory=dict)
    _commands: dict[str, str] = field(default_factory=dict)
    _releases: list[tuple[float, str]] = field(default_factory=list)
    _called_s: float = 0.0
    _began_s: float = 0.0

    def run(self, device: str) -> Record:
        """Flash, reach the first stage, play, rest; return what was expected beside what was.

        Raises:
            NotOnThisRigError: The rig lacks something that the scenario needs.
            HilError: The rig itself failed.
        """
        scenario, place = self.scenario, self.place
        self._called_s = time.monotonic()
        place.board.need(*needs(scenario))
        place.board.watched = needs(scenario) & {"light", "vibrate"}
        place.prepare(scenario, device)
        receiver = ReceiverFeed(scenario.trace, scenario.seed, place.board.say)
        try:
            place.strategy.reach(scenario.start)
            self._set_duty()
            receiver.begin()
            self._began_s = time.monotonic()
            watch = Watch(place, self._now_s)
            judged = self._play(watch, receiver)
            problems = self._rest(watch, receiver)
            self._count(watch, judged)
        finally:
            receiver.stop()
            place.power(on=False)
        return self._record(watch, judged, problems)

    def _play(self, watch: Watch, receiver: ReceiverFeed) -> list[_Judged]:
        scenario = self.scenario
        judged = [_Judged(expectation) for expectation in scenario.expectations]
        waiting = list(scenario.actions)
        self._happened[START] = 0.0
        while True:
            watch.poll()
            now_s = self._now_s()
            for row in judged:
                if not row.decided:
                    self._judge(row, watch, now_s)
            for action in self._due(waiting, now_s):
                waiting.remove(action)
                self._do(action, receiver)
                # As it is done, not as it was due: a slow relay must not shorten a tolerance.
                self._happened[action.name] = self._now_s()
            self._let_go(now_s)
            if all(row.decided for row in judged) and not waiting and not self._releases:
                return judged
            if now_s > scenario.limit_s:
                for row in judged:
                    if not row.decided:
                        row.decided = True
                        row.problem = f"{row.expectation.after} did not happen"
                return judged
            time.sleep(LOOK_S)

    def _due(self, waiting: list[Action], now_s: float) -> list[Action]:
        return [
            action
            for action in waiting
            if action.after in self._happened
            and now_s >= self._happened[action.after] + action.at_s
        ]

    def _let_go(self, now_s: float) -> None:
        for row in [row for row in self._releases if row[0] <= now_s]:
            self._releases.remove(row)
            self.place.board.release(row[1])

    def _judge(self, row: _Judged, watch: Watch, now_s: float) -> None:
        """Decide an expectation as soon as it can be."""
        expectation = row.expectation
        anchor_s = self._happened.get(expectation.after)
        if anchor_s is None:
            return
        first = self._first(expectation, watch, anchor_s)
        end_s = anchor_s + expectation.within_s
        if expectation.never:
            if first is not None and first <= end_s and first >= anchor_s + expectation.from_s:
                row.decided, row.seen_s, row.problem = True, first, "seen"
            elif now_s > end_s:
                row.decided = True
                self._happened.setdefault(expectation.name, now_s)
            return
        if expectation.times == 0:
            row.decided = now_s > end_s  # Counted at the end.
            return
        if first is not None:
            row.decided, row.seen_s = True, first
            self._happened[expectation.name] = first
            if first < anchor_s + expectation.from_s:
                row.problem = "too early"
            elif first > end_s:
                row.problem = "too late"
        elif now_s > end_s:
            row.decided, row.problem = True, "not seen"

    def _first(self, expectation: Expectation, watch: Watch, anchor_s: float) -> float | None:
        """Return when it was first seen, the anchor's time if it was there by then."""
        found = [seen.at_s for seen in watch.matches(expectation, self._commands)]
        later = [at_s for at_s in found if at_s >= anchor_s]
        there = watch.was_level(expectation, anchor_s)
        if expectation.kind in ROWS and not expectation.never:
            # What is stored stays stored.
            there = len(found) > len(later)
        return anchor_s if there else min(later, default=None)

    def _do(self, action: Action, receiver: ReceiverFeed) -> None:
        if action.kind == "receiver":
            receiver.set_mode(action.value)
        elif action.kind == "press":
            self.place.board.press(action.value)
            release_s = self._now_s() + action.hold_s
            self._releases.append((release_s, action.value))
        elif action.kind == "command":
            command = with_networks(action, self.place.board.networks)
            sent = self.place.servers.command(self.place.device, command)
            self._commands[action.name] = sent
        else:
            DOINGS[action.kind](self.place, action.value)

    def _now_s(self) -> float:
        return time.monotonic() - self._began_s

    def _rest(self, watch: Watch, receiver: ReceiverFeed) -> list[str]:
        """Heal everything, wait until the device holds nothing more, and settle its account."""
        scenario, place = self.scenario, self.place
        for _, button in self._releases:
            place.board.release(button)
        for part in ("broker", "gateway"):
            place.servers.start_part(part)
        place.servers.wait_until_ready()
        place.set_faults(NONE)
        place.board.power(on=True)
        place.link(up=True)
        if scenario.device == "terminal":
            self._end_duty(receiver)
        # A sensor node measures on and on: what counts is what it has sealed by now.
        owed = None if scenario.device == "terminal" else place.board.sealed()
        where = (place.servers, place.board, place.device, owed)
        for wait_s in REST_WAITS_S:
            if account.wait_until_at_rest(*where, wait_s=wait_s):
                break
            place.line.hang_up()
        watch.poll()
        found = account.look(*where)
        fed = None if scenario.trace.log else receiver.fed
        return found.problems(fed, receiver.since_s, place.cuts) + self._memory(watch)

    def _memory(self, watch: Watch) -> list[str]:
        """Return what breaks the budget of memory."""
        found = self.place.board.complaints()
        least, low = self.place.board.heap_free_min, watch.heap_low
        if least is not None and (low is None or low < least):
            found.append(f"{low} bytes of heap were free, {least} wanted")
        return found

    def _set_duty(self) -> None:
        """A board that was used before is on duty or off, as it was left."""
        place, wanted = self.place, self.scenario.duty
        if self.scenario.device != "terminal" or not place.screen:
            return
        if place.reads("ON DUTY") != wanted:
            self._push_duty()
            place.wait("the wearer reads the duty", lambda: place.reads("ON DUTY") == wanted)
            if self.scenario.start == "online":
                # Its record is none of the scenario's: a slow chip sends it a while later.
                place.wait("the gateway knows the duty", lambda: self._state()["duty"] is wanted)

    def _push_duty(self) -> None:
        self.place.board.press("duty")
        time.sleep(PUSH_S)
        self.place.board.release("duty")

    def _end_duty(self, receiver: ReceiverFeed) -> None:
        """Close the case and end the duty, so that the last fixes are sealed and no more come."""
        place = self.place
        place.wait("the gateway has its state", lambda: self._state().get("online"))
        receiver.set_mode("silent")
        if any(row["closed_ms"] is None for row in place.servers.cases(place.device)):
            place.servers.step_case(place.device, "close")
            place.wait("the wearer reads of no SOS", lambda: not place.reads("SOS"))
        if place.reads("ON DUTY"):
            self._push_duty()
            place.wait("the wearer reads off duty", lambda: place.reads("off duty"))
        # Told after the last record was sealed: what it says of those held is not older.
        place.wait("the gateway knows the duty", lambda: self._state().get("duty") is False)

    def _state(self) -> dict[str, Any]:
        row = self.place.servers.state(self.place.device)
        return {} if row is None else row["state"] | {"online": bool(row["online"])}

    def _count(self, watch: Watch, judged: list[_Judged]) -> None:
        for row in judged:
            wanted = row.expectation.times
            if wanted is None or row.problem:
                continue
            times = len(watch.matches(row.expectation, self._commands))
            if times != wanted:
                row.problem = f"seen {times} times, not {wanted}"

    def _record(self, watch: Watch, judged: list[_Judged], problems: list[str]) -> Record:
        rows = [
            Row(
                name=row.expectation.name,
                expected=_in_words(row.expectation),
                from_s=self._window(row.expectation, row.expectation.from_s),
                to_s=self._window(row.expectation, row.expectation.within_s),
                seen_s=row.seen_s,
                problem=row.problem,
            )
            for row in judged
        ]
        firmware = self.place.firmware
        assert firmware is not None
        return Record(
            scenario=self.scenario.name,
            title=self.scenario.title,
            board=self.place.board.name,
            device=self.place.device,
            firmware=firmware,
            seconds=time.monotonic() - self._called_s,
            rows=rows,
            done=[(self._happened[a.name], f"{a.kind} {a.value}")
                  for a in self.scenario.actions if a.name in self._happened],
            seen=[(seen.at_s, str(seen)) for seen in watch.seen],
            account=problems,
            heap_low=watch.heap_low,
            notes=self.place.notes,
        )  # fmt: skip

    def _window(self, expectation: Expectation, offset_s: float) -> float | None:
        anchor_s = self._happened.get(expectation.after)
        return None if anchor_s is None else anchor_s + offset_s


def needs(scenario: Scenario) -> set[str]:
    """Return what a board must offer for a scenario."""
    found = {"power"}
    if scenario.device == "terminal":
        found |= {"press:duty", "screen", "receiver"}
    for action in scenario.actions:
        if action.kind == "press":
            found.add(f"press:{action.value}")
        elif action.kind in ("clock", "reset"):
            found.add(action.kind)
        elif action.kind == "battery_mv":
            found.add("battery")
        elif action.kind == "motion":
            found.add("sensor:motion")
        elif action.kind == "sensor":
            found.add(f"sensor:{action.value[0]}")
    if scenario.names_networks():
        found.add("networks")
    found |= {row.kind for row in scenario.expectations if row.kind in ("light", "vibrate")}
    return found


def _part(name: str) -> Callable[[Place, Any], None]:
    def do(place: Place, value: str) -> None:
        if value == "kill":
            place.servers.kill_part(name)
        else:
            place.servers.start_part(name)

    return do


DOINGS: Mapping[str, Callable[[Place, Any], None]] = {
    "link": lambda place, up: place.link(up=up),
    "network": lambda place, faults: place.set_faults(faults),
    "power": lambda place, on: place.power(on=on),
    "reset": lambda place, _: place.reset(),
    "clock": lambda place, unix_s: place.clock(unix_s),
    "motion": lambda place, moving: place.board.sensor("motion", int(moving)),
    "sensor": lambda place, reading: place.board.sensor(*reading),
    "battery_mv": lambda place, mv: place.board.battery(mv),
    "broker": _part("broker"),
    "gateway": _part("gateway"),
    "case": lambda place, step: place.servers.step_case(place.device, step),
}


def _in_words(expectation: Expectation) -> str:
    words = [expectation.kind, str(expectation.value)]
    words += [f"{name}={value}" for name, value in expectation.where.items()]
    if expectation.times is not None:
        words.append(f"{expectation.times} times")
    return ("never " if expectation.never else "") + " ".join(words)
