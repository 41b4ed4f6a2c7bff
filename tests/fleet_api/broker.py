"""A real mosquitto for one test, with the services listener that the live bus uses."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt

ROOT = Path(__file__).parents[2]
START_S_MAX = 10.0

_CONFIG = """
listener {port} 127.0.0.1
cafile {pki}/services-ca.pem
certfile {pki}/broker/services-listener.pem
keyfile {pki}/broker/services-listener.key.pem
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file {folder}/acl
persistence false
log_dest file {folder}/log
"""
_ACL = """
user api-1
topic readwrite xh/1/live/+
user api-2
topic readwrite xh/1/live/+
user gateway-1
topic readwrite xh/1/live/+
user gateway-2
topic readwrite xh/1/live/+
"""


def program() -> str:
    found = ROOT / ".tools" / "bin" / "mosquitto"
    path = str(found) if found.exists() else shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
    assert path, "mosquitto is missing: run `python tools/debs.py all`"
    return path


@dataclass
class Broker:
    folder: Path
    pki: Path
    port: int
    process: subprocess.Popen

    @classmethod
    def start(cls, folder: Path, pki: Path, port: int = 0) -> "Broker":
        folder.mkdir(exist_ok=True)
        port = port or free_port()
        (folder / "acl").write_text(_ACL)
        config = folder / "conf"
        config.write_text(_CONFIG.format(port=port, pki=pki, folder=folder) + _user())
        with (folder / "stderr").open("w") as errors:
            process = subprocess.Popen(
                [program(), "-c", str(config)], stdout=subprocess.DEVNULL, stderr=errors
            )
        broker = cls(folder, pki, port, process)
        broker._wait_until_up()
        return broker

    def __enter__(self) -> "Broker":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        # The wrapper execs: the process is mosquitto itself.
        self.process.kill()
        self.process.wait()

    def restart(self) -> "Broker":
        self.stop()
        return Broker.start(self.folder, self.pki, self.port)

    def _wait_until_up(self) -> None:
        until = time.monotonic() + START_S_MAX
        while time.monotonic() < until:
            assert self.process.poll() is None, (self.folder / "stderr").read_text()
            with socket.socket() as probe:
                probe.settimeout(0.2)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("mosquitto does not listen")


class Producer:
    """Publishes on the live bus as a gateway does, and hears what others publish."""

    def __init__(self, broker: Broker, name: str = "gateway-1") -> None:
        self.name = name
        self.number = 0
        self.heard: list[Any] = []
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name)
        context = ssl.create_default_context(cafile=str(broker.pki / "services-ca.pem"))
        services = broker.pki / "services"
        context.load_cert_chain(services / f"{name}.pem", services / f"{name}.key.pem")
        self._client.tls_set_context(context)
        self._client.on_message = lambda _c, _u, message: self.heard.append(message)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        until = time.monotonic() + START_S_MAX
        while not self._client.is_connected() and time.monotonic() < until:
            time.sleep(0.01)
        assert self._client.is_connected()

    def publish(self, *deltas: dict, number: int | None = None) -> None:
        self.number = self.number + 1 if number is None else number
        message = {"producer": self.name, "n": self.number, "deltas": list(deltas)}
        self._client.publish(f"xh/1/live/{self.name}", json.dumps(message)).wait_for_publish(5)

    def listen(self) -> None:
        self._client.subscribe("xh/1/live/+")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _user() -> str:
    # mosquitto started by root becomes "mosquitto", who may not read a test's folder.
    return "user root\n" if os.geteuid() == 0 else ""
