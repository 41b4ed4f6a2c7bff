"""`xunhu up` on an address that others can reach: HTTPS, certificates, and what it tells to do."""

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from websockets.sync.client import connect

from provisioning.authority import Authority
from tests.system.installation import PROJECT, free_ports, wait_for
from xunhu.up import Wanted

NAME = "command.example"


@dataclass
class Running:
    """What a person has of it: what it printed, its ports, its folder."""

    home: Path
    printed: str
    api_port: int
    devices_port: int

    @property
    def trust(self) -> ssl.SSLContext:
        """A browser that trusts nothing but the file that was named to it."""
        line = next(line for line in self.printed.splitlines() if "browsers trust" in line)
        return ssl.create_default_context(cafile=line.split()[-1])

    def ask(self, method: str, path: str, body: dict | None = None, called: str = NAME):
        """One HTTPS request to the server under a name; returns (status, headers, content)."""
        raw = socket.create_connection(("127.0.0.1", self.api_port), timeout=20)
        connection = http.client.HTTPConnection(called, self.api_port)
        connection.sock = self.trust.wrap_socket(raw, server_hostname=called)
        headers = {"X-Xunhu": "1", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body or {}), headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers, content


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """`xunhu up --listen 0.0.0.0 --name NAME` in a folder that is not there yet."""
    folder = tmp_path_factory.mktemp("everywhere")
    home, output = folder / "home", folder / "up.out"
    api, devices, services = free_ports(3)
    command = [
        sys.executable, "-m", "xunhu", "up", "--listen", "0.0.0.0", "--name", NAME,
        "--api-port", str(api), "--devices-port", str(devices), "--services-port", str(services),
    ]  # fmt: skip
    with output.open("w") as file:
        process = subprocess.Popen(
            command, cwd=PROJECT, env={**os.environ, "XUNHU_HOME": str(home)},
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def printed():
        assert process.poll() is None, output.read_text()
        return "Ctrl-C" in output.read_text()

    try:
        wait_for("xunhu up has started", printed)
        yield Running(home, output.read_text(), api, devices)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _sign_in(running):
    line = next(line for line in running.printed.splitlines() if "administrator" in line)
    login = {"name": "admin", "password": line.split()[-1]}
    return running.ask("POST", "/api/v1/session", login)


def _addresses() -> list[str]:
    return [each for each in Wanted(listen="0.0.0.0").addresses if each != "127.0.0.1"]


def test_the_address_that_is_printed_is_one_to_go_to(running):
    assert f"https://{NAME}:{running.api_port}/" in running.printed
    assert "//0.0.0.0" not in running.printed


@pytest.mark.parametrize("called", [NAME, "localhost", "127.0.0.1", *_addresses()])
def test_a_browser_that_trusts_the_named_file_accepts_the_console(running, called):
    status, headers, content = running.ask("GET", "/", called=called)
    assert status == 200
    assert "text/html" in headers["content-type"]
    assert content


def test_a_browser_that_does_not_trust_it_is_warned(running):
    with (
        socket.create_connection(("127.0.0.1", running.api_port)) as raw,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(raw, server_hostname=NAME)


def test_the_session_is_never_sent_in_the_clear(running):
    status, headers, _ = _sign_in(running)
    assert status == 200
    cookie = headers["set-cookie"]
    assert "Secure" in cookie
    assert "HttpOnly" in cookie
    with socket.create_connection(("127.0.0.1", running.api_port), timeout=20) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"200 OK" not in raw.recv(4096)


def test_the_live_view_works_over_wss(running):
    _, headers, _ = _sign_in(running)
    raw = socket.create_connection(("127.0.0.1", running.api_port), timeout=20)
    origin = f"https://{NAME}:{running.api_port}"
    with connect(
        f"wss://{NAME}:{running.api_port}/api/v1/live", sock=raw, ssl=running.trust,
        server_hostname=NAME, origin=origin,
        additional_headers={"Cookie": headers["set-cookie"].split(";")[0]},
    ) as live:  # fmt: skip
        assert json.loads(live.recv(timeout=20))["type"] == "snapshot"


def test_the_broker_shows_boards_the_name_that_is_printed_for_them(running):
    line = next(line for line in running.printed.splitlines() if "xunhu image" in line)
    words = line.split()
    host, port = words[words.index("--broker") + 1].rsplit(":", 1)
    name = words[words.index("--broker-name") + 1]
    assert (name, int(port)) == (NAME, running.devices_port)
    board = ssl.create_default_context(cafile=running.home / "pki" / "devices-ca.pem")
    with (
        socket.create_connection((host, int(port)), timeout=20) as raw,
        board.wrap_socket(raw, server_hostname=name) as secured,
    ):
        assert secured.version()
    assert Authority.load(running.home).broker_names()[0] == NAME


def test_nobody_else_on_the_machine_reads_what_is_stored(running):
    assert stat.S_IMODE(running.home.stat().st_mode) == 0o700
