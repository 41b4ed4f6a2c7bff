"""paho's client as the gateway runs it: the same protocol, less work for each message.

A stock paho client asks the socket for one byte, another byte, then the rest, polls before each
packet, and builds a message with a condition variable in it. That is most of what a gateway does
for a batch of fixes. So the socket is read in large pieces, and QoS 0 has a short way in and out.
What is overridden here is not paho's public interface: the lock file holds its version, and
tests/gateway/test_mqtt_client.py tells when one of the short ways is no longer taken.
"""

import socket
import struct
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

# Four TLS records. What is read here and not handled yet is the only thing that waits unseen.
READ_BYTES = 65_536
# Packets handled before what is to be sent gets its turn: some 3 ms.
PACKETS_AT_ONCE_MAX = 200
# Messages of QoS 0 that wait for a broker that reads slowly, some 10 MB. Beyond it they are let
# go: receipts are sent again when the device sends again, and a lost live message is a gap.
WAITING_MAX = 20_000
_QOS_AND_DUP_BITS = 0x0E
_RETAINED_BIT = 0x01
_TOPIC_LENGTH = struct.Struct("!H")

# Told topic, payload and whether the broker had kept it.
OnQuick = Callable[[str, bytes, bool], None]


class ReadAhead:
    """A TLS socket that is read in large pieces and handed out in small ones."""

    def __init__(self, below: Any) -> None:
        self._below = below
        self._ahead = b""
        self._at = 0
        self.send = below.send
        self.fileno = below.fileno

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes; b"" at the end; BlockingIOError when nothing is there."""
        end = self._at + size
        piece = self._ahead[self._at : end]
        if piece:
            self._at = end
            return piece
        ahead = self._below.recv(READ_BYTES)
        self._ahead, self._at = ahead, size
        return bytes(ahead[:size])

    def pending(self) -> int:
        """How many bytes can be had without asking the network."""
        return max(0, len(self._ahead) - self._at) + int(self._below.pending())

    def close(self) -> None:
        """Close the socket below; what was read ahead is gone."""
        self._ahead = b""
        self._below.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._below, name)


class QuickClient(mqtt.Client):
    """One connection to a broker, clean session, acknowledging by hand; used once."""

    def __init__(self, client_id: str, on_quick: OnQuick) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=True,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        self._on_quick = on_quick
        self._sent_info = mqtt.MQTTMessageInfo(0)

    def publish_quick(self, topic: str, payload: bytes) -> bool:
        """Send with QoS 0; False when it was let go."""
        if len(self._out_packet) >= WAITING_MAX:
            return False
        # One info for all: nobody waits for a message of QoS 0.
        result = self._send_publish(0, topic.encode(), payload, info=self._sent_info)
        return result == MQTTErrorCode.MQTT_ERR_SUCCESS

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Handle every packet that was read ahead, instead of one for each poll."""
        for _ in range(PACKETS_AT_ONCE_MAX):
            result = super().loop_read(max_packets)
            ahead = self._sock
            if result or not isinstance(ahead, ReadAhead) or not ahead.pending():
                break
        return result

    def _create_socket(self) -> Any:
        connected: Any = super()._create_socket()
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return ReadAhead(connected)

    def _handle_publish(self) -> MQTTErrorCode:
        command = self._in_packet["command"]
        if command & _QOS_AND_DUP_BITS:
            return super()._handle_publish()
        packet = self._in_packet["packet"]
        if len(packet) < 2:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        end = 2 + _TOPIC_LENGTH.unpack_from(packet)[0]
        try:
            topic = packet[2:end].decode()
        except UnicodeDecodeError:
            return (
                MQTTErrorCode.MQTT_ERR_SUCCESS
            )  # No topic of ours; the broker should have refused it.
        self._on_quick(topic, bytes(packet[end:]), bool(command & _RETAINED_BIT))
        return MQTTErrorCode.MQTT_ERR_SUCCESS
