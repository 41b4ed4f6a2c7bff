import pytest
from pydantic import ValidationError

from fleet_api.settings import Settings, is_loopback


def test_defaults_live_in_the_home_folder(tmp_path):
    settings = Settings(home=tmp_path)
    assert settings.registry == f"sqlite:///{tmp_path}/registry.sqlite"
    assert settings.telemetry == f"sqlite:///{tmp_path}/telemetry.sqlite"
    assert settings.broker_files[1] == tmp_path / "pki/services/api-1.pem"
    assert not settings.secure


def test_environment_names_everything(monkeypatch, tmp_path):
    monkeypatch.setenv("XUNHU_INSTANCE", "2")
    monkeypatch.setenv("XUNHU_REGISTRY_URL", "postgresql+psycopg://x@db/xunhu")
    monkeypatch.setenv("XUNHU_BROKER_CERT", str(tmp_path / "cert"))
    settings = Settings()
    assert settings.producer == "api-2"
    assert settings.registry == "postgresql+psycopg://x@db/xunhu"
    assert settings.broker_files[1] == tmp_path / "cert"


@pytest.mark.parametrize(
    "refused",
    [
        {"api_host": "0.0.0.0"},
        {"api_host": "::"},
        {"api_host": "192.168.1.5"},
        {"api_host": "command.example"},
        {"api_tls_cert": "only-one.pem"},
        {"api_tls_key": "only-one.pem"},
        {"api_port": 65_536},
        {"broker_port": 0},
        {"instance": "Uppercase"},
        {"instance": ""},
        {"stale_after_s": 9},
    ],
    ids=str,
)
def test_refused(refused):
    with pytest.raises(ValidationError):
        Settings(**refused)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_loopback_needs_no_https(host):
    assert is_loopback(host)
    assert not Settings(api_host=host).secure


def test_https_elsewhere():
    settings = Settings(api_host="0.0.0.0", api_tls_cert="cert.pem", api_tls_key="key.pem")
    assert settings.secure


def test_settings_never_show_the_token():
    assert "hush" not in repr(Settings(telemetry_token="hush"))


def test_settings_are_frozen():
    with pytest.raises(ValidationError):
        Settings().api_port = 1
