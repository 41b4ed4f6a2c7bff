"""A broker that misbehaves as it is told, behind real mutual TLS."""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.device.device_rig import PATIENCE_S

if TYPE_CHECKING:
    from tests.device.device_rig import Keys

LOOK_S = 0.02
CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ = 0x10, 0x30, 0x40, 0x82, 0xC0


@dataclass(frozen=True)
class Packet:
    """What came from the device."""

    first: int
    body: bytes
    at: float
    connection: int

    @property
    def kind(self) -> int:
        """Its type; SUBSCRIBE's flags belong to it."""
        return self.first & 0xF0 if self.first & 0xF0 != 0x80 else self.first

    @property
    def packet_id(self) -> int:
        """Of a PUBLISH with QoS 1, or of a SUBSCRIBE."""
        at = 0
        if self.kind == PUBLISH:
            at = 2 + int.from_bytes(self.body[:2], "big")
        return int.from_bytes(self.body[at : at + 2], "big")


@dataclass
class Manners:
    """What this broker does; changed by tests while it runs."""

    connack: bytes = b"\x20\x02\x00\x00"
    suback: bytes | None = None  # None: as it should be
    after_suback: bytes = b""
    acknowledge: bool = True
    answer_pings: bool = True
    close_after_connack: bool = False
    seen: list[Packet] = field(default_factory=list)


class FakeBroker:
    """Takes one connection after the other and keeps every packet."""

    def __init__(self, keys: Keys) -> None:
        self.manners = Manners()
        self.packets: queue.Queue[Packet] = queue.Queue()
        self.connections: list[float] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(keys.folder / "broker.pem", keys.folder / "broker.key")
        self._context.load_verify_locations(keys.folder / "ca.pem")
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._to_send: queue.Queue[bytes] = queue.Queue()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End everything."""
        # shutdown wakes the accept; close alone would not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        self._thread.join(PATIENCE_S)

    def drop(self) -> None:
        """Cut the connection that is open now."""
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def send(self, data: bytes) -> None:
        """Send bytes to the device that is connected now."""
        # Not from here: one thread only may work on a TLS connection.
        self._to_send.put(data)

    def wait(self, kind: int, patience_s: float = PATIENCE_S) -> Packet:
        """Return the next packet of a kind."""
        deadline = time.monotonic() + patience_s
        while True:
            packet = self.packets.get(timeout=max(0.01, deadline - time.monotonic()))
            if packet.kind == kind:
                return packet

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(time.monotonic())
            with raw:
                try:
                    with self._context.wrap_socket(raw, server_side=True) as connection:
                        self._open.append(connection)
                        self._serve(connection)
                except (OSError, EOFError):
                    pass

    def _serve(self, connection: ssl.SSLSocket) -> None:
        number = len(self.connections)
        manners = self.manners
        connection.settimeout(LOOK_S)
        while True:
            first, body = self._read(connection)
            packet = Packet(first, body, time.monotonic(), number)
            self.packets.put(packet)
            manners.seen.append(packet)
            if packet.kind == CONNECT:
                connection.sendall(manners.connack)
                if manners.close_after_connack:
                    return
            elif packet.kind == SUBSCRIBE:
                good = b"\x90\x03" + body[:2] + b"\x01"
                connection.sendall(
                    (good if manners.suback is None else manners.suback) + manners.after_suback
                )
            elif packet.kind == PUBLISH and first & 0x06 and manners.acknowledge:
                connection.sendall(b"\x40\x02" + packet.packet_id.to_bytes(2, "big"))
            elif packet.kind == PINGREQ and manners.answer_pings:
                connection.sendall(b"\xd0\x00")

    def _read(self, connection: ssl.SSLSocket) -> tuple[int, bytes]:
        first = self._exactly(connection, 1)[0]
        size = shift = 0
        while True:
            byte = self._exactly(connection, 1)[0]
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return first, self._exactly(connection, size)

    def _exactly(self, connection: ssl.SSLSocket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                more = connection.recv(size - len(data))
            except TimeoutError:
                while not self._to_send.empty():
                    connection.sendall(self._to_send.get())
                continue
            if not more:
                raise EOFError
            data += more
        return data


def publish(topic: str, payload: bytes, packet_id: int = 0, qos: int | None = None) -> bytes:
    """Return a PUBLISH to a device; QoS 1 with a packet id, unless told otherwise."""
    qos = (1 if packet_id else 0) if qos is None else qos
    body = len(topic).to_bytes(2, "big") + topic.encode()
    body += packet_id.to_bytes(2, "big") if qos else b""
    body += payload
    return bytes([0x30 | qos << 1]) + _length(len(body)) + body


def _length(size: int) -> bytes:
    found = b""
    while size > 127:
        found += bytes([size & 0x7F | 0x80])
        size >>= 7
    return found + bytes([size])
