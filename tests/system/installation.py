"""A whole running Xunhu for the tests: `xunhu up --demo` as a user starts it, on free ports."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.cookiejar import CookieJar
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from provisioning.authority import Authority
from provisioning.control import Control
from tests.gateway.installation import GatewayProcess

PROJECT = Path(__file__).parent.parent.parent
START_WAIT_S = 120
STOP_WAIT_S = 30


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, below those that outgoing connections are given."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(15_000, 30_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        ports.append(port)
    return ports


def wait_for(what: str, look: Callable[[], Any], wait_s: float = 60.0) -> Any:
    """Return what `look` finds as soon as it is true; fail with what was looked for."""
    deadline_s = time.monotonic() + wait_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline_s:
            raise AssertionError(f"{what}: not within {wait_s:.0f} s; last seen: {found!r}")
        time.sleep(0.05)


class Installation:
    """One `xunhu up --demo`; everything that a test does to it, a person could do."""

    def __init__(
        self, home: Path, *options: str, environment: dict[str, str] | None = None
    ) -> None:
        self.home = home
        self.api_port, self.devices_port, self.services_port = free_ports(3)
        self.url = f"http://127.0.0.1:{self.api_port}"
        self.environment = {**os.environ, "XUNHU_HOME": str(home), **(environment or {})}
        arguments = [
            sys.executable, "-m", "xunhu", "up", "--demo",
            "--api-port", str(self.api_port), "--devices-port", str(self.devices_port),
            "--services-port", str(self.services_port), *options,
        ]  # fmt: skip
        home.mkdir(parents=True, exist_ok=True)
        self._output = (home / "up.out").open("w+")
        self.process = subprocess.Popen(
            arguments, cwd=PROJECT, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=self._output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._cookies = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self._cookies)
        )

    def wait_until_started(self) -> None:
        """Return when the address and the login are printed, signed in."""

        def printed() -> bool:
            assert self.process.poll() is None, self.output()
            return "Ctrl-C" in self.output()

        wait_for("xunhu up prints its address", printed, START_WAIT_S)
        self.sign_in()

    def sign_in(self) -> None:
        """Begin a session as the demo's operator, as whoever's session is over does."""
        self.call("POST", "/session", {"name": "demo", "password": self.password})

    def output(self) -> str:
        """What `xunhu up` printed so far."""
        return (self.home / "up.out").read_text()

    @property
    def password(self) -> str:
        """The demo login's password, read from what was printed."""
        line = next(line for line in self.output().splitlines() if "demo 演示登录" in line)
        return line.split()[-1]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request to the API as the demo's operator; HTTPError when it is refused."""
        request = urllib.request.Request(
            f"{self.url}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Xunhu": "1", "Content-Type": "application/json"},
        )
        with self._opener.open(request, timeout=30) as response:
            content = response.read()
        return json.loads(content) if content else None

    @property
    def cookie(self) -> str:
        """The session's cookie header, for a WebSocket."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._cookies)

    def items(self, path: str) -> list[dict[str, Any]]:
        """Every row of a list of the API, page by page."""
        rows: list[dict[str, Any]] = []
        separator = "&" if "?" in path else "?"
        page = self.call("GET", path)
        rows += page["items"]
        while page["next"]:
            page = self.call("GET", f"{path}{separator}after={page['next']}")
            rows += page["items"]
        return rows

    def online(self) -> int:
        """How many devices are online."""
        return sum(device["online"] is True for device in self.items("/devices"))

    def cases(self, kind: str = "sos") -> list[dict[str, Any]]:
        """The open cases of a kind."""
        return [row for row in self.items("/cases?open=1") if row["kind"] == kind]

    def close_cases(self) -> None:
        """Take and close whatever is open, as at the end of a night."""
        for row in self.items("/cases?open=1"):
            if row["presses"] > row["acknowledged_presses"]:
                self.call("POST", f"/cases/{row['id']}/take", {})
            self.call("POST", f"/cases/{row['id']}/close", {"reason": "end of a test"})

    def terminals(self) -> list[str]:
        """The ids of all terminals."""
        return [row["id"] for row in self.items("/devices") if row["kind"] == "terminal"]

    def watch(self, devices: list[str], lease_s: int = 300) -> None:
        """Look at terminals: each of their fixes is sent at once, for so long."""
        for device in devices:
            self.call("POST", f"/devices/{device}/watch", {"lease_s": lease_s})

    def gateway_beside(self, instance: str, **environment: str) -> GatewayProcess:
        """Start one more gateway, which `xunhu up` knows nothing of."""
        world = SimpleNamespace(
            home=self.home, authority=Authority.open(self.home), telemetry_token="",
            registry_url=f"sqlite:///{self.home / 'registry.sqlite'}",
            telemetry_url=f"sqlite:///{self.home / 'telemetry.sqlite'}",
            listeners=SimpleNamespace(services_port=self.services_port),
        )  # fmt: skip
        return GatewayProcess(world, instance, **environment)

    def xunhu(self, *arguments: str) -> str:
        """Run the command line and return what it printed."""
        result = subprocess.run(
            [sys.executable, "-m", "xunhu", *arguments],
            cwd=PROJECT, env=self.environment, capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout

    def control(self, device: str) -> Control:
        """The buttons and lights of one virtual device."""
        return Control(self.home / "devices" / device)

    def pid(self, name: str) -> int:
        """The process id of a part: broker, gateway-1, api-1, virtual-devices."""
        return int((self.home / "logs" / f"{name}.pid").read_text())

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to one part."""
        os.kill(self.pid(name), number)

    def stop(self) -> None:
        """Ctrl-C."""
        self._output.close()
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_WAIT_S)
        finally:
            if self.process.poll() is None:
                self._kill_all()

    def _kill_all(self) -> None:
        """End `xunhu up`, which did not stop, and the parts that would outlive it."""
        self.process.kill()
        self.process.wait()
        parts = [int(path.read_text()) for path in (self.home / "logs").glob("*.pid")]
        for number in (signal.SIGTERM, signal.SIGKILL):  # Virtual devices end by the first alone.
            for part in parts:
                with suppress(ProcessLookupError):
                    os.killpg(part, number)
            with suppress(AssertionError):
                wait_for("all parts end", lambda: not any(map(_runs, parts)), STOP_WAIT_S)


@contextmanager
def started(
    home: Path, *options: str, environment: dict[str, str] | None = None
) -> Iterator[Installation]:
    """Yield a started installation and stop it afterwards."""
    installation = Installation(home, *options, environment=environment)
    try:
        installation.wait_until_started()
        yield installation
    finally:
        installation.stop()


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return not stat.rpartition(") ")[2].startswith("Z")
