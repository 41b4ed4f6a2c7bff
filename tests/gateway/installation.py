"""A real installation for tests and benches: certificates, broker, stores, gateway processes."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from sqlalchemy import select

from provisioning.authority import Authority, DeviceIdentity
from storage.registry import Registry, migrate, open_registry
from storage.registry.models import Device
from xunhu.broker import Listeners, answers, broker_command, mosquitto_program

START_S_MAX = 30.0
REGISTRY_WAIT_S = 60  # A hundred threads of a bench write, and the gateway beside them.


_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on, below those that outgoing connections are given."""
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            if port in _given or probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
        _given.add(port)
        return port


def wait_for(claim: Callable[[], object], timeout_s: float = 20.0, what: str = "") -> object:
    """Return the first true answer; asks until then, because what is awaited is elsewhere."""
    until_s = time.monotonic() + timeout_s
    while not (answer := claim()):
        assert time.monotonic() < until_s, f"after {timeout_s:.0f} s: not {what or claim}"
        time.sleep(0.01)
    return answer


class GatewayProcess:
    """One `python -m gateway`."""

    def __init__(self, installation: "Installation", instance: str, **environment: str) -> None:
        self.installation = installation
        self.instance = instance
        self.metrics_port = free_port()
        service = installation.authority.issue_service(f"gateway-{instance}")
        home = installation.home
        self.log = home / f"gateway-{instance}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway"],
                env={
                    **os.environ,
                    "XUNHU_HOME": str(home),
                    "XUNHU_INSTANCE": instance,
                    "XUNHU_REGISTRY_URL": installation.registry_url,
                    "XUNHU_TELEMETRY_URL": installation.telemetry_url,
                    "XUNHU_TELEMETRY_TOKEN": installation.telemetry_token,
                    "XUNHU_BROKER_PORT": str(installation.listeners.services_port),
                    "XUNHU_BROKER_CERT": str(service.certificate_path),
                    "XUNHU_BROKER_KEY": str(service.key_path),
                    "XUNHU_GATEWAY_METRICS_PORT": str(self.metrics_port),
                    **environment,
                },
                stdout=log,
                stderr=log,
            )

    def metric(self, name: str) -> float:
        """The sum over all labels; with a name such as `..._total{path="bulk"` of one."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5
            ) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return 0.0
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    def wait_until_connected(self) -> "GatewayProcess":
        wait_for(self._is_connected, START_S_MAX, f"connected: {self.log}")
        return self

    def _is_connected(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return self.metric("xunhu_gateway_connected") == 2

    def wait_until_dead(self, timeout_s: float = 30.0) -> int:
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


class Installation:
    """Everything below one folder; nothing runs before it is started."""

    def __init__(
        self,
        home: Path,
        authority: Authority | None = None,
        more_rules: str = "",
        more_settings: str = "",
        mosquitto: str | None = None,
    ) -> None:
        self.home = home
        self._more_rules, self._more_settings = more_rules, more_settings
        self._mosquitto = mosquitto
        home.mkdir(parents=True, exist_ok=True)
        self.authority = authority or Authority.open(home)
        self.registry_url = f"sqlite:///{home / 'registry.sqlite'}"
        self.telemetry_url = f"sqlite:///{home / 'telemetry.sqlite'}"
        self.telemetry_token = ""
        self.listeners = Listeners(devices_port=free_port(), services_port=free_port())
        self.broker_identity = self.authority.issue_broker(["localhost", "127.0.0.1"])
        self.broker: subprocess.Popen[bytes] | None = None
        self.gateways: list[GatewayProcess] = []
        self._registry: Registry | None = None
        (home / "pki").exists() or (home / "pki").symlink_to(self.authority.folder)

    @property
    def registry(self) -> Registry:
        if self._registry is None:
            migrate(self.registry_url)
            self._registry = open_registry(self.registry_url, wait_s=REGISTRY_WAIT_S)
        return self._registry

    def add_devices(self, ids: Iterable[str]) -> None:
        with self.registry.begin() as session:
            known = set(session.scalars(select(Device.id)))
            for device in sorted(set(ids) - known):
                kind = "terminal" if device.startswith("t-") else "sensor_node"
                session.add(Device(id=device, kind=kind, name=device, created_ms=0))

    def start_broker(self, **environment: str) -> None:
        command = broker_command(
            self.home / "broker", self.listeners, self.authority, self.broker_identity
        )
        with (self.home / "broker" / "services.acl").open("a") as rules:
            rules.write(self._more_rules)
        with (self.home / "broker" / "mosquitto.conf").open("a") as settings:
            settings.write(self._more_settings)
        with (self.home / "broker.log").open("ab") as log:
            arguments = list(command.arguments)
            if self._mosquitto is not None:
                arguments[arguments.index(mosquitto_program())] = self._mosquitto
            self.broker = subprocess.Popen(
                arguments, stdout=log, stderr=log, env={**os.environ, **environment}
            )
        wait_for(self._broker_answers, START_S_MAX, f"a broker: {self.home / 'broker.log'}")

    def _broker_answers(self) -> bool:
        assert self.broker is not None
        assert self.broker.poll() is None, (self.home / "broker.log").read_text()
        ports = (self.listeners.services_port, self.listeners.devices_port)
        return all(answers("127.0.0.1", port) for port in ports)

    def kill_broker(self) -> None:
        """As a power cut would; with persistence off its state is gone, too."""
        assert self.broker is not None
        self.broker.kill()
        self.broker.wait()

    def start_gateway(self, instance: str = "1", **environment: str) -> GatewayProcess:
        assert self.registry  # Migrated before anything starts.
        gateway = GatewayProcess(self, instance, **environment)
        self.gateways.append(gateway)
        return gateway

    def device_files(self, device: str) -> tuple[Path, Path]:
        """PEM files of a device's certificate and key."""
        folder = self.home / "identities"
        certificate, key = folder / f"{device}.pem", folder / f"{device}.key.pem"
        if not certificate.exists():
            folder.mkdir(exist_ok=True)
            write_identity(self.authority.issue_device(device), certificate, key)
        return certificate, key

    def stop(self) -> None:
        for gateway in self.gateways:
            gateway.thaw()
            gateway.kill()
        if self.broker is not None:
            self.kill_broker()
        if self._registry is not None:
            self._registry.close()


def write_identity(identity: DeviceIdentity, certificate: Path, key: Path) -> None:
    found = x509.load_der_x509_certificate(identity.certificate_der)
    certificate.write_bytes(found.public_bytes(serialization.Encoding.PEM))
    loaded = serialization.load_der_private_key(identity.key_der, password=None)
    key.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
