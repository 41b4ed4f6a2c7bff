"""A private InfluxDB 2: started on a port of its own, set up by its API, removed with the test."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

START_WAIT_S = 60
STOP_WAIT_S = 30
_ORGANISATION = "xunhu"


def find_program() -> str | None:
    return os.environ.get("XUNHU_TEST_INFLUXD") or shutil.which("influxd")


class InfluxServer:
    """An InfluxDB that answers at `url`; buckets are made as tests ask for them."""

    def __init__(self, url, token="", organisation=_ORGANISATION):
        self.url = url
        self.token = token
        self.organisation = organisation

    def set_up(self):
        """Make the first user, organisation and token of a fresh InfluxDB."""
        self.token = secrets.token_hex(16)
        self._post("/api/v2/setup", {
            "username": "test", "password": secrets.token_hex(16), "org": self.organisation,
            "bucket": "first", "token": self.token,
        })  # fmt: skip

    def new_bucket(self, retention_s=0):
        """Make an empty bucket; return the telemetry URL of it."""
        name = f"test-{secrets.token_hex(6)}"
        rules = [{"type": "expire", "everySeconds": retention_s}] if retention_s else []
        self._post("/api/v2/buckets", {
            "orgID": self._organisation_id(), "name": name, "retentionRules": rules,
        })  # fmt: skip
        return f"influxdb+{self.url}?org={self.organisation}&bucket={name}"

    def write(self, bucket, line):
        """Write one line as another collector would."""
        path = f"/api/v2/write?org={self.organisation}&bucket={bucket}&precision=ns"
        self._call("POST", path, line.encode())

    def _organisation_id(self):
        answer = self._call("GET", f"/api/v2/orgs?org={self.organisation}")
        return json.loads(answer)["orgs"][0]["id"]

    def _post(self, path, body):
        self._call("POST", path, json.dumps(body).encode())

    def _call(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, body, method=method)
        request.add_header("Authorization", f"Token {self.token}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()


class InfluxProcess(InfluxServer):
    """An influxd of our own, which can be stopped, frozen and started again with its data."""

    def __init__(self, program, folder: Path):
        self._program = program
        self._folder = folder
        self._port = _free_port()
        self._process = None
        super().__init__(f"http://127.0.0.1:{self._port}")

    def start(self):
        folder = self._folder
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "influxd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._program, "--http-bind-address", f"127.0.0.1:{self._port}",
                    "--bolt-path", folder / "influxd.bolt",
                    "--sqlite-path", folder / "influxd.sqlite",
                    "--engine-path", folder / "engine",
                    "--reporting-disabled", "--ui-disabled", "--hardening-enabled",
                ],
                stdout=log, stderr=log, cwd=folder, env={"HOME": str(folder)},
            )  # fmt: skip
        self._wait_until_healthy()

    def stop(self):
        """Kill it: what was acknowledged must be there all the same after `start`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_WAIT_S)
            self._process = None

    def freeze(self):
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._process.send_signal(signal.SIGCONT)

    def _wait_until_healthy(self):
        end = time.monotonic() + START_WAIT_S
        while time.monotonic() < end:
            try:
                self._call("GET", "/health")
            except (urllib.error.URLError, ConnectionError):
                assert self._process.poll() is None, f"influxd ended, see {self._folder}"
                time.sleep(0.05)
            else:
                return
        raise TimeoutError(f"influxd was not healthy in {START_WAIT_S} s, see {self._folder}")


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
