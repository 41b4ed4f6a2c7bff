"""A network with faults on purpose, between devices and their broker, in this process.

One thread with one event loop carries all lines. A line is one address at which one device finds
its broker; its faults are set and healed while it is in use. Connections pass through whole
(TLS and all): nothing here can read them.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from hil_tests.errors import RigError
from hil_tests.faults import NONE, Faults

_READ_BYTES = 4096
_QUEUE_PIECES = 16  # 64 KiB in flight each way, as a slow link holds; then TCP makes wait.
_SLICE_GAP_S = 0.001  # So that each slice is read by itself.
_ANSWER_WAIT_S = 10.0
_UPSTREAM_WAIT_S = 5.0
# Closing with this sends RST in place of FIN.
_LINGER_NOT = struct.pack("ii", 1, 0)


@dataclass
class Counts:
    """What happened on a line."""

    connections: int = 0
    refused: int = 0
    lost: int = 0
    reset: int = 0
    bytes: int = 0
    swallowed: int = 0


class FaultNetwork:
    """The thread that carries lines; a context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="fault-network", daemon=True
        )
        self._lines: list[Line] = []
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def line(
        self,
        upstream: tuple[str, int],
        *,
        listen: tuple[str, int] = ("127.0.0.1", 0),
        seed: int = 1,
    ) -> "Line":
        """Open a line to `upstream`; port 0 lets the system choose.

        Raises:
            RigError: It cannot listen there.
        """
        line = Line(self, upstream, seed)
        try:
            self.call(line.open(listen))
        except OSError as error:
            raise RigError(f"the fault proxy cannot listen on {listen}: {error}") from error
        self._lines.append(line)
        return line

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something in the loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_WAIT_S)

    def close(self) -> None:
        """Cut everything."""
        for line in self._lines:
            self.call(line.shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Line:
    """One address, one device, the faults between it and its broker.

    Attributes:
        host, port: Where the device connects.
        counts: What happened so far.
    """

    def __init__(self, network: FaultNetwork, upstream: tuple[str, int], seed: int) -> None:
        self.host, self.port = "", 0
        self.counts = Counts()
        self.faults = NONE
        self.random = random.Random(seed)  # Draws once a connection: the same fates for a seed.
        self.passing = asyncio.Event()
        self.passing.set()
        self.upstream = upstream
        self._network = network
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    # Called from any thread.

    def set(self, faults: Faults) -> None:
        """Let these faults begin, in place of those before."""
        self._network.call(self._set(faults))

    def heal(self) -> None:
        """End every fault; what was cut stays cut."""
        self.set(NONE)

    def hang_up(self) -> None:
        """Close what is connected, in an orderly way."""
        self._network.call(self._hang_up())

    def cut(self) -> None:
        """Reset what is connected, once."""
        self._network.call(self._cut())

    @property
    def connected(self) -> int:
        """How many connections a device has here now."""
        return len(self._connections)

    # In the loop's thread.

    async def open(self, listen: tuple[str, int]) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, *listen)
        self.host, self.port = self._server.sockets[0].getsockname()[:2]

    async def shut(self) -> None:
        """Stop listening and cut what is connected."""
        if self._server is not None:
            self._server.close()
        await self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # Transports say goodbye in the next round.

    async def _set(self, faults: Faults) -> None:
        self.faults = faults
        if faults.black_hole:
            self.passing.clear()
        else:
            self.passing.set()
        for connection in list(self._connections):
            connection.take(faults)

    async def _hang_up(self) -> None:
        for connection in list(self._connections):
            connection.close_device()

    async def _cut(self) -> None:
        for connection in list(self._connections):
            connection.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = _Connection(self, reader, writer)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            self._tasks.discard(task)


class _Connection:
    """One connection through a line; lives until both ends are closed or it is cut."""

    def __init__(
        self, line: Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._line = line
        self._device = (reader, writer)
        self._broker: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._left: int | None = None  # Bytes until it is cut.
        self._cut_is_loss = False
        self._deaf = False  # Half open: the broker's end is gone.
        self._work: list[asyncio.Task[None]] = []
        self._random = random.Random(line.random.random())
        line.counts.connections += 1

    def take(self, faults: Faults) -> None:
        """Obey faults that begin now."""
        self._left = None
        if faults.refuse:
            self._line.counts.refused += 1
            self.reset()
        elif self._random.random() < faults.loss:
            self._left, self._cut_is_loss = self._random.randrange(faults.loss_bytes), True
        elif faults.reset_bytes is not None:
            self._left, self._cut_is_loss = faults.reset_bytes, False
        if self._left == 0:
            self._cut()
        if faults.half_open and not self._deaf:
            self._deaf = True
            if self._broker is not None:
                _abort(self._broker[1])
        if faults.slow_close_s:
            self.close_device()

    def close_device(self) -> None:
        """Close the device's end; its broker hears of it as slowly as the faults say."""
        self._device[1].close()

    def reset(self) -> None:
        """End both ends with RST."""
        for end in (self._device, self._broker):
            if end is not None:
                _abort(end[1])
        for task in self._work:
            task.cancel()

    async def run(self) -> None:
        """Carry bytes both ways until it is over."""
        self.take(self._line.faults)
        try:
            if self._line.faults.refuse:
                return
            # The handshake of TCP itself would not get through either.
            await self._line.passing.wait()
            if not self._deaf:
                opening = asyncio.open_connection(*self._line.upstream)
                self._broker = await asyncio.wait_for(opening, _UPSTREAM_WAIT_S)
            if self._deaf or self._broker is None:
                await self._swallow()
                return
            self._work = [
                asyncio.ensure_future(self._carry(self._device[0], self._broker[1], up=True)),
                asyncio.ensure_future(self._carry(self._broker[0], self._device[1], up=False)),
            ]
            await asyncio.wait(self._work)
        except (OSError, TimeoutError):
            self.reset()
        finally:
            for task in self._work:
                task.cancel()
            for end in (self._device, self._broker):
                if end is not None:
                    end[1].close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool
    ) -> None:
        """Carry one way; ends when its reader does, and then closes its writer."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUE_PIECES)
        delivery = asyncio.ensure_future(self._deliver(queue, writer))
        try:
            while data := await self._read(reader):
                await queue.put((self._due_s(), data))
            await queue.put((self._due_s(), b""))
            await delivery
        finally:
            delivery.cancel()
        if self._deaf:
            return
        if up:
            await asyncio.sleep(self._line.faults.slow_close_s)
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.read(_READ_BYTES)
        except OSError:
            return b""

    def _due_s(self) -> float:
        faults = self._line.faults
        delay_ms = faults.latency_ms + self._random.random() * faults.jitter_ms
        return asyncio.get_running_loop().time() + delay_ms / 1000

    async def _deliver(
        self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        while True:
            due_s, data = await queue.get()
            await asyncio.sleep(max(0.0, due_s - asyncio.get_running_loop().time()))
            await self._line.passing.wait()
            if not data:
                return
            for piece in self._pieces(data):
                if not await self._pass(piece, writer):
                    return

    def _pieces(self, data: bytes) -> list[bytes]:
        most = self._line.faults.slice_bytes
        bandwidth = self._line.faults.bandwidth_bytes_s
        if bandwidth is not None:
            # Twenty pieces a second, so that it trickles.
            most = min(most or _READ_BYTES, max(1, bandwidth // 20))
        if most is None:
            return [data]
        pieces, at = [], 0
        while at < len(data):
            size = self._random.randint(1, most) if bandwidth is None else most
            pieces.append(data[at : at + size])
            at += size
        return pieces

    async def _pass(self, piece: bytes, writer: asyncio.StreamWriter) -> bool:
        """Write a piece as the faults let it; False when the connection is over."""
        line = self._line
        if self._deaf:
            line.counts.swallowed += len(piece)
            return True
        if self._left is not None and len(piece) >= self._left:
            self._cut()
            return False
        if self._left is not None:
            self._left -= len(piece)
        line.counts.bytes += len(piece)
        try:
            writer.write(piece)
            await writer.drain()
        except OSError:
            self.reset()
            return False
        if line.faults.bandwidth_bytes_s is not None:
            await asyncio.sleep(len(piece) / line.faults.bandwidth_bytes_s)
        elif line.faults.slice_bytes is not None:
            await asyncio.sleep(_SLICE_GAP_S)
        return True

    async def _swallow(self) -> None:
        """Take what the device says, for as long as it believes that somebody listens."""
        while data := await self._read(self._device[0]):
            self._line.counts.swallowed += len(data)

    def _cut(self) -> None:
        if self._cut_is_loss:
            self._line.counts.lost += 1
        else:
            self._line.counts.reset += 1
        self.reset()


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close with RST."""
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    writer.transport.abort()
