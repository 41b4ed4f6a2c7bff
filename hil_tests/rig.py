"""A rig that is open: its servers run, its boards are held, its places are lent out."""

import itertools
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from hil_tests.errors import NotOnThisRigError
from hil_tests.fault_proxy import FaultNetwork
from hil_tests.place import Place
from hil_tests.record import Record
from hil_tests.rig_file import BoardSpec, Rig
from hil_tests.runner import Play
from hil_tests.scenario_file import DEVICE_KINDS, Scenario
from hil_tests.servers import Servers
from hil_tests.small_chip import FREE_BYTES_MIN, small_chip
from hil_tests.virtual_board import VirtualBoard
from provisioning.fleet import VirtualFleet

if TYPE_CHECKING:
    from hil_tests.bench_board import Bench
    from hil_tests.board import Board


class OpenRig:
    """Everything of a rig file, started; a context manager.

    Args:
        rig: What there is.
        home: Where authority and stores are, unless the rig has a place of its own.
    """

    def __init__(self, rig: Rig, home: Path) -> None:
        self.rig = rig
        self.is_virtual = all(board.backend == "virtual" for board in rig.boards)
        self.servers = Servers(rig.home or home)
        self._network = FaultNetwork()
        self._home = home
        self._fleets: dict[str, VirtualFleet] = {}
        self._bench: Bench | None = None
        self._boards: list[Board] = []
        self._places: dict[str, queue.SimpleQueue[Place]] = {
            kind: queue.SimpleQueue() for kind in DEVICE_KINDS
        }
        self._numbers = itertools.count(1)
        self._devices: dict[str, str] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        try:
            self.servers.start()
            for number, (spec, name) in enumerate(_each(self.rig)):
                self._add(spec, name, number)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def width(self) -> int:
        """How many runs can go on at once."""
        return len(self._boards)

    @contextmanager
    def place(self, kind: str) -> Iterator[Place]:
        """Lend a place with a board of this kind; waits until one is free.

        Raises:
            NotOnThisRigError: The rig has no such board.
        """
        if not any(board.kind == kind for board in self._boards):
            raise NotOnThisRigError(f"rig {self.rig.name} has no {kind}")
        place = self._places[kind].get()
        try:
            yield place
        finally:
            self._places[kind].put(place)

    def run(self, scenario: Scenario) -> Record:
        """Play a scenario on the next free place of its kind."""
        with self.place(scenario.device) as place:
            return Play(scenario, place).run(self.device_for(place))

    def device_for(self, place: Place) -> str:
        """Return the id that a board is flashed with: its own, or a new one."""
        fixed = self._devices.get(place.board.name)
        if fixed:
            return fixed
        with self._lock:
            return f"{place.board.kind[0]}-hil-{next(self._numbers):03}"

    def close(self) -> None:
        """Switch everything off."""
        for board in self._boards:
            board.close()
        self._boards.clear()
        if self._bench is not None:
            self._bench.close()
            self._bench = None
        for fleet in self._fleets.values():
            fleet.stop()
        self._network.close()
        self.servers.stop()

    def _fleet(self, heap: str) -> VirtualFleet:
        """Return what runs the virtual boards that have this much memory."""
        if heap not in self._fleets:
            self._fleets[heap] = VirtualFleet() if heap == "host" else self._small(heap)
        return self._fleets[heap]

    def _small(self, heap: str) -> VirtualFleet:
        chip = small_chip(self._home / f"chip-{heap}", in_pieces=heap == "pieces")
        return VirtualFleet(chip.program, options=chip.options, launcher=chip.launcher)

    def _open_bench(self) -> "Bench":
        if self._bench is None:
            # Who has no bench needs neither mpremote nor pyserial.
            from hil_tests.bench_board import Bench

            self._bench = Bench(self.rig, self.servers)
        return self._bench

    def _add(self, spec: BoardSpec, name: str, number: int) -> None:
        board: Board
        if spec.backend == "virtual":
            board = VirtualBoard(name, spec.kind, self.servers, self._fleet(spec.heap))
            board.heap_free_min = FREE_BYTES_MIN if spec.heap == "chip" else None
        else:
            board = self._open_bench().open(spec)
        self._boards.append(board)
        if spec.device:
            self._devices[name] = spec.device
        port = self.rig.first_port + number if self.rig.first_port else 0
        line = self._network.line(
            self.servers.broker, listen=(self.rig.listen, port), seed=number + 1
        )
        self._places[spec.kind].put(Place(board, line, self.servers, self.rig.faults))


def _each(rig: Rig) -> Iterator[tuple[BoardSpec, str]]:
    """Yield every board with a name of its own, copies too."""
    for spec in rig.boards:
        for copy in range(spec.copies):
            yield spec, spec.name if spec.copies == 1 else f"{spec.name}-{copy + 1}"
