"""Health, metrics, the console's files, the map, headers, and how refusals look."""

import httpx
import pytest

from tests.fleet_api.district import now_ms


@pytest.fixture
def console(home):
    folder = home / "console"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Xunhu</title>")
    (folder / "assets" / "app-1a2b.js").write_text("export {}")
    (home / "secret.txt").write_text("keys")
    return folder


def get(api, path: str) -> httpx.Response:
    return httpx.get(api.address + path)


@pytest.mark.usefixtures("console")
def test_the_console_and_its_own_addresses_get_the_page(api):
    for path in ("/", "/cases/12", "/fleet"):
        answer = get(api, path)
        assert answer.status_code == 200
        assert "<title>Xunhu</title>" in answer.text
        assert answer.headers["cache-control"] == "no-cache"
    script = get(api, "/assets/app-1a2b.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "immutable" in script.headers["cache-control"]


@pytest.mark.usefixtures("console")
@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/assets/../../secret.txt",
        "/assets/%2e%2e%2f%2e%2e%2fsecret.txt",
        "//etc/passwd",
        "/%2fetc%2fpasswd.x",
        "/absent.js",
        "/api/v1/absent",
        "/api/absent",
    ],
)
def test_nothing_else_is_served(api, path):
    # httpx would tidy such a path up: it is written on the socket as it is.
    url = httpx.URL(api.address)
    with httpx.Client() as client:
        request = client.build_request("GET", url)
        request.url = url.copy_with(raw_path=path.encode())
        answer = client.send(request)
    assert "keys" not in answer.text
    assert "root:" not in answer.text
    assert answer.status_code == 404 or "<title>Xunhu</title>" in answer.text
    if path.startswith("/api"):
        assert answer.json()["error"]["code"] == "not_found"


def test_without_a_built_console_the_page_says_so(api):
    answer = get(api, "/")
    assert answer.status_code == 503
    assert "not built" in answer.text


@pytest.mark.usefixtures("console")
@pytest.mark.parametrize("path", ["/", "/api/v1/session", "/openapi.json", "/healthz", "/x.js"])
def test_every_answer_has_the_security_headers(api, path):
    headers = get(api, path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http:" not in policy
    assert "https:" not in policy
    assert "unsafe-eval" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers
    assert "strict-transport-security" not in headers
    if path.startswith("/api"):
        assert headers["cache-control"] == "no-store"


def test_the_map_is_the_operators_own_file(home, api):
    viewer = api.as_user("viewer")
    assert viewer.get("/map/villages.geojson").json()["error"]["code"] == "not_found"
    (home / "map").mkdir()
    text = '{"type":"FeatureCollection","features":[]}'
    (home / "map" / "villages.geojson").write_text(text)
    answer = viewer.get("/map/villages.geojson")
    assert answer.text == text
    assert answer.headers["content-type"] == "application/geo+json"
    assert answer.headers["etag"]
    assert api.browser(None).get("/map/villages.geojson").status_code == 401


def test_health_tells_what_works(api):
    answer = get(api, "/healthz")
    assert answer.status_code == 200
    health = answer.json()
    assert (health["status"], health["registry"], health["telemetry"], health["bus"]) == (
        "degraded",
        True,
        True,
        False,
    )
    assert abs(health["at_ms"] - now_ms()) < 5_000


def test_health_without_a_registry_is_down(api, home):
    api.parts.registry.close()
    for path in home.glob("registry.sqlite*"):
        path.unlink()
    (home / "registry.sqlite").mkdir()
    answer = get(api, "/healthz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "down"
    refused = api.as_user("operator").get("/devices")
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "store_away"


def test_metrics_count_answers_and_name_no_device(api):
    api.as_user("viewer").get("/devices/t-east-1")
    text = get(api, "/metrics").text
    assert (
        'xunhu_api_answers_total{method="GET",route="/devices/{device_id}",status="200"}' in text
    )
    assert "t-east-1" not in text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("PUT", "/api/v1/session", 405, "method_not_allowed"),
        ("PATCH", "/api/v1/cases/1", 405, "method_not_allowed"),
    ],
)
def test_framework_refusals_look_like_ours(api, method, path, status, code):
    answer = httpx.request(method, api.address + path, headers={"X-Xunhu": "1"})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"code", "message", "details"}


def test_no_interactive_pages_that_load_from_elsewhere(api):
    for path in ("/docs", "/redoc"):
        assert "cdn" not in get(api, path).text
