"""Real terminals, each behind a line of its own of the fault proxy.

A terminal of a bench is a `Behind` with whatever that bench notes of it.
"""

from __future__ import annotations

import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from hil_tests.board import Flashing
from hil_tests.virtual_board import VirtualBoard

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future

    from hil_tests.fault_proxy import FaultNetwork, Line
    from hil_tests.servers import Servers
    from provisioning.fleet import VirtualFleet

ONLINE_WAIT_S = 300.0
# A gateway refuses what comes within a second from a device that it has not heard of.
KNOWN_AFTER_S = 1.5
# Handshakes at once: each takes 30 ms of a core here, and a second of round trips.
STARTING_MAX = 20
SAY_EVERY_S = 30


@dataclass
class Behind:
    """One terminal and its line."""

    board: VirtualBoard
    line: Line
    device: str
    chance: random.Random

    def power(self, *, on: bool) -> None:
        """Switch it on, or pull its battery."""
        self.board.power(on=on)


T = TypeVar("T", bound=Behind)


def switched_on(
    made: type[T],
    options: argparse.Namespace,
    servers: Servers,
    fleet: VirtualFleet,
    network: FaultNetwork,
    *,
    settings: Mapping[str, Any] | None = None,
) -> list[T]:
    """Flash terminals and switch them on, on lines that are whole; return when all are online.

    Args:
        made: What stands for one.
        options: `terminals` says how many, `seed` is of everything random.
        servers: They run.
        fleet: Runs the terminals.
        network: Where their lines are.
        settings: Added to their configuration.
    """

    def flash(number: int) -> T:
        device = f"t-{number:05}"
        line = network.line(servers.broker, seed=options.seed * 10_000 + number)
        board = VirtualBoard(device, "terminal", servers, fleet)
        where = (line.host, line.port)
        board.prepare(Flashing(device, "terminal", where, duty=True, settings=settings or {}))
        board.link(up=True)
        return made(board, line, device, random.Random(options.seed * 1_000 + number))

    def switch_on(terminal: T) -> None:
        terminal.power(on=True)
        until_s = time.monotonic() + ONLINE_WAIT_S
        while not (state := servers.state(terminal.device)) or not state["online"]:
            if time.monotonic() > until_s:
                sys.exit(f"{terminal.device} is not online after {ONLINE_WAIT_S:.0f} s")
            time.sleep(0.1)

    terminals = [flash(number) for number in range(options.terminals)]
    time.sleep(KNOWN_AFTER_S)
    with ThreadPoolExecutor(STARTING_MAX) as pool:
        list(pool.map(switch_on, terminals))
    print(f"{len(terminals)} terminals are online", flush=True)
    return terminals


def watch(work: Sequence[Future[None]], done: Callable[[], int], wanted: int) -> None:
    """Say now and then how much of it is done; pass on what failed."""
    said_s = time.monotonic()
    while not all(future.done() for future in work):
        time.sleep(0.5)
        if time.monotonic() > said_s + SAY_EVERY_S:
            said_s = time.monotonic()
            print(f"{done()} of {wanted}", flush=True)
    for future in work:
        future.result()
