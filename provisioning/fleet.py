"""Runs virtual devices: one MicroPython process each, one thread for all of them.

A device that resets itself is started again with its flash as it is, and so is one whose watchdog
was not fed: that sits here, where a device that hangs cannot keep it from biting. One that
switched itself off or whose battery was pulled stays off. `python -m provisioning.fleet HOME` runs
every device of a home until it is told to stop.
"""

import argparse
import fcntl
import logging
import os
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from provisioning.application import FIRMWARE
from provisioning.errors import ProvisioningError

logger = logging.getLogger(__name__)

EXIT_OFF, EXIT_RESET, EXIT_NO_BOOT = 0, 3, 4  # firmware/boards/virtual/rom/launcher.py.
STOP_WAIT_S = 10.0
# A device that resets at once, again and again, must not take the machine with it.
_RESTART_DELAY_S = 1.0
_HEALTHY_AFTER_S = 5.0
# How often it is looked which watchdogs were fed. All devices say so in one pipe: a fleet of
# thousands feeds some thousand times a second, and must not wake this thread for each.
_LOOK_S = 1.0
_PIPE_BYTES = 1 << 20
_LAUNCHER = FIRMWARE / "boards" / "virtual" / "rom" / "launcher.py"


def micropython_program() -> str:
    """Return the MicroPython that plays the chip: XUNHU_MICROPYTHON, else the locked wheel's.

    Raises:
        ProvisioningError: There is none.
    """
    named = os.environ.get("XUNHU_MICROPYTHON")
    beside = Path(sys.executable).with_name("micropython")
    for candidate in [named] if named else [str(beside), "micropython"]:
        program = shutil.which(candidate)
        if program:
            return program
    raise ProvisioningError(f"no MicroPython: {named or beside} cannot be run")


@dataclass
class _Device:
    """One device that is switched on."""

    folder: Path
    process: "subprocess.Popen[bytes]"
    start: bytes  # As which it feeds its watchdog.
    started_s: float
    watch: int = -1  # A pidfd, readable when the process has ended.
    bites_s: float | None = None  # When its watchdog bites; None: it was never started.
    bitten: bool = False


class VirtualFleet:
    """Switches virtual devices on and off; usable as a context manager.

    Args:
        program: The MicroPython to run, else `micropython_program()`.
        options: Its options, such as ("-X", "heapsize=120k").
        environment: Added to the environment of every device.
        launcher: What it runs, else the one of the virtual board.
    """

    def __init__(
        self,
        program: str | None = None,
        *,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        launcher: Path | None = None,
    ) -> None:
        script = str(launcher or _LAUNCHER)
        self._command = [program or micropython_program(), *options, script]
        self._environment = {**os.environ, **(environment or {})}
        self._lock = threading.Lock()
        self._devices: dict[str, _Device] = {}
        self._due: dict[str, tuple[float, Path]] = {}
        self._selector = selectors.DefaultSelector()
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_out, False)
        self._selector.register(self._wake_out, selectors.EVENT_READ, None)
        self._fed_out, self._fed_in = os.pipe()
        for end in (self._fed_out, self._fed_in):
            os.set_blocking(end, False)
        _allow_feeding(self._fed_in)
        self._fed_rest = b""
        self._starts = 0
        self._watched: dict[bytes, _Device] = {}
        self._stopping = False
        _allow_files()
        self._thread = threading.Thread(target=self._watch, name="virtual-fleet", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, folder: Path) -> None:
        """Switch a device on.

        Raises:
            ProvisioningError: It runs already, or its process cannot be started.
        """
        with self._lock:
            if folder.name in self._devices or folder.name in self._due:
                raise ProvisioningError(f"{folder.name} runs already")
            self._spawn(folder)

    def kill(self, device_id: str) -> None:
        """Pull a device's battery: it ends at once, wherever it is, and stays off."""
        with self._lock:
            self._due.pop(device_id, None)
            device = self._devices.pop(device_id, None)
            if device is None:
                return
            self._forget(device)
        device.process.kill()
        device.process.wait()

    def pid(self, device_id: str) -> int:
        """Return the process of a running device, for what only a test does to it."""
        with self._lock:
            return self._devices[device_id].process.pid

    def running(self, device_id: str) -> bool:
        """Tell whether a device is on, or about to start again."""
        with self._lock:
            return device_id in self._devices or device_id in self._due

    def stop(self) -> None:
        """Switch every device off."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
            devices = list(self._devices.values())
        os.write(self._wake_in, b"x")
        self._thread.join()
        for device in devices:
            device.process.send_signal(signal.SIGTERM)
        deadline_s = time.monotonic() + STOP_WAIT_S
        for device in devices:
            try:
                device.process.wait(max(0.1, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                device.process.kill()
                device.process.wait()
            os.close(device.watch)
        self._selector.close()
        for end in (self._wake_in, self._wake_out, self._fed_in, self._fed_out):
            os.close(end)

    def _spawn(self, folder: Path) -> None:
        if self._stopping:
            raise ProvisioningError("this fleet was stopped")
        # A number of its own for each start: what the one before still said must not count.
        self._starts += 1
        start = str(self._starts)
        try:
            with (folder / "console.log").open("ab") as console:
                process = subprocess.Popen(  # noqa: S603 - our own command
                    [*self._command, str(folder), f"{self._fed_in}:{start}"],
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    cwd=folder,
                    start_new_session=True,
                    pass_fds=(self._fed_in,),
                )
        except OSError as error:
            raise ProvisioningError(f"{folder.name} cannot be started: {error}") from error
        device = _Device(
            folder, process, start.encode(), time.monotonic(), os.pidfd_open(process.pid)
        )
        self._devices[folder.name] = self._watched[device.start] = device
        self._selector.register(device.watch, selectors.EVENT_READ, device)
        # The thread may be asleep over an older set.
        os.write(self._wake_in, b"x")

    def _forget(self, device: _Device) -> None:
        self._selector.unregister(device.watch)
        os.close(device.watch)
        del self._watched[device.start]

    def _watch(self) -> None:
        """Start again what reset itself or hangs; lives until `stop`."""
        look_s = 0.0
        while True:
            with self._lock:
                dues_s = [due_s for due_s, _ in self._due.values()]
                if self._devices:
                    dues_s.append(look_s)
            wait_s = max(0.0, min(dues_s) - time.monotonic()) if dues_s else None
            events = self._selector.select(wait_s)
            with self._lock:
                if self._stopping:
                    return
                for key, _ in events:
                    device: _Device | None = key.data
                    if device is None:
                        os.read(self._wake_out, 4096)
                    elif self._devices.get(device.folder.name) is device:
                        self._ended(device)
                self._start_due()
                if time.monotonic() >= look_s:
                    self._look_at_watchdogs()
                    look_s = time.monotonic() + _LOOK_S

    def _look_at_watchdogs(self) -> None:
        now_s = time.monotonic()
        for line in self._read_fed():
            start, _, timeout_ms = line.partition(b" ")
            if start in self._watched:
                self._watched[start].bites_s = now_s + int(timeout_ms) / 1000
        for device in self._watched.values():
            if device.bites_s is not None and now_s >= device.bites_s and not device.bitten:
                logger.warning("%s did not feed its watchdog", device.folder.name)
                device.bitten = True
                (device.folder / "reset.txt").write_text("watchdog")
                device.process.kill()

    def _read_fed(self) -> list[bytes]:
        """Return the lines that were written since it was asked last."""
        said = self._fed_rest
        try:
            while piece := os.read(self._fed_out, _PIPE_BYTES):
                said += piece
        except BlockingIOError:
            pass
        *lines, self._fed_rest = said.split(b"\n")
        return lines

    def _ended(self, device: _Device) -> None:
        self._forget(device)
        name = device.folder.name
        del self._devices[name]
        code = device.process.wait()
        if code in (EXIT_OFF, EXIT_NO_BOOT):
            logger.info("%s is off (exit code %d)", name, code)
            return
        if code != EXIT_RESET and not device.bitten:
            logger.warning("%s crashed with %d; see its console.log", name, code)
            # What the chip's own panic handler would leave behind.
            (device.folder / "reset.txt").write_text("panic")
        lived_s = time.monotonic() - device.started_s
        delay_s = 0.0 if lived_s > _HEALTHY_AFTER_S else _RESTART_DELAY_S
        self._due[name] = (time.monotonic() + delay_s, device.folder)

    def _start_due(self) -> None:
        now_s = time.monotonic()
        for name, (due_s, folder) in list(self._due.items()):
            if due_s <= now_s:
                del self._due[name]
                try:
                    self._spawn(folder)
                except ProvisioningError:
                    logger.exception("%s stays off", name)


def _allow_files() -> None:
    """Take all open files that the system grants: each device is watched through one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _allow_feeding(pipe: int) -> None:
    """Make room for what a large fleet writes between two looks, if the system grants it."""
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError as error:
        logger.info("a pipe of the usual size only: %s", error)


def main() -> int:
    """Run every device of a home until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("home", type=Path)
    folders = sorted((parser.parse_args().home / "devices").glob("*/flash.bin"))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    with VirtualFleet() as fleet:
        for path in folders:
            if told.is_set():
                break
            fleet.start(path.parent)
        logger.info("%d virtual devices are on", len(folders))
        told.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
