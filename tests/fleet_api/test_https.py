"""Reached from elsewhere the API speaks HTTPS only: here over loopback, with the same settings."""

import base64
import json
import os
import ssl
import subprocess
import sys

import httpx
import pytest
from websockets.sync.client import connect

from tests.fleet_api.district import PASSWORD
from tests.fleet_api.server import ROOT


@pytest.fixture
def api(start_api, district, authority_home):
    del district
    files = authority_home / "pki" / "broker"
    return start_api(
        XUNHU_API_TLS_CERT=str(files / "services-listener.pem"),
        XUNHU_API_TLS_KEY=str(files / "services-listener.key.pem"),
    )


@pytest.fixture
def trust(authority_home) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority_home / "pki" / "services-ca.pem")


def test_sign_in_and_live_view_over_tls(api, trust):
    assert api.address.startswith("https://")
    answer = httpx.post(
        f"{api.address}/api/v1/session",
        json={"name": "operator", "password": PASSWORD},
        headers={"X-Xunhu": "1"},
        verify=trust,
    )
    assert answer.status_code == 200
    assert "Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"]
    cookie = f"xunhu_session={answer.cookies['xunhu_session']}"
    address = api.address.replace("https", "wss") + "/api/v1/live"
    with connect(
        address,
        ssl=trust,
        additional_headers={"Cookie": cookie, "Origin": api.address},
        max_size=None,
    ) as view:
        assert json.loads(view.recv(timeout=10))["type"] == "snapshot"
    # A plain client: websockets' own waits without a bound for the end of a refused connection.
    refused = httpx.get(
        f"{api.address}/api/v1/live",
        headers={
            "Cookie": cookie,
            "Origin": api.address.replace("https", "http"),
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
        },
        verify=trust,
    )
    assert refused.status_code == 403


def test_plain_http_gets_nothing(api):
    with pytest.raises(httpx.TransportError):
        httpx.get(api.address.replace("https", "http") + "/healthz")


def test_without_a_certificate_it_does_not_listen_elsewhere(home):
    done = subprocess.run(
        [sys.executable, "-m", "fleet_api"],
        check=False,
        cwd=ROOT,
        env={**os.environ, "XUNHU_HOME": str(home), "XUNHU_API_HOST": "0.0.0.0"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "XUNHU_API_TLS_CERT" in done.stderr
    assert "Traceback" not in done.stderr
