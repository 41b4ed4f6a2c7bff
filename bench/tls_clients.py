"""What connecting costs without a firmware: the same handshakes at the same broker.

`connect_bare`: as many MicroPython processes as there are terminals, each with a certificate of
its own, which connect and do nothing more. `handshakes`: by OpenSSL in this process, which is
nearly the broker's share alone.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from bench import machine
from bench.installation import ADDRESS, micropython
from bench.start_fleet import STARTING_MAX, Ended
from provisioning.authority import Authority
from tests.gateway.installation import write_identity

if TYPE_CHECKING:
    from bench.installation import Installation

CLIENT = Path(__file__).with_name("bare_client.py")
AT_ONCE = 50
WAIT_S = 60
KEEPALIVE_S = 60


def connect_bare(installation: Installation, count: int) -> tuple[float, float | None]:
    """Start so many bare clients, end them when all are connected.

    Returns:
        The seconds it took, and the PSS of one in kB.

    Raises:
        Ended: Not all of them could connect.
    """
    folder = installation.home / "bare"
    folder.mkdir()
    authority = Authority.open(installation.home)
    ca = folder / "ca.der"
    ca.write_bytes(authority.devices_ca_der)
    commands = []
    for name in (f"t-bare-{number:05}" for number in range(count)):
        identity = authority.issue_device(name)
        certificate, key = folder / f"{name}.der", folder / f"{name}.key.der"
        certificate.write_bytes(identity.certificate_der)
        key.write_bytes(identity.key_der)
        commands.append([
            micropython(), str(CLIENT), str(installation.devices_port), name, str(certificate),
            str(key), str(ca),
        ])  # fmt: skip
    processes: list[subprocess.Popen[bytes]] = []
    try:
        seconds = _start(commands, processes)
        return seconds, machine.memory_kb([process.pid for process in processes], "Pss")
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def _start(commands: list[list[str]], processes: list[subprocess.Popen[bytes]]) -> float:
    dots, dot = os.pipe()
    selector = selectors.DefaultSelector()
    selector.register(dots, selectors.EVENT_READ)
    begun_s = time.monotonic()
    connected = 0
    try:
        while connected < len(commands):
            while len(processes) < min(len(commands), connected + STARTING_MAX):
                command = commands[len(processes)]
                processes.append(
                    subprocess.Popen(
                        command, stdin=subprocess.DEVNULL, stdout=dot, stderr=subprocess.DEVNULL
                    )
                )
            if not selector.select(WAIT_S):
                gave_up = sum(process.poll() is not None for process in processes)
                raise Ended(f"{connected} bare clients are connected, {gave_up} gave up")
            connected += len(os.read(dots, STARTING_MAX))
        return time.monotonic() - begun_s
    finally:
        selector.close()
        os.close(dots)
        os.close(dot)


def handshakes(installation: Installation, count: int) -> float:
    """Make so many connections, each closed after its CONNACK; return the seconds it took."""
    name = "t-bare"
    authority = Authority.open(installation.home)
    certificate, key = installation.home / "bare.pem", installation.home / "bare.key.pem"
    write_identity(authority.issue_device(name), certificate, key)
    context = ssl.create_default_context(cafile=str(authority.devices_ca_path))
    context.load_cert_chain(certificate, key)
    # As a terminal: no session is resumed.
    context.options |= ssl.OP_NO_TICKET
    # All have one name: the broker ends the older of two, which has its CONNACK by then.
    head = b"\x00\x04MQTT\x04\x02" + KEEPALIVE_S.to_bytes(2, "big")
    packet = head + len(name).to_bytes(2, "big") + name.encode()
    packet = b"\x10" + bytes([len(packet)]) + packet

    def one(_: int) -> None:
        with (
            socket.create_connection((ADDRESS, installation.devices_port), WAIT_S) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as link,
        ):
            link.sendall(packet)
            if link.recv(4)[:1] != b"\x20":
                raise ConnectionError("no CONNACK")

    begun_s = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, range(count)))
    return time.monotonic() - begun_s
