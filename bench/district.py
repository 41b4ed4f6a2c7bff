"""`python -m bench.district [TERMINALS] [--minutes M]`: the whole district on this machine.

So many real terminals (the firmware in Debian's MicroPython 1.25, mutual TLS, each with its own
certificate and flash) walk through a real `xunhu up`. Measured: the time until the registry has
all of them online, beside as many bare TLS connections; then for M minutes the CPU of each part
and the memory of a terminal; and what the rigs saw sealed against what is stored. What was sealed
until the end of those minutes gets the longest wait for a receipt to arrive. Where the machine
cannot carry so many, the run ends with the reason in `ended_with` and what it held until then.

JSON on the last line and in bench/results/district.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import results
from bench.installation import Installation, allow_files, micropython, walkers
from bench.start_fleet import STARTING_MAX, online
from bench.tls_clients import connect_bare
from provisioning.errors import ProvisioningError
from provisioning.fleet import VirtualFleet
from provisioning.virtual import device_folder
from tests.system.accounts import Account, accounts

ROOT = Path(__file__).resolve().parents[1]
ARRIVE_S = 660  # The longest wait of a terminal for a receipt is 600 s.
LOOK_S = 1.0
STALLED_S = 120  # No further terminal came for so long: this is where it ends.
SPARE_BYTES = 1 << 30  # Of memory: below, the kernel would end something, and nobody knows what.
MEASURED_MAX = 100  # Terminals whose memory is looked at.
TICKS_A_S = os.sysconf("SC_CLK_TCK")


class Ended(Exception):
    """The machine carries no more."""


def connect_all(home: Path, fleet: VirtualFleet, names: list[str]) -> float:
    """Switch all on, as many at once as handshakes can be made; return the seconds it took.

    Raises:
        Ended: Processes, memory or time ran out, with how many there were.
    """
    begun_s = moved_s = time.monotonic()
    waiting = list(reversed(names))
    started = before = 0
    while (up := online(home)) < len(names):
        now_s = time.monotonic()
        if up > before:
            before, moved_s = up, now_s
        if now_s - moved_s > STALLED_S:
            raise Ended(f"{up} are online, {started} started, and none came in {STALLED_S} s")
        if (left := _available_bytes()) < SPARE_BYTES:
            raise Ended(f"{left >> 20} MB of memory are left with {up} online")
        while waiting and started - up < STARTING_MAX:
            try:
                fleet.start(device_folder(home, waiting.pop()))
            except ProvisioningError as error:
                raise Ended(f"{error}; {up} are online") from error
            started += 1
        time.sleep(LOOK_S / 5)
    return time.monotonic() - begun_s


def cpu_s(pids: list[int]) -> float:
    """Return the seconds of CPU that processes have used; one that ended counts no more."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_A_S


def memory_kb(pids: list[int]) -> float:
    """Return the proportional share of memory (PSS) of a process, the mean of some."""
    found = []
    for pid in pids[:: max(1, len(pids) // MEASURED_MAX)]:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        found += [int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")]
    return round(sum(found) / len(found), 1) if found else 0.0


def terminal_pids(home: Path) -> list[int]:
    """Return the processes whose last argument is a device's folder of this home."""
    prefix = str(home / "devices").encode() + b"/"
    pids = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().rstrip(b"\0").split(b"\0")
        except OSError:
            continue
        if arguments[-1].startswith(prefix):
            pids.append(int(path.parent.name))
    return pids


def count(home: Path, until_ms: int) -> dict[str, int]:
    """Hold what the rigs saw sealed until then against the stores."""
    sealed = stored = lost = doubled = 0
    for account in accounts(home).values():
        due = _sealed_until(home, account, until_ms)
        missing = set(account.missing()) & due
        sealed += sum(account.sealed[key] for key in due)
        stored += sum(account.sealed[key] for key in due - missing)
        lost += sum(account.sealed[key] for key in missing)
        # Two batches that hold the same number: the keys differ, the records would be double.
        doubled += _overlapping(account)
    return {"sealed": sealed, "stored": stored, "lost": lost, "doubled": doubled}


def _sealed_until(home: Path, account: Account, until_ms: int) -> set[tuple[str, int, int]]:
    path = device_folder(home, account.device) / "witness.jsonl"
    found = set()
    for line in path.read_text().rpartition("\n")[0].splitlines():
        at_ms, what, *words = json.loads(line)
        if what == "sealed" and at_ms <= until_ms:
            found.add((words[0], words[1], words[2]))
    return found


def _overlapping(account: Account) -> int:
    doubled = 0
    ends: dict[tuple[str, int], int] = {}
    for (stream, epoch, seq), records in sorted(account.stored.items()):
        doubled += max(0, ends.get((stream, epoch), seq) - seq)
        ends[stream, epoch] = seq + records
    return doubled


def measure(
    installation: Installation, minutes: float, figures: dict[str, Any], terminals: list[int]
) -> None:
    """Let all of them work for so long, then count."""
    home = installation.home
    parts = {
        "terminals": terminals,
        "broker": [installation.pid("broker")],
        "gateway": [installation.pid("gateway-1")],
        "api": [installation.pid("api-1")],
    }
    before = {part: cpu_s(pids) for part, pids in parts.items()}
    begun_s = time.monotonic()
    time.sleep(minutes * 60)
    lasted_s = time.monotonic() - begun_s
    used = {part: (cpu_s(pids) - before[part]) / lasted_s for part, pids in parts.items()}
    figures |= {
        "cpu_cores": round(sum(used.values()), 3),
        "cpu_cores_by_part": {part: round(share, 3) for part, share in used.items()},
        "terminal_kb": memory_kb(terminals),
        "online_at_the_end": online(home),
    }
    until_ms = time.time_ns() // 1_000_000
    counted = count(home, until_ms)
    waited_s = time.monotonic()
    while counted["lost"] and time.monotonic() - waited_s < ARRIVE_S:
        time.sleep(5)
        counted = count(home, until_ms)
    figures |= counted | {"last_arrived_after_s": round(time.monotonic() - waited_s)}


def run(options: argparse.Namespace, home: Path, figures: dict[str, Any]) -> None:
    names = [f"t-{number:05}" for number in range(options.terminals)]
    installation = Installation(home)
    fleet = VirtualFleet(micropython(), options=("-X", "heapsize=512k"))
    try:
        installation.start()
        begun_s = time.monotonic()
        installation.flash(names, walkers(len(names), witness=("sealed", "fed")))
        figures["flashed_s"] = round(time.monotonic() - begun_s, 1)
        print(f"{len(names)} terminals are flashed ({figures['flashed_s']} s)", flush=True)
        bare_s = connect_bare(installation, min(len(names), 1_436))
        figures["bare_tls_a_second"] = round(min(len(names), 1_436) / bare_s, 1)
        try:
            connected_s = connect_all(home, fleet, names)
        except Ended as error:
            figures["ended_with"] = str(error)
            figures["online_at_most"] = online(home)
        else:
            figures["connected_s"] = round(connected_s, 1)
            figures["connected_a_second"] = round(len(names) / connected_s, 1)
        print(json.dumps(figures), flush=True)
        measure(installation, options.minutes, figures, terminal_pids(home))
        figures.setdefault("ended_with", "all of them worked until the end")
    finally:
        fleet.stop()
        installation.stop()


def _available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return SPARE_BYTES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("terminals", type=int, nargs="?", default=1_436)
    parser.add_argument("--minutes", type=float, default=5)
    options = parser.parse_args()
    files = allow_files()
    figures: dict[str, Any] = {"terminals": options.terminals, "open_files_max": files}
    folder = Path(tempfile.mkdtemp(prefix="xunhu-bench-"))
    try:
        run(options, folder, figures)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    name = "district" if options.terminals == 1_436 else f"district-{options.terminals}"
    results.write(name, figures)
    return 1 if figures.get("lost") or figures.get("doubled") else 0


if __name__ == "__main__":
    sys.exit(main())
