"""What the fleet API is told from outside: environment variables XUNHU_*, read once."""

import ipaddress
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

VERSION = "0.1.0"


class Settings(BaseSettings):
    """One process's settings; frozen, checked where they enter."""

    model_config = SettingsConfigDict(env_prefix="XUNHU_", frozen=True, extra="ignore")

    home: Path = Path("var")
    instance: str = Field(default="1", pattern=r"^[a-z0-9-]{1,24}$")

    registry_url: str = ""  # Empty: sqlite in `home`.
    telemetry_url: str = ""  # Empty: sqlite in `home`.
    telemetry_token: SecretStr = SecretStr("")

    broker_host: str = "127.0.0.1"
    broker_port: int = Field(default=8884, ge=1, le=65535)  # The services listener.
    broker_ca: Path | None = None
    broker_cert: Path | None = None
    broker_key: Path | None = None

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8080, ge=0, le=65535)  # 0: any free one, named in the log.
    api_tls_cert: Path | None = None
    api_tls_key: Path | None = None

    console_dir: Path = Path("console/dist")
    stale_after_s: int = Field(default=300, ge=10, le=86_400)
    session_hours: int = Field(default=12, ge=1, le=24 * 30)  # One long shift.

    @model_validator(mode="after")
    def _check_transport(self) -> Self:
        if (self.api_tls_cert is None) != (self.api_tls_key is None):
            raise ValueError("XUNHU_API_TLS_CERT and XUNHU_API_TLS_KEY are given together or not")
        if self.api_tls_cert is None and not is_loopback(self.api_host):
            raise ValueError(
                f"XUNHU_API_HOST={self.api_host} is reachable from outside: plain HTTP is for "
                "loopback only; give XUNHU_API_TLS_CERT and XUNHU_API_TLS_KEY"
            )
        return self

    @property
    def producer(self) -> str:
        """This process's name on the live bus and in its service certificate."""
        return f"api-{self.instance}"

    @property
    def secure(self) -> bool:
        """True when browsers come by HTTPS."""
        return self.api_tls_cert is not None

    @property
    def registry(self) -> str:
        """The registry's URL, with its default filled in."""
        return self.registry_url or f"sqlite:///{self.home.absolute() / 'registry.sqlite'}"

    @property
    def telemetry(self) -> str:
        """The telemetry store's URL, with its default filled in."""
        return self.telemetry_url or f"sqlite:///{self.home.absolute() / 'telemetry.sqlite'}"

    @property
    def broker_files(self) -> tuple[Path, Path, Path]:
        """The services' authority, this process's certificate and its key, PEM."""
        pki = self.home / "pki"
        return (
            self.broker_ca or pki / "services-ca.pem",
            self.broker_cert or pki / "services" / f"{self.producer}.pem",
            self.broker_key or pki / "services" / f"{self.producer}.key.pem",
        )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
