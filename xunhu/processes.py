"""Child processes of one machine: started in order, logged to files, restarted when they die.

Owns starting, watching and stopping; knows nothing of what the children do. A child that keeps
dying is started ever more slowly, up to `RESTART_DELAY_MAX_S`, and never given up on: a command
room that is down at three in the morning must come back by itself.
"""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xunhu.errors import XunhuError

logger = logging.getLogger(__name__)

RESTART_DELAY_FIRST_S = 1.0
RESTART_DELAY_MAX_S = 5.0
HEALTHY_AFTER_S = 10.0  # A child that lived this long starts again with the shortest delay.
STOP_WAIT_S = 10.0
# Stopped (SIGSTOP) for so long, a child is killed and started again: frozen within a transaction
# it would hold SQLite's lock, and with it everybody else, for as long as it is frozen.
FROZEN_S_MAX = 10.0
_WATCH_PERIOD_S = 0.2


@dataclass(frozen=True)
class Command:
    """What to run: a name for people, the arguments, and what is added to the environment."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class Child:
    """One command kept running; `process` is the current run."""

    def __init__(self, command: Command, log_folder: Path) -> None:
        self.command = command
        self.log_path = log_folder / f"{command.name}.log"
        self.restarts = 0
        self._delay_s = RESTART_DELAY_FIRST_S
        self._due_s: float | None = None
        self._started_s = 0.0
        self._frozen_since_s: float | None = None
        self._pid_path = log_folder / f"{command.name}.pid"
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        self._started_s = time.monotonic()
        with self.log_path.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - arguments are our own
                list(self.command.arguments),
                env={**os.environ, **self.command.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Its own group: a Ctrl-C in the terminal reaches `up` alone, which stops in order.
                start_new_session=True,
            )
        # Beside the log, for whoever must find the process: an administrator, a test.
        unfinished = self._pid_path.with_suffix(".unfinished")
        unfinished.write_text(f"{process.pid}\n", encoding="ascii")
        unfinished.replace(self._pid_path)
        return process

    def tend(self) -> None:
        """Start the child again if it died and its delay has passed; end one that is frozen."""
        if self.process.poll() is None:
            self._mind_freezing()
            return
        now_s = time.monotonic()
        if self._due_s is None:
            if now_s - self._started_s > HEALTHY_AFTER_S:
                self._delay_s = RESTART_DELAY_FIRST_S
            self._due_s = now_s + self._delay_s
            logger.warning(
                "%s ended with %s; again in %.0f s (log: %s)",
                self.command.name, self.process.returncode, self._delay_s, self.log_path,
            )  # fmt: skip
            self._delay_s = min(2 * self._delay_s, RESTART_DELAY_MAX_S)
        elif now_s >= self._due_s:
            self._due_s = None
            self.restarts += 1
            self.process = self._start()

    def _mind_freezing(self) -> None:
        if not _is_stopped(self.process.pid):
            self._frozen_since_s = None
            return
        now_s = time.monotonic()
        if self._frozen_since_s is None:
            self._frozen_since_s = now_s
        elif now_s - self._frozen_since_s > FROZEN_S_MAX:
            logger.error("%s is frozen for %.0f s: killed", self.command.name, FROZEN_S_MAX)
            self._frozen_since_s = None
            self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send a signal to the child's whole group, if it still runs."""
        if self.process.poll() is None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                logger.debug("%s ended by itself", self.command.name)


class Processes:
    """All children of one `xunhu up`, stopped in the reverse order of their start."""

    def __init__(self, log_folder: Path) -> None:
        log_folder.mkdir(parents=True, exist_ok=True)
        self._log_folder = log_folder
        self.children: list[Child] = []

    def start(self, command: Command) -> Child:
        """Start one more child; raises XunhuError when its program cannot be run at all."""
        try:
            child = Child(command, self._log_folder)
        except OSError as error:
            raise XunhuError(
                f"{command.name}: cannot run {command.arguments[0]}: {error}"
            ) from error
        self.children.append(child)
        return child

    def start_and_wait(self, command: Command, ready: Callable[[], bool], wait_s: float) -> Child:
        """Start a child and return once `ready()`; XunhuError if it dies or takes longer."""
        child = self.start(command)
        deadline_s = time.monotonic() + wait_s
        while not ready():
            if child.process.poll() is not None:
                raise XunhuError(f"{command.name} ended at once: {last_line(child.log_path)}")
            if time.monotonic() > deadline_s:
                raise XunhuError(
                    f"{command.name} is not ready after {wait_s:.0f} s: {child.log_path}"
                )
            time.sleep(0.05)
        return child

    def watch(self, until: Callable[[], bool]) -> None:
        """Keep every child running until told to stop."""
        while not until():
            for child in self.children:
                child.tend()
            time.sleep(_WATCH_PERIOD_S)

    def stop(self) -> None:
        """Ask every child to end, last one first, and kill what has not ended after a while."""
        for child in reversed(self.children):
            child.signal(signal.SIGTERM)
        deadline_s = time.monotonic() + STOP_WAIT_S
        for child in reversed(self.children):
            try:
                child.process.wait(max(0.1, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.warning("%s did not end in %.0f s: killed", child.command.name, STOP_WAIT_S)
                child.signal(signal.SIGKILL)
                child.process.wait()


def last_line(path: Path) -> str:
    """Return the last line with text of a log file, for an error message."""
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"nothing in {path}"


def _is_stopped(pid: int) -> bool:
    """Tell whether a process stands still by SIGSTOP; one held by a debugger does not count."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:  # It ended just now, or this is no Linux.
        return False
    return stat.rpartition(") ")[2].startswith("T")
