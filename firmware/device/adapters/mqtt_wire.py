"""One TLS connection that carries MQTT packets: whole packets in, whole packets out."""

import asyncio

from device.domain import mqtt_packets as packets
from device.errors import PeerError

WRITE_MS = 15_000
_NOTHING = bytearray(0)
USUAL_BYTES = 256  # Packets up to this long share one buffer; a longer one has its own.


class Wire:
    """A connection, or none; opened by `mqtt_open`, closed here.

    Attributes:
        stream: The asyncio stream, None when closed.
        raw: The stream of the socket below it.
        sent_ms: Uptime of the last packet of ours.
        heard_ms: Uptime of the last packet of the broker's.
    """

    def __init__(self, uptime_ms, stream=None) -> None:
        self.stream = self.raw = stream
        self.sent_ms = self.heard_ms = 0
        self._uptime_ms = uptime_ms
        self._buffer = memoryview(bytearray(USUAL_BYTES))

    async def write(self, packet) -> None:
        """Send one packet; OSError or TimeoutError if it cannot be sent whole in 15 s."""
        stream = self.stream
        stream.write(packet)
        if stream.out_buf:
            await asyncio.wait_for_ms(stream.drain(), WRITE_MS)
        self.sent_ms = self._uptime_ms()

    async def receive(self) -> tuple:
        """Return (first byte, body) of one packet; the body is good until the next call.

        Raises:
            PeerError: The packet's length is no length, or over our limit.
            OSError: The broker has closed the connection.
        """
        view = self._buffer
        await asyncio.sleep_ms(0)  # Others have their turn, however many packets are there.
        await self._fill(view[:2])
        first, size, shift = view[0], view[1] & 0x7F, 0
        while view[1] & 0x80:
            shift += 7
            if shift >= 7 * packets.LENGTH_BYTES_MAX:
                raise PeerError("remaining length of more than 4 bytes")
            await self._fill(view[1:2])
            size |= (view[1] & 0x7F) << shift
        if size > packets.PACKET_BYTES_MAX:
            raise PeerError("packet of {} bytes, over {}".format(size, packets.PACKET_BYTES_MAX))
        if size > USUAL_BYTES:
            view = memoryview(bytearray(size))
        await self._fill(view[:size])
        self.heard_ms = self._uptime_ms()
        return first, view[:size]

    def close(self) -> None:
        """End the connection, if there is one."""
        stream, self.stream, self.raw = self.stream, None, None
        if stream is not None:
            try:
                stream.s.close()
            except OSError:
                pass  # It is gone already; there is nobody to tell.

    async def _fill(self, view: memoryview) -> None:
        start = 0
        while start < len(view):
            # TLS may hold bytes that the socket no longer has: it is asked before the socket is.
            count = self.stream.s.readinto(view[start:])
            if count == 0:
                raise OSError("closed by the broker")
            if count:
                start += count
            else:
                # Reads nothing, but not before there is something to read. Waiting for TLS itself
                # would do, too: on a host MicroPython then looks a thousand times a second.
                await self.raw.readinto(_NOTHING)
