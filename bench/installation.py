"""A whole Xunhu for a bench: `xunhu up` as a user starts it, and real devices beside it.

Devices are flashed in parallel and run by a fleet of this process, in Debian's MicroPython 1.25
(0.3 MB a process), each with its own certificate.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioning.application import Application, build_application
from provisioning.authority import Authority
from provisioning.configuration import DeviceConfig
from provisioning.devices import certificate_serial
from provisioning.virtual import Rig, Walk, device_folder, make_virtual_device
from storage.registry import open_registry
from storage.registry.models import Area as AreaRow
from storage.registry.models import Device
from xunhu.district import make_district

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[1]
START_WAIT_S = 120
ADDRESS = "127.0.0.1"
# What plays 1,436 receivers shares the processors with what is measured: where that is a time and
# not a load, they speak as often as a fix is recorded, not each second.
QUIET_RECEIVER_S = 5


@dataclass(frozen=True)
class TerminalConfig(DeviceConfig):
    """Settings with the button's hold time: 0 raises the SOS when the press arrives."""

    sos_hold_ms: int = 800

    def as_bytes(self) -> bytes:
        content = json.loads(super().as_bytes()) | {"sos_hold_ms": self.sos_hold_ms}
        return json.dumps(content, separators=(",", ":")).encode()


def micropython() -> str:
    """Return Debian's MicroPython 1.25, 0.3 MB a process."""
    program = ROOT / ".tools" / "bin" / "micropython-1.25"
    if not program.exists():
        sys.exit("missing: micropython-1.25 (run: make setup)")
    return str(program)


def wait_for(what: str, look: Callable[[], Any], wait_s: float, step_s: float = 0.05) -> Any:
    """Return what `look` finds as soon as it is true; end the bench when it never is."""
    until_s = time.monotonic() + wait_s
    while not (found := look()):
        if time.monotonic() > until_s:
            sys.exit(f"{what}: not within {wait_s:.0f} s")
        time.sleep(step_s)
    return found


def free_ports(count: int) -> list[int]:
    """Return ports that nobody has, below those of outgoing connections and control sockets."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(2_000, 9_900)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((ADDRESS, port))
            if port not in ports:
                ports.append(port)
    return ports


class Installation:
    """One `xunhu up` without the demo, and the client of its API as administrator."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.api_port, self.devices_port, self.services_port, self.metrics_port = free_ports(4)
        self.url = f"http://{ADDRESS}:{self.api_port}"
        self._environment = {
            **os.environ,
            "XUNHU_HOME": str(home),
            "XUNHU_GATEWAY_METRICS_PORT": str(self.metrics_port),
            **environment,
        }
        home.mkdir(parents=True, exist_ok=True)
        self._cookies = CookieJar()
        handler = urllib.request.HTTPCookieProcessor(self._cookies)
        self._opener = urllib.request.build_opener(handler)
        self._password = ""
        self._away_s = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start everything and sign in."""
        said = self.home / "up.out"
        with said.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "xunhu", "up", "--api-port", str(self.api_port),
                 "--devices-port", str(self.devices_port),
                 "--services-port", str(self.services_port)],
                cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT,
            )  # fmt: skip

        def started() -> bool:
            if self.process is not None and self.process.poll() is not None:
                sys.exit(f"xunhu up ended: {said.read_text()[-2000:]}")
            return "Ctrl-C" in said.read_text()

        wait_for("xunhu up prints its address", started, START_WAIT_S)
        for line in said.read_text().splitlines():
            if "administrator" in line:
                self._password = line.split()[-1]
        self.call("POST", "/session", {"name": "admin", "password": self._password})

    def stop(self) -> None:
        """Ctrl-C."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process = None

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request to the API."""
        request = urllib.request.Request(
            f"{self.url}/api/v1{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Xunhu": "1", "Content-Type": "application/json"},
        )  # fmt: skip
        with self._opener.open(request, timeout=60) as response:
            content = response.read()
        return json.loads(content) if content else None

    def metric(self, name: str) -> float:
        """The sum of a metric of the gateway over all labels that match."""
        with urllib.request.urlopen(
            f"http://{ADDRESS}:{self.metrics_port}/metrics", timeout=10
        ) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    def store_is_away(self) -> bool:
        """Tell whether telemetry was away since this was asked last, as the gateway says."""
        away_s = self.metric('xunhu_gateway_store_away_seconds_total{store="telemetry"')
        longer = away_s > self._away_s
        self._away_s = away_s
        return longer

    @property
    def cookie(self) -> str:
        """The session's cookie header, for a WebSocket."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._cookies)

    def pid(self, name: str) -> int:
        """The process id of a part: broker, gateway-1, api-1."""
        return int((self.home / "logs" / f"{name}.pid").read_text())

    def flash(self, names: Sequence[str], rigs: Sequence[Rig], sos_hold_ms: int = 800) -> None:
        """Register devices and flash them; `xunhu up` has made the registry."""
        config = TerminalConfig(
            broker_host=ADDRESS, broker_port=self.devices_port, broker_name="localhost",
            duty=True, sos_hold_ms=sos_hold_ms,
        )  # fmt: skip
        work = list(zip(names, rigs, strict=True))
        workers = os.cpu_count() or 1
        shares = [work[start::workers] for start in range(workers)]
        application = build_application("virtual")
        serials: dict[str, str] = {}
        with ProcessPoolExecutor(workers) as pool:
            arguments = [(self.home, share, config, application) for share in shares]
            for found in pool.map(_flash, arguments):
                serials |= found
        self._register(serials)

    def _register(self, serials: dict[str, str]) -> None:
        district = make_district()
        villages = [village.area.code for village in district.villages]
        registry = open_registry(f"sqlite:///{self.home / 'registry.sqlite'}")
        now_ms = time.time_ns() // 1_000_000
        with registry.begin() as session:
            for area in district.areas():
                session.merge(AreaRow(**vars(area)))
            session.flush()
            session.add_all(
                Device(
                    id=name, kind="terminal", name=name, created_ms=now_ms,
                    area_code=villages[number % len(villages)], certificate_serial=serials[name],
                )
                for number, name in enumerate(sorted(serials))
            )  # fmt: skip
        registry.close()


def walkers(
    count: int, *, witness: bool | tuple[str, ...] = False, period_s: int = 1
) -> list[Rig]:
    """Return the rigs of terminals that walk about their villages.

    Their receivers speak every `period_s` seconds; fewer words let more terminals share a machine.

    Real ones hear their satellites in the same moment, each on a chip of its own. Here they share
    the machine with what is measured: their moments are spread over the whole second.
    """
    villages = make_district().villages
    return [
        Rig(
            receiver=Walk(number, village.area.lat_e6, village.area.lon_e6),
            period_s=period_s,
            late_ms=50 + number * 613 % 900,
            witness=witness,
        )
        for number, village in ((n, villages[n % len(villages)]) for n in range(count))
    ]


def _flash(
    arguments: tuple[Path, list[tuple[str, Rig]], DeviceConfig, Application],
) -> dict[str, str]:
    home, work, config, application = arguments
    authority = Authority.open(home)
    serials = {}
    for name, rig in work:
        identity = authority.issue_device(name)
        make_virtual_device(
            device_folder(home, name), identity=identity, ca_der=authority.devices_ca_der,
            config=config, rig=rig, application=application,
        )  # fmt: skip
        serials[name] = certificate_serial(identity.certificate_der)
    return serials
