"""MQTT 3.1.1 packets, as far as a device needs them: bytes in, bytes out, no I/O.

Names and numbers are those of the OASIS standard "MQTT Version 3.1.1", chapters 2 and 3.
"""

from device.errors import PeerError

CONNACK = 0x20
PUBLISH = 0x30
PUBACK = 0x40
SUBACK = 0x90
PINGRESP = 0xD0

PINGREQ_PACKET = b"\xc0\x00"
DISCONNECT_PACKET = b"\xe0\x00"

# The longest message for a device: a receipt with 32 singles in each of four streams, or a command
# whose 240 bytes of text are all escaped; both stay below 1,600 bytes.
PACKET_BYTES_MAX = 2048
TOPIC_BYTES_MAX = 96
LENGTH_BYTES_MAX = 4  # 2.2.3: the remaining length takes four bytes at most.

_REFUSED = ("", "protocol version", "client id", "server unavailable", "user", "not authorised")


def connect(client_id: str, keepalive_s: int, will_topic: str, will: bytes) -> bytes:
    """Return CONNECT: clean session, a retained will of QoS 1; the certificate is the login."""
    # 3.1.2.3: will retain 0x20, will QoS 1 0x08, will flag 0x04, clean session 0x02.
    head = b"\x00\x04MQTT\x04\x2e" + keepalive_s.to_bytes(2, "big")
    return _packet(0x10, head + _text(client_id) + _text(will_topic) + _sized(will))


def publish(topic: str, payload: bytes, qos: int, packet_id: int, retain: bool) -> bytes:
    """Return PUBLISH; `packet_id` counts only with QoS 1."""
    number = packet_id.to_bytes(2, "big") if qos else b""
    return _packet(PUBLISH | qos << 1 | (1 if retain else 0), _text(topic) + number + payload)


def mark_duplicate(packet: bytearray) -> None:
    """Set the DUP flag of a PUBLISH that is sent again (3.3.1.1)."""
    packet[0] |= 0x08


def puback(packet_id: int) -> bytes:
    """Return PUBACK."""
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def subscribe(packet_id: int, topic: str) -> bytes:
    """Return SUBSCRIBE for one topic filter with QoS 1."""
    return _packet(0x82, packet_id.to_bytes(2, "big") + _text(topic) + b"\x01")


def check_connack(body: bytes) -> None:
    """Raise PeerError unless this CONNACK accepts a clean session."""
    if len(body) != 2 or body[0] != 0:
        raise PeerError("CONNACK of {} bytes, flags not 0".format(len(body)))
    if body[1]:
        reason = _REFUSED[body[1]] if body[1] < len(_REFUSED) else str(body[1])
        raise PeerError("CONNECT refused: " + reason)


def check_suback(body: bytes, packet_id: int) -> None:
    """Raise PeerError unless this SUBACK grants our one subscription."""
    if len(body) != 3 or body[0] << 8 | body[1] != packet_id or body[2] > 1:
        raise PeerError("SUBSCRIBE refused")


def acknowledged(body: bytes) -> int:
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
    topic = bytes(body[2:end])
    packet_id = 0
    if qos:
        packet_id = body[end] << 8 | body[end + 1]
        if packet_id == 0:
            raise PeerError("PUBLISH with packet id 0")
    return topic, packet_id, bytes(body[end + 2 * qos :])


def _packet(first: int, body: bytes) -> bytearray:
    packet = bytearray((first,))
    size = len(body)
    while size > 127:
        packet.append(size & 0x7F | 0x80)
        size >>= 7
    packet.append(size)
    packet += body
    return packet


def _text(text: str) -> bytes:
    return _sized(text.encode())


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data
