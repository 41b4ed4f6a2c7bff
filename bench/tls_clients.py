"""As many bare connections as there are terminals: TLS with a certificate, CONNECT, CONNACK.

The reference for how fast a fleet comes back: the same handshakes at the same broker, made by
OpenSSL in this process, as many at once as the fleet's.
"""

from __future__ import annotations

import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from provisioning.authority import Authority
from tests.gateway.installation import write_identity

if TYPE_CHECKING:
    from bench.installation import Installation

DEVICE = "t-bare"
AT_ONCE = 50
WAIT_S = 60


def connect_bare(installation: Installation, count: int) -> float:
    """Make so many connections, each closed after its CONNACK; return the seconds it took."""
    authority = Authority.open(installation.home)
    certificate, key = installation.home / "bare.pem", installation.home / "bare.key.pem"
    write_identity(authority.issue_device(DEVICE), certificate, key)
    context = ssl.create_default_context(cafile=str(authority.devices_ca_path))
    context.load_cert_chain(certificate, key)
    # As a terminal: no session is resumed.
    context.options |= ssl.OP_NO_TICKET
    name = DEVICE.encode()
    packet = (
        b"\x10"
        + bytes([12 + len(name)])
        + b"\x00\x04MQTT\x04\x02\x00\x3c\x00"
        + bytes([len(name)])
        + name
    )

    def one(_: int) -> None:
        with (
            socket.create_connection(("127.0.0.1", installation.devices_port), WAIT_S) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as link,
        ):
            link.sendall(packet)
            if link.recv(4)[:1] != b"\x20":
                raise ConnectionError("no CONNACK")

    begun_s = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, range(count)))
    return time.monotonic() - begun_s
