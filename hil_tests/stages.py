"""The stages of a device, and the way from each to each: tests ask for a stage, never for a port.

    off ---- bootloader          the chip listens to a flash tool
     |
    booted                       the application runs, without a network
     |
    online                       the gateway has stored that it is there
     |
    sos                          an SOS of its wearer is stored, and shown as stored

A transition that fails says what was seen last; nobody knows the stage then, and the next way
begins with switching off.
"""

from collections import deque
from typing import Protocol

from hil_tests.errors import StageError

STAGES = ("off", "bootloader", "booted", "online", "sos")
# (from, to) -> the method that goes there. A power cut is possible from everywhere.
TRANSITIONS = {
    ("off", "bootloader"): "enter_bootloader",
    ("off", "booted"): "boot",
    ("booted", "online"): "join",
    ("online", "booted"): "leave",
    ("online", "sos"): "raise_sos",
    ("sos", "online"): "end_sos",
    ("bootloader", "off"): "switch_off",
    ("booted", "off"): "switch_off",
    ("online", "off"): "switch_off",
    ("sos", "off"): "switch_off",
}


class Steps(Protocol):
    """What leads from stage to stage; each method returns when it is there, or raises."""

    def switch_off(self) -> None:
        """Take the power away."""

    def enter_bootloader(self) -> None:
        """Start the chip so that it listens to a flash tool."""

    def boot(self) -> None:
        """Switch on without a network and wait for the application."""

    def join(self) -> None:
        """Give it a network and wait until the gateway has stored its state."""

    def leave(self) -> None:
        """Take the network away and wait until that shows."""

    def raise_sos(self) -> None:
        """Press SOS and wait until the wearer is told that it is stored."""

    def end_sos(self) -> None:
        """Close its case and wait until the wearer is told."""


class Strategy:
    """Brings one device to a stage.

    Attributes:
        stage: Where it is as far as known; None: nobody knows.
    """

    def __init__(self, steps: Steps) -> None:
        self.stage: str | None = None
        self._steps = steps

    def reach(self, stage: str) -> None:
        """Bring the device to a stage by the shortest way.

        Raises:
            StageError: It did not get there.
        """
        if stage not in STAGES:
            raise StageError(f"{stage!r} is no stage; there are {', '.join(STAGES)}")
        if self.stage is None:
            self._steps.switch_off()
            self.stage = "off"
        for step_to in path(self.stage, stage):
            step = getattr(self._steps, TRANSITIONS[self.stage, step_to])
            self.stage = None
            step()
            self.stage = step_to

    def forget(self) -> None:
        """Something happened behind our back, such as a reset: the stage is unknown."""
        self.stage = None


def path(start: str, goal: str) -> list[str]:
    """Return the stages to go through from `start` to `goal`, without `start`."""
    ways: dict[str, list[str]] = {start: []}
    waiting = deque([start])
    while waiting:
        at = waiting.popleft()
        if at == goal:
            return ways[at]
        for here, there in TRANSITIONS:
            if here == at and there not in ways:
                ways[there] = [*ways[at], there]
                waiting.append(there)
    raise StageError(f"no way leads from {start} to {goal}")
