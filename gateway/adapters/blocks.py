"""Answers devices that fetch an application: manifest and blocks out of the application store.

A path of its own, with its own connection and thread: what it sends is large and never urgent, so
neither an SOS nor a track may ever wait for it. Requests are QoS 0 and come again when no answer
does; so what is too much is let go and counted. One of all gateways gets each of them.
"""

import logging
import threading
import time
from collections import deque

from gateway.adapters.directory import Directory
from gateway.adapters.metrics import Metrics
from gateway.adapters.mqtt_connection import Incoming, MqttConnection
from gateway.adapters.pulse import Pulse
from gateway.domain.flow import Flow
from storage.applications import ApplicationStore
from storage.errors import StorageError, StoreAway
from wire_protocol import blocks, topics
from wire_protocol.errors import WireError

logger = logging.getLogger(__name__)

SUBSCRIPTION = [("$share/gateway/xh/1/+/up/block_request", 0)]
# Two for each of a hundred devices that fetch at once.
WAITING_MAX = 200
# With what two seconds may hold back, a whole slot in one go; no radio of a device is faster.
DEVICE_BYTES_PER_S = 65_536
DEVICES_MAX = 10_000
_WAIT_S = 0.5


class BlockDesk:
    """Takes requests from paho's thread and answers them in one of its own."""

    def __init__(
        self,
        store: ApplicationStore,
        directory: Directory,
        metrics: Metrics,
        pulse: Pulse,
        bytes_per_s: int,
    ) -> None:
        self._store = store
        self._directory = directory
        self._metrics = metrics
        self._pulse = pulse
        self._all = Flow(bytes_per_s)
        self._each: dict[str, Flow] = {}
        self._waiting: deque[Incoming] = deque()
        self._filled = threading.Event()
        self._stopping = threading.Event()

    def receive(self, message: Incoming) -> None:
        """Take a request; called by paho's thread."""
        if len(self._waiting) >= WAITING_MAX:
            self._metrics.let_go.labels("blocks").inc()
            return
        self._waiting.append(message)
        self._filled.set()

    def run(self, connection: MqttConnection) -> None:
        """Work until stopped; the body of the thread."""
        while not self._stopping.is_set():
            self._pulse.beat()
            if not self._waiting:
                self._filled.wait(_WAIT_S)
                self._filled.clear()
                continue
            message = self._waiting.popleft()
            try:
                self._answer(message, connection)
            except Exception:
                # Whatever it is, it must not take the others with it.
                logger.exception("a block request on %s failed", message.topic)
                self._metrics.failures.labels("blocks").inc()

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()
        self._filled.set()

    def _answer(self, message: Incoming, connection: MqttConnection) -> None:
        try:
            device, _, _ = topics.parse(message.topic)
            request = blocks.parse_request(message.payload)
            known = self._directory.knows(device)
        except WireError as error:
            self._refuse(message, str(error))
            return
        except StoreAway as error:
            logger.error("%s: block request let go: %s", message.topic[:80], error)
            self._metrics.blocks.labels("let_go").inc()
            return
        if not known:
            self._refuse(message, "unknown device")
            return
        size = request["pieces"].bit_count() * (blocks.PIECE_BYTES + blocks.HEADER_BYTES)
        if not self._take(device, size):
            self._metrics.blocks.labels("let_go").inc()
            return
        for payload in self._payloads(device, request):
            connection.publish(topics.down(device, "block"), payload)
            self._metrics.block_bytes.inc(len(payload))
        self._metrics.blocks.labels("answered").inc()

    def _refuse(self, message: Incoming, reason: str) -> None:
        logger.warning("%s: block request refused: %s", message.topic[:80], reason)
        self._metrics.blocks.labels("refused").inc()

    def _take(self, device: str, size: int) -> bool:
        now_s = time.monotonic()
        if len(self._each) >= DEVICES_MAX:
            self._each.clear()
        flow = self._each.setdefault(device, Flow(DEVICE_BYTES_PER_S))
        return flow.has(size, now_s) and self._all.take(size, now_s) and flow.take(size, now_s)

    def _payloads(self, device: str, request: dict[str, int | str]) -> list[bytes]:
        board, block = str(request["board"]), int(request["block"])
        release, wanted = int(request["release"]), int(request["pieces"])
        try:
            if not release:
                release = self._store.newest(board)
            if not release:
                raise StorageError(f"no application for {board}")  # noqa: TRY301 - as from read
            whole = self._store.read(board, release, block)
        except StorageError as error:
            logger.warning("%s: %s", device, error)
            return [blocks.make_refusal(release, block, str(error))]
        pieces = (len(whole) + blocks.PIECE_BYTES - 1) // blocks.PIECE_BYTES
        return [
            blocks.make_piece(release, block, piece, whole)
            for piece in range(pieces)
            if wanted >> piece & 1
        ]
