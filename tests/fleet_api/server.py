"""A real API process, and browsers that talk to it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from fleet_api.__main__ import config
from fleet_api.bootstrap import Parts
from fleet_api.settings import Settings

ROOT = Path(__file__).parents[2]
START_S_MAX = 30.0
ANSWER_S_MAX = 10.0


@dataclass
class ApiProcess:
    process: subprocess.Popen
    address: str
    log: list[str]

    @classmethod
    def start(
        cls, home: Path, instance: str, broker_port: int, environment: dict[str, str]
    ) -> "ApiProcess":
        process = subprocess.Popen(
            [sys.executable, "-m", "fleet_api"],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(ROOT)]),
                "XUNHU_HOME": str(home),
                "XUNHU_INSTANCE": instance,
                "XUNHU_API_PORT": "0",
                "XUNHU_BROKER_PORT": str(broker_port),
                **environment,
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        log: list[str] = []
        address: list[str] = []
        ready = threading.Event()

        def read() -> None:
            assert process.stderr
            for line in process.stderr:
                log.append(line)
                if found := re.search(r"Uvicorn running on (https?://[^ ]+)", line):
                    address.append(found[1])
                    ready.set()
            ready.set()

        threading.Thread(target=read, daemon=True).start()
        assert ready.wait(START_S_MAX), "".join(log)
        assert address, "".join(log)
        return cls(process, address[0], log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stderr:
            self.process.stderr.close()

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def browser(self, token: str | None = None) -> "Browser":
        return Browser(self.address, token)

    def wait_for_bus(self, seconds: float = 10.0) -> None:
        wait_until(lambda: httpx.get(f"{self.address}/healthz").json()["bus"], seconds)


class ApiThread:
    """The same server inside of the test's process: ready at once, where nobody kills it."""

    def __init__(self, settings: Settings, tokens: dict[str, str]) -> None:
        self._tokens = tokens
        self.server = uvicorn.Server(config(settings))
        self._thread = threading.Thread(target=self.server.run, daemon=True)
        self._thread.start()
        wait_until(lambda: self.server.started or not self._thread.is_alive(), START_S_MAX)
        assert self.server.started
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"

    @property
    def parts(self) -> Parts:
        return self.server.config.app.state.parts

    def browser(self, token: str | None = None) -> "Browser":
        return Browser(self.address, token)

    def as_user(self, name: str) -> "Browser":
        return self.browser(self._tokens[name])

    def wait_for_bus(self, seconds: float = 10.0) -> None:
        wait_until(lambda: self.parts.hub.bus_up, seconds)

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


@dataclass
class Browser:
    """One signed-in browser: REST with its cookie and header, and live views."""

    address: str
    token: str | None

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"X-Xunhu": "1", **more.pop("headers", {})}
        if self.token:
            headers["Cookie"] = f"xunhu_session={self.token}"
        url = self.address + ("" if path.startswith("/healthz") else "/api/v1") + path
        return httpx.request(method, url, headers=headers, timeout=ANSWER_S_MAX, **more)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def patch(self, path: str, body: Any) -> httpx.Response:
        return self.request("PATCH", path, json=body)

    def delete(self, path: str) -> httpx.Response:
        return self.request("DELETE", path)

    def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self.request("POST", path, json={} if body is None else body, **more)

    def live(self, **more: Any) -> "LiveView":
        headers = {"Origin": self.address, **more.pop("headers", {})}
        if self.token:
            headers["Cookie"] = f"xunhu_session={self.token}"
        url = self.address.replace("http", "ws", 1) + "/api/v1/live"
        return LiveView(
            connect(url, additional_headers=headers, max_size=None, compression=None, **more)
        )


@dataclass
class LiveView:
    """The messages of one WebSocket; checks on the way that numbers have no holes."""

    opening: Any
    connection: ClientConnection = field(init=False)
    seq: int | None = None
    deltas: list[dict] = field(default_factory=list)
    snapshots: list[dict] = field(default_factory=list)
    _looked: int = 0

    def __enter__(self) -> "LiveView":
        self.connection = self.opening.__enter__()
        return self

    def __exit__(self, *reason: object) -> None:
        self.opening.__exit__(*reason)

    def next(self, seconds: float = ANSWER_S_MAX) -> dict:
        message = json.loads(self.connection.recv(timeout=seconds))
        if message["type"] == "snapshot":
            assert message["seq"] == 0
            self.seq = 0
            self.snapshots.append(message)
        elif message["type"] == "delta":
            assert self.seq is not None, "a delta before any snapshot"
            assert message["seq"] == self.seq + 1, "a hole in the numbers"
            self.seq += 1
            self.deltas.extend(message["deltas"])
        return message

    def snapshot(self, seconds: float = ANSWER_S_MAX) -> dict:
        end_s = time.monotonic() + seconds
        while True:
            message = self.next(max(0.0, end_s - time.monotonic()))
            if message["type"] == "snapshot":
                return message

    def wait_for(self, kind: str, seconds: float = ANSWER_S_MAX, **fields: object) -> dict:
        """Return the next delta of this kind with these fields, after the one returned before."""
        end_s = time.monotonic() + seconds
        while True:
            while self._looked < len(self.deltas):
                delta = self.deltas[self._looked]
                self._looked += 1
                if delta["kind"] != kind:
                    continue
                inner = delta[kind] if isinstance(delta.get(kind), dict) else delta
                if kind == "state":
                    inner = delta
                if fields.items() <= inner.items():
                    return inner
            self.next(max(0.0, end_s - time.monotonic()))

    def closed(self, seconds: float = ANSWER_S_MAX) -> int:
        """Read until the server closes, and return its code; 1006 when it just went away."""
        with pytest.raises(ConnectionClosed) as reason:
            self._read_on(seconds)
        return reason.value.rcvd.code if reason.value.rcvd else 1006

    def _read_on(self, seconds: float) -> None:
        while True:
            self.next(seconds)


def wait_until(holds, seconds: float = 10.0) -> None:
    """Ask until something holds."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")
