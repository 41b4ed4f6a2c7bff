"""How often each command was carried out, as its terminal and the stores tell from outside.

A command is answered by results: each sealed result is stored once (hil_tests/account.py), so one
that was carried out twice has two last words. What it does is seen as well: a message by its own
text on the screen (witness.jsonl), duty by its events, a restart by the number of starts.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from hil_tests.servers import Servers

LAST_WORDS = ("done", "refused", "failed", "expired")
RESTARTING = ("reboot", "configure")


@dataclass(frozen=True)
class Sent:
    """One command: `late` may only arrive when its time is over."""

    id: str
    kind: str
    body: dict[str, Any]
    payload: bytes
    late: bool


@dataclass
class Count:
    """What is counted over all terminals; `problems` says each in words."""

    commands: int = 0
    executed_once: int = 0
    doubled: int = 0
    held_back: int = 0
    held_back_arrived: int = 0
    executed_after_ttl: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def is_exactly_once(self) -> bool:
        """Tell whether every command was carried out once, and none of the late ones."""
        return (
            self.executed_once == self.commands > 0
            and not self.doubled
            and not self.executed_after_ttl
            and not self.problems
        )


def shown_times(witness: Path, texts: set[str]) -> Counter[str]:
    """Return how often each text came onto a terminal's screen."""
    times: Counter[str] = Counter()
    there: set[str] = set()
    for line in witness.read_text(errors="replace").splitlines():
        try:
            _, what, *words = json.loads(line)
        except ValueError:
            continue  # A line that the battery pull cut.
        if what == "screen":
            now = texts.intersection(words)
            times.update(now - there)
            there = now
    return times


def settle(
    count: Count, servers: Servers, device: str, sent: list[Sent], witness: Path, switched_on: int
) -> None:
    """Add one terminal's commands to the count."""
    results: dict[str, list[str]] = {command.id: [] for command in sent}
    for row in servers.results(device):
        results.setdefault(row["command_id"], []).append(row["status"])
    ledger = {row["id"]: row["status"] for row in servers.commands(device)}
    shown = shown_times(witness, {c.body["text"] for c in sent if c.kind == "message"})
    for command in sent:
        words = [status for status in results[command.id] if status in LAST_WORDS]
        seen = shown[command.body["text"]] if command.kind == "message" else 0
        (_late if command.late else _in_time)(count, command, words, seen, ledger[command.id])
    _effects(count, servers, device, sent, results, switched_on)


def _in_time(count: Count, command: Sent, words: list[str], seen: int, status: str) -> None:
    count.commands += 1
    name = f"{command.kind} {command.id}"
    if len(words) > 1 or seen > 1:
        count.doubled += 1
        count.problems.append(f"{name} ended as {words}, shown {seen} times")
        return
    if words != [status]:
        count.problems.append(f"{name}: the ledger says {status}, the terminal {words}")
        return
    # One that a restart ended may have been shown before or not; one that is done was.
    if command.kind == "message" and status == "done" and seen != 1:
        count.problems.append(f"{name} is done and was never shown")
        return
    count.executed_once += 1
    count.by_status[status] += 1


def _late(count: Count, command: Sent, words: list[str], seen: int, status: str) -> None:
    count.held_back += 1
    count.held_back_arrived += bool(words)
    # A newer one of its kind may have taken its place in the ledger while it was held back.
    given_up = status in ("expired", "superseded")
    if seen or not given_up or any(word != "expired" for word in words):
        count.executed_after_ttl += 1
        count.problems.append(
            f"{command.kind} {command.id} came after its time: {words}, shown {seen} times, "
            f"in the ledger {status}"
        )


def _effects(
    count: Count,
    servers: Servers,
    device: str,
    sent: list[Sent],
    results: dict[str, list[str]],
    switched_on: int,
) -> None:
    """Look at what is not told one by one: changes of duty, and starts."""
    duties = [results[c.id] for c in sent if c.kind == "duty" and not c.late]
    changes = sum(
        row["kind"] == "duty" and row["by"] == "command" for row in servers.events(device)
    )
    least = sum("done" in words for words in duties)
    # What a power cut ended may have been done by then.
    most = least + sum("failed" in words for words in duties)
    if not least <= changes <= most:
        count.doubled += max(0, changes - most)
        count.problems.append(f"{device}: {changes} changes of duty, {least} to {most} ordered")
    restarts = sum(c.kind in RESTARTING and not c.late for c in sent)
    state = servers.state(device)
    starts = 0 if state is None else state["boot"]
    if starts > switched_on + restarts:
        count.doubled += starts - switched_on - restarts
        count.problems.append(
            f"{device}: {starts} starts, switched on {switched_on} times, {restarts} ordered"
        )
