"""A terminal without a firmware: TLS with a certificate, CONNECT, CONNACK, and then nothing.

micropython bare_client.py PORT NAME CERTIFICATE KEY CA (DER files). It writes one dot when it is
connected and stays so until it is ended. Run by MicroPython, as the terminals beside it.
"""

import socket
import sys

import tls  # type: ignore[import-not-found] # MicroPython's.


def read(path):
    with open(path, "rb") as file:  # noqa: PTH123 - MicroPython has no pathlib
        return file.read()


port, name, certificate, key, ca = sys.argv[1:]
context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.verify_mode = tls.CERT_REQUIRED
context.load_cert_chain(read(certificate), read(key))
context.load_verify_locations(read(ca))
plain = socket.socket()
plain.connect(socket.getaddrinfo("127.0.0.1", int(port))[0][-1])
link = context.wrap_socket(plain, server_hostname="localhost")
client = name.encode()
link.write(
    b"\x10" + bytes([12 + len(client)]) + b"\x00\x04MQTT\x04\x02\x00\x00\x00"
    + bytes([len(client)]) + client
)  # fmt: skip
if link.read(4) != b"\x20\x02\x00\x00":
    sys.exit(1)
print(".", end="")
link.read(1)  # Nobody sends anything.
