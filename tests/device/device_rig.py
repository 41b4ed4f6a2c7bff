"""What the tests of the device run it with."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import queue
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).parent / "scripts"
BROKER_NAME = "broker.test"
PATIENCE_S = 30


class Keys:
    """An authority of the test's own: P-256, valid from 2025 on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self._certificate = self._sign(self._name, self._key, authority=True)
        (folder / "ca.pem").write_bytes(self._pem(self._certificate))
        self.ca_der = self._certificate.public_bytes(serialization.Encoding.DER)
        self.issue("broker", BROKER_NAME)

    def issue(self, file: str, name: str) -> tuple[bytes, bytes]:
        """Return (certificate, key) in DER; both also lie as PEM in the folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key)
        (self.folder / f"{file}.pem").write_bytes(self._pem(certificate))
        traditional = serialization.PrivateFormat.TraditionalOpenSSL
        bare = serialization.NoEncryption()
        (self.folder / f"{file}.key").write_bytes(
            key.private_bytes(serialization.Encoding.PEM, traditional, bare)
        )
        return (
            certificate.public_bytes(serialization.Encoding.DER),
            key.private_bytes(serialization.Encoding.DER, traditional, bare),
        )

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool = False
    ) -> x509.Certificate:
        names = [x509.DNSName(BROKER_NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC))
            .not_valid_after(datetime.datetime(2045, 1, 1, tzinfo=datetime.UTC))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    @staticmethod
    def _pem(certificate: x509.Certificate) -> bytes:
        return certificate.public_bytes(serialization.Encoding.PEM)


class Broker:
    """A real mosquitto: one listener with mutual TLS, one plain on loopback for the test."""

    def __init__(self, keys: Keys, folder: Path) -> None:
        self.keys = keys
        self.port, self.plain_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"""
per_listener_settings true
log_dest stderr
log_type all
user root
listener {self.port} 127.0.0.1
cafile {keys.folder}/ca.pem
certfile {keys.folder}/broker.pem
keyfile {keys.folder}/broker.key
require_certificate true
use_identity_as_username true
use_username_as_clientid true
listener {self.plain_port} 127.0.0.1
allow_anonymous true
""")

    def start(self) -> None:
        """Start it and wait until it listens."""
        beside = os.pathsep.join((str(REPOSITORY / ".tools" / "bin"), os.environ["PATH"]))
        program = shutil.which("mosquitto", path=f"{beside}:/usr/sbin") or "mosquitto"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([program, "-c", self._config], stderr=log, stdout=log)
        wait_for(lambda: _listens(self.plain_port), "mosquitto to listen")

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            self._process = None

    def log(self) -> str:
        """Return what it said."""
        return self._log.read_text(errors="replace")


class MicroPython:
    """One real MicroPython process that runs a script of scripts/ and speaks lines of JSON."""

    environment: dict[str, str] = {}  # noqa: RUF012 - set by a test on its own instance

    def __init__(self, program: str, application: Path, folder: Path) -> None:
        self.program, self.application, self.folder = program, application, folder
        self.lines: list[Any] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._process: subprocess.Popen[str] | None = None
        self._seen = 0

    def start(self, script: str, *arguments: str, options: tuple[str, ...] = ()) -> None:
        """Start a script; it finds the application and scripts/ on its path."""
        path = f"{self.application}:{SCRIPTS}:.frozen"
        self._queue = queue.Queue()
        self._process = subprocess.Popen(
            [self.program, *options, str(SCRIPTS / script), *arguments],
            env={"MICROPYPATH": path, **self.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._pump, args=(self._process, self._queue), daemon=True).start()

    def run(self, script: str, *arguments: str, options: tuple[str, ...] = ()) -> list[Any]:
        """Run a script to its end; returns the JSON that it printed, a value a line."""
        self.start(script, *arguments, options=options)
        found = []
        while (line := self._queue.get(timeout=PATIENCE_S)) is not None:
            self.lines.append(line)
            if line.startswith(("[", "{")):
                found.append(json.loads(line))
        assert self._process is not None
        code = self._process.wait(PATIENCE_S)
        self.kill()
        assert code == 0, "\n".join(self.lines[-60:])
        return found

    def tell(self, **order: Any) -> None:
        """Send one line of JSON to the script."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def wait(self, wanted: Any, what: str, patience_s: float = PATIENCE_S) -> Any:
        """Return the next printed JSON for which `wanted` is true."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                line = self._queue.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(
                    f"waited for {what}; it said:\n" + "\n".join(self.lines[-60:])
                )
            self.lines.append(line)
            if line.startswith(("[", "{")):
                found = json.loads(line)
                if wanted(found):
                    return found

    def drain(self) -> list[Any]:
        """Return the JSON that a killed process had still printed."""
        found = []
        while (line := self._queue.get(timeout=PATIENCE_S)) is not None:
            self.lines.append(line)
            if line.startswith(("[", "{")) and line.endswith(("]", "}")):
                found.append(json.loads(line))
        return found

    def kill(self) -> None:
        """SIGKILL: the battery is pulled."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process = None

    @staticmethod
    def _pump(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
        assert process.stdout is not None
        with process.stdout as said:
            for line in said:
                lines.put(line.rstrip("\n"))
        lines.put(None)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Any, what: str, patience_s: float = PATIENCE_S) -> None:
    """Return once a condition holds; AssertionError if it does not in time."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {patience_s} s for {what}"
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Listener:
    """A client on the broker's plain listener that hears and says everything."""

    def __init__(self, port: int, also: Any = None) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._also = also
        self._came = threading.Condition()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        ready = threading.Event()
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.reconnect_delay_set(1, 1)
        # Again after every reconnection: the broker forgets.
        self._client.on_connect = lambda client, *_: client.subscribe("xh/1/#", 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(PATIENCE_S)

    def close(self) -> None:
        """Go."""
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, topic: str, payload: bytes, qos: int = 1) -> None:
        """Publish, not retained."""
        self._client.publish(topic, payload, qos)

    def wait(
        self, topic: str, payload: bytes | None = None, patience_s: float = PATIENCE_S
    ) -> bytes:
        """Return the next message of a topic, or the one with this payload."""
        return self.wait_for(lambda t, p: t == topic and payload in (None, p), topic, patience_s)

    def wait_for(self, wanted: Any, what: str, patience_s: float = PATIENCE_S) -> bytes:
        """Return the payload of the first unread message that is wanted; those before it stay."""
        deadline = time.monotonic() + patience_s
        with self._came:
            while True:
                for place, (topic, payload) in enumerate(self.heard):
                    if wanted(topic, payload):
                        del self.heard[place]
                        return payload
                left = deadline - time.monotonic()
                assert left > 0, f"waited {patience_s} s for {what}; heard {self.heard[-20:]}"
                self._came.wait(left)

    def _on_message(self, _client: Any, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        if self._also is not None:
            self._also(message.topic, message.payload)
            return
        with self._came:
            self.heard.append((message.topic, message.payload))
            self._came.notify_all()
