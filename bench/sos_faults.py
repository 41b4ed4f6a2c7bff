"""`python -m bench.sos_faults [--sos N] [--terminals N]`: SOS raised while the network fails.

Real terminals (firmware in MicroPython, mutual TLS), each behind a line of its own of the fault
proxy (hil_tests/fault_proxy.py), one broker, one gateway. On every line 500 ms of round trip
(`--latency-ms`, half of it each way), and every connection has a chance of 20 % (`--loss`) to be
lost by RST within its first 6,000 bytes: in the handshake, or with the SOS under way. Besides, at
20 % of the presses the connection in use is cut, somewhere in the 0.3 s after the press.

Each SOS is a press of the button; the wearer's hold time is set to 0, because how long it must be
held is a choice. It ends when a program that looks into the registry sees it (every 20 ms, so the
figure is too high by up to that). Then its case is closed over the air, and the next one begins:
every SOS is a new incident and must become one event and one case. At the end all lines are
healed, and the rigs' own witness of what was sealed is held against the stores.

JSON on the last line and in bench/results/sos_faults.json.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import results
from bench.behind_lines import Behind, at_once, shares, switched_on
from bench.installation import micropython
from hil_tests import account
from hil_tests.errors import HilError
from hil_tests.fault_proxy import FaultNetwork
from hil_tests.faults import NONE, Faults
from hil_tests.servers import Servers
from provisioning.control import ControlError
from provisioning.fleet import VirtualFleet

AIM_P99_S = 10.0
CUT_WITHIN_S = 0.3  # It takes as long from the button to the store: most cuts find it on its way.
STORED_WAIT_S = 180.0
CLOSED_WAIT_S = 240.0
REST_WAIT_S = 300.0
LOOK_S = 0.02


class Eye:
    """One look into the registry for everybody, every 20 ms."""

    def __init__(self, home: Path) -> None:
        self._path = home / "registry.sqlite"
        self._stored: dict[tuple[str, int], float] = {}  # (device, how many-eth SOS) -> when.
        self._count: dict[str, int] = {}
        self._came = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def count(self, device: str) -> int:
        """Return how many SOS of a device are stored."""
        with self._came:
            return self._count.get(device, 0)

    def wait(self, device: str, number: int, wait_s: float) -> float | None:
        """Return when the number-th SOS of a device was seen, None if it was not in time."""
        key = (device, number)
        with self._came:
            self._came.wait_for(lambda: key in self._stored, wait_s)
            return self._stored.get(key)

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=30)
        last = 0
        while not self._stopping.wait(LOOK_S):
            rows = connection.execute(
                "SELECT id, device FROM event WHERE id > ? AND kind = 'sos' ORDER BY id", (last,)
            ).fetchall()
            if not rows:
                continue
            now_s = time.monotonic()
            with self._came:
                for last, device in rows:  # noqa: B007 - the last one is where the next look begins
                    number = self._count[device] = self._count.get(device, 0) + 1
                    self._stored[device, number] = now_s
                self._came.notify_all()
        connection.close()


@dataclass
class Terminal(Behind):
    """One terminal, its line, and what became of its presses."""

    times_s: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    cuts: int = 0


def raise_sos(terminal: Terminal, presses: int, loss: float, servers: Servers, eye: Eye) -> None:
    """Raise so many SOS one after the other, each a new incident."""
    for _ in range(presses):
        number = eye.count(terminal.device) + 1
        cut = terminal.chance.random() < loss
        cut_after_s = terminal.chance.random() * CUT_WITHIN_S
        begun_s = time.monotonic()
        terminal.board.press("sos")
        stored_s = None
        if cut:
            terminal.cuts += 1
            time.sleep(cut_after_s)
            terminal.line.cut()
        stored_s = eye.wait(terminal.device, number, STORED_WAIT_S)
        terminal.board.release("sos")
        if stored_s is None:
            terminal.failed.append(f"SOS {number} is not stored after {STORED_WAIT_S:.0f} s")
            continue
        terminal.times_s.append(stored_s - begun_s)
        try:
            servers.step_case(terminal.device, "close")
            wait_until_idle(terminal)
        except (HilError, ControlError) as error:
            terminal.failed.append(str(error))
            return


def wait_until_idle(terminal: Terminal) -> None:
    """Wait until the wearer reads of no SOS any more; the next press is a new one then."""
    until_s = time.monotonic() + CLOSED_WAIT_S
    screen: list[str] = ["SOS"]
    while any("SOS" in line for line in screen):
        for what, value in terminal.board.look():
            screen = value if what == "screen" else screen
        if time.monotonic() > until_s:
            raise HilError(f"its wearer still reads of an SOS after {CLOSED_WAIT_S:.0f} s")
        time.sleep(0.05)


def settle(terminal: Terminal, servers: Servers) -> list[str]:
    """Heal the line, end the duty, wait until all is stored; return what breaks the promise."""
    terminal.line.set(NONE)
    terminal.board.press("duty")
    terminal.board.release("duty")
    where = (servers, terminal.board, terminal.device, None)
    if not account.wait_until_at_rest(*where, wait_s=20):
        terminal.line.hang_up()
        account.wait_until_at_rest(*where, wait_s=REST_WAIT_S)
    found = account.look(*where).problems(fed=None)
    return [f"{terminal.device}: {problem}" for problem in (*terminal.failed, *found)]


def run(options: argparse.Namespace, home: Path) -> dict[str, Any]:
    servers = Servers(home)
    faults = Faults(latency_ms=options.latency_ms // 2, loss=options.loss)
    with FaultNetwork() as network, VirtualFleet(micropython()) as fleet:
        try:
            servers.start()
            terminals = switched_on(
                Terminal, options, servers, fleet, network, settings={"sos_hold_ms": 0}
            )
            eye = Eye(home)
            for terminal in terminals:
                terminal.line.set(faults)
            begun_s = time.monotonic()
            at_once(
                lambda terminal, share: raise_sos(terminal, share, options.loss, servers, eye),
                terminals,
                shares(options.sos, len(terminals)),
                say=lambda: f"{sum(len(t.times_s) for t in terminals)} of {options.sos}",
            )
            lasted_s = time.monotonic() - begun_s
            rest = at_once(lambda terminal: settle(terminal, servers), terminals)
            problems = [problem for found in rest for problem in found]
            eye.close()
            return figures(terminals, servers, problems) | {"lasted_s": round(lasted_s)}
        finally:
            servers.stop()


def figures(terminals: list[Terminal], servers: Servers, problems: list[str]) -> dict[str, Any]:
    """Return the result: how long, and whether every SOS is there once."""
    times_s = [seconds for terminal in terminals for seconds in terminal.times_s]
    events = {t.device: [e for e in servers.events(t.device) if e["kind"] == "sos"]
              for t in terminals}  # fmt: skip
    incidents = sum(len({(e["epoch"], e["incident"]) for e in rows}) for rows in events.values())
    cases = sum(len(servers.cases(terminal.device)) for terminal in terminals)
    stored = sum(len(rows) for rows in events.values())
    raised = sum(len(t.times_s) + len(t.failed) for t in terminals)
    p99_s = round(results.percentile(times_s, 0.99), 2)
    for problem in problems[:20]:
        print(problem, file=sys.stderr)
    return {
        "raised": raised,
        "stored": stored,
        "incidents": incidents,
        "cases": cases,
        "problems": len(problems),
        "exactly_once": stored == incidents == cases == raised and not problems,
        "p50_s": round(results.percentile(times_s, 0.5), 2),
        "p99_s": p99_s,
        "max_s": round(max(times_s), 2),
        "aims": {"p99_s": results.judged(p99_s, at_most=AIM_P99_S)},
        "connections": sum(t.line.counts.connections for t in terminals),
        "connections_lost": sum(t.line.counts.lost for t in terminals),
        "cut_after_a_press": sum(t.cuts for t in terminals),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sos", type=int, default=400, help="in the soak 10000")
    parser.add_argument("--terminals", type=int, default=40)
    parser.add_argument("--loss", type=float, default=0.2, help="share of lost connections")
    parser.add_argument("--latency-ms", type=int, default=500, help="added to the round trip")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xunhu-bench-") as folder:
        found = run(options, Path(folder))
    asked = {name: value for name, value in vars(options).items() if name != "sos"}
    results.write("sos_faults", asked | found)
    return 0 if found["exactly_once"] else 1


if __name__ == "__main__":
    sys.exit(main())
