"""Counts what one TLS connection costs on the wire, packet by packet, on loopback.

`PacketCapture` listens on the loopback interface with a raw socket (Linux, CAP_NET_RAW) and counts
the total length of every IP packet to or from one server port: IP and TCP headers included,
acknowledgements, resends and handshakes too. `ProxyCapture` stands in for it where raw sockets
are not permitted: a TCP relay that sees the same bytes, and adds for every piece of data its
headers and one acknowledgement of its own (an upper bound: some travel with an answer).
"""

from __future__ import annotations

import contextlib
import ctypes
import select
import socket
import struct
import threading
import time
from typing import NamedTuple

ETH_P_IP = 0x0800
HEADERS_BYTES = 52  # IPv4 20, TCP 20, and the time stamps option 12, as Linux sends them.
# Loopback carries 64 KiB in one packet; what is longer than this would be several elsewhere.
SEGMENT_BYTES = 1448
TCP_FLAGS, TCP_SYN = 0x17, 0x02  # Of ACK, RST, SYN and FIN; the first packet is a SYN alone.
_SNAP_BYTES = 65_535
_FLUSH_S = 0.2


class Piece(NamedTuple):
    """What one packet (or relayed piece) was: `records` are the sizes of the TLS records that
    begin in it, as (content type, bytes with header)."""

    at_s: float
    up: bool
    wire_bytes: int
    data_bytes: int
    records: tuple[tuple[int, int], ...]


class _Records:
    """Follows the TLS records of one direction of a connection."""

    def __init__(self) -> None:
        self._rest = b""
        self._skip = 0

    def take(self, data: bytes) -> tuple[tuple[int, int], ...]:
        found = []
        data = self._rest + data
        self._rest = b""
        at = self._skip
        while at + 5 <= len(data):
            size = 5 + int.from_bytes(data[at + 3 : at + 5], "big")
            found.append((data[at], size))
            at += size
        if at < len(data):
            self._rest, at = data[at:], len(data)
        self._skip = at - len(data)
        return tuple(found)


class Flow:
    """Everything that one client port exchanged with the server."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self._records = {True: _Records(), False: _Records()}
        self._next = {True: None, False: None}

    def add(self, up: bool, wire_bytes: int, data: bytes, sequence: int | None = None) -> None:
        records: tuple[tuple[int, int], ...] = ()
        # Bytes that were sent before (a resend) are counted, but begin no records.
        fresh = sequence is None or self._next[up] in (None, sequence)
        if data and fresh:
            records = self._records[up].take(data)
            if sequence is not None:
                self._next[up] = (sequence + len(data)) & 0xFFFFFFFF
        self.pieces.append(Piece(time.monotonic(), up, wire_bytes, len(data), records))


class PacketCapture:
    """A raw socket on loopback.

    Raises:
        PermissionError: This user may not open one.
    """

    how = "AF_PACKET on lo: IP total length of every packet, both directions"
    raw = True

    def __init__(self, server_port: int) -> None:
        self.port = server_port
        self.flows: dict[int, Flow] = {}
        # Without a protocol it hears nothing yet: what is queued before the filter would stay.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024 * 1024)
        _only_port(self._socket, server_port)
        self._socket.bind(("lo", ETH_P_IP))
        self._socket.settimeout(_FLUSH_S)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        buffer = bytearray(_SNAP_BYTES)
        view = memoryview(buffer)
        while not self._stopping.is_set():
            try:
                size = self._socket.recv_into(buffer)
            except TimeoutError:
                continue
            self._take(view[:size])

    def _take(self, packet: memoryview) -> None:
        ip_header = (packet[0] & 15) * 4
        source, target, sequence = struct.unpack_from(">HHI", packet, ip_header)
        up = target == self.port
        total = struct.unpack_from(">H", packet, 2)[0] or len(packet)
        tcp_header = (packet[ip_header + 12] >> 4) * 4
        data = bytes(packet[ip_header + tcp_header : total])
        segments = max(1, -(-len(data) // SEGMENT_BYTES))
        total += (segments - 1) * (ip_header + tcp_header)
        client = source if up else target
        if client not in self.flows:
            if packet[ip_header + 13] & TCP_FLAGS != TCP_SYN:
                return  # The end of a connection from before, such as whoever asks if it is up.
            self.flows[client] = Flow()
        self.flows[client].add(up, total, data, sequence)

    def lost(self) -> int:
        """Packets that the kernel dropped since this was asked last: this program was too slow."""
        solpacket, packet_statistics = 263, 6
        said = self._socket.getsockopt(solpacket, packet_statistics, 8)
        return struct.unpack("II", said)[1]

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._socket.close()


def _only_port(capture: socket.socket, port: int) -> None:
    """Let the kernel drop what is not TCP of this port: others talk on loopback, too.

    A classic BPF program over the IP packet: (code, jump if true, jump if false, operand).
    """
    load_word, load_half_at_x, load_byte, load_header_x = 0x20, 0x48, 0x30, 0xB1
    equal, end = 0x15, 0x06
    program = (
        (load_word, 0, 0, 0xFFFFF004),  # The kind of packet (SKF_AD_OFF + SKF_AD_PKTTYPE).
        (equal, 7, 0, socket.PACKET_OUTGOING),  # Each on lo is seen twice; once is enough.
        (load_byte, 0, 0, 9),
        (equal, 0, 5, socket.IPPROTO_TCP),
        (load_header_x, 0, 0, 0),  # X: where TCP begins, with its two ports.
        (load_half_at_x, 0, 0, 0),
        (equal, 3, 0, port),
        (load_half_at_x, 0, 0, 2),
        (equal, 1, 0, port),
        (end, 0, 0, 0),
        (end, 0, 0, 0xFFFFFFFF),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    so_attach_filter = 26
    wanted = struct.pack("HP", len(program), ctypes.addressof(code))
    capture.setsockopt(socket.SOL_SOCKET, so_attach_filter, wanted)


class ProxyCapture:
    """A relay in front of the server; `port` is where clients connect to instead."""

    how = (
        "TCP relay (raw sockets are not permitted here): data bytes as relayed, plus an estimate "
        f"of {HEADERS_BYTES} bytes of headers and {HEADERS_BYTES} of acknowledgement a piece"
    )
    raw = False

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self.flows: dict[int, Flow] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._stopping = threading.Event()
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, address = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            flow = self.flows.setdefault(address[1], Flow())
            arguments = (client, server, flow)
            threading.Thread(target=self._relay, args=arguments, daemon=True).start()

    def _relay(self, client: socket.socket, server: socket.socket, flow: Flow) -> None:
        with contextlib.suppress(OSError), client, server:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while not self._stopping.is_set():
                readable, _, _ = select.select([client, server], [], [], _FLUSH_S)
                for side in readable:
                    data = side.recv(_SNAP_BYTES)
                    if not data:
                        return
                    segments = -(-len(data) // SEGMENT_BYTES)
                    up = side is client
                    flow.add(up, len(data) + 2 * HEADERS_BYTES * segments, data)
                    (server if up else client).sendall(data)

    def lost(self) -> int:
        return 0

    def stop(self) -> None:
        self._stopping.set()
        self._listener.close()


def open_capture(server_port: int, *, proxy: bool = False) -> PacketCapture | ProxyCapture:
    """Return the raw socket where it is permitted, else the relay."""
    if not proxy:
        try:
            return PacketCapture(server_port)
        except PermissionError:
            print("raw sockets are not permitted here: a TCP relay and an estimate instead")
    return ProxyCapture(server_port)
