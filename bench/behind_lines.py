"""Real terminals, each behind a line of its own of the fault proxy.

A terminal of a bench is a `Behind` with whatever that bench notes of it.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from hil_tests.board import Flashing
from hil_tests.virtual_board import VirtualBoard

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Mapping

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
R = TypeVar("R")


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

    gate = threading.Semaphore(STARTING_MAX)

    def switch_on(terminal: T) -> None:
        with gate:
            terminal.power(on=True)
            until_s = time.monotonic() + ONLINE_WAIT_S
            while not (state := servers.state(terminal.device)) or not state["online"]:
                if time.monotonic() > until_s:
                    sys.exit(f"{terminal.device} is not online after {ONLINE_WAIT_S:.0f} s")
                time.sleep(0.1)

    terminals = [flash(number) for number in range(options.terminals)]
    time.sleep(KNOWN_AFTER_S)
    at_once(switch_on, terminals)
    print(f"{len(terminals)} terminals are online", flush=True)
    return terminals


def shares(wanted: int, parts: int) -> list[int]:
    """Return a number in so many parts, as even as it goes."""
    return [wanted // parts + (number < wanted % parts) for number in range(parts)]


def at_once(
    do: Callable[..., R], *columns: Iterable[Any], say: Callable[[], str] | None = None
) -> list[R]:
    """Return what `map` would, all of it done at the same time; raise what one of them raised.

    Whoever ends the bench meanwhile waits for none of them: it would take minutes, and who asked
    for it kills before that, and leaves the terminals to run on.

    Args:
        do: For each row of the columns.
        columns: Of the same length.
        say: Asked now and then how far it is.
    """
    found: dict[int, R] = {}
    failed: list[BaseException] = []

    def run(number: int, row: tuple[Any, ...]) -> None:
        try:
            found[number] = do(*row)
        except BaseException as error:  # noqa: BLE001 - sys.exit, too
            failed.append(error)

    threads = [
        threading.Thread(target=run, args=(number, row), daemon=True)
        for number, row in enumerate(zip(*columns, strict=True))
    ]
    for thread in threads:
        thread.start()
    said_s = time.monotonic()
    while not failed and any(thread.is_alive() for thread in threads):
        time.sleep(0.1)
        if say is not None and time.monotonic() > said_s + SAY_EVERY_S:
            said_s = time.monotonic()
            print(say(), flush=True)
    if failed:
        raise failed[0]
    return [found[number] for number in range(len(threads))]
