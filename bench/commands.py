"""`python -m bench.commands [--commands N] [--terminals N]`: each command carried out once.

Real terminals (firmware in MicroPython, mutual TLS), each behind a line of its own of the fault
proxy, one broker, one gateway. Commands of all kinds are written into the registry's outbox, one
to three at a time. Beside the gateway that carries them out, a second service with a gateway's
certificate publishes the same messages: before the gateway, again afterwards, in another order,
and old ones among them. Meanwhile batteries are pulled and connections cut, and `reboot` and
`configure` restart terminals by themselves.

Now and then a line is a black hole, and a command is given that lives no longer than that: it
arrives when its time is over, by TCP and once more from the second service, and may not be done.

What became of each is told from outside (bench/commands_account.py). Exit status 1 unless every
command was carried out once. JSON on the last line and in bench/results/commands.json.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import results
from bench.behind_lines import ONLINE_WAIT_S, Behind, at_once, shares, switched_on
from bench.broker_echo import service_client
from bench.commands_account import LAST_WORDS, RESTARTING, Count, Sent, settle
from bench.installation import micropython
from bench.wire_terminal import sentences
from hil_tests import account
from hil_tests.fault_proxy import FaultNetwork
from hil_tests.faults import NONE, Faults
from hil_tests.servers import Servers
from provisioning.fleet import VirtualFleet
from wire_protocol import messages, topics
from wire_protocol.track import Fix

TTL_S = 600
LATE_TTL_S = 2
# Behind the black hole until the time of a late one is over; the gateway looks every second.
HELD_S = LATE_TTL_S + 2.0
AT_ONCE_MAX = 3  # A device refuses more than four that wait.
AGAIN_MAX = 16  # Old ones that come again; a device remembers 64.
PULLED, CUT, HELD = 0.08, 0.15, 0.08  # Share of the rounds in which it happens.
WITHIN_S = 0.5  # After the command: it is on its way, taken, or being answered then.
ANSWER_WAIT_S = 240.0
REST_WAIT_S = 200.0
LOOK_S = 0.1
LEDGER_LOOK_S = 0.5  # A hundred terminals look into one registry, which has to serve the gateway.
SECOND_GATEWAY = "gateway-15"
# How often each kind comes; the last two restart the terminal, which takes some seconds.
KINDS = {
    "message": 6, "duty": 3, "locate": 3, "ring": 3, "self_test": 2, "read_log": 2,
    "reboot": 1, "configure": 1,
}  # fmt: skip


@dataclass
class Terminal(Behind):
    """One terminal, its line, and what it was sent."""

    sent: list[Sent] = field(default_factory=list)
    screen: list[str] = field(default_factory=list)
    given: int = 0
    starts: int = 0
    pulled: int = 0
    cuts: int = 0

    def power(self, *, on: bool) -> None:
        super().power(on=on)
        self.starts += on
        self.pulled += not on
        if not on:
            self.screen = []

    def look(self) -> list[str]:
        """Return what the wearer reads now."""
        for what, value in self.board.look():
            self.screen = value if what == "screen" else self.screen
        return self.screen

    def push(self, button: str) -> None:
        self.board.press(button)
        self.board.release(button)

    def reads(self, text: str) -> bool:
        return any(text in line for line in self.look())

    def is_on_duty(self) -> bool:
        """Return what the screen says of it, which just after a start says nothing yet."""
        until_s = time.monotonic() + ONLINE_WAIT_S
        while not (self.reads("ON DUTY") or self.reads("off duty")):
            if time.monotonic() > until_s:
                sys.exit(f"{self.device} says nothing of duty in {ONLINE_WAIT_S:.0f} s")
            time.sleep(LOOK_S)
        return self.reads("ON DUTY")


class SecondGateway:
    """Publishes what a gateway would, again and in any order."""

    def __init__(self, servers: Servers) -> None:
        self._client = service_client(SECOND_GATEWAY, servers.home, servers.services_port)
        self.published = 0

    def publish(self, device: str, commands: list[Sent]) -> None:
        for command in commands:
            self._client.publish(topics.down(device, "command"), command.payload, 1)
            self.published += 1

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Round:
    """One to three commands to one terminal, and what is done to it meanwhile."""

    def __init__(self, terminal: Terminal, servers: Servers, second: SecondGateway) -> None:
        self._terminal, self._servers, self._second = terminal, servers, second
        self._chance = terminal.chance

    def in_time(self, number: int) -> None:
        """Give commands, in disorder, and wait until each has been answered."""
        terminal, chance = self._terminal, self._chance
        self._say_where()
        fresh = [self._give(kind, TTL_S) for kind in self._kinds(number)]
        old = [command for command in terminal.sent if not command.late][-AGAIN_MAX:]
        terminal.sent += fresh
        if chance.random() < 0.5:
            self._again(fresh)  # Before the gateway, which looks every 0.2 s.
        if chance.random() < PULLED:
            time.sleep(chance.random() * WITHIN_S)
            terminal.power(on=False)
            terminal.power(on=True)
        if chance.random() < CUT:
            time.sleep(chance.random() * WITHIN_S)
            terminal.line.cut()
            terminal.cuts += 1
        self._again(fresh + chance.sample(old, min(len(old), 3)))
        self._wait(fresh)
        self._again(fresh + chance.sample(old, min(len(old), 3)))

    def late(self) -> None:
        """Hold one back until its time is over; then it comes, and comes again."""
        terminal = self._terminal
        if not self._is_at_ease():
            return
        kind = self._chance.choice(("message", "duty", "ring", "reboot"))
        terminal.line.set(Faults(black_hole=True))
        command = self._give(kind, LATE_TTL_S, late=True)
        terminal.sent.append(command)
        self._again([command])
        time.sleep(HELD_S)
        terminal.line.set(NONE)
        self._again([command])
        time.sleep(WITHIN_S)

    def _is_at_ease(self) -> bool:
        """Wait until all is receipted: then its clock is the server's, and its link is well."""
        until_s = time.monotonic() + ONLINE_WAIT_S
        while time.monotonic() < until_s:
            state = self._servers.state(self._terminal.device)
            if state and state["online"] and state["state"]["clock"] in ("server", "gnss"):
                return self._terminal.reads("online")
            time.sleep(LOOK_S)
        return False

    def _kinds(self, number: int) -> list[str]:
        drawn = self._chance.choices(list(KINDS), list(KINDS.values()), k=number)
        kinds: list[str] = []
        for kind in drawn:
            # The newest duty and locate supersede older ones, and two restarts are one.
            restarts = kind in RESTARTING and any(other in RESTARTING for other in kinds)
            alone = kind in ("duty", "locate") and kind in kinds
            kinds.append("self_test" if restarts or alone else kind)
        return kinds

    def _give(self, kind: str, ttl_s: int, *, late: bool = False) -> Sent:
        terminal = self._terminal
        terminal.given += 1
        body: dict[str, Any] = {}
        if kind == "message":
            # A text of its own: by it the account knows how often this one was shown.
            body = {"text": f"{terminal.device}, number {terminal.given}"}
        elif kind == "duty":
            body = {"on": not terminal.is_on_duty()}
        elif kind == "ring":
            body = {"for_s": 1}
        elif kind == "read_log":
            body = {"first": 0}
        elif kind == "configure":
            body = {"settings": {"batch_fixes": self._chance.randint(1, 60)}}
        asked = {"kind": kind, "body": body, "ttl_s": ttl_s}
        command = self._servers.command(terminal.device, asked)
        row = next(r for r in self._servers.commands(terminal.device) if r["id"] == command)
        payload = messages.make_command(command, kind, body, ttl_s, row["created_ms"])
        return Sent(command, kind, body, payload, late)

    def _again(self, commands: list[Sent]) -> None:
        """Let some come again, some of them twice, in any order."""
        many = commands + self._chance.sample(commands, self._chance.randint(0, len(commands)))
        self._chance.shuffle(many)
        self._second.publish(self._terminal.device, many)

    def _say_where(self) -> None:
        """Let the receiver say one fix, so that `locate` is answered at once when on duty."""
        now_ms = time.time_ns() // 10**9 * 1000
        self._terminal.board.say(sentences(Fix(now_ms, 30_274_085, 120_155_070, 100, 90, 5)))

    def _wait(self, commands: list[Sent]) -> None:
        """Read messages, as their wearer, until each command has its last word in the ledger."""
        waiting = {command.id for command in commands}
        until_s = time.monotonic() + ANSWER_WAIT_S
        looked_s = 0.0
        while waiting and time.monotonic() < until_s:
            time.sleep(LOOK_S)
            if self._terminal.reads("OK ="):
                self._terminal.push("ok")
            if time.monotonic() - looked_s < LEDGER_LOOK_S:
                continue
            looked_s = time.monotonic()
            for row in self._servers.results(self._terminal.device):
                if row["status"] in LAST_WORDS:
                    waiting.discard(row["command_id"])


def order(terminal: Terminal, share: int, servers: Servers, second: SecondGateway) -> None:
    """Give a terminal so many commands that are in time, and some that are not."""
    given = 0
    while given < share:
        number = min(share - given, terminal.chance.randint(1, AT_ONCE_MAX))
        Round(terminal, servers, second).in_time(number)
        given += number
        if terminal.chance.random() < HELD:
            Round(terminal, servers, second).late()


def rest(terminal: Terminal, servers: Servers) -> list[str]:
    """End the duty, wait until all is stored; return what breaks the promise."""
    where = (servers, terminal.board, terminal.device, None)
    if terminal.is_on_duty():
        terminal.push("duty")
    if not account.wait_until_at_rest(*where, wait_s=20):
        terminal.line.hang_up()
        account.wait_until_at_rest(*where, wait_s=REST_WAIT_S)
    found = account.look(*where).problems(fed=None, pulls=terminal.pulled)
    return [f"{terminal.device}: {problem}" for problem in found]


def run(options: argparse.Namespace, home: Path) -> dict[str, Any]:
    servers = Servers(home)
    with FaultNetwork() as network, VirtualFleet(micropython()) as fleet:
        try:
            servers.start()
            terminals = switched_on(Terminal, options, servers, fleet, network)
            second = SecondGateway(servers)
            begun_s = time.monotonic()
            at_once(
                lambda terminal, share: order(terminal, share, servers, second),
                terminals,
                shares(options.commands, len(terminals)),
                say=lambda: f"{count_given(terminals)} of {options.commands} given",
            )
            lasted_s = round(time.monotonic() - begun_s)
            found = at_once(lambda terminal: rest(terminal, servers), terminals)
            problems = [problem for each in found for problem in each]
            second.close()
            figures = judge(terminals, servers, problems)
            return figures | {"published_again": second.published, "lasted_s": lasted_s}
        finally:
            servers.stop()


def count_given(terminals: list[Terminal]) -> int:
    """Return how many commands that are in time have been given."""
    return sum(not command.late for terminal in terminals for command in terminal.sent)


def judge(terminals: list[Terminal], servers: Servers, problems: list[str]) -> dict[str, Any]:
    """Return the result."""
    count = Count(problems=problems)
    for terminal in terminals:
        witness = terminal.board.folder / "witness.jsonl"
        settle(count, servers, terminal.device, terminal.sent, witness, terminal.starts)
    for problem in count.problems[:20]:
        print(problem, file=sys.stderr)
    kinds = [command.kind for terminal in terminals for command in terminal.sent]
    return {
        "commands": count.commands,
        "executed_once": count.executed_once,
        "doubled": count.doubled,
        "executed_after_ttl": count.executed_after_ttl,
        "held_back": count.held_back,
        "held_back_arrived": count.held_back_arrived,
        "exactly_once": count.is_exactly_once(),
        "problems": len(count.problems),
        "by_status": dict(count.by_status),
        "by_kind": {kind: kinds.count(kind) for kind in KINDS},
        "batteries_pulled": sum(terminal.pulled for terminal in terminals),
        "connections_cut": sum(terminal.cuts for terminal in terminals),
        "aims": {
            "executed_once": results.judged(count.executed_once, at_least=count.commands),
            "doubled": results.judged(count.doubled, at_most=0),
            "executed_after_ttl": results.judged(count.executed_after_ttl, at_most=0),
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commands", type=int, default=400, help="in the soak 10000")
    parser.add_argument("--terminals", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xunhu-bench-") as folder:
        found = run(options, Path(folder))
    results.write("commands", {"terminals": options.terminals, "seed": options.seed} | found)
    return 0 if found["exactly_once"] else 1


if __name__ == "__main__":
    sys.exit(main())
