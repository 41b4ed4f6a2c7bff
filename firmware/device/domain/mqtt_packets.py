"""MQTT 3.1.1 packets of a connection that is up: bytes in, bytes out, no I/O.

Names and numbers are those of the OASIS standard "MQTT Version 3.1.1", chapters 2 and 3; the
packets that open a connection are in `mqtt_greetings`.
"""

from device.errors import PeerError

CONNACK = 0x20
PUBLISH = 0x30
PUBACK = 0x40
SUBACK = 0x90
PINGRESP = 0xD0

PINGREQ_PACKET = b"\xc0\x00"

# The longest message for a device: a receipt with 32 singles in each of four streams, or a command
# whose 240 bytes of text are all escaped; both stay below 1,600 bytes.
PACKET_BYTES_MAX = 1792
TOPIC_BYTES_MAX = 96
LENGTH_BYTES_MAX = 4  # 2.2.3: the remaining length takes four bytes at most.


def publish(topic: str, payload: bytes, qos: int, packet_id: int, retain: bool) -> bytearray:
    """Return PUBLISH; `packet_id` counts only with QoS 1."""
    number = packet_id.to_bytes(2, "big") if qos else b""
    return pack(
        PUBLISH | qos << 1 | (1 if retain else 0), sized(topic.encode()) + number + payload
    )


def mark_duplicate(packet: bytearray) -> None:
    """Set the DUP flag of a PUBLISH that is sent again (3.3.1.1)."""
    packet[0] |= 0x08


def puback(packet_id: int) -> bytes:
    """Return PUBACK."""
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def acknowledged(body: bytes | memoryview) -> int:
    """Return the packet id of a PUBACK."""
    if len(body) != 2:
        raise PeerError("PUBACK of {} bytes, not 2".format(len(body)))
    return body[0] << 8 | body[1]


def split_publish(first: int, body: memoryview) -> tuple:
    """Return (topic, packet id or 0, payload) of a PUBLISH from the broker.

    Args:
        first: Its first byte: type and flags.
        body: What follows the remaining length; topic and payload are copied out of it.
    """
    qos = first >> 1 & 3
    if qos > 1 or len(body) < 2:
        raise PeerError("PUBLISH of QoS {}, {} bytes".format(qos, len(body)))
    end = 2 + (body[0] << 8 | body[1])
    if not 3 <= end <= 2 + TOPIC_BYTES_MAX or end + 2 * qos > len(body):
        raise PeerError("PUBLISH with a topic of {} bytes".format(end - 2))
    packet_id = 0
    if qos:
        packet_id = body[end] << 8 | body[end + 1]
        if packet_id == 0:
            raise PeerError("PUBLISH with packet id 0")
    return bytes(body[2:end]), packet_id, bytes(body[end + 2 * qos :])


def pack(first: int, body: bytes) -> bytearray:
    """Return a packet: first byte, remaining length (2.2.3), body."""
    packet = bytearray((first,))
    size = len(body)
    while size > 127:
        packet.append(size & 0x7F | 0x80)
        size >>= 7
    packet.append(size)
    packet += body
    return packet


def sized(data: bytes) -> bytes:
    """Return data behind its length in two bytes, as every text in MQTT is."""
    return len(data).to_bytes(2, "big") + data
