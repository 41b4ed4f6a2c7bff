"""What every board of a rig can be asked for, whatever plays it; and what it may not offer."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hil_tests.errors import NotOnThisRigError

Key = tuple[str, int, int]  # (stream, epoch, seq) of a record.


@dataclass(frozen=True)
class Flashing:
    """What a board is flashed with before a run.

    Attributes:
        broker: Address and port at which it finds its broker: the fault proxy.
        settings: Added to its configuration.
        named_networks: It shall join `networks` by name; else whatever network it has.
    """

    device: str
    kind: str
    broker: tuple[str, int]
    duty: bool
    settings: Mapping[str, Any] = field(default_factory=dict)
    named_networks: bool = False


@dataclass(frozen=True)
class Firmware:
    """What runs on a board."""

    version: str
    hash: str
    board: str


class Board(ABC):
    """One board.

    Attributes:
        name: In the rig file.
        kind: terminal | sensor_node.
        offers: What can be done to it and seen of it: power, bootloader, press:<button>,
            receiver, link, clock, reset, sensor:<name>, battery, screen, light, vibrate,
            sealed, networks.
        networks: Name and password of the Wi-Fi networks that are there for it.
        watched: What `look` shall see beside the screen: light, vibrate.
        heap_free_min: Bytes of heap that each state must say are free; None: they count not.
    """

    def __init__(self, name: str, kind: str, offers: frozenset[str]) -> None:
        self.name, self.kind, self.offers = name, kind, offers
        self.networks: tuple[tuple[str, str], ...] = ()
        self.watched: set[str] = set()
        self.heap_free_min: int | None = None

    def need(self, *wanted: str) -> None:
        """Raise NotOnThisRigError unless all of this is there."""
        missing = sorted(set(wanted) - self.offers)
        if missing:
            raise NotOnThisRigError(f"board {self.name} has no {', '.join(missing)}")

    @abstractmethod
    def prepare(self, flashing: Flashing) -> Firmware:
        """Put this checkout's firmware and these settings on it; it is off afterwards."""

    @abstractmethod
    def power(self, *, on: bool) -> None:
        """Give it power, or take it."""

    @abstractmethod
    def bootloader(self) -> None:
        """Start the chip, which is off, so that it listens to a flash tool."""

    @abstractmethod
    def is_running(self) -> bool:
        """Tell whether the application has shown itself since the power came."""

    @abstractmethod
    def press(self, button: str) -> None:
        """Press a button and keep it down."""

    @abstractmethod
    def release(self, button: str) -> None:
        """Let go of a button."""

    @abstractmethod
    def say(self, data: bytes) -> None:
        """Send bytes over the receiver's line; lost when the board is off."""

    @abstractmethod
    def link(self, *, up: bool) -> None:
        """Give or take the network, where the board itself offers `link`."""

    @abstractmethod
    def reset(self) -> None:
        """Start it again; flash and clock stay."""

    @abstractmethod
    def clock(self, unix_s: int) -> None:
        """Set the chip's clock and start it again."""

    @abstractmethod
    def sensor(self, name: str, value: int) -> None:
        """Let a sensor measure a value."""

    @abstractmethod
    def battery(self, mv: int) -> None:
        """Set the voltage that it measures."""

    @abstractmethod
    def look(self) -> list[tuple[str, Any]]:
        """Return what was perceived since the last look: (screen, lines), (light, pattern)..."""

    @abstractmethod
    def sealed(self) -> dict[Key, int] | None:
        """Return every record that it sealed and how many are in it; None: it cannot be seen."""

    def complaints(self) -> list[str]:
        """Return what it said on its console since it was flashed that must never be said."""
        return []

    @abstractmethod
    def close(self) -> None:
        """Let go of everything that belongs to the rig."""
