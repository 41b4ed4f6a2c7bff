"""What processes use of this machine, and how near it is to its limits. Linux: read from /proc."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

TICKS_A_S = os.sysconf("SC_CLK_TCK")
# Of memory and of disk: with less, the kernel would end something, and nobody knows what.
SPARE_BYTES = 1 << 30
SPARE_PROCESSES = 500
MEASURED_MAX = 100  # Processes whose memory is looked at: a look takes a millisecond each.


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


def machine_cpu_s() -> float:
    """Return the seconds of CPU that everything on this machine has used."""
    user, nice, system, _idle, _iowait, irq, softirq, *_ = (
        int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) / TICKS_A_S


def memory_kb(pids: list[int], kind: str) -> float | None:
    """Return the memory of a process, the mean of some.

    Args:
        pids: Of like processes.
        kind: Pss (what is shared is divided among its users) or Rss (counted in full).
    """
    found = []
    for pid in pids[:: max(1, len(pids) // MEASURED_MAX)]:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        found += [int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")]
    return round(sum(found) / len(found), 1) if found else None


def running(pids: list[int]) -> int:
    """Return how many of these processes are still there."""
    return sum(Path(f"/proc/{pid}").exists() for pid in pids)


def with_argument_below(folder: Path) -> list[int]:
    """Return the processes of which an argument is a path in `folder`."""
    prefix = os.fsencode(folder) + b"/"
    pids = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().rstrip(b"\0").split(b"\0")
        except OSError:
            continue
        if any(argument.startswith(prefix) for argument in arguments):
            pids.append(int(path.parent.name))
    return pids


def end_all_below(folder: Path) -> None:
    """Kill what still runs with an argument below a folder."""
    for pid in with_argument_below(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def open_files(pid: int) -> tuple[int, int]:
    """Return how many files a process has open, and how many it may have."""
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    most = next(line for line in limits if line.startswith("Max open files"))
    return len(list(Path(f"/proc/{pid}/fd").iterdir())), int(most.split()[3])


def shortage(folder: Path) -> str | None:
    """Return what of this machine is about to run out: memory, disk under `folder`, processes."""
    if (left := _available_bytes()) < SPARE_BYTES:
        return f"{left >> 20} MB of memory are left"
    disk = os.statvfs(folder)
    if (left := disk.f_bavail * disk.f_frsize) < SPARE_BYTES:
        return f"{left >> 20} MB of disk are left"
    most = int(Path("/proc/sys/kernel/pid_max").read_text())
    there = int(Path("/proc/loadavg").read_text().split()[3].split("/")[1])
    if most - there < SPARE_PROCESSES:
        return f"{there} of {most} processes and threads are there"
    return None


def _available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return SPARE_BYTES
