"""MQTT 3.1.1 packets that open a connection: CONNECT, CONNACK, SUBSCRIBE, SUBACK."""

from device.domain.mqtt_packets import pack, sized
from device.errors import PeerError

# 3.2.2.3
_REFUSED = ("", "protocol version", "client id", "server unavailable", "user", "not authorised")


def connect(client_id: str, keepalive_s: int, will_topic: str, will: bytes) -> bytearray:
    """Return CONNECT: clean session, a retained will of QoS 1; the certificate is the login."""
    # 3.1.2.3: will retain 0x20, will QoS 1 0x08, will flag 0x04, clean session 0x02.
    head = b"\x00\x04MQTT\x04\x2e" + keepalive_s.to_bytes(2, "big")
    return pack(0x10, head + sized(client_id.encode()) + sized(will_topic.encode()) + sized(will))


def subscribe(packet_id: int, topic: str) -> bytearray:
    """Return SUBSCRIBE for one topic filter with QoS 1."""
    return pack(0x82, packet_id.to_bytes(2, "big") + sized(topic.encode()) + b"\x01")


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
