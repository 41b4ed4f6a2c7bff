"""From no network to a connection that is subscribed; loaded for each try, then dropped."""

import asyncio

import tls

from device.domain import mqtt_greetings as greetings
from device.domain import mqtt_packets as packets
from device.errors import PeerError

_IPPROTO_TCP = 6
_TCP_NODELAY = 1


async def open_wire(wire, board, keepalive_s: int, will: bytes, packet_id: int) -> None:
    """Open a wire: network, TCP, TLS with certificates on both sides, CONNECT, SUBSCRIBE.

    Args:
        wire: A closed `Wire`; whatever happens, its owner closes it again.
        board: Network, identity and configuration.
        keepalive_s: For the broker.
        will: What the broker publishes as our state when we are gone.
        packet_id: For SUBSCRIBE.

    Raises:
        OSError, ValueError: No network, no broker, or (ValueError) no trust between the two.
        PeerError: The broker refuses us or does not keep to MQTT 3.1.1.
    """
    config = board.config
    await board.network_up()
    # getaddrinfo inside blocks; with an address instead of a name it does not ask anyone.
    raw, _ = await asyncio.open_connection(config["broker_host"], config["broker_port"])
    wire.stream = wire.raw = raw
    # Small packets one after the other must not wait for each other's acknowledgement.
    sock = raw.s  # pyright: ignore[reportAttributeAccessIssue]  # Not in the stubs.
    sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
    wrapped = _context(board).wrap_socket(
        sock, server_hostname=config["broker_name"], do_handshake_on_connect=False
    )
    wrapped.setblocking(False)
    wire.stream = asyncio.StreamReader(wrapped)
    mine = "xh/1/" + board.device_id
    await wire.write(greetings.connect(board.device_id, keepalive_s, mine + "/up/state", will))
    first, body = await wire.receive()
    if first != packets.CONNACK:
        raise PeerError("first packet {:#x}, not CONNACK".format(first))
    greetings.check_connack(body)
    await wire.write(greetings.subscribe(packet_id, mine + "/down/+"))
    # Nothing is retained for us and the session is clean: nothing can come in front of it.
    first, body = await wire.receive()
    if first != packets.SUBACK:
        raise PeerError("packet {:#x}, not SUBACK".format(first))
    greetings.check_suback(body, packet_id)


def _context(board) -> tls.SSLContext:
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    # The stubs lack this attribute.
    context.verify_mode = tls.CERT_REQUIRED  # pyright: ignore[reportAttributeAccessIssue]
    context.load_cert_chain(board.certificate_der, board.key_der)
    context.load_verify_locations(board.ca_der)
    return context
